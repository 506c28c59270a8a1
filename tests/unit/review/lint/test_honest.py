"""`tunegate lint` of policies that refuse an honest adapter more often than not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.gate.planning.test_proposal import team
from tunegate.harness.review.lint.rules import lint_fixtures


@pytest.fixture
def told(tmp_path):
    """What lint warns of in task.yaml of a team's task."""

    def warned(n: int = 60, **policy) -> list[str]:
        team(tmp_path / "fixtures", n, **policy)
        found = lint_fixtures(tmp_path / "fixtures", tmp_path / "baselines").warnings
        return [each.text for each in found if each.file.name == "task.yaml" and "honest" in each.text]

    return warned


def test_a_policy_that_refuses_an_honest_adapter_is_told_the_smallest_margins(told):
    assert told() == [
        "desk: an honest adapter (equal on each guard, 15 points better on triage) is released 7 % of the time; a "
        "margin of 13 points for each guard or one of 5.5 points for all guards together would release it 83 % of "
        "the time: see tunegate plan"
    ]


@pytest.mark.parametrize("policy", [{"margin": 0.1}, {"together": 0.05}, {"n": 200}, {"names": ("triage",)}])
def test_one_that_releases_it_every_second_time_is_not(told, policy):
    assert told(**policy) == []


def test_targets_with_too_few_cases_are_told_so_once(told):
    assert told(20) == []  # that 20 cases hold no margin of five points is told already
    assert told(20, margin=0.4) == [
        "desk: an honest adapter (equal on each guard, 15 points better on triage) is released 34 % of the time; the "
        "targets' cases show its gain 34 % of the time, whatever the margins; it takes more of them: see tunegate plan"
    ]


def test_a_task_without_a_policy_is_told_something_else(told, tmp_path):
    team(tmp_path / "fixtures")
    (tmp_path / "fixtures" / "desk" / "task.yaml").unlink()

    assert not any(
        "honest" in each.text for each in lint_fixtures(tmp_path / "fixtures", tmp_path / "baselines").warnings
    )


def test_guards_that_hold_together_need_not_hold_singly(told, tmp_path):
    told(together=0.06)
    found = lint_fixtures(tmp_path / "fixtures", tmp_path / "baselines").warnings

    held = [each.text for each in found if "unchanged model is shown" in each.text]
    assert [text.partition(":")[0] for text in held] == ["desk/triage"]
    assert Path(found[0].file).is_relative_to(tmp_path)
