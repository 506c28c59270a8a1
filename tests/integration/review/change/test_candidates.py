"""Changes of the configuration: prompts, decoding and models are candidates, compared with what is in service."""

from __future__ import annotations

import json
import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.support.fault_server import serving
from tests.support.gated import OWN, commit_to_main, decision, edit, git, invoke, ok, put_in_service
from tests.support.prompted import BETTER, CASES, IN_SERVICE, REWORDED, RIGHT, WORSE, act, prompt, record_as, settings
from tests.support.records import write_policy
from tests.support.units import write_unit
from tunegate.harness.history.ledger.ledger import Event
from tunegate.harness.history.ledger.store import append

SCORES = "in service 91.7 %, this change 75.8 %"
READ = "Next: read its 19 regressed cases, then change the model or its prompt."
HEADLINE = f"Blocked: desk/triage regressed: {SCORES}; edited: system prompt. {READ}"


gate = partial(decision, "--policy-from=main", ends=(0, 1, 4))


def verdicts(found: dict[str, Any]) -> dict[str, str]:
    return {each["rules"]: each["verdicts"]["desk/triage"] for each in found["by_rules"]}


def test_the_first_record_is_in_service(desk):
    said = ok("ledger")
    assert "in service" in said


@pytest.mark.parametrize(
    ("text", "passes", "verdict"),
    [(IN_SERVICE, True, "held"), (REWORDED, True, "held"), (BETTER, True, "held"), (WORSE, False, "regressed")],
)
def test_an_edited_prompt_is_compared_with_what_is_in_service(desk, text, passes, verdict):
    git("commit", "-qm", "notes", "--allow-empty")
    prompt(text)
    found = gate()
    assert (found["passes"], found["modified"], found["approve"]) == (passes, [], "")
    assert verdicts(found) == {"the rules of main": verdict, "the rules of this change": verdict}
    edited = [] if text == IN_SERVICE else [
        {"unit": "desk/triage", "part": "system", "before": IN_SERVICE, "now": text}
    ]  # fmt: skip
    assert found["configuration"] == edited


def test_a_raised_temperature_and_another_model_are_compared_too(desk, server):
    edit(lambda data: data["generate"].update(temperature=1.0))
    hot = gate()
    assert (hot["passes"], hot["modified"]) == (False, [])
    assert hot["configuration"] == [{"unit": "desk/triage", "part": "temperature", "before": "0.0", "now": "1.0"}]

    edit(lambda data: data["generate"].pop("temperature"))
    small = server.model.replace("#tuned", "#small")
    settings(small)
    other = gate(f"--model={small}")
    assert (other["passes"], other["modified"]) == (False, [])
    assert other["configuration"] == [{"unit": "", "part": "model", "before": server.model, "now": small}]
    assert set(verdicts(other).values()) == {"regressed"}


def test_two_at_once_are_both_named(desk):
    prompt(BETTER)
    edit(lambda data: data["generate"].update(max_new_tokens=64))
    assert [each["part"] for each in gate()["configuration"]] == ["system", "max_new_tokens"]


def test_a_record_of_the_change_is_never_the_reference_and_serves_after_the_merge(desk):
    prompt(WORSE)
    ok("record")
    worse = gate()
    assert not worse["passes"]
    assert (worse["modified"], worse["untrue"]) == ([], [])
    assert verdicts(worse) == {"the rules of main": "regressed", "the rules of this change": "regressed"}

    prompt(REWORDED)
    ok("record")
    found = gate()
    assert found["passes"], found
    assert found["added"] == ["desk/triage: this change's record is in service after the merge"]
    commit_to_main("reworded")
    prompt(WORSE)
    assert not gate()["passes"]


