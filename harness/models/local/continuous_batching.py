"""Continuous batching: answers that are finished leave the batch, and prompts that wait join it.

A batch that is kept until its longest answer is finished computes most of its rows for nothing.
"""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from tunegate.harness.cases.model import Decoding
from tunegate.harness.models.local.batching import TOKEN_BUDGET, shared_prefix
from tunegate.harness.models.local.constrained import ConstrainedOutput
from tunegate.harness.models.local.key_value_cache import key_value_cache

JOIN = 4  # rows; fewer wait for others, since joining copies what the model remembers of all rows


@dataclass(eq=False)
class RequestState:
    """A row of a batch: a prompt as token ids, and the tokens that were answered to it so far.

    Prompts of one `opening` begin alike. A sampled answer is drawn by its `seed`, whoever else is in the batch.
    `constrained` says which tokens may come next, where the answer is held to a schema.
    """

    prompt: list[int]
    opening: str
    decoding: Decoding
    seed: int
    tokens: list[int] = field(default_factory=list)
    generator: Any = None
    constrained: ConstrainedOutput | None = None

    @property
    def room(self) -> int:
        """The tokens that prompt and answer may take."""
        return len(self.prompt) + self.decoding.max_new_tokens

    def begin(self, device: Any) -> None:
        """Forget what was answered, and draw anew."""
        import torch

        self.tokens.clear()
        self.generator = torch.Generator(device).manual_seed(self.seed) if self.decoding.temperature else None
        if self.constrained:
            self.constrained.begin()

    def take(self, token: int) -> None:
        """Go on with a token."""
        self.tokens.append(token)
        if self.constrained:
            self.constrained.take(token)


def can_join(model: Any) -> bool:
    """Whether rows of different lengths may share this model's memory.

    Not where it keeps a running state (linear attention, state spaces): padding would go into it.
    """
    from transformers.cache_utils import DynamicLayer

    layers = _own_cache(model).layers
    return _takes(model, "position_ids") and all(isinstance(layer, DynamicLayer) for layer in layers)


def generate(
    model: Callable[[], Any], rows: Sequence[RequestState], pad: int, budget: int = TOKEN_BUDGET
) -> Iterator[RequestState]:
    """Answer `rows`, and give each back when it is finished.

    Where a batch is more than the machine can hold, its rows are asked again with half as many tokens at a time.

    Args:
        model: gives a transformers causal language model that `can_join`, with its adapter in place; it is called
            before each pass, for another adapter may have been put in place since.
        rows: what to answer.
        pad: fills up shorter prompts.
        budget: tokens that prompts and answers of a batch may take, padding included.

    Raises:
        RuntimeError, MemoryError: one row alone is more than the machine can hold, or the library gave up.
    """
    from accelerate.utils.memory import should_reduce_batch_size

    # by opening, which is then read once; the widest first, so that what joins seldom makes a batch wider
    waiting = deque(sorted(rows, key=lambda row: (row.opening, -row.room)))
    of_opening: dict[str, list[RequestState]] = {}
    for row in waiting:
        of_opening.setdefault(row.opening, []).append(row)
    batch = Batch(model, pad)
    while waiting or batch.rows:
        joining = _joining(waiting, batch.rows, budget)
        together = [*batch.rows, *joining]
        try:
            if joining:
                batch.join(joining, of_opening[joining[0].opening])
            finished = batch.advance()
        except (RuntimeError, MemoryError) as error:
            if len(together) == 1 or not should_reduce_batch_size(error):
                raise
            waiting.extendleft(reversed(together))
            batch, budget = Batch(model, pad), max(row.room for row in together) * len(together) // 2
        else:
            yield from finished


def _joining(waiting: deque[RequestState], inside: Sequence[RequestState], budget: int) -> list[RequestState]:
    """Take those of the next opening that fit beside the rows inside; into an empty batch one always does."""
    widest = max((row.room for row in inside), default=0)
    found: list[RequestState] = []
    while waiting and (not found or waiting[0].opening == found[0].opening):
        widest = max(widest, waiting[0].room)
        if (inside or found) and widest * (len(inside) + len(found) + 1) > budget:
            if inside and len(found) < JOIN:
                waiting.extendleft(reversed(found))
                return []
            break
        found.append(waiting.popleft())
    return found


