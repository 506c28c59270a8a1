"""Fixture files to tasks, units and cases; every mistake in them at once, before anything heavy is imported."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any

from harness.checks.outcome import Check, CheckKind, Kind
from harness.checks.table import CHECKS, measures, row_name
from harness.errors import AuthoringError, Problem, Refused, show_path
from harness.files import canonical, digest
from harness.policy import Policy, read_policy
from harness.yamlfile import Document, Where, check_shape, did_you_mean, read_yaml, show_value

PLACEHOLDER = re.compile(r"\{(input|context)\}")
POLICY = "task.yaml"
UNIQUE = "an id that is unique in its unit"


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

    @property
    def observation(self) -> tuple[str | None, ...]:
        """What it is one observation of: its group, else its question, which counts once however often it is asked."""
        if self.group:
            return ("group", self.group)
        return ("question", self.input, self.context, self.prompt.system, self.prompt.template)


@dataclass(frozen=True)
class Unit:
    """The cases that share a `unit:` key in one task: what has a baseline and a verdict."""

    task: str
    name: str
    suite: str
    cases: tuple[Case, ...]
    measure: str = ""
    shots: tuple[tuple[str, str], ...] = ()
    sealed: bool = False
    asked: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)

    @property
    def key(self) -> str:
        """`<task>/<unit>`."""
        return f"{self.task}/{self.name}"

    @property
    def row(self) -> CheckKind:
        """Its row in the table of checks."""
        return CHECKS[row_name(self.suite, self.measure)]

    @property
    def kind(self) -> Kind:
        """Pass/fail or continuous."""
        return self.row.kind

    def texts(self, case: Case) -> tuple[str, ...]:
        """The texts whose likelihood a case asks for; none where it asks for an answer."""
        return self.row.texts(case.input, case.expect) if self.row.texts else ()

    @cached_property
    def questions(self) -> dict[str, str]:
        """The digest of each part of what the unit asks: two records compare only where all of them are equal.

        The order is the order in which a difference is worth telling.
        """
        return {
            "suite": row_name(self.suite, self.measure),
            "cases": digest(sorted(case.id for case in self.cases)),
            "inputs": self._digest(lambda case: [case.input, case.context, case.group]),
            "prompt": self._digest(lambda case: [case.prompt.system, case.prompt.template]),
            "shots": digest(self.shots),
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

    @property
    def policies(self) -> dict[str, dict[str, Any]]:
        """What task.yaml holds each unit to, by the unit's key."""
        return {unit.key: self.policy.as_dict(unit.name, unit.kind, unit.sealed) for unit in self.units}


def schema(name: str) -> dict[str, Any]:
    """A JSON Schema that ships with the package: `fixture`, `task` or `record`."""
    text = resources.files("harness").joinpath(f"{name}.schema.json").read_text("utf-8")
    return dict(json.loads(text))


def load_tasks(root: Path) -> tuple[Task, ...]:
    """Read every task below `root` (one folder each).

    Raises:
        AuthoringError: mistakes in any of the files, all of them.
        Refused: `root` is missing, is a task's own folder, or holds no fixture file.
    """
    shown = show_path(root)
    if not root.is_dir():
        raise Refused(f"{shown}: expected a folder of fixtures, found nothing; name it with --cases DIR")
    if (root / POLICY).exists():
        above = show_path(root.resolve().parent)
        raise Refused(f"{shown}: expected a folder of tasks, found one task; name the folder above it, {above}")
    problems: list[Problem] = []
    tasks = [_load_task(folder, problems) for folder in sorted(root.iterdir()) if _is_task(folder)]
    problems += [
        Problem(show_path(path), 1, "", "fixture files inside a task's folder", "one beside them",
                f"move it to {shown}/<task>/{path.name}")
        for path in _yaml_files(root)
    ]  # fmt: skip
    if problems:
        raise AuthoringError(problems)
    if not tasks:
        raise Refused(f"{shown}: expected <task>/*.yaml fixture files, found none; nothing to judge")
    return tuple(tasks)


def _is_task(folder: Path) -> bool:
    return folder.is_dir() and not folder.name.startswith((".", "_"))


def _yaml_files(folder: Path) -> list[Path]:
    files = sorted(folder.iterdir())
    return [path for path in files if path.suffix.lower() in {".yaml", ".yml"} and not path.name.startswith(".")]


