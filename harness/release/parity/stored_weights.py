"""The tensors of a model folder or a GGUF file, by the names that transformers gives them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunegate.harness.core.errors import CouldNotRun, show_path
from tunegate.harness.core.extras import need
from tunegate.harness.models.conversion import GGUF
from tunegate.harness.models.resolve import loaded_weights

if TYPE_CHECKING:
    import torch

#: The library's errors on a file that is not GGUF, or is damaged.
UNREADABLE = (OSError, LookupError, ValueError, TypeError, AttributeError, ArithmeticError, MemoryError, AssertionError)
#: What the names of a layer's weights begin with; the other weights are taken together.
LAYER = re.compile(r".*?\.\d+\.")
EXPERT = re.compile(r"\.experts\.(\d+)\.")
FROM_SETTINGS = "rope_f"  # tensors of a GGUF file that the converter computes from the settings


@dataclass(frozen=True, slots=True)
class StoredWeights:
    """The tensors of an artefact, as float32.

    `stored` are their names in it, and `called` gives such a name, from that of transformers; None if it has none.
    """

    stored: frozenset[str]
    called: Callable[[str], str | None]
    load: Callable[[str], Sequence[torch.Tensor] | None]
    asked: set[str] = field(default_factory=set)

    def __call__(self, name: str) -> Sequence[torch.Tensor] | None:
        """The layouts a tensor may have, by its name: a GGUF file may store it in another one.

        Empty if it is missing, None if it cannot be read.
        """
        called = self.called(name)
        if called is None:
            return None
        self.asked.add(called)
        return self.load(name) if called in self.stored else []

    def has(self, name: str) -> bool:
        """Whether the tensor of a name is stored."""
        return self.called(name) in self.stored

    def others(self) -> list[str]:
        """The stored tensors that were not asked for, by their names in the artefact."""
        return sorted(self.stored - self.asked)


def as_stored(model: Any, artefact: StoredWeights) -> Iterator[tuple[str, torch.Tensor]]:
    """The weights of a model by the names, and in the form, that files have them in, one layer after the other.

    transformers may rename, split or fuse weights when it loads them, such as those of experts.
    """
    layers: dict[str, dict[str, torch.Tensor]] = {}
    for name, weight in model.state_dict().items():
        found = LAYER.match(name)
        layers.setdefault(found[0] if found else "", {})[name] = weight
    for loaded in layers.values():
        stored = _as_before_loading(model, loaded)
        is_kept = all(map(artefact.has, loaded)) and not all(map(artefact.has, stored))
        yield from (loaded if is_kept else stored).items()


def _as_before_loading(model: Any, weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    from transformers.core_model_loading import revert_weight_conversion

    try:
        stored: dict[str, torch.Tensor] = revert_weight_conversion(model, weights)
        return {name: stored[name] for name in weights if name in stored} | stored  # in the model's order
    except Exception:  # not every conversion can be reverted: their names are then found in no file
        return weights


def reader(artefact: Path, stack: ExitStack) -> StoredWeights:
    """What reads the artefact's tensors; the stack closes its files.

    Raises:
        CouldNotRun: it is not a model, or is damaged.
    """
    return _gguf(artefact) if artefact.suffix == GGUF else _folder(artefact, stack)


def _folder(folder: Path, stack: ExitStack) -> StoredWeights:
    safetensors = need("safetensors")
    try:
        files = [
            stack.enter_context(safetensors.safe_open(path, "pt"))
            for path in loaded_weights(folder) if path.suffix == ".safetensors"
        ]  # fmt: skip
    except (OSError, safetensors.SafetensorError) as error:
        raise CouldNotRun(f"{show_path(folder)}: expected weights in safetensors, found: {error}") from error
    where = {name: file for file in files for name in file.keys()}  # noqa: SIM118  (it is not a mapping)
    return StoredWeights(frozenset(where), str, lambda name: [where[name].get_tensor(name).float()])


def _gguf(path: Path) -> StoredWeights:
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
        tensors = {each.name: each for each in file.tensors if not each.name.startswith(FROM_SETTINGS)}
    except UNREADABLE as error:
        raise CouldNotRun(f"{show_path(path)}: expected a GGUF file of a language model, found: {error!r}") from error
    in_order = {"attn_q": heads, "attn_k": of_keys.contents() if of_keys else heads}

    def called(name: str) -> str | None:
        found = names.get_name(EXPERT.sub(".experts.", name), try_suffixes=(".weight", ".bias"))
        is_apart = found not in tensors and EXPERT.search(name)  # old files have a tensor for each expert
        return None if found is None or is_apart else str(found)

    def load(name: str) -> list[torch.Tensor] | None:
        stored, expert = str(called(name)), EXPERT.search(name)
        tensor = tensors[stored]
        data = tensor.data
        if expert:  # a file stores all experts as one tensor
            if int(expert[1]) >= len(data):
                return []
            data = data[int(expert[1])]
        try:
            weights = gguf.quants.dequantize(data, tensor.tensor_type)
        except NotImplementedError:  # a quantisation that the library cannot undo
            return None
        found = torch.from_numpy(weights.copy()).float()
        return [found, *_as_transformers_has_it(found, kind, in_order.get(stored.split(".")[-2]))]

    return StoredWeights(frozenset(tensors), called, load)


def _as_transformers_has_it(found: torch.Tensor, kind: str, heads: Any) -> list[torch.Tensor]:
    """The tensor as transformers may have it, where llama.cpp's converter changed it."""
    if kind.startswith("gemma") and found.ndim == 1:
        return [found - 1]  # Gemma's norms are stored with 1 subtracted in transformers
    if isinstance(heads, int) and heads > 0 and found.shape[0] % (2 * heads) == 0:
        # llama.cpp interleaves the two halves of each head's rotation
        apart = found.reshape(heads, found.shape[0] // heads // 2, 2, *found.shape[1:])
        return [apart.swapaxes(1, 2).reshape(found.shape)]
    return []
