"""What a release proves: adaptive looks, openings, the best of many; and how to split cases into open and sealed.

    python benchmarks/releases.py            # ten seconds
    python benchmarks/releases.py --quick    # fewer teams

Writes releases.md; exit code 1 if what is promised to be at most 5 % is not.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))  # where `benchmarks` is, also for a script

from benchmarks.frame import script
from benchmarks.gate_markdown import number, percent, table
from benchmarks.gate_results import exceeds
from benchmarks.gate_rule import MARGIN, standard_error
from benchmarks.release_looks import CASES, EQUALS, FLIP_RATE, LEARNT, LOOKS, OPENINGS, Looking, looks
from benchmarks.release_splits import GAIN, Planned, planned
from tunegate.harness.core.progress import Watch

SIZES, FLIP_RATES, UNITS = (100, 200, 400, 800), (0.04, 0.1), (1, 5)
LIBRARIES = ("tunegate", "numpy", "scipy")


@dataclass(frozen=True)
class Found:
    """Both parts."""

    looks: list[Looking]
    splits: list[Planned]


def measure(teams: int, watch: Watch) -> Found:
    """Simulate the looks, compute the splits."""
    cells = [(n, flip_rate, units) for units in UNITS for flip_rate in FLIP_RATES for n in SIZES]
    with watch("Releases", len(cells) + 1) as done:
        looked = looks(teams)
        done(1)
        splits = []
        for cell in cells:
            splits.append(planned(*cell))
            done(1)
    return Found(looked, splits)


def broken(found: Found) -> Iterator[str]:
    """What is released more often than promised."""
    for each in found.looks:
        if each.promised and exceeds(each.released, each.teams):
            yield f"{each.how}: {percent(each.released)}"


def report(found: Found, made: str) -> str:
    """The report in Markdown."""
    worst = max((each for each in found.looks if each.promised), key=lambda each: each.released)
    naive = found.looks[0]
    return "\n\n".join([
        "# What a release proves",
        f"- Without a true gain, seven adaptive looks end in a release {percent(naive.released)} of the time if nobody "
        f"counts, {percent(found.looks[1].released)} if the level is divided by seven. With Tunegate at most "
        f"{percent(worst.released)} ({worst.how}).",
        made,
        "## Adaptive looks",
        f"{found.looks[0].teams:,} teams without a true gain: {CASES} open cases and {CASES} sealed ones, of which the "
        f"base passes 80 %, flip rate {100 * FLIP_RATE:g} %, margin {100 * MARGIN:g} points. After each look a team "
        f"knows {100 * LEARNT:g} % of the failures it saw by heart ({LOOKS} looks, {OPENINGS} openings, {EQUALS} equal "
        "adapters). Released, in %, with its standard error. Two ways are beyond any count: sealed cases that are "
        "trained on, which the hold-out of the trainer refuses, and cases that all change both their text and their "
        "names, which is a rule change and named first wherever the gate is read.",
        table(["what the team does", "released, %"], [[each.how, _rate(each)] for each in found.looks]),
        "## Open and sealed",
        f"Margin {100 * MARGIN:g} points. *Equal*: how often no unit blocks a model that is as good as the base, all "
        f"of them guards. *+{100 * GAIN:g}*: how often a target shows that gain while the other units, guards, do not "
        "block. *All open* is the first complete run of the task, and the only one that can prove something; *split* "
        "is a release whose sealed cases are opened for the first time, after as many looks at the open ones as one "
        "likes. All of it exact, units being independent.",
        table(SPLIT_HEAD, [_row(each) for each in found.splits]),
    ]) + "\n"  # fmt: skip


SPLIT_HEAD = (
    "units", "flip rate, %", "cases a unit", "guards: open + sealed", "target: open + sealed", "equal, all open, %",
    "equal, split, %", f"+{100 * GAIN:g}, all open, %", f"+{100 * GAIN:g}, split, %",
)  # fmt: skip


def _rate(each: Looking) -> str:
    return f"{number(each.released)} (± {number(standard_error(each.released, each.teams))})"


def _row(each: Planned) -> list[str]:
    shares = (each.equal, each.equal_split, each.gained, each.gained_split)
    splits = [f"{split.open} + {split.sealed}" for split in (each.guard, each.target)]
    return [str(each.units), f"{100 * each.flip_rate:g}", str(each.n), *splits, *map(number, shares)]


if __name__ == "__main__":
    script(__file__, LIBRARIES, measure, report, broken, whole=[10_000], quick=[1_000])
