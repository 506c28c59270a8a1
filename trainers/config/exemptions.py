"""A recipe's exemptions: pairs of a row and a case that a reviewer found clean, each with the reason."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tunegate.harness.core.authoring.document import Document
from tunegate.harness.core.errors import Problem, show_path

EXEMPTIONS_SCHEMA = {
    "type": "array",
    "description": "a list of {row: FILE:LINE, case: TASK/UNIT/ID, reason: why the row is clean}",
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
            "reason": {"type": "string", "pattern": r"\S", "description": "why the row is clean, in words"},
        },
    },
}


@dataclass(frozen=True, slots=True)
class Exemption:
    """An exempted pair, with its place in the recipe."""

    row: str
    case: str
    reason: str
    file: Path
    line: int
    where: str
    folder: Path

    @property
    def pair(self) -> tuple[str, int, str]:
        """The row's file and line, as shown in messages, and the case."""
        name, _, line = self.row.rpartition(":")
        return (show_path(self.folder / name), int(line), self.case)

    def problem(self, key: str, expected: str, found: str, hint: str) -> Problem:
        """A problem with one of the exemption's keys."""
        return Problem(self.file, self.line, f"{self.where}.{key}" if key else self.where, expected, found, hint)


def read_exemptions(document: Document) -> tuple[Exemption, ...]:
    """Read the exemptions of a validated recipe."""
    return tuple(
        Exemption(**raw, file=document.path, line=document.line(("exemptions", index)), where=f"exemptions[{index}]",
               folder=document.path.parent)
        for index, raw in enumerate(document.data.get("exemptions", []))
    )  # fmt: skip
