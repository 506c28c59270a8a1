"""A GPU's memory without a GPU: it says what is free, and what does not fit raises torch's own error."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any

from tunegate.harness.models.local.token_budget import TokenBudget


def fixed_budget(tokens: int) -> TokenBudget:
    """So many tokens at a time, whatever they take."""
    return TokenBudget(lambda: 10**15, 1, 1, tokens)


class FakeMemory:
    """So many bytes, of which each token that a model reads or keeps takes `per_token`, padding included.

    What was taken stays taken, as torch's allocator keeps it, until the memory is exhausted. `passes` are the tokens of
    each pass, and `refused` those that did not fit.
    """

    def __init__(self, size: int, per_token: int) -> None:
        self.size, self.per_token = size, per_token
        self.passes: list[int] = []
        self.refused: list[int] = []
        self._taken = 0

    def free(self) -> int:
        """Bytes that are free now."""
        return self.size - self._taken

    @contextmanager
    def holding(self, model: Any) -> Any:
        """Let a model's passes take this memory."""
        hook = model.register_forward_pre_hook(self._take, with_kwargs=True)
        try:
            yield self
        finally:
            hook.remove()

    def _take(self, _: Any, __: Any, given: dict[str, Any]) -> None:
        import torch

        tokens = given.get("attention_mask", given["input_ids"]).numel()
        if tokens * self.per_token > self.size:
            self.refused.append(tokens)
            self._taken = 0
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 1.00 GiB. GPU 0 has a ...")
        self.passes.append(tokens)
        self._taken = max(self._taken, tokens * self.per_token)
