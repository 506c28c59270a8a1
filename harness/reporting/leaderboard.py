"""A leaderboard: several adapters of one run in a table, the ones to release first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich import box
from rich.table import Table
from rich.text import Text

from tunegate.harness.core.escaping import shown
from tunegate.harness.core.formatting import change, level
from tunegate.harness.core.printing import Printer
from tunegate.harness.models.evaluation.record import Record
from tunegate.harness.models.evaluation.verdict import TaskDecision
from tunegate.harness.statistics.selection import excess_of_best

MANY = 8  # adapters; for more, each row is one line, and none is shown in full
SHOWN_ADAPTERS = 20  # the best of many
STYLE = {"release": "bold green", "unproven": "yellow", "block": "red"}


def megabytes(folder: Path) -> float:
    """Return the size of all files below a folder, in MB (10^6 bytes)."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def print_leaderboard(
    console: Printer, records: Sequence[Record], base: Path | None = None, limit: int | None = None
) -> None:
    """Print the table of the best, at most `limit`, and the total size with the shared model (in the folder `base`)."""
    ranked = sorted(records, key=_rank, reverse=True)
    console.print(leaderboard_table(ranked[:limit], "\n" if len(records) <= MANY else " "))
    console.lines((*_rest_lines(ranked[len(ranked[:limit]) :]), *luck_lines(records)))
    sizes = [megabytes(Path(record.adapter)) for record in records if record.adapter]
    if base and sizes:
        console.print(f"{len(sizes)} adapters of {sum(sizes):.1f} MB in all on one base of {megabytes(base):.1f} MB")


def _rest_lines(rest: Sequence[Record]) -> Iterator[str]:
    """Yield the number of rows not shown, with their decisions."""
    if rest:
        decided: Counter[str] = Counter(each.decision for record in rest for each in record.tasks.values())
        decisions = ", ".join(f"{decided[decision]} {decision}" for decision in STYLE if decided[decision])
        below = f"{len(rest)} more below" + (f" ({decisions})" if decisions else "")
        yield f"and {below}: tunegate report RECORD.json ... shows all of them"


def luck_lines(records: Sequence[Record]) -> Iterator[str]:
    """Yield by how much each target's best score is probably too high, since it was selected for being the best."""
    for unit in dict.fromkeys(unit for record in records for unit in record.verdicts):
        rows = [_scores(record, unit) for record in records]
        if len(rows) > 1 and rows[0] and all(rows) and records[0].verdicts[unit].role == "target":
            excess = change(excess_of_best(rows), records[0].units[unit].kind, signed=False)
            points = " points" if records[0].units[unit].kind == "pass/fail" else ""
            yield (
                f"{unit}: the best of {len(rows)} was selected by its score; if all were equally good, it would still "
                f"be about {excess}{points} too high"
            )


def _scores(record: Record, unit: str) -> list[float]:
    """Return the scores of a unit by case; none if a case has no score or the unit was not compared."""
    found = [result.score for _, result in sorted(record.of_unit(unit).items()) if result.score is not None]
    return found if unit in record.verdicts and len(found) == len(record.of_unit(unit)) > 1 else []


def leaderboard_table(records: Sequence[Record], between: str) -> Table:
    """Return a table of adapters and units: score and verdict, then the decision of each task.

    `between` separates a score from its verdict.
    """
    units = list(dict.fromkeys(unit for record in records for unit in record.units))
    tasks = list(dict.fromkeys(task for record in records for task in record.tasks))
    out = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for name in ("adapter", *units, *(f"{task}:\ndecision" for task in tasks)):
        out.add_column(name.replace("/", "/\n"), overflow="fold")
    for record in records:
        decisions = [_decision(record.tasks.get(task)) for task in tasks]
        out.add_row(_name(record), *(_cell(record, unit, between) for unit in units), *decisions)
    return out


def _rank(record: Record) -> tuple[int, float]:
    """Return the sort key: releasable tasks, then the mean gain of the compared targets."""
    released = sum(each.decision == "release" for each in record.tasks.values())
    gains = [each.difference or 0.0 for each in record.verdicts.values() if each.role == "target"]
    return released, sum(gains) / len(gains) if gains else 0.0


def _name(record: Record) -> Text:
    who = record.adapter or record.fingerprint.get("names", {}).get("model", "")
    return Text(shown(who.rstrip("/").rpartition("/")[2]))


def _cell(record: Record, unit: str, between: str) -> Text:
    if unit not in record.units:
        return Text("-")
    score = level(record.units[unit].mean, record.units[unit].kind)
    verdict = record.verdicts.get(unit)
    if not verdict:
        return Text(score)
    return Text(f"{score}{between}{verdict.verdict}", style="red" if verdict.blocks else "")


def _decision(found: TaskDecision | None) -> Text:
    decision = found.decision if found else "-"
    return Text(decision, style=STYLE.get(decision, ""))
