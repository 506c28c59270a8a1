"""Lists that give the cases' values away are warned about, and lists of labels are not."""

from __future__ import annotations

import pytest

from tests.support.units import write_unit
from tunegate.harness.review.lint.rules import lint_fixtures

TOWNS = [f"{name}{end}" for name in ("Aber", "Brad", "Carl", "Dun", "Exe") for end in ("ford", "ton", "wick", "ham")]


def warnings(tmp_path, towns, system="Name the town.", enum=True):
    town = {"enum": sorted(set(towns))} if enum else {"type": "string"}
    schema = {"type": "object", "required": ["town"], "properties": {"town": town}}
    cases = [
        {"id": f"c{n}", "input": f"Caller {n} asks about trip {n}b", "expect": {"town": town}}
        for n, town in enumerate(towns)
    ]
    write_unit(tmp_path, [], cases=cases, check={"schema": schema}, prompt={"system": system})
    return [each.text for each in lint_fixtures(tmp_path).warnings if "gives them away" in each.text]


def test_an_enum_of_what_one_case_each_expects_is_named(tmp_path):
    [found] = warnings(tmp_path, TOWNS)

    assert "the schema lists 20 values of town that one case each expects" in found


def test_a_prompt_with_the_values_of_single_cases_is_named(tmp_path):
    [found] = warnings(tmp_path, TOWNS, system=f"Name the town: {', '.join(TOWNS[:15])}.", enum=False)

    assert "the prompt lists values that only 15 of 20 cases (c0, c1, c2" in found


@pytest.mark.parametrize("towns", [TOWNS[:11], [*TOWNS, *TOWNS], TOWNS[:4] * 20])
def test_labels_are_not_named_nor_is_a_list_of_few(tmp_path, towns):
    assert warnings(tmp_path, towns, system=f"Name the town: {', '.join(TOWNS)}.") == []


def test_texts_in_a_schema_without_a_list_are_not_named(tmp_path):
    assert warnings(tmp_path, TOWNS, enum=False) == []
