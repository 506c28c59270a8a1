"""Progress of long work: a bar on a terminal, an occasional line otherwise."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress import TimeRemainingColumn as Remaining

LINE_SECONDS = 15.0
ENOUGH = 0.02  # of the whole: outputs arrive in batches, so the first ones do not show the pace


class Advance(Protocol):
    """Reports progress within a step."""

    def __call__(self, more: int, note: str = "", work: float | None = None) -> None:
        """Add `more` completed items, worth `work`; `note` is shown beside the count."""


class Watch(Protocol):
    """Shows a step while it runs."""

    def __call__(
        self, step: str, total: int | None = None, work: float | None = None
    ) -> AbstractContextManager[Advance]:
        """Return a context manager that shows `step` and yields the function that counts progress.

        If items take different times, the time left is estimated from `work`, the total work of all items.
        """


def watch_on(console: Console) -> Watch:
    """Return a watch that writes to `console`."""
    return _bar(console) if console.is_terminal else _lines(console)


def _bar(console: Console) -> Watch:
    @contextmanager
    def watch(step: str, total: int | None = None, work: float | None = None) -> Iterator[Advance]:
        text, passed = TextColumn("{task.description}", markup=False), TimeElapsedColumn()
        count = TextColumn("{task.fields[count]}/{task.fields[most]}")
        known = (BarColumn(), count, passed, Remaining()) if total else (passed,)
        with Progress(SpinnerColumn(), text, *known, console=console) as progress:
            task = progress.add_task(step, total=work or total, count=0, most=total)

            def advance(more: int, note: str = "", work: float | None = None) -> None:
                said = f"{step} ({note})" if note else step
                counted = progress.tasks[task].fields["count"] + more
                progress.update(task, advance=more if work is None else work, description=said, count=counted)

            yield advance

    return watch


def _lines(console: Console) -> Watch:
    say = partial(console.print, markup=False, highlight=False)

    @contextmanager
    def watch(step: str, total: int | None = None, work: float | None = None) -> Iterator[Advance]:
        start = last = time.monotonic()
        done, worked, all_work = 0, 0.0, work or total or 0

        def advance(more: int, note: str = "", work: float | None = None) -> None:
            nonlocal done, worked, last
            done += more
            worked += more if work is None else work
            now = time.monotonic()
            if total and now - last >= LINE_SECONDS and ENOUGH * all_work <= worked and done < total:
                left = (now - start) / worked * max(all_work - worked, 0)
                said = f"  {done}/{total} after {now - start:.0f} s, about {left:.0f} s left"
                say(f"{said}, {note}" if note else said)
                last = now

        say(f"{step} ..." if total is None else f"{step}: {total}")
        yield advance
        say(f"  done in {time.monotonic() - start:.1f} s")

    return watch


def quiet() -> Watch:
    """Return a watch that shows nothing."""

    @contextmanager
    def watch(step: str, total: int | None = None, work: float | None = None) -> Iterator[Advance]:  # noqa: ARG001
        yield lambda more, note="", work=None: None  # noqa: ARG005

    return watch
