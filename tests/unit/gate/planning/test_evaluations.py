"""What sealed cases are worth at each evaluation, and when they are spent."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from tests.support.records import LOCAL, units_of, write_desk, write_policy
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.gate.planning.evaluations import at_evaluation, evaluations_left, is_spent, worth, worths
from tunegate.harness.gate.planning.history import Past
from tunegate.harness.gate.planning.plan import Plan, plan_units
from tunegate.harness.gate.planning.render import FRESH, print_plans
from tunegate.harness.history.ledger.evaluations import case_events
from tunegate.harness.history.ledger.store import append
from tunegate.harness.models.api import Fingerprint
from tunegate.harness.review.lint.rules import lint_fixtures
from tunegate.harness.statistics.paired import sealed_level

FINAL = "desk/final"


def plans(root, n: int = 100, role: str = "guard", flip_rate: float = 0.1, margin: float = 0.1, **more) -> list[Plan]:
    """Of an open unit and of the sealed one that seals it."""
    write_desk(root, 200)
    write_desk(root, n, "final", sealed=True)
    write_policy(
        root, triage={"role": role, "margin": margin}, final={"role": role, "margin": margin, "seals": "triage"}
    )
    return plan_units(load_tasks(root), Past(flip_rate=flip_rate), **more)


def final(found: list[Plan]) -> Plan:
    return next(each for each in found if each.unit.key == FINAL)


def test_each_evaluation_is_allowed_its_part_of_the_level_and_a_fall_the_whole(tmp_path):
    found = final(plans(tmp_path))
    later = at_evaluation(found, 3).power.levels

    assert later.held == pytest.approx(sealed_level(3))
    assert later.worse == found.power.levels.worse
    assert later.better == pytest.approx(found.power.levels.better * 0.04)


def test_a_guard_is_held_less_often_at_each_and_an_open_unit_as_often(tmp_path):
    found = plans(tmp_path)
    equal, together = worths(found)

    assert (equal.key, equal.what, together.key) == (FINAL, "equal", "desk")
    # 100 cases, a margin of 10 points, 10 % flip: benchmarks/release_looks.py
    assert equal.chances == pytest.approx((0.86, 0.59, 0.32, 0.14), abs=0.08)
    assert all(one <= other for one, other in zip(together.chances, equal.chances, strict=True))


def test_a_target_is_to_show_the_gain_that_is_hoped_for(tmp_path):
    plans(tmp_path)
    write_policy(tmp_path, triage={"margin": 0.1}, final={"role": "target", "margin": 0.1})
    found = worths(plan_units(load_tasks(tmp_path), Past(flip_rate=0.1), gain=0.15))

    assert [(each.key, each.what) for each in found] == [(FINAL, "gain"), ("desk", "equal"), ("desk", "gain")]
    # by a simulation of the gate: 91, 74, 50 and 29 % of the time
    assert found[0].chances == pytest.approx((0.91, 0.74, 0.5, 0.29), abs=0.05)


def test_a_set_is_spent_where_the_next_evaluation_is_worth_less_than_half_of_the_first(tmp_path):
    found = final(plans(tmp_path))
    spent = [made for made in range(5) if is_spent(found, made)]

    assert not is_spent(found, 0)
    assert spent == list(range(spent[0], 5))
    assert worth(found, spent[0] + 1) < worth(found, 1) / 2 <= worth(found, spent[0])
    assert [evaluations_left(found, made) for made in range(4)] == [max(spent[0] - made, 0) for made in range(4)]


def test_the_gain_that_counts_is_the_one_that_the_first_evaluation_shows_four_times_in_five(tmp_path):
    found = final(plans(tmp_path, role="target"))

    assert worth(found, 1) == pytest.approx(0.8, abs=0.02)
    assert not is_spent(found, 1)
    assert is_spent(found, 2)


def test_an_open_unit_is_never_spent(tmp_path):
    open_one = next(each for each in plans(tmp_path) if not each.unit.sealed)

    assert worth(open_one, 3) is None
    assert not is_spent(open_one, 9)


def test_a_plan_prints_four_evaluations(tmp_path):
    console = Console(file=io.StringIO(), width=80)
    print_plans(console, plans(tmp_path, role="target", gain=0.15))
    text = console.file.getvalue()

    assert "Passes, in %, by evaluation of the same sealed cases" in text
    row = next(each for each in text.splitlines() if each.startswith(f"{FINAL} ") and "a gain of 15 points" in each)
    assert len(row.removeprefix(FINAL).replace("a gain of 15 points", "").split()) == 4
    assert FRESH in text


# lint


@pytest.fixture
def warned(tmp_path):
    """What lint says of a sealed set after so many adapters were evaluated on it."""

    def run(adapters: int, **more) -> list[str]:
        plans(tmp_path / "fixtures", **more)
        final_unit = units_of(load_tasks(tmp_path / "fixtures"))[FINAL]
        for letter in "123456789"[:adapters]:
            asked = Fingerprint(LOCAL | {"adapter": letter * 64}, {"backend": "transformers"})
            for kind in ("opened", "run"):
                for event in case_events(kind, asked, [final_unit]):
                    append(tmp_path / "baselines", event)
        found = lint_fixtures(tmp_path / "fixtures", tmp_path / "baselines").warnings
        return [each.text for each in found if "spent" in each.text]

    return run


def test_lint_says_when_sealed_cases_are_spent_and_what_to_do(warned):
    assert warned(1, role="target") == []
    (text,) = warned(2, role="target")

    assert text.startswith(
        f"{FINAL}: its sealed cases are spent: they were evaluated 2 times; at the next evaluation a gain of "
    )
    assert text.endswith(" % of the time, at the first 80 %; write new ones and unseal these")


def test_lint_says_it_of_a_guard_by_how_often_it_is_held(warned):
    (text,) = warned(5)

    assert "at the next evaluation an unchanged model gets the verdict held " in text
