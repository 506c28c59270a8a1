"""What a change is compared with: the base, the adapter in service, the record in service and the anchor."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.support.records import record, write_desk, write_policy
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.core.errors import Refused
from tunegate.harness.core.files import stamped
from tunegate.harness.gate import rule as gate
from tunegate.harness.models.evaluation.record import Record, read_record
from tunegate.harness.models.evaluation.scoring import summarize

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
    assert (found.verdict, found.blocks, found.is_below_shown) == ("improved", False, False)
    assert found.below_service == pytest.approx(0.05)
    assert found.reason.endswith("Below the last release by 5.0 points, not beyond chance.")
    assert adapter.tasks["desk"].reason == (
        "Release: desk/triage (-5.0) below the adapter in service, not beyond chance; on the base desk/triage "
        "(60.0 % -> 75.0 %) improved. No guard: nothing but the target was tested."
    )

    other = evaluate(candidate, None, (), **rows)
    [found] = other.verdicts.values()
    assert (found.verdict, found.blocks, found.below_service) == ("inconclusive", True, 0.0)


def test_an_adapter_that_is_shown_to_be_worse_than_the_one_in_service_blocks(evaluate, tmp_path):
    write_desk(tmp_path, 100)
    write_policy(tmp_path, triage={"role": "target", "margin": 0.1})
    judged = evaluate({T: row(100, 75)}, baseline={T: row(100, 50)}, last_release={T: row(100, 95)})
    [found] = judged.verdicts.values()
    assert (found.verdict, found.blocks, found.reference) == ("regressed", True, "last release")
    assert judged.tasks["desk"].decision == "block"


def test_a_shown_loss_within_the_margin_is_not_called_chance(evaluate, tmp_path):
    write_desk(tmp_path, 400)
    write_policy(tmp_path, triage={"role": "target", "margin": 0.05})
    judged = evaluate({T: row(400, 294)}, baseline={T: row(400, 240)}, last_release={T: row(400, 300)})
    [found] = judged.verdicts.values()
    assert (found.verdict, found.blocks, found.is_below_shown) == ("improved", False, True)
    assert "Below the last release by 1.5 points, significantly, but within the margin." in found.reason
    assert judged.tasks["desk"].reason.startswith(
        "Release: desk/triage (-1.5) below the adapter in service, significantly for desk/triage, but within the "
        "margin; on the base desk/triage (60.0 % -> 73.5 %) improved"
    )


def test_an_adapter_above_the_one_in_service_is_not_below_it(evaluate, tmp_path):
    write_desk(tmp_path, 100)
    write_policy(tmp_path, triage={"role": "target", "margin": 0.1})
    judged = evaluate({T: row(100, 85)}, baseline={T: row(100, 60)}, last_release={T: row(100, 80)})
    [found] = judged.verdicts.values()
    assert (found.below_service, found.is_below_shown) == (0.0, False)
    assert judged.tasks["desk"].reason == (
        "Release: desk/triage (60.0 % -> 85.0 %) improved. No guard: nothing but the target was tested."
    )


def test_what_cannot_be_compared_with_the_adapter_in_service_blocks(evaluate, tmp_path):
    write_desk(tmp_path, 100)
    judged = evaluate({T: row(100, 90)}, baseline={T: row(100, 90)}, last_release={T: "-" + row(99, 90)})
    [found] = judged.verdicts.values()
    assert (found.blocks, found.difference) == (True, None)


def test_another_configuration_must_be_held_of_what_is_in_service_and_of_the_anchor(evaluate, tmp_path):
    write_desk(tmp_path, 100)
    write_policy(tmp_path, triage={"margin": 0.1})
    chained = {"baseline": {T: row(100, 84)}, "anchor": {T: row(100, 90)}}

    judged = evaluate({T: row(100, 80)}, None, (), **chained)
    [found] = judged.verdicts.values()
    assert (found.verdict, found.blocks, found.reference) == ("regressed", True, "anchor")
    assert found.reason.endswith("Against the baseline: held, -4.0 points.")

    judged = evaluate({T: row(100, 80)}, None, (), baseline=chained["baseline"])
    assert not gate.blocked(judged)


# a reference that has only some of the cases unchanged


def part(tasks, rows: dict[str, Any], ids: range) -> Record:
    """A reference with these cases of desk/triage, as an anchor has them after others were added."""
    whole, [unit] = record(tasks, rows), [each for each in tasks[0].units if each.key == T]
    less = unit.with_cases({unit.cases[index].id for index in ids})
    results = {case.key: whole.cases[case.key] for case in less.cases}
    summary = summarize(less, list(results.values()))
    return replace(
        whole, cases=results, questions={T: less.questions}, units={T: summary},
        shared={T: frozenset(case.id for case in less.cases)},
    )  # fmt: skip


def test_added_cases_neither_dilute_a_loss_nor_count_beside_the_anchor(tmp_path):
    write_desk(tmp_path, 700)
    write_policy(tmp_path, triage={"margin": 0.05})
    tasks = load_tasks(tmp_path)
    before, now = {T: "1" * 700}, {T: "0" * 20 + "1" * 680}
    service, anchor = record(tasks, before), part(tasks, before, range(100))

    judged = gate.compare(tasks, record(tasks, now), {"baseline": service}, [])
    assert judged.verdicts[T].verdict == "held"
    judged = gate.compare(tasks, record(tasks, now), {"baseline": service, "anchor": anchor}, [])
    found = judged.verdicts[T]
    assert (found.verdict, found.reference, found.n, found.cases) == ("regressed", "anchor", 100, 700)
    assert (found.base, found.mean, len(found.regressed_cases)) == (1.0, 0.8, 20)
    assert "100.0 % -> 80.0 % on 100 of 700 cases, -20.0 points" in found.reason

    judged = gate.compare(tasks, record(tasks, before), {"baseline": service, "anchor": anchor}, [])
    found = judged.verdicts[T]
    assert (found.verdict, found.n, found.cases) == ("held", 700, 0)
    assert found.reason.endswith("Against the anchor, on 100 of its 700 cases: held, +0.0 points.")


def test_too_few_cases_of_an_anchor_ask_for_another_one(tmp_path):
    write_desk(tmp_path, 300)
    write_policy(tmp_path, triage={"margin": 0.05})
    tasks = load_tasks(tmp_path)
    rows = {T: "1" * 300}
    judged = gate.compare(tasks, record(tasks, rows), {"anchor": part(tasks, rows, range(20))}, [])
    found = judged.verdicts[T]
    assert (found.verdict, found.blocks) == ("inconclusive", True)
    assert "added cases do not count here; approve a new anchor: tunegate record --anchor REASON" in found.reason


def test_losses_of_added_cases_do_not_count_beside_the_anchor(tmp_path):
    write_desk(tmp_path, 300)
    write_policy(tmp_path, triage={"margin": 0.05})
    tasks = load_tasks(tmp_path)
    anchor = part(tasks, {T: "1" * 300}, range(200))
    judged = gate.compare(tasks, record(tasks, {T: "1" * 200 + "0" * 100}), {"anchor": anchor}, [])
    assert judged.verdicts[T].verdict == "held"


@pytest.mark.parametrize(("added", "verdict"), [("1", "held"), ("0", "regressed")])
def test_a_minimum_score_is_that_of_all_cases(tmp_path, added, verdict):
    write_desk(tmp_path, 300)
    write_policy(tmp_path, triage={"margin": 0.05, "minimum_score": 0.85})
    tasks = load_tasks(tmp_path)
    now = record(tasks, {T: row(200, 180) + added * 100})
    judged = gate.compare(tasks, now, {"baseline": part(tasks, {T: row(200, 180) + "1" * 100}, range(200))}, [])
    assert judged.verdicts[T].verdict == verdict


def test_a_mean_below_the_minimum_names_all_cases(tmp_path):
    write_desk(tmp_path, 300)
    write_policy(tmp_path, triage={"margin": 0.05, "minimum_score": 0.61})
    tasks = load_tasks(tmp_path)
    now = record(tasks, {T: row(200, 180) + "0" * 100})
    judged = gate.compare(tasks, now, {"baseline": part(tasks, {T: row(200, 180) + "1" * 100}, range(200))}, [])
    assert "60.0 % on all 300 cases is below the minimum score of 61.0 %" in judged.verdicts[T].reason


@pytest.mark.parametrize("how", ["no shared case", "a lost result", "another question", "a case too few in the run"])
def test_a_part_that_does_not_fit_blocks(tmp_path, how):
    write_desk(tmp_path, 200)
    write_policy(tmp_path, triage={"margin": 0.05})
    tasks = load_tasks(tmp_path)
    rows = {T: "1" * 200}
    anchor, now = part(tasks, rows, range(100)), record(tasks, rows)
    if how == "no shared case":
        anchor = replace(anchor, shared={T: frozenset()}, cases={})
    elif how == "a lost result":
        anchor = replace(anchor, cases=dict(list(anchor.cases.items())[1:]))
    elif how == "another question":
        anchor = replace(anchor, questions={T: {**anchor.questions[T], "inputs": "other"}})
    else:
        now = replace(now, cases=dict(list(now.cases.items())[:-1]))
    found = gate.compare(tasks, now, {"anchor": anchor}, []).verdicts[T]
    assert (found.blocks, found.difference) == (True, None)


def test_a_record_file_cannot_say_that_it_shares_only_some_cases(tmp_path):
    write_desk(tmp_path / "fixtures", 20)
    made = record(load_tasks(tmp_path / "fixtures"), {T: "1" * 20})
    path = made.write(tmp_path / "record.json").path
    data = json.loads(path.read_text())
    del data["digest"]
    path.write_text(json.dumps(stamped(data | {"shared": {T: ["c000"]}})))
    with pytest.raises(Refused, match="'shared' was unexpected"):
        read_record(path)


# the number of a run


def numbered(run: int, key: str = T) -> dict[str, Any]:
    return {"sealed_evaluations": {key: run}}


def test_a_guard_that_is_held_at_a_late_run_says_so(evaluate, tmp_path):
    write_desk(tmp_path, 100)
    write_policy(tmp_path, triage={"margin": 0.1})
    same = {T: row(100, 90)}
    judged = evaluate(same, None, (), numbered(7), baseline=same)
    [found] = judged.verdicts.values()
    assert (found.run, found.blocks) == (7, False)
    chance = "of 7 candidates that each lose as much as the margin, one or more gets held 25 % of the time."
    assert found.reason.endswith(f"Held at the 7th run of these cases: {chance}")
    assert judged.tasks["desk"].reason == (
        "Nothing had to improve here: desk/triage (90.0 % -> 90.0 %) held. "
        f"Held at a late run of its cases: desk/triage at the 7th; {chance}"
    )


@pytest.mark.parametrize(("run", "says"), [(1, False), (3, False), (4, True), (22, True)])
def test_from_the_fourth_run_on(evaluate, tmp_path, run, says):
    write_desk(tmp_path, 100)
    same = {T: row(100, 90)}
    [found] = evaluate(same, None, (), numbered(run), baseline=same).verdicts.values()
    assert ("run of these cases" in found.reason) == says
    assert ("22nd" in found.reason) == (run == 22)


def test_a_target_and_a_sealed_unit_have_their_own_words(evaluate, tmp_path):
    write_desk(tmp_path, 200)
    write_policy(tmp_path, triage={"role": "target", "margin": 0.1})
    better = evaluate({T: row(200, 190)}, ADAPTER, ("desk",), numbered(7), baseline={T: row(200, 150)})
    assert (better.verdicts[T].run, better.tasks["desk"].decision) == (1, "unproven")

    write_desk(tmp_path, 200, sealed=True)
    write_policy(tmp_path, triage={"margin": 0.3})
    same = {T: row(200, 190)}
    sealed = evaluate(same, ADAPTER, (), numbered(2) | {"sealed": True}, baseline=same)
    assert (sealed.verdicts[T].verdict, sealed.verdicts[T].run) == ("held", 1)


def test_a_guard_that_its_sealed_unit_proves_needs_no_such_words(evaluate, tmp_path):
    write_desk(tmp_path, 200)
    write_desk(tmp_path, 200, "final", sealed=True)
    write_policy(tmp_path, triage={"margin": 0.1}, final={"margin": 0.1, "seals": "triage"})
    same = {T: row(200, 190), "desk/final": row(200, 190)}
    judged = evaluate(same, ADAPTER, (), numbered(9) | {"sealed": True}, baseline=same)
    assert (judged.verdicts[T].verdict, judged.verdicts[T].run) == ("held", 1)
    assert "late run" not in judged.tasks["desk"].reason


def test_a_blocked_guard_is_not_held_at_any_run(evaluate, tmp_path):
    write_desk(tmp_path, 100)
    judged = evaluate({T: row(100, 70)}, None, (), numbered(7), baseline={T: row(100, 90)})
    assert judged.verdicts[T].run == 1
    assert "late run" not in judged.tasks["desk"].reason
