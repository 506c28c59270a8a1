"""Fixture files to tasks, units and cases; every mistake in them at once, before anything heavy is imported."""

from __future__ import annotations

import difflib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any

from harness.checks.outcome import Check, CheckKind, Kind
from harness.checks.table import CHECKS
from harness.errors import AuthoringError, Problem, Refused, show_path
from harness.files import canonical, digest
from harness.policy import Policy, read_policy
from harness.yamlfile import Document, Where, check_shape, read_yaml

PLACEHOLDER = re.compile(r"\{(input|context)\}")


@dataclass(frozen=True, slots=True)
class Prompt:
    """How a case's input becomes chat messages; `{input}` and `{context}` are replaced literally, other braces stay."""

    system: str | None = None
    template: str = "{input}"

    def fill(self, text: str, context: str | None) -> str:
        """The user message for an input, with its context where the template asks for it."""
        values = {"input": text, "context": context or ""}
        return PLACEHOLDER.sub(lambda found: values[found[1]], self.template)


@dataclass(frozen=True, slots=True)
class Decoding:
    """How an answer is decoded: greedy unless a temperature is given. `seed` counts only when sampling."""

    max_new_tokens: int = 128
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Case:
    """One fixture: an input, what a good answer must meet, and where it is written."""

    id: str
    unit: str
    input: str
    check: Check
    prompt: Prompt
    decoding: Decoding
    expect: Any = None
    context: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    critical: bool = False
    group: str | None = None
    place: str = ""

    @property
    def key(self) -> str:
        """`<task>/<unit>/<id>`: its name in records, node ids and replay files."""
        return f"{self.unit}/{self.id}"


@dataclass(frozen=True)
class Unit:
    """The cases that share a `unit:` key in one task: what has a baseline and a verdict."""

    task: str
    name: str
    suite: str
    cases: tuple[Case, ...]
    shots: tuple[tuple[str, str], ...] = ()
    sealed: bool = False
    asked: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)

    @property
    def key(self) -> str:
        """`<task>/<unit>`."""
        return f"{self.task}/{self.name}"

    @property
    def row(self) -> CheckKind:
        """The suite's row in the table of checks."""
        return CHECKS[self.suite]

    @property
    def kind(self) -> Kind:
        """Pass/fail or continuous."""
        return self.row.kind

    @cached_property
    def questions(self) -> dict[str, str]:
        """The digest of each part of what the unit asks: two records compare only where all of them are equal.

        The order is the order in which a difference is worth telling.
        """
        return {
            "suite": self.suite,
            "cases": digest(sorted(case.id for case in self.cases)),
            "inputs": self._digest(lambda case: [case.input, case.context, case.group]),
            "prompt": self._digest(lambda case: [case.prompt.system, case.prompt.template]),
            "checks": self._digest(lambda case: [self.asked[case.id], case.expect]),
            "marks": self._digest(lambda case: [dict(case.tags), case.critical]),
            "references": self._digest(lambda case: case.check.references),
            "check code": _code_digest(self.row.code),
            "decoding": self._digest(lambda case: [getattr(case.decoding, name) for name in Decoding.__slots__]),
        }

    def _digest(self, part: Any) -> str:
        return digest({case.id: part(case) for case in self.cases})


@dataclass(frozen=True)
class Task:
    """A workflow: the units under `fixtures/<task>/` and the policy of its `task.yaml`."""

    name: str
    units: tuple[Unit, ...]
    policy: Policy


def schema(name: str) -> dict[str, Any]:
    """A JSON Schema that ships with the package: `fixture`, `task` or `record`."""
    text = resources.files("harness").joinpath(f"{name}.schema.json").read_text("utf-8")
    return dict(json.loads(text))


