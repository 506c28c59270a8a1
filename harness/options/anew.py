"""Context that decides which cached outputs a run may use: all of them, or only its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tunegate.harness.core.files import digest
from tunegate.harness.models.cache import Run
from tunegate.harness.models.unfinished import asking_anew
from tunegate.harness.options.run import Options


@contextmanager
def counting(options: Options, notes: list[str]) -> Iterator[Run | None]:
    """Yield the run that uses only its own outputs; None where all cached outputs count.

    Messages are appended to `notes`.
    """
    if options.run or not options.asks_anew:
        yield options.run
        return
    with asking_anew(digest(repr(options)), options.fresh, notes, options.cache_size) as run:
        yield run
