"""Every chance that the documents and the gate's sentences promise, beside what was measured of it.

`benchmarks/gate.py` writes the table, promises.md: from its own run, and from the results that other benchmarks wrote.
A promise that is broken ends the run with exit code 1, and so does one whose words are gone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmarks import gate_results as found_of
from benchmarks.gate_markdown import percent, table
from benchmarks.gate_power import is_held, shown
from benchmarks.gate_results import BOUND, ERRORS, GRADED_BOUND, Claim, Results, claims
from benchmarks.gate_rule import MARGIN, standard_error
from benchmarks.gate_tails import RARELY
from tunegate.harness.release import asking

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
POWER, COVERED = 0.8, 0.05
FLIP_RATE = 0.04  # that plan assumes
ROUNDED = 0.0051  # a figure in whole percent
EXACT = 1e-9
UNITS = (50, 100, 200, 400, 1000)  # cases of a unit whose outputs are forged
RECITED, ASKED = 0.05, 64  # the share of rows that are recited, and how many are asked


@dataclass(frozen=True)
class Figure:
    """What was measured: a share, of so many draws (0: exact, or told with its rounding), where, and by which file."""

    rate: float
    draws: int
    where: str
    source: str = "gate.md"


@dataclass(frozen=True)
class Promise:
    """Words of a file that promise a chance: at most, at least or about `level`."""

    place: str
    words: str
    of: str
    sense: Literal["at most", "at least", "about"]
    level: float
    figure: Callable[[Results], Figure]


@dataclass(frozen=True)
class Kept:
    """A promise beside its figure; `there` says whether its words still are."""

    promise: Promise
    figure: Figure
    there: bool

    @property
    def broken(self) -> bool:
        """Whether it is not kept, by more than the allowance for simulation, or nowhere promised."""
        level, rate = self.promise.level, self.figure.rate
        error = ERRORS * standard_error(rate, self.figure.draws) + EXACT
        over = {"at most": rate - level, "at least": level - rate, "about": abs(rate - level) - ROUNDED}
        return not (self.there and over[self.promise.sense] <= error)  # no number, where a file has none, is none kept

    def __str__(self) -> str:
        gone = "" if self.there else ", and the words are gone"
        return (
            f"{self.promise.place}: {self.promise.words!r}: {self.promise.sense} {percent(self.promise.level)}, found "
            f"{percent(self.figure.rate)} ({self.figure.where}){gone}"
        )


def _claimed(what: str) -> Callable[[Results], Figure]:
    """The worst cell of a claim of the run, by what it surely errs."""

    def surely(each: Claim) -> float:
        return each.rate - ERRORS * standard_error(each.rate, each.draws)

    def figure(results: Results) -> Figure:
        worst = max((each for each in claims(results) if each.what == what), key=surely)
        return Figure(worst.rate, worst.draws, worst.where)

    return figure


def _planned(of: Literal["held", "improved", "regressed"]) -> Callable[[Results], Figure]:
    def figure(results: Results) -> Figure:
        least = min(results.planned, key=lambda each: float(getattr(each, of)))
        where = f"margin {100 * least.margin:g}, flip rate {100 * least.flip_rate:g} %"
        return Figure(getattr(least, of), 0, where)

    return figure


def _copied(of: Literal["singly", "grouped"]) -> Callable[[Results], Figure]:
    return lambda results: Figure(
        getattr(results.copied[0], of), results.copied[0].draws, "200 cases in families of four, flip rate 10 %"
    )


def _bounded(results: Results) -> Figure:
    worst = max(results.bounded, key=lambda each: each.missed)
    return Figure(worst.missed, 0, f"n = {worst.n}, flip rate {100 * worst.flip_rate:g} %")


def _forged(_: Results) -> Figure:
    """A twentieth of a unit's outputs, on an engine that repeats itself."""

    def caught(cases: int) -> float:
        forged = max(1, int(asking.SHARE * cases))
        return asking.found(cases, forged, asking.sample_size(cases, forged))

    least = min(UNITS, key=caught)
    return Figure(caught(least), 0, f"{least} cases, an engine that repeats itself", "as asking.md")


def _three_guards(_: Results) -> Figure:
    """Three equal guards of 60 cases that hold five points, by the gate's own test."""
    alone = shown(60, (FLIP_RATE / 2, FLIP_RATE / 2), lambda *table: is_held(60, MARGIN, *table))
    return Figure(alone**3, 0, f"flip rate {100 * FLIP_RATE:g} %", "computed here")


def _absent(_: Results) -> Figure:
    return Figure((1 - RARELY) ** 100, 0, "100 cases", "computed here")


def _memorized(_: Results) -> Figure:
    return Figure(1 - (1 - RECITED) ** ASKED, 0, "64 rows, one in twenty recited", "computed here")


