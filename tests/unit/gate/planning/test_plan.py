"""`tunegate plan`: what it computes of each unit, and the command."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.support.records import record, save, units_of, write_desk, write_policy
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.checks.registry import CHECKS
from tunegate.harness.cli.main import app
from tunegate.harness.core.errors import Refused, UsageError
from tunegate.harness.gate.planning.advice import next_steps
from tunegate.harness.gate.planning.history import Past
from tunegate.harness.gate.planning.plan import Plan, plan_units
from tunegate.harness.gate.planning.render import MEASURE
from tunegate.harness.gate.rule import compare
from tunegate.harness.statistics.power import Levels

T = "desk/triage"


@pytest.fixture
def root(tmp_path) -> Path:
    """The folder of fixtures."""
    return tmp_path / "fixtures"


@pytest.fixture
def planned(root):
    """Plan the fixtures, with no past; the unit `desk/triage` unless it says otherwise."""

    def run(unit: str = T, past: Past | None = None, **more) -> Plan:
        return next(each for each in plan_units(load_tasks(root), past or Past(), **more) if each.unit.key == unit)

    return run


def test_a_unit_alone_has_to_hold_four_times_in_five(planned, root):
    write_desk(root, 151)  # what 5 points take at 4 % flip rate
    found = planned()

    assert (found.role, found.n, found.margin, found.asked) == ("guard", 151, 0.05, 0.8)
    assert found.chance >= 0.8
    assert found.needed == 134
    assert found.held_margin == pytest.approx(0.047)


def test_the_units_of_a_task_have_to_hold_together(planned, root):
    for name in ("triage", "one", "two", "three", "four"):
        write_desk(root, 248, name)  # what 5 points take five units
    found = planned()

    assert found.asked == pytest.approx(0.8 ** (1 / 5))
    assert found.needed == 229
    assert found.chance >= found.asked


def test_cases_of_a_group_are_one_observation(planned, root):
    write_desk(root, 90, case_keys=lambda index: {"group": f"g{index // 3}"} if index < 60 else {})

    assert planned().n == 20 + 30


def test_the_family_shares_the_levels_and_a_sealed_unit_spends_its_own(planned, root):
    for name in ("triage", "replies", "wording", "tone"):
        write_desk(root, 60, name)
    write_policy(root, triage={"role": "target", "margin": 0.1}, replies={"role": "target"}, wording={}, tone={})
    write_desk(root, 60, "orders", task="shop", sealed=True)

    assert planned().power.levels == Levels(0.04, 0.04 / 5, 0.04 / 2)
    assert planned("desk/tone").power.levels == Levels(0.04, 0.04 / 5, 0.04 / 3)  # if it were a target
    assert planned("shop/orders").power.levels == Levels(0.032, 0.04 / 5, 0.032)
    assert planned().asked == pytest.approx(0.8 ** (1 / 4))


def test_a_sealed_unit_has_to_hold_together_with_the_others(planned, root):
    write_desk(root, 60)
    write_desk(root, 60, "final", sealed=True)

    assert planned().asked == planned("desk/final").asked == pytest.approx(0.8 ** (1 / 2))
    assert planned("desk/final").drop > 0


def test_needed_is_never_a_number_at_which_it_falls_short_again(planned, root):
    write_desk(root, 1)
    first = planned(margin=0.1).needed
    write_desk(root, first + 1)
    now = planned(margin=0.1)

    assert now.chance < now.asked  # one case more than enough, and the chance fell a little
    assert now.needed > now.n


def test_what_the_options_ask_counts_before_what_is_declared(planned, root):
    write_desk(root, 120)
    write_policy(root, triage={"margin": 0.1})

    assert planned().margin == 0.1
    assert planned(margin=0.05).margin == 0.05
    assert planned(margin=0.05).needed > planned().needed
    assert planned().gain == 0.05
    assert planned(gain=0.1).gain_cases < planned().gain_cases


def test_near_cases_take_more_cases_and_a_wider_margin(planned, root):
    write_desk(root, 200)
    none, some = planned(), planned(near=0.2)

    assert (none.near, some.near) == (0.0, 0.2)
    assert some.needed >= none.needed / 0.8
    assert some.gain_cases >= none.gain_cases / 0.8
    assert some.held_margin > none.held_margin
    assert some.usual_margin > none.usual_margin
    assert some.shown_gain > none.shown_gain
    assert some.fewest >= none.fewest / 0.8
    assert some.drop == none.drop  # all cases count in what blocks
    assert some.chances["no change"].held < none.chances["no change"].held
    assert some.as_dict()["near"] == 0.2


def test_from_a_baseline_of_nothing_a_gain_shows_sooner_and_from_one_of_all_never(root, tmp_path):
    write_desk(root, 120)
    tasks = load_tasks(root)

    def at(passed: int) -> Plan:
        save(tmp_path / "baselines", record(tasks, {T: "1" * passed + "0" * (120 - passed)}), [tasks[0].units[0]])
        (found,) = plan_units(tasks, Past(folder=tmp_path / "baselines" / "tiny-12345678"))
        return found

    none, half, almost, every = at(0), at(60), at(117), at(120)

    assert none.shown_gain < half.shown_gain
    assert none.gain_cases < half.gain_cases
    assert almost.shown_gain is almost.gain_cases is None  # 2.5 points of room
    assert every.shown_gain is every.gain_cases is None
    assert none.drop == half.drop == every.drop  # the next reference may pass at any rate


def test_answers_that_waver_are_an_alternative_to_more_cases(root, tmp_path):
    write_desk(root, 100)
    write_policy(root, triage={"margin": 0.1})
    tasks = load_tasks(root)
    wavering = [tuple(each) for each in ["01", "10", "11", "00"] * 25]
    for released, side in enumerate((wavering, wavering[::-1])):
        save(tmp_path / "baselines", record(tasks, {T: side}), [tasks[0].units[0]], bool(released))
    folder = tmp_path / "baselines" / "tiny-12345678"
    (found,) = plan_units(tasks, Past(folder=folder))

    assert found.chance < found.asked
    assert found.outputs_needed in {4, 8, 16, 32}
    (more,) = plan_units(tasks, Past(folder=folder, outputs=found.outputs_needed))
    assert more.chance >= more.asked
    assert more.outputs_needed is None
    assert f", or {found.outputs_needed} outputs per case" in "; ".join(next_steps(found))


# continuous units


@pytest.fixture
def fluent(root, tmp_path, monkeypatch) -> Past:
    """A continuous unit of 100 cases with a margin, whose changes have a standard deviation of about 1."""
    monkeypatch.setitem(CHECKS, "schema", replace(CHECKS["schema"], kind="continuous"))
    write_desk(root, 100)
    write_policy(root, triage={"margin": 0.2, "collapse": 0.1})
    (task,) = tasks = load_tasks(root)
    for released, step in ((False, 0.0), (True, 1.0)):
        scores = [-3.0 + (step if index % 2 else -step) for index in range(100)]
        save(tmp_path / "baselines", record(tasks, {T: scores}), task.units, released)
    return Past(folder=tmp_path / "baselines" / "tiny-12345678")


def test_a_continuous_unit_is_planned_from_the_spread_of_its_changes(planned, fluent):
    found = planned(past=fluent)

    assert found.needed == pytest.approx(((1.7507 + 0.8416) * 1.005 / 0.2) ** 2, abs=2)
    assert found.held_margin == pytest.approx((1.7507 + 0.8416) * 1.005 / 10, rel=0.01)
    assert found.gain is found.gain_cases is None  # five points are nothing on its scale


def test_a_continuous_unit_takes_options_only_if_it_is_named(planned, fluent):
    assert planned(past=fluent, margin=0.5).margin == 0.2
    named = planned(past=fluent, only=T, margin=1.5, gain=2.0)

    assert (named.margin, named.gain) == (1.5, 2.0)
    assert named.gain_cases < 100


def test_without_a_past_a_continuous_unit_has_no_plan(planned, fluent):
    found = planned()

    assert found.power is found.chance is found.needed is found.drop is found.shown_gain is found.held_margin is None


def test_an_ungated_unit_is_told_what_it_would_hold(planned, fluent, root):
    (root / "desk" / "task.yaml").unlink()
    found = planned(past=fluent)

    assert found.margin is found.chance is found.needed is None
    assert found.held_margin > 0


# what is refused


def test_an_unknown_unit_is_refused_with_the_one_that_was_probably_meant(planned, root):
    write_desk(root, 3)

    with pytest.raises(Refused, match="did you mean 'desk/triage'"):
        planned(only="desk/triag")


@pytest.mark.parametrize("value", [-0.1, 1.0, 20.0, float("nan")])
def test_a_share_of_near_cases_lies_from_0_to_below_1(planned, root, value):
    write_desk(root, 3)

    with pytest.raises(
        UsageError, match=r"--near: expected a share from 0 to below 1, such as \.2 for 20 % of the cases"
    ):
        planned(near=value)


@pytest.mark.parametrize("option", ["margin", "gain"])
@pytest.mark.parametrize("value", [0.0, 1.0, 5.0, -0.1, float("nan")])
def test_a_share_that_is_none_is_a_usage_error(planned, root, option, value):
    write_desk(root, 3)

    with pytest.raises(UsageError, match=rf"--{option}: expected a share above 0 and below 1, such as \.05 for five"):
        planned(**{option: value})


# the command


@pytest.fixture
def tunegate(monkeypatch):
    """Run the command in 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")
    return lambda *arguments: CliRunner().invoke(app, arguments)


