"""The sections of a recipe: each key once, with its default, what it is about, and what its value must be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from tunegate.trainers.config.search_space import SCHEDULES

REFUSE, DROP, KEEP, ASK = "refuse", "drop", "keep", "ask"

COUNT = {"type": "integer", "minimum": 1, "description": "a whole number from 1"}
FLAG = {"type": "boolean", "description": "true or false"}
RATIO = {"type": "number", "minimum": 0, "exclusiveMaximum": 1, "description": "a number from 0, below 1"}
ABOVE_0 = {"type": "number", "exclusiveMinimum": 0, "description": "a number above 0"}
TEXT = {"type": "string", "minLength": 1, "description": "text that is not empty"}


def about(title: str, rule: Mapping[str, Any]) -> dict[str, Any]:
    """A key's rule with what the key is about; the rule's `description` says what its value must be."""
    return {**rule, "title": title}


def mapping(properties: Mapping[str, Any], required: list[str] | None = None) -> dict[str, Any]:
    """The JSON Schema of a mapping with these keys and no others."""
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": dict(properties),
        "required": required or [],
    }


def section(title: str, kind: type) -> dict[str, Any]:
    """The JSON Schema of a section, from its dataclass."""
    return about(title, mapping({each.name: dict(each.metadata) for each in fields(kind)}))


def _key(default: Any, title: str, rule: Mapping[str, Any]) -> Any:
    return field(default=default, metadata=about(title, rule))


@dataclass(frozen=True, slots=True)
class Lora:
    """The adapter's shape: rank, scale, dropout, the modules it sits on, and its kind."""

    # the values with the best evidence for hundreds to thousands of rows

    r: int = _key(16, "rank: the size of the adapter", COUNT)
    alpha: int = _key(32, "scale: the adapter acts alpha / r times as strongly", COUNT)
    dropout: float = _key(0.0, "share of the adapter's inputs that a step leaves out", RATIO)
    target: str | list[str] = _key(  # noqa: RUF009  (a field, as above)
        "all-linear",
        "the modules that the adapter sits on",
        {
            "anyOf": [{"const": "all-linear"}, {"type": "array", "minItems": 1, "items": TEXT}],
            "description": "all-linear, or a list of modules",
        },
    )
    rslora: bool = _key(False, "scale by alpha / sqrt(r), so that high ranks learn as fast (rsLoRA)", FLAG)
    dora: bool = _key(False, "train the size of the weights apart from their direction (DoRA)", FLAG)


@dataclass(frozen=True, slots=True)
class Optim:
    """How the steps are taken."""

    # Also by evidence: rates from 1e-4 to 4e-4 are worth a try, batches of 8 to 16, and up to three epochs if the
    # checkpoint is chosen on a validation split. Stronger updates buy score on the task with forgetting elsewhere.

    lr: float = _key(
        2e-4,
        "peak learning rate",
        {"type": "number", "exclusiveMinimum": 0, "maximum": 1, "description": "a number above 0, at most 1"},
    )
    epochs: float = _key(3, "epochs", ABOVE_0)
    batch: int = _key(8, "rows per step, over all processes", COUNT)
    validation_split: float = _key(
        0.0, "share of each unit's rows in the validation split, on which the checkpoint is chosen", RATIO
    )
    warmup: float = _key(0.05, "share of all steps in which the learning rate rises", RATIO)
    schedule: str = _key("cosine", "how the learning rate falls afterwards", {"enum": list(SCHEDULES)})
    max_length: int = _key(1024, "tokens a row may have; longer ones are refused, never cut", COUNT)
    checkpoint_steps: int | None = _key(None, "steps between two checkpoints; without it, two minutes", COUNT)
    validation_steps: int | None = _key(
        None, "steps between two evaluations on the validation split; without it, an epoch", COUNT
    )


@dataclass(frozen=True, slots=True)
class Decontaminate:
    """What happens to rows that are too near to a fixture."""

    # A row that was left out can make no score too good, and nobody has to read it: dropping is what costs neither
    # honesty nor time. What it costs is rows, and how many is told before a step is taken.

    refuse: str = _key(DROP, "what happens to rows that repeat a fixture", {"enum": [DROP, REFUSE]})
    review: str = _key(DROP, "what happens to rows that may be a fixture in other words", {"enum": [DROP, KEEP, ASK]})


@dataclass(frozen=True, slots=True)
class Preferring:
    """What only the methods on preferences have."""

    beta: float = _key(0.1, "how firmly it is held to the policy it starts from", ABOVE_0)  # as in TRL


@dataclass(frozen=True, slots=True)
class StopRule:
    """When a training ends early."""

    kl: float | None = _key(None, "nats per token, by the KL divergence from the base on the validation split", ABOVE_0)
