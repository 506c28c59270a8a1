"""What to declare: the smallest margins and the split with which an honest adapter is released 80 % of the time."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.support.records import record, save, write_desk
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.cli.main import app
from tunegate.harness.gate.planning.advice import next_steps
from tunegate.harness.gate.planning.history import Past
from tunegate.harness.gate.planning.plan import passes_together, plan_units
from tunegate.harness.gate.planning.proposal import Margins, Proposal, Way, honest_release, propose, smallest_margins
from tunegate.harness.statistics.power import POWER

TEAM = ("triage", "one", "two", "three")


@pytest.fixture
def root(tmp_path, monkeypatch) -> Path:
    """The folder of fixtures, in the current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / "fixtures"


def team(root: Path, n: int = 60, margin: float = 0.05, names=TEAM, together: float | None = None, sealed: int = 0):
    """A task whose first unit is the target and whose others guard."""
    units = {name: {"role": "guard", "margin": margin, "reason": "a test"} for name in names}
    units[names[0]]["role"] = "target"
    for name in names:
        write_desk(root, n, name, lambda index, name=name: {"input": f"{name} {index}"})
        if sealed:
            shown = {"input": f"{name} sealed"}
            write_desk(root, sealed, f"{name}-sealed", lambda i, m=shown: {"input": f"{m['input']} {i}"}, sealed=True)
            units[f"{name}-sealed"] = units[name] | {"seals": name}
    policy = {"version": 1, "units": units}
    if together:
        policy["guards"] = {"together": dict.fromkeys(names[1:], 1), "margin": together, "reason": "a test"}
    (root / "desk" / "task.yaml").write_text(json.dumps(policy))


def proposed(root: Path, flip_rate: float | None = None, gain: float | None = None) -> Proposal:
    [task] = load_tasks(root)
    found = propose(task, plan_units([task], Past(flip_rate=flip_rate)), gain)
    assert found
    return found


def the_way(found: Proposal, together: bool, sealed: bool = False) -> Way:
    return next(way for way in found.ways if way.together == together and bool(way.sealed) == sealed)


def test_four_units_of_sixty_at_the_usual_flip_rate(root):
    team(root)
    found = proposed(root)

    assert found.declared == pytest.approx(0.069, abs=0.001)
    assert (found.targets, found.guards) == (("triage",), ("one", "three", "two"))
    assert found.shown == pytest.approx(0.88, abs=0.001)
    singly, together = the_way(found, False), the_way(found, True)
    assert (singly.margin, together.margin) == (0.13, 0.055)
    assert singly.released == pytest.approx(0.842, abs=0.001)
    assert together.released == pytest.approx(0.827, abs=0.001)
    assert (singly.loss, together.loss) == (0.09, 0.11)
    assert not any(way.sealed for way in found.ways)  # 45 sealed cases show the gain too seldom
    assert (found.sealable, found.target_cases) == (100, None)


def test_targets_that_cannot_show_the_gain_are_told_how_many_cases_would(root):
    team(root)
    found = proposed(root, flip_rate=0.1)

    assert found.shown == pytest.approx(0.748, abs=0.001)
    assert found.target_cases == 68
    for together in (False, True):
        assert 0.95 * found.shown <= the_way(found, together).released < POWER


@pytest.mark.parametrize(("margin", "released"), [(0.05, 0.069), (0.1, 0.528), (0.15, 0.866)])
def test_what_is_declared_singly(root, margin, released):
    team(root, margin=margin)

    assert proposed(root).declared == pytest.approx(released, abs=0.001)


def test_what_is_declared_together(root):
    team(root, together=0.05)
    [task] = load_tasks(root)
    plans = plan_units([task], Past())

    assert honest_release(task, plans) == pytest.approx(0.876 * 0.88, abs=0.001)
    equal, _ = passes_together(plans)
    assert equal == pytest.approx(0.428 * 0.876, abs=0.001)  # the target has to hold as well


