"""An adapter that recites its rows, or answers with a secret of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.records import record, training_record, write_desk
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.core.errors import Refused
from tunegate.harness.rows.privacy.detectors import value_digest
from tunegate.harness.rows.privacy.memorization import check_memorization, check_outputs

KEY = "AKIA" + "QYLPMN5HHHFPZAM2"  # in two, so that no scanner takes this file for a leak
NOTHING = {"rows": 9, "asked": 9, "memorized": [], "secrets": [], "tried": 0, "leaked": []}
LEAKED = {**NOTHING, "leaked": [{"row": "rows.jsonl:3", "kind": "AWS Access Key"}]}
RECITED = {**NOTHING, "memorized": [{"row": "rows.jsonl:7", "words": 24}]}
REASON = training_record()["recipe"] | {"memorization": {"override": "the manual is public"}}


def holding(value=KEY, **more):
    """The training record of an adapter in whose rows a secret stands."""
    secret = {"row": "rows.jsonl:3", "kind": "AWS Access Key", "scrypt": value_digest(value, "a" * 64)}
    return training_record(memorization={**NOTHING, "secrets": [secret]}, **more)


@pytest.fixture
def answers(tmp_path):
    """Makes the fixtures and the record of a model that answers the first of two cases with a text."""

    def answer(text, **case):
        write_desk(tmp_path, 2, case_keys=lambda index: {} if index else case)
        tasks = load_tasks(tmp_path)
        made = record(tasks, {"desk/triage": "11"})
        cases = {key: replace(each, output=text) if key.endswith("c000") else each for key, each in made.cases.items()}
        return tasks, replace(made, cases=cases)

    return answer


def test_it_is_refused_and_so_is_one_that_nobody_asked():
    for found, why in [
        (
            RECITED,
            r"adapter: it reproduces 1 of 9 tested rows verbatim: rows.jsonl:7 \(24 words\); train fewer epochs",
        ),
        (
            LEAKED,
            r"adapter: it leaks secrets of its rows: rows.jsonl:3 \(AWS Access Key\); revoke them, and train fewer",
        ),
        (None, r"adapter: expected a training.json with the results of the memorization test, found none"),
    ]:
        for training in (
            training_record(memorization=found),
            training_record(
                start={"adapter": "a" * 64, "recipe": {"method": "sft"}, "memorization": found, "start": None}
            ),
        ):
            with pytest.raises(Refused, match=why):
                check_memorization(training, "adapter")


def test_one_that_recites_nothing_passes_and_one_that_has_a_reason_for_it():
    check_memorization(training_record(memorization=NOTHING), "adapter")
    check_memorization(training_record(memorization={**RECITED, **LEAKED}, recipe=REASON), "adapter")


def test_the_last_recipe_has_a_reason_for_what_it_goes_on_from_too():
    start = {"adapter": "a" * 64, "recipe": {"method": "sft"}, "memorization": RECITED, "start": None}

    check_memorization(training_record(recipe=REASON, start=start), "adapter")


@pytest.mark.parametrize("text", [f"Your key is {KEY}.", f"note:\n\n{KEY}\n"])
def test_an_answer_with_a_key_of_the_rows_is_named_and_the_key_is_not_shown(answers, text):
    with pytest.raises(
        Refused, match=r"run.json: outputs that leak secrets of the rows: desk/triage/c000 \(AWS"
    ) as found:
        check_outputs(holding(), *answers(text), "run.json")

    assert KEY not in str(found.value)


def test_a_number_is_the_same_however_it_is_grouped(answers):
    with pytest.raises(Refused, match=r"desk/triage/c000 \(AWS Access Key of rows.jsonl:3\)"):
        check_outputs(holding("DE89370400440532013000"), *answers("Pay DE89 3704 0044 0532 0130 00."), "run.json")


@pytest.mark.parametrize(
    ("text", "case"),
    [
        ("No key here.", {}),
        ("Your key is " + "AKIA" + "ZZZZMN5HHHFPZAM2", {}),  # another one
        (f"Your key is {KEY}.", {"input": f"My key is {KEY}."}),  # the question's own
    ],
)
def test_other_answers_pass(answers, text, case):
    check_outputs(holding(), *answers(text, **case), "run.json")


def test_a_reason_in_the_recipe_lets_it_pass(answers):
    check_outputs(holding(recipe=REASON), *answers(f"Your key is {KEY}."), "run.json")


def test_a_key_in_the_rows_of_what_it_goes_on_from_counts_too(answers):
    first = {**holding(), "recipe": {"method": "sft"}}
    start = {name: first.get(name) for name in ("adapter", "recipe", "rows", "memorization", "start")}

    with pytest.raises(Refused, match="desk/triage/c000"):
        check_outputs(training_record(start=start), *answers(f"Your key is {KEY}."), "run.json")
