"""Since when answers count: a run that asks its model anew takes only its own, and goes on with them after a stop."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from tunegate.harness.core.files import digest
from tunegate.harness.models.cache import asking_anew
from tunegate.harness.options.run import Options


@contextmanager
def answers_since(options: Options, notes: list[str]) -> Iterator[float]:
    """Yield the time since when answers count, in seconds since 1970: 0 where it does not matter when they were given.

    What is to be told of it is added to `notes`.
    """
    if options.since is not None or not options.asks_anew:
        yield options.since or 0.0
        return
    now = time.time()
    with asking_anew(digest(repr(options)), options.cache_size) as begun:
        if begun < now:
            then = datetime.fromtimestamp(begun).astimezone().isoformat(" ", "seconds")
            notes.append(f"this run was stopped: it goes on with what was answered since it began ({then})")
        yield begun
