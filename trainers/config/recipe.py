"""Recipes: YAML files that say what to train and how. Unknown keys are errors; all effective values are recorded."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from tunegate.harness.core.authoring.columnar import HUB_FORM, HUB_NAME, hub_name
from tunegate.harness.core.authoring.document import Document
from tunegate.harness.core.authoring.validation import validate
from tunegate.harness.core.authoring.yaml_reader import read_yaml
from tunegate.harness.core.errors import AuthoringError, Problem, Refused, show_path
from tunegate.harness.core.files import canonical
from tunegate.harness.models.model_options import ModelOptions
from tunegate.harness.rows.row_forms import AUTO, FORM_NAMES
from tunegate.trainers.config.exemptions import EXEMPTIONS_SCHEMA, Exemption, read_exemptions
from tunegate.trainers.config.parent_adapter import Start, read_start
from tunegate.trainers.config.search_space import SearchSpace, read_space
from tunegate.trainers.config.sections import (
    ALREADY,
    DROP,
    PATH,
    REFUSE,
    TEXT,
    Decontaminate,
    Lora,
    Optim,
    Preferring,
    StopRule,
    about,
    as_whole,
    mapping,
    section,
)

SFT, DPO, KTO = "sft", "dpo", "kto"
PREFERENCE_METHODS = (DPO, KTO)  # methods that compare with a frozen reference
HEED = "heed"
TRACKERS = ("mlflow", "tensorboard", "trackio")
MOST_SEED = 2**31 - 1  # NumPy takes twice as much; processes and trials count on from the recipe's
_NOT_DECIDING = ("diagnosis", "format", "memorization", "report_to")  # the rows are compared as they are read

_REASON = {"type": "string", "pattern": r"\S", "description": "the reason, in words"}


def _or_override(*choices: str) -> dict[str, Any]:
    """The schema of a key that takes one of `choices`, or an override with a reason."""
    return {
        "anyOf": [{"enum": list(choices)}, mapping({"override": _REASON}, required=["override"])],
        "description": ", ".join(choices) + ', or {override: "the reason"}',
    }


RECIPE_SCHEMA = mapping(
    {
        "version": about("the file format", {"const": 1, "description": "the file format's version, 1"}),
        "task": about("the task whose units the rows name: a folder of the fixtures", TEXT),
        "model": about("the base model, as in --model", PATH),
        "tool_format": about("the form of tools and calls, by TRL's name, as in --tool-format", TEXT),
        "rows": about(
            "the training rows; paths are relative to the recipe",
            {"type": "array", "minItems": 1, "items": PATH, "description": "a list of at least one file"},
        ),
        "format": about(
            "the form of the rows; auto: recognized by their keys, file by file",
            {"enum": list(FORM_NAMES), "description": f"one of {', '.join(FORM_NAMES)}"},
        ),
        "failing_rows": about(
            "what to do with rows whose output fails the task's own checks",
            _or_override(REFUSE, DROP),
        ),
        "private_data": about(
            "what to do with rows that contain secrets or personal data",
            _or_override(REFUSE, DROP),
        ),
        "memorization": about(
            "what a release does if the adapter reproduces training text verbatim or leaks secrets",
            _or_override(REFUSE),
        ),
        "diagnosis": about(
            "what to do if the task's diagnosis names a remedy other than fine-tuning",
            _or_override(HEED),
        ),
        "decontaminate": section("what to do with rows that are too similar to a fixture", Decontaminate),
        "exemptions": about("similar pairs of a row and a fixture that a reviewer found clean", EXEMPTIONS_SCHEMA),
        "start": about("an adapter to continue from, relative to the recipe; its shape is kept", PATH),
        "method": about(
            "training method: outputs (sft), preference pairs (dpo), or liked and disliked outputs (kto)",
            {"enum": [SFT, DPO, KTO]},
        ),
        "dpo": section("options for dpo only", Preferring),
        "kto": section("options for kto only", Preferring),
        "lora": section("the adapter's shape", Lora),
        "optim": section("optimizer and schedule", Optim),
        "stop": section("early stopping, when the model forgets too much", StopRule),
        "search": section("the search space of --trials", SearchSpace),
        "seed": about(
            "seed for the initial weights and the order of the rows",
            {
                "type": "integer",
                "minimum": 0,
                "maximum": MOST_SEED,
                "description": f"a whole number from 0 to {MOST_SEED}",
            },
        ),
        "report_to": about(
            "where the training's losses are logged, too, by transformers",
            {
                "type": "array",
                "minItems": 1,
                "uniqueItems": True,
                "items": {"enum": list(TRACKERS)},
                "description": f"a list of {', '.join(TRACKERS)}",
            },
        ),
        "output": about("the adapter's folder, relative to the recipe", PATH),
    },
    required=["version", "task", "rows", "output"],
)


@dataclass(frozen=True)
class Recipe:
    """A recipe with defaults filled in; paths are resolved against the recipe's folder, `model` is as in --model."""

    path: Path
    task: str
    rows: tuple[Path, ...]
    output: Path
    format: str = AUTO
    model: str = "smollm2"
    tool_format: str | None = None
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
    report_to: Sequence[str] = ()
    opened: ModelOptions = field(default_factory=ModelOptions)  # from the command line or pyproject.toml
    rung: str = "as-is"  # likewise; the prompting strategy of its baseline
    given: Mapping[str, Any] = field(default_factory=dict, repr=False)  # without defaults; with the start's shape

    @property
    def override(self) -> str | None:
        """The reason for overriding the diagnosis; None if the recipe heeds it."""
        return None if isinstance(self.diagnosis, str) else self.diagnosis["override"]

    @property
    def adopts(self) -> bool:
        """Whether its rows were trained on already, elsewhere: nothing can be left out any more."""
        return self.failing_rows == ALREADY

    def opening(self, options: ModelOptions) -> Recipe:
        """The recipe with the options of the command line, which must not name another tool format.

        Raises:
            Refused: they do.
        """
        given = options.tool_format
        if self.tool_format and given and self.tool_format != given:
            raise Refused(
                f"{show_path(self.path)}: tool_format: expected {given}, as in --tool-format or pyproject.toml, found "
                f"{self.tool_format}; name one of them"
            )
        named = self.tool_format or given
        return replace(self, opened=replace(options, tool_format=named), tool_format=named)

    def effective(self) -> dict[str, Any]:
        """All effective values, including defaults, without paths."""
        # Without paths, a recipe has the same digest on every machine; the start is identified by its digest.
        of_method = {self.method: asdict(getattr(self, self.method))} if self.method in PREFERENCE_METHODS else {}
        if_given: dict[str, Any] = {"stop": asdict(self.stop)} if self.stop.kl else {}
        if_given |= {"tool_format": self.tool_format} if self.tool_format else {}
        if_given |= {"report_to": list(self.report_to)} if self.report_to else {}
        return {
            "task": self.task, "model": self.model, "format": self.format, "failing_rows": self.failing_rows,
            "private_data": self.private_data, "memorization": self.memorization, "diagnosis": self.diagnosis,
            "decontaminate": asdict(self.decontaminate),
            "start": self.start and self.start.digest, "method": self.method, **of_method,
            "lora": asdict(self.lora), "optim": asdict(self.optim), **if_given, "seed": self.seed,
        }  # fmt: skip

    def deciding(self) -> dict[str, Any]:
        """The effective values that determine the adapter besides the rows."""
        known = {key: value for key, value in self.effective().items() if key not in _NOT_DECIDING}
        optim = {key: value for key, value in known["optim"].items() if key != "checkpoint_steps"}
        return known | {"optim": optim}


