"""Several answers a case: what they buy, and what no test of graded scores could find more often.

    python benchmarks/repeats.py            # twelve minutes beside other work
    python benchmarks/repeats.py --quick    # a tenth of the draws

Writes repeats.md and repeats.svg; exit code 1 if "held" is false more often than 5 % of the time.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import matplotlib as mpl
import numpy as np
import typer
from matplotlib.figure import Figure
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parent.parent))  # where `benchmarks` is, also for a script

from benchmarks.frame import RESULTS, carry_out
from benchmarks.gate_markdown import number, percent, side_by_side, table
from benchmarks.gate_plot import ERROR
from benchmarks.gate_results import BOUND, ERRORS
from benchmarks.gate_rule import MARGIN, standard_error
from benchmarks.repeats_bound import GAIN, Graded, graded
from tunegate.harness.core.progress import Watch
from tunegate.harness.gate.families import LEVEL, SEED
from tunegate.harness.statistics import paired as stats

LIBRARIES = ("tunegate", "numpy", "scipy", "matplotlib")
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


@dataclass(frozen=True)
class Found:
    """Both parts."""

    told: list[Told]
    graded: list[Graded]


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
    false_regressed, regressed = (np.mean([_regressed(d) for d in side]) for side in (still, fell))
    return Told(world, n, answers, *map(float, (held, false_regressed, false_held, regressed)), draws)


def _regressed(d: Floats) -> bool:
    return not stats.held(d, MARGIN) and stats.p_worse(d, seed=SEED).p <= LEVEL


def measure(draws: int, watch: Watch) -> Found:
    """Every cell of both parts."""
    cells = [(world, n, answers) for world in ("noise", "change") for n in SIZES for answers in ANSWERS]
    found = Found([], [])
    with watch("Answers", len(cells) + len(SIZES)) as done:
        for cell in cells:
            found.told.append(told(*cell, draws))
            done(1)
        for n in SIZES:
            found.graded.append(graded(n, 8, draws))
            done(1)
    return found


def broken(found: Found) -> Iterator[str]:
    """Where held is false too often."""
    for each in found.told:
        if each.false_held > BOUND + ERRORS * standard_error(each.false_held, each.draws):
            yield f"{each.world}, n = {each.n}, {each.answers} answers: held at -margin {percent(each.false_held)}"
    for one in found.graded:
        if one.false_improved > BOUND + ERRORS * standard_error(one.false_improved, one.draws):
            yield f"graded, n = {one.n}: improved without a gain {percent(one.false_improved)}"


def report(found: Found, made: str) -> str:
    """The report in Markdown."""
    error = percent(standard_error(0.5, found.told[0].draws))
    smallest = found.graded[0]
    rows = [
        [each.world, str(each.n), str(each.answers), side_by_side(each.held, each.false_regressed),
         side_by_side(each.false_held, each.regressed)]
        for each in found.told
    ]  # fmt: skip
    limits = [
        [str(each.n), *map(number, (each.shipped, each.sign_flip, each.bound)),
         side_by_side(each.false_improved, each.false_sign_flip)]
        for each in found.graded
    ]  # fmt: skip
    return "\n\n".join([
        "# Several answers a case",
        f"- They buy most where what flips is noise: {_lever(found.told)}.\n"
        f"- Of a true gain of {100 * GAIN:g} points with 8 answers a case and {smallest.n} cases the gate finds "
        f"{percent(smallest.shipped)}. No test that keeps 4 % on all scores finds more than {percent(smallest.bound)}.",
        made,
        "## Held and regressed",
        f"One unit, margin {100 * MARGIN:g} points. Pass rates of the cases are drawn from a Beta of mean "
        f"{PASSING:g}, so that single answers flip 23 % of the time by themselves. *Noise*: both models pass each "
        f"case equally often. *Change*: {100 * REDRAWN:g} % of the cases are passed as often as another one would be. "
        "Without a change: held / falsely regressed; with a loss of the margin: falsely held / regressed; in % "
        f"(standard error at most {error}).",
        "![Held and regressed, by the number of cases and of answers](repeats.svg)",
        table(["world", "cases", "answers a case", "no change: held / regressed", "-margin: held / regressed"], rows),
        "## Graded scores: what could be found at most",
        f"A gain of {100 * GAIN:g} points, 8 answers a case, found in %. *The gate* takes the larger p of two tests, "
        "the sign-flip test and the score test. *Sign flips alone* find a little more, and err: on scores that are "
        "mostly somewhat better and seldom far worse, their mean 0, they say improved as often as the last column "
        "shows (the gate / sign flips alone). *At most*: scores without a gain look like scores with one as long as "
        "the rare case that falls to -1 is not among those drawn. So the best test against that alternative (Neyman "
        "and Pearson's likelihood ratio) bounds every test that keeps its 4 % whatever the scores are. The null is "
        "the gain's own law f as a f / (1 + lambda d), the rest of its mass at -1, at the lambda that leaves least "
        "to find. What lies between the two is all that another test could win.",
        table(["cases", "the gate", "sign flips alone", "at most", "false improved, skewed scores"], limits),
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


def draw(cells: Sequence[Told], path: Path) -> None:
    """Held without a change and regressed with a loss, over the number of cases; a line for each number of answers."""
    with mpl.rc_context({"font.size": 9, "svg.hashsalt": "repeats", "svg.fonttype": "none"}):
        figure = Figure(figsize=(8.4, 5.4), layout="constrained")
        grid = figure.subplots(2, 2, sharex=True, sharey=True)
        for row, world in enumerate(("noise", "change")):
            for column, what in enumerate(("held", "regressed")):
                axes = grid[row, column]
                for answers, color in zip(ANSWERS, ("#8fb0ea", "#3f78d8", "#111111"), strict=True):
                    mine = [each for each in cells if (each.world, each.answers) == (world, answers)]
                    values = [100 * getattr(each, what) for each in mine]
                    label = f"{answers} answer{'s' if answers > 1 else ''} a case"
                    axes.plot([each.n for each in mine], values, marker="o", ms=3, color=color, label=label)
                true = "no change: held" if what == "held" else f"loss of {100 * MARGIN:g} points: regressed"
                axes.set_title(f"{world}; {true}, %", fontsize=10)
                axes.axhline(100 * BOUND, color=ERROR, linewidth=0.6)
                axes.set(ylim=(-2, 102), xticks=SIZES)
                axes.spines[["top", "right"]].set_visible(False)
        for axes in grid[1]:
            axes.set_xlabel("cases")
        figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=3, frameon=False)
        figure.savefig(path, metadata={"Date": None})


def main(
    quick: Annotated[bool, typer.Option("--quick", help="A tenth of the draws.")] = False,
    out: Annotated[Path, typer.Option("--out", help="Where the results go.", metavar="DIR")] = RESULTS,
) -> None:
    """Measure, write repeats.md and repeats.svg, and fail if a promise is broken."""
    command = "python benchmarks/repeats.py" + (" --quick" if quick else "")
    out.mkdir(parents=True, exist_ok=True)

    def measured(watch: Watch) -> Found:
        found = measure(200 if quick else 2_000, watch)
        draw(found.told, out / "repeats.svg")
        return found

    carry_out(out / "repeats.md", command, LIBRARIES, measured, report, broken)


if __name__ == "__main__":
    typer.run(main)
