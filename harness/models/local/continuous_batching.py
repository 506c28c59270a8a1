"""Continuous batching: finished outputs leave the batch, and waiting prompts join it.

A batch that is kept until its longest output is finished computes most of its rows for nothing.
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
from tunegate.harness.models.local.batching import shared_prefix
from tunegate.harness.models.local.constrained import ConstrainedOutput
from tunegate.harness.models.local.key_value_cache import key_value_cache
from tunegate.harness.models.local.token_budget import TokenBudget, is_out_of_memory

JOIN = 4  # rows; fewer wait for others, since joining copies the cache of all rows


@dataclass(eq=False)
class RequestState:
    """A row of a batch: a prompt as token ids, and the output tokens so far.

    Prompts of one `opening` start alike. A sampled output is drawn by its `seed`, independent of the rest of the batch.
    `constrained` restricts the next tokens if the output is constrained to a schema. `key` names it in errors.
    """

    prompt: list[int]
    opening: str
    decoding: Decoding
    seed: int
    tokens: list[int] = field(default_factory=list)
    generator: Any = None
    constrained: ConstrainedOutput | None = None
    key: str = "a text to continue"

    @property
    def room(self) -> int:
        """The maximum tokens of prompt and output."""
        return len(self.prompt) + self.decoding.max_new_tokens

    def begin(self, device: Any) -> None:
        """Drop the output so far, and reset the random generator."""
        import torch

        self.tokens.clear()
        self.generator = torch.Generator(device).manual_seed(self.seed) if self.decoding.temperature else None
        if self.constrained:
            self.constrained.begin()

    def take(self, token: int) -> None:
        """Add a token."""
        self.tokens.append(token)
        if self.constrained:
            self.constrained.take(token)


def can_join(model: Any) -> bool:
    """Whether rows of different lengths may share this model's cache.

    False for a running state (linear attention, state spaces): padding would go into it.
    """
    from transformers.cache_utils import DynamicLayer

    layers = _own_cache(model).layers
    return _takes(model, "position_ids") and all(isinstance(layer, DynamicLayer) for layer in layers)


def generate(
    model: Callable[[], Any], rows: Sequence[RequestState], pad: int, budget: TokenBudget, parts: int = 1
) -> Iterator[RequestState]:
    """Generate the outputs of `rows`, and yield each row when it is finished.

    If a batch exceeds the machine's memory, its rows start again with half as many tokens at a time.

    Args:
        model: returns a transformers causal language model that `can_join`, with its adapter active; called before
            each pass, since another adapter may have been activated in the meantime.
        rows: the rows to generate.
        pad: the token id that pads shorter prompts.
        budget: the tokens of a batch, prompts and outputs, padding included; it learns from what the rows take.
        parts: a batch gets this part of the budget, or of all rows if they are fewer.

    Raises:
        CouldNotRun: a single row exceeds the machine's memory.
        RuntimeError: the library failed.
    """
    # by opening, which is then read once; the widest first, so that joining rows seldom widen a batch
    waiting = deque(sorted(rows, key=lambda row: (row.opening, -row.room)))
    of_opening: dict[str, list[RequestState]] = {}
    for row in waiting:
        of_opening.setdefault(row.opening, []).append(row)
    batch, every = Batch(model, pad), _room(rows)
    while waiting or batch.rows:
        joining = _joining(waiting, batch.rows, min(budget.tokens, every) // parts)
        together = [*batch.rows, *joining]
        try:
            if joining:
                batch.join(joining, of_opening[joining[0].opening])
            finished = batch.advance()
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            if len(together) == 1:
                raise budget.too_small(together[0].key, together[0].room) from error
            waiting.extendleft(reversed(together))
            batch = Batch(model, pad)
        else:
            if waiting and batch.rows:
                budget.grow(batch.held)
            yield from finished
            continue
        budget.halve(_room(together))  # only here: the error holds what was computed


def _room(rows: Sequence[RequestState]) -> int:
    """The maximum tokens of rows in one batch, padding included."""
    return max((row.room for row in rows), default=0) * len(rows)


def _joining(waiting: deque[RequestState], inside: Sequence[RequestState], budget: int) -> list[RequestState]:
    """Take rows of the next opening that fit beside the rows inside; into an empty batch, at least one."""
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
    """The active rows, their key-value cache, and the logits of their next tokens."""

    def __init__(self, model: Callable[[], Any], pad: int) -> None:
        self._model, self._pad = model, pad
        self._cache: Any = None
        self._mask: Any = None  # rows x tokens, 0 for padding
        self._logits: Any = None  # rows x vocabulary
        self._opening: str | None = None
        self._prefix: tuple[list[int], Any] = [], None
        self.rows: list[RequestState] = []

    @property
    def held(self) -> int:
        """The tokens in the cache, padding included."""
        return int(self._mask.numel())

    @cached_property
    def _ends(self) -> set[int]:
        return set(self._model().generation_config.eos_token_id)

    @cached_property
    def _last_only(self) -> dict[str, int]:
        # otherwise the model would compute a row of the vocabulary's size for each token of a prompt
        return {"logits_to_keep": 1} if _takes(self._model(), "logits_to_keep") else {}

    def join(self, rows: Sequence[RequestState], alike: Sequence[RequestState]) -> None:
        """Read the prompts of `rows`; `alike` are all rows with their opening, whose shared prefix is read once."""
        import torch

        with torch.inference_mode():
            prefix, cache = self._read_prefix(alike)
            same, width = len(prefix), max(len(row.prompt) for row in rows)
            gaps = [width - len(row.prompt) for row in rows]
            # The padding follows the shared prefix, so that one cache fits every row, and every prompt ends at the
            # right edge.
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
        """Add the next token to every row, read those of unfinished rows, and return the finished rows."""
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
        """The tokens that all prompts of an opening start with, and a cache that holds them, for one row."""
        if rows[0].opening != self._opening:
            # after a gap of padding a sliding window would start too late
            is_sliding = any(layer.is_sliding for layer in _own_cache(self._model()).layers)
            same = 0 if is_sliding else shared_prefix([row.prompt for row in rows])
            tokens, cache = rows[0].prompt[:same], key_value_cache()
            if tokens:
                import torch

                self._read([tokens], torch.ones(1, same, dtype=torch.long, device=self._model().device), cache)
            self._opening, self._prefix = rows[0].opening, (tokens, cache)
        return deepcopy(self._prefix)

    def _read(self, ids: Sequence[list[int]], mask: Any, cache: Any) -> Any:
        """Read the last tokens of each row into the cache; return the logits of the next tokens."""
        import torch

        model = self._model()
        places = (mask.cumsum(-1) - 1).clamp(min=0)[:, -len(ids[0]) :]
        read = model(
            input_ids=torch.tensor(ids, device=model.device), attention_mask=mask, position_ids=places, cache=cache,
            use_cache=True, **self._last_only,
        )  # fmt: skip
        return read.logits[:, -1].float()


def _next_tokens(logits: Any, rows: Sequence[RequestState]) -> list[int]:
    """The most likely token of each row, or a sampled one, among the allowed tokens."""
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
    """Drop all rows but those in `places`, and the columns that are padding in all of these; return their mask."""
    import torch

    kept = mask[torch.tensor(places)]
    first = int(kept.any(0).int().argmax())
    cache.batch_select_indices(torch.tensor(places))
    for layer in _read_layers(cache):
        layer.keys, layer.values = layer.keys[..., first:, :], layer.values[..., first:, :]
    return kept[:, first:]


def _beside(cache: Any, mask: Any, more: Any, more_mask: Any) -> tuple[Any, Any]:
    """Append the rows of `more` to a cache, and their masks, with padding on the left of the narrower ones."""
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
    """The layers with a cache of their own: in some models several share one."""
    return (layer for layer in cache.layers if layer.get_seq_length())


def _own_cache(model: Any) -> Any:
    """The cache that the library would use for this model."""
    from transformers import DynamicCache

    return DynamicCache(config=model.config.get_text_config(decoder=True))


def _takes(model: Any, argument: str) -> bool:
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    return argument in inspect.signature(inner.forward).parameters
