"""Labelling in a terminal, by the keys of the page."""

from __future__ import annotations

from collections.abc import Callable

from rich.table import Table

from tunegate.harness.core.printing import Printer
from tunegate.harness.labelling.labelling import NAMED, SKIP, UNDO, Labelling, Shown

HELP, STOP = "?", "q"
OTHER_KEYS = {SKIP: "skip", UNDO: "undo", HELP: "help", STOP: "stop"}
RULES = (
    "Right means: you would send it as it is, for this input. Say so of each output by itself: both may be right, or "
    "none. Skip what you cannot decide; it comes again next time. Everything is saved at each key."
)


def label_in_terminal(work: Labelling, console: Printer, read_key: Callable[[], str]) -> None:
    """Ask until nothing is left or she stops; `read_key` waits for a key, and raises EOFError at the end."""
    _print_question(console, work.shown)
    while True:
        try:
            key = read_key().lower()
        except EOFError:
            return
        if key == STOP:
            return
        if key == HELP:
            console.print(RULES)
            continue
        work.press(key, work.shown.turn)
        _print_question(console, work.shown)


def _print_question(console: Printer, screen: Shown) -> None:
    console.rule()
    console.print(" ".join(filter(None, [screen.said, screen.progress])))
    if not screen.outputs:
        console.print(f"Nothing is left to label. {UNDO} undo, {STOP} stop")
        return
    for role, text in (*screen.turns, ("context", screen.context), ("notes", screen.notes)):
        if text:
            console.print(f"\n{role}: {text}")
    console.print(_side_by_side(screen.outputs))
    console.print("  ".join(f"{key} {name}" for key, name in {**NAMED[len(screen.outputs)], **OTHER_KEYS}.items()))


def _side_by_side(outputs: tuple[str, ...]) -> Table:
    table = Table(show_lines=False, expand=True)
    for name in ("left", "right") if len(outputs) == 2 else ("output",):
        table.add_column(name, ratio=1, overflow="fold")
    table.add_row(*outputs)
    return table
