"""Compare the weights of a merged folder or a GGUF file with base plus adapter, and name what differs."""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunegate.harness.checks.base import Finding
from tunegate.harness.core.errors import Refused, show_path
from tunegate.harness.core.escaping import shown
from tunegate.harness.core.formatting import listed, plain
from tunegate.harness.models.conversion import GGUF
from tunegate.harness.release.parity.stored_weights import StoredWeights, as_stored, reader

if TYPE_CHECKING:
    import torch

#: Relative errors. On the embedded model, the median matrix: float16 .0002, bfloat16 .0013, and in blocks of 32
#: 8 bits .0055, 4 bits .10, 2 bits .66. Between the limits weights count as coarsely rounded.
ROUNDED, OTHER = 0.03, 0.9
APART = 3.0  # times the median: a larger error is not from the rounding that all tensors share
TINY = 1e-30  # smallest norm: a matrix of zeros has norm 0
APPLIED = (0.5, 1.5)  # the adapter counts as applied once
SCALED = 0.1  # so far from once it is scaled, in matrices whose rounding is far smaller than its part
CERTAIN = 8.0  # standard errors, with rounding errors taken as random
EXACT = 0.003  # 16 bits or more: such weights count as the evaluated ones
#: What another adapter added is as large as the adapter's own part, and of low rank; rounding is of full rank.
AS_LARGE, RANK, IN_RANK = 0.3, 64, 0.9


@dataclass(frozen=True, slots=True)
class WeightParity:
    """The distance of weights from the evaluated ones: the median relative `error` of matrices.

    `compared` is the number of tensors; `times` how often the adapter is in them, None if no matrix shows it;
    `unread` are tensors that cannot be compared.
    """

    compared: int
    error: float | None
    times: float | None
    findings: tuple[Finding, ...] = ()
    unread: tuple[str, ...] = ()

    @property
    def is_same(self) -> bool:
        """Whether the weights are the evaluated ones, in 16 bits or more."""
        return self.error is not None and self.error <= EXACT and not self.findings and not self.unread

    def line(self) -> str:
        """The line that `tunegate parity` prints."""
        if self.error is None:
            return "weights: not compared, since none of their names is known"
        left = f"; not compared: {listed([shown(name) for name in self.unread])}" if self.unread else ""
        return f"weights: {plain(100 * self.error)} % off on average, in {self.compared} matrices and norms{left}"


@dataclass(frozen=True, slots=True)
class _Gap:
    """The relative error of a tensor without the adapter's part; `times` is how often that is in it, +- `give`.

    `is_foreign`: in its place, or beside it, stands another part of low rank.
    `part` is the relative size of the adapter's part. Rounding that is coarser takes it back, all the more where the
    base itself was rounded before: then the outputs decide.
    """

    name: str
    is_matrix: bool
    error: float
    times: float | None = None
    give: float = 0.0
    is_foreign: bool = False
    part: float = 0.0


@dataclass(frozen=True)
class _Compared:
    """The tensors that were compared, those that are missing, and those that cannot be read."""

    gaps: list[_Gap] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)


def weight_parity(evaluated: torch.nn.Module, base: Path, artefact: Path) -> WeightParity:
    """Compare the weights of an artefact, tensor by tensor, with those of the model that was evaluated.

    `evaluated` is the adapter merged into its base; the folder of this shows the part that the adapter added.

    Raises:
        CouldNotRun: the artefact cannot be read.
        Refused: its weights hold NaN or infinity.
    """
    found = _compare(evaluated, base, artefact)
    if odd := next((gap.name for gap in found.gaps if not math.isfinite(gap.error)), None):
        raise Refused(f"{show_path(artefact)}: expected finite weights, found NaN or infinity in {shown(odd)}")
    error = _median([gap.error for gap in found.gaps if gap.is_matrix])
    times = _median([gap.times for gap in found.gaps if gap.times is not None])
    otherwise = _laid_out_otherwise(found.gaps) if artefact.suffix == GGUF else set()
    known = [gap for gap in found.gaps if _sort(gap.name) not in otherwise]
    adapted = [gap for gap in found.gaps if gap.times is not None]
    findings = tuple(_named(error, times, _scale(adapted), sum(gap.is_foreign for gap in adapted), len(adapted)))
    if error is not None and all(each.rule == "quantised" for each in findings):
        findings += tuple(_singled_out(known, found.missing, error))
    unread = (*found.unread, *(gap.name for gap in found.gaps if gap not in known))
    return WeightParity(len(known), error, times, findings, unread)


def _compare(evaluated: torch.nn.Module, base: Path, artefact: Path) -> _Compared:
    found, absent, seen = _Compared(), list[tuple[str, int, bool]](), set[int]()
    with ExitStack() as stack:
        before, served = reader(base, stack), reader(artefact, stack)
        of_input = _input_by_output(evaluated)
        for name, weight in as_stored(evaluated, served):
            forms, stored = served(name), before(name) or before(of_input.get(name, name)) or None
            fitting = [each for each in forms or () if each.shape == weight.shape]
            if fitting:
                from_base = stored[0] if stored else weight.float()
                gaps = [_gap(name, weight.float(), from_base, each) for each in fitting]
                found.gaps.append(min(gaps, key=lambda gap: gap.error))
                seen.add(weight.data_ptr())
            elif forms:
                found.missing.append(name)
            else:
                absent.append((name, weight.data_ptr(), forms is not None and stored is not None))
        found.unread.extend(name for name in served.others() if not _is_alike(name, served, before))
    seen &= {weight.data_ptr() for weight in evaluated.state_dict().values()}  # others may lie where a freed one lay
    for name, place, is_missing in absent:
        if place not in seen:  # one may be stored for input and output
            (found.missing if is_missing else found.unread).append(name)
    return found


