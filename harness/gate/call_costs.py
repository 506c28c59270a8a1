"""The most that two calls can differ by in price: the natural bound of a cost unit's scores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tunegate.harness.checks.cost import CostCheck, Prices
from tunegate.harness.evaluation.record import Record, Result
from tunegate.harness.fixtures.model import Case, Unit

Side = tuple[Record, Mapping[str, Result]]


def largest_difference(unit: Unit, prices: Prices | None, reference: Side, candidate: Side) -> float | None:
    """Return the most that a call to one model can cost beyond the same call to the other, in the prices' currency.

    That is `max_new_tokens` at the dearer price, beside what the prompts differ by: the largest over the cases. None
    where the unit is not of costs, or an output is longer than its case allows, as supplied ones may be.
    """
    if prices is None or not all(isinstance(case.check, CostCheck) for case in unit.cases):
        return None
    most = [_most(case, prices, reference, candidate) for case in unit.cases]
    return None if None in most else max(each for each in most if each is not None)


def _most(case: Case, prices: Prices, *sides: Side) -> float | None:
    ins, outs = [], []
    for record, results in sides:
        price = prices.of(str(record.fingerprint["subject"].get("model")))
        calls = list(_calls(results[case.id]))
        if any(tokens_out > case.decoding.max_new_tokens for _, tokens_out in calls):
            return None
        ins.append([price.of(tokens_in, 0) for tokens_in, _ in calls])
        outs.append(price.of(0, case.decoding.max_new_tokens))
    before, after = ins
    prompts = max((abs(one - other) for one in before for other in after), default=0.0)
    return prompts + max(outs)


def _calls(result: Result) -> Iterator[tuple[int, int]]:
    for each in result.repeats or (result,):
        yield each.tokens_in or 0, each.tokens_out or 0
