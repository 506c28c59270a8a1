"""Cases that training rows come near: how often the gate finds a gain where there is none on the others.

    python benchmarks/hold_out.py            # twenty minutes
    python benchmarks/hold_out.py --quick    # fewer draws

Each world is one target of 100 cases, of which a share is near. On the near cases the adapter is right: it has learnt
them by heart. On the others it is as good as its base, which flips by itself. Which cases are near depends on how hard
they are, as it may with real rows, but never on an output. Every world is decided by the shipped gate, once with the
near cases named and once without. Writes hold_out.md; exit code 1 if more than 5 % of the worlds with named cases are
"improved".
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))  # where `benchmarks` is, also for a script

from benchmarks.frame import script
from benchmarks.gate_markdown import number, table
from benchmarks.gate_results import ERRORS
from benchmarks.gate_rule import standard_error
from benchmarks.gate_worlds import TASK, UnitWorld, World, built
from tunegate.harness.core.progress import Watch
from tunegate.harness.gate import rule as gate

CASES, SHARES, FLIP_RATES = 100, (0.0, 0.1, 0.3, 0.5, 0.7, 0.9), (0.04, 0.2)
KINDS = ("any", "hard", "easy")  # which cases are near
PROMISED = 0.05
SEED = 20_261_130


@dataclass(frozen=True)
class Cell:
    """The shares of worlds that are improved, regressed and held, with the near cases named, and improved without."""

    flip_rate: float
    share: float
    kind: str
    worlds: int
    improved: float
    regressed: float
    held: float
    improved_unnamed: float

    @property
    def name(self) -> str:
        """What is drawn, in words."""
        return f"flips {100 * self.flip_rate:g} %, {100 * self.share:g} % near, {self.kind} cases"


def measure(worlds: int, watch: Watch) -> list[Cell]:
    """Draw the worlds of every cell."""
    asked = [
        (flips, share, kind) for flips in FLIP_RATES for share in SHARES for kind in KINDS if share or kind == "any"
    ]
    cells = []
    with watch("Cases that rows come near", len(asked)) as done:
        for flips, share, kind in asked:
            cells.append(_cell(flips, share, kind, worlds))
            done(1)
    return cells


def _cell(flips: float, share: float, kind: str, worlds: int) -> Cell:
    random = np.random.default_rng(SEED)
    named, unnamed = [], []
    for _ in range(worlds):
        world, near = _drawn(flips, share, kind, random)
        task, tuned, references = built(world)
        unit = task.units[0]
        ids = [case.id for case, is_near in zip(unit.cases, near, strict=True) if is_near]
        for candidate, into in ((replace(tuned, near={unit.key: ids} if ids else {}), named), (tuned, unnamed)):
            found = gate.compare([task], candidate, references, [TASK])
            into.append(found.verdicts[unit.key]["verdict"])
    rates = [named.count(name) / worlds for name in ("improved", "regressed", "held")]
    return Cell(flips, share, kind, worlds, *rates, unnamed.count("improved") / worlds)


def _drawn(flips: float, share: float, kind: str, random: np.random.Generator) -> tuple[World, np.ndarray]:
    """A world, and which of its cases are near."""
    ease = random.beta(1.2, 1.8, CASES)  # the chance of a case to pass
    before = (random.random(CASES) < ease).astype(float)
    flipped = random.random(CASES) < flips / np.mean(2 * ease * (1 - ease)) * 2 * ease * (1 - ease)
    after = np.where(flipped, (random.random(CASES) < ease).astype(float), before)
    weight = {"any": np.ones(CASES), "hard": 1 - ease, "easy": ease}[kind]
    near = np.zeros(CASES, dtype=bool)
    near[random.choice(CASES, round(share * CASES), replace=False, p=weight / weight.sum())] = True
    after[near] = 1.0
    return World((UnitWorld(before, after, margin=0.1),)), near


def report(cells: list[Cell], how: str) -> str:
    """The table, in Markdown."""
    rows = [
        [
            number(each.flip_rate), number(each.share), each.kind,
            f"{number(each.improved)} ± {number(standard_error(each.improved, each.worlds))}",
            number(each.regressed), number(each.held), number(each.improved_unnamed),
        ]
        for each in cells
    ]  # fmt: skip
    head = ["flips %", "near %", "near are", "improved %", "regressed %", "held %", "improved % if not named"]
    text = (
        f"One target of {CASES} cases, margin 10; the adapter has learnt the near cases by heart and gained nothing on "
        "the others. *Near are*: drawn from all cases alike, or rather from hard or from easy ones. *If not named*: "
        "what the gate would say if nobody knew which cases are near.\n\n"
        f"Written down before measuring: at most {number(PROMISED)} % are improved where the near cases are named."
    )
    return f"# Cases that training rows come near\n\n{text}\n\n{table(head, rows)}\n\n## How\n\n{how}\n"


def broken(cells: list[Cell]) -> Iterator[str]:
    """Cells with more than was promised, beyond chance."""
    for each in cells:
        slack = ERRORS * standard_error(each.improved, each.worlds)
        if each.improved > PROMISED + slack:
            yield f"{each.name}: improved {number(each.improved)} %, promised at most {number(PROMISED)} %"


if __name__ == "__main__":
    script(__file__, ("tunegate", "numpy", "scipy"), measure, report, broken, whole=(1500,), quick=(100,))
