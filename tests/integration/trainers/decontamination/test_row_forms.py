"""The guards see every text of every form: a case in any place of a row is found, and so is a secret."""

from __future__ import annotations

import json

import pytest

from tests.support.units import write_unit
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.core.progress import quiet
from tunegate.harness.rows.examples import read_examples
from tunegate.trainers.data.private_data import find_private_data
from tunegate.trainers.decontamination.check import decontaminate

INPUT = "The radiator in the nursery clanks all night and the boiler loses its pressure by the morning."
EXPECTED = "Bleed the nursery radiator first, then top the boiler up to one and a half bar before breakfast."
SECRET = "Mail me at jane.okafor@hollinvale-home.net, please."
CLEAN = "Do you sell towel rails?"


def user(text):
    return {"role": "user", "content": text}


def assistant(text, **more):
    return {"role": "assistant", "content": text, **more}


#: A row of each form, by the text that is planted: `#` stands where it is.
ROWS = {
    "prompt": {"prompt": "#", "completion": "Yes."},
    "completion": {"prompt": [user(CLEAN)], "completion": [assistant("#")]},
    "chosen": {"prompt": CLEAN, "chosen": "#", "rejected": "No."},
    "rejected": {"chosen": [user(CLEAN), assistant("Yes.")], "rejected": [user(CLEAN), assistant("#")]},
    "liked": {"prompt": CLEAN, "completion": "#", "label": True},
    "disliked": {"prompt": CLEAN, "completion": "#", "label": False},
    "preferred": {
        "input": {"messages": [user(CLEAN)]},
        "preferred_output": [assistant("#")],
        "non_preferred_output": [assistant("No.")],
    },
    "non_preferred": {
        "input": {"messages": [user(CLEAN)]},
        "preferred_output": [assistant("Yes.")],
        "non_preferred_output": [assistant("#")],
    },
    "weight 0": {"messages": [user(CLEAN), assistant("#", weight=0), user("Oh?"), assistant("Yes.", weight=1)]},
    "sharegpt": {"conversations": [{"from": "human", "value": "#"}, {"from": "gpt", "value": "Yes."}]},
    "sharegpt's system": {"system": "#", "conversations": [{"from": "human", "value": CLEAN},
                                                           {"from": "gpt", "value": "Yes."}]},
    "alpaca": {"instruction": CLEAN, "input": "#", "output": "Yes."},
    "alpaca's system": {"instruction": CLEAN, "output": "Yes.", "system": "#"},
}  # fmt: skip


@pytest.fixture
def rows(tmp_path, monkeypatch):
    """Rows of a task whose only open and sealed cases have the texts above."""
    monkeypatch.chdir(tmp_path)
    case = {"id": "clank", "input": INPUT, "expect": {"product": "boiler"}}
    write_unit(tmp_path / "fixtures", [], cases=[case])
    told = {"id": "bleed", "input": EXPECTED, "expect": {"product": "boiler"}}
    write_unit(tmp_path / "fixtures", [], name="hidden", sealed=True, cases=[told])
    tasks = load_tasks(tmp_path / "fixtures")

    def rows(row, planted):
        of_a_unit = not {"messages", "system"} & {*row, *row.get("input", ())}
        text = json.dumps({"unit": "triage"} | row if of_a_unit else row)
        (tmp_path / "rows.jsonl").write_text(text.replace('"#"', json.dumps(planted)))
        return read_examples([tmp_path / "rows.jsonl"], tasks[0]), tasks

    return rows


@pytest.mark.parametrize("place", ROWS)
def test_a_case_is_found_wherever_a_row_holds_it_and_a_sealed_one_is_not_shown(rows, place):
    for text in (INPUT, EXPECTED):
        read, tasks = rows(ROWS[place], text)
        found = decontaminate(read, tasks)

        assert [each.line for each in found.rows] == []
        assert any(each["row"].startswith("rows.jsonl:1") for case in found.report()["cases"] for each in case["rows"])
        assert EXPECTED not in json.dumps(found.report())


@pytest.mark.parametrize("place", ROWS)
def test_a_secret_is_found_wherever_a_row_holds_it(rows, place):
    assert {each.kind for each in find_private_data(rows(ROWS[place], SECRET)[0], quiet())} == {"e-mail address"}
