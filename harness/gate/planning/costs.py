"""The costs of a cost unit's calls: how far two calls can differ, and how often a margin is held then."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, pstdev

from tunegate.harness.cases.model import Unit
from tunegate.harness.checks.cost import CostCheck
from tunegate.harness.models.evaluation.record import Result
from tunegate.harness.statistics.critical_values import critical_value
from tunegate.harness.statistics.power import Continuous


@dataclass(frozen=True)
class Calls:
    """The calls of a cost unit.

    Attributes:
        limit: the largest max_new_tokens of a case.
        price: of one output token.
        prompts: the largest observed price difference between prompts of one case, in the prices' currency.
        output: the mean number of output tokens; None without outputs.
        scatter: the standard deviation of the number of output tokens; None without outputs.
        longest: the tokens of the longest output beyond its limit (supplied outputs may be longer), which means that
            the cost of a call is unbounded; otherwise None.
    """

    limit: int
    price: float
    prompts: float = 0.0
    output: float | None = None
    scatter: float | None = None
    longest: int | None = None

    @property
    def span(self) -> float | None:
        """The largest possible cost difference of the same call to two models; None if unbounded."""
        return self.span_at(self.limit) if self.longest is None else None

    @property
    def seen_span(self) -> float:
        """The same, or the difference at the longest output seen if unbounded."""
        return self.span_at(self.longest or self.limit)

    def span_at(self, limit: float) -> float:
        """Return the span with another `max_new_tokens`."""
        return self.prompts + limit * self.price

    @property
    def spread(self) -> float | None:
        """The standard deviation of the cost difference of an equal model, if its lengths were independent."""
        return math.sqrt(2) * self.scatter * self.price if self.scatter else None


def calls_of(unit: Unit, model: str, sides: Sequence[Mapping[str, Result]]) -> Calls | None:
    """Return the calls of a cost unit from the results of models (`sides`); None for other units.

    `model` is the model to be tuned, as named in records; without it the general price applies.
    """
    prices = [case.check.prices for case in unit.cases if isinstance(case.check, CostCheck)]
    if len(prices) < len(unit.cases) or not prices:
        return None
    price = prices[0].of(model)
    counts = [
        {case: [(one.tokens_in or 0, one.tokens_out or 0) for one in result.repeats or (result,)]
         for case, result in side.items()}
        for side in sides
    ]  # fmt: skip
    limits = {case.id: case.decoding.max_new_tokens for case in unit.cases}
    last = [float(out) for side in counts[-1:] for calls in side.values() for _, out in calls]
    return Calls(
        max(limits.values()), price.of(0, 1),
        prompts=max((_prompts_apart(counts, case, price.of(1, 0)) for case in limits), default=0.0),
        output=fmean(last) if last else None,
        scatter=pstdev(last) if last else None,
        longest=max(_beyond(counts, limits), default=None),
    )  # fmt: skip


def _beyond(counts: Sequence[Mapping[str, Sequence[tuple[int, int]]]], limits: Mapping[str, int]) -> Iterator[int]:
    calls = ((case, out) for side in counts for case, each in side.items() for _, out in each)
    return (out for case, out in calls if out > limits.get(case, out))


def _prompts_apart(counts: Sequence[Mapping[str, Sequence[tuple[int, int]]]], case: str, price: float) -> float:
    lengths = [tokens_in for side in counts for tokens_in, _ in side.get(case, ())]
    return price * (max(lengths) - min(lengths)) if lengths else 0.0


def holds_if_still(power: Continuous, n: int, margin: float) -> bool:
    """Whether n observations can hold the margin if no score moves: n > z^2 (C / margin - 1)."""
    share, n = margin / (power.span or math.inf), power.clean(n)
    return share >= 1 or n > critical_value(n, share, power.levels.held) ** 2 * (1 / share - 1)


def held_with(power: Continuous, calls: Calls, n: int, margin: float, limit: float) -> float:
    """Return the chance that n cases hold the margin for an equal model, with another `max_new_tokens`."""
    return replace(power, span=calls.span_at(limit), collapse=None).prob_held(n, margin)


def most_tokens(power: Continuous, calls: Calls, n: int, margin: float, asked: float | None) -> int | None:
    """Return the largest `max_new_tokens` with which n cases hold the margin with the chance `asked`.

    If `asked` is None: with which they can hold it if no score moves. None if that would cut usual outputs short.
    """

    def fails(limit: int) -> bool:
        if asked is None:
            return not holds_if_still(replace(power, span=calls.span_at(limit)), n, margin)
        return held_with(power, calls, n, margin, limit) < asked

    most = bisect_left(range(1, calls.limit), True, key=fails)
    return most if most > (calls.output or 0) else None


def least_margin(power: Continuous, n: int) -> float:
    """Return the smallest margin, to two figures, that n observations can hold."""
    span = power.span or math.inf
    margin = span / (n / critical_value(n, 0.5, power.levels.held) ** 2 + 1)
    while not holds_if_still(power, n, margin):
        margin *= 1.02
    step = 10.0 ** (int(f"{margin:e}".partition("e")[2]) - 1)
    return float(f"{math.ceil(margin / step) * step:.2g}")
