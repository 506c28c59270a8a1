"""Recipes: what to train, on which rows, how; YAML with every key known and every effective value recorded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from harness.document import Document
from harness.errors import AuthoringError
from harness.shape import check_shape
from harness.yamlfile import read_yaml
from trainers import waivers

REFUSE, DROP = "refuse", "drop"

_TEXT = {"type": "string", "minLength": 1, "description": "text that is not empty"}
_COUNT = {"type": "integer", "minimum": 1, "description": "a whole number from 1"}
_RATIO = {"type": "number", "minimum": 0, "exclusiveMaximum": 1, "description": "a number from 0, below 1"}
_ABOVE_0 = {"type": "number", "exclusiveMinimum": 0, "description": "a number above 0"}
_REASON = {"type": "string", "pattern": r"\S", "description": "the reason, in words"}


def _key(about: str, rule: Mapping[str, Any]) -> dict[str, Any]:
    """A key's rule with what the key is about; the rule's `description` says what its value must be."""
    return {**rule, "title": about}


def _mapping(properties: Mapping[str, Any], required: list[str] | None = None) -> dict[str, Any]:
    return {
        "type": "object", "additionalProperties": False, "properties": dict(properties), "required": required or [],
    }  # fmt: skip


_LORA = {
    "r": _key("rank: the size of the adapter", _COUNT),
    "alpha": _key("scale: the adapter acts alpha / r times as strongly", _COUNT),
    "dropout": _key("share of the adapter's inputs that a step leaves out", _RATIO),
    "target": _key(
        "the modules that the adapter sits on",
        {
            "anyOf": [{"const": "all-linear"}, {"type": "array", "minItems": 1, "items": _TEXT}],
            "description": "all-linear, or a list of modules",
        },
    ),
}
_OPTIM = {
    "lr": _key(
        "learning rate at its peak",
        {"type": "number", "exclusiveMinimum": 0, "maximum": 1, "description": "a number above 0, at most 1"},
    ),
    "epochs": _key("passes over the rows", _ABOVE_0),
    "batch": _key("rows a step", _COUNT),
    "warmup": _key("share of all steps in which the learning rate rises", _RATIO),
    "schedule": _key("how the learning rate falls afterwards", {"enum": ["cosine", "linear", "constant"]}),
    "max_length": _key("tokens a row may have; longer ones are refused, never cut", _COUNT),
    "checkpoint_steps": _key("steps between two checkpoints; without it, two minutes", _COUNT),
}
SHAPE = _mapping(
    {
        "version": _key("the file format", {"const": 1, "description": "the file format's version, 1"}),
        "task": _key("the task whose units the rows name: a folder of the fixtures", _TEXT),
        "model": _key("the base, as --model names it", _TEXT),
        "rows": _key(
            "the training rows; paths are relative to the recipe",
            {"type": "array", "minItems": 1, "items": _TEXT, "description": "a list of at least one JSONL file"},
        ),
        "failing_rows": _key(
            "what happens to rows whose answer fails the task's own checks",
            {
                "anyOf": [{"enum": [REFUSE, DROP]}, _mapping({"waive": _REASON}, required=["waive"])],
                "description": 'refuse, drop, or {waive: "the reason"}',
            },
        ),
        "waivers": _key("pairs of a row and a fixture that are near, read and found innocent", waivers.SHAPE),
        "method": _key("how it is trained", {"enum": ["sft"]}),
        "lora": _key("the adapter's shape", _mapping(_LORA)),
        "optim": _key("how the steps are taken", _mapping(_OPTIM)),
        "seed": _key(
            "draws the first weights and the order of the rows",
            {"type": "integer", "minimum": 0, "description": "a whole number from 0"},
        ),
        "output": _key("the adapter's folder, relative to the recipe", _TEXT),
    },
    required=["version", "task", "rows", "output"],
)


@dataclass(frozen=True, slots=True)
class Lora:
    """The adapter's shape: rank, scale, dropout, and the modules it sits on."""

    r: int = 16
    alpha: int = 32
    dropout: float = 0.0
    target: str | list[str] = "all-linear"


@dataclass(frozen=True, slots=True)
class Optim:
    """How the steps are taken; each key is described in `SHAPE`."""

    lr: float = 2e-4
    epochs: float = 3
    batch: int = 8
    warmup: float = 0.05
    schedule: str = "cosine"
    max_length: int = 1024
    checkpoint_steps: int | None = None


@dataclass(frozen=True)
class Recipe:
    """A recipe with its defaults filled in; paths are resolved against the recipe's folder, `model` is as --model."""

    path: Path
    task: str
    rows: tuple[Path, ...]
    output: Path
    model: str = "smollm2"
    failing_rows: str | Mapping[str, str] = REFUSE
    waivers: tuple[waivers.Waiver, ...] = ()
    method: str = "sft"
    lora: Lora = field(default_factory=Lora)
    optim: Optim = field(default_factory=Optim)
    seed: int = 0
    given: Mapping[str, Any] = field(default_factory=dict, repr=False)  # as the file says it, without defaults

    def effective(self) -> dict[str, Any]:
        """Every value that took effect, defaults included; no paths."""
        return {
            "task": self.task, "model": self.model, "failing_rows": self.failing_rows, "method": self.method,
            "lora": asdict(self.lora), "optim": asdict(self.optim), "seed": self.seed,
        }  # fmt: skip

    def deciding(self) -> dict[str, Any]:
        """Of the effective values those that decide the adapter: how often a checkpoint is saved does not."""
        optim = {key: value for key, value in asdict(self.optim).items() if key != "checkpoint_steps"}
        return self.effective() | {"optim": optim}


def read_recipe(path: Path, output: Path | None = None) -> Recipe:
    """Read a recipe; `output` overrides where the adapter goes.

    Raises:
        AuthoringError: every mistake in the file.
    """
    document = read_yaml(path)
    problems = check_shape(document, SHAPE)
    if problems:
        raise AuthoringError(problems)
    data = dict(document.data)
    rows = tuple(path.parent / row for row in data.pop("rows"))
    problems = [_missing(document, index, file) for index, file in enumerate(rows) if not file.is_file()]
    if problems:
        raise AuthoringError(problems)
    data.pop("version")
    data.pop("waivers", None)
    return Recipe(
        path=path,
        rows=rows,
        waivers=waivers.read_waivers(document),
        given=document.data,
        output=output or path.parent / data.pop("output"),
        lora=Lora(**data.pop("lora", {})),
        optim=Optim(**data.pop("optim", {})),
        **{key: value for key, value in data.items() if key != "output"},
    )


def _missing(document: Document, index: int, file: Path) -> Any:
    return document.problem(("rows", index), "a JSONL file of rows, relative to the recipe", f"nothing at {file}")
