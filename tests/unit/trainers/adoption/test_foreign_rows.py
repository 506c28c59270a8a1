"""Cases as rows: which have a certain output, and how it is written."""

from __future__ import annotations

import json

import pytest

from tests.support.units import write_unit
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.rows.examples import Example
from tunegate.trainers.adoption.foreign_rows import foreign_rows

SCHEMA = {"type": "object", "properties": {"kind": {"type": "string"}, "city": {"type": "string"}}}
EXPECT = {"kind": "boiler", "city": "Köln"}


def row(output: str, unit: str | None = "triage") -> Example:
    return Example((("user", "x"),), "x", output, "rows.jsonl", 1, unit)


@pytest.fixture
def load(tmp_path):
    def make(**more: object):
        cases = [{"id": f"c{n}", "input": f"message {n}", "expect": EXPECT} for n in range(3)]
        known = {"check": {"schema": SCHEMA}, "cases": cases, "prompt": {"system": "Sort it."}}
        write_unit(tmp_path, [], **(known | more))
        [task] = load_tasks(tmp_path)
        return task

    return make


@pytest.mark.parametrize(
    ("like", "output"),
    [
        ('{"kind": "x", "city": "y"}', '{"kind": "boiler", "city": "K\\u00f6ln"}'),
        ('{"city":"ß","kind":"x"}', '{"city":"Köln","kind":"boiler"}'),
        (json.dumps({"city": "x", "kind": "y"}, indent=2), json.dumps(dict(reversed(EXPECT.items())), indent=2)),
        ("no JSON", '{"kind": "boiler", "city": "K\\u00f6ln"}'),
    ],
)
def test_an_expected_output_is_written_as_the_rows_write_theirs(load, like, output):
    found = foreign_rows([row(like)], load(), ())

    assert [each.output for each in found] == [output] * 3
    assert found[0].messages == (("system", "Sort it."), ("user", "message 0"))


def test_cases_that_rows_come_near_are_left_out(load):
    found = foreign_rows([row("{}")], load(), {"desk/triage/c1"})

    assert [each.input for each in found] == ["message 0", "message 2"]


def test_rows_without_a_unit_are_like_all_units_and_rows_of_another_like_none(load):
    task = load()
    assert len(foreign_rows([row("{}", None)], task, ())) == 3
    assert foreign_rows([row("{}", "other")], task, ()) == []


@pytest.mark.parametrize("more", [{"sealed": True}, {"cases": [{"id": "a", "input": "x"}]}])
def test_sealed_cases_and_cases_without_a_certain_output_are_not_used(load, more):
    assert foreign_rows([row("{}")], load(**more), ()) == []
