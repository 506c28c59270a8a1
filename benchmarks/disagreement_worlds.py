"""Worlds of outputs that differ, and how often the shipped rule holds a loss of exactly the margin in them.

Plain samples are enumerated: every table of labels by its chance. Strata and topics are drawn.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.gate_topics import BEARING
from benchmarks.gate_worlds import Mismatch
from tunegate.harness.statistics.disagreements import (
    Disagreements,
    effective_topics,
    held_between_topics,
    needs_no_labels,
)
from tunegate.harness.statistics.label_strata import (
    StratifiedDisagreements,
    Stratum,
    allocate_labels,
    stratified_statistic,
)
from tunegate.harness.statistics.labels_needed import labels_needed, prob_held_by_labels
from tunegate.harness.statistics.paired import LEVEL, sealed_level
from tunegate.harness.statistics.sample_size import PassFail

Floats = NDArray[np.float64]

SEED = 20_261_130
BEYOND = (1e-9, 0.005, 0.02, 0.05, 0.1, 0.2, 0.35, 0.6, 1.0, 1.6, 3.0, 5.0, 9.0, 15.0, 29.0)  # c / margin - 1
MOST_DIFFER = 0.6
REST = (0.0, 0.1, 0.5, 0.8, 0.95, 1.0)  # of those that differ beside the loss, the share that is not equally right
BINS = 96  # of the number that differ: all counts of 200 inputs
TRIES = 7
FINE_BINS = 200
ASKED = 20  # tables in strata of each world, by themselves


@dataclass(frozen=True)
class Sampled:
    """The worst world of a plain sample: how often it is falsely held, at the first try and at any of seven.

    `share` differs there, and of what differs beside the loss the share `decided` is won or lost. `any_try` is the
    sum over seven tries in the worst world for that, whatever they have in common; None if they were left out.
    """

    inputs: int
    labels: int
    margin: float
    held: float
    share: float
    decided: float
    any_try: float | None


def truths(margin: float) -> Iterator[tuple[float, float, float, float]]:
    """Worlds that lose the margin: the share that differs, that of the rest decided, the chances to win and lose."""
    for beyond in BEYOND:
        share = margin * (1 + beyond)
        if share <= MOST_DIFFER:
            loss = margin / share
            for decided in REST:
                won = decided * (1 - loss) / 2
                yield share, decided, won, won + loss


def sampled(inputs: int, labels: int, margin: float, tries: bool) -> Sampled:
    """Enumerate every world of a design; the share that differs runs from the margin to .6."""
    levels = [LEVEL, *(sealed_level(number) for number in range(1, TRIES + 1) if tries)]
    worlds = list(truths(margin))
    rates = np.array([
        [prob_held_by_labels(inputs, labels, margin, share, won, lost, level, BINS) for level in levels]
        for share, _, won, lost in worlds
    ])  # fmt: skip
    worst = int(rates[:, 0].argmax())
    any_try = float(rates[:, 1:].sum(axis=1).max()) if tries else None
    return Sampled(inputs, labels, margin, float(rates[worst, 0]), *worlds[worst][:2], any_try)


@dataclass(frozen=True)
class Mislabelled:
    """How often a loss of the margin is held where labels are wrong and nobody adjudicates; nothing is promised."""

    kind: str
    labels: int
    held: float


WRONG = {"none": (0.0, 0.0), "10 % swapped": (0.1, 0.1), "10 % of losses read as wins": (0.1, 0.0)}


def mislabelled(kind: str, labels: int) -> Mislabelled:
    """2,000 inputs of which a fifth differs, margin .05; enumerated."""
    margin, share, decided = 0.05, 0.2, 0.8
    loss = margin / share
    won = (decided - loss) / 2
    lost_as_won, won_as_lost = WRONG[kind]
    moved = (won + loss) * lost_as_won - won * won_as_lost
    rate = prob_held_by_labels(2_000, labels, margin, share, won + moved, won + loss - moved, LEVEL, BINS)
    return Mislabelled(kind, labels, rate)


@dataclass(frozen=True)
class Verdicts:
    """How a judge or a cheap label reads the truth: the chances of -1, 0, +1 for what is lost, tied, won."""

    lost: tuple[float, float, float]
    tied: tuple[float, float, float]
    won: tuple[float, float, float]


VERDICTS = {
    "useless": Verdicts(*[(1 / 3, 1 / 3, 1 / 3)] * 3),
    "good": Verdicts((0.92, 0.06, 0.02), (0.06, 0.88, 0.06), (0.02, 0.06, 0.92)),
    "favours the tuned model": Verdicts((0.5, 0.1, 0.4), (0.0, 0.3, 0.7), (0.0, 0.0, 1.0)),
    "label, 10 % swapped": Verdicts((0.9, 0.0, 0.1), (0.05, 0.9, 0.05), (0.1, 0.0, 0.9)),
    "label, losses read as wins": Verdicts((0.9, 0.0, 0.1), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
}


AGAIN = 10  # times as many draws


@dataclass(frozen=True)
class Stratified:
    """How often strata hold a loss of the margin, over `draws`, and equal models; `plain` is `equal` without strata."""

    inputs: int
    labels: int
    margin: float
    share: float
    decided: float
    by: str
    held: float
    equal: float
    plain: float
    draws: int


def stratified(
    inputs: int, labels: int, margin: float, share: float, decided: float, by: str, draws: int
) -> Stratified:  # fmt: skip
    """Draw the tables of one world, where `decided` is the share of what differs beside the loss.

    Where more of these hold the loss than may, ten times as many others decide whether that was chance.
    """
    loss, even = margin / share, decided / 2
    won = decided * (1 - loss) / 2
    random = np.random.default_rng([SEED, inputs, labels, round(1e4 * margin), round(1e4 * share), round(10 * decided)])

    def rate(law: tuple[float, float, float], times: int) -> float:
        return float(np.mean(_held([_table(inputs, labels, margin, share, law, by, random) for _ in range(times)])))

    lost = (won + loss, 1 - loss - 2 * won, won)
    held, equal, drawn = rate(lost, draws), rate((even, 1 - decided, even), draws), draws
    if held > LEVEL:
        held, drawn = rate(lost, AGAIN * draws), AGAIN * draws
    plain = prob_held_by_labels(inputs, labels, margin, share, even, even, LEVEL, BINS)
    return Stratified(inputs, labels, margin, share, decided, by, held, equal, plain, drawn)


def _table(
    inputs: int, labels: int, margin: float, share: float, law: tuple[float, float, float], by: str,
    random: np.random.Generator,
) -> StratifiedDisagreements | Disagreements:  # fmt: skip
    """One table; `law` has the chances of lost, tied and won."""
    read = VERDICTS[by]
    joint = np.array(law)[:, None] * np.array([read.lost, read.tied, read.won])
    differing = int(random.binomial(inputs, share))
    counts = random.multinomial(differing, joint.ravel() / joint.sum()).reshape(3, 3)
    sizes = counts.sum(axis=0).tolist()
    if differing <= labels:  # all are labelled
        return Disagreements(inputs, differing, differing, int(counts[2].sum()), int(counts[0].sum()), margin)
    strata = []
    for place, (size, part) in enumerate(zip(sizes, allocate_labels(sizes, labels), strict=True)):
        lost, _, won = random.multivariate_hypergeometric(counts[:, place], part)
        strata.append(Stratum(size, part, int(won), int(lost)))
    return StratifiedDisagreements(inputs, differing, tuple(strata), margin)


def _held(tables: list[StratifiedDisagreements | Disagreements]) -> list[bool]:
    """What each table's own `held` says, but the statistics of strata all at once; some are asked themselves."""
    strata = [each for each in tables if isinstance(each, StratifiedDisagreements)]
    at_once = dict(zip(map(id, strata), _strata_held(strata), strict=True))
    for each in strata[:ASKED]:
        if each.held != at_once[id(each)]:
            raise Mismatch(f"{each} is held: {each.held}")
    return [each.held if isinstance(each, Disagreements) else at_once[id(each)] for each in tables]