def _told(source: str, pattern: str, of: float = 100.0) -> Callable[[Results], Figure]:
    """A number in the results that another benchmark wrote, so many of `of`."""

    def figure(_: Results) -> Figure:
        text = (RESULTS / source).read_text("utf-8")
        match = re.search(pattern, text)
        return Figure(float(match[1]) / of if match else float("nan"), 0, "as written there", source)

    return figure


def _drawn_topics(count: int) -> Callable[[Results], Figure]:
    def figure(results: Results) -> Figure:
        mine = [each for each in results.topics if each.world.topics == count and each.world.how == "rare"]
        if not mine:
            return Figure(float("nan"), 0, "not in this run")
        worst = max(mine, key=lambda each: each.known)
        return Figure(worst.known, worst.draws, str(worst.world))

    return figure


PLAN, GATE, MESSAGES = "docs/plan.md", "docs/gate.md", "harness/gate/messages.py"
EVIDENCE = "docs/evidence.md"
REPEATS = r"equal model is held {} times in 100"
ANSWERS = r"(?m)^\| {} \|(?: [\d.]+ \|){{{}}} ([\d.]+) \|"


def _at_most(place: str, words: str, *whats: str, level: float = BOUND) -> Iterator[Promise]:
    for what in whats:
        yield Promise(place, words, what, "at most", level, _claimed(what))


def _at_least(place: str, words: str, of: str, figure: Callable[[Results], Figure]) -> Promise:
    return Promise(place, words, of, "at least", POWER, figure)


def _about(place: str, words: str, of: str, level: float, figure: Callable[[Results], Figure]) -> Promise:
    return Promise(place, words, of, "about", level, figure)


def _verdicts() -> Iterator[Promise]:
    held, improved, regressed = (
        f"| {verdict} |" for verdict in (
            "held | the loss of such cases is smaller than the margin",
            "improved | such cases gain; the 5 % covers all targets together",
            "regressed | such cases lose, or lie below the minimum score; the 5 % covers all units, parts and "
            "references together",
        )
    )  # fmt: skip
    yield from _at_most(GATE, held, found_of.HELD, found_of.HELD_SCORES, found_of.RAMBLING)
    yield from _at_most(
        GATE,
        "loses as much as the margin is wrongly called *held* at most 5.5 % of the time",
        found_of.GRADED,
        level=GRADED_BOUND,
    )
    yield from _at_most(
        GATE, "few cases lose C or more: at most the share that `collapse` sets", found_of.MEAN_OR_SHARE
    )
    yield from _at_most(
        GATE,
        "*held* promises only that the mean loss over the topics of your cases is within the margin",
        found_of.TOPICS,
    )
    rare = (
        ("at most 8 % of the time with 50 topics", 50, 0.08),
        ("12 % with 20, and", 20, 0.12),
        ("25 % with ten. Measured", 10, 0.25),
    )
    for words, count, level in rare:
        yield Promise(EVIDENCE, words, f"held, {count} topics", "at most", level, _drawn_topics(count))
    yield from _at_most(GATE, improved, found_of.IMPROVED)
    yield from _at_most(GATE, "requires a gain *and* a score", found_of.CROSSED)
    yield from _at_most(
        GATE, regressed, found_of.REGRESSED, found_of.REGRESSED_SCORES, found_of.SLICES, found_of.TWICE,
        found_of.MINIMA, found_of.PARTS,
    )  # fmt: skip
    yield from _at_most(MESSAGES, "is at most {within}", found_of.HELD, found_of.HELD_SCORES, found_of.RAMBLING)
    yield from _at_most(MESSAGES, "of cases fall by", found_of.MEAN_OR_SHARE)
    yield from _at_most(MESSAGES, "before correction for other tests", found_of.IMPROVED)
    yield from _at_most("docs/cost.md", "the 95 % interval of the ratio of mean prices", found_of.MISSED, level=COVERED)
    yield from _at_most("docs/cost.md", "a one-sided sign-flip test of the prices at the gate's level", found_of.LOWER)
    yield from _at_most("docs/diagnose.md", "significantly better than `as-is` on the same cases", found_of.IMPROVED)


def _plans() -> Iterator[Promise]:
    hold, show, drop = (_planned(of) for of in ("held", "improved", "regressed"))
    yield _at_least(PLAN, "gets held in all units of the task 80 % of the time", "an equal unit held", hold)
    yield _at_least(PLAN, "to be called improved 80 % of the time", "ten points improved", show)
    yield _at_least(PLAN, "the smallest true drop that is called regressed 80 % of the time", "that drop", drop)
    yield _at_least(PLAN, "that is called improved 80 % of the time", "that gain", show)
    yield _at_least(MESSAGES, "settle it 80 % of the time", "an equal unit held", hold)
    yield _at_least(MESSAGES, "points 80 % of the time", "that drop", drop)
    yield from _at_most(PLAN, "how often the gate passes an equal model", found_of.PLANNED, level=EXACT)
    covers = "at or above the true rate at least 85 % of the time"
    yield Promise(PLAN, covers, "a flip rate above it", "at most", 0.15, _bounded)