def _load_task(folder: Path, problems: list[Problem]) -> Task:
    parts: list[_Part] = []
    files = [path for path in _yaml_files(folder) if path.name != POLICY]
    if not files:
        problems.append(Problem(show_path(folder), 1, "", "at least one fixture file (*.yaml)", "none"))
    for path in files:
        with _collecting(problems):
            parts.append(_read_part(path, problems))
    units = _units(folder.name, parts, problems)
    policy = Policy()
    if (folder / POLICY).exists():
        kinds = {unit.name: unit.kind for unit in units}
        with _collecting(problems):
            policy = read_policy(folder / POLICY, schema("task"), kinds, complete=len(parts) == len(files))
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
    """One fixture file, parsed; several may make up a unit. `ids` holds the index of each id in the file."""

    document: Document
    name: str
    suite: str
    measure: str
    sealed: bool
    shots: tuple[tuple[str, str], ...]
    cases: list[Case] = field(default_factory=list)
    asked: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    ids: dict[str, int] = field(default_factory=dict)
    checks: dict[str, Check | AuthoringError] = field(default_factory=dict)

    @property
    def row(self) -> CheckKind:
        """Its row in the table of checks."""
        return CHECKS[row_name(self.suite, self.measure)]

    def place(self, case_id: str) -> Where:
        """Where the case's id stands."""
        return ("cases", self.ids[case_id], "id")


def _read_part(path: Path, problems: list[Problem]) -> _Part:
    """Read one fixture file; what is wrong with single cases is added to `problems`, and the others are read."""
    if path.stem == Path(POLICY).stem:
        raise AuthoringError([Problem(show_path(path), 1, "", f"the name {POLICY}", path.name, "rename it")])
    document = read_yaml(path)
    shape = check_shape(document, schema("fixture"))
    inside = [_CASE.match(problem.where) for problem in shape]
    if not all(inside):
        raise AuthoringError(shape)
    problems += shape
    data, misshapen = document.data, {int(found[1]) for found in inside if found}
    shots = tuple((shot["input"], shot["output"]) for shot in data.get("shots", []))
    suite = data["suite"]
    part = _Part(document, data.get("unit", suite), suite, _measure(document), data.get("sealed", False), shots)
    problems += _ignored(part, data, ())
    _without_check(part)
    for index, raw in enumerate(data["cases"]):
        problems += _take_id(part, raw, index)
        problems += (ignored := list(_ignored(part, raw, ("cases", index))))
        if index not in misshapen and not ignored:
            with _collecting(problems):
                part.cases.append(_read_case(part, raw, ("cases", index)))
    return replace(
        part, document=document.only([("suite",), ("check", "measure"), ("sealed",), *map(part.place, part.ids)])
    )


def _measure(document: Document) -> str:
    """What the file measures; refuses what its suite does not."""
    suite, found = document.data["suite"], document.data.get("check", {}).get("measure", "")
    known = measures(suite)
    names = [name for name in known if name]
    if found in known and isinstance(found, str):
        return found
    where: Where = ("check", "measure") if found else ("check",)
    if not names:
        raise AuthoringError([document.problem(where, f"no measure, {suite} has one only", show_value(found))])
    hint = did_you_mean(found, names) if found else f"write check: {{measure: {names[0]}}} above the cases"
    expected = f"{'a measure' if found else 'a check with measure'}: {' or '.join(names)}"
    raise AuthoringError([document.problem(where, expected, show_value(found) if found else "none", hint)])


def _ignored(part: _Part, data: Any, where: Where) -> Iterator[Problem]:
    """Keys of the file, or of the case at `where`, that would mean nothing to its suite."""
    for key in part.row.ignores:
        if isinstance(data, dict) and key in data:
            name = row_name(part.suite, part.measure)
            yield part.document.problem((*where, key), f"no {key}, which {name} does not read", "one", "delete it")


_CASE = re.compile(r"cases\[(\d+)\]")


def _without_check(part: _Part) -> None:
    """Where neither the file nor any case has a check, let all cases share one mistake."""
    data, needed = part.document.data, part.row.options.get("required", ())
    if needed and not any(raw.get("check") for raw in [data, *data["cases"]] if isinstance(raw, dict)):
        keys = ", ".join(needed)
        hint = f"write check: {{{keys}: ...}} above the cases"
        missing = part.document.problem(("check",), f"a check with {keys}, on the file or on its cases", "none", hint)
        part.checks[canonical({})] = AuthoringError([missing])


def _take_id(part: _Part, raw: Any, index: int) -> Iterator[Problem]:
    case_id = raw.get("id") if isinstance(raw, dict) else None
    if not isinstance(case_id, str):
        return
    if case_id in part.ids:
        found = f"{case_id!r} again (first on line {part.document.line(part.place(case_id))})"
        yield part.document.problem(("cases", index, "id"), UNIQUE, found)
    else:
        part.ids[case_id] = index


