"""The console: no printed text acts as markup, a command or a control sequence.

Foreign text within a line is escaped by its caller (`escaping.shown`), so that nothing is cut off. The console
escapes the rest.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Iterable
from typing import Any

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from tunegate.harness.core.escaping import shown_in_json, shown_lines


class Printer(Console):
    """A console that prints texts literally and tolerates a reader that closes the pipe, as `head` does."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"highlight": False, "markup": False, "emoji": False} | options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Yield the segments to print; all text is literal."""
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else self._plain(text), style, control)

    def lines(self, lines: Iterable[str]) -> None:
        """Print each line whole, however narrow the terminal is."""
        for line in lines:
            self.print(line, soft_wrap=True)

    def _plain(self, text: str) -> str:
        return _encodable(shown_lines(text), self.encoding)

    def on_broken_pipe(self) -> None:
        """Leave the exit code to the caller: rich would exit with 1, which means that the gate blocked."""
        raise BrokenPipeError


def figures_table(columns: Iterable[str], texts: Collection[str] = ("unit",), title: str = "") -> Table:
    """Return an empty table; its columns of `texts` are aligned left and fold, those of figures right."""
    out = Table(
        box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0),
        title=Text(title, style="dim") if title else None, title_justify="left",
    )  # fmt: skip
    for name in columns:
        is_text = name in texts
        out.add_column(name, justify="left" if is_text else "right", no_wrap=not is_text, overflow="fold")
    return out


def print_json(value: Any, indent: int | None = 1) -> None:
    """Print the results of a command on stdout, as ASCII JSON."""
    print_line(shown_in_json(json.dumps(value, indent=indent, allow_nan=False)))


def print_line(text: str) -> None:
    """Print an escaped line on stdout unchanged, for another program."""
    sys.stdout.write(_encodable(f"{text}\n", sys.stdout.encoding))
    sys.stdout.flush()  # now, so that a closed pipe is noticed before the command has ended


def _encodable(text: str, encoding: str) -> str:
    # an ASCII-only terminal or log must not end a run
    return text.encode(encoding, "backslashreplace").decode(encoding)
