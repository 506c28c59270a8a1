"""Long work, shown: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress import TimeRemainingColumn as Remaining

LINE_SECONDS = 15.0
ENOUGH = 0.02  # of the whole: answers come in batches, and the first of one tells nothing of the pace


class Advance(Protocol):
    """Says that more of a step is done."""

    def __call__(self, more: int, note: str = "") -> None:
        """Add `more` units to those done; `note` is shown beside the count, such as the loss."""


class Watch(Protocol):
    """Shows a step while it runs."""

    def __call__(self, step: str, total: int | None = None) -> AbstractContextManager[Advance]:
        """A context manager that shows `step`; it yields the function that counts what is done."""


def watch_on(console: Console) -> Watch:
    """A watch that writes to `console`."""
    return _bar(console) if console.is_terminal else _lines(console)


def _bar(console: Console) -> Watch:
    @contextmanager
    def watch(step: str, total: int | None = None) -> Iterator[Advance]:
        text, passed = TextColumn("{task.description}", markup=False), TimeElapsedColumn()
        known = (BarColumn(), MofNCompleteColumn(), passed, Remaining()) if total else (passed,)
        with Progress(SpinnerColumn(), text, *known, console=console) as progress:
            task = progress.add_task(step, total=total)

            def advance(more: int, note: str = "") -> None:
                progress.update(task, advance=more, description=f"{step} ({note})" if note else step)

            yield advance

    return watch


def _lines(console: Console) -> Watch:
    say = partial(console.print, markup=False, highlight=False)

    @contextmanager
    def watch(step: str, total: int | None = None) -> Iterator[Advance]:
        start = last = time.monotonic()
        done = 0

        def advance(more: int, note: str = "") -> None:
            nonlocal done, last
            done += more
            now = time.monotonic()
            if total and now - last >= LINE_SECONDS and ENOUGH * total <= done < total:
                left = (now - start) / done * (total - done)
                said = f"  {done}/{total} after {now - start:.0f} s, about {left:.0f} s left"
                say(f"{said}, {note}" if note else said)
                last = now

        say(f"{step} ..." if total is None else f"{step}: {total}")
        yield advance
        say(f"  done in {time.monotonic() - start:.1f} s")

    return watch


def quiet() -> Watch:
    """A watch that shows nothing."""

    @contextmanager
    def watch(step: str, total: int | None = None) -> Iterator[Advance]:  # noqa: ARG001
        yield lambda more, note="": None  # noqa: ARG005

    return watch
