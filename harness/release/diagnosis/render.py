"""Diagnoses for the terminal: a table of strategies, and a sentence for each unit."""

from __future__ import annotations

from collections.abc import Iterator

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tunegate.harness.core.errors import show_path
from tunegate.harness.core.escaping import shown_lines
from tunegate.harness.core.formatting import difference, percent
from tunegate.harness.history.baselines.diagnosed import RungResult
from tunegate.harness.release.diagnosis.diagnosis import RECORDS, Diagnosis, Recommendation
from tunegate.harness.release.diagnosis.optimised import optimisation_sentences, prompt_path
from tunegate.harness.release.diagnosis.recommendation import times
from tunegate.harness.reporting.differences import word_diff

COLUMNS = ("unit, strategy", "cases", "form", "pass", "difference,\npoints [95 %]", "tokens\nper call", "times\nas-is")


def print_diagnosis(console: Console, found: Diagnosis) -> None:
    """Print the table, then the advice for each unit and its basis."""
    console.print(diagnosis_table(found))
    console.print()
    for line in (*sentences(found), *prompt_lines(found)):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def diagnosis_table(found: Diagnosis) -> Table:
    """Return a table of units with their strategies; form only if it differs from pass; significant gains are bold."""
    out = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=0)
    for column in COLUMNS:
        is_first = column is COLUMNS[0]
        out.add_column(column, justify="left" if is_first else "right", no_wrap=not is_first, overflow="fold")
    for unit, recommendation in found.units.items():
        out.add_row(Text(unit))
        for row in _rows(recommendation):
            out.add_row(*row)
    return out


def _rows(recommendation: Recommendation) -> Iterator[tuple[Text, ...]]:
    first = recommendation.rungs[0]
    has_form = any(result.form != result.mean for result in recommendation.rungs)
    for result in recommendation.rungs:
        gain = difference(result.gain, result.interval, "pass/fail") if result is not first else ""
        yield (
            Text(f"  {result.rung}"), Text(str(result.n)), Text(percent(result.form) if has_form else ""),
            Text(percent(result.mean)), Text(gain, style="bold" if result.better else "dim"), *_cost(result, first),
        )  # fmt: skip


def _cost(result: RungResult, first: RungResult) -> tuple[Text, Text]:
    if result.tokens is None:
        return Text("-"), Text("-")
    return Text(f"{result.tokens:.0f}"), Text(f"{times(result, first):.1f}")


def sentences(found: Diagnosis) -> Iterator[str]:
    """Yield a sentence for each unit, and one for the units that no prompt can change."""
    for unit, recommendation in found.units.items():
        yield f"{unit}: {recommendation.advice}"
    for unit, why in found.unconstrainable.items():
        yield f"{unit}: constrained decoding not tried: {why}."
    yield from optimisation_sentences(found.optimised)
    if found.unpromptable:
        yield f"Not diagnosed: {', '.join(found.unpromptable)}."
    yield f"About {found.cases} cases per unit (seed {found.seed}), hits and misses in proportion; bold is significant."


def prompt_lines(found: Diagnosis) -> Iterator[str]:
    """Yield each optimised prompt as a word diff with the unit's own, and how to use it."""
    new = {unit: each for unit, each in found.optimised.units.items() if each.is_new} if found.optimised else {}
    for unit, each in new.items():
        yield ""
        yield f"{unit}: its system prompt, optimised ([-removed-], {{+added+}}):"
        yield from (f"    {line}" for line in shown_lines(word_diff(each.before or "", each.system or "")).splitlines())
        yield (
            f"To use it, copy `prompt: system:` from {show_path(prompt_path(RECORDS, unit))} into "
            f"{found.task}/{each.file}. Gate the change as any other, then record and diagnose again."
        )
