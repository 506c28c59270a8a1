"""All errors that Tunegate raises on purpose.

    TunegateError            a message for people; `exit_code` is that of the process
    +-- UsageError      (2)  a usage error on the command line
    +-- CouldNotRun     (3)  no model, no memory, no server: nothing was evaluated
    +-- Unexpected      (3)  an internal error, with its details in a file
    +-- Refused         (4)  refused before generation; nothing was written
        +-- AuthoringError   mistakes in edited files, all of them at once
        +-- Unreadable       a foreign file with unexpected content

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

MOST_LINES = 100  # of different mistakes per message
FEW = 3  # mistakes of one sort shown one by one; more are shown once, with their number
MOST_OF_A_KIND = 20  # mistakes of one kind shown per file; the rest are counted


class TunegateError(Exception):
    """Base of all errors with a message for people."""

    exit_code = 3


class UsageError(TunegateError):
    """A usage error on the command line."""

    exit_code = 2


class CouldNotRun(TunegateError):
    """Something outside the cases is missing or failed; there is no record."""

    exit_code = 3


class Unexpected(TunegateError):
    """An internal error. Its exit code must never be 1, which means that the gate blocked."""

    exit_code = 3


class Refused(TunegateError):
    """Refused before generation, since the result would be misleading."""

    exit_code = 4


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One mistake in an edited file.

    `line` counts from 1; 0 is the file or folder itself. `where` is the path inside the document
    (`cases[3].expect`), empty for the whole file. `more` counts mistakes of its kind without a
    `Problem` of their own.
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
        """The file and the line, in the form that terminals and editors link."""
        return f"{show_path(self.file)}:{self.line}" if self.line else show_path(self.file)

    def __str__(self) -> str:
        where = f"{self.where}: " if self.where else ""
        hint = f"; {self.hint}" if self.hint else ""
        return f"{self.place}: {where}expected {self.expected}, found {self.found}{hint}"

    @property
    def sort(self) -> tuple[Path, str, str, str]:
        """The key of identical mistakes: the file, the place without its numbers, the expectation."""
        return (self.file, re.sub(r"\[\d+\]", "[]", self.where), self.expected, self.hint)

    @property
    def kind(self) -> tuple[Path, str]:
        """The key of all mistakes of one kind within the file."""
        return (self.file, self.expected)


@dataclass(frozen=True, slots=True, order=True)
class LintWarning:
    """Something in an edited file that is valid but probably a mistake."""

    file: Path
    line: int
    text: str

    def __str__(self) -> str:
        return f"{show_path(self.file)}:{self.line}: warning: {self.text}"


class AuthoringError(Refused):
    """Mistakes in cases, references, task files, recipes or rows, all of them at once."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        lines, count = list(_lines(self.problems)), _count(self.problems)
        more = [f"  and {len(lines) - MOST_LINES:,} more lines like these"] if len(lines) > MOST_LINES else []
        first = f"{count:,} mistake{'s' if count != 1 else ''} to fix before anything can run:"
        super().__init__("\n".join([first, *(f"  {line}" for line in lines[:MOST_LINES]), *more]))


class Unreadable(Refused):
    """A file with unexpected content; `problem` describes the content and its line."""

    def __init__(
        self, path: Path, expected: str, found: str, hint: str = "", line: int = 0, is_missing: bool = False
    ) -> None:
        self.problem = Problem(path, line, "", expected, found, hint)
        self.is_missing = is_missing
        super().__init__(str(self.problem))

    @property
    def found(self) -> str:
        """The found content with its line, for a sentence that states the expectation itself."""
        line = f", on line {self.problem.line}" if self.problem.line else ""
        hint = f"; {self.problem.hint}" if self.problem.hint else ""
        return f"{self.problem.found}{line}{hint}"


def most_of_each_kind(problems: Iterable[Problem]) -> list[Problem]:
    """Return the first `MOST_OF_A_KIND` mistakes of each kind; the last one counts the rest in `more`."""
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
    """Yield one line per mistake, in order, and for each kind the number of mistakes not shown."""
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
    """Yield each mistake; if one sort has more than a few, the first with all of them."""
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
    """Return a mistake with the number and lines of identical ones."""
    if len(same) == 1:
        return str(problem)
    lines = ", ".join(str(each.line) for each in same[1 : 1 + FEW])
    rest = ", ..." if len(same) > FEW + 1 else ""
    return f"{problem} (and {_count(same) - 1:,} more like it: lines {lines}{rest})"


def _rest(problem: Problem, count: int) -> Iterator[str]:
    """Yield the number of mistakes of a kind that are not shown, if any."""
    if count:
        yield f"{show_path(problem.file)}: and {count:,} more of this kind: expected {problem.expected}"


def show_path(path: Path) -> str:
    """Return `path` as a user would type it: relative below the current directory, and escaped."""
    here = Path.cwd()
    for find in (os.path.abspath, os.path.realpath):  # a link keeps its own name, whatever its target
        with suppress(ValueError):
            return shown(Path(find(path)).relative_to(find(here)).as_posix())
    return shown(str(path))
