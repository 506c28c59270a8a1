"""Estimate the margin of a new task, and how often it releases an adapter with a real gain."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from tunegate.harness.cases.model import Task
from tunegate.harness.gate.planning.amounts import in_points, often
from tunegate.harness.gate.planning.history import USUAL_FLIP_RATE, Past
from tunegate.harness.gate.planning.plan import Plan, plan_units
from tunegate.harness.gate.planning.proposal import MARGINS, Proposal, propose
from tunegate.harness.gate.planning.whole_tasks import with_anchor

REWORDED_FLIP_RATE = 0.05  # of a harmless rewording of a prompt, which flips more cases than two tunes do
WIDE = 0.25  # a margin beside two references; a wider one would let large losses pass
WIDEST_MARGIN = MARGINS[-1]  # of a first guess; if the cases cannot hold it, lint reports that


@dataclass(frozen=True)
class FirstGuess:
    """The smallest margin under which a harmless rewording usually passes, its explanation, and what to improve."""

    margin: float
    says: str
    note: str


def look_ahead(task: Task) -> FirstGuess:
    """Estimate for a task with one unit, before any measurement."""
    [plan] = plan_units([task], Past(flip_rate=REWORDED_FLIP_RATE))
    margin = rewording_margin(plan)
    usual = f"with {plan.n} cases and a margin of {{}}, an equal model gets held 80 % of the time"
    says = f"{usual}, against what is in service and against the first record"
    if margin is None or margin > WIDE:
        [plan] = plan_units([task], Past(flip_rate=USUAL_FLIP_RATE))
        margin, few = half_points(plan.held_margin), f"too few for {in_points(WIDE)} against the first record too"
        says = f"{usual}, against what is in service ({few})"
    flips = f" (at a flip rate of {100 * plan.seen.spread:g} %, assumed)" if plan.seen.spread else ""
    if margin is None or margin > WIDEST_MARGIN:
        margin, says = WIDEST_MARGIN, f"{plan.n} cases are too few for any margin"
    says = says.format(in_points(margin)) + flips
    found = propose(task, [plan])
    if found and found.targets:
        says += f", and a gain of {in_points(found.gain)} is shown {often(found.shown)}"
    return FirstGuess(margin, says, _note(found) if found and found.targets else "")


def rewording_margin(plan: Plan) -> float | None:
    """The smallest margin, in half points, under which an equal prompt usually passes beside both references.

    It has to hold what is in service and the first record, which differ as much from each other as it does from either.
    None if there is none.
    """
    return half_points(with_anchor(replace(plan, seen=replace(plan.seen, is_first=True))).held_margin)


def half_points(margin: float | None) -> float | None:
    """A margin, rounded up to half points."""
    return None if margin is None else max(MARGINS[0], math.ceil(round(200 * margin, 6)) / 200)


def _note(found: Proposal) -> str:
    """How to reach a release for adapters with a real gain, now and later."""
    if found.target_cases:
        return f"write {found.target_cases} cases to show a gain of {in_points(found.gain)} 80 % of the time"
    split = next((way for way in found.ways if way.sealed), None)
    once = "without sealed cases, only the first complete run can prove a gain"
    if split:
        [apart], [left] = split.sealed.values(), split.open.values()
        return f"{once}; seal {apart} of the cases and keep {left} unsealed, so that later runs can (tunegate plan)"
    return f"{once}; with about {found.sealable} cases some can be sealed" if found.sealable else once
