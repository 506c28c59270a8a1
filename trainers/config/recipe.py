"""Recipes: what to train, on which rows, how; YAML with every key known and every effective value recorded."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tunegate.harness.authoring.document import Document
from tunegate.harness.authoring.validation import validate
from tunegate.harness.authoring.yaml_reader import read_yaml
from tunegate.harness.core.errors import AuthoringError, Problem, Refused, show_path
from tunegate.harness.core.files import canonical
from tunegate.harness.models.model_options import ModelOptions
from tunegate.trainers.config.exemptions import EXEMPTIONS_SCHEMA, Exemption, read_exemptions
from tunegate.trainers.config.parent_adapter import Start, read_start
from tunegate.trainers.config.search_space import SEARCH_SCHEMA, SearchSpace, read_space
from tunegate.trainers.config.sections import (
    DROP,
    REFUSE,
    TEXT,
    Decontaminate,
    Lora,
    Optim,
    Preferring,
    StopRule,
    about,
    mapping,
    section,
)

SFT, DPO, KTO = "sft", "dpo", "kto"
PREFERENCE_METHODS = (DPO, KTO)  # that compare answers with those of a frozen reference
HEED = "heed"

_REASON = {"type": "string", "pattern": r"\S", "description": "the reason, in words"}


def _or_override(*choices: str) -> dict[str, Any]:
    """The rule of a key that is one of `choices`, or overridden with a reason."""
    return {
        "anyOf": [{"enum": list(choices)}, mapping({"override": _REASON}, required=["override"])],
        "description": ", ".join(choices) + ', or {override: "the reason"}',
    }


RECIPE_SCHEMA = mapping(
    {
        "version": about("the file format", {"const": 1, "description": "the file format's version, 1"}),
        "task": about("the task whose units the rows name: a folder of the fixtures", TEXT),
        "model": about("the base, as --model names it", TEXT),
        "rows": about(
            "the training rows; paths are relative to the recipe",
            {"type": "array", "minItems": 1, "items": TEXT, "description": "a list of at least one JSONL file"},
        ),
        "failing_rows": about(
            "what happens to rows whose answer fails the task's own checks",
            _or_override(REFUSE, DROP),
        ),
        "private_data": about(
            "what happens to rows that hold secrets or personal data",
            _or_override(REFUSE, DROP),
        ),
        "memorization": about(
            "what a release does where it recites its rows or tells their secrets",
            _or_override(REFUSE),
        ),
        "diagnosis": about(
            "what happens where the task's diagnosis names another remedy than fine-tuning",
            _or_override(HEED),
        ),
        "decontaminate": section("what happens to rows that are too near to a fixture", Decontaminate),
        "exemptions": about("pairs of a row and a fixture that are near, read and found innocent", EXEMPTIONS_SCHEMA),
        "start": about("an adapter to go on from, relative to the recipe; its shape is kept", TEXT),
        "method": about(
            "how it is trained: on answers (sft), preferences (dpo), or likes and dislikes (kto)",
            {"enum": [SFT, DPO, KTO]},
        ),
        "dpo": section("what only dpo has", Preferring),
        "kto": section("what only kto has", Preferring),
        "lora": section("the adapter's shape", Lora),
        "optim": section("how the steps are taken", Optim),
        "stop": section("when a training ends early, for it forgets too much", StopRule),
        "search": about("what --trials tries", SEARCH_SCHEMA),
        "seed": about(
            "draws the first weights and the order of the rows",
            {"type": "integer", "minimum": 0, "description": "a whole number from 0"},
        ),
        "output": about("the adapter's folder, relative to the recipe", TEXT),
    },
    required=["version", "task", "rows", "output"],
)


@dataclass(frozen=True)
class Recipe:
    """A recipe with its defaults filled in; paths are resolved against the recipe's folder, `model` is as --model."""

    path: Path
    task: str
    rows: tuple[Path, ...]
    output: Path
    model: str = "smollm2"
    failing_rows: str | Mapping[str, str] = REFUSE
    private_data: str | Mapping[str, str] = REFUSE
    memorization: str | Mapping[str, str] = REFUSE
    diagnosis: str | Mapping[str, str] = HEED
    decontaminate: Decontaminate = field(default_factory=Decontaminate)
    exemptions: tuple[Exemption, ...] = ()
    start: Start | None = None
    method: str = SFT
    dpo: Preferring = field(default_factory=Preferring)
    kto: Preferring = field(default_factory=Preferring)
    lora: Lora = field(default_factory=Lora)
    optim: Optim = field(default_factory=Optim)
    stop: StopRule = field(default_factory=StopRule)
    search: SearchSpace = field(default_factory=SearchSpace)
    seed: int = 0
    opened: ModelOptions = field(default_factory=ModelOptions)  # as the command line or pyproject.toml has it
    rung: str = "as-is"  # likewise: the one that its baseline was recorded on
    given: Mapping[str, Any] = field(default_factory=dict, repr=False)  # without defaults; the start's shape included

    @property
    def override(self) -> str | None:
        """Why it is trained although the diagnosis names another remedy; None where the diagnosis is heeded."""
        return None if isinstance(self.diagnosis, str) else self.diagnosis["override"]

    def effective(self) -> dict[str, Any]:
        """Every value that took effect, defaults included; no paths."""
        # no paths, so that a recipe has one digest on every machine; of the start its digest says which one it is
        of_method = {self.method: asdict(getattr(self, self.method))} if self.method in PREFERENCE_METHODS else {}
        if_given = {"stop": asdict(self.stop)} if self.stop.kl else {}
        return {
            "task": self.task, "model": self.model, "failing_rows": self.failing_rows,
            "private_data": self.private_data, "memorization": self.memorization, "diagnosis": self.diagnosis,
            "decontaminate": asdict(self.decontaminate),
            "start": self.start and self.start.digest, "method": self.method, **of_method,
            "lora": asdict(self.lora), "optim": asdict(self.optim), **if_given, "seed": self.seed,
        }  # fmt: skip

    def deciding(self) -> dict[str, Any]:
        """Of the effective values those that decide the adapter: how often it is saved does not, nor an override."""
        known = {key: value for key, value in self.effective().items() if key not in ("diagnosis", "memorization")}
        optim = {key: value for key, value in known["optim"].items() if key != "checkpoint_steps"}
        return known | {"optim": optim}