def _read_case(part: _Part, raw: Mapping[str, Any], where: Where) -> Case:
    document, data = part.document, part.document.data
    problems: list[Problem] = []
    options = {**data.get("check", {}), **raw.get("check", {})}
    check: Check | None = None
    with _collecting(problems):
        check = _load_check(part, options, (*where, "check") if "check" in raw else ("check",), where)
    problems += _expect_problems(part, check, raw.get("expect"), (*where, "expect"))
    prompt = Prompt(**{**data.get("prompt", {}), **raw.get("prompt", {})})
    problems += _prompt_problems(document, prompt, raw, where)
    if problems or check is None:
        raise AuthoringError(problems)
    part.asked[raw["id"]] = options
    return Case(
        id=raw["id"],
        unit=f"{document.path.parent.name}/{part.name}",
        input=raw["input"],
        check=check,
        prompt=prompt,
        decoding=_decoding({**data.get("generate", {}), **raw.get("generate", {})}),
        expect=raw.get("expect"),
        context=raw.get("context"),
        tags=raw.get("tags", {}),
        critical=raw.get("critical", False),
        group=raw.get("group"),
        place=f"{document.name}:{document.line(where)}",
    )


def _decoding(values: Mapping[str, Any]) -> Decoding:
    """The same values are the same question: `1`, `1.0` and `1e0` alike."""
    return Decoding(**{name: _DECODING_KINDS[name](value) for name, value in values.items()})


_DECODING_KINDS = {name: type(default) for name, default in asdict(Decoding()).items()}


def _load_check(part: _Part, options: Mapping[str, Any], where: Where, case: Where) -> Check:
    """The check of `options`, each different one loaded once, also where that fails."""
    row, key = part.row, canonical(options)
    if not options and key not in part.checks and row.options.get("required"):
        needed = ", ".join(row.options["required"])
        raise AuthoringError([part.document.problem(case, f"a check with {needed}, here or on the file", "none")])
    if key not in part.checks:
        try:
            shape = check_shape(part.document, row.options, where, options)
            if shape:
                raise AuthoringError(shape)
            part.checks[key] = row.load(options, part.document, where)
        except AuthoringError as error:
            part.checks[key] = error
    check = part.checks[key]
    if isinstance(check, AuthoringError):
        raise check
    return check


def _expect_problems(part: _Part, check: Check | None, expect: Any, where: Where) -> list[Problem]:
    row = part.row
    if expect is None:
        needed = " or ".join(row.expect.get("properties", {})) or "the answer's facts"
        missing = part.document.problem(where[:-1], f"an expect with {needed}", "none")
        return [missing] if row.needs_expect else []
    shape = check_shape(part.document, row.expect, where, expect)
    return shape or (check.expect_problems(expect, part.document, where) if check else [])


def _prompt_problems(document: Document, prompt: Prompt, raw: Mapping[str, Any], where: Where) -> list[Problem]:
    if "{input}" not in prompt.template:
        own = "template" in raw.get("prompt", {})
        place: Where = (*where, "prompt", "template") if own else ("prompt", "template")
        return [document.problem(place, "a template that holds {input}", show_value(prompt.template))]
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
                task, name, first.suite, measure=first.measure,
                cases=tuple(case for part in same for case in part.cases),
                shots=tuple(shot for part in same for shot in part.shots),
                sealed=first.sealed,
                asked={case_id: options for part in same for case_id, options in part.asked.items()},
            )
        )  # fmt: skip
    return tuple(units)


def _clashes(parts: Sequence[_Part]) -> Iterator[Problem]:
    first, homes = parts[0], dict[str, _Part]()
    for part in parts:
        for where, mine, theirs in (
            (("suite",), part.suite, first.suite),
            (("check", "measure"), part.measure or "none", first.measure or "none"),
            (("sealed",), part.sealed, first.sealed),
        ):
            if mine != theirs:
                expected = f"{where[-1]}: {_plain(theirs)}, as in {first.document.name} (a unit has one)"
                hint = "give this file a unit: of its own"
                yield part.document.problem(where, expected, _plain(mine), hint)
        for case_id in part.ids:
            home = homes.setdefault(case_id, part)
            if home is not part:
                place = f"{home.document.name}:{home.document.line(home.place(case_id))}"
                yield part.document.problem(part.place(case_id), UNIQUE, f"{case_id!r}, also in {place}")


def _plain(value: str | bool) -> str:
    return value if isinstance(value, str) else show_value(value)


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
    hint = did_you_mean(key, units)
    raise Refused(f"unit {key!r}: expected one of {', '.join(units)}{hint and '; ' + hint}")