def load_tasks(root: Path) -> tuple[Task, ...]:
    """Read every task below `root` (one folder each).

    Raises:
        AuthoringError: mistakes in any of the files, all of them.
        Refused: `root` is missing or holds no fixture file.
    """
    if not root.is_dir():
        raise Refused(f"{show_path(root)}: expected a folder of fixtures, found nothing; name it with --cases DIR")
    problems: list[Problem] = []
    tasks = [_load_task(folder, problems) for folder in sorted(root.iterdir()) if _is_task(folder)]
    problems += [
        Problem(show_path(path), 1, "", "fixture files inside a task's folder", "one beside them",
                f"move it to {show_path(root)}/<task>/{path.name}")
        for path in sorted(root.glob("*.y*ml"))
    ]  # fmt: skip
    if problems:
        raise AuthoringError(problems)
    if not tasks:
        raise Refused(f"{show_path(root)}: expected <task>/*.yaml fixture files, found none; nothing to judge")
    return tuple(tasks)


def _is_task(folder: Path) -> bool:
    return folder.is_dir() and not folder.name.startswith((".", "_"))


def _load_task(folder: Path, problems: list[Problem]) -> Task:
    parts: list[_Part] = []
    for path in sorted(folder.glob("*.y*ml")):
        if path.name != "task.yaml":
            with _collecting(problems):
                parts.append(_read_part(path, problems))
    if not parts and not problems:
        problems.append(Problem(show_path(folder), 1, "", "at least one fixture file (*.yaml)", "none"))
    units = _units(folder.name, parts, problems)
    policy = Policy()
    if (folder / "task.yaml").exists():
        with _collecting(problems):
            policy = read_policy(folder / "task.yaml", schema("task"), {unit.name: unit.kind for unit in units})
    return Task(folder.name, units, policy)