def _strata_held(tables: list[StratifiedDisagreements]) -> list[bool]:
    if not tables:
        return []
    sizes = np.array([[part.differing for part in each.strata] for each in tables], float)
    labels = np.array([
        [(part.won, part.lost, part.labelled - part.won - part.lost) for part in each.strata] for each in tables
    ], float)  # fmt: skip
    losses = np.array([min(each.loss(each.margin), 1 - 1e-9) for each in tables])
    found = stratified_statistic(sizes / sizes.sum(axis=1, keepdims=True), labels, losses, sizes.sum(axis=1))
    free = [needs_no_labels(each.inputs, each.differing, each.margin) for each in tables]
    return [bool(f or t > each.critical) for f, t, each in zip(free, found, tables, strict=True)]


@dataclass(frozen=True)
class InTopics:
    """How often losses of the margin by topic, and equal models, are held over `draws` tables.

    *rare*: borne by 15 % of a population's topics; `without` is that by T alone. *these*: by 15 % of these very topics.
    """

    topics: int
    effective: float
    labels: int
    margin: float
    uneven: bool
    rare: float
    without: float
    these: float
    equal: float
    equal_without: float
    draws: int


FLIPS, TIED, TOPIC_INPUTS = 0.04, 0.02, 2_000  # beside the loss: won or lost evenly, equally right


