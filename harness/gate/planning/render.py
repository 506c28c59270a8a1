"""Plans as text: tables, and sentences on tasks, on sealing and on sources."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tunegate.harness.core.formatting import percent
from tunegate.harness.core.printing import figures_table
from tunegate.harness.gate.planning.advice import advice_table
from tunegate.harness.gate.planning.amounts import amount, case_count, often, short_number
from tunegate.harness.gate.planning.evaluations import EVALUATIONS, Worth, worths
from tunegate.harness.gate.planning.plan import CHANGES, Chances, Plan
from tunegate.harness.gate.planning.split import CaseSplit
from tunegate.harness.gate.planning.whole_tasks import tasks_together
from tunegate.harness.statistics.power import POWER

COLUMNS = (
    "unit", "margin", "flip\nrate", "held if\nno change", "min.\nmargin", "95 %\nhold", "min.\ndrop\ndetected",
    "min.\ngain\nshown",
)  # fmt: skip
FRESH = "Each evaluation of the same sealed cases has a smaller error level. New cases start at 1 again."
MEASURE = (
    "A flip rate is the share of cases that differ between two equally good models. To measure it, evaluate an adapter "
    "with --tg-against baseline --tg-out RECORD.json, then: tunegate plan --run RECORD.json."
)
NONE_NEAR = "Near cases: none presumed (--near)."
NEAR = (
    "Near cases: training rows come near {} of the cases of each unit, as given, whatever their outputs. A gain, and a "
    "second test of held, rest on the others."
)


def print_plans(console: Console, plans: Sequence[Plan]) -> None:
    """Print the advice for each unit and task, then its reasons in tables, in 80 columns."""
    console.print(advice_table(plans))
    _print_lines(console, [*tasks_together(plans), *seals(plans)])
    console.print()
    console.print(plan_table(plans))
    if found := worths(plans):
        console.print()
        console.print(worth_table(found, plans))
        console.print(Text(FRESH), soft_wrap=True)
    if predicted := [each for each in plans if each.chances]:
        console.print()
        console.print(chances_table(predicted))
    _print_lines(console, [*sources(plans)])


def _print_lines(console: Console, lines: Sequence[str]) -> None:
    for text in ("", *lines) if lines else ():
        console.print(text, markup=False, highlight=False, soft_wrap=True)


def plan_table(plans: Sequence[Plan]) -> Table:
    """Return a table of units: in points for pass/fail, otherwise in the score's own unit."""
    out = figures_table(COLUMNS)
    for each in plans:
        out.add_row(*map(Text, _cells(each)))
    return out


def _cells(each: Plan) -> Iterator[str]:
    unit = each.unit
    yield unit.key
    yield short_number(each.margin, unit)
    moves = percent(each.seen.spread) if unit.kind == "pass/fail" else short_number(each.seen.spread, unit)
    yield f"~{moves}" if each.seen.is_assumed else moves
    yield percent(each.chance)
    yield short_number(each.held_margin, unit)
    yield short_number(each.usual_margin, unit)
    yield short_number(each.drop, unit)
    yield short_number(each.shown_gain, unit)


def chances_table(plans: Sequence[Plan]) -> Table:
    """Return a table of the chance of each verdict at true changes, in percent."""
    title = "In % of the time, by true change: regressed/inconclusive/held/improved"
    out = figures_table(("unit", *CHANGES), title=title)
    for each in plans:
        out.add_row(each.unit.key, *(_shares(each.chances.get(name)) for name in CHANGES))
    return out


def _shares(found: Chances | None) -> str:
    if found is None:
        return "-"
    return "/".join(f"{100 * value:.0f}" for value in (found.regressed, found.inconclusive, found.held, found.improved))


def worth_table(found: Sequence[Worth], plans: Sequence[Plan]) -> Table:
    """Return a table of how often sealed cases pass a model, by the number of their evaluation, in percent."""
    gains = {each.unit.key: amount(each.gain, each.unit) for each in plans if each.gain}
    targets = [each for each in plans if each.role == "target" and each.gain]
    gains |= {each.unit.task: amount(each.gain, each.unit) for each in targets}
    texts = ("unit or task", "what passes")
    title = "Passes, in %, by evaluation of the same sealed cases"
    out = figures_table((*texts, *map(str, EVALUATIONS)), texts, title)
    for each in found:
        whole = "/" not in each.key
        what = "an equal model" if each.what == "equal" else f"a gain of {gains.get(each.key, 'as much')}"
        what += " on each target" if whole and each.what == "gain" else ""
        out.add_row(f"{each.key}, whole task" if whole else each.key, what, *map(_hundredths, each.chances))
    return out


def _hundredths(chance: float) -> str:
    return f"{100 * chance:.0f}"


def seals(plans: Sequence[Plan]) -> Iterator[str]:
    """Yield a sentence for each target without a sealed unit: how many of its cases to seal."""
    for each in plans:
        if each.role == "target" and each.split:
            yield f"{each.unit.key}: {_seal(each, each.split)}"


def _seal(each: Plan, split: CaseSplit) -> str:
    if split.gained < 0.5:
        return (
            f"too few cases to prove a gain at a release with sealed ones; {split.needed} would do, "
            f"{split.needed - split.needed // 4} of them sealed. Until then only the task's first complete run does."
        )
    gain = f"{'a gain of' if each.gain else 'a loss below'} {amount(each.gain or each.margin, each.unit)}"
    short = split.gained < POWER and split.needed > each.n
    more = f" ({split.needed} cases in total would, 80 % of the time)" if short else ""
    return (
        f"seal {split.sealed} of these {case_count(each.n, each)} for releases, and work with the other {split.open}: "
        f"a release then shows {gain} {often(split.gained)}{more}, and at the second, third and fourth evaluation of "
        f"the same sealed cases {_later(split)} %. Open cases prove a gain only in the task's first complete run, "
        "as later adapters are chosen by them."
    )


def _later(split: CaseSplit) -> str:
    *first, last = map(_hundredths, split.later)
    return f"{', '.join(first)} and {last}"


def sources(plans: Sequence[Plan]) -> Iterator[str]:
    """Yield the sources of the plans, each with its units."""
    found: dict[str, list[str]] = {}
    for each in plans:
        found.setdefault(each.seen.source, []).append(each.unit.key)
    for source, units in found.items():
        yield f"{source}: {', '.join(units)}."
    if any(each.seen.is_assumed and each.unit.kind == "pass/fail" for each in plans):
        yield MEASURE
    if plans:
        yield NEAR.format(percent(plans[0].near)) if plans[0].near else NONE_NEAR
