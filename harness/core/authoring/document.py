"""An authored document: its data, and the line of every path inside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tunegate.harness.core.errors import Problem, show_path

Where = tuple[str | int, ...]
SHOWN = 60
TYPES = {
    "object": "a mapping", "array": "a list", "string": "text", "boolean": "true or false",
    "integer": "a whole number", "number": "a number", "null": "nothing",
}  # fmt: skip


@dataclass(frozen=True)
class Document:
    """A parsed YAML file: plain data, and the line (from 1) of every path inside it."""

    path: Path
    data: Any
    lines: Mapping[Where, int]

    @cached_property
    def name(self) -> str:
        """The path as a user would type it."""
        return show_path(self.path)

    def line(self, where: Where) -> int:
        """The line of `where`, or of its nearest parent that has one."""
        while where and where not in self.lines:
            where = where[:-1]
        return self.lines.get(where, 1)

    def place(self, where: Where) -> str:
        """`where` as FILE:LINE."""
        return f"{self.name}:{self.line(where)}"

    def problem(self, where: Where, expected: str, found: str, hint: str = "") -> Problem:
        """A problem at `where` in this document."""
        return Problem(self.path, self.line(where), show_where(where), expected, found, hint)


def show_where(where: Where) -> str:
    """A path inside a document in the usual notation: `cases[3].expect.product`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{shortened(str(part))}" for part in where)
    return text.removeprefix(".")


def shortened(text: str, most: int = SHOWN) -> str:
    """A text, truncated for a message."""
    return text if len(text) <= most else text[: most - 3] + "..."


def show_value(value: Any) -> str:
    """A value, shortened for a message."""
    if value is None:
        return TYPES["null"]
    text = repr(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return shortened(text)
