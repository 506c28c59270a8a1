"""Estimate the margin of a new task, and how often it releases an adapter with a real gain."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tunegate.harness.cases.model import Task
from tunegate.harness.planning.amounts import often
from tunegate.harness.planning.declare import in_points
from tunegate.harness.planning.history import USUAL_FLIP_RATE, Past
from tunegate.harness.planning.plan import plan_units
from tunegate.harness.planning.proposal import MARGINS, Proposal, propose

WIDEST_MARGIN = MARGINS[-1]  # of a first guess; if the cases cannot hold it, lint reports that


@dataclass(frozen=True)
class FirstGuess:
    """The smallest margin that the cases hold four times in five, its explanation, and a note on what to improve."""

    margin: float
    says: str
    note: str


def look_ahead(task: Task) -> FirstGuess:
    """Estimate for a task with one unit, before any measurement."""
    [plan] = plan_units([task], Past())
    held = plan.held_margin or WIDEST_MARGIN
    margin = min(WIDEST_MARGIN, max(MARGINS[0], math.ceil(round(200 * held, 6)) / 200))  # in half points
    found = propose(task, [plan])
    holds = plan.held_margin is not None and plan.held_margin <= WIDEST_MARGIN
    flips = f"at a flip rate of {100 * USUAL_FLIP_RATE:g} %, assumed"
    says = (
        f"{plan.n} cases hold {in_points(margin)} four times in five ({flips})"
        if holds
        else f"{plan.n} cases hold no margin four times in five ({flips})"
    )
    if found and found.targets:
        says += f", and show a gain of {in_points(found.gain)} {often(found.shown)}"
    return FirstGuess(margin, says, _note(found) if found and found.targets else "")


def _note(found: Proposal) -> str:
    """How to reach a release for adapters with a real gain, now and later."""
    if found.target_cases:
        return f"write {found.target_cases} cases to show a gain of {in_points(found.gain)} four times in five"
    split = next((way for way in found.ways if way.sealed), None)
    once = "without sealed cases, only the first complete run can prove a gain"
    if split:
        [apart], [left] = split.sealed.values(), split.open.values()
        return f"{once}; seal {apart} of the cases and keep {left} unsealed, so that later runs can (tunegate plan)"
    return f"{once}; with about {found.sealable} cases some can be sealed" if found.sealable else once
