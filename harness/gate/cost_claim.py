"""The claim that a costlier model is not needed: quality held *and* cost lower, each shown by a paired test.

Both must be shown, so each is tested at the full level: an intersection-union test (Berger, Technometrics 24, 1982,
295-300). Quality is the gate's verdict on the unit. Cost is a sign-flip test of its cost unit, corrected over all
claims of a comparison by Tarone-Holm. As for a guard, a call may turn out as long as `max_new_tokens`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from tunegate.harness.cases.model import Task, Unit
from tunegate.harness.checks.cost import Prices
from tunegate.harness.core.formatting import level, listed, plain
from tunegate.harness.gate.call_costs import largest_rise
from tunegate.harness.gate.families import LEVEL, SEED
from tunegate.harness.gate.pairing import PairedScores, pair
from tunegate.harness.models.evaluation.record import Record
from tunegate.harness.models.evaluation.verdict import Claim, ClaimOutcome, UnitVerdict
from tunegate.harness.statistics import paired as stats
from tunegate.harness.statistics.ratio import Ratio, ratio

CALLS = 1000  # messages give prices per so many calls
NOTHING = stats.PValue(1.0, 1.0)  # no price moved


@dataclass(frozen=True)
class _Costs:
    """The prices of both sides of a cost unit, one per observation, and the test of the second being lower."""

    unit: Unit
    prices: Prices
    before: tuple[float, ...] = ()
    after: tuple[float, ...] = ()
    problem: str = ""
    p: stats.PValue = NOTHING
    ratio: Ratio | None = None


def claims(tasks: Sequence[Task], candidate: Record, reference: Record, name: str = "record") -> dict[str, Claim]:
    """Return the claim for every cost unit whose source unit has a verdict, by the cost unit's key.

    The candidate is the cheaper record, with its verdicts against the reference of that name.
    """
    found = [
        _costs(task, unit, task.policy.prices, candidate, name, reference)
        for task in tasks
        for unit in task.units
        if task.policy.prices and unit.key in candidate.units and unit.of in candidate.verdicts
    ]
    # corrected for the number of claims, not for the two tests of one claim (see the module's docstring)
    lower = stats.tarone_holm([each.p.p for each in found], [each.p.smallest for each in found], LEVEL)
    models = [str(record.fingerprint["subject"].get("model")) for record in (reference, candidate)]
    return {
        each.unit.key: _claim(each, candidate.verdicts[each.unit.of], is_lower, models)
        for each, is_lower in zip(found, lower, strict=True)
    }


def _costs(task: Task, unit: Unit, prices: Prices, candidate: Record, name: str, reference: Record) -> _Costs:
    both = pair(unit, task.policy, candidate, name, reference, aimed=False)
    costs = _Costs(unit, prices, problem=_problem(both, candidate, name, reference))
    if costs.problem:
        return costs
    # scores are negated prices; `0.0 -` avoids -0.0
    before, after = (tuple(0.0 - score for score in side) for side in (both.before, both.after))
    most = largest_rise(unit, prices, (reference, both.old), (candidate, both.new))
    return replace(costs, before=before, after=after, ratio=ratio(before, after), p=p_lower(before, after, most))


def p_lower(before: Sequence[float], after: Sequence[float], most: float) -> stats.PValue:
    """Return the p of "cost lower" of n calls, of which none can cost more by `most` or more.

    Calls that no sample held may: a call in a hundred that runs on is absent from 37 % of samples of a hundred.
    """
    if not most:
        return NOTHING
    # a gain counts up to `most`, so that the mean that is tested is none too large
    return stats.p_better(stats.winsorise_differences(after, before, most).d, seed=SEED)


def _problem(both: PairedScores, candidate: Record, name: str, reference: Record) -> str:
    """Return why the two sides' prices cannot be compared; empty if they can."""
    for side, record in ((f"the {name}", reference), ("this run", candidate)):
        results, outputs = record.of_unit(both.unit.key), record.of_unit(both.unit.of)
        # An output without token counts has no price. Leaving it out would make a model without counts look cheap.
        unpriced = [case for case, result in results.items() if result.score is None and case in outputs]
        if uncounted := [case for case in unpriced if outputs[case].score is not None]:
            return f"{side} has no token counts for {len(uncounted)} of {len(results)} outputs ({listed(uncounted)})"
    if len(both.old) != len(both.new):
        return f"the {name} has {len(both.old)} cases, this run {len(both.new)}"
    return both.problem