@pytest.mark.parametrize(
    ("right", "has", "direction"),
    [
        ((104, {7}), "has 85.8 %, and the gate finds 90.8 %", "below both runs of the gate in 6 of 120 cases"),
        ((116, {7}), "has 95.8 %, and the gate finds 90.8 %", "above both runs of the gate in 6 of 120 cases"),
        ((116, {*range(7)}), "", "below both runs of the gate in 7 of 120 cases"),  # the same mean
        ((90, {7}), "has 74.2 %, and the gate finds 90.8 %: another result in 20 of 120 cases", ""),
    ],
)  # fmt: skip
def test_a_record_may_be_off_by_the_noise_of_the_engine_and_not_by_the_margin(desk, right, has, direction):
    """Lower than the truth, it would let worse prompts pass later; on other cases, another comparison."""
    record_as(right)
    found = gate()
    assert not found["passes"]
    [line, *_] = found["untrue"]
    assert (direction or has) in line
    assert line.endswith("record it again: tunegate record --fresh")

    ok("record", "--fresh")
    assert not gate()["untrue"]


def test_the_costs_of_a_record_are_those_of_its_outputs(desk):
    unit = {"version": 1, "suite": "cost", "unit": "cost", "of": "triage"}
    Path("fixtures/desk/cost.yaml").write_text(json.dumps(unit))
    policy = json.loads(write_policy(Path("fixtures"), triage={"margin": 0.05}, cost={"margin": 0.01}).read_text())
    policy["prices"] = {"currency": "USD", "input_per_million": 1, "output_per_million": 2, "reason": "a test"}
    Path("fixtures/desk/task.yaml").write_text(json.dumps(policy))
    ok("record")
    commit_to_main("costs")
    prompt(REWORDED)
    ok("record")
    assert gate()["untrue"] == []
    record_as((104, {7}))
    assert "desk/triage: the record of this change" in gate()["untrue"][0]


def test_one_case_that_flipped_says_nothing_on_a_hosted_model(desk):
    record_as((109, {7}))
    assert gate()["passes"]


def test_a_record_says_what_its_outputs_say(desk):
    """Outputs of wrong cases under stored scores that the gate finds, said to be of an older check, count later."""
    prompt(REWORDED)
    ok("record")
    data = json.loads(record_path().read_text())
    wrong = next(each for each in data["cases"].values() if not each["passed"])["output"]
    for case in [*data["cases"]][20:40]:
        data["cases"][case]["output"] = wrong
    data["scorer"] = dict.fromkeys(data["scorer"], "0") or {"jsonschema": "0"}
    put_in_service(record_path(), data)
    found = gate()
    assert not found["passes"]
    assert "has 74.2 %, and the gate finds 90.8 %: another result in 20 of 120 cases" in found["untrue"][0]


def test_a_record_names_the_questions_of_its_cases(desk):
    """On those alone that it names, later changes would be compared: the author would choose them."""
    prompt(REWORDED)
    ok("record")
    data = json.loads(record_path().read_text())
    for case in [*data["cases"]][:40]:
        data["cases"][case]["question"] = "0" * 64
    put_in_service(record_path(), data)
    found = gate()
    assert not found["passes"]
    assert "names other questions than its cases ask; record it again" in found["untrue"][0]


def test_a_record_of_an_own_check_is_scored_by_it(desk, server):
    Path("checks.py").write_text(OWN)
    settings(server.model, checks="checks.py")
    cases = [{"id": f"n{n:03}", "input": f"new {n}"} for n in range(CASES)]
    own = {"suite": "short", "check": {}, "cases": cases}
    write_unit(Path("fixtures"), [], name="brief", prompt={"system": IN_SERVICE}, **own)
    ok("record")
    commit_to_main("an own check")
    for name in ("triage.yaml", "brief.yaml"):
        edit(lambda data: data.update(prompt={"system": REWORDED}), name)
    ok("record")
    assert gate()["passes"]


def test_another_host_is_a_rule_and_nothing_is_sent_there_before_it_is_approved(desk):
    with serving(act) as elsewhere:
        settings(elsewhere.model)
        found = gate(f"--model={elsewhere.model}")
        assert not found["passes"]
        assert [line.partition(" model:")[0] for line in found["modified"]] == ["[tool.tunegate]"]
        assert found["by_rules"] == []
        assert elsewhere.asked == []


