"""Linear layers with a second copy of their weight, in the order in which oneDNN reads it.

Otherwise each product reorders the weight first, which takes longer than the product itself if a batch has few rows,
as in generation. Sums are in another order, so the last digits of logits differ. benchmarks/engines.py measures it.
"""

from __future__ import annotations

import platform
from functools import cache
from typing import Any

ROWS = 32  # for which oneDNN chooses the order
MACHINES = ("x86_64", "AMD64")
FREE = 2  # the copies are made if this many times their size is free


def pack(model: Any, free: float) -> None:
    """Give the linear layers of a model on a CPU packed copies of their weights, if memory allows.

    Args:
        model: any torch module; only layers that are exactly `torch.nn.Linear` are packed, in float32 or bfloat16.
        free: the bytes of memory that are free.
    """
    import torch

    dtypes = (torch.float32, torch.bfloat16)  # not every processor multiplies float16 so
    found = [each for each in model.modules() if type(each) is torch.nn.Linear and each.weight.dtype in dtypes]
    if not _is_supported() or sum(layer.weight.nbytes for layer in found) * FREE > free:
        return
    for layer in found:
        _pack(layer)


def keep_contiguous(model: Any) -> None:
    """Let the output head of a transformers model copy a slice before it multiplies it.

    For a slice in bfloat16, PyTorch copies the head's weight once per row: gigabytes, and hundreds of times slower.
    """
    head = model.get_output_embeddings()
    if head is not None:
        head.register_forward_pre_hook(_contiguous)


def _contiguous(_: Any, given: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(each.contiguous() for each in given)


def _pack(layer: Any) -> None:
    import torch

    with torch.no_grad():
        layer.packed = torch.ops.mkldnn._reorder_linear_weight(layer.weight.detach(), ROWS)
    layer.packed_from = layer.weight.data_ptr()
    layer.__class__ = _packed_linear()


def unpack(model: Any) -> None:
    """Drop the packed copies: needed before weights are changed in place."""
    import torch

    layer: Any
    for layer in model.modules():
        if type(layer) is _packed_linear():
            layer.__class__ = torch.nn.Linear
            layer.packed = None


def _is_supported() -> bool:
    import torch

    return platform.machine() in MACHINES and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]


@cache
def _packed_linear() -> type[Any]:
    import torch

    class PackedLinear(torch.nn.Linear):
        """Computes with the packed copy, or as usual where a gradient is needed or the weight was replaced."""

        packed: Any
        packed_from: int

        def forward(self, input: torch.Tensor) -> torch.Tensor:
            if self.packed is None or torch.is_grad_enabled() or self.weight.data_ptr() != self.packed_from:
                return super().forward(input)
            return torch.ops.mkldnn._linear_pointwise(  # type: ignore[no-any-return]
                input, self.packed, self.bias, "none", [], ""
            )

        def __getstate__(self) -> dict[str, Any]:
            # a deep copy is made to be changed (PEFT's modules_to_save)
            return {**self.__dict__, "packed": None}

    return PackedLinear
