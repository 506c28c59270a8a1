"""What a search tries: learning rates, schedules, ranks and passes, and how many trials go to further seeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

SCHEDULES = ("cosine", "linear", "constant")
RATES = (0.5, 4.0)  # times the recipe's own; the evidence for small LoRAs lies between
SEEDS_SHARE = 3  # one trial in three tells what the seed alone does

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
            "description": "two numbers above 0, at most 1: the lowest, the highest",
        },
        "schedule": {"title": "schedules", **_list_of({"enum": list(SCHEDULES)}, f"a list of {', '.join(SCHEDULES)}")},
        "r": {
            "title": "ranks; alpha keeps its ratio to them",
            **_list_of({"type": "integer", "minimum": 1}, "a list of whole numbers from 1"),
        },
        "epochs": {
            "title": "epochs",
            **_list_of({"type": "number", "exclusiveMinimum": 0}, "a list of numbers above 0"),
        },
        "seeds": {
            "type": "integer", "minimum": 0,
            "title": "how many of the trials train the best settings again with further seeds",
            "description": "a whole number from 0",
        },
    },
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class SearchSpace:
    """What a search tries; each key is described in `SEARCH_SCHEMA`.

    `lr` is by default from half to four times the recipe's own, `seeds` a third of the trials.
    """

    lr: tuple[float, float] | None = None
    schedule: tuple[str, ...] = SCHEDULES
    r: tuple[int, ...] = (8, 16, 32)
    epochs: tuple[float, ...] = (1, 2, 3)
    seeds: int | None = None

    def rates(self, own: float) -> tuple[float, float]:
        """The lowest and the highest learning rate, where the recipe's own is `own`."""
        low, high = self.lr or (own * RATES[0], min(own * RATES[1], 1.0))
        return low, high

    def seeds_of(self, trials: int) -> int:
        """How many of so many trials go to further seeds."""
        return trials // SEEDS_SHARE if self.seeds is None else self.seeds

    def as_dict(self) -> dict[str, Any]:
        """For the training record."""
        return asdict(self)


def read_space(data: Mapping[str, Any]) -> SearchSpace:
    """The `search:` of a recipe that has been validated."""
    known: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in data.items()}
    return SearchSpace(**known)
