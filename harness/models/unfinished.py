"""Runs with caching disabled: each counts only its own outputs, and resumes with them if it was stopped."""

from __future__ import annotations

import platform
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from tunegate.harness.core.errors import Refused, UsageError
from tunegate.harness.core.files import digest, locked
from tunegate.harness.models.cache import Run, Store, store_path
from tunegate.harness.models.model_options import CACHE_MEGABYTES

BOOT = Path("/proc/sys/kernel/random/boot_id")


@contextmanager
def asking_anew(command: str, fresh: bool, notes: list[str], megabytes: int = CACHE_MEGABYTES) -> Iterator[Run]:
    """Yield the run of a `command`, identified by a digest: a new run, or one that was stopped.

    A run is resumed only on the same machine, within a day, and not while another one is active; a
    `fresh` run never resumes, and is never resumed. Messages are appended to `notes`.
    """
    if fresh:
        _end(command, megabytes)
        yield Run(uuid.uuid4().hex)
        return
    with ExitStack() as stack:
        if not _is_first(command, stack):
            yield Run(uuid.uuid4().hex)  # the same command is running already: each has its own outputs
            return
        run = _going_on(command, megabytes, notes)
        try:
            yield run
        except (Refused, UsageError):  # the request has changed
            _end(command, megabytes)
            raise
        _end(command, megabytes)


def _is_first(command: str, stack: ExitStack) -> bool:
    try:
        stack.enter_context(locked(store_path().parent / "runs" / command[:16], seconds=0))
    except TimeoutError:
        return False
    return True


def _going_on(command: str, megabytes: int, notes: list[str]) -> Run:
    machine = digest([platform.node(), BOOT.read_text("ascii") if BOOT.is_file() else ""])
    with closing(Store(store_path(), megabytes)) as store:
        found = store.unfinished(command, machine)
    if found is None:
        return Run(uuid.uuid4().hex, command, machine)
    run, begun = found
    then = time.strftime("%H:%M", time.localtime(begun))
    notes.append(f"this run was stopped at or after {then}: it resumes with its own outputs; --tg-fresh starts over")
    return Run(run, command, machine, is_noted=True)


def _end(command: str, megabytes: int) -> None:
    with closing(Store(store_path(), megabytes)) as store:
        store.end(command)
