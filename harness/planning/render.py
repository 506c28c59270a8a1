"""Plans as text: tables and sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tunegate.harness.core.formatting import percent
from tunegate.harness.core.printing import figures_table
from tunegate.harness.planning.advice import advice_table
from tunegate.harness.planning.amounts import amount, case_count, often, short_number
from tunegate.harness.planning.evaluations import EVALUATIONS, Worth, worths
from tunegate.harness.planning.history import USUAL_FLIP_RATES
from tunegate.harness.planning.plan import CHANGES, Chances, Plan
from tunegate.harness.planning.remedies import remedies, which_is_short, why_never
from tunegate.harness.planning.split import CaseSplit
from tunegate.harness.planning.whole_tasks import tasks_together
from tunegate.harness.statistics.power import POWER

COLUMNS = (
    "unit", "margin", "flip\nrate", "held if\nno change", "min.\nmargin\nheld", "min.\ndrop\ndetected",
    "min.\ngain\nshown",
)  # fmt: skip
FRESH = "Each evaluation of the same sealed cases has a smaller error level. New cases start at 1 again."
MEASURE = (
    "A flip rate is the share of cases that differ between two equally good models. To measure it, evaluate an adapter "
    "with --tg-against baseline --tg-out RECORD.json, then: tunegate plan --run RECORD.json."
)


def print_plans(console: Console, plans: Sequence[Plan]) -> None:
    """Print the advice for each unit and task, then its reasons: tables and sentences, in 80 columns."""
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
    _print_lines(console, [*(f"{each.unit.key}: {sentence(each)}" for each in plans), *sources(plans)])


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
    yield short_number(each.drop, unit)
    yield short_number(each.shown_gain, unit)


def chances_table(plans: Sequence[Plan]) -> Table:
    """Return a table of the chance of each verdict at true changes, in times in 100."""
    title = "Times in 100, by true change: regressed/inconclusive/held/improved"
    out = figures_table(("unit", *CHANGES), title=title)
    for each in plans:
        out.add_row(each.unit.key, *(_shares(each.chances.get(name)) for name in CHANGES))
    return out


def _shares(found: Chances | None) -> str:
    if found is None:
        return "-"
    return "/".join(f"{100 * value:.0f}" for value in (found.regressed, found.inconclusive, found.held, found.improved))


def worth_table(found: Sequence[Worth], plans: Sequence[Plan]) -> Table:
    """Return a table of how often sealed cases pass a model, by the number of their evaluation, in times in 100."""
    gains = {each.unit.key: amount(each.gain, each.unit) for each in plans if each.gain}
    targets = [each for each in plans if each.role == "target" and each.gain]
    gains |= {each.unit.task: amount(each.gain, each.unit) for each in targets}
    texts = ("unit or task", "what passes")
    title = "Times in 100, by the evaluation of the sealed cases"
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
    gain = f"a gain of {amount(each.gain, each.unit)}" if each.gain else f"{amount(each.margin, each.unit)} held"
    short = split.gained < POWER and split.needed > each.n
    more = f" ({split.needed} cases in total would, four times in five)" if short else ""
    return (
        f"seal {split.sealed} of these {case_count(each.n, each)} for releases, and work with the other {split.open}: "
        f"a release then shows {gain} {often(split.gained)}{more}, and at the second, third and fourth evaluation of "
        f"the same sealed cases {_later(split)} times. Open cases prove a gain only in the task's first complete run, "
        "as later adapters are chosen by them."
    )


def _later(split: CaseSplit) -> str:
    *first, last = map(_hundredths, split.later)
    return f"{', '.join(first)} and {last}"


def sentence(each: Plan) -> str:
    """Return what the cases of a unit can and cannot detect."""
    if each.margin is None:
        share = "" if each.shows_share else f" with `collapse: {each.least_collapse:g}`"
        held = f"{amount(each.held_margin, each.unit)}{share}"
        would = f"; {case_count(each.n, each)} would hold {held}" if each.power else ""
        return f"not gated, as task.yaml declares no margin{would}."
    if each.power is None:
        never = f"{why_never(each)}; it needs {remedies(each)}. " if why_never(each) else ""
        nothing = "No more data" if never else "no data to plan from"
        return f"{never}{nothing} yet; evaluate a model with --tg-against, then: tunegate plan --run RECORD."
    return f"{_held(each)}; {_drop(each)}; {_gain(each)}."


def _held(each: Plan) -> str:
    margin, chance = amount(each.margin, each.unit), each.chance or 0.0
    grouped = f" ({len(each.unit.cases)} cases)" if each.n != len(each.unit.cases) else ""
    cases = f"{case_count(each.n, each)}{grouped}"
    held = f"{cases} hold {margin} {often(chance)} if nothing changed"
    if each.group:
        within = amount(each.group.margin, each.unit)
        return f"{cases} share a margin of {within} for the mean loss with the other guards of its group"
    if chance >= each.asked:
        return held
    if each.unit.kind == "continuous":
        which = which_is_short(each)
        short = why_never(each) or (f"{held} ({which})" if which else held)
        return f"{short}; for all units of its task to hold four times in five, it needs {remedies(each)}"
    if each.n < each.fewest:
        held = f"{cases} cannot hold {margin} without a gain"
    low, high = (percent(rate) for rate in USUAL_FLIP_RATES)
    between = each.needed_between
    rates = f" ({between[0]} to {between[1]} at flip rates of {low} to {high})" if between else ""
    more = f", or {each.outputs_needed} outputs per case" if each.outputs_needed else ""
    return f"{held}; for all units of its task to hold four times in five, it needs {each.needed}{more}{rates}"


def _drop(each: Plan) -> str:
    if each.drop is None or each.power is None or each.margin is None:
        return "no drop is detected four times in five"
    half = often(each.power.prob_regressed(each.n, each.margin, -each.drop / 2))
    drop = f"a drop of {amount(each.drop, each.unit)} is detected four times in five, one of "
    drop += f"{amount(each.drop / 2, each.unit)} {half}"
    if not each.has_little_to_lose:
        return drop
    return f"the base passes {percent(each.seen.rate)}, so held says little; once it passes more, {drop}"


def _gain(each: Plan) -> str:
    known = each.seen.rate is not None and each.unit.kind == "pass/fail"
    start = f"from {percent(each.seen.rate)} " if known else ""
    shown = f"a gain of {amount(each.shown_gain, each.unit)}" if each.shown_gain else "no gain"
    more = ""
    if each.gain_cases:
        takes = "needs" if each.gain_cases <= each.n else "would need"
        more = f", one of {amount(each.gain, each.unit)} {takes} {case_count(each.gain_cases, each)}"
    return f"{start}{shown} is shown four times in five{more}"


def sources(plans: Sequence[Plan]) -> Iterator[str]:
    """Yield the sources of the plans, each with its units."""
    found: dict[str, list[str]] = {}
    for each in plans:
        found.setdefault(each.seen.source, []).append(each.unit.key)
    for source, units in found.items():
        yield f"{source}: {', '.join(units)}."
    if any(each.seen.is_assumed and each.unit.kind == "pass/fail" for each in plans):
        yield MEASURE
