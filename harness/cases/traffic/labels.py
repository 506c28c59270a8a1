"""Labels: what people say of outputs; a committed file of lines (JSONL) that only grows.

A label speaks of one output of one input, so it serves every model that gives this output. The last line of a person
on an output counts, and `right: null` withdraws it. Where people differ, the output counts as not labelled until
an adjudication settles it.
"""

from __future__ import annotations

import json
import os
from codecs import BOM_UTF8
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Any

from tunegate.harness.cases.json_schemas import published_schema
from tunegate.harness.core.authoring.json_lines import parse_json_lines
from tunegate.harness.core.authoring.validation import validate
from tunegate.harness.core.errors import AuthoringError, CouldNotRun, Problem, Unreadable, show_path
from tunegate.harness.core.reading import NotJson, parse_json, read_text
from tunegate.harness.statistics.agreement import Agreement, agreement_of

fcntl: Any
try:
    import fcntl
except ImportError:  # Windows
    fcntl = None
WHAT = "labels"
_CHUNK = 1 << 16
_WRITE = os.O_RDWR | os.O_CREAT | sum(getattr(os, name, 0) for name in ("O_CLOEXEC", "O_BINARY", "O_NOFOLLOW"))
Pair = tuple[str, str]  # the digest of an input, and an output as it is compared


