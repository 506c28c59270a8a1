"""Losses that come by topic: how often a loss of exactly the margin is held, by what is known of the topics.

Topics are drawn from a population without end, and cases from each. A claim about the population is judged by the
score statistic alone, then by that and the spread between topics (harness/statistics/clusters.py): topics as they were
drawn, and as harness/checks/text/topics.py finds them in texts whose words tell them clearly or hardly.

A part of benchmarks/gate.py.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from tunegate.harness.checks.text.topics import topics
from tunegate.harness.gate.families import LEVEL, SEED
from tunegate.harness.gate.topic_spread import effective_cases
from tunegate.harness.statistics import paired as stats

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

MARGINS, FLIP_RATES = (0.05, 0.1), (0.04, 0.1)
HOW = {
    "plain": "alike in all", "rare": "borne by some", "these": "borne by some of these very topics",
    "normal": "spread normally",
}  # fmt: skip
BEARING = 0.15  # the share of the topics that bear all of a loss
LARGEST = 0.95  # the change of a topic at most: beyond it there is no room for flips
TEXT_SETS = 8  # of a size; outcomes are drawn anew for each unit
INTRACLASS = 0.05


@dataclass(frozen=True)
class World:
    """Cases in topics, the share that flips either way beside the loss, and the loss (in margins) by topic.

    `intraclass` is the correlation of the changes where topics differ by a normal law; `uneven` topics differ in size.
    """

    n: int
    topics: int
    margin: float
    flip_rate: float
    how: str
    loss: float = 1.0
    intraclass: float = 0.0
    uneven: bool = False

    def __str__(self) -> str:
        uneven = ", of different sizes" if self.uneven else ""
        return (
            f"n = {self.n} in {self.topics} topics{uneven}, margin {100 * self.margin:g}, flip rate "
            f"{100 * self.flip_rate:g} %, {HOW[self.how]}"
        )


@dataclass(frozen=True)
class ByTopic:
    """What a world gives over `draws` units: the share held without a word of topics, and with them.

    `known` as they were drawn; `clear` and `hard` as they are found in texts whose words tell them clearly, or hardly.
    """

    world: World
    draws: int
    without: float
    known: float
    clear: float
    hard: float


def worlds(n: int, topics: int) -> Iterator[World]:
    """No loss, a loss without a spread, by some topics, with a normal spread, of these very topics."""
    for margin in MARGINS:
        for flips in FLIP_RATES:
            plain = World(n, topics, margin, flips, "plain", loss=0.0)
            yield plain
            yield from (replace(plain, loss=1.0, how=how) for how in ("plain", "rare", "these"))
            yield replace(plain, loss=1.0, how="rare", uneven=True)
            yield replace(plain, loss=1.0, how="normal", intraclass=INTRACLASS)


def by_topic(n: int, topics: int, draws: int) -> list[ByTopic]:
    """Each world of so many cases and topics, judged `draws` times."""
    return [_judged(world, draws) for world in worlds(n, topics)]


def _judged(world: World, draws: int) -> ByTopic:
    random = np.random.default_rng([SEED, world.n, world.topics, round(1e3 * world.margin), round(1e3 * world.loss)])
    known, held = _labels(world), []
    for draw in range(draws):
        d = _unit(world, known, random)
        if not stats.held(d, world.margin, LEVEL):
            held.append((False, False, False, False))
            continue
        sets = [known, *(_found(world.n, world.topics, world.uneven, name, draw % TEXT_SETS) for name in CLARITY)]
        held.append((True, *(_held(d, labels, world.margin) for labels in sets)))
    return ByTopic(world, draws, *np.mean(held, axis=0).tolist())


def _held(d: Floats, labels: Integers, margin: float) -> bool:
    return stats.held(d, margin, LEVEL, effective_cases(d.tolist(), labels.tolist(), margin))


def _labels(world: World) -> Integers:
    """Each case's topic: topics of one size, or of sizes that fall as 1 / sqrt(rank)."""
    shares = 1 / np.sqrt(1 + np.arange(world.topics)) if world.uneven else np.ones(world.topics)
    ends = np.rint(np.cumsum(shares) / shares.sum() * world.n).astype(int)
    return np.searchsorted(ends, np.arange(world.n), side="right")


