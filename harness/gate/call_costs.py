"""The largest possible price difference of two calls: the natural bound of a cost unit's scores."""

from __future__ import annotations

from collections.abc import Mapping

from tunegate.harness.cases.model import Case, Unit
from tunegate.harness.checks.cost import CostCheck, Prices
from tunegate.harness.evaluation.record import Record, Result

Side = tuple[Record, Mapping[str, Result]]


def largest_difference(
    unit: Unit, prices: Prices | None, reference: Side, candidate: Side
) -> tuple[float, bool] | None:
    """Return the largest possible price difference of a call to one model and the same call to the other.

    It is the largest, over the cases, of `max_new_tokens` at the higher price plus the price difference of the
    prompts, in the prices' currency. If an output is longer than its case allows (supplied ones may be), the longest
    counts, and the second value is False, as others may be longer still. None if the unit is not a cost unit.
    """
    if prices is None or not all(isinstance(case.check, CostCheck) for case in unit.cases):
        return None
    found = [_most(case, prices, reference, candidate) for case in unit.cases]
    return max(most for most, _ in found), all(within for _, within in found)


def _most(case: Case, prices: Prices, *sides: Side) -> tuple[float, bool]:
    ins, outs, limit, within = [], [], case.decoding.max_new_tokens, True
    for record, results in sides:
        price = prices.of(str(record.fingerprint["subject"].get("model")))
        outputs = results[case.id].repeats or (results[case.id],)
        calls = [(each.tokens_in or 0, each.tokens_out or 0) for each in outputs]
        longest = max((tokens_out for _, tokens_out in calls), default=0)
        within = within and longest <= limit
        ins.append([price.of(tokens_in, 0) for tokens_in, _ in calls])
        outs.append(price.of(0, max(longest, limit)))
    before, after = ins
    prompts = max((abs(one - other) for one in before for other in after), default=0.0)
    return prompts + max(outs), within
