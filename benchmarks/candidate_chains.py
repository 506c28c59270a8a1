"""Merges in a row that each lose a part of the margin, and runs of equally bad configurations on the same cases."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.candidate_worlds import PASSING, Flags, Shape, answers, check_grown, passes, worse

GROWING, CHECKED = 12, 2  # merges that add cases; of each, so many are decided as whole worlds, too
MERGES, RUNS, LEARNT = 10, 20, 0.06  # the last: of the failures seen, known by heart at the next run
SEED = 20_261_131
STOPS = ("in service", "the anchor", "both")


@dataclass(frozen=True)
class Chain:
    """Merges that each lose a share of the margin; an author tries each so often.

    Attributes:
        stops: by merge, the share of chains that the gate stops there.
        by: the share of chains that each of STOPS stops.
        lost: the mean of what is lost in service at the end, in margins; `most` the 95th percentile.
    """

    shape: Shape
    margin: float
    step: float
    tries: int
    anchored: bool
    stops: tuple[float, ...]
    by: tuple[float, ...]
    lost: float
    most: float
    draws: int

    @property
    def unstopped(self) -> float:
        """The share of chains that the gate never stops."""
        return 1 - sum(self.stops)


def chain(shape: Shape, margin: float, step: float, tries: int, anchored: bool, draws: int) -> Chain:
    """Draw chains; each merged candidate's own outputs are in service from then on, and the first ones the anchor."""
    random = np.random.default_rng(
        [SEED, shape.n, round(1e4 * shape.flip_rate), round(1e4 * margin), round(100 * step)]
    )
    steady = random.random((draws, shape.n)) < PASSING
    first = answers(steady, shape.flip_rate, random)
    serving, alive, merged = first.copy(), np.ones(draws, dtype=bool), np.zeros(draws)
    stops, by = [], np.zeros(len(STOPS))
    for _ in range(MERGES):
        waiting = alive.copy()
        beside = np.zeros((2, draws), dtype=bool)
        for _ in range(tries):
            places = np.flatnonzero(waiting)
            lower = worse(steady[places], step * margin, shape.flip_rate, random)
            candidates = answers(lower, shape.flip_rate, random)
            held = [passes(candidates, [each[places]], margin) for each in (serving, first)]
            beside[:, places] = held
            fine = held[0] & held[1] if anchored else held[0]
            won = places[fine]
            steady[won], serving[won] = lower[fine], candidates[fine]
            merged[won] += 1
            waiting[won] = False
        stopped = alive & waiting
        stops.append(float(stopped.mean()))
        by += _by(beside[:, stopped], anchored) / draws
        alive &= ~waiting
    lost = step * merged
    return Chain(
        shape, margin, step, tries, anchored, tuple(stops), tuple(by.tolist()), float(lost.mean()),
        float(np.quantile(lost, 0.95)), draws,
    )  # fmt: skip


def _by(held: Flags, anchored: bool) -> np.ndarray:
    """How many chains each reference stopped at the last try: what is in service, the anchor, or both."""
    service, anchor = ~held[0], ~held[1] & anchored
    return np.array([(service & ~anchor).sum(), (anchor & ~service).sum(), (service & anchor).sum()])


@dataclass(frozen=True)
class Growth:
    """Merges that each lose a share of the first cases and add easy ones, which every model gets right.

    Attributes:
        added: how many each adds.
        beyond: the share of chains that get more than one margin below the start, on the first cases.
        merged: the mean number of merges.
        lost: the mean of what is lost on the first cases at the end, in margins.
    """

    shape: Shape
    margin: float
    loss: float
    added: int
    anchored: bool
    beyond: float
    merged: float
    lost: float
    draws: int


def growth(shape: Shape, margin: float, loss: float, added: int, anchored: bool, draws: int) -> Growth:
    """Draw chains that end where the gate stops a merge.

    A change is compared with what is in service on the cases that the branch has, and with the anchor on the first.
    """
    random = np.random.default_rng([SEED, shape.n, round(1e4 * shape.flip_rate), added])
    steady = random.random((draws, shape.n)) < PASSING
    first = answers(steady, shape.flip_rate, random)
    serving, merged = first.copy(), np.zeros(draws)
    alive = np.arange(draws)
    for step in range(GROWING):
        easy = np.ones((len(alive), step * added), dtype=bool)
        lower = worse(steady[alive], loss, shape.flip_rate, random)
        candidates = answers(lower, shape.flip_rate, random)
        fine = passes(np.hstack([candidates, easy]), [np.hstack([serving[alive], easy])], margin)
        if anchored:
            fine &= passes(candidates, [first[alive]], margin)
            beside = [each[alive[:CHECKED]] for each in (serving, first)]
            check_grown(candidates[:CHECKED], beside, easy.shape[1], margin, fine)
        alive, steady_now, serving_now = alive[fine], lower[fine], candidates[fine]
        steady[alive], serving[alive] = steady_now, serving_now
        merged[alive] += 1
    lost = loss * merged / margin
    return Growth(
        shape, margin, loss, added, anchored, float((lost > 1 + 1e-9).mean()), float(merged.mean()), float(lost.mean()),
        draws,
    )  # fmt: skip


@dataclass(frozen=True)
class Runs:
    """How often one of so many configurations is held that each lose the whole margin, by the number of runs.

    `apart`: they know nothing of each other. `learning`: each knows some of the failures before it by heart.
    """

    shape: Shape
    margin: float
    apart: tuple[float, ...]
    learning: tuple[float, ...]
    draws: int


def runs(shape: Shape, margin: float, draws: int) -> Runs:
    """Draw the configurations of many teams, all beside the same record in service."""
    found = [_held_by(shape, margin, draws, learnt) for learnt in (0.0, LEARNT)]
    return Runs(shape, margin, found[0], found[1], draws)


def _held_by(shape: Shape, margin: float, draws: int, learnt: float) -> tuple[float, ...]:
    random = np.random.default_rng([SEED, shape.n, round(1e4 * shape.flip_rate), round(1e4 * margin)])
    steady = random.random((draws, shape.n)) < PASSING
    serving = answers(steady, shape.flip_rate, random)
    known, held, shares = np.zeros_like(steady), np.zeros(draws, dtype=bool), []
    for _ in range(RUNS):
        lower = worse(steady, margin, shape.flip_rate, random)
        candidates = answers(lower, shape.flip_rate, random) | known
        held |= passes(candidates, [serving], margin)
        shares.append(float(held.mean()))
        known |= ~candidates & (random.random(steady.shape) < learnt)
    return tuple(shares)
