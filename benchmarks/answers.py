"""Several answers a case on the embedded model: what flips by itself at a temperature, and what more of them leave.

    python benchmarks/answers.py            # 24 questions, 16 answers each at two temperatures
    python benchmarks/answers.py --quick    # 8 of them

Writes answers.md; exit code 1 if more answers a case leave more of the noise than `tunegate plan` says, beyond chance.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parent.parent))  # where `benchmarks` is, also for a script

from benchmarks.frame import ROOT, script
from benchmarks.gate_markdown import number, percent, table
from benchmarks.gate_rule import is_regressed
from tunegate.harness.cases.loader import find_unit, load_tasks
from tunegate.harness.cases.model import Unit
from tunegate.harness.core.progress import Watch, quiet
from tunegate.harness.gate.families import SEED
from tunegate.harness.models.evaluation.scoring import evaluate
from tunegate.harness.models.local.huggingface import Base, Local
from tunegate.harness.release.diagnosis.ladder import sample
from tunegate.harness.statistics import paired as stats
from tunegate.harness.statistics.sample_size import measured_noise

UNIT, MODEL = "support/questions", "smollm2"
BASE, WORSE = 0.7, 1.0  # temperatures
ANSWERS, SPLITS = 16, 200  # a case; ways to split them into two models' answers
MARGIN = 0.15
FEW = (1, 2, 4, 8)
LIBRARIES = ("tunegate", "transformers", "torch", "numpy")
Floats = NDArray[np.float64]  # cases x answers


@dataclass(frozen=True)
class Left:
    """With so many answers a case: the mean squared difference of a model beside itself, foretold and seen.

    `held` is how often the model is held beside itself, `false` how often it is regressed, `found` how often the model
    at the higher temperature is; of the ways to choose the answers.
    """

    answers: int
    seen: float
    error: float
    predicted: float
    held: float
    false: float
    found: float


@dataclass(frozen=True)
class Found:
    """What the two temperatures pass, and what so many answers leave."""

    cases: int
    base: float
    worse: float
    left: list[Left]


def scores(unit: Unit, temperature: float, base: Base, watch: Watch) -> Floats:
    """The score of each answer, cases x answers."""
    cases = [replace(case, decoding=replace(case.decoding, temperature=temperature)) for case in unit.cases]
    record = evaluate([replace(unit, cases=tuple(cases))], Local(MODEL, watch, base=base), watch, ANSWERS, partial=True)
    return np.array([[each.score for each in record.cases[case.key].repeats] for case in cases], dtype=float)


def left(base: Floats, worse: Floats, answers: int) -> Left:
    """Split the answers at random into those of two equal models, again and again."""
    random = np.random.default_rng([SEED, answers])
    squares, held, false, found = [], [], [], []
    for _ in range(SPLITS):
        one, two = np.split(random.permuted(base, axis=1)[:, : 2 * answers], 2, axis=1)
        other = random.permuted(worse, axis=1)[:, :answers]
        same, lower = two.mean(axis=1) - one.mean(axis=1), other.mean(axis=1) - one.mean(axis=1)
        squares.append(float((same**2).mean()))
        held.append(stats.held(same, MARGIN))
        false.append(is_regressed(same, MARGIN))
        found.append(is_regressed(lower, MARGIN))
    noise = measured_noise(base.tolist()) or 0.0
    # splits share their answers, so that what they scatter by is the cases' share alone
    error = float(np.std(squares)) / np.sqrt(ANSWERS / (2 * answers))
    return Left(answers, float(np.mean(squares)), error, 2 * noise / answers, *map(_share, (held, false, found)))


def _share(flags: Sequence[bool]) -> float:
    return float(np.mean(flags))


def measure(cases: int, watch: Watch) -> Found:
    """Ask both temperatures."""
    unit = sample(find_unit(load_tasks(ROOT / "fixtures"), UNIT), cases)
    model = Base(MODEL, quiet())
    base, worse = (scores(unit, temperature, model, watch) for temperature in (BASE, WORSE))
    every = [left(base, worse, answers) for answers in FEW]
    return Found(len(base), float(base.mean()), float(worse.mean()), every)


def broken(found: Found) -> Iterator[str]:
    """More noise than is foretold."""
    for each in found.left:
        if each.seen > each.predicted + 3 * each.error:
            yield f"{each.answers} answers a case leave {each.seen:.4f}, foretold {each.predicted:.4f}"


def report(found: Found, made: str) -> str:
    """The report in Markdown."""
    one, most = found.left[0], found.left[-1]
    rows = [
        [
            str(each.answers),
            f"{each.seen:.4f}",
            f"{each.predicted:.4f}",
            *map(number, (each.held, each.false, each.found)),
        ]
        for each in found.left
    ]
    head = ["answers a case", "flip rate seen", "foretold", "held beside itself, %", "regressed beside itself, %",
            f"regressed at {WORSE:g}, %"]  # fmt: skip
    return "\n\n".join([
        "# Several answers a case, on the embedded model",
        f"- At temperature {BASE:g} single answers of one model flip {percent(one.seen)} of the time by themselves, "
        f"means of {most.answers} answers {percent(most.seen)}; a loss of {100 * (found.base - found.worse):.1f} "
        f"points is called regressed {percent(one.found)} of the time with one answer a case and "
        f"{percent(most.found)} with {most.answers}.",
        made,
        f"{found.cases} cases of {UNIT}, {ANSWERS} answers each: {percent(found.base)} pass at temperature {BASE:g}, "
        f"{percent(found.worse)} at {WORSE:g}. The answers at {BASE:g} are split at random into those of two equal "
        f"models, {SPLITS} times. The flip rate is the mean squared difference of the means; foretold is what "
        "`tunegate plan` reckons with, twice the variance of single answers to a case over their number. The "
        f"verdicts are those of the shipped tests, margin {100 * MARGIN:g} points. All splits share the same answers, "
        "so that these shares are no independent draws.",
        table(head, rows),
    ]) + "\n"  # fmt: skip


if __name__ == "__main__":
    script(__file__, LIBRARIES, measure, report, broken, whole=[24], quick=[8])
