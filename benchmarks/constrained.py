"""What constrained decoding does for form and for being right, with and without worked examples, on the embedded model.

python benchmarks/constrained.py --cases 8    # 2 minutes of processor time; writes constrained.md
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))  # where `benchmarks` is, also for a script

from benchmarks.gate_markdown import table
from tunegate.harness.cases.loader import find_unit, load_tasks
from tunegate.harness.cases.model import Unit
from tunegate.harness.core.files import write_atomically
from tunegate.harness.core.formatting import percent
from tunegate.harness.core.progress import quiet
from tunegate.harness.diagnosis.ladder import sample
from tunegate.harness.evaluation.record import Record
from tunegate.harness.evaluation.scoring import evaluate
from tunegate.harness.models.local.huggingface import Base, Local
from tunegate.harness.models.model_options import RungName

ROOT = Path(__file__).parent.parent
RESULT = Path(__file__).parent / "results/constrained.md"
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


def rows(model: str, cases: int, adapter: Path | None) -> Iterator[list[str]]:
    """A row of the table for each unit and way of asking."""
    tasks, base = load_tasks(ROOT / "fixtures"), Base(model, quiet())
    for unit in [sample(find_unit(tasks, key), cases) for key in UNITS]:
        for name, rung, tuned in ways(adapter):
            local = Local(model, quiet(), tuned, rung, base)
            list(local.answer([]))  # loaded, with its adapter, before the clock starts
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


def main() -> int:
    """Print the table, and write it under results/."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--cases", type=int, default=24, help="cases of a unit")
    parser.add_argument("--adapter", type=Path, metavar="DIR", help="a tuned adapter, as it is and constrained")
    parser.add_argument("--out", type=Path, default=RESULT, metavar="FILE")
    options = parser.parse_args()
    before = os.getloadavg()[0]
    found = table(COLUMNS, rows(options.model, options.cases, options.adapter))
    where = f"{platform.machine()}, {os.cpu_count()} cores, load {before:.1f} before and {os.getloadavg()[0]:.1f} after"
    adapter = f" --adapter {options.adapter}" if options.adapter else ""
    text = (
        "# Constrained decoding\n\nThe same cases of the demo, asked in one process after one another, past every "
        "cache. *Adherence* is JSON that the schema allows, *exact* is that and all that was expected, *cut* are "
        "answers that did not end within `max_new_tokens`. Seconds are of all cases together and say little on a "
        f"machine with other work ({where}).\n\n{found}\n\nWhat a grammar cannot remember, that no item of an order "
        "stands there twice, is left to the check.\n\n"
        f"    python benchmarks/constrained.py --cases {options.cases}{adapter}\n"
    )
    write_atomically(options.out, text)
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
