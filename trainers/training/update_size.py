"""The size of an adapter's update relative to the weights, module by module."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tunegate.harness.core.formatting import listed

# For six adapters on the embedded model, the median module changes by 0.2 to 4 % of its norm; the largest change,
# always in the first layer's `v_proj`, is 3.8 to 4.4 times that, at most 18 %.
LARGE = 0.5  # of the weights' own norm
APART = 10.0  # times the median of all modules
DIGITS = 4


@dataclass(frozen=True)
class UpdateSize:
    """The Frobenius norm of each module's update, divided by that of its weights."""

    ratios: Mapping[str, float]

    @property
    def median(self) -> float:
        """The median over all modules."""
        return statistics.median(self.ratios.values())

    @property
    def odd(self) -> dict[str, float]:
        """The modules whose update is unusually large, in general or compared with the other modules."""
        most = min(LARGE, APART * self.median)
        return {name: ratio for name, ratio in self.ratios.items() if ratio > most}

    def render(self) -> Iterator[str]:
        """Yield a summary line, and a warning if a module's update is unusually large."""
        if not self.ratios:
            return
        largest = max(self.ratios, key=lambda name: self.ratios[name])
        yield (
            f"  update size: {self.median:.3f} of the weights' norm in the median module, at most "
            f"{self.ratios[largest]:.3f} ({largest})"
        )
        if self.odd:
            names = sorted(self.odd, key=lambda name: -self.odd[name])
            modules = "1 module" if len(names) == 1 else f"{len(names)} modules"
            yield f"  warning: unusually large update in {modules} ({listed(names)}): lower optim.lr"

    def as_dict(self) -> dict[str, Any]:
        """For the training record."""
        if not self.ratios:
            return {"modules": 0}
        odd = {name: round(ratio, DIGITS) for name, ratio in self.odd.items()}
        most = max(self.ratios.values())
        return {
            "modules": len(self.ratios), "median": round(self.median, DIGITS), "most": round(most, DIGITS), "odd": odd,
        }  # fmt: skip


def measure_update(model: Any) -> UpdateSize:
    """Measure the update of a PEFT model's adapter; modules with quantized weights are skipped.

    The norm of B A is computed from the products of the small matrices: |B A|^2 is the trace of (A A^T) (B^T B).
    """
    return UpdateSize(dict(_ratios(model)))


def measure_tensors(tuned: Mapping[str, Any], base: Mapping[str, Any]) -> UpdateSize:
    """Measure how far the matrices of a tuned model moved from those of its base, by name; others are left out."""
    matrices = {name: (each.detach().float(), base[name].detach().float()) for name, each in tuned.items()}
    return UpdateSize({
        name.removesuffix(".weight"): moved / own for name, (weight, before) in matrices.items()
        if weight.ndim == 2 and (own := float(before.norm())) and (moved := float((weight - before).norm()))
    })  # fmt: skip


def _ratios(model: Any) -> Iterator[tuple[str, float]]:
    for name, module in model.named_modules():
        if "default" not in getattr(module, "lora_A", {}):
            continue
        weight = module.get_base_layer().weight
        if not weight.is_floating_point():  # quantized
            continue
        down, up = (each["default"].weight.detach().float() for each in (module.lora_A, module.lora_B))
        added = float(((down @ down.T) * (up.T @ up)).sum()) ** 0.5 * abs(module.scaling["default"])
        if own := float(weight.detach().float().norm()):
            yield name.removeprefix("base_model.model."), added / own
