"""Losses that come by topic: how often a loss of exactly the margin is held, by what is known of the topics.

Topics are drawn from a population without end, and cases from each. A claim about the population is judged by the
score statistic alone, then by that and the spread between topics (harness/statistics/clusters.py): topics as they were
drawn, and as harness/text/topics.py finds them in texts whose words tell them clearly or hardly.

    python -m benchmarks.gate_topics [draws]
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from tunegate.harness.gate.families import LEVEL, SEED
from tunegate.harness.statistics.clusters import REAL, Spread, spread
from tunegate.harness.statistics.critical_values import cluster_critical, critical_value
from tunegate.harness.statistics.paired import score_statistic
from tunegate.harness.text.topics import topics

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

SIZES = ((100, 10), (200, 10), (200, 20), (200, 50), (400, 10), (400, 20), (400, 50))  # cases, topics
MARGINS, FLIP_RATES = (0.05, 0.1), (0.04, 0.1)
BEARING = 0.15  # the share of the topics that bear all of a loss
LARGEST = 0.95  # the change of a topic at most: beyond it there is no room for flips
TEXT_SETS = 8  # of a size; outcomes are drawn anew for each unit
DRAWS = 400


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


@dataclass(frozen=True)
class Cell:
    """What a world gives over `draws` units: the share `held` without a word of topics, and by each rule with them."""

    world: World
    draws: int
    without: float
    held: dict[str, float]


@dataclass(frozen=True)
class Seen:
    """One unit whose loss the statistic alone holds: how it is spread, and both critical values."""

    statistic: float
    normal: float
    spread: Spread
    size: float


@dataclass(frozen=True)
class Rule:
    """A spread with p up to `pretest` is real; t of `student` or the normal's; the shipped design effect or Kish's."""

    pretest: float
    student: bool
    tilted: bool

    @property
    def name(self) -> str:
        """For a table."""
        pretest = "no pretest" if self.pretest == 1 else f"p {self.pretest}"
        return f"{pretest}, {'t' if self.student else 'z'}{'' if self.tilted else ', Kish'}"

    def held(self, seen: Seen) -> bool:
        """Whether the unit is held by this rule, too."""
        if seen.spread.p > self.pretest:
            return True
        kish = max(1.0, 1 + (seen.size - 1) * seen.spread.intraclass)
        effect = seen.spread.design_effect if self.tilted else kish
        student = cluster_critical(LEVEL, seen.spread.clusters) if self.student else 0.0
        return seen.statistic / math.sqrt(effect) > max(seen.normal, student)


SHIPPED = Rule(REAL, student=True, tilted=True)
RULES = [
    Rule(pretest, student, tilted)
    for tilted in (True, False)
    for pretest in (REAL, 0.1, 0.2, 1.0)
    for student in (True, False)
]


def worlds() -> Iterator[World]:
    """Every world: no loss, a loss without a spread, by some topics, with a normal spread, of these very topics."""
    for n, count in SIZES:
        for margin in MARGINS:
            for flips in FLIP_RATES:
                plain = World(n, count, margin, flips, "plain", loss=0.0)
                yield plain
                yield replace(plain, loss=1.0)
                yield replace(plain, loss=1.0, how="rare")
                yield replace(plain, loss=1.0, how="rare", uneven=True)
                yield from (replace(plain, loss=1.0, how="normal", intraclass=icc) for icc in (0.02, 0.05, 0.1))
                yield replace(plain, loss=1.0, how="these")


def cells(draws: int, found: bool = True) -> Iterator[Cell]:
    """Each world, judged `draws` times; `found`: also with the topics that texts give."""
    return (cell(world, draws, found) for world in worlds())


def cell(world: World, draws: int, found: bool) -> Cell:
    """One world: the share held with topics known, by each rule, and with topics found, by the shipped one."""
    random = np.random.default_rng([SEED, world.n, world.topics, round(1e3 * world.margin), round(1e3 * world.loss)])
    known, normal = _labels(world), critical_value(world.n, world.margin, LEVEL)
    held = dict.fromkeys((*(rule.name for rule in RULES), *(CLARITY if found else ())), 0)
    without = 0
    for draw in range(draws):
        d = _unit(world, known, random)
        statistic = score_statistic(d, world.margin)
        if statistic <= normal:
            continue
        without += 1
        seen = _seen(statistic, normal, d, known, world, draw)
        for rule in RULES:
            held[rule.name] += rule.held(seen)
        for clarity in CLARITY if found else ():
            labels = _found(world.n, world.topics, world.uneven, clarity, draw % TEXT_SETS)
            held[clarity] += SHIPPED.held(_seen(statistic, normal, d, labels, world, draw))
    return Cell(world, draws, without / draws, {name: count / draws for name, count in held.items()})


def _seen(statistic: float, normal: float, d: Floats, labels: Integers, world: World, draw: int) -> Seen:
    found = spread(d, labels, world.margin, seed=SEED + draw, level=1.0)
    return Seen(statistic, normal, found, world.n / found.clusters)


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


def table(found: Sequence[Cell]) -> str:
    """Markdown, a row a world."""
    head = ["n", "topics", "margin", "flips", "world", "without", *found[0].held]
    lines = [head, ["---"] * len(head)]
    for each in found:
        of = each.world
        what = (
            f"{of.how}{f' {of.intraclass}' if of.intraclass else ''}{', uneven' if of.uneven else ''}, loss {of.loss:g}"
        )
        rates = [f"{100 * rate:.1f}" for rate in (each.without, *each.held.values())]
        lines.append([str(of.n), str(of.topics), str(of.margin), str(of.flip_rate), what, *rates])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    print(table(list(cells(int(sys.argv[1]) if len(sys.argv) > 1 else DRAWS))))
