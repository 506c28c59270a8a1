"""Candidates: what is compared with what is in service, with the anchor and with the base; and how often it passes.

    python benchmarks/candidates.py            # half an hour
    python benchmarks/candidates.py --quick    # fewer draws and worlds

The shipped gate decides: whole worlds, or each table of regressed and fixed cases, with some whole worlds of every cell
beside it. Writes candidates.md; exit code 1 if what is promised below does not hold.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))  # where `benchmarks` is, also for a script

from benchmarks.candidate_adapters import EQUAL_MARGIN, MARGIN, Below, Equal, below, equal
from benchmarks.candidate_chains import GROWING, LEARNT, MERGES, STOPS, Chain, Growth, Runs, chain, growth, runs
from benchmarks.candidate_rewordings import FLIP_RATES, SIZES, UNITS, Passed, Rewording, rewording
from benchmarks.candidate_worlds import PASSING, Shape
from benchmarks.frame import script
from benchmarks.gate_markdown import number, side_by_side, table
from benchmarks.gate_results import ERRORS
from benchmarks.gate_rule import standard_error
from tunegate.harness.begin.scaffold.outlook import REWORDED_FLIP_RATE
from tunegate.harness.core.progress import Watch
from tunegate.harness.gate.messages import by_chance
from tunegate.harness.statistics.paired import LEVEL
from tunegate.harness.statistics.power import POWER

LIBRARIES = ("tunegate", "numpy", "scipy")
CHAINS = ((100, 0.04, 0.1), (200, 0.04, 0.1), (200, 0.1, 0.1), (400, 0.04, 0.05))  # n, flip rate, margin
GROWN = tuple(product((200, 400), (0.04, 0.1), (1, 5, 50), (True, False)))  # n, flip rate, added cases, an anchor
GROWN_MARGIN, GROWN_LOSS = 0.05, 0.02
STEPS, TRIES = (0.5, 0.25), (1, 5)
RUN_CELLS = tuple((Shape(100, flip_rate, 1), margin) for margin in (0.05, 0.1) for flip_rate in (0.04, 0.1, 0.2))
SHOWN_RUNS = (1, 7, 20)
BELOW = tuple(Shape(n, flip_rate, 1) for n in (100, 200) for flip_rate in (0.04, 0.1))

# Written down before measuring; beyond each, two standard errors.
FORETOLD_WITHIN = 0.02  # of what `plan` says beside both references
DRIFT = 1.5  # margins in service below the anchor, which at most one chain in twenty may exceed
GROWN_BEYOND = 0.05  # of chains that add cases, so many get more than one margin below the anchor at most
SERVICE_GAINS = 0.1  # at least so many more equal adapters pass than if they had to be held of both
WORTH_WITHIN = 0.1  # of what verdicts say of a late run, for configurations that know nothing of each other


@dataclass(frozen=True)
class Found:
    """Every part."""

    rewordings: list[Rewording]
    chains: list[Chain]
    below: list[Below]
    equal: Equal
    runs: list[Runs]
    grown: list[Growth]


def measure(draws: int, worlds: int, watch: Watch) -> Found:
    """Draw all of it, in a process for each core; of every cell of rewordings so many whole `worlds` too."""
    shapes = [Shape(n, flip_rate, units) for units in UNITS for flip_rate in FLIP_RATES for n in SIZES]
    chains = list(product(CHAINS, STEPS, TRIES, (True, False)))
    with ProcessPoolExecutor() as pool:
        adapters = pool.submit(equal, draws // 4)
        beside = [pool.submit(below, shape, draws // 4) for shape in BELOW]
        reworded = [pool.submit(rewording, shape, draws, worlds) for shape in reversed(shapes)]
        merged = [
            pool.submit(chain, Shape(n, rate, 1), margin, step, tries, anchored, draws)
            for (n, rate, margin), step, tries, anchored in chains
        ]
        grown = [
            pool.submit(growth, Shape(n, rate, 1), GROWN_MARGIN, GROWN_LOSS, added, anchored, draws)
            for n, rate, added, anchored in GROWN
        ]
        run = [pool.submit(runs, shape, margin, draws) for shape, margin in RUN_CELLS]
        every: list[Future[Any]] = [adapters, *beside, *reworded, *merged, *grown, *run]
        with watch("Candidates", len(every)) as done:
            for each in as_completed(every):
                each.result()
                done(1)
        return Found(
            [each.result() for each in reversed(reworded)], [each.result() for each in merged],
            [each.result() for each in beside], adapters.result(), [each.result() for each in run],
            [each.result() for each in grown],
        )  # fmt: skip


def broken(found: Found) -> Iterator[str]:
    """What does not hold of what was written down."""
    for each in found.rewordings:
        slack = ERRORS * standard_error(each.anchored.both, each.draws)
        if each.anchored.both < POWER - slack:
            yield f"rewordings, {each.shape}: {number(each.anchored.both)} % pass under the proposal"
        if each.shape.flip_rate <= REWORDED_FLIP_RATE and each.guess.both < POWER - slack:
            yield f"rewordings, {each.shape}: {number(each.guess.both)} % pass under the margin of `init`"
        for passed in (each.first, each.anchored, each.guess):
            if abs(passed.both - passed.foretold_both) > FORETOLD_WITHIN + slack:
                foretold = number(passed.foretold_both)
                yield f"rewordings, {each.shape}: {number(passed.both)} % pass, foretold {foretold} %"
    for one in (each for each in found.chains if each.anchored):
        if one.most > DRIFT:
            yield f"merges, {one.shape}, steps of {one.step:g}: one in twenty loses {one.most:g} margins"
    for grew in (each for each in found.grown if each.anchored):
        if grew.beyond > GROWN_BEYOND + ERRORS * standard_error(grew.beyond, grew.draws):
            yield f"merges that add {grew.added} cases, {grew.shape}: {number(grew.beyond)} % lose more than the margin"
    for mine in found.below:
        if mine.named < mine.seen_below:
            yield f"adapters, {mine.shape}: some decision does not name what is in service first"
    if found.equal.beside_service - found.equal.of_both < SERVICE_GAINS:
        yield "adapters: held of the base and not worse passes hardly more equal ones than held of both"
    for cell in found.runs:
        for run in SHOWN_RUNS:
            if cell.apart[run - 1] > _worth(run) + WORTH_WITHIN + ERRORS * standard_error(
                cell.apart[run - 1], cell.draws
            ):
                yield f"runs, {cell.shape}: {number(cell.apart[run - 1])} % are held at one of {run}"


def _worth(run: int) -> float:
    """What verdicts say of a late run."""
    return 1 - (1 - LEVEL) ** run


def report(found: Found, made: str) -> str:
    """The report in Markdown."""
    equals = found.equal
    return "\n\n".join([
        "# Candidates",
        "How often a change passes beside what it is compared with. In %, decided by the shipped gate "
        "(`tunegate.harness.gate.rule.compare`).",
        made,
        f"Written down before measuring: rewordings pass {100 * POWER:g} % of the time under the "
        "margin that `plan` names "
        "with both references, where no more than 5 % flip under that of `init`, too, and within "
        f"{100 * FORETOLD_WITHIN:g} points as often as it says; "
        "beside an anchor at most "
        f"one chain of {MERGES} merges in twenty ends more than {DRIFT:g} margins below it, and of "
        f"chains that add cases at most {100 * GROWN_BEYOND:g} % more than one margin; a "
        "released adapter that "
        "scored below the one in service is never called improved before that is named; of equally "
        "bad configurations "
        f"that know nothing of each other at most {100 * WORTH_WITHIN:g} points more are held than "
        "the verdict says. To "
        "each two standard errors are added. Trials of 1,500 to 4,000 draws by the statistics alone "
        "came before.",
        "## Harmless rewordings",
        f"A true change of 0; of the cases {100 * PASSING:g} % pass. *Alone*: beside what is in "
        "service. *Anchor*: also "
        "beside the first record that was in service, of an equal model. In brackets what `tunegate "
        "plan` says. The "
        "margins, in points, are the smallest that `plan` names at that flip rate with one reference "
        "and with two, and "
        f"that of `init`, which assumes {100 * REWORDED_FLIP_RATE:g} % and two references. "
        "Last the true loss of one unit, in points, that passes "
        "half and a fifth of "
        f"the time beside both under the second margin. {found.rewordings[0].draws:,} draws.",
        table(REWORDING_HEAD, map(_rewording_row, found.rewordings)),
        _below_power(found.rewordings),
        "## Merges in a row",
        f"Up to {MERGES} merges, each of which truly loses a part of the margin; the author tries "
        "each once or five times, "
        "and stops where none of them passes. *Stopped at*: by merge, in %. *By*: the reference at "
        "the last try. *Lost*: "
        "what is in service at the end, in margins below the first, on average and exceeded by one "
        "chain in twenty. "
        f"{found.chains[0].draws:,} chains.",
        table(CHAIN_HEAD, map(_chain_row, found.chains)),
        "## Merges that add cases",
        f"Up to {GROWING} merges, each of which truly loses {100 * GROWN_LOSS:g} points of the first n cases and adds "
        f"easy ones, which every model gets right; margin {100 * GROWN_MARGIN:g} points. A chain ends where the gate "
        "stops a merge: beside what is in service, on the cases that the branch has, and, with an anchor, beside the "
        "first record on the first n cases. *Beyond*: of the chains, those that lose more than one margin of the "
        f"first cases. {found.grown[0].draws:,} chains.",
        table(GROWN_HEAD, map(_grown_row, found.grown)),
        "## Adapters",
        "The base passes 60 %, the adapter in service 80, the candidate 75; one target, margin "
        f"{100 * MARGIN:g} points. *Released*: held of the base and not worse than the one in service. "
        f"{found.below[0].draws:,} draws.",
        table(BELOW_HEAD, map(_below_row, found.below)),
        f"Equal adapters on 5 units of 200 cases, flips 4 %, margin {100 * EQUAL_MARGIN:g}, "
        f"{equals.draws:,} draws: "
        f"nothing blocks {number(equals.beside_service)} % (± "
        f"{number(standard_error(equals.beside_service, equals.draws))}) that are held of the base "
        "and not worse than the "
        f"one in service, {number(equals.of_both)} % if they have to be held of both, "
        f"{number(equals.of_base)} % with the "
        "base alone.",
        "## Runs of the same cases",
        "Configurations that each lose the whole margin, one unit of 100 cases: how often at least "
        "one of them is held, "
        f"by the number of runs ({' / '.join(map(str, SHOWN_RUNS))}). *Apart*: they know nothing of "
        "each other. "
        f"*Learning*: each knows {100 * LEARNT:g} % of the failures seen before by heart, as a prompt "
        "with examples from "
        "the cases does. *Said*: what a verdict says from the fourth run on. "
        f"{found.runs[0].draws:,} draws.",
        table(RUN_HEAD, map(_run_row, found.runs)),
        "A verdict, the comment and the card say: `Held at the 7th run of these cases: "
        f"{by_chance(7, LEVEL)}.`",
    ]) + "\n"  # fmt: skip


REWORDING_HEAD = (
    "units", "flips, %", "n", "margin, one reference", "alone", "anchor", "margin, two", "anchor",
    "margin, `init`", "alone", "anchor", "passes half", "passes a fifth",
)  # fmt: skip
CHAIN_HEAD = (
    "n", "flips, %", "margin", "each loses", "tries", "anchor", "stopped at 1 / 2 / ... / 10", "never",
    f"by {' / '.join(STOPS)}", "lost", "one in twenty",
)  # fmt: skip
GROWN_HEAD = ("n", "flips, %", "adds", "anchor", "beyond", "merges", "lost, margins")
BELOW_HEAD = ("n", "flips, %", "released", "if held of both", "of those seen below", "named first")
RUN_HEAD = ("margin", "flips, %", "apart", "learning", "said")


def _rewording_row(each: Rewording) -> list[str]:
    shape = each.shape
    return [
        str(shape.units), f"{100 * shape.flip_rate:g}", str(shape.n), f"{100 * each.first.margin:g}",
        f"{number(each.first.alone)} ({number(each.first.foretold)})", _both(each.first),
        f"{100 * each.anchored.margin:g}", _both(each.anchored), f"{100 * each.guess.margin:g}",
        number(each.guess.alone), number(each.guess.both), *map(_points, (each.half, each.fifth)),
    ]  # fmt: skip


def _both(passed: Passed) -> str:
    return f"{number(passed.both)} ({number(passed.foretold_both)})"


def _points(loss: float | None) -> str:
    return "-" if loss is None else f"{100 * loss:.1f}"


def _below_power(rewordings: Sequence[Rewording]) -> str:
    """Where less than four in five pass, in a sentence."""
    short = [each for each in rewordings if each.guess.both < POWER]
    least = min(each.guess.both for each in rewordings if each.shape.flip_rate <= REWORDED_FLIP_RATE)
    alone = [each for each in rewordings if each.guess.alone < POWER]
    return (
        f"Under the margin of `init` at least {number(least)} % pass where no more flip than it assumes; fewer than "
        f"{100 * POWER:g} % in {len(alone)} of {len(rewordings)} rows alone and in {len(short)} with the anchor. After "
        "the first records `plan` knows the flip rate."
    )


def _chain_row(each: Chain) -> list[str]:
    return [
        str(each.shape.n), f"{100 * each.shape.flip_rate:g}", f"{100 * each.margin:g}", f"{each.step:g} margin",
        str(each.tries), "yes" if each.anchored else "no", " / ".join(f"{100 * rate:.0f}" for rate in each.stops),
        number(each.unstopped), side_by_side(*each.by), f"{each.lost:.2f}", f"{each.most:.2f}",
    ]  # fmt: skip


def _grown_row(each: Growth) -> list[str]:
    return [
        str(each.shape.n), f"{100 * each.shape.flip_rate:g}", str(each.added), "yes" if each.anchored else "no",
        f"{number(each.beyond)} (± {number(standard_error(each.beyond, each.draws))})", f"{each.merged:.1f}",
        f"{each.lost:.2f}",
    ]  # fmt: skip


def _below_row(each: Below) -> list[str]:
    return [
        str(each.shape.n), f"{100 * each.shape.flip_rate:g}",
        f"{number(each.released)} (± {number(standard_error(each.released, each.draws))})",
        number(each.as_held_of_both), number(each.seen_below), number(each.named),
    ]  # fmt: skip


def _run_row(each: Runs) -> list[str]:
    shown = [[rates[run - 1] for run in SHOWN_RUNS] for rates in (each.apart, each.learning)]
    return [
        f"{100 * each.margin:g}", f"{100 * each.shape.flip_rate:g}", *(side_by_side(*rates) for rates in shown),
        side_by_side(*map(_worth, SHOWN_RUNS)),
    ]  # fmt: skip


if __name__ == "__main__":
    script(__file__, LIBRARIES, measure, report, broken, whole=[2_000, 10], quick=[200, 2])
