"""Cost units, whose calls are bounded by `max_new_tokens`: how often equal models are held, and rambling ones.

Answers have random lengths, of one law before and after, cut at `max_new_tokens`; the two lengths of a case are
correlated. What is counted is the gate's own: records with tokens, its pairs and their bound, its tests.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import gamma, lognorm, norm

from benchmarks.gate_rule import Floats
from benchmarks.gate_worlds import TASK, Mismatch, record_of
from tunegate.harness.cases.model import Case, Decoding, Prompt, Task, Unit
from tunegate.harness.cases.policy import Policy, UnitPolicy
from tunegate.harness.checks.cost import CostCheck, Price, Prices
from tunegate.harness.checks.registry import CHECKS
from tunegate.harness.gate import rule as gate
from tunegate.harness.gate.cost_claim import p_lower
from tunegate.harness.gate.families import LEVEL, SEED
from tunegate.harness.gate.pairing import pair
from tunegate.harness.models.evaluation.record import Record, Result
from tunegate.harness.statistics import paired as stats
from tunegate.harness.statistics.power import Continuous
from tunegate.harness.statistics.ratio import ratio

Tokens = NDArray[np.int64]

MEAN = 50  # tokens of an answer
PROMPT = 30  # the same before and after, so that it costs nothing
PRICES = Prices("USD", Price(0.05, 0.2))
LIMITS = (2, 5, 10)  # `max_new_tokens`, in mean answers
MARGINS = (0.125, 0.25)  # of the mean answer's price
CORRELATIONS = (0.0, 0.5, 0.9)
SAMPLE = 100_000  # lengths, for the standard deviation that `plan` is told


def _gamma(uniform: Floats, scale: float) -> Floats:
    return np.asarray(gamma.ppf(uniform, 2, scale=scale))


def _lognormal(uniform: Floats, scale: float) -> Floats:
    return np.asarray(lognorm.ppf(uniform, 0.8, scale=scale))


LAWS: dict[str, Callable[[Floats, float], Floats]] = {"gamma": _gamma, "lognormal": _lognormal}


@dataclass(frozen=True)
class Lengths:
    """How long answers are: a law, the most they can be, in means, and how a case's two are correlated, as normals."""

    law: str
    limit: int
    correlation: float

    def __str__(self) -> str:
        return f"{self.law}, up to {self.limit} means, correlation {self.correlation:g}"

    @property
    def most(self) -> int:
        """`max_new_tokens`."""
        return self.limit * MEAN

    def draw(self, n: int, random: np.random.Generator) -> tuple[Tokens, Tokens]:
        """The lengths of n answers, before and after."""
        shared, *own = random.standard_normal((3, n))
        kept = np.sqrt(self.correlation)
        before, after = (self._cut(norm.cdf(kept * shared + np.sqrt(1 - kept**2) * each)) for each in own)
        return before, after

    def _cut(self, uniform: Floats) -> Tokens:
        found = LAWS[self.law](uniform, _scale(self.law, self.most))
        return np.clip(np.rint(found), 1, self.most).astype(np.int64)


@cache
def _scale(law: str, most: int) -> float:
    """The scale at which the mean of what is cut is the mean."""
    uniform = (np.arange(SAMPLE) + 0.5) / SAMPLE

    def beyond(scale: float) -> float:
        return float(np.clip(np.rint(LAWS[law](uniform, scale)), 1, most).mean()) - MEAN

    return float(brentq(beyond, 1, 10 * MEAN, xtol=1e-6))


@dataclass(frozen=True)
class CostGuard:
    """How often equal models are held, and `planned` so; and falsely, where calls ramble to the limit; of `draws`.

    So many ramble that the mean rises by exactly the margin.
    """

    lengths: Lengths
    n: int
    margin: float
    held: float
    planned: float
    rambling: float
    falsely: float
    draws: int
    worlds: int


def cost_guard(lengths: Lengths, n: int, margin: float, draws: int, worlds: int) -> CostGuard:
    """Judge equal models, and rambling ones.

    Raises:
        Mismatch: the shipped gate evaluated one of the first `worlds` pairs differently.
    """
    random = np.random.default_rng([SEED, n, round(1e4 * margin), lengths.limit, round(100 * lengths.correlation)])
    before, after = lengths.draw(SAMPLE, random)
    share = margin * MEAN / float(lengths.most - after.mean())
    drawn = [lengths.draw(n, random) for _ in range(draws)]
    rambled = [(old, np.where(random.random(n) < share, lengths.most, new)) for old, new in drawn]
    price = PRICES.price.of(0, 1)
    plan = Continuous(price * float((after - before).std()), span=price * lengths.most)
    return CostGuard(
        lengths, n, margin,
        held=_held(drawn, lengths.most, margin, worlds),
        planned=plan.prob_held(n, margin * MEAN * price),
        rambling=share,
        falsely=_held(rambled, lengths.most, margin, worlds),
        draws=draws, worlds=2 * worlds,
    )  # fmt: skip


def _held(drawn: Sequence[tuple[Tokens, Tokens]], most: int, margin: float, worlds: int) -> float:
    found = [is_held(*each, most, margin * MEAN * PRICES.price.of(0, 1)) for each in drawn]
    for number in range(worlds):
        verdict = verdict_of(*drawn[number], most, margin * MEAN * PRICES.price.of(0, 1))
        if found[number] != (verdict in {"held", "improved"}):
            raise Mismatch(f"costs up to {most} tokens, world {number}: expected {found[number]}, found {verdict}")
    return float(np.mean(found))