def test_ten_merges_of_half_a_margin_are_stopped_by_the_anchor(desk):
    """Each prompt loses half a margin more: each is held of the one before, and the sum is not."""
    write_policy(Path("fixtures"), triage={"role": "target", "margin": 0.15})
    ok("record")
    commit_to_main("a margin")
    outcomes = []
    for step in range(1, 11):
        text = f"Sort the ticket. Step {step}."
        RIGHT[text] = (110 - 9 * step, set())
        prompt(text)
        outcomes.append(gate()["passes"])
        if not outcomes[-1]:
            break
        ok("record")
        commit_to_main(f"step {step}")
    assert 1 < len(outcomes) < 10
    said = invoke("gate", "--policy-from=main")
    assert "the anchor" in said.output


def test_the_comment_shows_the_prompt_and_both_scores(desk, tmp_path):
    prompt(WORSE)
    assert invoke("gate", "--policy-from=main", "--decision=d.json").exit_code == 1
    said = ok("report", "d.json", "--markdown")
    assert said.splitlines()[0] == f"### ❌ {HEADLINE}"
    assert re.search(
        r"- in service: tuned-[0-9a-f]{8}, prompt [0-9a-f]{8}, recorded 20\d\d-\d\d-\d\d \d\d:\d\d UTC\n", said
    )
    assert re.search(r"- this change: tuned-[0-9a-f]{8}, prompt [0-9a-f]{8}, evaluated 20", said)
    assert "**This change edits the configuration**" in said
    assert "- desk/triage: system: Sort the ticket. → Sort." in said
    assert "| in service | this change |" in said
    assert "| 91.7 % | 75.8 % |" in said


def test_the_terminal_names_what_is_edited_first_and_both_scores_last(desk):
    prompt(WORSE)
    done = invoke("gate", "--policy-from=main")
    assert done.stdout.startswith("1 part of the configuration edited: compared with what is in service\n")
    assert "  desk/triage: system: Sort the ticket. -> Sort." in done.stdout
    assert done.stderr.splitlines()[-2] == f"tuned: {HEADLINE}"


def test_a_guard_that_is_held_at_a_late_run_says_so_on_terminal_and_comment(desk):
    write_policy(Path("fixtures"), triage={"margin": 0.15})
    ok("record")
    commit_to_main("a guard")
    for step in range(1, 5):
        text = f"Please sort the ticket, {step}."
        RIGHT[text] = (110, {step})
        prompt(text)
        done = invoke("gate", "--policy-from=main", "--decision=d.json")
        assert done.exit_code == 0, done.output
        assert ("Held at the" in done.output) == (step == 4)
    said = ok("report", "d.json", "--markdown")
    worth = "of 4 candidates that each lose as much as the margin, one or more gets held 15 % of the time"
    assert f"Held at a late run of its cases: desk/triage at the 4th; {worth}" in said
    prompt(REWORDED)
    assert "at the 5th" in invoke("gate", "--policy-from=main").output
    assert "at the 5th" in invoke("gate", "--policy-from=main").output  # a repeated run is no further one


def sealed_beside(server) -> None:
    """A sealed unit that proves the open one, with the same prompt, on main."""
    cases = [{"id": f"s{n:03}", "input": f"sealed {n}", "expect": {"product": "boiler"}} for n in range(CASES)]
    write_unit(Path("fixtures"), [], name="final", sealed=True, cases=cases, prompt={"system": IN_SERVICE})
    policy = {"role": "target", "margin": 0.05}
    write_policy(Path("fixtures"), triage=policy, final=policy | {"seals": "triage"})
    ok("record")
    commit_to_main("sealed cases")


def edit_both(text: str) -> None:
    for name in ("triage.yaml", "final.yaml"):
        edit(lambda data: data.update(prompt={"system": text}), name)


@pytest.mark.parametrize("options", [("--policy-from=main",), ()])
def test_sealed_cases_are_run_with_the_prompt_in_service_beside_the_candidate(desk, server, options):
    sealed_beside(server)
    edit_both(WORSE)
    server.asked.clear()
    done = invoke("gate", "--sealed", "--json", *options)
    assert done.exit_code == 1, done.output
    asked = {
        each.body["messages"][0]["content"] for each in server.asked if "sealed" in each.body["messages"][-1]["content"]
    }
    assert asked == {IN_SERVICE, WORSE}
    found = json.loads(done.stdout)
    assert {each["verdicts"]["desk/final"] for each in found["by_rules"]} == {"regressed"}
    ledger = ok("ledger", "--json")
    assert '"opened"' in ledger


