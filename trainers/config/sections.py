"""The sections of a recipe: each key with its default, title and schema."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

REFUSE, DROP, ASK, SPLIT = "refuse", "drop", "ask", "split"
ALREADY = "trained on"  # of an adapter that was trained elsewhere: nothing can be left out any more

SCHEDULES = ("cosine", "linear", "constant")

COUNT = {"type": "integer", "minimum": 1, "description": "a whole number from 1"}
FLAG = {"type": "boolean", "description": "true or false"}
RATIO = {"type": "number", "minimum": 0, "exclusiveMaximum": 1, "description": "a number from 0, below 1"}
ABOVE_0 = {"type": "number", "exclusiveMinimum": 0, "description": "a number above 0"}
TEXT = {"type": "string", "minLength": 1, "description": "text that is not empty"}
PATH = {
    **TEXT,
    "not": {"type": "string", "pattern": r"\x00"},
    "description": "text that is not empty, without null characters",
}


def about(title: str, rule: Mapping[str, Any]) -> dict[str, Any]:
    """A key's schema with its title; the schema's `description` says what values are valid."""
    return {**rule, "title": title}


def mapping(properties: Mapping[str, Any], required: list[str] | None = None) -> dict[str, Any]:
    """The JSON Schema of a mapping with exactly these keys allowed."""
    rules = {"properties": dict(properties), "required": required or []}
    return {"type": "object", "additionalProperties": False, **rules}


def section(title: str, kind: type) -> dict[str, Any]:
    """The JSON Schema of a section, from its dataclass."""
    return about(title, mapping({each.name: dict(each.metadata) for each in fields(kind)}))


def as_whole(data: Any, rule: Mapping[str, Any]) -> Any:
    """Return valid data with each whole number as one: in a JSON Schema 8.0 is an integer, for PyTorch it is none."""
    if isinstance(data, dict):
        return {key: as_whole(value, rule.get("properties", {}).get(key, {})) for key, value in data.items()}
    if isinstance(data, list):
        return [as_whole(each, rule.get("items", {})) for each in data]
    return int(data) if rule.get("type") == "integer" else data


def setting(default: Any, title: str, rule: Mapping[str, Any]) -> Any:
    """A field of a section: the key's default, title and schema."""
    return field(default=default, metadata=about(title, rule))


@dataclass(frozen=True, slots=True)
class Lora:
    """The adapter's shape: rank, scale, dropout, target modules and variant."""

    # defaults with the best published results for hundreds to thousands of rows

    r: int = setting(16, "rank: the size of the adapter", COUNT)
    alpha: int = setting(32, "scale: the adapter's output is multiplied by alpha / r", COUNT)
    dropout: float = setting(0.0, "share of the adapter's inputs dropped at each step", RATIO)
    target: str | list[str] = setting(  # noqa: RUF009  (a field, as above)
        "all-linear",
        "the modules that the adapter is attached to",
        {
            "anyOf": [{"const": "all-linear"}, {"type": "array", "minItems": 1, "items": TEXT}],
            "description": "all-linear, or a list of modules",
        },
    )
    rslora: bool = setting(False, "scale by alpha / sqrt(r), so that high ranks learn as fast (rsLoRA)", FLAG)
    dora: bool = setting(False, "train the magnitude of the weights separately from their direction (DoRA)", FLAG)


@dataclass(frozen=True, slots=True)
class Optim:
    """Optimizer and schedule."""

    # Also from published results: learning rates from 1e-4 to 4e-4, batches of 8 to 16, and up to three epochs if the
    # checkpoint is chosen on a validation split. Larger updates raise the task's score and forget more elsewhere.

    lr: float = setting(
        2e-4,
        "peak learning rate",
        {"type": "number", "exclusiveMinimum": 0, "maximum": 1, "description": "a number above 0, at most 1"},
    )
    epochs: float = setting(3, "epochs", ABOVE_0)
    batch: int = setting(8, "rows per step, over all processes", COUNT)
    validation_split: float = setting(
        0.0, "share of each unit's rows in the validation split, on which the checkpoint is chosen", RATIO
    )
    warmup: float = setting(0.05, "share of all steps in which the learning rate rises", RATIO)
    schedule: str = setting("cosine", "learning-rate schedule after the warmup", {"enum": list(SCHEDULES)})
    max_length: int = setting(1024, "maximum tokens per row; longer rows are refused, never truncated", COUNT)
    checkpoint_steps: int | None = setting(None, "steps between checkpoints; by default every two minutes", COUNT)
    validation_steps: int | None = setting(
        None, "steps between evaluations on the validation split; by default every epoch", COUNT
    )


@dataclass(frozen=True, slots=True)
class Decontaminate:
    """What to do with rows that are too similar to a fixture."""

    # Copies are dropped. A row that only comes near a case teaches what production asks for, too. So it is trained on,
    # and the case that it comes near is no evidence of a gain.

    refuse: str = setting(DROP, "what to do with rows that repeat a fixture", {"enum": [DROP, REFUSE]})
    review: str = setting(SPLIT, "what to do with rows that may paraphrase a fixture", {"enum": [SPLIT, DROP, ASK]})


@dataclass(frozen=True, slots=True)
class Preferring:
    """Options of the preference methods."""

    beta: float = setting(0.1, "how strongly the model is kept close to its starting policy", ABOVE_0)  # as in TRL


@dataclass(frozen=True, slots=True)
class StopRule:
    """When to stop early."""

    kl: float | None = setting(
        None, "maximum KL divergence from the base on the validation split, in nats per token", ABOVE_0
    )
