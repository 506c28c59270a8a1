"""Write imported cases as fixture files, as people write them, with a comment for all that was left out."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tunegate.harness.begin.scaffold.outlook import look_ahead
from tunegate.harness.begin.scaffold.task import ONE_LINE, task_of_files
from tunegate.harness.cases.conversation import write_input
from tunegate.harness.cases.file import POLICY
from tunegate.harness.cases.model import Task
from tunegate.harness.checks.scored import PASS
from tunegate.harness.core.authoring.yaml_writer import write_yaml
from tunegate.harness.core.errors import AuthoringError, Refused, show_path
from tunegate.harness.core.escaping import shown
from tunegate.harness.core.formatting import listed
from tunegate.harness.imports.model import Imported, ImportedCase, RunnerCase
from tunegate.harness.imports.rules import all_rules

TEXT, JSON, SCORED = "text", "json", "scored"
TEXT_CHECK = {"schema": {"type": "string"}, "extract": "text"}
MOST_TOKENS = 512  # of an output; the tools have 500 to 1,024, and a longer one is seldom checked
LARGE = 600  # characters of a schema that gets a file of its own
MOST_TAGS = 20  # different values of a key whose values are labels
_NO_NAME = re.compile(r"[^A-Za-z0-9_.+-]+")


@dataclass(frozen=True)
class ImportedTask:
    """A task to write: its files by path, relative to its folder, and outputs by model and case."""

    name: str
    files: Mapping[str, str]
    outputs: Mapping[str, Mapping[str, str]]
    cases: Mapping[str, int]


@dataclass
class _Unit:
    """One unit: its name and form, and its cases by id."""

    name: str
    form: str
    template: str
    cases: dict[str, ImportedCase] = field(default_factory=dict)


def task_of(name: str, imported: Imported, folder: Path | None = None) -> ImportedTask:
    """Make the files of a task, and load them; `folder` is theirs, from which files that decide are named.

    Raises:
        Refused: they do not load, an internal error or a text that a fixture cannot hold.
    """
    tags = _label_keys(imported)
    units = [unit for unit in _units(imported) if unit.cases]
    files: dict[str, str] = {}
    for unit in units:
        files |= _unit_files(unit, imported, tags)
    if imported.scored:
        files[f"{SCORED}.yaml"] = scored_file(imported, units)
    files |= {POLICY: _policy(imported, _loaded(name, files, imported.path))}
    if imported.scored and folder:  # loaded without the files, which are not beside it there
        files[f"{SCORED}.yaml"] = scored_file(imported, units, folder)
    outputs: dict[str, dict[str, str]] = {}
    for unit in units:
        for case_id, case in unit.cases.items():
            for model, output in case.outputs.items():
                outputs.setdefault(model, {})[f"{name}/{unit.name}/{case_id}"] = output
    counts = {unit.name: len(unit.cases) for unit in units}
    if imported.scored:
        counts[SCORED] = len(imported.scored.cases)
        outputs = {} if imported.scored.columns else outputs  # the result file has them
    return ImportedTask(name, files, outputs, counts)


def scored_file(imported: Imported, units: Sequence[_Unit], folder: Path | None = None) -> str:
    """The fixture file of the tests that their tool scores; a case has the id that it has in the other units."""
    scored = imported.scored
    if scored is None:
        raise ValueError("expected tests that their tool scores")
    known = {case.question: case_id for unit in units for case_id, case in unit.cases.items()}
    check: dict[str, Any] = {"from": scored.runner, "version": scored.version}
    if scored.metric != PASS:
        check["metric"] = scored.metric
    if folder and scored.files:
        check["files"] = [Path(os.path.relpath(each, folder)).as_posix() for each in scored.files]
    head = {"version": 1, "suite": SCORED, "unit": SCORED, "check": check}
    said = [_about(imported), f"{scored.runner} scores these cases; its result file is the model (replay:NAME=FILE)."]
    lines = [_comments(said), write_yaml(head, ONE_LINE), "cases:\n"]
    groups, names = Counter(case.group for case in scored.cases if case.group), set(known.values())
    for case_id, case in _runner_ids(scored.cases, known, names):
        shared = {"group": case.group} if groups[case.group] > 1 else {}
        data = {"id": case_id, "input": case.input, "expect": {"question": case.question}, **shared}
        lines.append(_indented(_comments(case.comments) + write_yaml([data], ONE_LINE)))
    return "".join(lines)


def _runner_ids(
    cases: Sequence[RunnerCase], known: Mapping[str, str], names: set[str]
) -> Iterator[tuple[str, RunnerCase]]:
    """Each case with the id that its question has elsewhere; otherwise its name if free, or its number."""
    taken = set(names)
    width = max(3, len(str(len(cases))))
    for number, case in enumerate(cases, start=1):
        name = _NO_NAME.sub("-", case.name).strip("-._+")[:60].rstrip("-._+")
        own = name if name and name not in taken and not name.startswith(("case-", "test-")) else ""
        found = known.get(case.question) or own or f"test-{number:0{width}}"
        taken.add(found)
        yield found, case


def _label_keys(imported: Imported) -> set[str]:
    """The keys of tags whose values repeat, as labels do; the others are left out."""
    values: dict[str, list[str]] = {}
    for case in imported.cases:
        for key, text in case.tags.items():
            values.setdefault(key, []).append(text)
    labels = {key for key, each in values.items() if len(set(each)) <= min(MOST_TAGS, len(each) // 2)}
    for key in sorted(values.keys() - labels):
        imported.tally.left[f"metadata {shown(key[:40])}", "its values are no labels"] += len(values[key])
    return labels


def _units(imported: Imported) -> Iterator[_Unit]:
    """The units: for each prompt one of texts and one of JSON."""
    by_set: dict[str, list[ImportedCase]] = {}
    for case in imported.cases:
        by_set.setdefault(case.set_name, []).append(case)
    taken: set[str] = set()
    for number, (set_name, cases) in enumerate(by_set.items(), start=1):
        base = _unit_name(set_name, f"set-{number}", taken)
        template = imported.templates.get(set_name, "{input}")
        texts = _Unit(base or TEXT, TEXT, template)
        objects = _Unit(f"{base}-{JSON}" if base else JSON, JSON, template)
        for case_id, case in _named(cases):
            if case.texts or case.equals:
                texts.cases[case_id] = case
            if case.json:
                objects.cases[case_id] = case
        yield from (texts, objects)


def _unit_name(set_name: str, fallback: str, taken: set[str]) -> str:
    if not set_name:
        return ""
    name = _NO_NAME.sub("-", set_name).strip("-._+")[:60].rstrip("-._+") or fallback
    if name in ("task", "diagnosis", SCORED) or name.endswith(".released") or {name, f"{name}-{JSON}"} & taken:
        name = f"{name}-{fallback}"
    taken |= {name, f"{name}-{JSON}"}
    return name


def _named(cases: Sequence[ImportedCase]) -> Iterator[tuple[str, ImportedCase]]:
    """Each case with an id: its name if that is the only one, otherwise its number."""
    names = [_NO_NAME.sub("-", case.name).strip("-._+")[:60].rstrip("-._+") for case in cases]
    counts, width = Counter(names), max(3, len(str(len(cases))))
    for number, (name, case) in enumerate(zip(names, cases, strict=True), start=1):
        is_usable = name and counts[name] == 1 and not name.startswith("case-")
        yield name if is_usable else f"case-{number:0{width}}", case


def _unit_files(unit: _Unit, imported: Imported, tags: set[str]) -> dict[str, str]:
    """The fixture file of a unit, and its schema if that is large."""
    cases = list(unit.cases.values())
    systems = list(dict.fromkeys(case.asked.system for case in cases))
    shared = systems[0] if len(systems) == 1 else None
    prompt = {key: text for key, text in (("system", shared), ("template", unit.template)) if text}
    check, files = _shared_check(unit, cases)
    head: dict[str, Any] = {"version": 1, "suite": "schema", "unit": unit.name, "prompt": prompt}
    head["generate"] = {"max_new_tokens": MOST_TOKENS}
    head |= {"check": check} if check else {}
    lines = [_comments([_about(imported), *imported.tally.lines()]), write_yaml(head, ONE_LINE), "cases:\n"]
    for case_id, case in unit.cases.items():
        data = _case(unit, case_id, case, shared, check, tags)
        said = _comments(case.comments) + write_yaml([data], (*ONE_LINE, "tags"))
        lines.append(_indented(said))
    return {f"{unit.name}.yaml": "".join(lines), **files}


def _indented(text: str) -> str:
    # a line of spaces belongs to a text, an empty one needs none
    return "".join(f"  {line}\n" if line else "\n" for line in text.removesuffix("\n").split("\n"))


def _comments(lines: Sequence[str]) -> str:
    return "".join(f"# {shown(line)}\n" for line in lines)


def _about(imported: Imported) -> str:
    return f"Imported from {imported.path.name}, a file of {imported.tool}."


def _shared_check(unit: _Unit, cases: Sequence[ImportedCase]) -> tuple[dict[str, Any], dict[str, str]]:
    """The check of the file, and the file of its schema if that is large; empty if the cases have none in common."""
    if unit.form == TEXT:
        return dict(TEXT_CHECK), {}
    rules = [case.json for case in cases if case.json]
    whole = {"match": "whole"} if any(rule.expect is not None for rule in rules) else {}
    if any((rule.schema, rule.extract) != (rules[0].schema, rules[0].extract) for rule in rules):
        return {"schema": {}, **whole}, {}
    schema: Any = dict(rules[0].schema)
    if len(repr(schema)) <= LARGE:
        return {"schema": schema, "extract": rules[0].extract, **whole}, {}
    name = f"refs/{unit.name}.schema.yaml"
    return {"schema": name, "extract": rules[0].extract, **whole}, {name: write_yaml(schema)}


def _case(
    unit: _Unit, case_id: str, case: ImportedCase, system: str | None, check: Mapping[str, Any], tags: set[str]
) -> dict[str, Any]:
    """A case as in a file."""
    data: dict[str, Any] = {"id": case_id, "input": write_input(case.asked.earlier, case.asked.text)}
    if case.context:
        data["context"] = case.context
    if kept := {key: text for key, text in case.tags.items() if key in tags}:
        data["tags"] = kept
    if case.asked.system and case.asked.system != system:
        data["prompt"] = {"system": case.asked.system}
    if unit.form == TEXT:
        rules = [*case.texts, *({"const": text} for text in case.equals)]
        if case.texts:  # in one schema: a text that breaks it is a mistake of a fixture
            data["check"] = {"schema": {"type": "string", **all_rules(rules)}}
        elif case.equals:
            data["expect"] = case.equals[0]
    elif case.json:
        if case.json.expect is not None:
            data["expect"] = case.json.expect
        if check == {"schema": {}} or check == {"schema": {}, "match": "whole"}:
            data["check"] = {"schema": dict(case.json.schema), "extract": case.json.extract}
    return data


def _loaded(name: str, files: Mapping[str, str], source: Path) -> Task:
    try:
        return task_of_files(name, files)
    except AuthoringError as error:
        places = [f"{each.where}: expected {each.expected}, found {each.found}" for each in error.problems]
        found = f"{show_path(source)}: expected cases that make valid fixtures, found {listed(places)}"
        raise Refused(f"{found}; nothing was written") from error


def _policy(imported: Imported, task: Task) -> str:
    """A first policy: every unit a guard, with the margin that its cases hold; another tool's tests ask for no gain."""
    units = {}
    for unit in task.units:
        ahead = look_ahead(replace(task, units=(unit,)))
        reason = f"A first guess: {ahead.says}. Write here what a wrong output costs, and set the margin by it."
        units[unit.name] = {"role": "guard", "margin": ahead.margin, "reason": reason}
    return write_yaml({"version": 1, "about": _about(imported), "units": units})
