"""What the calls of a cost unit can cost: how far two of them can differ, and how often a margin is held by that."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, pstdev

from tunegate.harness.cases.model import Unit
from tunegate.harness.checks.cost import CostCheck
from tunegate.harness.evaluation.record import Result
from tunegate.harness.statistics.critical_values import critical_value
from tunegate.harness.statistics.power import Continuous

TIMES_MEAN = (2, 5, 10)  # max_new_tokens, in mean output lengths: what to choose from
CASES = (100, 200)


@dataclass(frozen=True)
class Calls:
    """The calls of a cost unit. `limit` is max_new_tokens (of its longest case), `price` that of one output token.

    `prompts` is the most that the prompts of one case were seen to differ by, in the prices' currency. `output` is the
    mean number of output tokens, `scatter` how far single outputs lie from it (standard deviation, in tokens), both
    None before anything was answered; `cut` is the share of outputs that reached the limit. Where one is longer than
    that, as supplied ones may be, nothing bounds what a call costs, and `longest` is that output, in tokens.
    """

    limit: int
    price: float
    prompts: float = 0.0
    output: float | None = None
    scatter: float | None = None
    cut: float = 0.0
    longest: int | None = None

    @property
    def span(self) -> float | None:
        """The most that one call can cost beyond the same call to another model; None: there is no bound."""
        return self.span_at(self.limit) if self.longest is None else None

    @property
    def seen_span(self) -> float:
        """The same where there is a bound, else the most by what was seen: outputs may be longer still."""
        return self.span_at(self.longest or self.limit)

    def span_at(self, limit: float) -> float:
        """The same with another `max_new_tokens`."""
        return self.prompts + limit * self.price

    @property
    def spread(self) -> float | None:
        """How far an equal model's costs lie apart case by case, if its lengths had nothing to do with these."""
        return math.sqrt(2) * self.scatter * self.price if self.scatter else None

    def choices(self) -> dict[str, int]:
        """The `max_new_tokens` to compare: today's, and multiples of the mean output."""
        times = {f"{factor} x mean": math.ceil(factor * self.output) for factor in TIMES_MEAN} if self.output else {}
        return {"now": self.limit} | times


def calls_of(unit: Unit, model: str, sides: Sequence[Mapping[str, Result]]) -> Calls | None:
    """What is known of the calls that a unit prices, from what models answered (`sides`); None where it prices none.

    `model` is the one whose tune is planned, as records name it; the price is the general one where it is not known.
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
    last = [(case, float(out)) for side in counts[-1:] for case, calls in side.items() for _, out in calls]
    flat = [out for _, out in last]
    return Calls(
        max(limits.values()), price.of(0, 1),
        prompts=max((_prompts_apart(counts, case, price.of(1, 0)) for case in limits), default=0.0),
        output=fmean(flat) if flat else None,
        scatter=pstdev(flat) if flat else None,
        cut=fmean(out >= limits.get(case, math.inf) for case, out in last) if last else 0.0,
        longest=max(_beyond(counts, limits), default=None),
    )  # fmt: skip


def _beyond(counts: Sequence[Mapping[str, Sequence[tuple[int, int]]]], limits: Mapping[str, int]) -> Iterator[int]:
    calls = ((case, out) for side in counts for case, each in side.items() for _, out in each)
    return (out for case, out in calls if out > limits.get(case, out))


def _prompts_apart(counts: Sequence[Mapping[str, Sequence[tuple[int, int]]]], case: str, price: float) -> float:
    lengths = [tokens_in for side in counts for tokens_in, _ in side.get(case, ())]
    return price * (max(lengths) - min(lengths)) if lengths else 0.0


def holds_if_still(power: Continuous, n: int, margin: float) -> bool:
    """Whether n observations can hold the margin where no score moves: n > z^2 (C / margin - 1)."""
    share = margin / (power.span or math.inf)
    return share >= 1 or n > critical_value(n, share, power.levels.held) ** 2 * (1 / share - 1)


def held_with(power: Continuous, calls: Calls, n: int, margin: float, limit: float) -> float:
    """The chance that n cases hold the margin of an equal model, with another `max_new_tokens`."""
    return replace(power, span=calls.span_at(limit), collapse=None).prob_held(n, margin)


def most_tokens(power: Continuous, calls: Calls, n: int, margin: float, asked: float | None) -> int | None:
    """Return the largest `max_new_tokens` with which n cases hold the margin, with the chance `asked`.

    Without a chance: with which they can hold it at all. None where that would cut usual outputs short.
    """

    def fails(limit: int) -> bool:
        if asked is None:
            return not holds_if_still(replace(power, span=calls.span_at(limit)), n, margin)
        return held_with(power, calls, n, margin, limit) < asked

    most = bisect_left(range(1, calls.limit), True, key=fails)
    return most if most > (calls.output or 0) else None


def least_margin(power: Continuous, n: int) -> float:
    """Return the least margin, to two figures, that n observations can hold at all."""
    span = power.span or math.inf
    margin = span / (n / critical_value(n, 0.5, power.levels.held) ** 2 + 1)
    while not holds_if_still(power, n, margin):
        margin *= 1.02
    step = 10.0 ** (int(f"{margin:e}".partition("e")[2]) - 1)
    return float(f"{math.ceil(margin / step) * step:.2g}")