class _collecting:  # noqa: N801  (reads as a statement)
    """Put the problems of an `AuthoringError` in a list and go on."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if isinstance(error, AuthoringError):
            self.problems += error.problems
            return True
        return False


@dataclass(frozen=True)
class _Part:
    """One fixture file, parsed; several may make up a unit."""

    document: Document
    name: str
    suite: str
    sealed: bool
    cases: list[Case]
    asked: dict[str, Mapping[str, Any]]
    lines: dict[str, int]
    shots: tuple[tuple[str, str], ...]


def _read_part(path: Path, problems: list[Problem]) -> _Part:
    document = read_yaml(path)
    shape = check_shape(document, schema("fixture"))
    if shape:
        raise AuthoringError(_explain_scalars(shape))
    data = document.data
    part = _Part(
        document, data.get("unit", data["suite"]), data["suite"], data.get("sealed", False), [], {}, {},
        tuple((shot["input"], shot["output"]) for shot in data.get("shots", [])),
    )  # fmt: skip
    loaded: dict[str, Check] = {}
    for index, raw in enumerate(data["cases"]):
        with _collecting(problems):
            _read_case(part, raw, ("cases", index), loaded)
    return part


def _explain_scalars(problems: Sequence[Problem]) -> list[Problem]:
    """YAML reads bare `no`, `1.0` and `007` as other things than text: say so where text was expected."""
    hint = "put it in quotes"
    return [
        replace(problem, hint=hint)
        if not problem.hint and problem.expected.startswith("text") and not problem.found.startswith(("'", "[", "{"))
        else problem
        for problem in problems
    ]


def _read_case(part: _Part, raw: Mapping[str, Any], where: Where, loaded: dict[str, Check]) -> None:
    document, data = part.document, part.document.data
    case_id = raw["id"]
    if case_id in part.lines:
        found = f"{case_id!r} again (first on line {part.lines[case_id]})"
        raise AuthoringError([document.problem((*where, "id"), "an id that is unique in its unit", found)])
    part.lines[case_id] = document.line(where)
    options = {**data.get("check", {}), **raw.get("check", {})}
    source: Where = (*where, "check") if "check" in raw else ("check",)
    check = _load_check(part, options, source if "check" in data or "check" in raw else where, loaded)
    problems = _expect_problems(part, check, raw.get("expect"), (*where, "expect"))
    prompt = Prompt(**{**data.get("prompt", {}), **raw.get("prompt", {})})
    problems += _prompt_problems(document, prompt, raw, where)
    if problems:
        raise AuthoringError(problems)
    part.asked[case_id] = options
    part.cases.append(
        Case(
            id=case_id,
            unit=f"{document.path.parent.name}/{part.name}",
            input=raw["input"],
            check=check,
            prompt=prompt,
            decoding=Decoding(**{**data.get("generate", {}), **raw.get("generate", {})}),
            expect=raw.get("expect"),
            context=raw.get("context"),
            tags=raw.get("tags", {}),
            critical=raw.get("critical", False),
            group=raw.get("group"),
            place=f"{show_path(document.path)}:{document.line(where)}",
        )
    )


def _load_check(part: _Part, options: Mapping[str, Any], where: Where, loaded: dict[str, Check]) -> Check:
    row = CHECKS[part.suite]
    key = canonical(options)
    if key in loaded:
        return loaded[key]
    if not options and row.options.get("required"):
        needed = ", ".join(row.options["required"])
        raise AuthoringError(
            [part.document.problem(where, f"a check with {needed}, on the file or on the case", "none")]
        )
    shape = check_shape(part.document, row.options, where, options)
    if shape:
        raise AuthoringError(shape)
    loaded[key] = row.load(options, part.document, where)
    return loaded[key]


def _expect_problems(part: _Part, check: Check, expect: Any, where: Where) -> list[Problem]:
    row = CHECKS[part.suite]
    if expect is None:
        needed = ", ".join(row.expect.get("properties", {})) or "the answer's facts"
        missing = part.document.problem(where[:-1], f"an expect with {needed}", "none")
        return [missing] if row.needs_expect else []
    shape = check_shape(part.document, row.expect, where, expect)
    return shape or check.expect_problems(expect, part.document, where)


def _prompt_problems(document: Document, prompt: Prompt, raw: Mapping[str, Any], where: Where) -> list[Problem]:
    if "{input}" not in prompt.template:
        place: Where = (*where, "prompt") if "prompt" in raw else ("prompt", "template")
        return [document.problem(place, "{input} in the template", repr(prompt.template))]
    if "{context}" in prompt.template and "context" not in raw:
        return [document.problem(where, "a context, which the prompt's template asks for", "none")]
    return []


def _units(task: str, parts: Sequence[_Part], problems: list[Problem]) -> tuple[Unit, ...]:
    units = []
    for name in dict.fromkeys(part.name for part in parts):
        same = [part for part in parts if part.name == name]
        problems += _clashes(same)
        first = same[0]
        units.append(
            Unit(
                task, name, first.suite,
                cases=tuple(case for part in same for case in part.cases),
                shots=tuple(shot for part in same for shot in part.shots),
                sealed=first.sealed,
                asked={case_id: options for part in same for case_id, options in part.asked.items()},
            )
        )  # fmt: skip
    return tuple(units)


def _clashes(parts: Sequence[_Part]) -> Iterator[Problem]:
    first = parts[0]
    for part in parts[1:]:
        other = show_path(first.document.path)
        for key, mine, theirs in (("suite", part.suite, first.suite), ("sealed", part.sealed, first.sealed)):
            if mine != theirs:
                expected = f"{key} {theirs!r}, as in {other} (a unit has one)"
                yield part.document.problem((key,), expected, repr(mine), "give this file a unit: of its own")
    homes = Counter(case_id for part in parts for case_id in part.lines)
    for part in parts[1:]:
        for case_id, line in part.lines.items():
            if homes[case_id] > 1 and case_id in first.lines:
                found = f"{case_id!r}, also in {show_path(first.document.path)}:{first.lines[case_id]}"
                yield Problem(show_path(part.document.path), line, "cases", "an id that is unique in its unit", found)


def _code_digest(modules: Iterable[str]) -> str:
    sources = []
    for name in modules:
        package, _, module = name.rpartition(".")
        sources.append(resources.files(package).joinpath(f"{module}.py").read_text("utf-8"))
    return digest(sources)


def find_unit(tasks: Sequence[Task], key: str) -> Unit:
    """The unit called `<task>/<unit>`.

    Raises:
        Refused: there is none; says which one was probably meant.
    """
    units = {unit.key: unit for task in tasks for unit in task.units}
    if key in units:
        return units[key]
    close = difflib.get_close_matches(key, units, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    raise Refused(f"unit {key!r}: expected one of {', '.join(units)}{hint}")
