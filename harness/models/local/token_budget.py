"""How many tokens are asked at a time: by the memory that is free, more while it allows, half when it runs out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tunegate.harness.core.errors import CouldNotRun
from tunegate.harness.models.local.batching import LOGITS, TOKEN_BUDGET
from tunegate.harness.models.local.placement import CUDA, free_on_gpu
from tunegate.harness.models.memory import free_memory, gigabytes

SHARE = 0.5  # of the free memory; the rest is for what no estimate knows
MOST_ON_GPU = 65_536  # tokens; more take no less time each
MOST_LOGITS_ON_GPU = 2**31 - 1  # numbers that 32 bits can index
HIDDEN = 8  # vectors of the hidden size that a layer has for each token that it reads, and of the size between: 3
SCORES = 12  # bytes for each logit beside the logit: in float32, laid out by classes, and its log-probability
CUBLAS = "CUBLAS_STATUS_ALLOC_FAILED"


class TokenBudget:
    """The tokens of a batch, padding included: a power of two, or the most that there may be.

    Args:
        free: returns the bytes that are free now.
        likely: bytes that a token takes, by an estimate that is rather too high.
        surely: bytes that it takes in any case; what is measured may be lower, where memory is free again by then.
        most: maximum tokens.
    """

    def __init__(self, free: Callable[[], int], likely: float, surely: float, most: int) -> None:
        self._free, self._likely, self._surely, self._most = free, likely, surely, most
        self._all = free()
        self.exhausted = False
        self.tokens = max(1, min(most, _power(SHARE * self._all / likely)))

    def grow(self, held: int) -> None:
        """Double it, if the memory allows by what the `held` tokens of a batch have taken of it."""
        if self.tokens >= self._most:
            return
        free = self._free()
        self._all = max(self._all, free)
        each = max((self._all - free) / held, self._surely)
        if 2 * self.tokens * each <= SHARE * self._all:
            self.tokens = min(2 * self.tokens, self._most)

    def halve(self, held: int) -> None:
        """Keep to half of `held` tokens, which exhausted the memory, and give back what is cached."""
        from accelerate.utils.memory import clear_device_cache

        self.exhausted = True
        self.tokens = self._most = max(1, min(self.tokens, held // 2))
        clear_device_cache()

    def too_small(self, key: str, tokens: int) -> CouldNotRun:
        """The error of a single sequence that exhausted the memory."""
        return CouldNotRun(
            f"{key}: expected free memory for {tokens:,} tokens, prompt and output, about "
            f"{gigabytes(tokens * self._likely)} GB beside the model, found {gigabytes(self._free())} GB; shorten it, "
            "use --dtype bfloat16, a smaller model, or a server (docs/servers.md)"
        )

    @contextmanager
    def alone(self, key: str, tokens: int) -> Iterator[None]:
        """Raise `too_small` if the memory is exhausted by this one sequence."""
        try:
            yield
        except (RuntimeError, MemoryError) as error:
            if is_out_of_memory(error):
                raise self.too_small(key, tokens) from error
            raise


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error says that the memory of the machine or its GPU is exhausted."""
    from accelerate.utils.memory import should_reduce_batch_size

    return isinstance(error, MemoryError) or should_reduce_batch_size(error) or CUBLAS in str(error)


def budget_for_outputs(model: Any) -> TokenBudget:
    """The tokens of prompts and outputs that a model reads together: their keys and values, and a layer's work."""
    config, size = _config(model), model.dtype.itemsize
    heads = _most_of(config, "num_attention_heads", 1)
    width = _most_of(config, "head_dim", config.hidden_size // heads)
    kept = 2 * config.num_hidden_layers * _most_of(config, "num_key_value_heads", heads) * width * size
    return _budget(model, kept + _work(config, size), kept, TOKEN_BUDGET, MOST_ON_GPU)


def budget_for_texts(model: Any) -> TokenBudget:
    """The tokens of given texts that a model scores together: their logits, and a layer's work."""
    config, size = _config(model), model.dtype.itemsize
    logits = config.vocab_size * (size + SCORES)
    most = (count // config.vocab_size for count in (LOGITS, MOST_LOGITS_ON_GPU))
    return _budget(model, logits + _work(config, size), config.vocab_size * size, *most)


def _config(model: Any) -> Any:
    return model.config.get_text_config(decoder=True)


def _work(config: Any, size: int) -> int:
    between = _most_of(config, "intermediate_size", 4 * config.hidden_size)
    return (HIDDEN * int(config.hidden_size) + 3 * between) * size


def _most_of(config: Any, name: str, default: int) -> int:
    """A number of a configuration, the largest where each layer has its own."""
    found = getattr(config, name, None) or default
    return int(max(found) if isinstance(found, list | tuple) else found)


def _budget(model: Any, likely: int, surely: int, most: int, most_on_gpu: int) -> TokenBudget:
    gpus = sorted({weight.device.index for weight in model.parameters() if weight.device.type == CUDA})
    if not gpus:  # memory of the machine is given back before it can be measured: the estimate counts
        return TokenBudget(free_memory, likely, likely, most)
    # the layers are spread evenly, so that the fullest GPU decides
    return TokenBudget(lambda: min(map(free_on_gpu, gpus)) * len(gpus), likely, surely, most_on_gpu)


def _power(number: float) -> int:
    """The largest power of two that is no larger; 0 below 1. Batches then differ seldom between runs."""
    return 1 << int(number).bit_length() - 1 if number >= 1 else 0
