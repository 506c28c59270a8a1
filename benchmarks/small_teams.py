"""Small teams: how often what `tunegate plan` proposes releases an honest adapter, and what it lets through.

    python benchmarks/small_teams.py            # twenty minutes
    python benchmarks/small_teams.py --quick    # fewer worlds

Every world is decided by the shipped gate. Writes small_teams.md; exit code 1 if less is released than foretold, or a
loss that is promised to be found is not.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))  # where `benchmarks` is, also for a script

from benchmarks.frame import script
from benchmarks.gate_markdown import number, table
from benchmarks.gate_results import BOUND, ERRORS
from benchmarks.gate_rule import standard_error
from benchmarks.gate_worlds import TASK, UnitWorld, World, decided, passfail_unit
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.core.progress import Watch
from tunegate.harness.gate.planning.history import Past
from tunegate.harness.gate.planning.plan import plan_units
from tunegate.harness.gate.planning.proposal import HONEST_GAIN, Proposal, Way, propose
from tunegate.harness.statistics.sample_size import expected_flips

CASES, GUARDS, FLIP_RATES = 60, 3, (0.04, 0.1)
LOSSES = (0.05, 0.1, 0.15, 0.2)  # of one guard
SEED = 20_261_129
LIBRARIES = ("tunegate", "numpy", "scipy")


@dataclass(frozen=True)
class Released:
    """What a way to declare the guards releases, and the truth: the changes of the guards."""

    flip_rate: float
    way: Way
    what: str
    losses: tuple[float, ...]
    promised: float | None
    released: float
    worlds: int

    @property
    def error(self) -> float:
        """The standard error."""
        return standard_error(self.released, self.worlds)


@dataclass(frozen=True)
class Found:
    """The proposals, one a flip rate, and what they release."""

    proposals: dict[float, Proposal]
    cells: list[Released]


def proposed(flip_rate: float) -> Proposal:
    """What `tunegate plan --flip-rate` proposes for one target and three guards."""
    names = ["target", *(f"guard{place}" for place in range(1, GUARDS + 1))]
    with tempfile.TemporaryDirectory() as folder:
        task = Path(folder) / TASK
        task.mkdir()
        (task / "schema.json").write_text("{}")
        units = {name: {"role": "guard", "reason": "a benchmark"} for name in names}
        units["target"]["role"] = "target"
        (task / "task.yaml").write_text(json.dumps({"version": 1, "units": units}))
        for name in names:
            cases = [{"id": f"c{place}", "input": f"{name} {place}", "expect": {}} for place in range(CASES)]
            head = {"version": 1, "suite": "schema", "unit": name, "check": {"schema": "schema.json"}}
            (task / f"{name}.yaml").write_text(json.dumps(head | {"prompt": {"system": "Sort."}, "cases": cases}))
        [loaded] = load_tasks(Path(folder))
        found = propose(loaded, plan_units([loaded], Past(flip_rate=flip_rate)))
    if found is None:
        raise ValueError("there is nothing to plan from")
    return found


def measure(worlds: int, watch: Watch) -> Found:
    """Draw the worlds of each way, by what is true of its guards."""
    proposals = {flip_rate: proposed(flip_rate) for flip_rate in FLIP_RATES}
    asked = [
        (flip_rate, way, *truth)
        for flip_rate, found in proposals.items()
        for way in found.ways
        for truth in truths(way, worlds)
    ]
    cells = []
    with watch("Small teams", len(asked)) as done:
        for flip_rate, way, what, losses, promised, count in asked:
            released = released_of(way, flip_rate, losses, count)
            cells.append(Released(flip_rate, way, what, losses, promised, released, count))
            done(1)
    return Found(proposals, cells)


def truths(way: Way, worlds: int) -> Iterator[tuple[str, tuple[float, ...], float | None, int]]:
    """What may be true of the guards: all equal, one of them worse, all worse by the margin."""
    yield "equal", (0.0,) * GUARDS, None, worlds
    for loss in LOSSES:
        yield f"one loses {100 * loss:g}", (loss, *(0.0,) * (GUARDS - 1)), None, worlds // 2
    yield "all lose the margin", (way.margin or 0.0,) * GUARDS, BOUND, worlds


def released_of(way: Way, flip_rate: float, losses: Sequence[float], worlds: int) -> float:
    """The share of worlds that the shipped gate releases: the target gains, the guards lose so much."""
    random = np.random.default_rng(SEED)
    margin = way.margin or 0.0
    changes = [HONEST_GAIN, *(-loss for loss in losses)]
    released = 0
    for _ in range(worlds):
        units = [passfail_unit(drawn(change, flip_rate, random), random) for change in changes]
        made = tuple(UnitWorld(unit.before, unit.after, margin=margin) for unit in units)
        found = decided(World(made, margin if way.together else None))
        released += found.tasks[TASK].decision == "release"
    return released / worlds


def drawn(change: float, flip_rate: float, random: np.random.Generator) -> np.ndarray:
    """The changes of one unit's cases."""
    flips = expected_flips(change, flip_rate)
    return random.choice([-1.0, 1.0, 0.0], CASES, p=[flips.regressed, flips.fixed, 1 - flips.either])