def _claim(costs: _Costs, verdict: UnitVerdict, lower: bool, models: Sequence[str]) -> Claim:
    unit, currency = costs.unit.of, costs.prices.currency
    if costs.problem:
        return Claim(unit, "not comparable", f"{unit}: no claim: {costs.problem}.", currency)
    outcome, before, now = _outcome(verdict, lower), fmean(costs.before), fmean(costs.after)
    sentence = {
        "proved": f"quality {verdict.verdict}{_quality(verdict)} at {_cost(costs)}.",
        "quality regressed": f"no claim: quality regressed{_quality(verdict)}, at {_cost(costs)}.",
        "quality inconclusive": f"no claim: quality inconclusive{_quality(verdict)}, at {_cost(costs)}.",
        "cost not lower": f"no claim: quality {verdict.verdict}{_quality(verdict)}, but the cost is not "
        f"{'significantly ' if now < before else ''}lower: {_cost(costs)}.",
        "not comparable": f"no claim: a quality of 0 % cannot fall{_quality(verdict)}, at {_cost(costs)}."
        if _cannot_fall(verdict)
        else f"no claim: quality not comparable. {verdict.reason}",
    }[outcome]
    reason = f"{unit}: {sentence}"
    base, cheaper = models
    if base != cheaper and costs.prices.of(base) == costs.prices.of(cheaper):
        reason += f" task.yaml gives {base} and {cheaper} the same price per token."
    return Claim(
        unit, outcome, reason, currency,
        before=before, now=now,
        ratio=costs.ratio.estimate if costs.ratio else None,
        interval=costs.ratio.interval if costs.ratio else None,
        p=costs.p.p,
    )  # fmt: skip


def _outcome(verdict: UnitVerdict, lower: bool) -> ClaimOutcome:
    if verdict.difference is None:  # not comparable, or not gated
        return "not comparable"
    if verdict.verdict == "inconclusive":
        return "quality inconclusive"
    if verdict.blocks:
        return "quality regressed"
    if _cannot_fall(verdict):
        return "not comparable"
    return "proved" if lower else "cost not lower"


def _cannot_fall(verdict: UnitVerdict) -> bool:
    """Whether no case passed before, so that a quality which did not improve proves nothing."""
    return bool(verdict.kind == "pass/fail" and verdict.base == 0 and verdict.verdict != "improved")


def _quality(verdict: UnitVerdict) -> str:
    kind, margin = verdict.kind, verdict.margin or 0.0  # a compared unit has one
    tolerated = f"{100 * margin:g} points" if kind == "pass/fail" else plain(margin)
    return f" ({level(verdict.mean, kind)} against {level(verdict.base, kind)}, margin {tolerated})"


def _cost(costs: _Costs) -> str:
    amounts = [plain(CALLS * fmean(side)) for side in (costs.after, costs.before)]
    money = f"({costs.prices.currency} {' against '.join(amounts)} per {CALLS:,} calls)"
    if costs.ratio is None:
        return f"a cost, while the reference is free {money}"
    return f"{_percent(costs.ratio)} {money}"


def _percent(found: Ratio) -> str:
    """Return `31 % of the cost [30, 33]`, with a decimal if whole numbers would hide the interval."""
    low, high = found.interval or (0.0, 1.0)
    digits = 0 if found.estimate >= 0.1 and high - low >= 0.02 else 1
    share = f"{100 * found.estimate:.{digits}f} % of the cost"
    return f"{share} [{100 * low:.{digits}f}, {100 * high:.{digits}f}]" if found.interval else share