def is_held(before: Tokens, after: Tokens, most: int, margin: float) -> bool:
    """The whole decision on a cost unit alone: a call can cost the longest answer at most."""
    old, new = -_prices(before), -_prices(after)
    span = PRICES.price.of(0, most)
    changes = stats.winsorise_differences(old, new, span)
    return float(old.mean() - new.mean()) <= margin and stats.held(changes.d, margin / span, LEVEL)


def _prices(tokens: Tokens) -> Floats:
    return np.array([PRICES.price.of(PROMPT, each) for each in tokens.tolist()])


def verdict_of(before: Tokens, after: Tokens, most: int, margin: float) -> str:
    """The shipped gate's verdict on the same calls, from records."""
    unit = _unit(len(before), most)
    policy = Policy({unit.name: UnitPolicy("target", margin, reason="a benchmark")}, declared=True, prices=PRICES)
    base, tuned = (_record(unit, side) for side in (before, after))
    if not pair(unit, policy, tuned, "baseline", base, aimed=True).bounded:
        raise Mismatch("a cost unit without a natural bound")
    found = gate.compare([Task(TASK, (unit,), policy)], tuned, {"baseline": base}, [TASK])
    return str(found.verdicts[unit.key].verdict)


@cache
def _unit(n: int, most: int) -> Unit:
    name = "answer-cost"
    cases = tuple(
        Case(f"c{i:03}", f"{TASK}/{name}", f"case {i}", CostCheck(PRICES), Prompt(), Decoding(most)) for i in range(n)
    )
    return Unit(TASK, name, "cost", cases, of=f"{TASK}/answer", own_kind=CHECKS["cost"])


def _record(unit: Unit, tokens: Tokens) -> Record:
    results = [
        Result(None, 0.0 - PRICES.price.of(PROMPT, each), tokens_in=PROMPT, tokens_out=each) for each in tokens.tolist()
    ]
    return record_of([unit], {unit.key: results})


@dataclass(frozen=True)
class Rambling:
    """150 calls of which four ramble to 512 tokens, so that the mean rises by three tenths: how often that is held.

    The true share is theirs, and the margin an eighth of the mean. `verdict` is that on exactly these calls.
    """

    rise: float
    held: float
    verdict: str
    draws: int


def rambling(draws: int) -> Rambling:
    """Judge the example, and draws of its law."""
    n, calls, most, mean = 150, 4, 512, 42
    random = np.random.default_rng([SEED, most])
    margin = 0.125 * mean * PRICES.price.of(0, 1)

    def answers() -> Tokens:
        return np.clip(np.rint(random.gamma(10, mean / 10, n)), 1, most).astype(np.int64)

    base = answers()
    after = np.where(np.arange(n) < calls, most, base)
    found = [
        is_held(each, np.where(random.random(n) < calls / n, most, each), most, margin)
        for each in (answers() for _ in range(draws))
    ]  # fmt: skip
    rise = float(after.mean() / base.mean() - 1)
    return Rambling(rise, float(np.mean(found)), verdict_of(base, after, most, margin), draws)


@dataclass(frozen=True)
class CostClaim:
    """Equal costs: how often the interval of their ratio misses 1, and how often one is shown to be lower, falsely.

    A test takes longer than an interval, so that it is made of the first `tests` draws alone.
    """

    lengths: Lengths
    n: int
    missed: float
    lower: float
    draws: int
    tests: int


def cost_claim(lengths: Lengths, n: int, draws: int) -> CostClaim:
    """Judge the prices of equal models as a claim does: by their ratio and by the test of "better"."""
    random = np.random.default_rng([SEED, n, lengths.limit, round(100 * lengths.correlation), len(lengths.law)])
    missed, lower, tests, most = [], [], draws // 8, PRICES.price.of(0, lengths.most)
    for number in range(draws):
        before, after = map(_prices, lengths.draw(n, random))
        found = ratio(before.tolist(), after.tolist())
        missed.append(bool(found and found.interval and not found.interval[0] <= 1 <= found.interval[1]))
        if number < tests:
            lower.append(_is_lower(before, after, most))
    return CostClaim(lengths, n, float(np.mean(missed)), float(np.mean(lower)), draws, tests)


def _is_lower(before: Floats, after: Floats, most: float) -> bool:
    return p_lower(before.tolist(), after.tolist(), most).p <= LEVEL


@dataclass(frozen=True)
class RunOn:
    """Calls that are shorter by a fifth, of which one in a hundred runs on to `most` tokens, so that the mean rises.

    How often it is falsely shown to be `lower`, and `before`, when the largest change seen was the room; `honest` is
    how often it is shown where no call runs on, and `honest_before`.
    """

    n: int
    most: int
    ratio: float
    lower: float
    before: float
    honest: float
    honest_before: float
    draws: int


SHORTER, RUNS_ON = 0.8, 0.01


def run_on(n: int, most: int, draws: int) -> RunOn:
    """Judge calls of 64 tokens in the mean."""
    random, mean, found = np.random.default_rng([SEED, n, most]), 64, []
    for _ in range(draws):
        old = np.clip(np.rint(random.gamma(4, mean / 4, n)), 1, most)
        short = np.clip(np.rint(SHORTER * old * random.uniform(0.9, 1.1, n)), 1, most)
        long = np.where(random.random(n) < RUNS_ON, most, short)
        before, *after = (_prices(each.astype(np.int64)) for each in (old, long, short))
        room = PRICES.price.of(0, most)
        found.append([_is_lower(before, each, up) for each in after for up in (room, np.abs(before - each).max())])
    lower, was, honest, honest_was = np.mean(found, axis=0).tolist()
    ratio = (1 - RUNS_ON) * SHORTER + RUNS_ON * most / mean
    return RunOn(n, most, ratio, lower, was, honest, honest_was, draws)