@pytest.mark.parametrize(("options", "anchor"), [(("--policy-from=main",), set()), ((), {IN_SERVICE})])
def test_the_records_of_added_cases_are_not_run_on_sealed_ones(desk, server, options, anchor):
    sealed_beside(server)
    more = [{"id": f"late{n}", "input": f"late {n}", "expect": {"product": "boiler"}} for n in range(20)]
    edit(lambda data: data["cases"].extend(more))
    for text in (added := "Sort it, first.", serves := "Sort it, second."):
        RIGHT[text] = RIGHT[IN_SERVICE]
        edit_both(text)
        ok("record")
        commit_to_main(text)
    edit_both(REWORDED)
    server.asked.clear()
    found = json.loads(invoke("gate", "--sealed", "--json", *options).stdout)
    assert not found["refused"]
    asked = {
        (each.body["messages"][0]["content"], each.body["messages"][-1]["content"].split()[0]) for each in server.asked
    }
    assert {text for text, kind in asked if kind == "sealed"} == {serves, REWORDED, *anchor}
    assert (added, "late") in asked


def test_what_is_in_service_is_not_evaluated_on_sealed_cases(desk, server):
    sealed_beside(server)
    done = invoke("gate", "--sealed")
    assert done.exit_code == 4
    assert "this is what is in service" in done.output


def test_without_a_branch_an_unknown_prompt_of_sealed_cases_is_refused(desk, server):
    sealed_beside(server)
    edit(lambda data: data.update(prompt={"system": WORSE}))
    done = invoke("gate", "--sealed")
    assert done.exit_code == 4
    assert "the prompt of desk/final in the baseline is unknown" in done.output


def test_a_record_of_the_change_does_not_take_the_place_of_what_is_in_service(desk, server):
    sealed_beside(server)
    edit_both(WORSE)
    ok("record")
    done = invoke("gate", "--policy-from=main", "--sealed", "--json")
    found = json.loads(done.stdout)
    assert [each["verdicts"]["desk/final"] for each in found["by_rules"]] == ["regressed", "regressed"]
    assert [each["verdicts"]["desk/triage"] for each in found["by_rules"]] == ["regressed", "regressed"]


def test_an_anchor_is_set_with_a_reason_and_approved_by_a_reviewer(desk):
    prompt(BETTER)
    ok("record", "--anchor=Prompts begin anew from here.")
    found = gate()
    assert [line.partition(" (")[0] for line in found["modified"]] == [
        "the ledger: the anchor of 1 unit, "
        f"{next(Path('baselines').glob('tuned-*')).name}: Prompts begin anew from here."
    ]
    assert gate(f"--approve={found['approve']}")["passes"]


# attempts to get a worse prompt past the gate


def test_an_older_record_is_not_put_in_service_by_a_change(desk):
    """A low record that lies among the baselines would be an easier reference after the merge."""
    low = json.loads(record_path().read_text())
    prompt(WORSE)
    ok("record")
    commit_to_main("worse, by an owner")
    prompt(BETTER)
    ok("record")
    commit_to_main("better")
    git("commit", "-qm", "notes", "--allow-empty")
    assert gate()["passes"]
    append(Path("baselines"), Event("serves", "desk", low["subject"], {"desk/triage": low["digest"]}))
    found = gate()
    assert not found["passes"]
    assert "is of another configuration than this change runs" in found["untrue"][0]


def test_a_record_whose_prompt_was_rewritten_is_not_what_the_gate_finds(desk):
    forged = json.loads(record_path().read_text()) | {"configuration": {"template": "{input}", "system": BETTER,
               "decoding": {"max_new_tokens": 4, "temperature": 0.0, "top_p": 1.0, "seed": 0}}}  # fmt: skip
    put_in_service(record_path(), forged)
    prompt(BETTER)
    found = gate()
    assert not found["passes"]
    assert "expected the record of the anchor" in found["refused"]  # it stood in that file


