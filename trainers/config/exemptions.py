"""A recipe's waivers: pairs of a row and a case that a person has read and found innocent, each with the reason."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tunegate.harness.authoring.document import Document
from tunegate.harness.core.errors import AuthoringError, Problem, show_path
from tunegate.trainers.decontamination.thresholds import Near

SHAPE = {
    "type": "array",
    "description": "a list of {row: FILE:LINE, case: TASK/UNIT/ID, reason: why the row is innocent}",
    "items": {
        "type": "object",
        "additionalProperties": False,
        "required": ["row", "case", "reason"],
        "properties": {
            "row": {
                "type": "string",
                "pattern": r"^.+:[1-9][0-9]*$",
                "description": "a row as FILE:LINE, the file relative to the recipe",
            },
            "case": {"type": "string", "pattern": r"^[^/]+/[^/]+/.+$", "description": "a case as TASK/UNIT/ID"},
            "reason": {"type": "string", "pattern": r"\S", "description": "why the row is innocent, in words"},
        },
    },
}


@dataclass(frozen=True, slots=True)
class Waiver:
    """One signed pair, and where in the recipe it stands."""

    row: str
    case: str
    reason: str
    file: str
    line: int
    where: str
    folder: Path

    @property
    def pair(self) -> tuple[str, int, str]:
        """The row's file and line as messages write them, and the case."""
        name, _, line = self.row.rpartition(":")
        return (show_path(self.folder / name), int(line), self.case)

    def problem(self, key: str, expected: str, found: str, hint: str) -> Problem:
        """A problem with one of its keys."""
        return Problem(self.file, self.line, f"{self.where}.{key}" if key else self.where, expected, found, hint)


def read_waivers(document: Document) -> tuple[Waiver, ...]:
    """The waivers of a recipe whose shape has been checked."""
    return tuple(
        Waiver(**raw, file=document.name, line=document.line(("waivers", index)), where=f"waivers[{index}]",
               folder=document.path.parent)
        for index, raw in enumerate(document.data.get("waivers", []))
    )  # fmt: skip


def check_waivers(
    waivers: Sequence[Waiver], found: Iterable[Near], rows: set[tuple[str, int]], cases: set[str]
) -> None:
    """Refuse waivers that waive nothing: each names a pair that has to be reviewed, once.

    Raises:
        AuthoringError: every waiver of an unknown row or case, of a pair that needs none or may not have one, or twice.
    """
    bands = {near.pair: near.band for near in found}
    seen: dict[tuple[str, int, str], Waiver] = {}
    problems = []
    for waiver in waivers:
        first = seen.setdefault(waiver.pair, waiver)
        if first is not waiver:
            problems.append(waiver.problem("", "each pair once", f"that of {first.where} again", "delete one"))
        elif waiver.pair[:2] not in rows:
            hint = "rows move when lines are added above them: read the pair again"
            problems.append(waiver.problem("row", "a row of this recipe", repr(waiver.row), hint))
        elif waiver.case not in cases:
            problems.append(waiver.problem("case", "a case of the fixtures", repr(waiver.case), "delete the waiver"))
        elif bands.get(waiver.pair) == "refuse":
            hint = "no reason makes it innocent: delete the row, or write it anew"
            problems.append(waiver.problem("", "a pair to be reviewed", "one that is refused", hint))
        elif bands.get(waiver.pair) != "review":
            problems.append(waiver.problem("", "a pair to be reviewed", "one that needs no waiver", "delete it"))
    if problems:
        raise AuthoringError(problems)


def as_waiver(near: Near, folder: Path) -> str:
    """The line that would waive a pair in a recipe of this folder."""
    row = Path(os.path.relpath(Path(near.row.file).resolve(), folder.resolve())).as_posix()
    return f'- {{row: "{row}:{near.row.line}", case: {near.held.case.key}, reason: "..."}}'
