"""Everything one run of the benchmark found, and the promises it is held to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.gate_costs import CostClaim, CostGuard, Rambling, RunOn
from benchmarks.gate_evaluations import Evaluation
from benchmarks.gate_grid import Price, TwoPoints
from benchmarks.gate_parts import FallingParts
from benchmarks.gate_passfail import Cell, Gain, PassFail, Scan
from benchmarks.gate_power import Powers
from benchmarks.gate_references import Twice
from benchmarks.gate_rule import OURS, SUITES, standard_error
from benchmarks.gate_scores import Scores
from benchmarks.gate_slices import Collapse, Innocents
from benchmarks.gate_tails import Tail
from benchmarks.gate_thresholds import Crossed, Minima, OnMinimum
from benchmarks.gate_told import Bounded, Copied, Planned
from benchmarks.gate_topics import ByTopic

BOUND = 0.05
GRADED_BOUND = 0.055  # of laws that are made to err, beside BOUND elsewhere
GRADED_FEWEST = 28  # cases; of fewer docs/gate.md promises nothing there
PRICE_BOUND = 0.03  # what may be lost for that, in power
AGREED = 1e-6  # of two ways to the same exact chance
ERRORS = 2  # standard errors that a simulated rate may lie above the bound

REGRESSED = 'any false "regressed" among five suites'
REGRESSED_SCORES = f"{REGRESSED}, continuous"
SLICES = 'any false "regressed" or falsely blocking slice among five suites with 40 slices'
TWICE = 'any false "regressed" or falsely blocking slice beside two references'
HELD = 'false "held" at a true change of exactly -margin'
HELD_SCORES = f"{HELD}, continuous"
IMPROVED = 'false "improved" of a target without a change'
PARTS = 'any false "regressed" among five suites with three gated parts each'
MEAN_OR_SHARE = 'false "held" of a continuous score that breaks one of its promises'
GRADED = 'false "held" of graded scores, over all laws of two points'
PRICE = "what graded scores are held less often for that, if equal"
CROSSED = "an equal model released through its target score"
TOPICS = 'false "held" of a loss in these very topics'
MINIMA = 'any false "regressed" of units that sit on their minimum score'
RAMBLING = 'false "held" of a cost unit whose calls ramble to the limit'
LOWER = "a cost falsely shown to be lower"
MISSED = "the interval of a ratio of costs that misses it"
PLANNED = "the difference of what plan says of sealed evaluations"


def exceeds(rate: float, draws: int, bound: float = BOUND) -> bool:
    """Whether a rate lies above its bound by more than the allowance for simulation (draws of 0: exact)."""
    return rate > bound + ERRORS * standard_error(rate, draws)


@dataclass(frozen=True)
class Results:
    """The parts, in the order of the tables."""

    passfail: list[PassFail]
    gains: list[Gain]
    scans: list[Scan]
    innocents: list[Innocents]
    collapses: list[Collapse]
    twice: list[Twice]
    scores: list[Scores]
    parts: list[FallingParts]
    tails: list[Tail]
    grid: list[TwoPoints]
    prices: list[Price]
    crossed: list[Crossed]
    minima: list[Minima]
    on_minimum: list[OnMinimum]
    evaluations: list[Evaluation]
    powers: list[Powers]
    costs: list[CostGuard]
    cost_claims: list[CostClaim]
    rambling: list[Rambling]
    run_on: list[RunOn]
    planned: list[Planned]
    copied: list[Copied]
    bounded: list[Bounded]
    topics: list[ByTopic]

    @property
    def worlds(self) -> int:
        """How many whole worlds the shipped gate evaluated, each with the verdicts that the tables count."""
        families = [each.five.worlds for each in self.passfail] + [each.five.worlds for each in self.scores]
        slices = [each.worlds for each in self.innocents] + [each.worlds for each in self.twice]
        more = [each.worlds for each in self.tails] + [each.worlds for each in self.costs]
        declared = [2 * each.worlds for each in self.minima] + [each.worlds for each in self.evaluations]
        return sum(families) + sum(slices) + sum(more) + sum(declared)


@dataclass(frozen=True)
class Claim:
    """One error rate that is promised to be at most the bound, where it was found, of how many draws (0: exact)."""

    what: str
    rate: float
    draws: int
    where: str
    bound: float = BOUND

    @property
    def broken(self) -> bool:
        """Whether it lies above the bound by more than the allowance for simulation."""
        return exceeds(self.rate, self.draws, self.bound)

    def __str__(self) -> str:
        error = f", standard error {100 * standard_error(self.rate, self.draws):.2f}" if self.draws else ", exact"
        return f"{100 * self.rate:.1f} % ({self.where}{error})"


def claims(results: Results) -> list[Claim]:
    """Every rate that a promise is about."""
    return [
        *_of_passfail(results), *_of_slices(results), *_of_scores(results), *_of_graded(results), *_of_topics(results),
        *_of_declared(results), *_of_costs(results),
    ]  # fmt: skip


def _of_passfail(results: Results) -> Iterator[Claim]:
    for each in results.passfail:
        where, ours = show(each.cell), each.alone[OURS]
        yield Claim(REGRESSED, each.five.false_regressed, each.five.draws, where)
        if each.cell.change <= -1:
            yield Claim(HELD, ours.holds, 0, where)
    for gain in results.gains:
        if gain.cell.change == 0:
            yield Claim(IMPROVED, gain.improved, 0, show(gain.cell))
    for scan in results.scans:
        yield Claim(HELD, scan.held, 0, show(Cell(scan.held_at, scan.flip_rate, -1)))
        yield Claim(REGRESSED, scan.regressed, 0, f"{show(Cell(scan.regressed_at, scan.flip_rate))}, alone")


def _of_slices(results: Results) -> Iterator[Claim]:
    for each in results.innocents:
        where = f"{show(each.cell)}, slices of {min(each.sizes)} to {max(each.sizes)} cases"
        yield Claim(SLICES, each.either, each.draws, where)
    for both in results.twice:
        yield Claim(TWICE, both.either, both.draws, str(both.family))
    for parts in results.parts:
        yield Claim(PARTS, parts.regressed, parts.draws, show(Cell(parts.n, parts.flip_rate)))


def _of_scores(results: Results) -> Iterator[Claim]:
    for each in results.scores:
        where = f"{each.shape}, {show(each.cell)}"
        yield Claim(REGRESSED_SCORES, each.five.false_regressed, each.five.draws, where)
        if each.cell.change <= -1:
            yield Claim(HELD_SCORES, each.held, each.draws, where)
        if each.cell.change == 0:
            yield Claim(IMPROVED, each.improved, each.targets, where)


def _of_graded(results: Results) -> Iterator[Claim]:
    for tail in results.tails:
        if tail.broken:
            where = f"{tail.law}, n = {tail.n}, `collapse: {tail.collapse:g}`, breaks {' and '.join(tail.broken)}"
            yield Claim(MEAN_OR_SHARE, tail.held, tail.draws, where)
    for law in results.grid:
        where = f"n = {law.n}, margin {law.margin:g}, -{law.lost:.3f} or {law.won:+.3f}"
        if law.n >= GRADED_FEWEST:
            yield Claim(GRADED, law.held, 0, where, GRADED_BOUND)
    for price in results.prices:
        where = f"{price.shape}, n = {price.n}, margin {price.margin:g}"
        yield Claim(PRICE, price.before - price.held, price.draws, where, PRICE_BOUND)


def _of_topics(results: Results) -> Iterator[Claim]:
    for each in results.topics:
        world = each.world
        if world.how in {"plain", "these"} and world.loss:
            yield Claim(TOPICS, max(each.known, each.clear, each.hard), each.draws, str(world))


def _of_declared(results: Results) -> Iterator[Claim]:
    for each in results.crossed:
        where = f"n = {each.n}, flip rate {100 * each.flip_rate:g} %, rate {each.rate:g}, target {each.target:g}"
        yield Claim(CROSSED, each.released, 0, where)
    for some in results.minima:
        where = f"{some.units} on {some.rate:g}, {show(Cell(some.n, some.flip_rate))}"
        yield Claim(MINIMA, some.regressed, some.draws, where)
    for unit in results.on_minimum:
        yield Claim(MINIMA, unit.regressed, 0, f"one on {unit.rate:g}, {show(Cell(unit.n, unit.flip_rate))}")
    for one in results.evaluations:
        found = max(abs(one.held - one.planned[0]), abs(one.improved - one.planned[1]))
        yield Claim(PLANNED, found, 0, f"evaluation {one.opening}", AGREED)


def _of_costs(results: Results) -> Iterator[Claim]:
    for each in results.costs:
        where = f"{each.lengths}, n = {each.n}, margin {100 * each.margin:g} %"
        yield Claim(RAMBLING, each.falsely, each.draws, where)
    for example in results.rambling:
        yield Claim(RAMBLING, example.held, example.draws, "150 calls, 4 of them to 512 tokens")
    for one in results.run_on:
        if one.ratio >= 1:
            yield Claim(LOWER, one.lower, one.draws, f"n = {one.n}, one call in 100 runs on to {one.most} tokens")
    for claim in results.cost_claims:
        where = f"{claim.lengths}, n = {claim.n}"
        yield Claim(LOWER, claim.lower, claim.tests, where)
        yield Claim(MISSED, claim.missed, claim.draws, where)


def largest(found: list[Claim], what: str) -> Claim:
    """The largest rate of one promise."""
    return max((each for each in found if each.what == what), key=lambda each: each.rate)


def broken(results: Results) -> list[Claim]:
    """The promises that do not hold."""
    return [each for each in claims(results) if each.broken]


def in_five(rate: float) -> float:
    """The chance that it happens to any of five independent suites."""
    return 1 - (1 - rate) ** SUITES


def show(cell: Cell) -> str:
    """A cell in words."""
    changed = f", change {cell.change:+g} margins" if cell.change else ""
    return f"n = {cell.n}, flip rate {100 * cell.flip_rate:g} %{changed}"