def read_recipe(path: Path, output: Path | None = None) -> Recipe:
    """Read a recipe; `output` overrides the adapter's folder.

    Raises:
        AuthoringError: the file has mistakes; all of them are listed.
        Refused: the adapter to start from is missing or unknown, or would be overwritten.
    """
    document = read_yaml(path)
    problems = validate(document, RECIPE_SCHEMA)
    if problems:
        raise AuthoringError(problems)
    data = as_whole(document.data, RECIPE_SCHEMA)
    rows = tuple(Path(row) if hub_name(Path(row)) else path.parent / row for row in data.pop("rows"))
    problems = [_missing(document, index, file) for index, file in enumerate(rows) if not _is_there(file)]
    problems += _contradictions(document)
    if problems:
        raise AuthoringError(problems)
    data.pop("version")
    data.pop("exemptions", None)
    place = output or path.parent / data.pop("output")
    start = _start(path, data.pop("start", None), place)
    lora = start.lora if start else data.pop("lora", {})
    if start and data.get("method") in PREFERENCE_METHODS:
        lora["dropout"] = 0.0  # the start may have been trained with dropout; TRL removes it
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
            f"{show_path(path)}: output: expected a folder other than that of `start`, which would be overwritten; "
            "name another `output:` or --output"
        )
    return read_start(folder)


def _contradictions(document: Document) -> Iterator[Problem]:
    """Find keys that exclude each other."""
    data, kept = document.data, "the start's shape is kept: delete it"
    search = data.get("search", {})
    low, high = search.get("lr", (0, 1))
    if "start" in data and "lora" in data:
        yield document.problem(("lora",), "no lora with start", "both", kept)
    yield from _method_contradictions(document)
    if low > high:
        yield document.problem(("search", "lr"), "the lowest rate, then the highest", f"{low}, {high}")
    if "start" in data and "r" in search:
        yield document.problem(("search", "r"), "no ranks with start", "both", kept)
    if "stop" in data and not data.get("optim", {}).get("validation_split"):
        expected, hint = "optim.validation_split with it", "the KL divergence is measured on the validation split"
        yield document.problem(("stop",), expected, "none", hint)


def _method_contradictions(document: Document) -> Iterator[Problem]:
    data, method = document.data, document.data.get("method", SFT)
    for other in PREFERENCE_METHODS:
        if other in data and method != other:
            yield document.problem((other,), f"method: {other} with it", repr(method), "delete it")
    if method in PREFERENCE_METHODS and data.get("lora", {}).get("dropout"):
        hint = f"{method} compares the adapter with its start on the same inputs: delete it"
        yield document.problem(("lora", "dropout"), f"none with method: {method}", str(data["lora"]["dropout"]), hint)
    if method == KTO and data.get("optim", {}).get("batch") == 1:
        hint = "kto estimates the divergence from the outputs of the step's other prompts"
        yield document.problem(("optim", "batch"), "at least 2 rows per step with method: kto", "1", hint)


def _is_there(rows: Path) -> bool:
    """Whether rows are a file, or well-formed as a data set of the Hub."""
    return HUB_NAME.fullmatch(hub_name(rows)) is not None if hub_name(rows) else rows.is_file()


def _missing(document: Document, index: int, file: Path) -> Problem:
    if name := hub_name(file):
        return document.problem(("rows", index), f"a data set with its revision: {HUB_FORM}", name)
    return document.problem(("rows", index), "a file of rows, relative to the recipe", f"no file {file}")


def render_recipe(recipe: Recipe) -> Iterator[str]:
    """Yield a line per key: name, value and title; values that the recipe does not set are marked as defaults."""
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
