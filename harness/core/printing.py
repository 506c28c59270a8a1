"""Where everything is printed: a console on which no text is markup, a command or a control sequence.

Whoever shows what others wrote as part of a line escapes it there (`escaping.shown`), so that nothing is cut off. What
was forgotten is escaped here.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from tunegate.harness.core.escaping import shown_in_json, shown_lines


class Printer(Console):
    """A console that shows texts as they are, whoever wrote them, and whose reader may leave, as `head` does."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"highlight": False, "markup": False, "emoji": False} | options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The pieces of what is printed; no text among them is more than text."""
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else self._plain(text), style, control)

    def _plain(self, text: str) -> str:
        return _encodable(shown_lines(text), self.encoding)

    def on_broken_pipe(self) -> None:
        """Leave the exit code to whoever runs the command: rich would end with 1, which means judged and blocked."""
        raise BrokenPipeError


def print_json(value: Any, indent: int | None = 1) -> None:
    """The results of a command on stdout, as JSON in ASCII."""
    print_line(shown_in_json(json.dumps(value, indent=indent, allow_nan=False)))


def print_line(text: str) -> None:
    """A line on stdout, as it is: for what another program reads, and whose maker has escaped it."""
    sys.stdout.write(_encodable(f"{text}\n", sys.stdout.encoding))
    sys.stdout.flush()  # now, or a reader that left is noticed after the command has ended


def _encodable(text: str, encoding: str) -> str:
    # a terminal, or a log, that takes ASCII only must not end a run
    return text.encode(encoding, "backslashreplace").decode(encoding)