def test_an_event_that_put_a_configuration_in_service_cannot_be_left_out(desk):
    [serves] = [path for path in Path("baselines/ledger").glob("*.json") if '"serves"' in path.read_text()]
    serves.unlink()
    prompt(WORSE)
    refused("expected every event of main in the ledger here, found 1 missing")


def test_a_second_file_of_the_unit_cannot_have_a_prompt_of_its_own(desk):
    path = Path("fixtures/desk/triage.yaml")
    data = json.loads(path.read_text())
    Path("fixtures/desk/more.yaml").write_text(json.dumps(data | {
        "cases": data["cases"][100:], "prompt": {"system": BETTER}, "unit": "triage",
    }))  # fmt: skip
    path.write_text(json.dumps(data | {"cases": data["cases"][:100]}))
    refused("the files of a unit share it")


def test_a_prompt_moves_no_cursor_and_starts_no_command_of_the_workflow(desk):
    prompt("Sort.\n::error::all is well\n\u202e\x1b[2K# done @team <img src=x>")
    done = invoke("gate", "--policy-from=main", "--decision=d.json")
    said = done.output + ok("report", "d.json", "--markdown")
    assert "\x1b" not in said
    assert "\u202e" not in said
    assert not any(line.startswith("::") for line in said.splitlines())


def record_path() -> Path:
    [path] = Path("baselines").glob("*/desk/triage.json")
    return path


def refused(why: str) -> None:
    done = invoke("gate", "--policy-from=main")
    assert done.exit_code == 4, done.output
    assert why in done.output


def test_a_record_in_which_a_critical_case_fails_is_not_what_the_gate_finds(desk):
    """A critical case that the record fails would not count later, though one case moves no mean beyond the margin."""
    edit(lambda data: data["cases"][0].update(critical=True))
    ok("record")
    commit_to_main("a critical case")
    prompt(REWORDED)
    ok("record")
    assert gate()["passes"]
    record_as((110, {0, 7}))
    found = gate()
    assert not found["passes"]
    assert "fails the critical cases c000, which pass here" in "\n".join([*found["untrue"], found["refused"]])


def new_unit(text: str) -> None:
    cases = [{"id": f"n{n:03}", "input": f"new {n}", "expect": {"product": "boiler"}} for n in range(CASES)]
    write_unit(Path("fixtures"), [], name="new", cases=cases, prompt={"system": text})


def test_the_anchor_of_a_new_unit_among_the_earlier_records_of_a_change_is_run_again(desk):
    new_unit(WORSE)
    ok("record")
    edit(lambda data: data.update(prompt={"system": IN_SERVICE}), "new.yaml")
    ok("record")
    found = gate()
    assert (found["modified"], found["untrue"]) == ([], [])


def test_a_forged_one_is_no_anchor(desk):
    honest = RIGHT[WORSE]
    new_unit(WORSE)
    RIGHT[WORSE] = (20, set())
    ok("record")
    RIGHT[WORSE] = honest
    edit(lambda data: data.update(prompt={"system": IN_SERVICE}), "new.yaml")
    ok("record")
    found = gate()
    assert not found["passes"]
    [line] = found["untrue"]
    assert line.startswith("desk/new: the record of this change (baselines/ledger/outputs/")
    assert "has 16.7 %, and the gate finds 75.8 %" in line


def test_an_anchor_that_a_change_deletes_is_a_rule_change(desk):
    prompt(REWORDED)
    ok("record")
    commit_to_main("reworded")
    [anchor] = Path("baselines/ledger/outputs").glob("*.json")
    anchor.unlink()
    found = gate()
    assert not found["passes"]
    assert found["modified"] == [f"the ledger: the outputs of an earlier record are gone ({anchor.name})"]


def test_the_drift_of_a_hosted_model_is_named_as_that(desk):
    prompt(REWORDED)
    said = invoke("gate", "--policy-from=main").output
    assert "may drift, was run again: 0 of 120 outputs differ from its record" in said
    assert "recorded on another engine" not in said
