"""Several adapters of one run beside each other: a row each, the ones to release first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tunegate.harness.core.escaping import shown
from tunegate.harness.core.formatting import change, level
from tunegate.harness.evaluation.record import Record
from tunegate.harness.statistics.selection import excess_of_best

MANY = 8  # adapters; of more a row is one line, and none is shown in full beside the table
SHOWN_ADAPTERS = 20  # of many, the best
STYLE = {"release": "bold green", "unproven": "yellow", "block": "red"}


def megabytes(folder: Path) -> float:
    """The size of all files below a folder, in MB (10^6 bytes)."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def print_leaderboard(
    console: Console, records: Sequence[Record], base: Path | None = None, limit: int | None = None
) -> None:
    """The table of the best, at most `limit`, and what all weigh beside the model they share (in the folder `base`)."""
    ranked = sorted(records, key=_rank, reverse=True)
    console.print(leaderboard_table(ranked[:limit], "\n" if len(records) <= MANY else " "))
    for line in (*_rest_lines(ranked[len(ranked[:limit]) :]), *luck_lines(records)):
        console.print(line, highlight=False, soft_wrap=True, markup=False)
    names = [name for record in records if (name := record.adapter)]
    if base and names:
        sizes = [megabytes(Path(name)) for name in names]
        console.print(
            f"{len(sizes)} adapters of {sum(sizes):.1f} MB in all on one base of {megabytes(base):.1f} MB",
            highlight=False,
        )


def _rest_lines(rest: Sequence[Record]) -> Iterator[str]:
    """How many are not shown, and what was decided of them."""
    if rest:
        decided = Counter(each["decision"] for record in rest for each in record.tasks.values())
        said = ", ".join(f"{decided[decision]} {decision}" for decision in STYLE if decided[decision])
        below = f"{len(rest)} more below{f' ({said})' if said else ''}"
        yield f"and {below}: tunegate report RECORD.json ... shows all of them"


def luck_lines(records: Sequence[Record]) -> Iterator[str]:
    """By how much the best number of each target is likely too high, since it was picked for being the best."""
    for unit in dict.fromkeys(unit for record in records for unit in record.verdicts):
        rows = [_scores(record, unit) for record in records]
        if len(rows) > 1 and rows[0] and all(rows) and records[0].verdicts[unit]["role"] == "target":
            excess = change(excess_of_best(rows), records[0].units[unit].kind, signed=False)
            points = " points" if records[0].units[unit].kind == "pass/fail" else ""
            yield (
                f"{unit}: the best of {len(rows)} is picked for its number; were all equally good, it would still lie "
                f"about {excess}{points} too high"
            )


def _scores(record: Record, unit: str) -> list[float]:
    """The scores of a unit by case; none where a case has none, or it was not compared."""
    found = [result.score for _, result in sorted(record.of_unit(unit).items()) if result.score is not None]
    return found if unit in record.verdicts and len(found) == len(record.of_unit(unit)) > 1 else []


def leaderboard_table(records: Sequence[Record], between: str) -> Table:
    """Adapters down, units across: the score, and the verdict where there is one; then the decision of each task.

    `between` stands between a score and its verdict.
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
    """Tasks to release, then the mean gain of the targets that the verdicts name."""
    released = sum(each["decision"] == "release" for each in record.tasks.values())
    gains = [each["difference"] or 0.0 for each in record.verdicts.values() if each["role"] == "target"]
    return released, sum(gains) / len(gains) if gains else 0.0


def _name(record: Record) -> Text:
    who = record.adapter or record.fingerprint.get("names", {}).get("model", "")
    return Text(shown(who.rstrip("/").rpartition("/")[2]))


def _cell(record: Record, unit: str, between: str) -> Text:
    if unit not in record.units:
        return Text("-")
    score = level(record.units[unit].mean, record.units[unit].kind)
    verdict = record.verdicts.get(unit)
    return Text(f"{score}{between}{verdict['verdict']}" if verdict else score, style="red" if _blocks(verdict) else "")


def _blocks(verdict: Mapping[str, object] | None) -> bool:
    return bool(verdict and verdict["blocks"])


def _decision(found: Mapping[str, str] | None) -> Text:
    decision = found["decision"] if found else "-"
    return Text(decision, style=STYLE.get(decision, ""))
