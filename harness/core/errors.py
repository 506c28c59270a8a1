"""Every error that Tunegate raises on purpose.

    TunegateError            a message for people; `exit_code` is what the process returns
    +-- UsageError      (2)  the command line cannot mean anything
    +-- CouldNotRun     (3)  no model, no memory, no server: nothing was judged
    +-- Unexpected      (3)  a mistake of ours: its details are in a file
    +-- Refused         (4)  refused before generation; nothing was written
        +-- AuthoringError   mistakes in the files people edit, all of them at once
        +-- Unreadable       a file from outside that is not what was to be read

A message names the place, what was expected, what was found and what to do next.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from tunegate.harness.core.escaping import shown

MOST_LINES = 100  # of different mistakes in one message: whoever has more mends these first
FEW = 3  # mistakes of one sort are shown one by one; more of them once, with their number
MOST_OF_A_KIND = 20  # mistakes of one kind that are shown of a file; the rest are counted


class TunegateError(Exception):
    """Base of all errors with a message for people."""

    exit_code = 3


class UsageError(TunegateError):
    """The command line cannot mean anything."""

    exit_code = 2


class CouldNotRun(TunegateError):
    """Something outside the fixtures is missing or broke; there is no record."""

    exit_code = 3


class Unexpected(TunegateError):
    """An error that nobody foresaw. It must never end as 1, which means judged and blocked."""

    exit_code = 3


class Refused(TunegateError):
    """Refused before generation: the run would not mean what it says."""

    exit_code = 4


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One mistake in a file that a person edits.

    `line` counts from 1; 0 is the file or folder itself. `where` is the path inside the document (`cases[3].expect`),
    empty for the file as a whole. `more` counts mistakes of its kind that have no `Problem` of their own.
    """

    file: Path
    line: int
    where: str
    expected: str
    found: str
    hint: str = ""
    more: int = 0

    @property
    def place(self) -> str:
        """The file and the line, as terminals and editors make links of them."""
        return f"{show_path(self.file)}:{self.line}" if self.line else show_path(self.file)

    def __str__(self) -> str:
        where = f"{self.where}: " if self.where else ""
        hint = f"; {self.hint}" if self.hint else ""
        return f"{self.place}: {where}expected {self.expected}, found {self.found}{hint}"

    @property
    def sort(self) -> tuple[Path, str, str, str]:
        """What it shares with the mistakes of its sort: the file, the place without its numbers, what is expected."""
        return (self.file, re.sub(r"\[\d+\]", "[]", self.where), self.expected, self.hint)

    @property
    def kind(self) -> tuple[Path, str]:
        """What it shares with all mistakes of its kind, wherever they stand in the file."""
        return (self.file, self.expected)


@dataclass(frozen=True, slots=True, order=True)
class LintWarning:
    """Something in a file that a person edits which is allowed, and probably not what was meant."""

    file: Path
    line: int
    text: str

    def __str__(self) -> str:
        return f"{show_path(self.file)}:{self.line}: warning: {self.text}"


class AuthoringError(Refused):
    """Mistakes in fixtures, references, task files, recipes or rows: all of them at once."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        lines, count = list(_lines(self.problems)), _count(self.problems)
        more = [f"  and {len(lines) - MOST_LINES:,} more lines like these"] if len(lines) > MOST_LINES else []
        first = f"{count:,} mistake{'s' if count != 1 else ''} to fix before anything can run:"
        super().__init__("\n".join([first, *(f"  {line}" for line in lines[:MOST_LINES]), *more]))


class Unreadable(Refused):
    """What stands at a path is not what was to be read; `problem` says what does, and on which line."""

    def __init__(
        self, path: Path, expected: str, found: str, hint: str = "", line: int = 0, is_missing: bool = False
    ) -> None:
        self.problem = Problem(path, line, "", expected, found, hint)
        self.is_missing = is_missing
        super().__init__(str(self.problem))

    @property
    def found(self) -> str:
        """What was found, with its line, for a sentence that says itself what was expected."""
        line, hint = self.problem.line, self.problem.hint
        return f"{self.problem.found}{f', on line {line}' if line else ''}{f'; {hint}' if hint else ''}"


def most_of_each_kind(problems: Iterable[Problem]) -> list[Problem]:
    """The first `MOST_OF_A_KIND` mistakes of each kind; the last of them counts the rest in `more`."""
    kept: dict[tuple[Path, str], list[Problem]] = {}
    for problem in problems:
        same = kept.setdefault(problem.kind, [])
        if len(same) < MOST_OF_A_KIND:
            same.append(problem)
        else:
            same[-1] = replace(same[-1], more=same[-1].more + 1 + problem.more)
    return sorted(problem for same in kept.values() for problem in same)


def _count(problems: Iterable[Problem]) -> int:
    return sum(1 + problem.more for problem in problems)


def _lines(problems: Sequence[Problem]) -> Iterator[str]:
    """A line a mistake, in their order, and for each kind that has many more of them how many are not shown."""
    listed, left = Counter[tuple[Path, str]](), Counter[tuple[Path, str]]()
    for problem in problems:
        left[problem.kind] += 1 + problem.more
    for problem, same in _alike(problems):
        listed[problem.kind] += 1
        if listed[problem.kind] <= MOST_OF_A_KIND:
            left[problem.kind] -= _count(same) if len(same) > 1 else 1
            yield _line(problem, same)
        if listed[problem.kind] == MOST_OF_A_KIND:
            yield from _rest(problem, left.pop(problem.kind))
    for problem in problems:
        yield from _rest(problem, left.pop(problem.kind, 0) if listed[problem.kind] < MOST_OF_A_KIND else 0)


def _alike(problems: Sequence[Problem]) -> Iterator[tuple[Problem, Sequence[Problem]]]:
    """Each mistake; where one sort has more than a few, the first of them with all."""
    sorts: dict[object, list[Problem]] = {}
    for problem in problems:
        sorts.setdefault(problem.sort, []).append(problem)
    for problem in problems:
        same = sorts[problem.sort]
        if len(same) <= FEW:
            yield problem, [problem]
        elif problem is same[0]:
            yield problem, same


def _line(problem: Problem, same: Sequence[Problem]) -> str:
    """A mistake, with the number and lines of those of its sort."""
    if len(same) == 1:
        return str(problem)
    lines = ", ".join(str(each.line) for each in same[1 : 1 + FEW])
    rest = ", ..." if len(same) > FEW + 1 else ""
    return f"{problem} (and {_count(same) - 1:,} more like it: lines {lines}{rest})"


def _rest(problem: Problem, count: int) -> Iterator[str]:
    """How many mistakes of a kind are not shown; nothing where all are."""
    if count:
        yield f"{show_path(problem.file)}: and {count:,} more of this kind: expected {problem.expected}"


def show_path(path: Path) -> str:
    """`path` as a person would type it: relative to the working directory where it lies below it, and harmless."""
    here = Path.cwd()
    for find in (os.path.abspath, os.path.realpath):  # a link is called by its own name, wherever it leads
        with suppress(ValueError):
            return shown(Path(find(path)).relative_to(find(here)).as_posix())
    return shown(str(path))
