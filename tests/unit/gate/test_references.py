"""What a change is compared with: the base, the adapter in service, the record in service and the anchor."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.records import record, write_desk, write_policy
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.evaluation.record import Record
from tunegate.harness.gate import rule as gate

T, G = "desk/triage", "desk/replies"
ADAPTER, SERVING = "a" * 64, "b" * 64


def row(n: int, passing: int, first: int = 0) -> str:
    """Of n cases so many pass, in a row from the `first` on."""
    return "0" * first + "1" * passing + "0" * (n - first - passing)


@pytest.fixture
def evaluate(tmp_path):
    """Compare a candidate with references by name, the first one first."""

    def run(candidate: Any, adapter: str | None = ADAPTER, trained=("desk",), more=None, **references: Any) -> Record:
        tasks = load_tasks(tmp_path)
        named = {name.replace("_", " "): record(tasks, rows) for name, rows in references.items()}
        return gate.compare(tasks, record(tasks, candidate, adapter, **(more or {})), named, list(trained))

    return run


def test_an_adapter_only_must_not_be_worse_than_the_one_in_service(evaluate, tmp_path):
    write_desk(tmp_path, 100)
    write_policy(tmp_path, triage={"role": "target", "margin": 0.1})
    rows = {"baseline": {T: row(100, 60)}, "last_release": {T: row(100, 80)}}
    candidate = {T: row(100, 75, 8)}

    adapter = evaluate(candidate, **rows)
    [found] = adapter.verdicts.values()
    assert (found["verdict"], found["blocks"], found["is_below_shown"]) == ("improved", False, False)
    assert found["below_service"] == pytest.approx(0.05)
    assert found["reason"].endswith("Below the last release by 5.0 points, not beyond chance.")
    assert adapter.tasks["desk"]["reason"] == (
        "Release: desk/triage (-5.0) below the adapter in service, not beyond chance; on the base desk/triage "
        "improved; desk has no guard."
    )

    other = evaluate(candidate, None, (), **rows)
    [found] = other.verdicts.values()
    assert (found["verdict"], found["blocks"], found["below_service"]) == ("inconclusive", True, 0.0)


def test_an_adapter_that_is_shown_to_be_worse_than_the_one_in_service_blocks(evaluate, tmp_path):
    write_desk(tmp_path, 100)
    write_policy(tmp_path, triage={"role": "target", "margin": 0.1})
    judged = evaluate({T: row(100, 75)}, baseline={T: row(100, 50)}, last_release={T: row(100, 95)})
    [found] = judged.verdicts.values()
    assert (found["verdict"], found["blocks"], found["reference"]) == ("regressed", True, "last release")
    assert judged.tasks["desk"]["decision"] == "block"


def test_a_shown_loss_within_the_margin_is_not_called_chance(evaluate, tmp_path):
    write_desk(tmp_path, 400)
    write_policy(tmp_path, triage={"role": "target", "margin": 0.05})
    judged = evaluate({T: row(400, 294)}, baseline={T: row(400, 240)}, last_release={T: row(400, 300)})
    [found] = judged.verdicts.values()
    assert (found["verdict"], found["blocks"], found["is_below_shown"]) == ("improved", False, True)
    assert "Below the last release by 1.5 points, significantly, but within the margin." in found["reason"]
    assert judged.tasks["desk"]["reason"].startswith(
        "Release: desk/triage (-1.5) below the adapter in service, significantly for desk/triage, but within the "
        "margin; on the base desk/triage improved"
    )


def test_an_adapter_above_the_one_in_service_is_not_below_it(evaluate, tmp_path):
    write_desk(tmp_path, 100)
    write_policy(tmp_path, triage={"role": "target", "margin": 0.1})
    judged = evaluate({T: row(100, 85)}, baseline={T: row(100, 60)}, last_release={T: row(100, 80)})
    [found] = judged.verdicts.values()
    assert (found["below_service"], found["is_below_shown"]) == (0.0, False)
    assert judged.tasks["desk"]["reason"] == "Release: desk/triage improved; desk has no guard."


def test_what_cannot_be_compared_with_the_adapter_in_service_blocks(evaluate, tmp_path):
    write_desk(tmp_path, 100)
    judged = evaluate({T: row(100, 90)}, baseline={T: row(100, 90)}, last_release={T: "-" + row(99, 90)})
    [found] = judged.verdicts.values()
    assert (found["blocks"], found["difference"]) == (True, None)


def test_another_configuration_must_be_held_of_what_is_in_service_and_of_the_anchor(evaluate, tmp_path):
    write_desk(tmp_path, 100)
    write_policy(tmp_path, triage={"margin": 0.1})
    chained = {"baseline": {T: row(100, 84)}, "anchor": {T: row(100, 90)}}

    judged = evaluate({T: row(100, 80)}, None, (), **chained)
    [found] = judged.verdicts.values()
    assert (found["verdict"], found["blocks"], found["reference"]) == ("regressed", True, "anchor")
    assert found["reason"].endswith("Against the baseline: held, -4.0 points.")

    judged = evaluate({T: row(100, 80)}, None, (), baseline=chained["baseline"])
    assert not gate.blocked(judged)


# the number of a run


def numbered(run: int, key: str = T) -> dict[str, Any]:
    return {"sealed_evaluations": {key: run}}


def test_a_guard_that_is_held_at_a_late_run_says_so(evaluate, tmp_path):
    write_desk(tmp_path, 100)
    write_policy(tmp_path, triage={"margin": 0.1})
    same = {T: row(100, 90)}
    judged = evaluate(same, None, (), numbered(7), baseline=same)
    [found] = judged.verdicts.values()
    assert (found["run"], found["blocks"]) == (7, False)
    chance = "of 7 candidates that each lose as much as the margin, one or more gets held 25 % of the time."
    assert found["reason"].endswith(f"Held at the 7th run of these cases: {chance}")
    assert judged.tasks["desk"]["reason"] == (
        "Nothing had to improve here: every unit of desk held. "
        f"Held at a late run of its cases: desk/triage at the 7th; {chance}"
    )


@pytest.mark.parametrize(("run", "says"), [(1, False), (3, False), (4, True), (22, True)])
def test_from_the_fourth_run_on(evaluate, tmp_path, run, says):
    write_desk(tmp_path, 100)
    same = {T: row(100, 90)}
    [found] = evaluate(same, None, (), numbered(run), baseline=same).verdicts.values()
    assert ("run of these cases" in found["reason"]) == says
    assert ("22nd" in found["reason"]) == (run == 22)


def test_a_target_and_a_sealed_unit_have_their_own_words(evaluate, tmp_path):
    write_desk(tmp_path, 200)
    write_policy(tmp_path, triage={"role": "target", "margin": 0.1})
    better = evaluate({T: row(200, 190)}, ADAPTER, ("desk",), numbered(7), baseline={T: row(200, 150)})
    assert (better.verdicts[T]["run"], better.tasks["desk"]["decision"]) == (1, "unproven")

    write_desk(tmp_path, 200, sealed=True)
    write_policy(tmp_path, triage={"margin": 0.3})
    same = {T: row(200, 190)}
    sealed = evaluate(same, ADAPTER, (), numbered(2) | {"sealed": True}, baseline=same)
    assert (sealed.verdicts[T]["verdict"], sealed.verdicts[T]["run"]) == ("held", 1)


def test_a_guard_that_its_sealed_unit_proves_needs_no_such_words(evaluate, tmp_path):
    write_desk(tmp_path, 200)
    write_desk(tmp_path, 200, "final", sealed=True)
    write_policy(tmp_path, triage={"margin": 0.1}, final={"margin": 0.1, "seals": "triage"})
    same = {T: row(200, 190), "desk/final": row(200, 190)}
    judged = evaluate(same, ADAPTER, (), numbered(9) | {"sealed": True}, baseline=same)
    assert (judged.verdicts[T]["verdict"], judged.verdicts[T]["run"]) == ("held", 1)
    assert "late run" not in judged.tasks["desk"]["reason"]


def test_a_blocked_guard_is_not_held_at_any_run(evaluate, tmp_path):
    write_desk(tmp_path, 100)
    judged = evaluate({T: row(100, 70)}, None, (), numbered(7), baseline={T: row(100, 90)})
    assert judged.verdicts[T]["run"] == 1
    assert "late run" not in judged.tasks["desk"]["reason"]
