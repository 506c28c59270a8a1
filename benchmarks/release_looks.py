"""Teams that learn from what they see: how often an adapter without a true gain is released, by how it is proven.

A team trains one adapter after another. None of them is better than the base: each fails what the base fails but for
flips of its own. Of the cases that it saw fail, though, a team learns some by heart, and these pass from then on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from benchmarks.gate_passfail import row
from benchmarks.gate_rule import MARGIN
from tunegate.harness.gate.families import LEVEL, SEED
from tunegate.harness.statistics import paired as stats
from tunegate.harness.statistics.paired import sealed_level

CASES = 200  # open ones, and as many sealed ones
PASSING, FLIP_RATE = 0.8, 0.1
LEARNT = 0.06  # of the failures seen, by heart, before the next look
LOOKS, EQUALS, OPENINGS = 7, 24, 10
Flags = NDArray[np.bool_]  # teams x cases


@dataclass(frozen=True)
class Looking:
    """A way to come to a release, and how often `teams` teams without a gain get one; `promised` if that is bounded."""

    how: str
    released: float
    teams: int
    promised: bool


@dataclass
class Cases:
    """The cases of one unit of all teams: what the base passes, and what a team knows by heart."""

    steady: Flags
    base: Flags
    known: Flags

    @classmethod
    def drawn(cls, teams: int, random: np.random.Generator) -> Cases:
        """Cases of which nobody knows anything."""
        steady = random.random((teams, CASES)) < PASSING
        return cls(steady, _flipped(steady, random), np.zeros((teams, CASES), dtype=bool))

    def answers(self, random: np.random.Generator) -> Flags:
        """What the next adapter passes."""
        return _flipped(self.steady, random) | self.known

    def learn(self, answers: Flags, random: np.random.Generator) -> None:
        """Learn some of what failed."""
        self.known |= ~answers & (random.random(answers.shape) < LEARNT)

    def improved(self, answers: Flags, level: float) -> Flags:
        """Which teams' adapters improve on the base."""
        regressed, fixed = (self.base & ~answers).sum(1).tolist(), (~self.base & answers).sum(1).tolist()
        return np.array([_improved(*each, level) for each in zip(regressed, fixed, strict=True)])


def _flipped(steady: Flags, random: np.random.Generator) -> Flags:
    """Half of the flip rate is each model's own."""
    return steady ^ (random.random(steady.shape) < FLIP_RATE / 2)


@cache
def _improved(regressed: int, fixed: int, level: float) -> bool:
    d = row(CASES, regressed, fixed)
    return stats.held(d, MARGIN, level) and stats.p_better(d, seed=SEED).p <= level


def looks(teams: int) -> list[Looking]:
    """Every way, each with worlds of its own."""
    found = []
    for number, (how, (released, promised)) in enumerate(WAYS.items()):
        rate = float(released(teams, np.random.default_rng([SEED, number])).mean())
        found.append(Looking(how, rate, teams, promised))
    return found


def _adapters(cases: Cases, count: int, random: np.random.Generator) -> Iterator[Flags]:
    """The answers of one adapter after another, each of a team that learnt from those before."""
    for _ in range(count):
        answers = cases.answers(random)
        yield answers
        cases.learn(answers, random)


def _any_look(level: float) -> Callable[[int, np.random.Generator], Flags]:
    """Released as soon as a look at the open cases says improved, each judged at this level."""

    def released(teams: int, random: np.random.Generator) -> Flags:
        cases = Cases.drawn(teams, random)
        every = [cases.improved(answers, level) for answers in _adapters(cases, LOOKS, random)]
        return np.any(every, axis=0)

    return released


def _first_look(teams: int, random: np.random.Generator) -> Flags:
    """Without a sealed unit only the first complete run of the task proves anything."""
    cases = Cases.drawn(teams, random)
    return cases.improved(cases.answers(random), LEVEL)


def _sealed_once(teams: int, random: np.random.Generator) -> Flags:
    """Seven looks at open cases, then the sealed ones are opened for the last adapter."""
    opened, seen = Cases.drawn(teams, random), Cases.drawn(teams, random)
    for _ in _adapters(seen, LOOKS, random):
        pass
    return opened.improved(opened.answers(random), sealed_level(1))


def _best(level: float, sealed: bool) -> Callable[[int, np.random.Generator], Flags]:
    """The best of 24 equal adapters on the open cases, judged there or on sealed ones."""

    def released(teams: int, random: np.random.Generator) -> Flags:
        cases = Cases.drawn(teams, random)
        every = np.stack([cases.answers(random) for _ in range(EQUALS)])
        best = every[every.sum(axis=2).argmax(axis=0), np.arange(teams)]
        if not sealed:
            return cases.improved(best, level)
        fresh = Cases.drawn(teams, random)
        return fresh.improved(fresh.answers(random), level)

    return released


def _sealed_evaluations(level: Callable[[int], float], learning: bool) -> Callable[[int, np.random.Generator], Flags]:
    """Sealed cases opened for one adapter after another until one is released; `learning` from ids of what failed."""

    def released(teams: int, random: np.random.Generator) -> Flags:
        cases, any_of_them = Cases.drawn(teams, random), np.zeros(teams, dtype=bool)
        for opening in range(1, OPENINGS + 1):
            answers = cases.answers(random)
            any_of_them |= cases.improved(answers, level(opening))
            if learning:
                cases.learn(answers, random)
        return any_of_them

    return released


def _sealed_late(teams: int, random: np.random.Generator) -> Flags:
    """Open cases that seven adapters were asked are declared sealed: the next opening is their eighth."""
    cases = Cases.drawn(teams, random)
    for _ in _adapters(cases, LOOKS, random):
        pass
    return cases.improved(cases.answers(random), sealed_level(LOOKS + 1))


#: What a team does, how it is judged, and whether Tunegate promises at most 5 % for it.
WAYS: dict[str, tuple[Callable[[int, np.random.Generator], Flags], bool]] = {
    "seven adaptive looks, nobody counts": (_any_look(LEVEL), False),
    "seven adaptive looks, the level divided by seven": (_any_look(LEVEL / LOOKS), False),
    "the best of 24 equal adapters on the cases it was chosen on": (_best(LEVEL, sealed=False), False),
    "Tunegate, no sealed unit: the first complete run": (_first_look, True),
    "Tunegate, seven adaptive looks, then sealed cases": (_sealed_once, True),
    "Tunegate, the best of 24, then sealed cases": (_best(sealed_level(1), sealed=True), True),
    "Tunegate, sealed cases opened ten times, edited by a letter or not": (
        _sealed_evaluations(sealed_level, learning=False),
        True,
    ),
    "Tunegate, sealed switched on after seven looks": (_sealed_late, True),
    "sealed cases learnt by heart from the ids that failed, opened ten times": (
        _sealed_evaluations(sealed_level, learning=True),
        False,
    ),
    "sealed cases edited and renamed each time, with a permit, opened ten times": (
        _sealed_evaluations(lambda _: sealed_level(1), learning=False),
        False,
    ),
}
