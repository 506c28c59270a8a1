"""Why a unit cannot show that its margin is kept with the present cases, and the remedies."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from tunegate.harness.core.formatting import percent
from tunegate.harness.gate.planning.amounts import amount, case_count, often
from tunegate.harness.gate.planning.costs import least_margin, most_tokens
from tunegate.harness.gate.planning.plan import Plan
from tunegate.harness.statistics.power import Continuous


def why_never(each: Plan) -> str:
    """Return why its cases cannot hold the margin even if nothing moves; empty if they can."""
    if each.margin is None or each.n >= each.fewest:
        return ""
    held, cases = amount(each.margin, each.unit), case_count(each.n, each)
    calls, bounds = each.seen.calls, each.bounds
    if calls and calls.span:
        more = amount(calls.span, each.unit)
        return (
            f"{cases} can never show that the mean cost rises by less than {held}: at max_new_tokens {calls.limit} one "
            f"call may cost {more} more than another"
        )
    if bounds and bounds.collapse and each.n >= bounds.fewest_for_mean(each.margin):
        few = f"fewer than {percent(each.least_collapse)} fall by {amount(_room(each), each.unit)} or more"
        return f"{cases} cannot show that {few}, but `collapse` allows {percent(bounds.collapse)}"
    return f"{cases} cannot rule out a loss of {held} unless the score rises"


def remedies(each: Plan) -> str:
    """Return what would hold its margin with the required chance, or if nothing moves if its spread is unknown."""
    return ", or ".join(_remedies(each)) or "a wider margin, as no number of cases is enough"


def _remedies(each: Plan) -> Iterator[str]:
    margin, calls = each.margin or 0.0, each.seen.calls
    cases = each.needed if each.power else each.fewest
    if cases and cases > each.n:
        yield f"{cases} cases"
    if each.bounds and each.n < each.bounds.fewest_for_mean(margin) and not calls:
        return  # C is ten margins, whatever the margin
    if not each.shows_share:
        yield f"`collapse: {each.least_collapse:g}`{_and_wider(each)}"
        return
    power = each.power or each.bounds
    if calls and calls.span and isinstance(power, Continuous):
        if most := most_tokens(power, calls, each.n, margin, each.asked if each.power else None):
            yield f"max_new_tokens {most}"
        wider = each.held_margin if each.power else least_margin(power, each.n)
    else:
        wider = each.held_margin
    if wider and wider > margin:
        yield f"a margin of {amount(wider, each.unit)}"


def _and_wider(each: Plan) -> str:
    wide = each.held_margin and each.held_margin > (each.margin or 0.0)
    return f" with a margin of {amount(each.held_margin, each.unit)}" if wide else ""


def which_is_short(each: Plan) -> str:
    """Return how often each of the two bounds of an unbounded score is kept; empty for other scores."""
    power = each.power
    if not isinstance(power, Continuous) or power.collapse is None or not each.margin:
        return ""
    mean = replace(power, collapse=None).prob_held(each.n, each.margin)
    share = power.prob_few_collapse(each.n, each.margin)
    far = amount(_room(each), each.unit)
    few = f"few enough cases fall by {far} or more {often(share)}"
    return f"the mean is shown to be within the margin {often(mean)}, {few}"


def _room(each: Plan) -> float:
    return each.bounds.room(each.margin or 0.0) if each.bounds else 0.0
