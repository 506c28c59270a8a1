"""What the rows of a batch share, and which texts go through a model together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from tunegate.harness.models.api import Request

# A batch's shape can change a greedy answer, so how batches are made belongs to the engine that a baseline names: raise
# this number when answers in float32 on a CPU change with it. TOKEN_BUDGET stands there by itself.
PLANNER = "2"
TOKEN_BUDGET = 8192  # tokens of a batch, prompt and answer, padding included
LOGITS = 100_000_000  # numbers that a batch may produce: rows x width x vocabulary, 400 MB in float32
LEAST = 16  # tokens; fewer are not worth a pass of their own

Encoded = tuple[list[int], list[int]]


def shared_prefix(rows: Sequence[list[int]]) -> int:
    """How many tokens all rows begin with, one of each left over at least; 0 where it is not worth it."""
    first, last = min(rows), max(rows)  # what these two share, all between them do
    # one token of each row is left over: the logits of the next token are those of what is not in the cache
    room = min(map(len, rows)) - 1
    same = next((at for at in range(room) if first[at] != last[at]), room)
    return same if len(rows) > 1 and same >= LEAST else 0


def dealt(batches: Iterable[list[int]], requests: Sequence[Request]) -> Iterator[list[int]]:
    """The batches of repeats in parts, more of them for each later one: in the same ones they would answer the same."""
    for each in batches:
        parts = requests[each[0]].repeat + 1
        yield from (each[part::parts] for part in range(min(parts, len(each))))


def plan_texts(requests: Sequence[Sequence[Encoded]], vocabulary: int) -> Iterator[list[int]]:
    """Batches of request indices, longest texts first; the texts of one request stay together."""
    widths = [max(len(before) + len(text) for before, text in request) for request in requests]
    batch: list[int] = []
    rows = 0
    for index in sorted(range(len(requests)), key=lambda index: (-widths[index], index)):
        more = len(requests[index])
        if batch and (rows + more) * widths[batch[0]] * vocabulary > LOGITS:
            yield batch
            batch, rows = [], 0
        batch.append(index)
        rows += more
    if batch:
        yield batch