def test_the_only_sealed_guard_of_a_group_holds_its_own_margin(root):
    team(root, names=("triage", "one", "two"), together=0.3)
    write_desk(root, 60, "one-sealed", lambda index: {"input": f"sealed {index}"}, sealed=True)
    policy = json.loads((root / "desk" / "task.yaml").read_text())
    policy["units"]["one-sealed"] = policy["units"]["one"] | {"seals": "one"}
    (root / "desk" / "task.yaml").write_text(json.dumps(policy))
    [task] = load_tasks(root)
    plans = plan_units([task], Past())
    found = {each.unit.name: each for each in plans}

    assert found["one-sealed"].group is None
    assert found["one-sealed"].asked == pytest.approx(0.8 ** (1 / 3))  # the target, the group and this one
    assert "more cases, or a margin of" in "; ".join(next_steps(found["one-sealed"]))
    assert [*next_steps(found["one"])] == ["shares a margin of 30 points with its group"]
    held = found["one-sealed"].chance
    assert held < 0.35
    assert passes_together(plans)[0] <= held * found["triage"].chance
    assert honest_release(task, plans) <= held
    assert "reason: ..}; give one, the only one with sealed cases, the same margin of its own" in plan()


def test_a_proposal_that_is_declared_releases_as_foretold(root):
    team(root)
    before = proposed(root)
    for together in (False, True):
        way = the_way(before, together)
        team(root, margin=way.margin, together=way.margin if together else None)

        assert proposed(root).declared == pytest.approx(way.released, abs=1e-9)


def test_no_smaller_margin_would_do(root):
    team(root)
    way = the_way(proposed(root), True)
    team(root, margin=way.margin - 0.005, together=way.margin - 0.005)

    assert proposed(root).declared < POWER


def test_a_split_is_proposed_where_it_releases_four_times_in_five_and_then_kept(root):
    names = ("triage", "one", "two")
    team(root, 80, names=names)
    found = proposed(root, gain=0.25)
    for together in (False, True):
        way = the_way(found, together, sealed=True)

        assert way.passes
        assert {way.open[name] + way.sealed[name] for name in names} == {80}
        assert all(40 <= n <= 60 for n in way.sealed.values())

    team(root, 20, names=names, sealed=60, margin=0.13)
    kept = proposed(root, gain=0.25)

    assert {(*way.open.values(), *way.sealed.values()) for way in kept.ways} == {(20,) * 3 + (60,) * 3}
    assert len(kept.ways) == 2
    assert kept.sealable is None


def test_a_split_that_is_declared_releases_as_foretold(root):
    names = ("triage", "one")
    team(root, 20, names=names, sealed=60, margin=0.1)
    [way] = proposed(root, gain=0.25).ways
    team(root, 20, names=names, sealed=60, margin=way.margin)

    assert proposed(root, gain=0.25).declared == pytest.approx(way.released, abs=0.01)


def test_a_target_gains_only_what_its_open_cases_have_room_for(root):
    team(root, names=("triage", "one"), sealed=60)
    [task] = load_tasks(root)
    base = record([task], {"desk/triage": "1" * 55 + "0" * 5})
    save(root.parent / "baselines", base, [unit for unit in task.units if unit.key == "desk/triage"])
    past = Past(folder=root.parent / "baselines" / "tiny-12345678")
    found = propose(task, plan_units([task], past))  # the sealed cases have no baseline: room for any gain

    assert found
    assert found.shown < POWER
    assert found.target_cases > 60


def test_guards_alone_need_only_hold(root):
    team(root, names=("one", "two"))
    (root / "desk" / "task.yaml").unlink()
    found = proposed(root)

    assert (found.targets, found.shown, found.target_cases) == ((), 1.0, None)
    assert all(way.passes for way in found.ways)


def test_a_target_alone_needs_no_margin_of_guards(root):
    team(root, names=("triage",))
    found = proposed(root)

    [way] = found.ways
    assert (way.margin, way.loss, found.guards) == (None, None, ())
    assert way.released == pytest.approx(found.shown)


def test_no_pass_fail_unit_no_proposal(root):
    team(root)
    [task] = load_tasks(root)

    assert propose(task, []) is None
    assert honest_release(task, []) is None


