"""Two projects that the gate once got wrong: calls that ramble were held, and a loss of the margin ended it with 3."""

from __future__ import annotations

import json

from tests.support.project import Project
from tests.unit.checks.test_cost import GOOD, write_cost, write_task

IDS = [f"c{number:03d}" for number in range(150)]


def answered(project: Project, rows: list[tuple[str, str, int]], *arguments: str):
    lines = [
        {"case": f"desk/triage/{case}", "output": output, "tokens_in": 60, "tokens_out": tokens}
        for case, output, tokens in rows
    ]
    (project.path / "outputs.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return project.run("--tg-model=replay:outputs.jsonl", *arguments)


def test_four_calls_of_150_that_ramble_are_blocked_and_the_rise_of_the_mean_is_named(project: Project):
    project.unit(IDS, generate={"max_new_tokens": 512})
    write_task(project.fixtures, triage={"margin": 0.2}, spend={"margin": 0.00006, "reason": "An eighth of a call."})
    write_cost(project.fixtures)
    usual = [(case, GOOD, 42) for case in IDS]
    assert answered(project, usual, "--tg-out=base.json").ret == 0

    result = answered(project, [*((case, GOOD, 512) for case in IDS[:4]), *usual[4:]], "--tg-against=base.json")

    assert result.ret == 1
    assert "a call costs 0.0001253 (26 %) more on average, more than the margin of 0.00006" in result.stdout.str()


def test_a_loss_of_exactly_the_margin_in_groups_is_evaluated(project: Project):
    ids = [f"{group}{number}" for group in "abc" for number in range(6)]
    cases = [{"id": case, "input": case, "group": case[0], "expect": {"product": "boiler"}} for case in ids]
    project.unit(ids, cases=cases)
    write_task(project.fixtures, prices=None, triage={"margin": 1 / 6})
    good = {"a": (6, 2), "b": (6, 3), "c": (2, 6)}  # -2/3, -1/2 and +2/3: a mean of -1/6
    for side, option in ((0, "--tg-out=base.json"), (1, "--tg-against=base.json")):
        rows = [(case, GOOD if int(case[1:]) < good[case[0]][side] else "?", 5) for case in ids]
        result = answered(project, rows, option, *(["--tg-out=record.json"] if side else []))

    assert result.ret == 1
    assert project.record()["verdicts"]["desk/triage"]["verdict"] == "inconclusive"