@dataclass(frozen=True, slots=True)
class Label:
    """One line of a labels file; `input` is an `input_digest`, `at` a time in UTC, `right` None withdraws."""

    input: str
    output: str
    right: bool | None
    by: str
    at: str = field(default_factory=lambda: datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
    note: str = ""
    adjudicates: bool = False

    @property
    def pair(self) -> Pair:
        """The input and the output that it speaks of."""
        return self.input, self.output

    def as_dict(self) -> dict[str, Any]:
        """Return its form in the file, without empty parts."""
        own = {"input": self.input, "output": self.output, "right": self.right, "by": self.by, "at": self.at}
        return own | ({"note": self.note} if self.note else {}) | ({"adjudicates": True} if self.adjudicates else {})

    @property
    def line(self) -> str:
        """Its line in the file, ASCII: a kill never tears a character."""
        return json.dumps(self.as_dict(), ensure_ascii=True, allow_nan=False) + "\n"


@dataclass(frozen=True)
class Labels:
    """All lines of a labels file, in order; `notes` says what a reader skipped."""

    lines: tuple[Label, ...] = ()
    notes: tuple[str, ...] = ()

    @cached_property
    def _current(self) -> Mapping[Pair, Mapping[tuple[bool, str], bool]]:
        """What counts of each pair: by adjudication or label and by person, the last line, unless it withdraws."""
        last = {(line.pair, line.adjudicates, line.by): line.right for line in self.lines}
        found: dict[Pair, dict[tuple[bool, str], bool]] = {}
        for (pair, adjudicates, by), right in last.items():
            if right is not None:
                found.setdefault(pair, {})[adjudicates, by] = right
        return found

    def given(self, by: str) -> Mapping[Pair, bool]:
        """Return what a person's own labels say; adjudications are not among them."""
        return {pair: said[False, by] for pair, said in self._current.items() if (False, by) in said}

    def said_by(self, by: str, pair: Pair, adjudicates: bool = False) -> bool | None:
        """Return what a person's label, or her adjudication, says of a pair; None if there is none."""
        return self._current.get(pair, {}).get((adjudicates, by))

    def label_of(self, input_sha: str, output: str) -> bool | None:
        """Return whether an output is right; None without a label, or if people differ and no adjudication settles it.

        An adjudication counts before labels; two that differ leave the output without a label.
        """
        said = self._current.get((input_sha, output), {})
        counted = {right for (adjudicates, _), right in said.items() if adjudicates} or set(said.values())
        return counted.pop() if len(counted) == 1 else None

    @property
    def disputed(self) -> Sequence[Pair]:
        """The pairs of which people say different things, without an adjudication that settles it."""
        return [pair for pair, said in self._current.items() if said and self.label_of(*pair) is None]

    @property
    def people(self) -> Sequence[str]:
        """The people whose own labels count, in alphabetical order."""
        return sorted({by for said in self._current.values() for adjudicates, by in said if not adjudicates})

    def agreements(self) -> Mapping[tuple[str, str], Agreement]:
        """Return how two people agree on what both labelled, for every two who share a pair."""
        own = {by: self.given(by) for by in self.people}
        found = {}
        for first, second in combinations(self.people, 2):
            if shared := own[first].keys() & own[second].keys():
                found[first, second] = agreement_of((own[first][pair], own[second][pair]) for pair in shared)
        return found


def read_labels(path: Path) -> Labels:
    """Read a labels file; a missing one holds no labels, and a last line torn by a kill is skipped with a note.

    Raises:
        AuthoringError: invalid lines, all of them with their numbers, or the file cannot be read.
    """
    try:
        text, note = _without_torn_line(path, read_text(path, f"a JSONL file of {WHAT}").removeprefix("\ufeff"))
    except Unreadable as error:
        if error.is_missing and not path.is_symlink():
            return Labels()
        raise AuthoringError([error.problem]) from error
    problems: list[Problem] = []
    lines = tuple(_labels(path, text, problems))
    if problems:
        raise AuthoringError(problems)
    return Labels(lines, (note,) if note else ())


def _labels(path: Path, text: str, problems: list[Problem]) -> Iterator[Label]:
    schema = published_schema("label")
    for document in parse_json_lines(path, text, WHAT, problems):
        mistakes = validate(document, schema)
        problems.extend(mistakes)
        if not mistakes:
            yield Label(**document.data)


def _without_torn_line(path: Path, text: str) -> tuple[str, str]:
    """Return the text without a last line that a kill cut off, and a note about it."""
    whole, _, last = text.rpartition("\n")
    if not _is_torn(last):
        return text, ""
    return whole, f"{show_path(path)}:{text.count(chr(10)) + 1}: the last line is cut off, as by a kill, and is skipped"


def _is_torn(last: str) -> bool:
    """Whether a last line without a line break is not a whole one."""
    try:
        return bool(last.strip()) and not isinstance(parse_json(last), dict)
    except NotJson:
        return True


def append_label(path: Path, label: Label) -> None:
    """Append one line: it is on the disk when this returns, and a kill leaves all earlier lines whole.

    What is in the file stays, except for a last line that a kill cut off. A link is refused.

    Raises:
        CouldNotRun: the disk is full, the path is a link or not writable, or similar.
    """
    try:
        is_new = not path.exists()
        handle = os.open(path, _WRITE, 0o644)
        try:
            if fcntl is not None:
                with suppress(OSError):  # some network folders have no locks
                    fcntl.flock(handle, fcntl.LOCK_EX)
            _write_at_end(handle, label.line.encode("ascii"))
        finally:
            os.close(handle)
        if is_new and fcntl is not None:
            _sync_folder(path.parent)
    except OSError as error:
        raise CouldNotRun(
            f"{show_path(path)}: the label could not be appended ({error.strerror or error}); earlier lines are "
            "unchanged; fix that, then run the same command again"
        ) from error


def _write_at_end(handle: int, line: bytes) -> None:
    """Write after the last whole line, and wait for the disk."""
    size = os.fstat(handle).st_size
    last = _last_line(handle, size)
    if last and _is_torn(last.decode("utf-8", "replace")):
        size -= len(last)
        os.ftruncate(handle, size)
    elif last:
        line = b"\n" + line  # an editor left no line break at the end
    os.lseek(handle, size, os.SEEK_SET)
    while line:
        line = line[os.write(handle, line) :]
    os.fsync(handle)


def _last_line(handle: int, size: int) -> bytes:
    """Return what follows the last line break of a file; line breaks and a BOM are those that `read_labels` knows."""
    found, start = b"", size
    while start and not (b"\n" in found or b"\r" in found):
        step = min(start, _CHUNK)
        start -= step
        os.lseek(handle, start, os.SEEK_SET)
        found = os.read(handle, step) + found
    last = found.replace(b"\r", b"\n").rpartition(b"\n")[2]
    return last.removeprefix(BOM_UTF8) if len(last) == size else last


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
