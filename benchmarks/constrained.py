"""What constrained decoding does for form and for being right, with and without worked examples, on the embedded model.

python benchmarks/constrained.py --cases 8    # 2 minutes of processor time; writes constrained.md
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

sys.path.insert(0, str(Path(__file__).parent.parent))  # where `benchmarks` is, also for a script

from benchmarks.frame import ROOT, machine, write
from benchmarks.gate_markdown import table
from tunegate.harness.cases.loader import find_unit, load_tasks
from tunegate.harness.cases.model import Unit
from tunegate.harness.core.formatting import percent
from tunegate.harness.core.progress import quiet
from tunegate.harness.diagnosis.ladder import sample
from tunegate.harness.evaluation.record import Record
from tunegate.harness.evaluation.scoring import evaluate
from tunegate.harness.models.local.huggingface import Base, Local
from tunegate.harness.models.model_options import RungName

MODEL = "smollm2"
UNITS = ("support/triage", "support/orders")
RUNGS: tuple[RungName, ...] = ("as-is", "constrained", "few-shot", "few-shot-constrained")
COLUMNS = [
    "unit", "asked", "cases", "adherence", "exact", "cut", "tokens in", "tokens out", "s of processor time", "s",
]  # fmt: skip


def ways(adapter: Path | None) -> Iterator[tuple[str, RungName, Path | None]]:
    """What is compared: a name, the rung, and the adapter that is asked on it."""
    yield from ((rung, rung, None) for rung in RUNGS)
    if adapter:
        yield from (("tuned", "as-is", adapter), ("tuned, constrained", "constrained", adapter))


def rows(cases: int, adapter: Path | None) -> Iterator[list[str]]:
    """A row of the table for each unit and way of asking."""
    tasks, base = load_tasks(ROOT / "fixtures"), Base(MODEL, quiet())
    for unit in [sample(find_unit(tasks, key), cases) for key in UNITS]:
        for name, rung, tuned in ways(adapter):
            local = Local(MODEL, quiet(), tuned, rung, base)
            list(local.complete([]))  # loaded, with its adapter, before the clock starts
            wall, cpu = time.perf_counter(), time.process_time()
            record = evaluate([unit], local, quiet(), partial=True)
            yield [unit.key, name, *measured(unit, record), f"{time.process_time() - cpu:.1f}",
                   f"{time.perf_counter() - wall:.1f}"]  # fmt: skip


def measured(unit: Unit, record: Record) -> list[str]:
    """Of one unit: cases, adherence, exact, how many answers were cut, and the tokens of a call."""
    summary = record.units[unit.key]
    cut = sum(result.finish == "length" for result in record.of_unit(unit.key).values())
    read, written = summary.tokens or (0.0, 0.0)
    rates = [percent(summary.rates[rate]) for rate in ("adherence", "exact")]
    return [str(summary.n), *rates, str(cut), f"{read:.0f}", f"{written:.0f}"]


def main(
    cases: Annotated[int, typer.Option(help="Cases of a unit.")] = 24,
    adapter: Annotated[Path | None, typer.Option(help="As it is and constrained.", metavar="DIR")] = None,
) -> None:
    """Ask the embedded model, and write constrained.md."""
    tuned = f" --adapter {adapter}" if adapter else ""
    write("constrained", [
        "# Constrained decoding",
        "The same cases of the demo, asked in one process after one another, past every cache. *Adherence* is JSON "
        "that the schema allows, *exact* is that and all that was expected, *cut* are answers that did not end within "
        "`max_new_tokens`. Seconds are of all cases together and say little on a machine with other work "
        f"({machine()}, load {os.getloadavg()[0]:.1f}).",
        table(COLUMNS, rows(cases, adapter)),
        "What a grammar cannot remember, that no item of an order stands there twice, is left to the check.",
        f"    python benchmarks/constrained.py --cases {cases}{tuned}",
    ])  # fmt: skip


if __name__ == "__main__":
    typer.run(main)
