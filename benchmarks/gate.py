"""How often the gate's verdicts are right, on the shipped code, beside the rules it could have had.

    python benchmarks/gate.py            # 45 minutes on two cores
    python benchmarks/gate.py --quick    # a minute: fewer cells and draws

Writes gate.md and promises.md, every chance that the documents and the gate's sentences promise; exit code
1 if one of them is broken.
"""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

sys.path.insert(0, str(Path(__file__).parent.parent))  # where `benchmarks` is, also for a script

from benchmarks import gate_passfail, gate_references, gate_scores, gate_slices, promises
from benchmarks.frame import machine
from benchmarks.gate_costs import CORRELATIONS, LAWS, LIMITS, MARGINS, Lengths, cost_claim, cost_guard, rambling, run_on
from benchmarks.gate_evaluations import LAST, evaluation
from benchmarks.gate_findings import findings
from benchmarks.gate_grid import prices, two_points
from benchmarks.gate_parts import falling_parts
from benchmarks.gate_power import powers
from benchmarks.gate_report import report
from benchmarks.gate_results import Results, broken
from benchmarks.gate_scores import Sizes
from benchmarks.gate_tails import tails
from benchmarks.gate_thresholds import crossings, minima, on_minimum
from benchmarks.gate_told import bounded, copied, planned
from benchmarks.gate_topics import by_topic
from benchmarks.gate_worlds import Mismatch
from tunegate.harness.core.progress import Watch, watch_on

RESULTS = Path(__file__).parent / "results"
LIBRARIES = ("tunegate", "numpy", "scipy")
GRADED_MARGINS, POWER_MARGINS = (0.03, 0.05, 0.1), (0.05, 0.1)
SMALL = (20, 30, 50)  # cases with which a minimum score errs most
FEWEST = 59  # cases that can hold five points at all
LEAST, MOST = 100, 200  # cases: of continuous units, and of those of costs
SCORES = Sizes(held=4_000, families=2_000, changed=200, worlds=3)
CLAIMS, RUN_ON = (60, 100, 200, 400), (256, 512, 2048)  # calls of a claim, and tokens up to which one runs on
CLAIMED = 5  # the most tokens of an answer whose cost is claimed to be lower, in means


@dataclass(frozen=True)
class Terms:
    """What a run covers of graded and continuous scores, declared scores, power and costs; `draws` are of each cell."""

    sizes: tuple[int, ...] = (20, 60, 100, 200, 400)
    flip_rates: tuple[float, ...] = (0.02, 0.04, 0.1)
    collapses: tuple[float, ...] = (0.02, 0.05)
    margins: tuple[float, ...] = (0.02, 0.05, 0.1, 0.2, 0.3)  # of graded scores
    laws: tuple[int, int] = (24, 13)  # of two points: losses and gains
    units: tuple[int, ...] = (1, 4, 8)
    rates: tuple[float, ...] = (0.8, 0.95)  # minimum scores
    draws: int = 4_000
    worlds: int = 1
    #: Numbers of cases, and of topics.
    topics: tuple[tuple[int, int], ...] = tuple(product((200, 400), (10, 20, 50)))


@dataclass(frozen=True)
class Settings:
    """What a run covers: numbers of cases, flip rates, draws of each kind, whole worlds for the gate."""

    sizes: tuple[int, ...] = (50, 100, 200, 400, 800)
    flip_rates: tuple[float, ...] = (0.02, 0.04, 0.1)
    draws: int = 20_000
    worlds: int = 4
    scores: Sizes = SCORES
    collapses: int = 400
    between: tuple[int, int] = (50, 200)
    # two references: numbers of cases, flip rates, and units of a family
    beside: tuple[int, ...] = (50, 100, 200, 400)
    beside_flip_rates: tuple[float, ...] = (0.02, 0.04, 0.1, 0.2)
    units: tuple[int, ...] = (1, 5, 10)
    terms: Terms = Terms()


