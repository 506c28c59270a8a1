"""Check fixtures without a model, and say which units are too small for what they claim."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from harness.cases import load_tasks
from harness.past import Past, model_folders
from harness.plan import Plan, plan
from harness.words import percent


def lint(root: Path, baselines: Path = Path("baselines")) -> Iterator[str]:
    """A line for each unit, and one for each that cannot show what its margin asks; mistakes raise.

    Churn is taken from the last release, if `baselines` holds one model's.

    Raises:
        AuthoringError: every mistake in every file.
        Refused: there are no fixtures, or a baseline is damaged.
    """
    tasks = load_tasks(root)
    folders = model_folders(baselines, tasks)
    plans = {each.unit.key: each for each in plan(tasks, Past(folder=folders[0] if len(folders) == 1 else None))}
    for task in tasks:
        for unit in task.units:
            critical = sum(case.critical for case in unit.cases)
            yield f"{unit.key}: {len(unit.cases)} {unit.suite} cases" + (f", {critical} critical" if critical else "")
            yield from _too_small(plans[unit.key])
        if not task.policy.declared:
            yield f"{task.name}: warning: no task.yaml, so every unit guards and nothing can be released"
    yield "no mistakes"


def _too_small(each: Plan) -> Iterator[str]:
    if each.margin is None or each.unit.kind != "pass/fail" or each.unit.sealed:  # a sealed unit need not be held
        return
    points = f"{100 * each.margin:g} points"
    if each.n < each.fewest:
        yield (
            f"{each.unit.key}: warning: {each.n} cases cannot hold a margin of {points} without a gain; "
            f"it takes {each.fewest}"
        )
    elif each.chance is not None and each.chance < each.asked:
        yield (
            f"{each.unit.key}: warning: with {each.n} cases an unchanged model is held to {points} only "
            f"{100 * each.chance:.0f} % of the time (at {percent(each.seen.spread)} churn); about {each.needed} cases "
            "would do: see tunegate plan"
        )
