"""Every error that Tunegate raises on purpose.

    TunegateError            a message for people; `exit_code` is what the process returns
    +-- UsageError      (2)  the command line cannot mean anything
    +-- CouldNotRun     (3)  no model, no memory, no server: nothing was judged
    +-- Unexpected      (3)  a mistake of ours: its details are in a file
    +-- Refused         (4)  refused before generation; nothing was written
        +-- AuthoringError   mistakes in the files people edit, all of them at once

A message names the place, what was expected, what was found and what to do next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


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

    `where` is the path inside the document (`cases[3].expect`), empty for the file as a whole.
    """

    file: str
    line: int
    where: str
    expected: str
    found: str
    hint: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}: " + (f"{self.where}: " if self.where else "")
        hint = f"; {self.hint}" if self.hint else ""
        return f"{place}expected {self.expected}, found {self.found}{hint}"


@dataclass(frozen=True, slots=True, order=True)
class LintWarning:
    """Something in a file that a person edits which is allowed, and probably not what was meant."""

    file: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: warning: {self.text}"


class AuthoringError(Refused):
    """Mistakes in fixtures, references, task files, recipes or rows: all of them at once."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        lines = [f"  {problem}" for problem in self.problems]
        count = f"{len(lines)} mistake{'s' if len(lines) != 1 else ''}"
        super().__init__("\n".join([f"{count} to fix before anything can run:", *lines]))


def show_path(path: Path) -> str:
    """`path` as a person would type it: relative to the working directory where it lies below it."""
    try:
        return path.resolve().relative_to(Path.cwd().resolve()).as_posix()
    except ValueError:
        return str(path)
