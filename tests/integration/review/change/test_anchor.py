"""What a later change is compared with: the anchor stays, whatever cases come, and whoever records what."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from tests.support.gated import commit_to_main, decision, edit, git, invoke, ok
from tests.support.prompted import CASES, IN_SERVICE, REWORDED, RIGHT, WORSE, prompt, record_as
from tests.support.records import write_policy
from tests.support.units import write_unit
from tunegate.harness.history.ledger.store import read_ledger, write_event
from tunegate.harness.models.evaluation.record import read_record

gate = partial(decision, ends=(0, 1, 4))


def as_guard(margin: float) -> None:
    write_policy(Path("fixtures"), triage={"margin": margin})
    ok("record")
    commit_to_main("a guard")


def add(name: str, count: int) -> None:
    """Add cases that every prompt gets right."""
    more = [{"id": f"{name}{n:03}", "input": f"{name} 0", "expect": {"product": "boiler"}} for n in range(count)]
    for number, case in enumerate(more):
        case["input"] = f"{name} of number {number} in case 0"
    edit(lambda data: data["cases"].extend(more))


def lose(count: int) -> str:
    """A prompt that gets so many of the cases wrong that the one in service gets right."""
    text = f"Sort the ticket, but {count}."
    RIGHT[text] = (110, set(range(1, count + 1)))
    return text


def reason() -> str:
    gate_record()
    return read_record(Path("record.json")).verdicts["desk/triage"].reason


def gate_record() -> dict[str, Any]:
    invoke("gate", "--out=record.json")
    return dict(json.loads(Path("record.json").read_text()))


def test_a_worse_prompt_that_was_just_recorded_is_compared_with_the_anchor(desk):
    prompt(WORSE)
    assert not gate()["passes"]
    ok("record")
    assert not gate()["passes"]
    assert reason().startswith("Regressed: worse than the anchor")
    commit_to_main("worse, by an owner")
    assert not gate()["passes"]
    ok("record", "--anchor=The team decided so.")
    assert gate()["passes"]


def test_eight_merges_that_each_add_a_case_do_not_add_up(desk):
    as_guard(0.1)
    merged = 0
    for step in range(1, 9):
        prompt(lose(4 * step))
        add(f"step{step}", 1)
        ok("record")
        if not gate("--policy-from=main")["passes"]:
            break
        merged += 1
        commit_to_main(f"merge {step}")
    assert merged < 3
    assert "than the anchor" in reason()
    assert f"on 120 of {CASES + merged + 1} cases" in reason()


def test_easy_cases_do_not_hide_a_loss(desk):
    as_guard(0.05)
    add("easy", 600)
    ok("record")
    assert gate("--policy-from=main")["passes"]
    commit_to_main("easy cases")
    prompt(lose(20))
    found = gate("--policy-from=main")
    assert not found["passes"]
    assert {each["verdicts"]["desk/triage"] for each in found["by_rules"]} == {"regressed"}
    assert "on 120 of 720 cases" in reason()


LATE = range(1000, 1100)


def late(lost: int) -> str:
    """A prompt that gets so many of the late cases wrong, and all others as the one in service."""
    text = f"Sort the ticket, late but {lost}."
    RIGHT[text] = (2000, {*range(110, CASES), *LATE[:lost]})
    return text


def add_late() -> None:
    more = [{"id": f"late{n}", "input": f"ticket {n}", "expect": {"product": "boiler"}} for n in LATE]
    edit(lambda data: data["cases"].extend(more))


def recorded(text: str) -> None:
    prompt(text)
    ok("record")


def merged_losses() -> int:
    """How many of the late cases merges that lose eight each can lose."""
    for lost in range(0, 60, 8):
        recorded(late(lost + 8))
        if not gate("--policy-from=main")["passes"]:
            return lost
        commit_to_main(f"{lost} lost")
    return 60


def test_losses_on_cases_that_were_added_do_not_add_up_either(desk):
    as_guard(0.1)
    add_late()
    recorded(late(0))
    assert gate("--policy-from=main")["passes"]
    commit_to_main("late cases")
    assert merged_losses() < 0.1 * (CASES + len(LATE))
    assert "anchor with the cases added since" in reason()


def test_easy_cases_hide_no_loss_on_cases_that_were_added_before_them(desk):
    """Of two units: the second one has a part of another record."""
    as_guard(0.1)
    cases = [{"id": f"o{n}", "input": f"other {n}", "expect": {"product": "boiler"}} for n in range(60)]
    write_unit(Path("fixtures"), [], name="other", cases=cases, prompt={"system": IN_SERVICE})
    add_late()
    recorded(late(0))
    commit_to_main("late cases")
    add("easy", 600)
    edit(
        lambda data: data["cases"].append({"id": "more", "input": "more 3", "expect": {"product": "boiler"}}),
        "other.yaml",
    )
    recorded(late(1))
    commit_to_main("easy cases")
    assert merged_losses() < 0.1 * (CASES + len(LATE))
    assert "anchor with earlier cases added since (1)" in reason()


def test_a_change_that_adds_cases_and_is_recorded_twice_passes_unapproved(desk):
    """Its first record is the anchor of the late cases from then on; the gate ran that prompt, too."""
    as_guard(0.1)
    add_late()
    recorded(late(4))
    recorded(late(0))
    found = gate("--policy-from=main")
    assert found["passes"]
    assert (found["modified"], found["untrue"]) == ([], [])
    commit_to_main("late cases")
    assert merged_losses() < 0.1 * (CASES + len(LATE))


def test_a_replaced_record_of_a_change_is_run_again(desk):
    """A low one would be the anchor of the late cases."""
    as_guard(0.1)
    add_late()
    record_as(RIGHT[late(60)], late(1))
    recorded(late(0))
    found = gate("--policy-from=main")
    assert not found["passes"]
    assert len(found["untrue"]) == 1
    assert "another result in 59 of 100 cases (late1001," in found["untrue"][0]


def test_a_record_of_an_earlier_date_does_not_become_the_anchor_of_added_cases(desk):
    as_guard(0.1)
    add_late()
    recorded(late(0))
    commit_to_main("late cases")
    recorded(late(9))
    first, *_, last = read_ledger(Path("baselines")).of("desk", "serves")
    # before all others, not in the same second as the second one, where the order of the two would be by chance
    write_event(Path("baselines"), replace(last, when="2020" + first.when[4:], after=(first.digest,)))
    recorded(late(0))
    modified = gate("--policy-from=main")["modified"]
    assert any("the anchor of its cases would be another record" in line for line in modified)


def test_a_change_that_adds_cases_is_compared_on_those_that_the_branch_has(desk):
    """Its own record, which has all cases, is no reference for itself."""
    as_guard(0.05)
    prompt(lose(20))
    add("easy", 600)
    ok("record")
    found = gate("--policy-from=main", "--out=record.json")
    assert {each["rules"]: each["verdicts"]["desk/triage"] for each in found["by_rules"]} == {
        "the rules of main": "regressed", "the rules of this change": "regressed",
    }  # fmt: skip
    verdict = json.loads(Path("record.json").read_text())["verdicts"]["desk/triage"]
    assert (verdict["n"], verdict["cases"], len(verdict["regressed_cases"])) == (120, 720, 20)


def test_removed_and_edited_cases_leave_the_others_with_the_anchor(desk):
    as_guard(0.1)
    edit(lambda data: data.update(cases=data["cases"][:-10]))
    edit(lambda data: data["cases"][0].update(input="another ticket 0"))
    ok("record")
    commit_to_main("reviewed")
    prompt(lose(30))
    ok("record")
    assert not gate()["passes"]
    assert "on 109 of 110 cases" in reason()


def test_an_approved_edit_of_every_case_begins_anew(desk):
    as_guard(0.1)
    edit(lambda data: [case.update(input=f"another {case['input']}") for case in data["cases"]])
    ok("record")
    found = gate("--policy-from=main")
    assert "desk/triage: no case of the anchor is left as it was: a record of this change would be the anchor" in str(
        found["modified"]
    )
    commit_to_main("reviewed")
    found = gate()
    assert found["passes"]
    assert "desk/triage: no case is left as the anchor of" in str(found["notes"])


def test_tags_and_marks_take_no_case_from_the_anchor(desk):
    edit(lambda data: [case.update(critical=True, tags={"kind": "a"}) for case in data["cases"][91:110]])
    prompt(WORSE)
    ok("record")
    assert not gate()["passes"]
    assert "than the anchor" in reason()
    assert "on 120 cases" in reason()


def test_a_second_question_of_a_group_does_not_take_it_from_the_anchor(desk):
    as_guard(0.05)
    edit(lambda data: data["cases"].extend({**case, "id": f"{case['id']}-again"} for case in data["cases"][:100]))
    ok("record")
    commit_to_main("every question twice")
    prompt(lose(20))
    ok("record")
    assert not gate()["passes"]
    assert "on 120 of 220 cases" in reason()


def test_an_anchor_whose_record_is_lost_is_asked_for(desk):
    prompt(REWORDED)
    ok("record")
    assert gate()["passes"]
    for kept in Path("baselines/ledger/outputs").glob("*.json"):
        kept.unlink()
    done = invoke("gate")
    assert done.exit_code == 4, done.output
    assert "the record of the anchor" in done.output
    assert "tunegate record --anchor" in done.output


# a base that already holds the change


def refused(*options: str) -> str:
    done = invoke("gate", *options)
    assert done.exit_code == 4, done.output
    return done.output


def test_a_base_that_already_holds_the_change_is_refused(desk):
    prompt(WORSE)
    ok("record")
    git("add", "-A")
    git("commit", "-qm", "worse")
    assert not gate("--policy-from=main")["passes"]
    assert "--policy-from=HEAD^1" in refused("--policy-from=HEAD")

    git("branch", "-f", "main")
    assert "main already holds" in refused("--policy-from=main")
    git("checkout", "-q", "-b", "later")
    Path("notes.md").write_text("notes")
    git("add", "notes.md")
    git("commit", "-qm", "notes")
    git("branch", "-f", "main")
    git("checkout", "-q", "change")
    assert "main already holds" in refused("--policy-from=main")


def test_the_second_parent_of_a_merge_is_refused(desk):
    base = git("rev-parse", "HEAD").strip()
    prompt(WORSE)
    ok("record")
    git("add", "-A")
    git("commit", "-qm", "worse")
    git("checkout", "-q", "-B", "merged", base)
    git("merge", "-q", "--no-ff", "-m", "merge", "change")
    assert "--policy-from=HEAD^1" in refused("--policy-from=HEAD^2")
    assert not gate("--policy-from=HEAD^1")["passes"]


def test_honest_bases_are_not_refused(desk):
    prompt(REWORDED)
    assert gate("--policy-from=HEAD")["passes"]  # not committed yet
    ok("record")
    git("add", "-A")
    git("commit", "-qm", "reworded")
    assert gate("--policy-from=main")["passes"]
    Path("notes.md").write_text("notes")
    git("add", "-A")
    git("commit", "-qm", "notes")
    assert gate("--policy-from=HEAD^1")["passes"]  # this commit edits no prompt
    git("commit", "-qm", "again", "--allow-empty")
    assert gate("--policy-from=HEAD^1")["passes"]  # as a push to main that changes nothing
    prompt(IN_SERVICE)
    assert gate("--policy-from=HEAD")["passes"]


def test_what_is_not_committed_is_compared_with_a_base_that_holds_the_rest(desk, server):
    small = server.model.replace("#tuned", "#small")
    assert gate("--policy-from=HEAD", f"--model={small}")["refused"] == ""
    add("easy", 1)
    ok("record")
    assert gate("--policy-from=HEAD")["added"][0] == "desk/triage: 1 case (easy000) added"
    commit_to_main("a case")
    write_policy(Path("fixtures"), triage={"role": "target", "margin": 0.06})
    ok("record")
    assert gate("--policy-from=HEAD")["modified"][0] == "desk/triage: task.yaml is looser: margin 0.05 -> 0.06"


def test_a_merge_of_another_change_is_compared_with_a_branch_that_moved_on(desk):
    for name, base in (("change", "main"), ("other", "main")):
        git("checkout", "-qB", name, base)
        Path(f"{name}.md").write_text("notes")
        git("add", "-A")
        git("commit", "-qm", name)
    git("checkout", "-q", "-B", "merged", "main")
    git("merge", "-q", "--no-ff", "-m", "merge", "change")  # as CI checks a pull request out
    git("branch", "-f", "main", "other")
    assert gate("--policy-from=main")["passes"]


def test_a_first_record_passes_beside_a_branch_without_fixtures(desk):
    git("checkout", "-q", "--orphan", "empty")
    git("rm", "-rqf", "--cached", ".")
    Path("README.md").write_text("nothing yet")
    git("add", "README.md")
    git("commit", "-qm", "nothing yet")
    git("branch", "-f", "main")
    assert gate("--policy-from=main")["passes"]  # not committed yet
    git("add", "-A")
    git("commit", "-qm", "a first record")
    assert gate("--policy-from=main")["passes"]

    record_as((90, set()), IN_SERVICE)  # later changes would be compared with that
    assert "has 75.0 %, and the gate finds 91.7 %" in gate("--policy-from=main")["untrue"][0]


def test_a_branch_without_a_commit_holds_nothing(desk):
    git("checkout", "-q", "--orphan", "new")
    assert gate("--policy-from=main")["passes"]