@pytest.fixture
def desk(tmp_path, monkeypatch) -> Path:
    """A project with fixtures, a baseline and a record against it: of 120 cases 2 regressed and 50 were fixed."""
    monkeypatch.chdir(tmp_path)
    write_desk(tmp_path / "fixtures", 120)
    write_policy(tmp_path / "fixtures", triage={"role": "target", "margin": 0.1})
    tasks = load_tasks(tmp_path / "fixtures")
    base = record(tasks, {T: "11" + "0" * 118})
    save(tmp_path / "baselines", base, list(units_of(tasks).values()))
    tuned = record(tasks, {T: "00" + "1" * 50 + "0" * 68}, adapter="a" * 64)
    compare(tasks, tuned, {"baseline": base}, ["desk"]).write(tmp_path / "run.json")
    return tmp_path


def test_the_command_shows_tables_and_sources_without_any_option(desk, tunegate):
    run = tunegate("plan")

    assert (run.exit_code, run.stderr) == (0, "")
    assert "desk/triage  target    120" in run.stdout
    assert "desk/triage    10.0  ~4.0 %" in run.stdout
    assert f"Flip rate 4 %, assumed, as none was measured: desk/triage.\n{MEASURE}\n" in run.stdout


def test_the_command_measures_from_a_record(desk, tunegate):
    run = tunegate("plan", "--run", "run.json", "--unit", T, "--margin", ".05", "--gain", ".1")

    assert run.exit_code == 0, run.stderr
    assert "at most: 2 regressed, 50 fixed of 120, run.json against the baseline: desk/triage." in run.stdout
    assert "+10.0" in run.stdout


