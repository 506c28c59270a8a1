"""Remarks: the codes that programs read, and the sentences that are made of them for people."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any, get_args

import pytest

from tests.support.paths import ROOT
from tunegate.harness.cases.json_schemas import published_schema
from tunegate.harness.evaluation.remarks import Cause, Noted, Warned, as_sentences, cause, note, remarks_text, warning
from tunegate.harness.evaluation.verdict import read_decision, read_verdict

#: A verdict and a decision in the first form of records, which had a text for people and no codes.
NUMBERS = "50.0 % -> 75.0 % on 4 cases, +25.0 points (90 %: -100.0 to +100.0); 0 regressed, 1 fixed."
LOSS = "the loss may be up to 100.0 points (margin 5.0); about 16 cases in total would settle it"
NONE: dict[str, Any] = dict.fromkeys(
    ("span", "collapse_bound", "target_score", "score_bound", "effective", "near"), None
) | dict.fromkeys(("reached", "lower", "gained", "sealed", "is_below_shown"), False)
LISTS: dict[str, Any] = {
    name: []
    for name in (
        "regressed_cases", "critical", "already_failing", "unstable", "disarmed", "by_themselves", "worse_slices",
        "skipped", "together", "never_right",
    )
}  # fmt: skip
VERDICT: dict[str, Any] = NONE | LISTS | {
    "reference": "baseline", "verdict": "inconclusive", "reason": f"Inconclusive: {LOSS}. {NUMBERS}", "role": "target",
    "kind": "pass/fail", "n": 4, "base": 0.5, "mean": 0.75, "observations": 4, "difference": 0.25,
    "interval": [-1.0, 1.0], "level": 0.04, "p_worse": 1.0, "tests": 1, "declared": "a test", "margin": 0.05,
    "fixed_cases": ["c003"], "before": {}, "winsorised": 0, "bounded": True, "collapsed": 0, "proven_by": "",
    "blocks": True, "base_rates": {"exact": 0.5}, "topics": "", "below_service": 0.0, "run": 1,
    "parts": [
        {
            "name": "exact", "label": "exact", "n": 4, "base": 0.5, "mean": 0.75, "margin": None, "interval": None,
            "p_worse": None, "declared": "", "fell": False, "named": "exact", "observations": 4, "difference": 0.25,
            "whole": True, "base_only": None, "mean_only": None,
        }
    ],
}  # fmt: skip
DECISION: dict[str, Any] = {
    "decision": "block", "reason": "Blocked: desk/triage inconclusive.", "blocking": ["desk/triage"], "short": [],
    "no_target": False, "reused": [],
}  # fmt: skip


def converted(first: dict[str, Any], *remarks: dict[str, Any]) -> dict[str, Any]:
    """The first form with remarks for its text."""
    return {name: value for name, value in first.items() if name != "reason"} | {"remarks": list(remarks)}


def test_a_record_has_the_values_of_its_first_form_and_remarks_for_the_text():
    causes = {"code": "loss-not-excluded", "severity": "error", "text": LOSS}
    new = converted(VERDICT, causes, {"code": "numbers", "severity": "note", "text": NUMBERS})
    read = read_verdict("desk/triage", new)
    assert read.as_dict() == new
    assert read.reason == VERDICT["reason"]


def test_a_decision_has_the_values_of_its_first_form_and_remarks_for_the_text():
    blocks = {"code": "units-block", "severity": "error", "text": "desk/triage inconclusive", "units": ["desk/triage"]}
    read = read_decision(converted(DECISION, blocks))
    assert read.as_dict() == converted(DECISION, blocks)
    assert read.reason == DECISION["reason"]


def test_causes_are_one_sentence_wherever_they_stand():
    said = (warning("part-lower", "One."), cause("lower", "two", ["a/b"]), cause("mean-lost", "three", ["a/c", "a/b"]))
    first, causes, last = as_sentences("Regressed", [*said, note("numbers", "4.")])
    assert remarks_text([first, causes, last]) == "One. Regressed: two; three. 4."
    assert (causes.code, causes.units) == ("lower", ("a/b", "a/c"))
    assert list(as_sentences("Regressed", [])) == []


def test_the_published_codes_are_those_of_the_code():
    codes = [code for kind in (Cause, Warned, Noted) for code in get_args(kind)]
    assert published_schema("record")["$defs"]["code"]["enum"] == codes
    assert len(set(codes)) == len(codes)


ASKS = {"startswith", "endswith", "removeprefix", "removesuffix", "partition", "rpartition", "split", "find", "index"}
HEADS = ("Blocked", "Unproven", "Released", "Release:", "Passed", "Regressed", "Inconclusive", "Held", "Improved")


def readings(tree: ast.AST) -> Iterator[int]:
    """The lines that ask what a text for people says: its reason, or whether it begins with a word of the gate."""
    for each in ast.walk(tree):
        if isinstance(each, ast.Call) and isinstance(each.func, ast.Attribute) and each.func.attr in ASKS:
            asked = [each.func.value, *each.args]
        elif isinstance(each, ast.Compare) and not isinstance(each.ops[0], ast.Is | ast.IsNot):
            asked = [each.left, *each.comparators]
        else:
            continue
        names = [one.attr for one in asked if isinstance(one, ast.Attribute)]
        words = [one.value for one in asked if isinstance(one, ast.Constant) and isinstance(one.value, str)]
        if "reason" in names or any(word.startswith(HEADS) for word in words):
            yield each.lineno


@pytest.mark.data("harness/**/*.py", "trainers/**/*.py")
def test_nothing_reads_the_sentences():
    files = [path for room in ("harness", "trainers") for path in sorted((ROOT / room).rglob("*.py"))]
    found = [f"{path.relative_to(ROOT)}:{line}" for path in files for line in readings(ast.parse(path.read_text()))]
    assert found == []


@pytest.mark.parametrize("text", [
    "verdict.startswith('Blocked: ')", "x = each.reason.partition('. ')", "'critical' in verdict.reason",
    "unit.reason == other.reason", "first_sentence(text)[0].removeprefix('Regressed: ')",
])  # fmt: skip
def test_a_reading_is_found(text):
    assert list(readings(ast.parse(text))) == [1]
