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

_TEXT = {"type": "string", "minLength": 1, "description": "text that is not empty"}
_COUNT = {"type": "integer", "minimum": 1, "description": "a whole number from 1"}
_RATIO = {"type": "number", "minimum": 0, "exclusiveMaximum": 1, "description": "a number from 0, below 1"}


def _mapping(properties: Mapping[str, Any], required: list[str] | None = None) -> dict[str, Any]:
    return {
        "type": "object", "additionalProperties": False, "properties": dict(properties), "required": required or [],
    }  # fmt: skip


SHAPE = _mapping(
    {
        "version": {"const": 1, "description": "the file format's version, 1"},
        "task": _TEXT,
        "model": _TEXT,
        "rows": {"type": "array", "minItems": 1, "items": _TEXT, "description": "a list of at least one JSONL file"},
        "method": {"enum": ["sft"]},
        "lora": _mapping(
            {
                "r": _COUNT,
                "alpha": _COUNT,
                "dropout": _RATIO,
                "target": {
                    "anyOf": [{"const": "all-linear"}, {"type": "array", "minItems": 1, "items": _TEXT}],
                    "description": "all-linear, or a list of modules",
                },
            }
        ),
        "optim": _mapping(
            {
                "lr": {
                    "type": "number",
                    "exclusiveMinimum": 0,
                    "maximum": 1,
                    "description": "a number above 0, at most 1",
                },
                "epochs": {"type": "number", "exclusiveMinimum": 0, "description": "a number above 0"},
                "batch": _COUNT,
                "warmup": _RATIO,
                "schedule": {"enum": ["cosine", "linear", "constant"]},
                "max_length": _COUNT,
            }
        ),
        "seed": {"type": "integer", "minimum": 0, "description": "a whole number from 0"},
        "output": _TEXT,
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
    """How it is trained: learning rate, passes over the rows, rows a step, warm-up share, schedule, tokens a row."""

    lr: float = 2e-4
    epochs: float = 3
    batch: int = 8
    warmup: float = 0.05
    schedule: str = "cosine"
    max_length: int = 1024


@dataclass(frozen=True)
class Recipe:
    """A recipe with its defaults filled in; paths are resolved against the recipe's folder, `model` is as --model."""

    path: Path
    task: str
    rows: tuple[Path, ...]
    output: Path
    model: str = "smollm2"
    method: str = "sft"
    lora: Lora = field(default_factory=Lora)
    optim: Optim = field(default_factory=Optim)
    seed: int = 0

    def effective(self) -> dict[str, Any]:
        """Every value that decides the training, defaults included; no paths."""
        return {
            "task": self.task, "model": self.model, "method": self.method, "lora": asdict(self.lora),
            "optim": asdict(self.optim), "seed": self.seed,
        }  # fmt: skip


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
    return Recipe(
        path=path,
        rows=rows,
        output=output or path.parent / data.pop("output"),
        lora=Lora(**data.pop("lora", {})),
        optim=Optim(**data.pop("optim", {})),
        **{key: value for key, value in data.items() if key != "output"},
    )


def _missing(document: Document, index: int, file: Path) -> Any:
    return document.problem(("rows", index), "a JSONL file of rows, relative to the recipe", f"nothing at {file}")
