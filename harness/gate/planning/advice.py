"""One line of advice per unit: enough cases, how many more, or what to measure first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.table import Table
from rich.text import Text

from tunegate.harness.core.formatting import listed, percent
from tunegate.harness.core.printing import figures_table
from tunegate.harness.gate.planning.amounts import amount, plain_number
from tunegate.harness.gate.planning.plan import Plan
from tunegate.harness.gate.planning.remedies import remedies

TIGHTER = 0.6  # of the margin: if so small a margin is held too, the advice mentions it


def advice_table(plans: Sequence[Plan]) -> Table:
    """Return a table of units: their cases, the cases needed to hold the margin and to show the gain, and advice."""
    gain = next((f"+{plain_number(each.gain, each.unit)}" for each in plans if each.gain), "gain")
    columns = ("unit", "role", "cases", "for the\nmargin", f"to show\n{gain}", "what to do")
    out = figures_table(columns, texts=("unit", "role", "what to do"))
    out.columns[1].no_wrap = True
    for each in plans:
        sealed = ", sealed" if each.unit.sealed else ""
        out.add_row(
            *map(Text, (each.unit.key, each.role + sealed, str(each.n), *_needed(each), "; ".join(next_steps(each))))
        )
    return out


def _needed(each: Plan) -> Iterator[str]:
    """Yield the cases needed to hold and, for a target, to show the gain."""
    for count in (each.needed, each.gain_cases if each.role == "target" else None):
        yield "-" if count is None else str(count)


def next_steps(each: Plan) -> Iterator[str]:
    """Yield the advice for a unit."""
    if each.margin is None:
        share = "" if each.shows_share else f" with `collapse: {each.least_collapse:g}`"
        held = f"; {amount(each.held_margin, each.unit)}{share} would do" if each.power else ""
        yield f"declare a margin: it is not gated{held}"
        return
    if each.power is None:
        if each.n < each.fewest:
            yield _ways(each)
        yield "measure how far its scores move (--run)"
        return
    if each.group:
        yield f"shares a margin of {amount(each.group.margin, each.unit)} with its group"
        return
    few = (each.chance or 0.0) < each.asked
    if few and each.unit.kind == "continuous":
        yield _ways(each)
    elif few:
        outputs = f", or {each.outputs_needed} outputs per case" if each.outputs_needed else ""
        yield f"{_more(each.needed, each)}{outputs}, or a margin of {amount(each.held_margin, each.unit)}"
    if each.role == "target" and not each.is_proven_elsewhere and each.gain_cases and each.gain_cases > each.n:
        shown = f"shows {amount(each.shown_gain, each.unit)}" if each.shown_gain else "shows no gain"
        yield f"{shown}, {_more(each.gain_cases, each)} would show {amount(each.gain, each.unit)}"
    elif not few and each.role != "target" and each.has_little_to_lose:
        but = f" except its parts: {listed(each.parts)}" if each.parts else ""
        yield f"the base passes {percent(each.seen.rate)}: nothing to guard yet{but}"
    elif not few and each.role != "target" and each.held_margin and each.held_margin < TIGHTER * each.margin:
        yield f"enough, also for a margin of {amount(each.held_margin, each.unit)}"
    elif not few:
        yield "enough"


def _ways(each: Plan) -> str:
    return f"for a margin of {amount(each.margin, each.unit)}: {remedies(each)}"


def _more(count: int | None, each: Plan) -> str:
    return f"{(count or each.n) - each.n} more cases"
