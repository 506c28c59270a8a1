"""The search space: learning rates, schedules, ranks and epochs, and the number of trials for further seeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

SCHEDULES = ("cosine", "linear", "constant")
RATES = (0.5, 4.0)  # times the recipe's own learning rate; published results for small LoRAs lie in this range
SEEDS_SHARE = 3  # one trial in three varies only the seed

_RATE = {"type": "number", "exclusiveMinimum": 0, "maximum": 1}


def _list_of(item: Mapping[str, Any], description: str) -> dict[str, Any]:
    return {"type": "array", "minItems": 1, "uniqueItems": True, "items": item, "description": description}


SEARCH_SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "lr": {
            "type": "array", "minItems": 2, "maxItems": 2, "items": _RATE,
            "title": "the lowest and the highest learning rate",
            "description": "two numbers above 0, at most 1: the lowest and the highest",
        },
        "schedule": {"title": "schedules", **_list_of({"enum": list(SCHEDULES)}, f"a list of {', '.join(SCHEDULES)}")},
        "r": {
            "title": "ranks; alpha is scaled with them",
            **_list_of({"type": "integer", "minimum": 1}, "a list of whole numbers from 1"),
        },
        "epochs": {
            "title": "epochs",
            **_list_of({"type": "number", "exclusiveMinimum": 0}, "a list of numbers above 0"),
        },
        "seeds": {
            "type": "integer", "minimum": 0,
            "title": "number of trials that repeat the best settings with other seeds",
            "description": "a whole number from 0",
        },
        "refit": {
            "type": "boolean",
            "title": "train the chosen settings again on all rows, with those of the validation split",
            "description": "true or false",
        },
    },
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class SearchSpace:
    """The search space; `SEARCH_SCHEMA` describes each key.

    By default, `lr` ranges from half to four times the recipe's own rate, and `seeds` is a third of the trials.
    """

    lr: tuple[float, float] | None = None
    schedule: tuple[str, ...] = SCHEDULES
    r: tuple[int, ...] = (8, 16, 32)
    epochs: tuple[float, ...] = (1, 2, 3)
    seeds: int | None = None
    refit: bool = True

    def rates(self, own: float) -> tuple[float, float]:
        """The lowest and the highest learning rate; `own` is the recipe's."""
        low, high = self.lr or (own * RATES[0], min(own * RATES[1], 1.0))
        return low, high

    def seeds_of(self, trials: int) -> int:
        """The number of `trials` that use further seeds."""
        return trials // SEEDS_SHARE if self.seeds is None else self.seeds

    def as_dict(self) -> dict[str, Any]:
        """For the training record."""
        return asdict(self)


def read_space(data: Mapping[str, Any]) -> SearchSpace:
    """Read the `search:` section of a validated recipe."""
    known: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in data.items()}
    return SearchSpace(**known)
