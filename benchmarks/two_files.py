"""How often a verdict on two result files errs where one question stands there under several ids.

    python benchmarks/two_files.py            # 13 minutes
    python benchmarks/two_files.py --quick    # a twentieth of the draws

Writes two_files.md; exit code 1 if equal models are regressed or improved, or a loss of the margin is held, more than
5 % of the time. Each draw writes two CSV files, which the code of `tunegate compare OLD NEW` reads, pairs and compares.
Only the number of cases that a sentence says would settle a verdict is left out: it decides nothing, and takes longest.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parent.parent))  # where `benchmarks` is, also for a script

from benchmarks.frame import script
from benchmarks.gate_markdown import number, percent, table
from benchmarks.gate_results import BOUND, exceeds
from benchmarks.gate_rule import standard_error
from benchmarks.repeats import PASSING, REDRAWN, SPREAD
from tunegate.harness.begin.results.pairing import pair_files
from tunegate.harness.begin.results.project import compare_supplied
from tunegate.harness.begin.results.read import read_results
from tunegate.harness.begin.results.settings import Settings
from tunegate.harness.core.progress import Watch
from tunegate.harness.gate.families import SEED

LIBRARIES = ("tunegate", "numpy", "scipy")
METRIC = "accuracy"
NEEDED = "tunegate.harness.gate.rule.cases_needed"
ALIKE, SAMPLED = "alike", "sampled"
SIZES = ((20, 10, 0.05), (20, 10, 0.15), (100, 2, 0.05), (200, 1, 0.05))  # questions, samples of each, margin
Floats = NDArray[np.float64]
Scores = NDArray[np.int64]
Tally = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class World:
    """Files of so many questions and samples of each, which are `alike` or `sampled`, held to a margin."""

    kind: str
    questions: int
    samples: int
    margin: float

    def __str__(self) -> str:
        return f"{self.kind}, {self.questions} x {self.samples}, margin {100 * self.margin:g}"


@dataclass(frozen=True)
class Shares:
    """Equal models that are regressed and improved, and models that lose the margin and are held."""

    regressed: float
    improved: float
    held: float


@dataclass(frozen=True)
class Erred:
    """One world: the shares by question, as shipped, and if each sample were a question of its own."""

    world: World
    shipped: Shares
    singly: Shares
    draws: int


WORLDS = [World(kind, *size) for kind, size in product((ALIKE, SAMPLED), SIZES)]


def passing(world: World, random: np.random.Generator) -> Floats:
    """How often a model passes each question; 70 % on average."""
    if world.kind == ALIKE:
        return (random.random(world.questions) < PASSING).astype(float)
    return random.beta(PASSING * SPREAD, (1 - PASSING) * SPREAD, world.questions)


def models(world: World, random: np.random.Generator) -> tuple[Floats, Floats, Floats]:
    """How often three models pass each question: the old one, an equal one, and one that loses the margin."""
    old, other = passing(world, random), passing(world, random)
    equal = np.where(random.random(world.questions) < REDRAWN, other, old)
    is_lost = random.random(world.questions) < world.margin / PASSING
    return old, equal, np.where(is_lost, 0.0, equal)


def tally(old: Scores, new: Scores, samples: int) -> Tally:
    """Return how many samples of each question passed in both files, in rising order: one draw in many repeats it."""
    return tuple(sorted(zip(*(scores.reshape(-1, samples).sum(axis=1).tolist() for scores in (old, new)), strict=True)))


@cache
def verdict(folder: Path, passed: Tally, samples: int, margin: float) -> str:
    """Return the shipped verdict on two files in which each question stands under `samples` ids."""
    files = []
    for name, counts in zip(("old.csv", "new.csv"), zip(*passed, strict=True), strict=True):
        rows = (
            f"{question * samples + sample},question {question},{int(sample < count)}\n"
            for question, count in enumerate(counts)
            for sample in range(samples)
        )
        (folder / name).write_text(f"id,input,{METRIC}\n" + "".join(rows), "utf-8")
        files.append(read_results(folder / name))
    paired = pair_files(*files, Settings(margin=margin, targets=frozenset({METRIC})))
    with patch(NEEDED, return_value=None):
        [found] = compare_supplied(paired, "", with_sidecar=False).record.verdicts.values()
    return str(found.verdict)


def erred(world: World, draws: int, folder: Path) -> Erred:
    """Compare `draws` pairs of files of equal models, and as many of a loss."""
    random = np.random.default_rng([SEED, world.questions, len(world.kind), round(100 * world.margin)])
    drawn = [[_sampled(each, world.samples, random) for each in models(world, random)] for _ in range(draws)]

    def shares(samples: int) -> Shares:
        equals, losses = (
            [verdict(folder, tally(each[0], each[new], samples), samples, world.margin) for each in drawn]
            for new in (1, 2)
        )
        regressed, improved = (equals.count(name) / draws for name in ("regressed", "improved"))
        return Shares(regressed, improved, sum(name in ("held", "improved") for name in losses) / draws)

    return Erred(world, shares(world.samples), shares(1), draws)


def _sampled(chances: Floats, samples: int, random: np.random.Generator) -> Scores:
    return random.binomial(1, np.repeat(chances, samples))


def measure(draws: int, watch: Watch) -> list[Erred]:
    """Every world."""
    found = []
    with tempfile.TemporaryDirectory() as folder, watch("Two files", len(WORLDS)) as done:
        for world in WORLDS:
            found.append(erred(world, draws, Path(folder)))
            done(1)
    return found


def broken(found: Sequence[Erred]) -> Iterator[str]:
    """What is wrong more often than promised."""
    for each in found:
        for name, share in vars(each.shipped).items():
            if exceeds(share, each.draws):
                yield f"{each.world}: {name} {percent(share)}"


def report(found: Sequence[Erred], made: str) -> str:
    """The report in Markdown."""
    draws = found[0].draws
    worst = {
        name: [max(getattr(way(each), name) for each in found) for way in (_shipped, _singly)]
        for name in ("regressed", "improved", "held")
    }
    said = "; ".join(f"{name} {percent(now)}, singly {percent(before)}" for name, (now, before) in worst.items())
    return "\n\n".join([
        "# One question under several ids",
        f"- At most, of equal models *regressed* and *improved*, and of a loss of the margin *held*: {said}.",
        made,
        "## How often a verdict errs",
        f"{draws:,} pairs of files for each figure, in %; the standard error of 5 % is "
        f"{number(standard_error(BOUND, draws))}. A model passes {100 * PASSING:g} % of the samples. *Alike*: all "
        "samples of a question have the same score, as without sampling. *Sampled*: each question is passed at a rate "
        "of its own, from a Beta distribution, so that 23 % of single samples flip by chance. The new model passes "
        f"{100 * REDRAWN:g} % of the questions as often as another question would be; a loss takes whole questions. "
        f"*Singly*: every sample as a question of its own. Promised: at most {100 * BOUND:g} % by question. Below "
        "about 60 questions, 5 points are held only by a gain.",
        table(
            ["samples", "questions x samples", "margin", *("regressed", "improved", "held"),
             *(f"{name} singly" for name in ("regressed", "improved", "held"))],
            map(_row, found),
        ),
    ]) + "\n"  # fmt: skip


def _shipped(each: Erred) -> Shares:
    return each.shipped


def _singly(each: Erred) -> Shares:
    return each.singly


def _row(each: Erred) -> list[str]:
    world = each.world
    shares = [number(share) for way in (each.shipped, each.singly) for share in vars(way).values()]
    return [world.kind, f"{world.questions} x {world.samples}", f"{100 * world.margin:g}", *shares]


if __name__ == "__main__":
    script(__file__, LIBRARIES, measure, report, broken, whole=[2_000], quick=[100])
