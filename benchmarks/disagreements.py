"""Guards by disagreement: how often a loss of the margin is held by few labels, and how many labels it takes.

    python benchmarks/disagreements.py            # half an hour on two cores
    python benchmarks/disagreements.py --quick    # fewer designs and draws

The shipped statistics decide. Writes disagreements.md; exit code 1 if what is promised below does not hold.
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

from benchmarks.disagreement_worlds import (
    AGAIN,
    VERDICTS,
    WRONG,
    InTopics,
    Mislabelled,
    Needed,
    Sampled,
    Stratified,
    in_topics,
    mislabelled,
    needed,
    sampled,
    stratified,
)
from benchmarks.frame import script
from benchmarks.gate_markdown import number, table
from benchmarks.gate_results import ERRORS
from benchmarks.gate_rule import standard_error
from tunegate.harness.core.progress import Watch
from tunegate.harness.statistics.disagreements import FEWEST_TOPICS
from tunegate.harness.statistics.power import POWER

LIBRARIES = ("tunegate", "numpy", "scipy")

# Written down before measuring; beyond each that is drawn, two standard errors.
BOUND = 0.04  # false held: plain samples, any of seven tries, strata, these topics, and topics at large from 50 on
FORETOLD_WITHIN = 0.02  # of P(held) = .8 with the labels that `plan` names, where it names fewer than all or ten


@dataclass(frozen=True)
class Terms:
    """What a run covers; `draws` are of each world of strata, and half as many of topics."""

    inputs: tuple[int, ...] = (200, 500, 2_000, 10_000, 100_000, 1_000_000)
    labels: tuple[int, ...] = (10, 15, 20, 40, 100, 200)
    margins: tuple[float, ...] = (0.02, 0.05, 0.1)
    tries: tuple[tuple[int, ...], tuple[int, ...]] = ((200, 2_000, 1_000_000), (10, 40, 200))
    strata: tuple[tuple[int, ...], tuple[int, ...]] = ((500, 2_000, 1_000_000), (20, 40, 100))
    topics: tuple[int, ...] = (10, 20, 50, 100, 200)
    shares: tuple[float, ...] = (0.02, 0.04, 0.1, 0.2, 0.4, 0.6)
    draws: int = 4_000


QUICK = Terms(
    (200, 1_000_000), (10, 20), (0.1,), ((1_000_000,), (10,)), ((2_000,), (20,)), (10, 50), (0.04, 0.1), 300
)  # fmt: skip
WHERE = ((0.02, 0.06), (0.05, 0.06), (0.05, 0.2), (0.1, 0.13), (0.1, 0.4))  # of strata: margin, share that differs
INPUTS_PLANNED = 2_000


@dataclass(frozen=True)
class Found:
    """Every part."""

    sampled: list[Sampled]
    stratified: list[Stratified]
    topics: list[InTopics]
    needed: list[Needed]
    mislabelled: list[Mislabelled]


def measure(terms: Terms, watch: Watch) -> Found:
    """Enumerate and draw all of it, in a process for each core."""
    with ProcessPoolExecutor() as pool:
        designs = product(sorted(terms.labels, reverse=True), terms.inputs, terms.margins)
        parts: list[list[Future[Any]]] = [
            [
                pool.submit(sampled, n, k, margin, n in terms.tries[0] and k in terms.tries[1])
                for k, n, margin in designs
            ],
            [
                pool.submit(stratified, n, k, margin, share, decided, by, terms.draws)
                for n, k in product(*terms.strata)
                for margin, share in WHERE
                for decided in (0.5, 1.0)
                for by in VERDICTS
            ],
            [
                pool.submit(in_topics, topics, k, margin, uneven, terms.draws // 2)
                for topics in terms.topics
                for k, margin in ((40, 0.05), (100, 0.05), (40, 0.1))
                for uneven in (False, True)
            ],
            [
                pool.submit(needed, share, margin, tied, INPUTS_PLANNED)
                for margin, tied, share in product((0.05, 0.03), (0.0, 0.5), terms.shares)
            ],
            [pool.submit(mislabelled, kind, k) for kind in WRONG for k in (40, 200)],
        ]
        every = [each for part in parts for each in part]
        with watch("Disagreements", len(every)) as done:
            for each in as_completed(every):
                each.result()
                done(1)
        return Found(*([each.result() for each in part] for part in parts))


def broken(found: Found) -> Iterator[str]:
    """What does not hold of what was written down."""
    for one in found.sampled:
        for what, rate in (("held", one.held), ("any of seven tries", one.any_try or 0.0)):
            if rate > BOUND:
                yield f"{one.inputs} inputs, {one.labels} labels, margin {one.margin:g}, {what}: {number(rate)} %"
    for cell in found.stratified:
        if _exceeds(cell.held, cell.draws):
            yield f"strata, {cell.inputs} inputs, {cell.labels} labels, {cell.by}: {number(cell.held)} %"
    for each in found.topics:
        if _exceeds(each.these, each.draws):
            yield f"{each.topics} topics, these: {number(each.these)} %"
        if each.effective >= FEWEST_TOPICS and _exceeds(each.rare, each.draws):
            yield f"{each.topics} topics, at large: {number(each.rare)} %"
    for plan in found.needed:
        if plan.labels and plan.held is not None and plan.held < POWER - FORETOLD_WITHIN:
            yield f"{plan.labels} labels for {plan.share:g} and {plan.margin:g} hold {number(plan.held)} %"


def _exceeds(rate: float, draws: int) -> bool:
    return rate > BOUND + ERRORS * standard_error(BOUND, draws)


def report(found: Found, made: str) -> str:
    """The report in Markdown."""
    return "\n\n".join([
        "# Guards by disagreement",
        "How often the shipped rule (`harness/statistics/disagreements.py`) holds a loss of exactly the margin, and "
        "how many labels it takes to hold it without a loss. In %.",
        made,
        f"Written down before measuring: a loss of the margin is held at most {100 * BOUND:g} % of the time, also at "
        "any of seven tries, with strata, for the topics at hand, and for topics at large from "
        f"{FEWEST_TOPICS} effective ones on (two standard errors more where it is drawn); with the labels that `plan` "
        f"names equal models are held {100 * POWER:g} % of the time, or up to {100 * FORETOLD_WITHIN:g} points less.",
        "## Plain samples",
        "The worst of 90 worlds or fewer: from the margin to 60 % of the inputs differ, and beside the loss none to "
        "all are won or lost. Enumerated: every table by its chance. *Seven tries*: the sum over tries at .8, .16, "
        ".032 ... of the level, whatever they have in common.",
        table(SAMPLED_HEAD, map(_sampled_row, sorted(found.sampled, key=lambda one: (one.inputs, one.labels)))),
        "## Strata",
        f"By the verdicts of a judge, or by cheap first labels of which the sample is adjudicated; "
        f"{min(each.draws for each in found.stratified):,} draws, and {AGAIN} times as many others where more than "
        f"{100 * BOUND:g} % of these were held. The worst over {len(WHERE)} pairs of margin and share and two shares "
        "of ties. *Equal*: the mean over these of how often equal models are held, then the same without strata.",
        table(STRATA_HEAD, _strata_rows(found.stratified)),
        "## Topics",
        f"A loss borne by 15 % of the topics, at large or of these very topics; 2,000 inputs; "
        f"{found.topics[0].draws:,} draws. *By T alone*: without the condition between topics.",
        table(TOPICS_HEAD, map(_topics_row, found.topics)),
        "## Labels needed",
        f"For {100 * POWER:g} % of equal models, {INPUTS_PLANNED:,} inputs, beside random paired cases. *Tied*: of "
        "those that differ, equally right. *Held*: with these labels, by a finer sum. `-`: all labels are not enough.",
        table(NEEDED_HEAD, map(_needed_row, found.needed)),
        "## Wrong labels that nobody adjudicates",
        "Nothing is promised: 2,000 inputs, a fifth differs, margin 5.",
        table(("labels that are wrong", "labels", "falsely held"), map(_wrong_row, found.mislabelled)),
    ]) + "\n"  # fmt: skip


SAMPLED_HEAD = ("inputs", "labels", "margin", "falsely held", "where differ", "rest decided", "seven tries")
STRATA_HEAD = ("inputs", "labels", "verdicts", "falsely held", "equal", "equal, plain")
TOPICS_HEAD = (
    "topics", "effective", "labels", "margin", "at large", "by T alone", "these topics", "equal", "equal, by T alone",
)  # fmt: skip
NEEDED_HEAD = ("differ", "margin", "tied", "labels", "random pairs", "held")


def _sampled_row(one: Sampled) -> list[str]:
    return [
        f"{one.inputs:,}", str(one.labels), f"{100 * one.margin:g}", f"{100 * one.held:.2f}", f"{100 * one.share:.3g}",
        f"{100 * one.decided:g}", "" if one.any_try is None else f"{100 * one.any_try:.2f}",
    ]  # fmt: skip


def _strata_rows(cells: Sequence[Stratified]) -> Iterator[list[str]]:
    for key in dict.fromkeys((each.inputs, each.labels, each.by) for each in cells):
        group = [each for each in cells if (each.inputs, each.labels, each.by) == key]
        worst = max(group, key=lambda each: each.held)
        means = (sum(rates) / len(group) for rates in ([e.equal for e in group], [e.plain for e in group]))
        error = standard_error(worst.held, worst.draws)
        yield [
            f"{key[0]:,}", str(key[1]), key[2], f"{number(worst.held)} (± {number(error)})", *map(number, means),
        ]  # fmt: skip


def _topics_row(each: InTopics) -> list[str]:
    return [
        str(each.topics), f"{each.effective:.0f}", str(each.labels), f"{100 * each.margin:g}",
        f"{number(each.rare)} (± {number(standard_error(each.rare, each.draws))})", number(each.without),
        number(each.these), number(each.equal), number(each.equal_without),
    ]  # fmt: skip


def _needed_row(plan: Needed) -> list[str]:
    labels, held = ("-" if each is None else each for each in (plan.labels, plan.held))
    return [
        f"{100 * plan.share:g}", f"{100 * plan.margin:g}", f"{100 * plan.tied:g}", str(labels), str(plan.pairs),
        held if isinstance(held, str) else number(held),
    ]  # fmt: skip


def _wrong_row(one: Mislabelled) -> list[str]:
    return [one.kind, str(one.labels), number(one.held)]


if __name__ == "__main__":
    script(__file__, LIBRARIES, measure, report, broken, whole=[Terms()], quick=[QUICK])