def _is_alike(name: str, served: StoredWeights, before: StoredWeights) -> bool:
    """Whether a tensor that the library does not load is the base's own."""
    import torch

    return before.has(name) and served.has(name) and all(map(torch.equal, served(name) or (), before(name) or ()))


def _input_by_output(model: Any) -> dict[str, str]:
    """The names of the output and input matrices: a base may store one for both."""
    names = {part: f"{name}.weight" for name, part in model.named_modules()}
    output = model.get_output_embeddings()
    return {names[output]: names[model.get_input_embeddings()]} if output in names else {}


def _gap(name: str, weight: torch.Tensor, before: torch.Tensor, found: torch.Tensor) -> _Gap:
    moved, times, give = found - weight, None, 0.0
    added = weight - before if before.shape == weight.shape else weight * 0
    if size := float((added * added).sum()):
        times = 1 + float((moved * added).sum()) / size
        moved = moved - (times - 1) * added  # without the adapter's part
        give = float(moved.norm()) / math.sqrt(size * added.numel())
    left = float(moved.norm())
    is_foreign = size > 0 and left > AS_LARGE * math.sqrt(size) and _is_of_low_rank(moved)
    whole = max(float(weight.norm()), TINY)
    return _Gap(name, weight.ndim == 2, left / whole, times, give, is_foreign, math.sqrt(size) / whole)


def _is_of_low_rank(moved: torch.Tensor) -> bool:
    """Whether a matrix is nearly the sum of its strongest directions (Halko et al. 2011)."""
    import torch

    rank = min(RANK, min(moved.shape) // 4) if moved.ndim == 2 else 0
    if not rank:
        return False
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        strongest = torch.svd_lowrank(moved, q=rank, niter=2)[1]
    return float((strongest**2).sum()) > IN_RANK * float((moved**2).sum())


def _median(values: Sequence[float]) -> float | None:
    return statistics.median(values) if values else None


def _sort(name: str) -> str:
    """The name of a tensor without its layer number."""
    return re.sub(r"\d+", "#", name)


def _laid_out_otherwise(gaps: Sequence[_Gap]) -> set[str]:
    """The sorts of tensors that are far off in every layer: llama.cpp may use another layout for them."""
    by_sort: dict[str, list[float]] = {}
    for gap in gaps:
        by_sort.setdefault(_sort(gap.name), []).append(gap.error)
    return {sort for sort, errors in by_sort.items() if len(errors) > 1 and min(errors) > OTHER}


def _scale(adapted: Sequence[_Gap]) -> float | None:
    """How often the adapter is in matrices whose rounding is too small to take any of it back; None if few are."""
    sure = [gap.times for gap in adapted if gap.times is not None and gap.part > APART * gap.error]
    return _median(sure) if len(sure) > len(adapted) / 2 else None


def _named(
    error: float | None, times: float | None, scale: float | None, foreign: int, adapted: int
) -> Iterator[Finding]:  # fmt: skip
    """The findings that hold for the weights as a whole; `foreign` of the `adapted` matrices hold another adapter."""
    if error is None:
        return
    if error > OTHER:
        yield Finding("other-base", f"the weights are {100 * error:.0f} % off: this is another base than the adapter's")
    elif error > ROUNDED or times is None:
        pass  # the rounding error may exceed the adapter's part: the outputs decide
    elif foreign > adapted / 2:
        yield Finding(
            "another-adapter",
            f"another adapter is in the weights: {foreign} of {adapted} matrices hold a part that it lacks",
        )
    elif times > APPLIED[1]:
        yield Finding("adapter-applied-twice", f"the adapter is in the weights {times:.1f} times")
    elif scale is not None and SCALED < scale <= APPLIED[1] and abs(scale - 1) > SCALED:
        yield Finding("adapter-scaled", f"the adapter is in the weights {scale:.2g} times: another alpha, or scale")
    elif times < APPLIED[0]:
        yield Finding("adapter-not-applied", "the adapter is not in the weights: they are the base's")
    if ROUNDED < error <= OTHER:
        bits = "2 or 3" if error > 0.15 else "about 4"
        yield Finding(
            "quantised",
            f"the weights are {100 * error:.0f} % off, as with {bits} bits per weight, or with another version of "
            "the base",
        )


def _singled_out(gaps: Sequence[_Gap], missing: Sequence[str], error: float) -> Iterator[Finding]:
    """The tensors that differ from the expected ones more than the others do."""
    wrong = [f"{shown(name)} is missing, or has another shape" for name in missing]
    for gap in gaps:
        if gap.error > max(ROUNDED, APART * error):
            wrong.append(f"{shown(gap.name)} is {100 * gap.error:.0f} % off")
        elif gap.times is not None and gap.part > error and _is_off(gap.times, gap.give):
            wrong.append(f"the adapter is {gap.times:.1f} times in {shown(gap.name)}")
    if wrong:
        yield Finding("wrong-weights", f"{listed(wrong)}, where the others are {plain(100 * error)} % off")


def _is_off(times: float, give: float) -> bool:
    low, high = APPLIED
    return not low <= times <= high and abs(times - 1) > CERTAIN * give