class Batch:
    """The rows that are being answered, what the model remembers of them, and the logits of their next tokens."""

    def __init__(self, model: Callable[[], Any], pad: int) -> None:
        self._model, self._pad = model, pad
        self._cache: Any = None
        self._mask: Any = None  # rows x tokens, 0 for padding
        self._logits: Any = None  # rows x vocabulary
        self._opening: str | None = None
        self._prefix: tuple[list[int], Any] = [], None
        self.rows: list[RequestState] = []

    @cached_property
    def _ends(self) -> set[int]:
        return set(self._model().generation_config.eos_token_id)

    @cached_property
    def _last_only(self) -> dict[str, int]:
        # a row of the vocabulary's size for each token of a prompt would be thrown away
        return {"logits_to_keep": 1} if _takes(self._model(), "logits_to_keep") else {}

    def join(self, rows: Sequence[RequestState], alike: Sequence[RequestState]) -> None:
        """Read the prompts of `rows`; `alike` are all that have their opening, so that it is read once for them."""
        import torch

        with torch.inference_mode():
            prefix, cache = self._read_prefix(alike)
            same, width = len(prefix), max(len(row.prompt) for row in rows)
            gaps = [width - len(row.prompt) for row in rows]
            # The padding stands behind what is shared: so one cache fits every row, and every prompt ends at the right
            # edge.
            ids = [[self._pad] * gap + row.prompt[same:] for gap, row in zip(gaps, rows, strict=True)]
            padded = [[1] * same + [0] * gap + [1] * (width - gap - same) for gap in gaps]
            mask = torch.tensor(padded, device=self._model().device)
            cache.batch_repeat_interleave(len(rows))
            logits = self._read(ids, mask, cache)
            for row in rows:
                row.begin(logits.device)
            if self.rows:
                cache, mask = _beside(self._cache, self._mask, cache, mask)
                logits = torch.cat([self._logits, logits])
        self._cache, self._mask, self._logits, self.rows = cache, mask, logits, [*self.rows, *rows]

    def advance(self) -> list[RequestState]:
        """Give every row its next token, and read those of the rows that go on; the others are given back."""
        import torch

        with torch.inference_mode():
            for row, token in zip(self.rows, _next_tokens(self._logits, self.rows), strict=True):
                row.take(token)
            going = [place for place, row in enumerate(self.rows) if not self._is_finished(row)]
            if going and len(going) < len(self.rows):
                self._mask = _keep(self._cache, self._mask, going)
            if going:
                self._mask = torch.cat([self._mask, self._mask.new_ones(len(going), 1)], dim=1)
                self._logits = self._read([[self.rows[place].tokens[-1]] for place in going], self._mask, self._cache)
        finished = [row for row in self.rows if self._is_finished(row)]
        self.rows = [self.rows[place] for place in going]
        return finished

    def _is_finished(self, row: RequestState) -> bool:
        return row.tokens[-1] in self._ends or len(row.tokens) == row.decoding.max_new_tokens

    def _read_prefix(self, rows: Sequence[RequestState]) -> tuple[list[int], Any]:
        """The tokens that all prompts of an opening begin with, and a cache in which they are read, for one row."""
        if rows[0].opening != self._opening:
            # behind a gap of padding a sliding window would begin too late
            is_sliding = any(layer.is_sliding for layer in _own_cache(self._model()).layers)
            same = 0 if is_sliding else shared_prefix([row.prompt for row in rows])
            tokens, cache = rows[0].prompt[:same], key_value_cache()
            if tokens:
                import torch

                self._read([tokens], torch.ones(1, same, dtype=torch.long, device=self._model().device), cache)
            self._opening, self._prefix = rows[0].opening, (tokens, cache)
        return deepcopy(self._prefix)

    def _read(self, ids: Sequence[list[int]], mask: Any, cache: Any) -> Any:
        """Read so many tokens of each row, the last that its mask knows, into the cache: the logits of the next."""
        import torch

        model = self._model()
        places = (mask.cumsum(-1) - 1).clamp(min=0)[:, -len(ids[0]) :]
        read = model(
            input_ids=torch.tensor(ids, device=model.device), attention_mask=mask, position_ids=places, cache=cache,
            use_cache=True, **self._last_only,
        )  # fmt: skip
        return read.logits[:, -1].float()


def _next_tokens(logits: Any, rows: Sequence[RequestState]) -> list[int]:
    """The likeliest token of each row, or one drawn, of those that may come."""
    if constrained := [(place, row.constrained) for place, row in enumerate(rows) if row.constrained]:
        logits = logits.clone()
        for place, output in constrained:
            logits[place] = output.mask(logits[place])
    likeliest: list[int] = logits.argmax(-1).tolist()
    return [
        _draw(logits[place : place + 1], row) if row.generator else likeliest[place] for place, row in enumerate(rows)
    ]


def _draw(logits: Any, row: RequestState) -> int:
    from transformers.generation.logits_process import TemperatureLogitsWarper, TopPLogitsWarper

    logits = TemperatureLogitsWarper(float(row.decoding.temperature))(None, logits)
    if row.decoding.top_p < 1:
        logits = TopPLogitsWarper(row.decoding.top_p)(None, logits)
    return int(logits.softmax(-1).multinomial(1, generator=row.generator))


def _keep(cache: Any, mask: Any, places: Sequence[int]) -> Any:
    """Forget all rows but those in `places`, and the columns that are padding in all of these; gives their mask."""
    import torch

    kept = mask[torch.tensor(places)]
    first = int(kept.any(0).int().argmax())
    cache.batch_select_indices(torch.tensor(places))
    for layer in _read_layers(cache):
        layer.keys, layer.values = layer.keys[..., first:, :], layer.values[..., first:, :]
    return kept[:, first:]


def _beside(cache: Any, mask: Any, more: Any, more_mask: Any) -> tuple[Any, Any]:
    """The rows of `more` below those of a cache, and their masks, with padding on the left of the narrower ones."""
    import torch
    from torch.nn.functional import pad

    gap = mask.shape[1] - more_mask.shape[1]
    for layer, other in zip(_read_layers(cache), _read_layers(more), strict=True):
        for name in ("keys", "values"):
            above, below = getattr(layer, name), getattr(other, name)
            wide = pad(above, (0, 0, max(-gap, 0), 0)), pad(below, (0, 0, max(gap, 0), 0))
            setattr(layer, name, torch.cat(wide))
    return cache, torch.cat([pad(mask, (max(-gap, 0), 0)), pad(more_mask, (max(gap, 0), 0))])


def _read_layers(cache: Any) -> Iterator[Any]:
    """The layers that remember something: some models let several share one."""
    return (layer for layer in cache.layers if layer.get_seq_length())


def _own_cache(model: Any) -> Any:
    """What the library would let this model remember in."""
    from transformers import DynamicCache

    return DynamicCache(config=model.config.get_text_config(decoder=True))


def _takes(model: Any, argument: str) -> bool:
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    return argument in inspect.signature(inner.forward).parameters
