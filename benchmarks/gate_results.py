"""Everything one run of the benchmark found, and the promises it is held to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.gate_passfail import Cell, Curve, Gain, PassFail, Scan
from benchmarks.gate_references import Twice
from benchmarks.gate_rule import OURS, SUITES, standard_error
from benchmarks.gate_scores import Scores
from benchmarks.gate_slices import Collapse, Innocents

BOUND = 0.05
ERRORS = 2  # standard errors that a simulated rate may lie above the bound

REGRESSED = 'any false "regressed" among five suites'
REGRESSED_SCORES = f"{REGRESSED}, continuous"
SLICES = 'any false "regressed" or falsely blocking slice among five suites with 40 slices'
TWICE = 'any false "regressed" or falsely blocking slice beside two references'
HELD = 'false "held" at a true change of exactly -margin'
HELD_SCORES = f"{HELD}, continuous"
IMPROVED = 'false "improved" of a target without a change'


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
    curves: list[Curve]

    @property
    def worlds(self) -> int:
        """How many whole worlds the shipped gate judged, each with the verdicts that the tables count."""
        families = [cell.five.worlds for cell in self.passfail] + [cell.five.worlds for cell in self.scores]
        return sum(families) + sum(each.worlds for each in (*self.innocents, *self.twice))


@dataclass(frozen=True)
class Claim:
    """One error rate that is promised to be at most 5 %, where it was found, and of how many draws (0: exact)."""

    what: str
    rate: float
    draws: int
    where: str

    @property
    def broken(self) -> bool:
        """Whether it lies above the bound by more than the allowance for simulation."""
        return self.rate > BOUND + ERRORS * standard_error(self.rate, self.draws)

    def __str__(self) -> str:
        error = f", standard error {100 * standard_error(self.rate, self.draws):.2f}" if self.draws else ", exact"
        return f"{100 * self.rate:.1f} % ({self.where}{error})"


def claims(results: Results) -> list[Claim]:
    """Every rate that a promise is about."""
    return [*_of_passfail(results), *_of_slices(results), *_of_scores(results)]


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


def _of_scores(results: Results) -> Iterator[Claim]:
    for each in results.scores:
        where = f"{each.shape}, {show(each.cell)}"
        yield Claim(REGRESSED_SCORES, each.five.false_regressed, each.five.draws, where)
        if each.cell.change <= -1:
            yield Claim(HELD_SCORES, each.held, each.draws, where)
        if each.cell.change == 0:
            yield Claim(IMPROVED, each.improved, each.targets, where)


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
