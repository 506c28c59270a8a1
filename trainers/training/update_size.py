"""How far an adapter moves its base: the size of the update beside that of the weights, module by module."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tunegate.harness.core.formatting import listed

# Of six adapters on the embedded model, the median module is moved by 0.2 to
# 4 % of its norm, and the furthest, always the first layer's `v_proj`, 3.8 to 4.4 times as far, by 18 % at most.
LARGE = 0.5  # of the weights' own norm
APART = 10.0  # times the median of all modules
DIGITS = 4


@dataclass(frozen=True)
class UpdateSize:
    """By module, the Frobenius norm of what the adapter adds over that of the weights that it is added to."""

    ratios: Mapping[str, float]

    @property
    def median(self) -> float:
        """That of all modules."""
        return statistics.median(self.ratios.values())

    @property
    def odd(self) -> dict[str, float]:
        """The modules that are moved much further than adapters move them, or than this one moves the others."""
        most = min(LARGE, APART * self.median)
        return {name: ratio for name, ratio in self.ratios.items() if ratio > most}

    def render(self) -> Iterator[str]:
        """A line, and one where a module is odd."""
        if not self.ratios:
            return
        largest = max(self.ratios, key=lambda name: self.ratios[name])
        yield (
            f"  the update: {self.median:.3f} of the weights' norm in the median module, at most "
            f"{self.ratios[largest]:.3f} ({largest})"
        )
        if self.odd:
            names = sorted(self.odd, key=lambda name: -self.odd[name])
            modules = "1 module" if len(names) == 1 else f"{len(names)} modules"
            yield f"  warning: an update of odd size in {modules} ({listed(names)}): lower the rate"

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
    """The size of what the adapter of a PEFT model adds; weights that are not stored as numbers count nothing.

    The norm of B A is taken from the products of the small matrices: |B A|^2 is the trace of (A A^T) (B^T B).
    """
    return UpdateSize(dict(_ratios(model)))


def _ratios(model: Any) -> Iterator[tuple[str, float]]:
    for name, module in model.named_modules():
        if "default" not in getattr(module, "lora_A", {}):
            continue
        weight = module.get_base_layer().weight
        if not weight.is_floating_point():  # quantised
            continue
        down, up = (each["default"].weight.detach().float() for each in (module.lora_A, module.lora_B))
        added = float(((down @ down.T) * (up.T @ up)).sum()) ** 0.5 * abs(module.scaling["default"])
        if own := float(weight.detach().float().norm()):
            yield name.removeprefix("base_model.model."), added / own
