"""Cases that training rows come near: verdicts in worlds whose truth is known.

    python benchmarks/hold_out.py            # ten minutes
    python benchmarks/hold_out.py --quick    # fewer draws

Rows are written when the base's outputs are known, so which cases they come near may depend on these outputs. Each
world is one target whose cases flip by chance, and an adapter that is its base's equal (`untouched`), has learnt the
near cases by heart and is an equal elsewhere (`memorized`), loses the margin on near cases alone (`harmed`), loses it
everywhere and has learnt the near cases by heart (`hidden`), or gains 15 points everywhere (`better`). The verdict of
the shipped code stands beside those of two other rules: without the near cases (`clean cases`), and as if none were
near (`all cases`). A row of the table is many cells; the worst is drawn again, and counts as drawn again.
Writes hold_out.md; exit code 1 if more than 5 % are wrongly improved, regressed or held, beyond chance.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass, replace
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parent.parent))  # where `benchmarks` is, also for a script

from benchmarks.frame import script
from benchmarks.gate_markdown import number, table
from benchmarks.gate_results import ERRORS
from benchmarks.gate_rule import Floats, standard_error
from benchmarks.gate_worlds import TASK, Mismatch, UnitWorld, World, built
from tunegate.harness.core.progress import Watch
from tunegate.harness.gate import rule as gate
from tunegate.harness.gate.families import LEVEL, SEED
from tunegate.harness.statistics import paired as stats
from tunegate.harness.statistics.balanced import balanced, score_strata

MARGIN, GAIN = 0.1, 0.15
SIZES, FLIPS, BASES, SHARES = (60, 100, 200, 400), (0.02, 0.1, 0.2), (0.1, 0.5, 0.9), (0.1, 0.3, 0.5)
TOPICS, OUTPUTS = 10, 3
PROMISED = 0.05
DRAWN = 20_261_202
AGAIN = 10  # times as many draws for the worst cell
CHECKED = 1  # worlds of each cell that the shipped gate decides as a whole
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Cell:
    """What is drawn: the kind of world, which cases rows come near, and how many cases of which kind there are."""

    kind: str
    near: str
    n: int
    flips: float
    base: float
    share: float
    graded: bool = False

    @property
    def name(self) -> str:
        """The numbers of a cell, in words."""
        shares = f"flips {100 * self.flips:g} %, base {100 * self.base:g} %, near {100 * self.share:g} %"
        return f"{self.n} cases, {shares}"


@dataclass(frozen=True)
class Rates:
    """The shares of improved, regressed and held (or improved), by one rule."""

    improved: float
    regressed: float
    held: float


@dataclass(frozen=True)
class Row:
    """A kind of world: the mean rates of its cells by each rule, and the worst cell for what would be wrong."""

    kind: str
    near: str
    graded: bool
    cells: int
    means: dict[str, Rates]
    worst: dict[str, tuple[Cell, float, int]]  # by the verdict: the cell, its share when drawn again, the draws


# what is wrong in a kind of world; in the last nothing is
WRONG = {
    "untouched": ("improved", "regressed"), "memorized": ("improved", "regressed"), "harmed": ("improved", "held"),
    "hidden": ("improved", "held"), "better": (),
}  # fmt: skip
NEAR = ("any", "passed", "failed", "mixed", "topics")
# the candidate's own outputs, which its rows cannot know: only a list that is written by hand can
BY_HAND = ("lost", "won")


def near_any(before: Floats, after: Floats, share: float, random: np.random.Generator) -> Flags:  # noqa: ARG001
    """Cases drawn alike."""
    return _some(np.arange(len(before)), share * len(before), len(before), random)


def near_passed(before: Floats, after: Floats, share: float, random: np.random.Generator) -> Flags:  # noqa: ARG001
    """Cases that the base gets right."""
    return _some(np.flatnonzero(before == 1), share * len(before), len(before), random)


def near_failed(before: Floats, after: Floats, share: float, random: np.random.Generator) -> Flags:  # noqa: ARG001
    """Cases that the base gets wrong."""
    return _some(np.flatnonzero(before < 1), share * len(before), len(before), random)


def near_mixed(before: Floats, after: Floats, share: float, random: np.random.Generator) -> Flags:
    """Half of them drawn alike, half from what the base gets wrong."""
    return near_failed(before, after, share / 2, random) | near_any(before, after, share / 2, random)


def near_topics(before: Floats, after: Floats, share: float, random: np.random.Generator) -> Flags:  # noqa: ARG001
    """All cases of the topics in which the base is worst."""
    topics = np.arange(len(before)) % TOPICS
    worst = np.argsort([before[topics == topic].mean() for topic in range(TOPICS)])
    return np.isin(topics, worst[: round(share * TOPICS)])


def near_lost(before: Floats, after: Floats, share: float, random: np.random.Generator) -> Flags:
    """A share of the cases that the candidate loses."""
    lost = np.flatnonzero(after < before)
    return _some(lost, share * len(lost), len(before), random)


def near_won(before: Floats, after: Floats, share: float, random: np.random.Generator) -> Flags:
    """A share of the cases that the candidate wins."""
    won = np.flatnonzero(after > before)
    return _some(won, share * len(won), len(before), random)


def _some(places: NDArray[np.intp], wanted: float, n: int, random: np.random.Generator) -> Flags:
    found = np.zeros(n, dtype=bool)
    found[random.choice(places, min(len(places), round(wanted)), replace=False)] = True
    return found


CHOSEN: dict[str, Callable[[Floats, Floats, float, np.random.Generator], Flags]] = {
    "any": near_any, "passed": near_passed, "failed": near_failed, "mixed": near_mixed, "topics": near_topics,
    "lost": near_lost, "won": near_won,
}  # fmt: skip


def drawn(cell: Cell, random: np.random.Generator) -> tuple[Floats, Floats, Flags]:
    """Scores before and after, and which cases are near."""
    ease = _ease(cell, random)
    before, after = _outputs(ease, cell.graded, random), _outputs(ease, cell.graded, random)
    if cell.kind == "better":
        after = np.where(random.random(cell.n) < GAIN / (1 - cell.base), 1.0, after)
    if cell.kind == "hidden":
        after = np.where(random.random(cell.n) < MARGIN / cell.base, 0.0, after)
    near = CHOSEN[cell.near](before, after, cell.share, random)
    if cell.kind in {"memorized", "hidden"}:
        after = np.where(near, 1.0, after)
    if cell.kind == "harmed":
        lost = near & (random.random(cell.n) < min(1.0, MARGIN * cell.n / max(after[near].sum(), 1e-9)))
        after = np.where(lost, 0.0, after)
    return before, after, near


def _ease(cell: Cell, random: np.random.Generator) -> Floats:
    """How likely each case passes: some flip like coins, so that the base's rate and that of flips are the cell's."""
    coins = 2 * cell.flips
    steady = np.clip((cell.base - coins / 2) / (1 - coins), 0, 1)
    return np.where(random.random(cell.n) < coins, 0.5, (random.random(cell.n) < steady).astype(float))


def _outputs(ease: Floats, graded: bool, random: np.random.Generator) -> Floats:
    if not graded:
        return (random.random(len(ease)) < ease).astype(float)
    return random.binomial(OUTPUTS, ease) / OUTPUTS


def shipped(before: Floats, after: Floats, near: Flags) -> tuple[bool, bool, bool]:
    """Whether the shipped code says improved, regressed and held, from its own statistics."""
    d, strata, worst, flags = after - before, score_strata(before.tolist()), (-before).tolist(), near.tolist()
    gain, hold = (balanced(strata, d.tolist(), worst, flags, of_gain=each).d for each in (True, False))
    held = _held(_key(d)) and _held(_key(hold))
    return held and _better(_key(d)) and _better(_key(gain)), _worse(_key(d)) and not held, held


def on_all(before: Floats, after: Floats, near: Flags) -> tuple[bool, bool, bool]:  # noqa: ARG001
    """The same as if rows came near none."""
    key = _key(after - before)
    held = _held(key)
    return held and _better(key), _worse(key) and not held, held


def on_clean(before: Floats, after: Floats, near: Flags) -> tuple[bool, bool, bool]:
    """The same on the cases that rows come near none of, and worse on all of them."""
    if near.all():
        return False, False, False
    key, every = _key((after - before)[~near]), on_all(before, after, near)
    held = _held(key)
    return held and _better(key), (_worse(key) and not held) or every[1], held


RULES = {"shipped": shipped, "clean cases": on_clean, "all cases": on_all}
_Key = tuple[tuple[float, int], ...]


def _key(d: Sequence[float] | Floats) -> _Key:
    values, counts = np.unique(np.round(np.asarray(d, float), 9), return_counts=True)
    return tuple(zip(values.tolist(), counts.tolist(), strict=True))


def _values(key: _Key) -> list[float]:
    return [value for value, count in key for _ in range(count)]


@cache
def _held(key: _Key) -> bool:
    return stats.held(_values(key), MARGIN)


@cache
def _better(key: _Key) -> bool:
    return sum(value * count for value, count in key) > 0 and stats.p_better(_values(key), seed=SEED).p <= LEVEL


@cache
def _worse(key: _Key) -> bool:
    return stats.p_worse(_values(key), seed=SEED).p <= LEVEL


def check(before: Floats, after: Floats, near: Flags, found: tuple[bool, bool, bool]) -> None:
    """Hold the shipped gate's verdict on a whole record against what was put together here.

    Raises:
        Mismatch: they differ.
    """
    task, tuned, references = built(World((UnitWorld(before, after, margin=MARGIN),)))
    [unit] = task.units
    ids = [case.id for case, is_near in zip(unit.cases, near, strict=True) if is_near]
    verdict = gate.compare([task], replace(tuned, near={unit.key: ids}), references, [TASK]).verdicts[unit.key]
    said = verdict.verdict
    whole = said == "improved", said == "regressed", said in {"improved", "held"}
    if whole != found:
        raise Mismatch(f"expected {found}, found {said} by tunegate.harness.gate.rule.compare")


def cells(kind: str, near: str, graded: bool) -> Iterator[Cell]:
    """All cells of a row; those that cannot be drawn are left out."""
    for n, flips, base, share in product(SIZES, FLIPS, BASES, SHARES):
        cell = Cell(kind, near, n, flips, base, share, graded)
        coins = flips <= min(base, 1 - base)
        loses = kind not in {"harmed", "hidden"} or base >= 2 * MARGIN
        # as many near cases must pass as the margin has
        harmed = kind != "harmed" or (near in {"any", "passed"} and share * (base if near == "any" else 1) > MARGIN)
        enough = near != "passed" or share <= base
        if coins and loses and harmed and enough and not (kind == "better" and base + GAIN > 1):
            yield cell


def rates(cell: Cell, draws: int, seed: int) -> dict[str, Rates]:
    """The rates of a cell by each rule."""
    random = np.random.default_rng([DRAWN, seed, *map(ord, cell.name + cell.kind + cell.near)])
    found: dict[str, list[tuple[bool, bool, bool]]] = {rule: [] for rule in RULES}
    for draw in range(draws):
        world = drawn(cell, random)
        for rule, decides in RULES.items():
            found[rule].append(decides(*world))
        if draw < CHECKED and not cell.graded:
            check(*world, found["shipped"][-1])
    return {rule: Rates(*np.mean(each, axis=0).tolist()) for rule, each in found.items()}


def measure(draws: int, watch: Watch) -> list[Row]:
    """Draw the worlds of every row."""
    rows = [(kind, near, graded) for graded in (False, True) for kind in WRONG for near in NEAR]
    rows += [(kind, near, False) for kind in WRONG for near in BY_HAND if "regressed" in WRONG[kind]]
    asked = [(row, list(cells(*row))) for row in rows]
    found = []
    with watch("Worlds with near cases", sum(len(each) for _, each in asked)) as done:
        for row, every in asked:
            if every:
                found.append(_row(*row, every, draws, done))
    return found


def _row(kind: str, near: str, graded: bool, every: list[Cell], draws: int, done: Callable[[int], None]) -> Row:
    draws = draws // 4 if graded else draws  # on no lattice of passes, each draw is another
    seen = []
    for cell in every:
        seen.append(rates(cell, draws, 1))
        done(1)
    means = {rule: _mean([each[rule] for each in seen]) for rule in RULES}
    worst = {}
    for what in WRONG[kind]:
        place = int(np.argmax([getattr(each["shipped"], what) for each in seen]))
        again = rates(every[place], AGAIN * draws, 2)["shipped"]
        worst[what] = (every[place], getattr(again, what), AGAIN * draws)
    return Row(kind, near, graded, len(every), means, worst)


def _mean(found: Sequence[Rates]) -> Rates:
    return Rates(*(float(np.mean(each)) for each in zip(*map(astuple, found), strict=True)))


def report(rows: list[Row], how: str) -> str:
    """The tables, in Markdown."""
    sizes, flips, bases, shares = (", ".join(f"{each:g}" for each in every) for every in (SIZES, FLIPS, BASES, SHARES))
    text = (
        f"One target, margin {100 * MARGIN:g} points: {sizes} cases, flip rates {flips}, base rates {bases}, shares of "
        f"near cases {shares}. Rows come near *any* cases, those that the base *passed* or *failed*, *mixed* ones "
        "(half failed), or the *topics* in which it is worst. "
        "*Lost* and *won*: such a share of what the candidate itself lost or won, which only a list written by hand "
        f"can know. Graded: means of {OUTPUTS} outputs.\n\n"
        f"Written down before measuring: at most {number(PROMISED)} % are wrongly improved, regressed or held."
    )
    wrong = [
        [
            each.kind, _near(each), str(each.cells), what, *_means(each, what),
            f"{number(share)} ± {number(standard_error(share, draws))}", cell.name,
        ]
        for each in rows for what, (cell, share, draws) in each.worst.items()
    ]  # fmt: skip
    asked = {"untouched": "held", "better": "improved"}
    power = [
        [each.kind, _near(each), asked[each.kind], *_means(each, asked[each.kind])]
        for each in rows if each.kind in asked and each.near in NEAR
    ]  # fmt: skip
    names = [f"{rule}, mean %" for rule in RULES]
    return (
        f"# Cases that training rows come near\n\n{text}\n\n## Wrong verdicts\n\n"
        + table(["world", "near", "cells", "wrongly", *names, "shipped, worst %", "there"], wrong)
        + "\n\n## Right verdicts\n\n"
        + table(["world", "near", "verdict", *names], power)
        + f"\n\n## How\n\n{how}\n"
    )


def _near(row: Row) -> str:
    return f"{row.near}, graded" if row.graded else row.near


def _means(row: Row, what: str) -> list[str]:
    return [number(getattr(row.means[rule], what)) for rule in RULES]


def broken(rows: list[Row]) -> Iterator[str]:
    """Cells with more than was promised, beyond chance."""
    for each in rows:
        for what, (cell, share, draws) in each.worst.items():
            if share > PROMISED + ERRORS * standard_error(share, draws) and each.near in NEAR:
                yield f"{each.kind}, near {each.near}, {cell.name}: wrongly {what} {number(share)} %"


if __name__ == "__main__":
    script(__file__, ("tunegate", "numpy", "scipy"), measure, report, broken, whole=(150,), quick=(10,))
