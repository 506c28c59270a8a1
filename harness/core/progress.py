"""Progress of long work: a bar on a terminal, an occasional line otherwise."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress import TimeRemainingColumn as Remaining

LINE_SECONDS = 15.0
SILENT_SECONDS = 20.0


class Advance(Protocol):
    """Reports progress within a step."""

    def __call__(self, more: int, note: str = "", work: float | None = None) -> None:
        """Add `more` completed items, worth `work`; `note` is shown beside the count."""


class Watch(Protocol):
    """Shows a step while it runs."""

    def __call__(
        self, step: str, total: int | None = None, work: float | None = None, if_silent: str = ""
    ) -> AbstractContextManager[Advance]:
        """Return a context manager that shows `step` and yields the function that counts progress.

        If items take different times, the time left is estimated from `work`, the total work of all items. `if_silent`
        is shown once, when no item has been completed for `SILENT_SECONDS`.
        """


def watch_on(console: Console) -> Watch:
    """Return a watch that writes to `console`."""
    return _bar(console) if console.is_terminal else _lines(console)


@contextmanager
def _hinting(hint: str, say: Callable[[str], None]) -> Iterator[Callable[[], None]]:
    """Say a hint once, unless the yielded function is called every `SILENT_SECONDS`."""
    heard, over = threading.Event(), threading.Event()

    def listen() -> None:
        while heard.wait(SILENT_SECONDS) and not over.is_set():
            heard.clear()
        if not over.is_set():
            say(f"no reply for {SILENT_SECONDS:.0f} s: {hint}")

    thread = threading.Thread(target=listen, daemon=True)
    if hint:
        thread.start()
    try:
        yield heard.set
    finally:
        over.set()
        heard.set()


def _bar(console: Console) -> Watch:
    @contextmanager
    def watch(step: str, total: int | None = None, work: float | None = None, if_silent: str = "") -> Iterator[Advance]:
        text, passed = TextColumn("{task.description}", markup=False), TimeElapsedColumn()
        count = TextColumn("{task.fields[count]}/{task.fields[most]}")
        known = (BarColumn(), count, passed, Remaining()) if total else (passed,)
        progress = Progress(SpinnerColumn(), text, *known, console=console)
        above = partial(progress.console.print, markup=False, highlight=False)
        with progress, _hinting(if_silent, above) as heard:
            task = progress.add_task(step, total=work or total, count=0, most=total)

            def advance(more: int, note: str = "", work: float | None = None) -> None:
                heard()
                said = f"{step} ({note})" if note else step
                counted = progress.tasks[task].fields["count"] + more
                progress.update(task, advance=more if work is None else work, description=said, count=counted)

            yield advance

    return watch


def _lines(console: Console) -> Watch:
    say = partial(console.print, markup=False, highlight=False)

    @contextmanager
    def watch(step: str, total: int | None = None, work: float | None = None, if_silent: str = "") -> Iterator[Advance]:
        start = last = time.monotonic()
        done, worked, all_work = 0, 0.0, work or total or 0
        first: tuple[float, float] | None = None  # the time of the first item, which loading delays, and its work

        def advance(more: int, note: str = "", work: float | None = None) -> None:
            nonlocal done, worked, last, first
            heard()
            done += more
            worked += more if work is None else work
            now = time.monotonic()
            since, before = first = first or (now, worked)
            if total and now - last >= LINE_SECONDS and done < total:
                said = f"  {done}/{total} after {now - start:.0f} s"
                if worked > before:
                    left = (now - since) / (worked - before) * max(all_work - worked, 0)
                    said += f", about {left:.0f} s left"
                say(f"{said}, {note}" if note else said)
                last = now

        say(f"{step} ..." if total is None else f"{step}: {total}")
        with _hinting(if_silent, lambda hint: say(f"  {hint}")) as heard:
            yield advance
        say(f"  done in {time.monotonic() - start:.1f} s")

    return watch


def quiet() -> Watch:
    """Return a watch that shows nothing."""

    @contextmanager
    def watch(*_: object, **__: object) -> Iterator[Advance]:
        yield lambda more, note="", work=None: None  # noqa: ARG005

    return watch
