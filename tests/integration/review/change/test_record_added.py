"""`tunegate record --added`: what no record has yet is recorded, and what is recorded stays as it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.gated import commit_to_main, decision, edit, invoke, ok, write
from tests.support.prompted import CASES, IN_SERVICE, RIGHT
from tests.support.units import write_unit

REPLAYED = Path("baselines/replay-gpt/desk/triage.json")


def add(count: int, word: str = "new") -> None:
    cases = [{"id": f"{word}{n:03}", "input": f"{word}, number {n}"} for n in range(count)]
    edit(lambda data: data["cases"].extend({"expect": {"product": "boiler"}, **case} for case in cases))


def standing() -> dict[str, Any]:
    [path] = Path("baselines").glob("*/desk/triage.json")
    return dict(json.loads(path.read_text()))


def files() -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in Path("baselines").rglob("*.json")}


def refused(*arguments: str) -> str:
    before = files()
    done = invoke("record", "--added", *arguments)
    assert done.exit_code == 4, done.output
    assert files() == before
    return " ".join(done.output.split())


def test_only_the_new_cases_are_asked_and_the_others_stay_byte_for_byte(desk, server, monkeypatch):
    before = standing()
    add(3)
    commit_to_main("new cases")
    monkeypatch.setenv("TUNEGATE_CACHE", str(desk.parent / "empty"))  # as on a runner
    monkeypatch.setitem(RIGHT, IN_SERVICE, (0, set()))  # the recorded outputs do not come again
    server.asked.clear()

    said = ok("record", "--added")

    assert "desk/triage: 3 added cases to record: new000, new001, new002" in said
    asked = {each.body["messages"][-1]["content"] for each in server.asked}
    assert len([each for each in asked if each.startswith("ticket")]) == 0
    assert {f"new, number {n}" for n in range(3)} <= asked
    now = standing()
    assert {case: now["cases"][case] for case in before["cases"]} == before["cases"]
    assert len(now["cases"]) == CASES + 3
    assert {key: now[key] for key in ("configuration", "engine", "policy", "subject")} == {
        key: before[key] for key in ("configuration", "engine", "policy", "subject")
    }


def test_the_gate_lets_the_new_record_pass_and_counts_the_cases(desk):
    add(3)
    commit_to_main("new cases")

    ok("record", "--added")

    found = decision("--policy-from=main")
    assert found["passes"], found
    assert found["modified"] == []
    assert found["added"][0] == "desk/triage: 3 cases (new000, new001, new002) recorded for the first time"


def test_a_second_run_finds_nothing_and_asks_nothing(desk, server):
    add(3)
    ok("record", "--added")
    before = files()
    server.asked.clear()

    assert "no added case waits to be recorded" in ok("record", "--added")
    assert files() == before
    assert server.asked == []


def test_another_model_records_nothing(desk, server):
    add(2)

    said = refused(f"--model={server.model.replace('#', '#other-')}")

    assert "desk/triage: expected a record of" in said
    assert "record all cases, in a change that is reviewed: tunegate record" in said


@pytest.mark.parametrize(("how", "what"), [
    (lambda data: data["cases"][0].update(expect={"product": "radiator"}), "c000"),
    (lambda data: data["cases"].pop(4), "c004"),
    (lambda data: data["prompt"].update(system="Sort."), "another system prompt"),
])  # fmt: skip
def test_an_edit_of_what_is_recorded_is_not_recorded_along(desk, how, what):
    add(2)
    edit(how)

    said = refused()

    assert "desk/triage: the record would change" in said
    assert what in said


def test_a_loosened_policy_is_not_recorded_along(desk):
    add(2)
    path = Path("fixtures/desk/task.yaml")
    path.write_text(path.read_text().replace("0.05", "0.2"))

    assert "margin 0.05 -> 0.2" in refused()


def test_a_unit_of_which_nothing_is_recorded_is_new_rules_and_stays_so(desk):
    write_unit(Path("fixtures"), ["a", "b"], name="fresh")

    assert "no added case waits to be recorded" in ok("record", "--added")


def test_supplied_outputs_name_the_one_command(repository):
    add(2)

    said = refused()

    assert (
        "desk/triage: its outputs are supplied (replay-gpt), so no model can record its 2 added cases (new000, new001)"
        ": tunegate record --added --name=gpt --from=OUTPUTS.jsonl --requests=REQUESTS.jsonl"
    ) in said


def test_supplied_outputs_of_added_cases_are_recorded_by_that_command(repository):
    before = json.loads(REPLAYED.read_text())["cases"]
    given = ("--name=gpt", "--from=base.jsonl", "--requests=requests.jsonl")
    add(2)
    write(10, "base.jsonl")
    Path("requests.jsonl").write_text(invoke("prompts").stdout)

    ok("record", "--added", *given)

    after = json.loads(REPLAYED.read_text())["cases"]
    assert {case: after[case] for case in before} == before
    assert len(after) == len(before) + 2

    add(1, "more")
    write(40, "base.jsonl")
    Path("requests.jsonl").write_text(invoke("prompts").stdout)
    assert "desk/triage: the record would change: other outputs of" in refused(*given)


def test_it_takes_no_option_that_records_what_is_recorded(desk):
    for more in ("--fresh", "--noise", "--anchor=because"):
        done = invoke("record", "--added", more)
        assert done.exit_code == 2, more
        assert "--added" in done.output
