"""Batches: the prefix that their rows share, and the texts that are scored together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from tunegate.harness.models.api import Request
from tunegate.harness.models.tokenizer import Encoded

# A batch's shape can change a greedy output, so the way batches are made belongs to the engine that a baseline names:
# raise this number when outputs in float32 on a CPU change with it. TOKEN_BUDGET is recorded separately.
PLANNER = "2"
TOKEN_BUDGET = 8192  # most tokens of a batch on a CPU, prompts and outputs, padding included
LOGITS = 100_000_000  # most numbers that a batch produces there: rows x width x vocabulary, 400 MB in float32
LEAST = 16  # tokens; a shorter prefix is not worth a pass of its own


def shared_prefix(rows: Sequence[list[int]]) -> int:
    """Number of tokens that all rows start with, leaving at least one per row; 0 if sharing is not worthwhile."""
    first, last = min(rows), max(rows)  # what these two share, all rows between them share
    # one token of each row is left: the next logits are computed from tokens that are not in the cache
    room = min(map(len, rows)) - 1
    same = next((at for at in range(room) if first[at] != last[at]), room)
    return same if len(rows) > 1 and same >= LEAST else 0


def dealt(batches: Iterable[list[int]], requests: Sequence[Request]) -> Iterator[list[int]]:
    """Batches of repeats, split into more parts for each later repeat: in equal batches the outputs would be equal."""
    for each in batches:
        parts = requests[each[0]].repeat + 1
        yield from (each[part::parts] for part in range(min(parts, len(each))))


def plan_texts(requests: Sequence[Sequence[Encoded]], budget: Callable[[], int]) -> Iterator[list[int]]:
    """Batches of request indices, longest texts first; the texts of one request stay together.

    `budget` is the tokens of the next batch, padding included.
    """
    widths = [max(len(before) + len(text) for before, text in request) for request in requests]
    batch: list[int] = []
    rows = 0
    for index in sorted(range(len(requests)), key=lambda index: (-widths[index], index)):
        more = len(requests[index])
        if batch and (rows + more) * widths[batch[0]] > budget():
            yield batch
            batch, rows = [], 0
        batch.append(index)
        rows += more
    if batch:
        yield batch
