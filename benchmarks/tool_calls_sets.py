"""BFCL's single-turn Python sets as fixture files of the suite `tools`, and results of its leaderboard as messages."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

from benchmarks.frame import Failed
from benchmarks.tool_calls_theirs import HOME
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.cases.model import Case
from tunegate.harness.checks.outputs.message import read_message
from tunegate.harness.checks.schema.validator import Validator
from tunegate.harness.checks.tools.definitions import MOST_TOOLS, read_tools
from tunegate.harness.checks.tools.matching import tool_fields
from tunegate.harness.core.authoring.document import Document

SETS = {"simple_python": 400, "multiple": 200, "parallel": 200, "parallel_multiple": 200, "irrelevance": 240}
#: What the sets are called in published results.
PUBLISHED = {
    "simple_python": "simple", "multiple": "multiple_function", "parallel": "parallel_function",
    "parallel_multiple": "parallel_multiple_function", "irrelevance": "relevance",
}  # fmt: skip
TYPES = {"dict": "object", "float": "number", "tuple": "array", "any": "string"}  # as BFCL offers them to servers
NO_KEYWORDS = {"optional", "format"}  # BFCL's own mark, and one that its checker does not read
OPTIONAL = ""  # among possible answers: the argument may be missing
NO_VALUE = "no value is left"
Options = Sequence[Any]


@dataclass(frozen=True)
class Entry:
    """One question of BFCL: its functions, and for each expected call the possible answers of its arguments."""

    id: str
    category: str
    question: str
    function: Sequence[Mapping[str, Any]]
    answer: Sequence[Mapping[str, Mapping[str, Options]]]


def read_entries(gorilla: Path) -> list[Entry]:
    """Read the five sets of a clone of gorilla.

    Raises:
        Failed: a set is missing, or has another size than is known.
    """
    folder, found = gorilla / HOME / "bfcl_eval" / "data", []
    for category, size in SETS.items():
        name = f"BFCL_v4_{category}.json"
        if not (folder / name).is_file():
            raise Failed(f"{folder / name}: expected BFCL's questions, found no file; clone ShishirPatil/gorilla")
        asked = _lines(folder / name)
        answers = [{}] * size if category == "irrelevance" else _lines(folder / "possible_answer" / name)
        if not len(asked) == len(answers) == size:
            raise Failed(f"{folder / name}: expected {size} questions with answers, found {len(asked)}")
        for each, answer in zip(asked, answers, strict=True):
            [[turn]] = each["question"]
            found.append(Entry(each["id"], category, turn["content"], each["function"], answer.get("ground_truth", [])))
    return found


def _lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def tool_name(name: str) -> str:
    """A function's name as BFCL offers it to servers, which take no dots."""
    return name.replace(".", "_")


def json_schema(raw: Mapping[str, Any]) -> dict[str, Any]:
    """A schema of BFCL's as JSON Schema."""
    schema = {key: value for key, value in raw.items() if key not in NO_KEYWORDS}
    if "type" in raw:
        schema["type"] = TYPES.get(raw["type"], raw["type"])
    if "properties" in raw:
        schema["properties"] = {name: json_schema(each) for name, each in raw["properties"].items()}
    if "items" in raw:
        schema["items"] = json_schema(raw["items"])
    return schema


def as_tool(function: Mapping[str, Any]) -> dict[str, Any]:
    """A function of BFCL's as a tool in OpenAI's form."""
    inner = {"name": tool_name(function["name"]), "description": function["description"]}
    return {"type": "function", "function": inner | {"parameters": json_schema(function["parameters"])}}


def values(options: Options) -> list[Any]:
    """The values that possible answers allow: those of an object's keys are possible answers again."""
    found = [value for each in options if each != OPTIONAL for value in _values(each)]
    return [each for index, each in enumerate(found) if _text(each) not in map(_text, found[:index])]


def _values(answer: Any) -> Iterator[Any]:
    if isinstance(answer, list):
        yield from (list(each) for each in product(*([*_values(item)] for item in answer)))
    elif isinstance(answer, dict):
        lacking = object()
        choices = ([*values(each), *([lacking] if OPTIONAL in each else [])] for each in answer.values())
        for chosen in product(*choices):
            yield {key: value for key, value in zip(answer, chosen, strict=True) if value is not lacking}
    else:
        yield answer


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def expected_call(function: Mapping[str, Any], answers: Mapping[str, Options]) -> tuple[dict[str, Any], list[str]]:
    """The `expect` of a call, and the values that the function's own schema refuses, which no fixture may have."""
    properties, refused = json_schema(function["parameters"])["properties"], []
    call: dict[str, Any] = {"name": tool_name(function["name"]), "arguments": {}, "optional": {}}
    for name, options in answers.items():
        validator = Validator(properties.get(name, {"not": {}}))
        fit = [each for each in values(options) if not [*validator.violations(each)]]
        refused += [f"{name}={_text(each)}" for each in values(options) if each not in fit]
        if fit:
            key = "optional" if OPTIONAL in options else "arguments"
            call[key][name] = {"any_of": fit} if len(fit) > 1 else fit[0]
        elif OPTIONAL not in options:
            refused.append(f"{name}: {NO_VALUE}")
    return call, refused