def in_topics(topics: int, labels: int, margin: float, uneven: bool, draws: int) -> InTopics:
    """Draw tables of 2,000 inputs in so many topics."""
    random = np.random.default_rng([SEED, topics, labels, round(1e4 * margin), uneven])
    parts = 1 / np.sqrt(1 + np.arange(topics)) if uneven else np.ones(topics)
    sizes = np.maximum(np.rint(parts / parts.sum() * TOPIC_INPUTS), 1).astype(int)
    found = {}
    for how in ("rare", "these", "equal"):
        rates = [_topic_table(_losses(how, sizes, margin, random), sizes, labels, margin, random) for _ in range(draws)]
        found[how] = np.mean(rates, axis=0)
    rare, these, equal = (found[how] for how in ("rare", "these", "equal"))
    return InTopics(
        topics, effective_topics(sizes), labels, margin, uneven, rare[1], rare[0], these[1], equal[1], equal[0], draws
    )


def _losses(how: str, sizes: NDArray[np.int64], margin: float, random: np.random.Generator) -> Floats:
    """The true loss of each topic."""
    count = len(sizes)
    if how == "rare":
        return np.where(random.random(count) < BEARING, margin / BEARING, 0.0)
    bearing = random.permutation(count) < max(round(BEARING * count), 2) * (how == "these")
    inside = sizes[bearing].sum()
    # their mean loss is the margin, as far as small topics can bear it
    return np.where(bearing, min(margin * sizes.sum() / max(inside, 1), 1 - FLIPS - TIED), 0.0)


def _topic_table(
    losses: Floats, sizes: NDArray[np.int64], labels: int, margin: float, random: np.random.Generator
) -> tuple[bool, bool]:
    """Whether one table is held by T alone, and between topics too."""
    chances = np.stack([losses + FLIPS / 2, np.full(len(sizes), FLIPS / 2), np.full(len(sizes), TIED)], axis=1)
    full = np.column_stack([chances, 1 - chances.sum(axis=1)])
    counts = random.multinomial(sizes, full)[:, :3]
    differing = int(counts.sum())
    labelled = min(labels, differing)
    drawn = random.multivariate_hypergeometric(counts.ravel(), labelled).reshape(counts.shape)
    lost, won = int(drawn[:, 0].sum()), int(drawn[:, 1].sum())
    table = Disagreements(int(sizes.sum()), differing, labelled, won, lost, margin)
    if not table.held:
        return False, False
    return True, held_between_topics(table, (drawn[:, 1] - drawn[:, 0]) * differing / labelled, sizes)


@dataclass(frozen=True)
class Needed:
    """Labels for P(held) = .8 without a loss, beside random pairs, and P(held) by a finer sum than `plan` takes."""

    share: float
    margin: float
    tied: float
    labels: int | None
    pairs: int
    held: float | None


def needed(share: float, margin: float, tied: float, inputs: int) -> Needed:
    """What `plan` says of a design, and what comes of it."""
    labels = labels_needed(share, margin, tied, inputs)
    pairs = PassFail(share * (1 - tied)).cases_to_hold(margin)
    if labels is None:
        return Needed(share, margin, tied, None, pairs, None)
    each = (1 - tied) / 2
    held = prob_held_by_labels(inputs, labels, margin, share, each, each, LEVEL, FINE_BINS)
    return Needed(share, margin, tied, labels, pairs, held)
