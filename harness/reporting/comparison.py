"""Compared configurations for the terminal: their differences, a table, and the cases in which they differ most."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from tunegate.harness.checks.outputs.message import shown_output
from tunegate.harness.core.errors import show_path
from tunegate.harness.core.escaping import shown
from tunegate.harness.core.formatting import difference, level
from tunegate.harness.core.printing import Printer
from tunegate.harness.core.typed import as_data
from tunegate.harness.models.evaluation.record import Record, Result
from tunegate.harness.reporting.leaderboard import luck_lines
from tunegate.harness.reporting.record import STYLE, laid_out, print_table, tokens_text

SHOWN = 3  # cases per unit
EXCERPT = 90  # characters of an output


def print_comparison(console: Printer, records: Sequence[Record]) -> None:
    """Print a table of the records, each later one against the first, then the cases of each unit that differ most."""
    print_table(console, _table(records))
    console.print()
    console.lines((*_different_lines(records), *luck_lines(records[1:])))
    console.lines(f"record of {shown(each.compared_as)}: {show_path(each.path)}" for each in records if each.path)


def comparison_data(records: Sequence[Record]) -> list[dict[str, Any]]:
    """Return the table as JSON data: per configuration its record, and the numbers of each unit."""
    return [
        {
            "name": each.compared_as,
            "record": str(each.path) if each.path else None,
            "units": {unit: _unit_data(each, unit) for unit in each.units},
            "timing": as_data(each.timing),
        }
        for each in records
    ]


def _unit_data(record: Record, unit: str) -> dict[str, Any]:
    summary, verdict = record.units[unit], record.verdicts.get(unit)
    compared = {name: getattr(verdict, name) for name in ("difference", "interval", "level", "verdict") if verdict}
    return {"n": summary.n, "mean": summary.mean, "tokens": summary.tokens} | compared


def _table(records: Sequence[Record]) -> Table:
    first = records[0]
    rows: list[list[str | Text]] = [
        [unit, str(summary.n), *(_cell(each, unit) for each in records)] for unit, summary in first.units.items()
    ]
    for unit, summary in first.units.items():
        if summary.tokens:
            rows.append([f"{unit}: tokens in/out", "", *(tokens_text(each.units[unit]) for each in records)])
    if any(each.timing for each in records):
        rows.append(["median seconds per call", "", *map(_seconds, records)])
    names = [shown(each.compared_as) for each in records]
    return laid_out(f"against {names[0]}", ("unit", "cases", *names), rows)


def _cell(record: Record, unit: str) -> Text:
    score = level(record.units[unit].mean, record.units[unit].kind)
    verdict = record.verdicts.get(unit)
    if not verdict:
        return Text(score)
    moved = difference(verdict.difference, verdict.interval, verdict.kind)
    return Text(f"{score}\n{moved}\n{verdict.verdict}", style=STYLE[verdict.verdict])


def _seconds(record: Record) -> str:
    return f"{record.timing.tuned.median_s:.3g}" if record.timing else "-"


def _different_lines(records: Sequence[Record]) -> Iterator[str]:
    for unit in records[0].units:
        cases = _different(records, unit)
        if cases:
            yield f"{unit}: the cases in which they differ most"
        for case in cases:
            yield f"  {shown(case)}"
            for each in records:
                yield f"    {shown(each.compared_as)}: {_said(each.of_unit(unit)[case])}"


def _different(records: Sequence[Record], unit: str) -> list[str]:
    """Return the cases of a unit in which most differs from the first record; on a tie in the order of the file."""
    first, *others = (each.of_unit(unit) for each in records)
    moved = {case: sum(_moved(result, each[case]) for each in others) for case, result in first.items()}
    return sorted((case for case, far in moved.items() if far), key=lambda case: -moved[case])[:SHOWN]


def _moved(before: Result, now: Result) -> float:
    return 0.0 if before.score is None or now.score is None else abs(now.score - before.score)


def _said(result: Result) -> str:
    if result.score is None:
        return "unscored"
    state = f"{result.score:.3g}" if result.passed is None else "passed" if result.passed else "failed"
    finding = f" ({shown(str(result.missed.findings[0]))})" if result.missed.findings else ""
    return state + (f": {_excerpt(result.missed.output)}" if result.missed.output is not None else "") + finding


def _excerpt(output: str) -> str:
    line = " ".join(shown_output(output).split())
    return shown(line if len(line) <= EXCERPT else f"{line[:EXCERPT]}...")