def as_case(entry: Entry) -> tuple[dict[str, Any], list[str]]:
    """An entry as a case of a fixture file, and the possible answers that its tools refuse."""
    functions = {each["name"]: each for each in entry.function}
    calls, refused = [], list[str]()
    for each in entry.answer:
        [(name, answers)] = each.items()
        call, wrong = expected_call(functions[name], answers)
        calls.append({key: value for key, value in call.items() if value})
        refused += wrong
    names = [tool_name(name) for name in functions]
    return {"id": entry.id, "input": entry.question, "tools": names, "expect": {"calls": calls or "none"}}, refused


def free_texts(tools: Sequence[Mapping[str, Any]]) -> list[str]:
    """The arguments of tools that may be any text, as `TOOL.ARGUMENT`."""
    found = read_tools([*tools], Document(Path("calls.yaml"), {}, {}), ())
    schemas = tool_fields(found.every).schemas
    return [
        name for name, each in schemas.items() if all(one.get("type") == "string" and "enum" not in one for one in each)
    ]


def write_fixtures(entries: Sequence[Entry], folder: Path, as_text: bool = False) -> dict[str, list[str]]:
    """Write the fixture files of a project; return the possible answers that the tools refuse, by entry.

    With `as_text`, arguments that may be any text have the rule `as: text`.

    Names of functions return with other schemas, so that a file has entries that do not contradict each other. An
    entry without an answer that its own functions take is left out.
    """
    found: dict[str, list[str]] = {}
    files: list[_File] = []
    for entry in entries:
        case, refused = as_case(entry)
        if refused:
            found[entry.id] = refused
        if not any(each.endswith(NO_VALUE) for each in refused):
            tools = {tool_name(each["name"]): as_tool(each) for each in entry.function}
            file = next((each for each in files if each.takes(tools)), None) or _File()
            files += [] if file in files else [file]
            file.tools.update(tools)
            file.cases.append(case)
    for number, file in enumerate(files):
        path = folder / f"bfcl-{number}" / "calls.yaml"
        path.parent.mkdir(parents=True)
        tools = [*file.tools.values()]
        rules = {name: {"as": "text"} for name in (free_texts(tools) if as_text else ())}
        check = {"check": {"fields": rules}} if rules else {}
        raw = {"version": 1, "suite": "tools", "tools": tools, **check, "cases": file.cases}
        path.write_text(json.dumps(raw), "utf-8")
    return found


@dataclass(eq=False)
class _File:
    """A fixture file: its tools by name, and its cases."""

    tools: dict[str, dict[str, Any]] = field(default_factory=dict)
    cases: list[dict[str, Any]] = field(default_factory=list)

    def takes(self, tools: Mapping[str, Any]) -> bool:
        """Whether these tools have no namesake here, and there is room for them."""
        same = all(self.tools.get(name, tool) == tool for name, tool in tools.items())
        return same and len(self.tools | dict(tools)) <= MOST_TOOLS


def load_cases(folder: Path) -> dict[str, Case]:
    """Read fixture files as a run does; cases by their ids."""
    return {case.id: case for task in load_tasks(folder) for unit in task.units for case in unit.cases}


def as_message(result: Any) -> str:
    """A result in BFCL's form, `[{NAME: ARGUMENTS}]` or a text, as an output of a request with tools."""
    if isinstance(result, list) and all(isinstance(each, dict) for each in result):
        calls = [{"name": name, "arguments": arguments} for each in result for name, arguments in each.items()]
        return read_message({"content": None, "tool_calls": calls}).write()
    return read_message({"content": "\n".join(map(str, result)) if isinstance(result, list) else result}).write()


def published(folder: Path) -> Iterator[tuple[str, list[tuple[int, Any]]]]:
    """Yield each model whose results are calls of a server, not texts to be parsed, and its results by entry."""
    for model in sorted(path for path in folder.glob("*") if path.is_dir()):
        found: list[tuple[int, Any]] = []
        start = 0
        for category, size in SETS.items():
            path = model / f"gorilla_openfunctions_v1_test_{PUBLISHED[category]}_result.json"
            lines = _lines(path) if path.exists() else []
            found += [(start + int(each["id"].rpartition("_")[2]), _named(each["result"])) for each in lines]
            start += size
        if any(isinstance(result, list) and result and isinstance(result[0], dict) for _, result in found):
            yield model.name, found


def _named(result: Any) -> Any:
    """A result whose functions have the names that servers take; some were offered with their dots."""
    if not isinstance(result, list):
        return result
    return [
        {tool_name(name): value for name, value in each.items()} if isinstance(each, dict) else each for each in result
    ]
