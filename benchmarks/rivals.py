"""How often other gates and textbook rules release a loss, in the same worlds.

    python benchmarks/rivals.py            # seven minutes, once pip has fetched the tools into .tunegate/rivals
    python benchmarks/rivals.py --quick    # one number of cases, few draws

Writes rivals.md; exit code 1 if Tunegate releases a loss of the margin more than 5 % of the time.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))  # where `benchmarks` is, also for a script

from benchmarks.frame import script
from benchmarks.gate_markdown import percent, side_by_side, table
from benchmarks.gate_passfail import Cell
from benchmarks.gate_results import exceeds
from benchmarks.gate_rule import MARGIN, standard_error
from benchmarks.rival_tools import RULES, TOOLS, Answer, fetch
from tunegate.harness.core.progress import Watch
from tunegate.harness.gate.families import SEED

LIBRARIES = ("tunegate", "numpy", "scipy")
CELLS = ((100, 0.04), (100, 0.1), (200, 0.1))
CHANGES = (0.0, -1.0, -2.0)  # true changes, in margins


@dataclass(frozen=True)
class Judged:
    """A rule in one cell: how often it released and blocked, of `draws`, by the true change in margins."""

    rule: str
    n: int
    flip_rate: float
    released: dict[float, float]
    blocked: dict[float, float]
    draws: int


@cache
def answer(rule: str, n: int, regressed: int, fixed: int) -> Answer:
    """What a rule says of a table; each table is asked once."""
    return RULES[rule](n, regressed, fixed)


def judge(rule: str, n: int, flip_rate: float, draws: int) -> Judged:
    """Draw tables at each true change, the same for every rule."""
    released, blocked = {}, {}
    for change in CHANGES:
        random = np.random.default_rng([SEED, n, round(1e4 * flip_rate), round(10 - change)])
        tables = random.multinomial(n, Cell(n, flip_rate, change).chances, draws)[:, :2].tolist()
        said = Counter(answer(rule, n, regressed, fixed) for regressed, fixed in tables)
        released[change], blocked[change] = said["released"] / draws, said["blocked"] / draws
    return Judged(rule, n, flip_rate, released, blocked, draws)


def measure(cells: Sequence[tuple[int, float]], draws: int, watch: Watch) -> list[Judged]:
    """Every rule in every cell."""
    fetch()
    found = []
    with watch("Rivals", len(cells) * len(RULES)) as done:
        for n, flip_rate in cells:
            for rule in RULES:
                found.append(judge(rule, n, flip_rate, draws))
                done(1)
    return found


def broken(found: Sequence[Judged]) -> Iterator[str]:
    """Losses of the margin that Tunegate released too often."""
    for each in found:
        rate = each.released[-1.0]
        if each.rule == "Tunegate" and exceeds(rate, each.draws):
            yield f"n = {each.n}, flip rate {100 * each.flip_rate:g} %: a loss of the margin released {percent(rate)}"


def report(found: Sequence[Judged], made: str) -> str:
    """The report in Markdown."""
    cells = list(dict.fromkeys((each.n, each.flip_rate) for each in found))
    worst = {rule: max(each.released[-1.0] for each in found if each.rule == rule) for rule in RULES}
    loose = [rule for rule, rate in worst.items() if rate > 0.1]
    tools = ", ".join(f"{name} {version}" for name, version in TOOLS.items())
    head = ["rule", *(f"n = {n}, flip rate {100 * flip_rate:g} %" for n, flip_rate in cells)]

    def shares(what: str) -> str:
        rows = [
            [rule, *(side_by_side(*getattr(each, what).values()) for each in found if each.rule == rule)]
            for rule in RULES
        ]
        return table(head, rows)

    draws = found[0].draws
    return "\n\n".join([
        "# Other gates in the same worlds",
        f"- A true loss of {100 * MARGIN:g} points is released at worst {percent(worst['Tunegate'])} of the time by "
        f"Tunegate; more than 10 % of the time by {', '.join(f'{rule} ({percent(worst[rule])})' for rule in loose)}.",
        made,
        f"One pass/fail unit, margin {100 * MARGIN:g} points, {draws:,} draws a cell, the same for every rule "
        f"(standard error at most {percent(standard_error(0.5, draws))}, {percent(standard_error(0.05, draws))} at 5 "
        f"%). Each tool is asked by its own interface with its defaults but for the margin: {tools}. What is neither "
        "released nor blocked is undecided. *evalsig* answers another question: it allows what is better beyond "
        "chance. The *e-process* may be looked at after each case, which is what it pays for.",
        "## Released, in %: no change / loss of the margin / of two margins",
        shares("released"),
        "## Blocked, in %: no change / loss of the margin / of two margins",
        shares("blocked"),
    ]) + "\n"  # fmt: skip


if __name__ == "__main__":
    script(__file__, LIBRARIES, measure, report, broken, whole=[CELLS, 1_000], quick=[CELLS[:1], 200])