def broken(found: Found) -> Iterator[str]:
    """Where less is released than foretold, or more of what all guards lose than promised."""
    for each in found.cells:
        slack = ERRORS * each.error
        if each.what == "equal" and each.released < each.way.released - 0.02 - slack:
            yield f"{name(each)}: released {number(each.released)} %, foretold {number(each.way.released)} %"
        if each.promised is not None and each.released > each.promised + slack:
            yield f"{name(each)}: released {number(each.released)} %"


def name(each: Released) -> str:
    """A cell, in words."""
    return f"flips {100 * each.flip_rate:g} %, guards {kind(each.way)}, {each.what}"


def kind(way: Way) -> str:
    """How the guards are declared."""
    return "together" if way.together else "singly"


def report(found: Found, made: str) -> str:
    """The report in Markdown."""
    return "\n\n".join([
        "# Small teams",
        f"- One target and {GUARDS} guards of {CASES} cases each, all open, the target {100 * HONEST_GAIN:g} points "
        "better: how often the shipped gate releases what `tunegate plan` proposes, and what it lets through.",
        made,
        "## Released",
        "In %, with the standard error; whole worlds by the shipped gate. *Equal*: the guards do not change. Then one "
        "of them loses so many points; last, all of them lose the margin, which is promised at most 5 %. *Foretold* is "
        "what `plan` says of *equal*.",
        table(HEAD, [_row(found, flip_rate, way) for flip_rate, each in found.proposals.items() for way in each.ways]),
        "## Why",
        "\n".join(f"- Flips {100 * rate:g} %: {_why(each)}" for rate, each in found.proposals.items()),
    ]) + "\n"  # fmt: skip


HEAD = (
    "flips, %", "guards", "margin", "foretold", "equal", *(f"one loses {100 * loss:g}" for loss in LOSSES),
    "all lose the margin",
)  # fmt: skip


def _row(found: Found, flip_rate: float, way: Way) -> list[str]:
    cells = [each for each in found.cells if (each.flip_rate, each.way) == (flip_rate, way)]
    shares = [f"{number(each.released)} (± {number(each.error)})" for each in cells]
    return [f"{100 * flip_rate:g}", kind(way), f"{100 * (way.margin or 0.0):g}", number(way.released), *shares]


def _why(each: Proposal) -> str:
    short = f"; {each.target_cases} cases would do so 80 % of the time" if each.target_cases else ""
    seal = f"; it takes about {each.sealable} cases a unit to seal some" if each.sealable else ""
    return (
        f"with margins of 5 points each, as declared, an honest adapter is released {number(each.declared)} % of the "
        f"time; the target's own cases show its gain {number(each.shown)} %{short}{seal}."
    )


if __name__ == "__main__":
    script(__file__, LIBRARIES, measure, report, broken, whole=[2_000], quick=[200])