def _other() -> Iterator[Promise]:
    three = "three equal guards of 60 cases are all held 8 % of the time"
    yield _about(EVIDENCE, three, "three equal guards held", 0.08, _three_guards)
    rare = "a collapse of one case in a hundred is absent from 37 % of samples of a hundred"
    yield _about(EVIDENCE, rare, "a rare collapse unseen", 0.37, _absent)
    lie = "large enough to find a forgery 95 % of the time"
    yield Promise("SECURITY.md", lie, "forged answers found", "at least", 0.95, _forged)
    recite = "If one row in twenty is memorized, a sample of 64 rows contains one 96 % of the time"
    yield _about("docs/training.md", recite, "recitals found", 0.96, _memorized)
    copies = "15 % of the time, with `group` 2.0 %"
    yield _about(EVIDENCE, copies, "a loss of the margin held, one by one", 0.15, _copied("singly"))
    yield _about(EVIDENCE, copies, "as groups", 0.020, _copied("grouped"))
    teams = "82 of 100 get a release on these open cases"
    looks = r"seven adaptive looks, nobody counts \| ([\d.]+)"
    yield _about(EVIDENCE, teams, "released without a gain, unsealed", 0.82, _told("releases.md", looks))
    sealed = r"sealed cases opened ten times, edited by a letter or not \| ([\d.]+)"
    yield Promise(
        EVIDENCE, "With sealed cases that nobody learns from, at most 4", "released without a gain, opened ten times",
        "at most", BOUND, _told("releases.md", sealed),
    )  # fmt: skip
    words = "is refused at most 4 % of the time for being lower, and 1 % for being higher"
    noise = _told("brought.md", r"refuses at most ([\d.]+) % of true records")
    yield Promise(GATE, words, "a true record of a change refused", "at most", BOUND, noise)
    for place, told in enumerate((0.22, 0.60, 0.85)):
        pattern = REPEATS.format(" / ".join("([\\d]+)" if i == place else "\\d+" for i in range(3)))
        yield _about(
            EVIDENCE, "is held 22 / 60 / 85 times in 100", "an equal model held", told, _told("repeats.md", pattern)
        )
    for answers, held, found in ((1, 0.28, 0.41), (4, 0.65, 0.90), (8, 0.82, 0.98)):
        words, column = "is held 28, 65 and 82 % of the time", ANSWERS.format(answers, 2)
        yield _about(EVIDENCE, words, f"{answers} answers a case", held, _told("answers.md", column))
        words, column = "is found 41, 90 and 98 %", ANSWERS.format(answers, 4)
        yield _about(EVIDENCE, words, f"{answers} answers a case", found, _told("answers.md", column))
    right = "127 were right (91 %)"
    once = _told("vocabulary.md", r"(\d+) of 140 were right", 140)
    yield _about(EVIDENCE, right, "outputs scored correctly", 0.91, once)


def promises() -> list[Promise]:
    """All of them, those of the verdicts first."""
    return [*_verdicts(), *_plans(), *_other()]


def kept(results: Results) -> list[Kept]:
    """Each promise beside what was found."""
    return [Kept(each, each.figure(results), is_there(each)) for each in promises()]


def is_there(promise: Promise) -> bool:
    """Whether the file has the words, however they are broken into lines."""
    return " ".join(promise.words.split()) in " ".join((ROOT / promise.place).read_text("utf-8").split())


def report(found: Iterable[Kept], about: Iterable[str]) -> str:
    """The table in Markdown, what is broken first."""
    every = sorted(found, key=lambda each: not each.broken)
    broken = [each for each in every if each.broken]
    return "\n\n".join([
        "# What is promised, and what was measured",
        "Every chance that the documents and the gate's sentences promise, with the worst cell that was found. *At "
        "most* 5 %: the gate tests at 4 %, and what it promises is 5. A simulated figure may lie two standard "
        "errors beyond its level. "
        f"{f'**{len(broken)} of {len(every)} are broken.**' if broken else f'All {len(every)} are kept.'}",
        *about,
        table(("where", "words", "of", "promised", "found", "in which cell", "by"), [_row(each) for each in every]),
    ]) + "\n"  # fmt: skip


def _row(each: Kept) -> list[str]:
    promise, figure = each.promise, each.figure
    error = f" ± {100 * standard_error(figure.rate, figure.draws):.1f}" if figure.draws else ""
    promised = f"{promise.sense} {percent(promise.level)}"
    found = f"{percent(figure.rate)}{error}"
    words = promise.words if each.there else f"{promise.words} (gone)"
    cells = (promise.place, words, promise.of, promised, found, figure.where, figure.source)
    shown = [each.replace("|", "\\|") for each in cells]
    return [f"**{cell}**" for cell in shown] if each.broken else shown