def read_recipe(path: Path, output: Path | None = None) -> Recipe:
    """Read a recipe; `output` overrides where the adapter goes.

    Raises:
        AuthoringError: every mistake in the file.
        Refused: the adapter to start from is missing, unknown, or the one that would be replaced.
    """
    document = read_yaml(path)
    problems = validate(document, RECIPE_SCHEMA)
    if problems:
        raise AuthoringError(problems)
    data = dict(document.data)
    rows = tuple(path.parent / row for row in data.pop("rows"))
    problems = [_missing(document, index, file) for index, file in enumerate(rows) if not file.is_file()]
    problems += _contradictions(document)
    if problems:
        raise AuthoringError(problems)
    data.pop("version")
    data.pop("exemptions", None)
    place = output or path.parent / data.pop("output")
    start = _start(path, data.pop("start", None), place)
    lora = start.lora if start else data.pop("lora", {})
    if start and data.get("method") in PREFERENCE_METHODS:
        lora["dropout"] = 0.0  # of the start's training perhaps; TRL takes it out
    return Recipe(
        path=path,
        rows=rows,
        exemptions=read_exemptions(document),
        given={**document.data, "lora": lora},
        output=place,
        start=start,
        decontaminate=Decontaminate(**data.pop("decontaminate", {})),
        dpo=Preferring(**data.pop(DPO, {})),
        kto=Preferring(**data.pop(KTO, {})),
        lora=Lora(**lora),
        optim=Optim(**data.pop("optim", {})),
        stop=StopRule(**data.pop("stop", {})),
        search=read_space(data.pop("search", {})),
        **{key: value for key, value in data.items() if key != "output"},
    )


def _start(path: Path, given: str | None, output: Path) -> Start | None:
    if given is None:
        return None
    folder = path.parent / given
    if os.path.realpath(folder) == os.path.realpath(output):
        raise Refused(
            f"{show_path(path)}: output: expected another folder than that of `start`, which could not be trained from "
            "again; name another `output:` or --output"
        )
    return read_start(folder)


def _contradictions(document: Document) -> list[Problem]:
    """Keys that cannot stand beside one another."""
    data, problems = document.data, []
    if "start" in data and "lora" in data:
        problems.append(
            document.problem(("lora",), "no lora beside start", "both", "the start's shape is kept: delete it")
        )
    problems += _method_contradictions(document)
    problems += _search_contradictions(document)
    if "stop" in data and not data.get("optim", {}).get("validation_split"):
        expected, hint = "optim.validation_split beside it", "the KL divergence is taken on the rows put aside"
        problems.append(document.problem(("stop",), expected, "none", hint))
    return problems


def _method_contradictions(document: Document) -> Iterator[Problem]:
    data, method = document.data, document.data.get("method", SFT)
    for other in PREFERENCE_METHODS:
        if other in data and method != other:
            yield document.problem((other,), f"method: {other} beside it", repr(method), "delete it")
    if method in PREFERENCE_METHODS and data.get("lora", {}).get("dropout"):
        hint = f"{method} compares the adapter with its start on the same inputs: delete it"
        yield document.problem(("lora", "dropout"), f"none with method: {method}", str(data["lora"]["dropout"]), hint)
    if method == KTO and data.get("optim", {}).get("batch") == 1:
        hint = "kto takes the divergence from answers to the other prompts of a step"
        yield document.problem(("optim", "batch"), "2 rows a step or more with method: kto", "1", hint)


def _search_contradictions(document: Document) -> list[Problem]:
    search, problems = document.data.get("search", {}), []
    low, high = search.get("lr", (0, 1))
    if low > high:
        problems.append(document.problem(("search", "lr"), "the lowest rate, then the highest", f"{low}, {high}"))
    if "r" in search and "start" in document.data:
        hint = "the start's shape is kept: delete it"
        problems.append(document.problem(("search", "r"), "no ranks beside start", "both", hint))
    return problems


def _missing(document: Document, index: int, file: Path) -> Any:
    return document.problem(("rows", index), "a JSONL file of rows, relative to the recipe", f"nothing at {file}")


def render_recipe(recipe: Recipe) -> Iterator[str]:
    """A line for each key: its name, its value, what it is; a value that the recipe does not give is a default."""
    lines = list(_lines(recipe.effective(), RECIPE_SCHEMA["properties"], recipe.given))
    widths = [max(len(line[column]) for line in lines) for column in (0, 1)]
    for name, value, title in lines:
        yield f"  {name:<{widths[0]}}  {value:<{widths[1]}}  {title}".rstrip()


def _lines(
    values: Mapping[str, Any], rules: Mapping[str, Any], given: Mapping[str, Any], prefix: str = ""
) -> Iterator[tuple[str, str, str]]:
    for key, value in values.items():
        inner = rules[key].get("properties")
        if inner:
            yield from _lines(value, inner, given.get(key, {}), f"{prefix}{key}.")
        else:
            default = "" if key in given else " (default)"
            yield f"{prefix}{key}", _show(value), rules[key]["title"] + default


def _show(value: Any) -> str:
    return "none" if value is None else value if isinstance(value, str) else canonical(value)
