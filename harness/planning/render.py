"""Plans as people read them: a table, strips that show which verdict to expect of which change, and sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tunegate.harness.core.formatting import change, percent
from tunegate.harness.fixtures.model import Unit
from tunegate.harness.planning.plan import Plan
from tunegate.harness.statistics.power import POWER

COLUMNS = (
    "unit", "cases", "margin", "flip\nrate", "held\nif no\nchange", "cases\nto\nhold",
    "least\nmargin\nheld", "least\ndrop\nfound", "least\ngain\nshown",
)  # fmt: skip
HALF = 30  # the cells of a strip on either side of no change, at most
STYLE = {"R": "red", "?": "yellow", "H": "green", "I": "bold green"}
LEGEND = (
    "The verdict to expect: R regressed, ? inconclusive, H held, I improved.",
    "Capitals: four times in five. Small letters, ?: more often than not. Dot: any.",
)


def print_plans(console: Console, plans: Sequence[Plan]) -> None:
    """The table, the strips, a sentence for each unit, and what they rest on; 80 columns do."""
    console.print(plan_table(plans))
    drawn = list(strips(plans, console.width))
    for line in (Text(), *drawn, *map(Text, LEGEND)) if drawn else ():
        console.print(line, soft_wrap=True)
    console.print()
    for text in (*(f"{each.unit.key}: {sentence(each)}" for each in plans), *sources(plans)):
        console.print(text, markup=False, highlight=False, soft_wrap=True)


def plan_table(plans: Sequence[Plan]) -> Table:
    """Units down, numbers across: points where cases pass or fail, else the score's own unit."""
    gain = next((f"+{_number(each.gain, each.unit)}" for each in plans if each.gain), "gain")
    out = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=0)
    for name in (*COLUMNS, f"cases\nfor\n{gain}"):
        number = name != "unit"
        out.add_column(name, justify="right" if number else "left", no_wrap=number, overflow="fold")
    for each in plans:
        out.add_row(*(Text(cell) for cell in _cells(each)))
    return out


def _cells(each: Plan) -> Iterator[str]:
    unit = each.unit
    yield unit.key
    yield str(each.n)
    yield _number(each.margin, unit)
    yield percent(each.seen.spread) if unit.kind == "pass/fail" else _number(each.seen.spread, unit)
    yield percent(each.chance)
    yield _count(each.needed)
    yield _number(each.held_margin, unit)
    yield _number(each.drop, unit)
    yield _number(each.shown_gain, unit)
    yield _count(each.gain_cases)


def _number(value: float | None, unit: Unit) -> str:
    return change(value, unit.kind, signed=False)


def _count(value: int | None) -> str:
    return "-" if value is None else str(value)


