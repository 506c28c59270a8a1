"""The search space: learning rates, schedules, ranks and epochs, and the number of trials for further seeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tunegate.trainers.config.sections import ABOVE_0, COUNT, FLAG, SCHEDULES, setting

RATES = (0.5, 4.0)  # times the recipe's own learning rate; published results for small LoRAs lie in this range
SEEDS_SHARE = 3  # one trial in three varies only the seed

_LOW_AND_HIGH = {
    "type": "array", "minItems": 2, "maxItems": 2, "items": {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
    "description": "two numbers above 0, at most 1: the lowest and the highest",
}  # fmt: skip


def _list_of(item: Mapping[str, Any], description: str) -> dict[str, Any]:
    return {"type": "array", "minItems": 1, "uniqueItems": True, "items": item, "description": description}


@dataclass(frozen=True, slots=True)
class SearchSpace:
    """The search space.

    By default, `lr` ranges from half to four times the recipe's own rate, and `seeds` is a third of the trials.
    """

    lr: tuple[float, float] | None = setting(None, "the lowest and the highest learning rate", _LOW_AND_HIGH)
    schedule: tuple[str, ...] = setting(
        SCHEDULES, "schedules", _list_of({"enum": list(SCHEDULES)}, f"a list of {', '.join(SCHEDULES)}")
    )
    r: tuple[int, ...] = setting(
        (8, 16, 32), "ranks; alpha is scaled with them", _list_of(COUNT, "a list of whole numbers from 1")
    )
    epochs: tuple[float, ...] = setting((1, 2, 3), "epochs", _list_of(ABOVE_0, "a list of numbers above 0"))
    seeds: int | None = setting(
        None,
        "number of trials that repeat the best settings with other seeds",
        {"type": "integer", "minimum": 0, "description": "a whole number from 0"},
    )
    refit: bool = setting(True, "train the chosen settings again on all rows, with those of the validation split", FLAG)

    def rates(self, own: float) -> tuple[float, float]:
        """The lowest and the highest learning rate; `own` is the recipe's."""
        low, high = self.lr or (own * RATES[0], min(own * RATES[1], 1.0))
        return low, high

    def seeds_of(self, trials: int) -> int:
        """The number of `trials` that use further seeds."""
        return trials // SEEDS_SHARE if self.seeds is None else self.seeds


def read_space(data: Mapping[str, Any]) -> SearchSpace:
    """Read the `search:` section of a validated recipe."""
    known: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in data.items()}
    return SearchSpace(**known)