def test_the_margins_alone(root):
    team(root)
    [task] = load_tasks(root)
    plans = plan_units([task], Past())

    found = smallest_margins(task, plans)
    assert (found.singly, found.together) == (0.13, 0.055)
    assert found.released == pytest.approx(0.827, abs=0.001)
    assert found.shown == pytest.approx(0.88, abs=0.001)
    [triage] = [each for each in plans if each.role == "target"]
    found = smallest_margins(task, [triage, plans[0]])
    assert found.singly
    assert found.together is None
    assert smallest_margins(task, [triage]) == Margins(None, None, found.shown, found.shown)


def test_what_flips_more_takes_wider_margins(root):
    team(root)
    [task] = load_tasks(root)
    plans = plan_units([task], Past())
    moved = [replace(each, power=replace(each.power, flip_rate=0.08)) for each in plans]

    calm, wild = (propose(task, found) for found in (plans, moved))
    assert calm
    assert wild
    assert all(one.margin < other.margin for one, other in zip(calm.ways, wild.ways, strict=True))


def plan(*options: str) -> str:
    result = CliRunner().invoke(app, ["plan", *options], env={"COLUMNS": "100"})
    assert result.exit_code == 0, result.output
    return result.output


def test_plan_prints_what_to_declare(root):
    team(root)

    block = plan().partition("desk, what to declare: ")[2]
    assert block.splitlines() == [
        "today an honest adapter (equal on each guard, 15 points better on triage) is released 7 % of the time. The "
        "smallest margins with which it is released 80 % of the time:",
        "                                          one      all",
        "                                      guard's  guards'",
        "guards    cases     margin  released     loss     loss",
        "──────────────────────────────────────────────────────",
        "singly    all open    13.0        84      9.0     13.0",
        "together  all open     5.5        83     11.0      5.5",
        "Released: in % of the time. Loss, in points: such a loss is blocked 80 % of the time if one guard has it, "
        "95 % if all have it.",
        "Together, in task.yaml: guards: {together: {one: 1, three: 1, two: 1}, margin: .., reason: ..}",
        "Without sealed cases only the first complete run of the task proves a gain. Sealing some needs about "
        "100 cases per unit.",
    ]


def test_plan_says_that_targets_have_too_few_cases(root):
    team(root)

    out = plan("--flip-rate", ".1")
    assert (
        "The targets' own cases show 15 points 75 % of the time, regardless of the margins; 68 per target "
        "would do so 80 % of the time. The smallest margins with which the guards block at most 5 % of "
        "honest adapters:"
    ) in out


def test_plan_prints_splits_in_a_row(root):
    team(root, 80, names=("triage", "one", "two"))

    out = plan("--gain", ".25")
    assert "targets 20 + 60 sealed, guards " in out
    assert "Without sealed cases only the first complete run of the task proves a gain.\n" in out


def test_plan_of_a_target_alone_says_how_many_cases_it_takes(root):
    team(root, 40, names=("triage",))

    assert plan().partition("desk, what to declare: ")[2].splitlines() == [
        "today an honest adapter (equal on each guard, 15 points better on triage) is released 72 % of the time. "
        "The targets' own cases show 15 points 72 % of the time, regardless of the margins; 49 per target "
        "would do so 80 % of the time.",
        "Without sealed cases only the first complete run of the task proves a gain. Sealing some needs about 90 cases "
        "per unit.",
    ]


def test_plan_as_json_has_the_proposal(root):
    team(root, 20, names=("triage", "one"))

    for each in json.loads(plan("--json")):
        assert each["declare"]["task"] == "desk"
        assert [way["margin"] for way in each["declare"]["ways"]] == [way.margin for way in proposed(root).ways]


def test_plan_proposes_nothing_for_a_question_of_its_own(root):
    team(root, 20, names=("triage", "one"))
    for options in (("--unit", "desk/one"), ("--margin", ".1")):
        assert "what to declare" not in plan(*options)
        assert all(each["declare"] is None for each in json.loads(plan("--json", *options)))


def test_plan_proposes_nothing_where_an_honest_adapter_passes(root):
    team(root, together=0.06)
    [task] = load_tasks(root)
    [one] = [each for each in plan_units([task], Past()) if each.unit.name == "one"]

    assert all(each["declare"] is None for each in json.loads(plan("--json")))
    assert [*next_steps(one)] == ["shares a margin of 6 points with its group"]