QUICK = Settings(
    sizes=(50, 100),
    flip_rates=(0.04,),
    draws=2_000,
    worlds=2,
    scores=Sizes(held=1_000, families=200, changed=50, worlds=1),
    collapses=20,
    between=(50, 70),
    beside=(50,),
    beside_flip_rates=(0.04,),
    units=(1, 5),
    terms=Terms(
        sizes=(60, 100),
        flip_rates=(0.04,),
        collapses=(0.05,),
        margins=(0.1,),
        laws=(6, 5),
        units=(4,),
        rates=(0.95,),
        draws=400,
        worlds=1,
        topics=((200, 10), (200, 20), (200, 50)),
    ),
)


@dataclass(frozen=True)
class Job:
    """A piece of one part of the results, found in a process of its own: `run(*arguments)`."""

    part: str
    run: Callable[..., Any]
    arguments: tuple[Any, ...]


def jobs(settings: Settings) -> Iterator[Job]:
    """Everything there is to find, in the order of the tables."""
    for n in settings.sizes:
        for flip_rate in settings.flip_rates:
            yield Job("passfail", gate_passfail.passfail, (n, flip_rate, settings.draws, settings.worlds))
            yield Job("gains", gate_passfail.gains, (n, flip_rate))
            for sizes in (gate_slices.SMALL, gate_slices.large(n)):
                yield Job("innocents", gate_slices.innocents, (n, flip_rate, sizes, settings.draws, settings.worlds))
            for shape in gate_scores.SHAPES:
                yield Job("scores", gate_scores.scores, (n, flip_rate, shape, settings.scores))
    for family in gate_references.families(settings.beside, settings.beside_flip_rates, settings.units):
        yield Job("twice", gate_references.twice, (family, settings.draws // 10, settings.worlds))
    for flip_rate in settings.flip_rates:
        yield Job("scans", gate_passfail.scan, (settings.between, flip_rate))
        for fall in gate_slices.FALLS:
            yield Job("collapses", gate_slices.collapse, (fall, flip_rate, settings.collapses))
    yield from _graded(settings.terms)
    yield from _topics(settings.terms)
    yield from _declared(settings.terms)
    yield from _costs(settings.terms)
    yield from _told(settings.terms)


def _graded(terms: Terms) -> Iterator[Job]:
    for n in terms.sizes:
        for margin in terms.margins:
            yield Job("grid", two_points, (n, margin, *terms.laws))
        for margin in GRADED_MARGINS:
            yield Job("prices", prices, (n, margin, terms.draws // 2))
        if n >= LEAST:
            for collapse in terms.collapses:
                yield Job("tails", tails, (n, collapse, terms.draws, terms.worlds))


def _topics(terms: Terms) -> Iterator[Job]:
    for n, count in terms.topics:
        yield Job("topics", by_topic, (n, count, terms.draws // 10))


def _declared(terms: Terms) -> Iterator[Job]:
    for n, flip_rate in product(terms.sizes, terms.flip_rates):
        yield Job("crossed", crossings, (n, flip_rate))
        yield Job("parts", falling_parts, (n, flip_rate, 0.0, terms.draws // 2, terms.worlds))
        if n < FEWEST:
            continue
        for margin in POWER_MARGINS:
            yield Job("powers", powers, (n, margin, flip_rate))
        for units, rate in product(terms.units, terms.rates):
            yield Job("minima", minima, (n, flip_rate, units, rate, terms.draws, terms.worlds))
    for n, flip_rate in product(sorted({*SMALL, *terms.sizes}), terms.flip_rates):
        yield Job("on_minimum", on_minimum, (n, flip_rate))
    for opening in range(1, LAST + 1):
        yield Job("evaluations", evaluation, (opening, 3 * terms.worlds))


def _costs(terms: Terms) -> Iterator[Job]:
    for law, limit, correlation in product(LAWS, LIMITS, CORRELATIONS):
        lengths = Lengths(law, limit, correlation)
        for n, margin in product((each for each in terms.sizes if LEAST <= each <= MOST), MARGINS):
            yield Job("costs", cost_guard, (lengths, n, margin, terms.draws // 4, terms.worlds))
    for law, correlation, n in product(LAWS, CORRELATIONS, terms.sizes[:3]):
        yield Job("cost_claims", cost_claim, (Lengths(law, CLAIMED, correlation), n, terms.draws))
    yield Job("rambling", rambling, (terms.draws,))
    for n, most in product(CLAIMS, RUN_ON):
        yield Job("run_on", run_on, (n, most, terms.draws // 8))


def _told(terms: Terms) -> Iterator[Job]:
    for flip_rate in terms.flip_rates:
        for margin in POWER_MARGINS:
            yield Job("planned", planned, (margin, flip_rate))
        for n in terms.sizes:
            yield Job("bounded", bounded, (n, flip_rate))
    yield Job("copied", copied, (terms.draws,))


def measure(settings: Settings, watch: Watch, workers: int) -> Results:
    """Find every part; the same settings give the same results, however many workers there are.

    Raises:
        Mismatch: the shipped gate evaluated a world differently.
    """
    every = list(jobs(settings))
    order = sorted(every, key=lambda job: job.part in {"scores", "tails", "minima"}, reverse=True)  # the longest first
    found: dict[Job, Any] = {}
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool, watch("Worlds", len(every)) as done:
        running = {pool.submit(job.run, *job.arguments): job for job in order}
        try:
            for each in as_completed(running):
                found[running[each]] = each.result()
                done(1)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return _collected(every, found)


def _collected(every: Iterable[Job], found: Mapping[Job, Any]) -> Results:
    parts: dict[str, list[Any]] = {}
    for job in every:
        piece = found[job]
        parts.setdefault(job.part, []).extend(piece if isinstance(piece, list) else [piece])
    return Results(**parts)


def about(settings: Settings, command: str, seconds: float) -> list[str]:
    """With what, where and when it was made."""
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    cells = f"n in {_listed(settings.sizes)}; flip rate {_listed(f'{100 * rate:g}' for rate in settings.flip_rates)} %"
    return [
        f"    {command}",
        f"{datetime.now(UTC):%d %B %Y}, {machine()}, Python {platform.python_version()}, {libraries}; "
        f"{seconds / 60:.1f} minutes, {sum(os.times()[:4]) / 60:.1f} of processor time in all. Seeded: the same tables "
        f"each time. {cells}.",
    ]


def _listed(values: Iterable[Any]) -> str:
    return ", ".join(str(value) for value in values)


def main(
    quick: Annotated[bool, typer.Option("--quick", help="Fewer cells and draws, half a minute.")] = False,
    out: Annotated[Path, typer.Option("--out", help="Where the results go.", metavar="DIR")] = RESULTS,
    workers: Annotated[int, typer.Option("--workers", help="Processes.", metavar="N")] = os.cpu_count() or 1,
) -> None:
    """Measure the gate's error rates, write gate.md and promises.md, and fail if a promise is broken."""
    console, start = Console(highlight=False, soft_wrap=True), time.monotonic()
    settings = QUICK if quick else Settings()
    try:
        results = measure(settings, watch_on(console), workers)
    except Mismatch as error:
        console.print(str(error), markup=False)
        raise typer.Exit(1) from error
    command = "python benchmarks/gate.py" + (" --quick" if quick else "")
    out.mkdir(parents=True, exist_ok=True)
    made, kept = about(settings, command, time.monotonic() - start), promises.kept(results)
    (out / "gate.md").write_text(report(results, made), "utf-8")
    (out / "promises.md").write_text(promises.report(kept, made), "utf-8")
    for line in findings(results):
        console.print(f"- {line}", markup=False)
    console.print(f"Written: {out / 'gate.md'}, {out / 'promises.md'}", markup=False)
    wrong = [*(f"{each.what}, {each}" for each in broken(results)), *(str(each) for each in kept if each.broken)]
    if wrong:
        console.print("A promise is broken: " + "; ".join(wrong), markup=False)
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
