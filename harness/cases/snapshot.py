"""Snapshots of traffic: frozen production inputs in a folder of the user's, each file named by its own SHA-256.

A repository names a snapshot by its digest only. Where snapshots lie comes from `--traffic`, from TUNEGATE_TRAFFIC or
from the user's data folder, never from a file of a repository.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from pathlib import Path

from platformdirs import user_data_path

from tunegate.harness.cases.conversation import Turns, Written, joined, last_turn_problem, read_input, write_input
from tunegate.harness.cases.json_schemas import snapshot_schema
from tunegate.harness.core.authoring.json_lines import read_json_lines
from tunegate.harness.core.authoring.validation import validate
from tunegate.harness.core.errors import AuthoringError, CouldNotRun, Problem, Refused, show_path
from tunegate.harness.core.files import FOR_OWNER, canonical, digest, file_digest, text_digest, write_atomically

VARIABLE, PREFIX = "TUNEGATE_TRAFFIC", "sha256:"
ID_DIGITS = 12
MOST_INPUTS = 200_000  # each is run; a guard gains nothing beyond 10,000
_folder: ContextVar[Path | None] = ContextVar("traffic", default=None)


@dataclass(frozen=True, slots=True)
class TrafficInput:
    """One production input: the user's last turn, the turns before it, and its context, if any."""

    last: str
    earlier: Turns = ()
    context: str | None = None

    @property
    def written(self) -> Written:
        """The input in the form used by files."""
        return write_input(self.earlier, self.last)

    @property
    def text(self) -> str:
        """All its text."""
        return "\n".join(filter(None, [joined(self.earlier, self.last), self.context]))

    @property
    def digest(self) -> str:
        """Its name in labels."""
        return input_digest(self.written, self.context)

    @property
    def id(self) -> str:
        """Its case id."""
        return f"t-{self.digest.removeprefix(PREFIX)[:ID_DIGITS]}"

    @property
    def line(self) -> str:
        """Its line in a snapshot: canonical JSON."""
        return canonical({"input": self.written} | ({"context": self.context} if self.context else {})) + "\n"


def input_digest(written: Written, context: str | None = None) -> str:
    """Return the name of an input in labels: `sha256:` and the digest of its canonical JSON, with a context if any."""
    return PREFIX + digest({"input": written} | ({"context": context} if context else {}))


def traffic_folder() -> Path:
    """Return the folder of snapshots: `--traffic`, `$TUNEGATE_TRAFFIC`, or one in the user's data folder."""
    return _folder.get() or Path(os.environ.get(VARIABLE) or user_data_path("tunegate") / "traffic")


def given_snapshots() -> tuple[Path, ...]:
    """Return the snapshots in the folder of `--traffic`; none without it, since others may be of other projects."""
    folder = _folder.get()
    return tuple(sorted(folder.glob("*.jsonl"))) if folder else ()


@contextmanager
def traffic_in(folder: Path | None) -> Iterator[None]:
    """Use `folder` for snapshots meanwhile; None changes nothing."""
    token = _folder.set(folder or _folder.get())
    try:
        yield
    finally:
        _folder.reset(token)


def snapshot_path(sha: str) -> Path:
    """Return where a snapshot lies, by its digest (hex)."""
    return traffic_folder() / f"{sha}.jsonl"


def parse_traffic(path: Path) -> list[tuple[int, TrafficInput]]:
    """Read inputs from a file of lines (JSONL), each with its line number.

    Raises:
        AuthoringError: lists the mistakes of all lines, or the file cannot be read or holds no input.
    """
    problems: list[Problem] = []
    found = list(_inputs(path, problems))
    if not (found or problems) or len(found) > MOST_INPUTS:
        expected = f"at least one input, and at most {MOST_INPUTS:,}"
        problems.append(Problem(path, 0, "", expected, f"{len(found):,}" if found else "none"))
    if problems:
        raise AuthoringError(problems)
    return found


def _inputs(path: Path, problems: list[Problem]) -> Iterator[tuple[int, TrafficInput]]:
    schema = snapshot_schema()
    for document in read_json_lines(path, "inputs", problems):
        mistakes = validate(document, schema)
        mistakes = mistakes or list(last_turn_problem(document.data["input"], document, ("input",)))
        problems += [replace(each, found="another value") for each in mistakes]  # which may be a person's
        if not mistakes:
            earlier, last = read_input(document.data["input"])
            yield document.line(()), TrafficInput(last, earlier, document.data.get("context"))


def write_snapshot(inputs: Sequence[TrafficInput]) -> str:
    """Keep different inputs as a snapshot, readable by the user only; return its digest (hex).

    Raises:
        CouldNotRun: the folder is not writable, or similar.
    """
    text = "".join(each.line for each in inputs)
    sha = text_digest(text)
    path = snapshot_path(sha)
    if not path.is_file() or file_digest(path) != sha:
        _make_private(path.parent)
        write_atomically(path, text, FOR_OWNER)
    return sha


def _make_private(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise CouldNotRun(
            f"{show_path(folder)}: the folder of snapshots cannot be made ({error.strerror or error}); name another "
            f"with --traffic FOLDER or {VARIABLE}"
        ) from error


def read_snapshot(sha: str, unit: str) -> tuple[TrafficInput, ...]:
    """Return the inputs of a snapshot that a unit names.

    Raises:
        Refused: the snapshot is not in the folder, or its file is another one.
    """
    path = snapshot_path(sha)
    if not path.is_file():
        raise Refused(
            f"{unit}: expected its traffic, the snapshot {PREFIX}{sha}, in {show_path(path.parent)}, found none. "
            f"Copy {path.name} there from where it was made, or make it again: tunegate traffic FILE.jsonl. If it is "
            f"in another folder, name that: --traffic FOLDER (pytest: --tg-traffic FOLDER), or {VARIABLE}"
        )
    return _read(path, sha)


@functools.lru_cache(maxsize=8)  # a run reads its fixtures several times; the content is fixed by the digest
def _read(path: Path, sha: str) -> tuple[TrafficInput, ...]:
    found = file_digest(path)
    if found != sha:
        raise Refused(
            f"{show_path(path)}: expected the content that its name says, found another ({PREFIX}{found}); "
            "restore it, or make it again: tunegate traffic FILE.jsonl"
        )
    return tuple(each for _, each in parse_traffic(path))
