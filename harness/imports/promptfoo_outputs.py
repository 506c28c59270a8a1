"""Results of promptfoo, as cases with recorded outputs: the prompts as they were sent, the assertions, the outputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tunegate.harness.begin.results.promptfoo_results import column_names, is_result, provider_name, variables_of
from tunegate.harness.begin.results.samples import mapping_at, text_of
from tunegate.harness.checks.scored import UNKNOWN
from tunegate.harness.imports.model import Imported, ImportedCase, LeftOut, RunnerUnit, Tally, prompt_of
from tunegate.harness.imports.nearby import Nearby
from tunegate.harness.imports.promptfoo_checks import Reader
from tunegate.harness.imports.promptfoo_config import TOOL, prompt_messages
from tunegate.harness.imports.promptfoo_scored import files_of, question_of_case, runner_case, runner_cases
from tunegate.harness.imports.templates import as_template_text


@dataclass
class _Collected:
    """One test with one prompt: its case without outputs, and the outputs by model."""

    case: ImportedCase
    outputs: dict[str, str] = field(default_factory=dict)


def read_outputs(path: Path, rows: list[Any], version: str = "", root: Path | None = None) -> Imported:
    """Import results: a case for each test and prompt, with an output of each provider.

    Raises:
        Refused: no test has a check with a home.
    """
    tally, found = Tally(), dict[tuple[str, int], _Collected | None]()
    labels: dict[str, str] = {}
    nearby = Nearby(path.parent, root=root)
    for row in rows:
        if not is_result(row):
            tally.left["result", "without testIdx, promptIdx, vars, success and score"] += 1
            continue
        label = _label(row)
        labels.setdefault(label, f"prompt-{len(labels) + 1}")
        key = (label, row["testIdx"])
        if key not in found:
            found[key] = _collected(nearby, row, labels[label], tally)
        _add_output(found[key], row, tally)
    several = len(labels) > 1
    usable = [row for row in rows if is_result(row)]
    cases = [
        replace(each.case, outputs=each.outputs, set_name=each.case.set_name if several else "")
        for each in found.values()
        if each
    ]
    scored = _scored(nearby, usable, cases, version)
    if scored and several:  # an output in a result file is of one prompt
        cases = []
    return Imported(TOOL, path, cases, tally, scored=scored)


def _scored(nearby: Nearby, rows: list[Any], cases: list[ImportedCase], version: str) -> RunnerUnit | None:
    """The tests as promptfoo scored them; None if the checks of all cases say the same."""
    tests = [mapping_at(row, "testCase") for row in rows]
    raws = [mapping_at(row, "prompt").get("raw") for row in rows]
    prompts = [raw if isinstance(raw, str) and len(set(map(str, raws))) > 1 else "" for raw in raws]
    found = [
        runner_case(variables_of(row), mapping_at(row, "testCase"), sent)
        for row, sent in zip(rows, prompts, strict=True)
    ]
    if not (left := runner_cases(found, cases)):
        return None
    columns = column_names(rows) or (provider_name(rows[0]),)
    return RunnerUnit(TOOL, left, version or UNKNOWN, files_of(tests, nearby), columns)


def _label(row: Mapping[str, Any]) -> str:
    return text_of(row.get("promptId") or mapping_at(row, "prompt").get("label"))


def _collected(nearby: Nearby, row: Mapping[str, Any], name: str, tally: Tally) -> _Collected | None:
    """The case of a result; None if it cannot be one."""
    test = mapping_at(row, "testCase")
    checks = Reader(nearby, tally).read(test, variables_of(row))
    if checks.is_empty:
        tally.left["test", "none of its assertions has a home"] += 1
        return None
    if test.get("threshold") not in (None, 1):
        tally.changed["threshold", "every check must hold"] += 1
    raw = mapping_at(row, "prompt").get("raw")
    try:
        asked = prompt_of(prompt_messages(raw) if isinstance(raw, str) else raw, tally)
        question = question_of_case(variables_of(row), test)
        return _Collected(checks.case(asked, test, set_name=name, question=question))
    except LeftOut as error:
        tally.left["test", error.why] += 1
        return None


def _add_output(collected: _Collected | None, row: Mapping[str, Any], tally: Tally) -> None:
    provider, output = row.get("provider"), mapping_at(row, "response").get("output")
    said = provider.get("label") or provider.get("id") if isinstance(provider, Mapping) else provider
    model = text_of(said, 200)
    if collected is None:
        return
    if output is None:
        tally.left["output", "an error in its place"] += 1
    elif model in collected.outputs:
        tally.left["output", "a repeat"] += 1
    else:
        collected.outputs[model] = as_template_text(output)
        tally.taken["output"] += 1
