"""The largest possible price difference of two calls: the natural bound of a cost unit's scores."""

from __future__ import annotations

from collections.abc import Mapping

from tunegate.harness.cases.model import Case, Unit
from tunegate.harness.checks.cost import CostCheck, Prices
from tunegate.harness.models.evaluation.record import Record, Result

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


def largest_rise(unit: Unit, prices: Prices, reference: Side, candidate: Side) -> float:
    """Return by how much a call can at most cost more with the candidate than with the reference, as above.

    The dearest output is one of `max_new_tokens` at the candidate's price, the cheapest costs nothing.
    """
    return max(_rise(case, prices, reference, candidate) for case in unit.cases)


def _rise(case: Case, prices: Prices, reference: Side, candidate: Side) -> float:
    (before, _, _), (after, most, _) = (_calls(case, prices, side) for side in (reference, candidate))
    return max(max(after) - min(before), 0.0) + most


def _most(case: Case, prices: Prices, *sides: Side) -> tuple[float, bool]:
    (before, one, within), (after, other, too) = (_calls(case, prices, side) for side in sides)
    prompts = max(max(after) - min(before), max(before) - min(after))
    return prompts + max(one, other), within and too


def _calls(case: Case, prices: Prices, side: Side) -> tuple[list[float], float, bool]:
    """Return the prices of a case's prompts, that of its longest possible output, and whether none seen is longer."""
    record, results = side
    price, limit = prices.of(str(record.fingerprint["subject"].get("model"))), case.decoding.max_new_tokens
    outputs = results[case.id].repeats or (results[case.id],)
    longest = max(each.tokens_out or 0 for each in outputs)
    prompts = [price.of(each.tokens_in or 0, 0) for each in outputs]
    return prompts, price.of(0, max(longest, limit)), longest <= limit
