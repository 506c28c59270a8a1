"""Long work, shown: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress import TimeRemainingColumn as Remaining

LINE_SECONDS = 15.0

Advance = Callable[[int], None]


class Watch(Protocol):
    """Shows a step while it runs."""

    def __call__(self, step: str, total: int | None = None) -> AbstractContextManager[Advance]:
        """A context manager that shows `step`; it yields a function that takes the number of units just done."""


def watch_on(console: Console) -> Watch:
    """A watch that writes to `console`."""
    return _bar(console) if console.is_terminal else _lines(console)


def _bar(console: Console) -> Watch:
    @contextmanager
    def watch(step: str, total: int | None = None) -> Iterator[Advance]:
        text, passed = TextColumn("{task.description}"), TimeElapsedColumn()
        known = (BarColumn(), MofNCompleteColumn(), passed, Remaining()) if total else (passed,)
        with Progress(SpinnerColumn(), text, *known, console=console) as progress:
            task = progress.add_task(step, total=total)
            yield lambda done: progress.advance(task, done)

    return watch


def _lines(console: Console) -> Watch:
    @contextmanager
    def watch(step: str, total: int | None = None) -> Iterator[Advance]:
        start = last = time.monotonic()
        done = 0

        def advance(more: int) -> None:
            nonlocal done, last
            done += more
            now = time.monotonic()
            if total and now - last >= LINE_SECONDS and done < total:
                left = (now - start) / done * (total - done) if done else 0
                console.print(f"  {done}/{total} after {now - start:.0f} s, about {left:.0f} s left", highlight=False)
                last = now

        console.print(f"{step} ..." if total is None else f"{step}: {total}", highlight=False)
        yield advance
        console.print(f"  done in {time.monotonic() - start:.1f} s", highlight=False)

    return watch


def quiet() -> Watch:
    """A watch that shows nothing."""

    @contextmanager
    def watch(step: str, total: int | None = None) -> Iterator[Advance]:  # noqa: ARG001
        yield lambda done: None  # noqa: ARG005

    return watch
