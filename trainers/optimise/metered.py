"""A model whose work is counted: distinct requests, tokens and time."""

from __future__ import annotations

import time
from collections.abc import Sequence

from tunegate.harness.models.api import Completion, Model, Request
from tunegate.harness.release.diagnosis.optimised import Spent


class Metered:
    """Counts what is asked of a model; a request that repeats another is served by the cache and counts once."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._tokens: dict[str, int | None] = {}
        self._seconds = 0.0

    def ask(self, requests: Sequence[Request]) -> dict[str, Completion]:
        """Return the completions by the key of their request."""
        start = time.monotonic()
        found = {completion.key: completion for completion in self._model.complete(requests)}
        self._seconds += time.monotonic() - start
        for request in requests:
            self._tokens[request.digest] = _tokens(found.get(request.key))
        return found

    @property
    def spent(self) -> Spent:
        """What the model did so far."""
        known = [each for each in self._tokens.values() if each is not None]
        tokens = sum(known) if len(known) == len(self._tokens) else None
        return Spent(len(self._tokens), tokens, round(self._seconds / 60, 1))


def _tokens(completion: Completion | None) -> int | None:
    if completion is None or completion.tokens_in is None or completion.tokens_out is None:
        return None
    return completion.tokens_in + completion.tokens_out
