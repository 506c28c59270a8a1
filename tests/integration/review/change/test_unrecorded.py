"""Cases that a change adds without a recorded output: listed, neutral, never a pass, and nothing is hidden by them."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.support.gated import commit_to_main, decided, decision, edit, invoke, ok, put_in_service, record, write
from tests.support.prompted import CASES, IN_SERVICE, RIGHT, WORSE, prompt
from tests.support.units import write_unit

gate = partial(decision, "--policy-from=main", ends=(0, 1, 4))
LOSES_NEW = "Sort the ticket, but not the new ones."
RECORD = Path("baselines/replay-gpt/desk/triage.json")


def add(count: int, word: str = "new", **more: Any) -> None:
    """Add cases of which nothing is recorded, as somebody does who edits the YAML and nothing else."""
    cases = [{"id": f"{word}{n:03}", "input": f"{word}, number {n}"} | more for n in range(count)]
    edit(lambda data: data["cases"].extend(cases))


def waiting(count: int, listed: str) -> str:
    return (
        f"desk/triage: {count} case{'s' if count > 1 else ''} ({listed}) without a recorded output: left out until "
        "recorded, after the merge: tunegate record --added"
    )


@pytest.mark.parametrize("good", [38, 10])
def test_added_cases_of_which_nothing_is_recorded_are_listed_and_neutral(repository, good):
    write(good)
    add(5)

    found = decided()

    assert found["passes"], found
    assert found["modified"] == []
    assert found["added"] == [
        "desk/triage: 5 cases (new000, new001, new002 and 2 more) added",
        waiting(5, "new000, new001, new002 and 2 more"),
    ]


def test_their_outputs_may_come_with_the_change_and_are_not_counted_either(repository):
    add(2)
    write(38)

    assert decided()["passes"]


def test_what_is_recorded_after_the_merge_counts_from_then_on(desk):
    add(4)
    assert gate()["passes"]
    commit_to_main("new cases")
    prompt(WORSE)  # before they are recorded, the others decide
    found = gate()
    assert not found["passes"]
    assert waiting(4, "new000, new001, new002 and 1 more") in found["added"]
    prompt(IN_SERVICE)
    assert gate()["passes"]
    ok("record")
    found = gate("--out=record.json")
    assert found["passes"]
    assert found["added"][0] == "desk/triage: 4 cases (new000, new001, new002 and 1 more) recorded for the first time"
    assert not [line for line in found["added"] if "without a recorded output" in line]
    assert len(json.loads(Path("record.json").read_text())["cases"]) == CASES + 4
    commit_to_main("recorded")
    RIGHT[LOSES_NEW] = (110, {0, 1, 2, 3})
    prompt(LOSES_NEW)
    found = gate()
    assert not found["passes"]
    assert found["added"] == []


def drop(*ids: str) -> Callable[[dict[str, Any]], None]:
    def change(data: dict[str, Any]) -> None:
        data["cases"] = [case for case in data["cases"] if case["id"] not in ids]

    return change


def test_a_case_that_is_replaced_by_its_twin_is_removed(repository):
    edit(drop("c00"))
    add(1, "twin", input="message c00", expect={"product": "boiler"})
    write(38)

    found = decided()

    assert not found["passes"]
    assert found["modified"] == ["desk/triage: 1 case (c00) removed"]
    approved = decided(f"--approve={found['approve']}")
    assert not approved["passes"]  # another expectation of the same input is an edit, and no addition
    assert "other cases (+twin000" in approved["refused"]


def test_a_case_with_the_input_of_another_is_not_neutral(repository):
    add(1, "twin", input="message c00")

    assert "other cases (+twin000)" in decided()["refused"]


def test_new_ids_hide_nothing(repository):
    def rename(data: dict[str, Any]) -> None:
        for case in data["cases"][20:]:
            case["id"] = f"x{case['id']}"

    edit(rename)
    found = decided()
    assert not found["passes"]
    assert found["modified"] == ["desk/triage: 20 cases (c20, c21, c22 and 17 more) removed"]


def test_a_loss_beside_five_hundred_of_them_is_found(repository):
    record(38)
    commit_to_main("a better model")
    add(500)
    write(20)

    found = decided()

    assert not found["passes"]
    assert {each["verdicts"]["desk/triage"] for each in found["by_rules"]} == {"regressed"}


def test_a_record_that_loses_cases_does_not_make_them_neutral(repository):
    record(38)
    commit_to_main("a better model")
    data = json.loads(RECORD.read_text())
    lost = {"c00", "c01", "c02", "c03"}
    data["cases"] = {case: each for case, each in data["cases"].items() if case not in lost}
    put_in_service(RECORD, data)
    write(38, but=range(4))

    assert lost
    assert not decided()["passes"]


def test_a_record_that_is_gone_does_not_make_its_cases_neutral(repository):
    RECORD.unlink()

    assert not decided()["passes"]


def test_a_new_unit_without_a_record_still_needs_one(repository):
    write_unit(Path("fixtures"), ["a", "b"], name="other")
    write(38)

    found = decided()

    assert not found["passes"]
    assert not [line for line in found["added"] if "without a recorded output" in line]


def test_with_the_outputs_in_service_only_a_change_of_the_cases_needs_no_gain(repository):
    write(10)
    add(5)
    assert decided()["passes"]
    Path("fixtures/desk/triage.yaml").write_text(
        json.dumps(json.loads(Path("fixtures/desk/triage.yaml").read_text()) | {"prompt": {"system": "Sort it."}})
    )

    assert not decided("--requests=gone.jsonl")["passes"]
    Path("requests.jsonl").write_text(invoke("prompts").stdout)
    found = decided()
    assert not found["passes"]
    assert [each["blocks"] for each in found["by_rules"]] == [["desk"], ["desk"]]
