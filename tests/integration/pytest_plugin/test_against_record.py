"""A record as reference: it is held to what it was recorded with, as a baseline is."""

from __future__ import annotations

import pytest

from tests.support.project import Project

GOOD, BAD = '{"product": "boiler"}', "a boiler"
IDS = [f"case{number:02}" for number in range(40)]


def answers(wrong: int = 0) -> dict[str, str | None]:
    """Answers to all of IDS; the first `wrong` of them miss."""
    return {f"desk/triage/{case}": BAD if number < wrong else GOOD for number, case in enumerate(IDS)}


def told(result: pytest.RunResult) -> str:
    """Everything a user reads, without the line breaks."""
    return " ".join((result.stdout.str() + result.stderr.str()).split())


def scored(project: Project, wrong: int, **policy: object) -> Project:
    """Forty cases, and `base.json`: a record in which the first `wrong` miss, under this policy."""
    project.unit(IDS)
    project.policy(triage=policy)
    project.replay(answers(wrong), "--tg-out=base.json")
    return project


def gate(project: Project, wrong: int) -> pytest.RunResult:
    return project.replay(answers(wrong), "--tg-against=base.json", "--tg-out=record.json")


def test_a_target_stays_a_target(project: Project) -> None:
    scored(project, 30, role="target", margin=0.2)
    assert gate(project, 5).ret == 0
    verdict = project.record()["verdicts"]["desk/triage"]
    assert (verdict["role"], verdict["verdict"]) == ("target", "improved")


def test_no_gain_is_blocked(project: Project) -> None:
    scored(project, 30, role="target", margin=0.2)
    result = gate(project, 30)
    assert result.ret == 1
    assert "desk: Blocked: no gain on desk/triage" in told(result)


def test_a_margin_that_was_raised_since_is_refused(project: Project) -> None:
    scored(project, 0, role="guard", margin=0.1)
    assert gate(project, 8).ret == 1
    project.policy(triage={"role": "guard", "margin": 0.45})
    result = gate(project, 8)
    assert result.ret == 4
    assert "base.json: desk/triage is held to less than when it was judged (margin 0.1 -> 0.45)" in told(result)