def test_the_command_ends_with_the_code_of_its_error(desk, tunegate):
    for arguments, code, told in [
        (["--margin", "5"], 2, "--margin: expected a share above 0 and below 1"),
        (["--near", "20"], 2, "--near: expected a share from 0 to below 1"),
        (["--flip-rate", "4"], 2, "--flip-rate: expected a share"),
        (["--unit", "desk/triag"], 4, "did you mean 'desk/triage'"),
        (["--cases", "nowhere"], 4, "nowhere: expected a folder of fixtures"),
        (["--run", "none.json"], 4, "none.json: expected a record (JSON), found nothing there"),
        (["--run", "cut.json"], 4, "expected a record (JSON), found a mistake in column"),
    ]:
        (desk / "cut.json").write_text((desk / "run.json").read_text()[:100])

        run = tunegate("plan", *arguments)

        assert (run.exit_code, run.stdout) == (code, "")
        assert told in run.stderr
        assert "Traceback" not in run.stderr


def test_an_edited_record_is_refused(desk, tunegate):
    data = json.loads((desk / "run.json").read_text())
    data["verdicts"][T]["regressed_cases"] = []
    (desk / "run.json").write_text(json.dumps(data))

    run = tunegate("plan", "--run", "run.json")

    assert run.exit_code == 4
    assert "edited" in run.stderr
