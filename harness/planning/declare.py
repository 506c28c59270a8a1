"""What to declare, in words: the proposal of a task as a small table, what it lets through, and what it takes."""

from __future__ import annotations

from collections.abc import Iterator

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tunegate.harness.core.formatting import listed, points
from tunegate.harness.planning.amounts import often
from tunegate.harness.planning.proposal import Proposal, Way

COLUMNS = ("guards", "cases", "margin", "released", "one\nguard's\nloss", "all\nguards'\nloss")
LEGEND = (
    "Released: times in 100. Loss, in points: of one guard, stopped four times in five; of all guards alike, 19 times "
    "in 20."
)
ONCE = "With nothing sealed only the first complete run of the task proves a gain."


def print_proposal(console: Console, found: Proposal) -> None:
    """What is declared today and what it refuses, then each way that would not, and what it lets through."""
    console.print()
    for line in said(found):
        console.print(Text(line), soft_wrap=True)
    console.print(ways_table(found))
    for line in conditions(found):
        console.print(Text(line), soft_wrap=True)


def said(found: Proposal) -> Iterator[str]:
    """What an honest adapter is, and how often what is declared releases it."""
    gains = f", {in_points(found.gain)} better on {listed(found.targets)}" if found.targets else ""
    passes = "is released" if found.targets else "passes"
    start = f"{found.task}, what to declare: as it is, an honest adapter (equal on each guard{gains}) {passes}"
    if found.target_cases:
        yield (
            f"{start} {often(found.declared)}. The targets' own cases show {in_points(found.gain)} "
            f"{often(found.shown)}, whatever the margins; {found.target_cases} of each would do so four times in five. "
            "The smallest margins with which the guards stop no more than one honest adapter in twenty:"
        )
    else:
        yield f"{start} {often(found.declared)}. The smallest margins with which it {passes} four times in five:"


def ways_table(found: Proposal) -> Table:
    """Ways down: guards singly and together, open and split."""
    out = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for name in COLUMNS:
        text = name in ("guards", "cases")
        out.add_column(name, justify="left" if text else "right", no_wrap=not text, overflow="fold")
    for way in found.ways:
        out.add_row(*_cells(way, bool(found.guards), found.is_split))
    return out


def _cells(way: Way, has_guards: bool, is_kept: bool) -> Iterator[str]:
    yield ("together" if way.together else "singly") if has_guards else "none"
    yield cases(way, is_kept)
    yield points(way.margin, signed=False) if way.margin or not has_guards else "none"
    yield f"{100 * way.released:.0f}" if way.margin or not has_guards else "-"
    yield points(way.loss, signed=False)
    yield points(way.margin, signed=False)


def conditions(found: Proposal) -> Iterator[str]:
    """What the margins rest on, and what else it takes."""
    if found.guards:
        yield LEGEND
    if len(found.guards) > 1:
        names = ", ".join(f"{name}: 1" for name in found.guards)
        yield f"Together, in task.yaml: guards: {{together: {{{names}}}, margin: .., reason: ..}}"
    if not any(way.sealed for way in found.ways) and found.targets:
        more = f" To seal some takes about {found.sealable} cases a unit." if found.sealable else ""
        yield ONCE + more


def cases(way: Way, is_kept: bool = False) -> str:
    """`all open`, `as they are`, or how many of each unit are open and sealed."""
    if is_kept or not way.sealed:
        return "as they are" if is_kept else "all open"
    parts = {name: f"{way.open.get(name, 0)} open, {n} sealed" for name, n in way.sealed.items()}
    parts |= {name: f"{n} open" for name, n in way.open.items() if name not in way.sealed}
    if len(set(parts.values())) == 1:
        return f"each: {next(iter(parts.values()))}"
    return "; ".join(f"{name}: {part}" for name, part in parts.items())


def in_points(share: float) -> str:
    """`15 points`."""
    return f"{round(100 * share, 1):g} points"
