"""Rows made from cases, and rows that know none: how near and how far ahead they stand as a whole.

    python benchmarks/rewordings.py DATA     # 3 minutes; DATA as of hold_out_sets.py; writes results/rewordings.md

Honest rows: three public sets with their official split, the demo's units and the example's, each with its own rows.
Reworded: all 200 cases of the demo's triage, each reworded by someone who saw the cases and not the code
(leak_texts/reworded.jsonl), by themselves, among the unit's own rows and among all of the demo's. Exit code 1 if an
honest set is named, or a reworded one of all cases is not.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))  # where `benchmarks` is, also for a script

from benchmarks.blind_leaks import TEXTS
from benchmarks.frame import RESULTS, ROOT, carry_out
from benchmarks.gate_markdown import table
from benchmarks.hold_out_projects import SOURCES, write_project
from benchmarks.hold_out_sets import points
from benchmarks.public_sets import Files
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.cases.model import Task, Unit
from tunegate.harness.checks.embeddings import embed
from tunegate.harness.core.progress import Watch
from tunegate.harness.rows.examples import Example, read_examples
from tunegate.harness.rows.rewordings import LEAST, Standing, standing_of

LIBRARIES = ("tunegate", "numpy", "scipy", "sentence-transformers")
DEMO, EXAMPLE = ROOT / "trainers/recipes/rows", ROOT / "examples/returns"
PARTS = (25, 50, 100)  # of the 200 cases, reworded


@dataclass(frozen=True)
class Compared:
    """Rows and a unit's cases: whether the rows were made from the cases, and where they stand."""

    name: str
    made: int  # reworded cases
    cases: int
    rows: int
    found: Standing


def measure(data: Path, watch: Watch) -> list[Compared]:
    """Compare every set."""
    sets = [*_public(data), *_demo(), *_reworded()]
    with watch("Comparing rows with cases", len(sets)) as done:
        found = []
        for name, made, unit, rows in sets:
            found.append(_compared(name, made, unit, rows))
            done(1)
    return found


def _compared(name: str, made: int, unit: Unit, rows: Sequence[Example]) -> Compared:
    asked, held = list(dict.fromkeys(row.input for row in rows)), [case.text for case in unit.cases]
    return Compared(name, made, len(held), len(asked), standing_of(embed(held), embed(asked)))


Set = tuple[str, int, Unit, Sequence[Example]]


def _public(data: Path) -> Iterator[Set]:
    for source in SOURCES:
        with tempfile.TemporaryDirectory() as folder:
            write_project(Path(folder), source, Files(data / source.repository, source.commit), {})
            [task] = load_tasks(Path(folder) / "fixtures")
            yield source.name, 0, task.units[0], read_examples([Path(folder) / "recipes/rows.jsonl"], task)


def _demo() -> Iterator[Set]:
    task, rows = _rows_of_demo()
    yield from _by_unit("demo", task, rows)
    [example] = load_tasks(EXAMPLE / "fixtures")
    yield from _by_unit("example", example, read_examples(sorted((EXAMPLE / "recipes/rows").glob("*.jsonl")), example))


def _rows_of_demo() -> tuple[Task, list[Example]]:
    [task] = (each for each in load_tasks(ROOT / "fixtures") if each.name == "support")
    files = [DEMO / f"{name}.jsonl" for name in ("triage", "orders", "replies", "wording")]
    return task, list(read_examples(files, task))


def _by_unit(name: str, task: Task, rows: Sequence[Example]) -> Iterator[Set]:
    for unit in task.units:
        own = [row for row in rows if row.unit == unit.name]
        if min(len(own), len(unit.cases)) >= LEAST:
            yield f"{name}, {unit.name}", 0, unit, own


def _reworded() -> Iterator[Set]:
    task, rows = _rows_of_demo()
    [unit] = (each for each in task.units if each.name == "triage")
    with tempfile.TemporaryDirectory() as folder:
        lines = [json.loads(line) for line in (TEXTS / "reworded.jsonl").read_text("utf-8").splitlines()]
        path = Path(folder) / "rows.jsonl"
        asked = ({"unit": "triage", "input": each["input"], "output": each["output"]} for each in lines)
        path.write_text("".join(json.dumps(each) + "\n" for each in asked), "utf-8")
        made = list(read_examples([path], task))
    own = [row for row in rows if row.unit == "triage"]
    yield "reworded", len(made), unit, made
    yield "reworded, among the unit's rows", len(made), unit, [*made, *own]
    yield "reworded, among all rows", len(made), unit, [*made, *rows]
    for part in PARTS:
        yield f"{part} reworded, among all rows", part, unit, [*made[:part], *rows]


def report(found: Sequence[Compared], made: str) -> str:
    """The result as Markdown."""
    rows = [
        [each.name, str(each.cases), str(each.rows), points(each.found.share), points(each.found.expected),
         points(each.found.excess), points(each.found.lead), f"{each.found.level:.0e}", _named(each.found)]
        for each in found
    ]  # fmt: skip
    return "\n\n".join([
        "# Rows made from cases",
        "*Nearest*: of how many cases, in %, a row is nearer than any other case, and what is expected of rows that "
        "know no case. *Excess*: the lower 99 % bound of what is beyond, in % of what is possible. *Lead*: in how many "
        "pairs of a case and a row, in %, the case's nearest row leads over the next by more, and the p of that.",
        table(["set", "cases", "rows", "nearest", "expected", "excess", "lead", "p", "named"], rows),
        "The limits were chosen on these sets. Promised: no honest set is named, and each that rewords all cases is.",
        "## How", made,
    ]) + "\n"  # fmt: skip


def _named(found: Standing) -> str:
    return "yes" if found.is_made else "no"


def broken(found: Sequence[Compared]) -> Iterator[str]:
    """What was not kept."""
    for each in found:
        if each.found.is_made and not each.made:
            yield f"{each.name}: honest rows are named"
        if not each.found.is_made and each.made == each.cases:
            yield f"{each.name}: reworded cases are not"


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    carry_out(
        RESULTS / "rewordings.md", "python benchmarks/rewordings.py DATA", LIBRARIES,
        lambda watch: measure(folder, watch), report, broken,
    )  # fmt: skip
