"""Remarks: the codes that programs read, and the sentences that are made of them for people."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import get_args

import pytest

from tests.support.paths import ROOT
from tunegate.harness.cases.json_schemas import published_schema
from tunegate.harness.models.evaluation.remarks import (
    Cause,
    Noted,
    Warned,
    as_sentences,
    cause,
    note,
    remarks_text,
    warning,
)


def test_causes_are_one_sentence_wherever_they_stand():
    said = (warning("part-lower", "One."), cause("lower", "two", ["a/b"]), cause("mean-lost", "three", ["a/c", "a/b"]))
    first, causes, last = as_sentences("Regressed", [*said, note("numbers", "4.")])
    assert remarks_text([first, causes, last]) == "One. Regressed: two; three. 4."
    assert (causes.code, causes.units) == ("lower", ("a/b", "a/c"))
    assert list(as_sentences("Regressed", [])) == []


def test_the_published_codes_are_those_of_the_code():
    codes = [code for kind in (Cause, Warned, Noted) for code in get_args(kind)]
    assert published_schema("record")["$defs"]["Remark"]["properties"]["code"]["enum"] == sorted(codes)
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