def strips(plans: Sequence[Plan], width: int) -> Iterator[Text]:
    """A letter for each true change up to two margins either way, a line for each unit.

    A unit by itself is also shown with half, twice and four times its cases. A continuous unit has a scale of its own.
    """
    drawn = [each for each in plans if each.power and each.margin]
    passing = [each for each in drawn if each.unit.kind == "pass/fail"]
    for block in filter(None, [passing, *([each] for each in drawn if each.unit.kind == "continuous")]):
        rows = [(each.unit.key, each, each.n) for each in block]
        if len(plans) == 1:
            one = block[0]
            rows = [
                (f"{_counted(n, one)}{' now' if n == one.n else ''}", one, n)
                for n in (one.n // 2 or 1, one.n, 2 * one.n, 4 * one.n)
            ]
        label = max(len(name) for name in ("true change", *(name for name, _, _ in rows))) + 1
        half = max(min(HALF, (width - label - 1) // 2), 10)
        span = 2 * max(each.margin or 0.0 for each in block)
        span = min(span, 1.0) if block is passing else span
        yield _scale(block[0].unit, label, half, span)
        for name, each, n in rows:
            yield Text(name.ljust(label)).append_text(_strip(each, n, half, span))


def _scale(unit: Unit, label: int, half: int, span: float) -> Text:
    """The true changes above the cells: at both ends, in the middle and halfway."""
    line = [*"true change".ljust(label + 2 * half + 1)]
    for part in (-1.0, -0.5, 0.0, 0.5, 1.0):
        mark = f"{100 * part * span:+.4g}" if unit.kind == "pass/fail" else f"{part * span:+.2g}"
        mark = mark if part else "0"
        start = label + half + round(part * half) - (len(mark) - 1) // 2
        start = min(max(start, label), len(line) - len(mark))
        line[start : start + len(mark)] = mark
    return Text("".join(line), style="dim")


def _strip(each: Plan, n: int, half: int, span: float) -> Text:
    out = Text()
    for cell in range(-half, half + 1):
        letter = _expected(each, n, span * cell / half)
        out.append(letter, style=STYLE.get(letter.upper(), "dim"))
    out.rstrip()
    return out


def _expected(each: Plan, n: int, true: float) -> str:
    """The letter of the verdict to expect of a true change; a blank where the base leaves no room for it."""
    if not (each.power and each.margin) or true > each.power.widest_gain:
        return " "
    regressed = each.power.prob_regressed(n, each.margin, true)
    held = each.power.prob_held(n, each.margin, true)
    improved = each.power.prob_improved(n, each.margin, true)
    chances = {"R": regressed, "?": 1 - regressed - held, "H": held - improved, "I": improved}
    letter = max(chances, key=lambda letter: chances[letter])
    # no verdict is likelier than not: a letter would promise one
    if chances[letter] <= 0.5:
        return "."
    return letter if chances[letter] >= POWER else letter.lower()


def sentence(each: Plan) -> str:
    """What the cases of a unit can and cannot see."""
    if each.margin is None:
        would = f"; {_counted(each.n, each)} would hold {_amount(each.held_margin, each.unit)}" if each.power else ""
        return f"not gated, for task.yaml declares no margin{would}."
    if each.power is None:
        return "nothing to plan from yet; a record judged with --tg-against has it: tunegate plan --run RECORD."
    return f"{_held(each)}; {_drop(each)}; {_gain(each)}."


def _held(each: Plan) -> str:
    margin, chance = _amount(each.margin, each.unit), each.chance or 0.0
    grouped = f" ({len(each.unit.cases)} cases)" if each.n != len(each.unit.cases) else ""
    cases = f"{_counted(each.n, each)}{grouped}"
    held = f"{cases} hold {margin} {_often(chance)} if nothing changed"
    if chance >= each.asked:
        return held
    if each.n < each.fewest:
        held = f"{cases} cannot hold {margin} without a gain"
    return f"{held}, and {each.needed} would {_often(each.asked)}, which its task asks for"


def _drop(each: Plan) -> str:
    if each.drop is None or each.power is None or each.margin is None:
        return "no drop is found four times in five"
    half = _often(each.power.prob_regressed(each.n, each.margin, -each.drop / 2))
    low = each.unit.kind == "pass/fail" and each.seen.rate is not None and each.seen.rate < each.drop
    drop = f"a drop of {_amount(each.drop, each.unit)}{', once there is so much to lose,' if low else ''}"
    return f"{drop} is found four times in five, one of {_amount(each.drop / 2, each.unit)} {half}"


def _gain(each: Plan) -> str:
    known = each.seen.rate is not None and each.unit.kind == "pass/fail"
    start = f"from {percent(each.seen.rate)} " if known else ""
    shown = f"a gain of {_amount(each.shown_gain, each.unit)}" if each.shown_gain else "no gain"
    more = ""
    if each.gain_cases:
        more = f", one of {_amount(each.gain, each.unit)} would take {_counted(each.gain_cases, each)}"
    return f"{start}{shown} is shown four times in five{more}"


def sources(plans: Sequence[Plan]) -> Iterator[str]:
    """What the plans rest on, each with the units it is true of."""
    found: dict[str, list[str]] = {}
    for each in plans:
        found.setdefault(each.seen.source, []).append(each.unit.key)
    for source, units in found.items():
        yield f"{source}: {', '.join(units)}."


def _counted(n: int, each: Plan) -> str:
    noun = "case" if each.n == len(each.unit.cases) else "observation"
    return f"{n} {noun}{'' if n == 1 else 's'}"


def _amount(value: float | None, unit: Unit) -> str:
    """`10 points`, or the bare number where scores are continuous."""
    if value is None or unit.kind == "continuous":
        return _number(value, unit)
    return f"{round(100 * value, 1):g} points"


def _often(chance: float) -> str:
    if chance >= 0.995:
        return "over 99 times in 100"
    return f"{round(100 * chance)} times in 100" if chance >= 0.005 else "hardly ever"
