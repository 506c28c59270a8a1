"""Check fixtures without a model, and say which units are too small for what they claim."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from harness import sizes
from harness.cases import Task, Unit, load_tasks

USUAL_CHURN = 0.04  # the share of cases that flip between two tunes of equal quality, where none was measured


def lint(root: Path) -> Iterator[str]:
    """A line for each unit, and one for each that cannot show what its margin asks; mistakes raise.

    Raises:
        AuthoringError: every mistake in every file.
    """
    tasks = load_tasks(root)
    for task in tasks:
        for unit in task.units:
            critical = sum(case.critical for case in unit.cases)
            yield f"{unit.key}: {len(unit.cases)} {unit.suite} cases" + (f", {critical} critical" if critical else "")
            yield from _too_small(task, unit)
        if not task.policy.declared:
            yield f"{task.name}: warning: no task.yaml, so every unit guards and nothing can be released"
    yield "no mistakes"


def _too_small(task: Task, unit: Unit) -> Iterator[str]:
    margin = task.policy.of(unit.name, unit.kind).margin
    if margin is None or unit.kind != "pass/fail" or unit.sealed:  # a sealed unit need not be held
        return
    n = len(
        {(case.group is None, case.group or case.id) for case in unit.cases}
    )  # cases of a group are one observation
    level = 0.04 / task.policy.share
    needed = sizes.fewest_cases(margin, level)
    if n < needed:
        yield f"{unit.key}: warning: {n} cases can never hold a margin of {100 * margin:g} points; it takes {needed}"
        return
    chance = sizes.prob_held(n, margin, USUAL_CHURN, level)
    wanted = 0.8 ** (1 / sum(not each.sealed for each in task.units))
    if chance < wanted:
        enough = sizes.cases_to_settle(USUAL_CHURN, margin, level, wanted)
        yield (
            f"{unit.key}: warning: with {n} cases an unchanged model is held to {100 * margin:g} points only "
            f"{100 * chance:.0f} % of the time (at 4 % churn); about {enough} cases would do"
        )
