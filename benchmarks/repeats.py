"""Several answers a case: what they buy.

    python benchmarks/repeats.py            # twelve minutes beside other work
    python benchmarks/repeats.py --quick    # a tenth of the draws

Writes repeats.md; exit code 1 if "held" is false more often than 5 % of the time.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parent.parent))  # where `benchmarks` is, also for a script

from benchmarks.frame import script
from benchmarks.gate_markdown import percent, side_by_side, table
from benchmarks.gate_results import exceeds
from benchmarks.gate_rule import MARGIN, is_regressed, standard_error
from tunegate.harness.core.progress import Watch
from tunegate.harness.gate.families import SEED
from tunegate.harness.statistics import paired as stats

LIBRARIES = ("tunegate", "numpy", "scipy")
SIZES, ANSWERS = (50, 100, 200), (1, 4, 8)
PASSING, SPREAD = 0.7, 1.21  # of a Beta's pass rates: single answers flip 23 % of the time
REDRAWN = 0.2  # of the cases, in the world where models truly differ
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Told:
    """One cell: `held` and `regressed` without a change, and with a loss of the margin; of `draws` units."""

    world: str
    n: int
    answers: int
    held: float
    false_regressed: float
    false_held: float
    regressed: float
    draws: int


def rates(world: str, size: tuple[int, int], random: np.random.Generator) -> tuple[Floats, Floats]:
    """What two equally good models pass of each case, on average: the same, or where they truly differ not always."""
    base = random.beta(PASSING * SPREAD, (1 - PASSING) * SPREAD, size)
    if world == "noise":
        return base, base
    other = random.beta(PASSING * SPREAD, (1 - PASSING) * SPREAD, size)
    return base, np.where(random.random(size) < REDRAWN, other, base)


def told(world: str, n: int, answers: int, draws: int) -> Told:
    """Judge units of n cases with so many answers each."""
    random = np.random.default_rng([SEED, n, answers, len(world)])
    base, equal = rates(world, (draws, n), random)
    lost = equal * (1 - MARGIN / PASSING)
    before = random.binomial(answers, base)
    still, fell = ((random.binomial(answers, after) - before) / answers for after in (equal, lost))
    held, false_held = (np.mean([stats.held(d, MARGIN) for d in side]) for side in (still, fell))
    false_regressed, regressed = (np.mean([is_regressed(d, MARGIN) for d in side]) for side in (still, fell))
    return Told(world, n, answers, *map(float, (held, false_regressed, false_held, regressed)), draws)


def measure(draws: int, watch: Watch) -> list[Told]:
    """Every cell."""
    cells, found = list(product(("noise", "change"), SIZES, ANSWERS)), []
    with watch("Answers", len(cells)) as done:
        for cell in cells:
            found.append(told(*cell, draws))
            done(1)
    return found


def broken(found: Sequence[Told]) -> Iterator[str]:
    """Where held is false too often."""
    for each in found:
        if exceeds(each.false_held, each.draws):
            yield f"{each.world}, n = {each.n}, {each.answers} answers: held at -margin {percent(each.false_held)}"


def report(found: Sequence[Told], made: str) -> str:
    """The report in Markdown."""
    error = percent(standard_error(0.5, found[0].draws))
    rows = [
        [each.world, str(each.n), str(each.answers), side_by_side(each.held, each.false_regressed),
         side_by_side(each.false_held, each.regressed)]
        for each in found
    ]  # fmt: skip
    return "\n\n".join([
        "# Several answers a case",
        f"- They buy most where what flips is noise: {_lever(found)}.",
        made,
        "## Held and regressed",
        f"One unit, margin {100 * MARGIN:g} points. Pass rates of the cases are drawn from a Beta of mean "
        f"{PASSING:g}, so that single answers flip 23 % of the time by themselves. *Noise*: both models pass each "
        f"case equally often. *Change*: {100 * REDRAWN:g} % of the cases are passed as often as another one would be. "
        "Without a change: held / falsely regressed; with a loss of the margin: falsely held / regressed; in % "
        f"(standard error at most {error}).",
        table(["world", "cases", "answers a case", "no change: held / regressed", "-margin: held / regressed"], rows),
    ]) + "\n"  # fmt: skip


def _lever(cells: Sequence[Told]) -> str:
    mine = [each for each in cells if (each.world, each.n) == ("noise", 100)]
    answers = " / ".join(str(each.answers) for each in mine)
    held, found = (
        " / ".join(f"{100 * value:.0f}" for value in values)
        for values in ([each.held for each in mine], [each.regressed for each in mine])
    )
    return (
        f"100 cases of which single answers flip 23 %, {answers} answers each: an equal model is held {held} times in "
        f"100, a loss of {100 * MARGIN:g} points is called regressed {found} times"
    )


if __name__ == "__main__":
    script(__file__, LIBRARIES, measure, report, broken, whole=[2_000], quick=[200])