def _unit(world: World, labels: Integers, random: np.random.Generator) -> Floats:
    """The differences of one unit: what each topic loses, and flips either way beside it."""
    change = _changes(world, random)[labels]
    beside = np.minimum(world.flip_rate, 1 - np.abs(change)) / 2
    chance = random.random(world.n)
    regressed = beside + np.maximum(-change, 0)
    fixed = regressed + beside + np.maximum(change, 0)
    return np.where(chance < regressed, -1.0, np.where(chance < fixed, 1.0, 0.0))


def _changes(world: World, random: np.random.Generator) -> Floats:
    """The true change of each topic."""
    loss, count = world.loss * world.margin, world.topics
    if world.how == "rare":
        return np.where(random.random(count) < BEARING, -loss / BEARING, 0.0)
    if world.how == "normal":
        return np.clip(random.normal(-loss, _deviation(loss, world), count), -LARGEST, LARGEST)
    if world.how == "these":
        # the topics that were drawn are all there are: their mean loss is the margin
        bearing = max(1, round(BEARING * count))
        return random.permutation(np.repeat([-loss * count / bearing, 0.0], [bearing, count - bearing]))
    return np.full(count, -loss)


def _deviation(loss: float, world: World) -> float:
    """The standard deviation between topics that gives the intraclass correlation; found by iteration."""
    deviation = 0.1
    for _ in range(100):
        scaled = loss / deviation
        size = deviation * math.sqrt(2 / math.pi) * math.exp(-(scaled**2) / 2)
        size += loss * math.erf(scaled / math.sqrt(2))
        deviation = math.sqrt(world.intraclass * (world.flip_rate + size - loss**2))
    return deviation


# Texts. A topic has words of its own, as few as an intent of a customer has; the rest is what everybody says.

SAID = """the a my is to i it of and in on for you have with was that this not can do please me what how when but if at
    from be as so would like am are has there your just need want get know still after before again help could thanks
    hello since today yesterday week month time make tell which any some been did got went said will should why where
    who about into over more than then now here all one two first last only also very much too new old same other"""
COMMON = SAID.split()
SYLLABLES = [start + end for start in "bdfgklmnprstvz" for end in ("a", "e", "i", "o", "u", "an", "er", "il", "ro")]
CLARITY = {"clear": 0.4, "hard": 0.15}  # the share of a text's words that are its topic's
OWN_WORDS, LEXICON, LENGTHS = 12, 1_200, (8, 25)


@cache
def _found(n: int, count: int, uneven: bool, clarity: str, number: int) -> Integers:
    """The topics that `topics` finds in a set of texts; one topic where it finds none."""
    random = np.random.default_rng([SEED, n, count, number])
    labels = _labels(World(n, count, 0, 0, "plain", uneven=uneven))
    found = topics(_texts(labels, CLARITY[clarity], random), [{}] * n)
    return np.zeros(n, dtype=np.int64) if found is None else np.array(found.labels)


def _texts(labels: Integers, share: float, random: np.random.Generator) -> list[str]:
    lexicon = ["".join(random.choice(SYLLABLES, random.integers(2, 5))) for _ in range(LEXICON)]
    own = [random.choice(lexicon, OWN_WORDS, replace=False) for _ in range(labels.max() + 1)]
    common = 1 / (1 + np.arange(len(COMMON)))
    texts = []
    for label in labels:
        length = int(random.integers(*LENGTHS))
        telling = int(random.binomial(length, share))
        words = [*random.choice(own[label], telling), *random.choice(COMMON, length - telling, p=common / common.sum())]
        texts.append(" ".join(random.permutation(words)))
    return texts
