"""The tensors of a model folder or a GGUF file, by the names that transformers gives them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunegate.harness.core.errors import CouldNotRun, show_path
from tunegate.harness.core.extras import need
from tunegate.harness.models.conversion import GGUF
from tunegate.harness.models.resolve import loaded_weights

if TYPE_CHECKING:
    import torch

#: The layouts a tensor may have, by its name: a GGUF file may store it in another one. Empty if it is missing, None if
#: it cannot be read.
Read = Callable[[str], "Sequence[torch.Tensor] | None"]
#: The library's errors on a file that is not GGUF, or is damaged.
UNREADABLE = (OSError, LookupError, ValueError, TypeError, AttributeError, ArithmeticError, MemoryError, AssertionError)


def reader(artefact: Path, stack: ExitStack) -> Read:
    """A function that reads the artefact's tensors as float32; the stack closes its files.

    Raises:
        CouldNotRun: it is not a model, or is damaged.
    """
    return _gguf(artefact) if artefact.suffix == GGUF else _folder(artefact, stack)


def _folder(folder: Path, stack: ExitStack) -> Read:
    safetensors = need("safetensors")
    try:
        files = [
            stack.enter_context(safetensors.safe_open(path, "pt"))
            for path in loaded_weights(folder) if path.suffix == ".safetensors"
        ]  # fmt: skip
    except (OSError, safetensors.SafetensorError) as error:
        raise CouldNotRun(f"{show_path(folder)}: expected weights in safetensors, found: {error}") from error
    where = {name: file for file in files for name in file.keys()}  # noqa: SIM118  (it is not a mapping)
    return lambda name: [where[name].get_tensor(name).float()] if name in where else []


def _gguf(path: Path) -> Read:
    import torch

    gguf = need("gguf")
    try:
        file = gguf.GGUFReader(path)
        kind = file.fields["general.architecture"].contents()
        blocks = file.fields[f"{kind}.block_count"].contents()
        heads = file.fields[f"{kind}.attention.head_count"].contents()
        of_keys = file.fields.get(f"{kind}.attention.head_count_kv")
        [known] = (each for each, name in gguf.MODEL_ARCH_NAMES.items() if name == kind)
        names = gguf.get_tensor_name_map(known, blocks)
        tensors = {tensor.name: tensor for tensor in file.tensors}
    except UNREADABLE as error:
        raise CouldNotRun(f"{show_path(path)}: expected a GGUF file of a language model, found: {error!r}") from error
    in_order = {"attn_q": heads, "attn_k": of_keys.contents() if of_keys else heads}

    def read(name: str) -> list[torch.Tensor] | None:
        called = names.get_name(name, try_suffixes=(".weight", ".bias"))
        if called is None or called not in tensors:
            return None if called is None else []
        try:
            weights = gguf.quants.dequantize(tensors[called].data, tensors[called].tensor_type)
        except NotImplementedError:  # a quantisation that the library cannot undo
            return None
        found = torch.from_numpy(weights.copy()).float()
        return [found, *_as_transformers_has_it(found, kind, in_order.get(called.split(".")[-2]))]

    return read


def _as_transformers_has_it(found: torch.Tensor, kind: str, heads: Any) -> list[torch.Tensor]:
    """The tensor as transformers may have it, where llama.cpp's converter changed it."""
    if kind.startswith("gemma") and found.ndim == 1:
        return [found - 1]  # Gemma's norms are stored with 1 subtracted in transformers
    if isinstance(heads, int) and heads > 0 and found.shape[0] % (2 * heads) == 0:
        # llama.cpp interleaves the two halves of each head's rotation
        apart = found.reshape(heads, found.shape[0] // heads // 2, 2, *found.shape[1:])
        return [apart.swapaxes(1, 2).reshape(found.shape)]
    return []
