from __future__ import annotations

import json

import pytest

from harness.cases import load_tasks
from harness.errors import Refused
from tests.conftest import write_unit
from trainers.holdout import check_holdout, normalise
from trainers.rows import read_rows

SYSTEM = "You sort the messages that customers send to a company that mends boilers, radiators and heat pumps."
SAYS = "The scaffolding goes up on Wednesday morning, and Dan will swap the flue on Friday."
INPUT = "My boiler drips: what now?"


def user(text):
    return {"role": "user", "content": text}


def assistant(text):
    return {"role": "assistant", "content": text}


@pytest.fixture
def check(tmp_path, monkeypatch):
    """Checks one line of rows against a task with a system prompt, a template and a sealed unit."""
    monkeypatch.chdir(tmp_path)
    prompt = {"system": SYSTEM, "template": "Ticket: {input}"}
    case = {"id": "drip", "input": INPUT, "expect": {"product": "boiler"}}
    other = {"id": "thanks", "input": "👍", "context": "Page 3: bleed it.", "expect": {"product": "boiler"}}
    write_unit(tmp_path, [], cases=[case, other], prompt=prompt)
    write_unit(tmp_path, [], name="hidden", sealed=True, cases=[{**case, "input": "The radiator clanks."}])
    tasks = load_tasks(tmp_path)

    def check(*lines):
        (tmp_path / "rows.jsonl").write_text("".join(json.dumps({"unit": "triage"} | line) + "\n" for line in lines))
        return check_holdout(read_rows([tmp_path / "rows.jsonl"], tasks[0]), tasks)

    return check


@pytest.mark.parametrize(
    "copy", [INPUT, "  my BOILER drips\n\twhat now ", "My boiler drips - what now?!", "\uff2dy boiler drips: what now?"]
)
def test_a_copy_is_refused_with_its_row_and_case(check, copy):
    with pytest.raises(Refused) as refused:
        check({"input": "The tank hums.", "output": "{}"}, {"input": copy, "output": "{}"})

    assert str(refused.value).startswith("1 of 2 training rows repeat fixtures")
    assert "rows.jsonl:2 repeats desk/triage/drip (desk/triage.yaml:1)" in str(refused.value)


def test_a_sealed_case_is_held_out_too(check):
    with pytest.raises(Refused, match=r"rows\.jsonl:1 repeats desk/hidden/drip"):
        check({"input": "the radiator clanks", "output": "{}"})


def test_a_context_is_held_out_too(check):
    with pytest.raises(Refused, match=r"rows\.jsonl:1 repeats desk/triage/thanks"):
        check({"input": "Page 3: bleed it!", "output": "{}"})


@pytest.mark.parametrize("turns", [[f"Ticket: {INPUT}"], ["Hello.", INPUT], [INPUT, "And now?"]])
def test_a_copy_in_any_turn_of_a_conversation_is_refused(tmp_path, check, turns):
    line = {"messages": [*(user(text) for text in turns), assistant("{}")]}
    (tmp_path / "rows.jsonl").write_text(json.dumps(line))
    tasks = load_tasks(tmp_path)

    with pytest.raises(Refused, match="repeats desk/triage/drip"):
        check_holdout(read_rows([tmp_path / "rows.jsonl"], tasks[0]), tasks)


def test_innocent_rows_that_share_prompt_and_short_answers_pass(check):
    lines = [{"input": f"Ticket number {n} about my boiler, what now?", "output": "boiler"} for n in range(20)]

    assert check(*lines) == {"rows": 20, "fixture_texts": 6, "exact_matches": 0}


def test_signs_alone_are_compared_as_they_are(check):
    assert check({"input": "👎", "output": "{}"})["exact_matches"] == 0
    with pytest.raises(Refused, match="repeats desk/triage/thanks"):
        check({"input": " 👍 ", "output": "{}"})


def test_only_the_first_few_are_listed(check):
    with pytest.raises(Refused, match=r"^7 of 7 .*(\n .*){5}\n  and 2 more$"):
        check(*({"input": INPUT, "output": str(n)} for n in range(7)))


@pytest.mark.parametrize(
    ("says", "row", "leaks"),
    [
        (SAYS, {"unit": "triage", "input": "Any idea?", "output": SAYS.upper()}, True),
        (SAYS, {"unit": "triage", "input": "Any idea?", "output": SAYS.replace("Friday", "Monday")}, False),
        (SAYS, {"messages": [user("When?"), assistant(SAYS), user("Who?"), assistant("Dan.")]}, True),
        ("We will call.", {"unit": "triage", "input": "Any idea?", "output": "We will call."}, False),
    ],
    ids=["copied", "other-facts", "earlier-turn", "short"],
)
def test_a_long_reference_answer_is_held_out_and_a_short_one_is_not(tmp_path, says, row, leaks):
    case = {"id": "flue", "input": "Scaffolding?", "expect": {"says": says}}
    write_unit(tmp_path, [], cases=[case], check={"schema": {"type": "object"}})
    (tmp_path / "rows.jsonl").write_text(json.dumps(row))
    tasks = load_tasks(tmp_path)
    rows = read_rows([tmp_path / "rows.jsonl"], tasks[0])

    if leaks:
        with pytest.raises(Refused, match="repeats desk/triage/flue"):
            check_holdout(rows, tasks)
    else:
        assert check_holdout(rows, tasks)["exact_matches"] == 0


def test_normalised_texts_are_stable():
    assert normalise("  Ça VA?\n") == normalise("ça-va") == "ça va"
    assert normalise(normalise(SAYS)) == normalise(SAYS)
