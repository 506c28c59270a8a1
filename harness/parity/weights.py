"""Whether the weights of a merged folder or a GGUF file are those of base and adapter, and where not, whose."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunegate.harness.checks.base import Finding
from tunegate.harness.core.errors import CouldNotRun, Refused, show_path
from tunegate.harness.core.escaping import shown
from tunegate.harness.core.extras import need
from tunegate.harness.core.formatting import plain
from tunegate.harness.models.adapters import adapter_digest
from tunegate.harness.models.huggingface import Base
from tunegate.harness.models.llama_cpp import GGUF
from tunegate.harness.models.resolve import loaded_weights

if TYPE_CHECKING:
    import torch

#: What the library ends with at a file that is none, or damaged.
UNREADABLE = (OSError, LookupError, ValueError, TypeError, AttributeError, ArithmeticError, MemoryError, AssertionError)
Read = Callable[[str], "torch.Tensor | None"]
MOST = 32  # matrices of each sort that are looked at, evenly over the layers
#: Relative errors. On the embedded model, the median matrix: float16 .0002, bfloat16 .0013, and in blocks of 32 rounded
#: to 8 bits .0055, to 4 bits .10, to 2 bits .66. Between the limits weights count as coarsely rounded.
ROUNDED, OTHER = 0.03, 0.9
TINY = 1e-30  # of a norm: a matrix of zeros has none
APPLIED = (0.5, 1.5)  # how often the adapter is in the weights: once


@dataclass(frozen=True, slots=True)
class WeightParity:
    """How far weights are from the judged ones: the median relative `error` of so many `matrices`.

    `times` says how often the adapter is in them, None where no matrix tells.
    """

    matrices: int
    error: float | None
    times: float | None
    findings: tuple[Finding, ...] = ()

    def line(self) -> str:
        """In words."""
        if self.error is None:
            return "weights: not compared, for none of their names is known here"
        return f"weights: {plain(100 * self.error)} % off on average, in {self.matrices} matrices"


def weight_parity(base: Base, adapter: Path, artefact: Path) -> WeightParity:
    """Compare the weights of an artefact with those of the base and the adapter on it, matrix by matrix.

    Raises:
        CouldNotRun: the artefact cannot be read.
        Refused: its weights hold NaN or infinity.
    """
    merged = base.with_adapter(adapter, adapter_digest(adapter)).merge_and_unload(safe_merge=True).state_dict()
    with ExitStack() as stack:
        base_weight, served = _folder(base.folder, stack), _reader(artefact, stack)
        errors, times = [], []
        for name in _looked_at(merged, base_weight):
            found, weight, before = served(name), merged[name].float(), base_weight(name)
            if found is None or before is None or found.shape != weight.shape:
                continue
            added, moved = weight - before, found - before
            if size := float((added * added).sum()):
                times.append(float((moved * added).sum()) / size)
                moved = moved - times[-1] * added  # apart from how far the adapter moves them
            off = float(moved.norm()) / max(float(weight.norm()), TINY)
            if not math.isfinite(off):
                raise Refused(f"{show_path(artefact)}: expected finite weights, found NaN or infinity in {shown(name)}")
            errors.append(off)
    error = statistics.median(errors) if errors else None
    share = statistics.median(times) if times else None
    return WeightParity(len(errors), error, share, tuple(_named(error, share)))


def _named(error: float | None, times: float | None) -> Iterator[Finding]:
    if error is None:
        return
    if error > OTHER:
        yield Finding("other-base", f"the weights are {100 * error:.0f} % off: another base than the adapter's")
    elif error > ROUNDED or times is None:
        pass  # what is lost by rounding may be larger than what the adapter adds: the answers tell
    elif times < APPLIED[0]:
        yield Finding("adapter-not-applied", "the adapter is not in the weights: they are the base's")
    elif times > APPLIED[1]:
        yield Finding("adapter-applied-twice", f"the adapter is in the weights {times:.1f} times")
    if ROUNDED < error <= OTHER:
        bits = "2 or 3" if error > 0.15 else "about 4"
        yield Finding(
            "quantised",
            f"the weights are {100 * error:.0f} % off, as where {bits} bits are left of each, or in another "
            "version of the base",
        )


def _looked_at(merged: Mapping[str, torch.Tensor], base_weight: Read) -> Iterator[str]:
    """The names of matrices: as many that the adapter changes as of the others, at most `MOST` of each."""
    changed: dict[bool, list[str]] = {True: [], False: []}
    for name, weight in merged.items():
        before = base_weight(name) if weight.ndim == 2 else None
        if before is not None and before.shape == weight.shape:
            changed[not bool((weight == before).all())].append(name)
    for names in changed.values():
        yield from names[:: max(1, len(names) // MOST)]


def _reader(artefact: Path, stack: ExitStack) -> Read:
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
    where = {name: file for file in files for name in file.keys()}  # noqa: SIM118  (it is no mapping)
    return lambda name: where[name].get_tensor(name).float() if name in where else None


def _gguf(path: Path) -> Read:
    """Reads matrices of a GGUF file by the names that transformers gives them."""
    import torch

    gguf = need("gguf")
    try:
        reader = gguf.GGUFReader(path)
        kind = reader.fields["general.architecture"].contents()
        blocks = reader.fields[f"{kind}.block_count"].contents()
        [known] = (each for each, name in gguf.MODEL_ARCH_NAMES.items() if name == kind)
        names = gguf.get_tensor_name_map(known, blocks)
        tensors = {tensor.name: tensor for tensor in reader.tensors}
    except UNREADABLE as error:
        raise CouldNotRun(f"{show_path(path)}: expected a GGUF file of a language model, found: {error!r}") from error

    def read(name: str) -> Any:
        called = names.get_name(name, try_suffixes=(".weight", ".bias"))
        # llama.cpp keeps the rows of queries and keys in another order
        if called not in tensors or called.endswith(("attn_q.weight", "attn_k.weight")):
            return None
        try:
            weights = gguf.quants.dequantize(tensors[called].data, tensors[called].tensor_type)
        except NotImplementedError:  # a way of rounding that the library cannot undo
            return None
        return torch.from_numpy(weights.copy()).float()

    return read
