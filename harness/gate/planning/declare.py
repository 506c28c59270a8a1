"""The proposal for a task as text: a small table of margins, what they let through, and what they need."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tunegate.harness.core.formatting import listed, points
from tunegate.harness.core.printing import figures_table
from tunegate.harness.gate.planning.amounts import in_points, often
from tunegate.harness.gate.planning.proposal import Proposal, Way

COLUMNS = ("guards", "cases", "margin", "released", "one\nguard's\nloss", "all\nguards'\nloss")
LEGEND = (
    "Released: in % of the time. Loss, in points: such a loss is blocked 80 % of the time if one guard has it, 95 % "
    "if all have it."
)
STOPPED = " The smallest margins with which the guards block at most 5 % of honest adapters:"
ONCE = "Without sealed cases only the first complete run of the task proves a gain."


def print_proposal(console: Console, found: Proposal) -> None:
    """Print how often today's declarations release an honest adapter, then the alternatives."""
    console.print()
    for line in said(found):
        console.print(Text(line), soft_wrap=True)
    if found.guards:
        console.print(ways_table(found))
    for line in conditions(found):
        console.print(Text(line), soft_wrap=True)


def said(found: Proposal) -> Iterator[str]:
    """Yield a sentence on how often today's declarations release an honest adapter."""
    gains = f", {in_points(found.gain)} better on {listed(found.targets)}" if found.targets else ""
    passes = "is released" if found.targets else "passes"
    start = f"{found.task}, what to declare: today an honest adapter (equal on each guard{gains}) {passes}"
    if found.target_cases:
        yield (
            f"{start} {often(found.declared)}. The targets' own cases show {in_points(found.gain)} "
            f"{often(found.shown)}, regardless of the margins; {found.target_cases} per target would do so 80 % "
            "of the time." + (STOPPED if found.guards else "")
        )
    else:
        yield f"{start} {often(found.declared)}. The smallest margins with which it {passes} 80 % of the time:"


def ways_table(found: Proposal) -> Table:
    """Return a table of the ways: guards singly and together, open and split."""
    out = figures_table(COLUMNS, texts=("guards", "cases"))
    for way in found.ways:
        out.add_row(*_cells(found, way))
    return out


def _cells(found: Proposal, way: Way) -> Iterator[str]:
    yield "together" if way.together else "singly"
    yield "as they are" if found.is_split else _split(found, way) if way.sealed else "all open"
    yield points(way.margin, signed=False) if way.margin else "none"
    yield f"{100 * way.released:.0f}" if way.margin else "-"
    yield points(way.loss, signed=False)
    yield points(way.margin, signed=False)


def conditions(found: Proposal) -> Iterator[str]:
    """Yield the conditions of the proposal."""
    if found.guards:
        yield LEGEND
    if len(found.guards) > 1:
        names = ", ".join(f"{name}: 1" for name in found.guards)
        sealed = [name for name in found.guards if name in found.ways[0].sealed]
        single = [f"; give {name}, the only one with sealed cases, the same margin of its own" for name in sealed]
        own = "".join(single if len(single) == 1 else ())
        yield f"Together, in task.yaml: guards: {{together: {{{names}}}, margin: .., reason: ..}}{own}"
    if found.targets and not found.is_split:
        more = f" Sealing some needs about {found.sealable} cases per unit." if found.sealable else ""
        yield ONCE + more


def _split(found: Proposal, way: Way) -> str:
    """Return the open and sealed cases; by role if all units of a role have the same size."""
    roles = {"targets": found.targets, "guards": found.guards}
    sizes = {role: {_sizes(way, name) for name in names} for role, names in roles.items() if names}
    if all(len(each) == 1 for each in sizes.values()):
        return ", ".join(f"{role} {next(iter(each))}" for role, each in sizes.items())
    return ", ".join(f"{name} {_sizes(way, name)}" for name in way.open)


def _sizes(way: Way, name: str) -> str:
    return f"{way.open[name]} + {way.sealed[name]} sealed"
