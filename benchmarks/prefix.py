"""What it saves to read once what all prompts of a batch begin with, on the embedded model.

python benchmarks/prefix.py --cases 8    # 4 minutes on one core; writes prefix.md
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))  # where `benchmarks` is, also for a script

from benchmarks.gate_markdown import table
from tunegate.harness.cases.loader import find_unit, load_tasks
from tunegate.harness.core.files import write_atomically
from tunegate.harness.core.progress import quiet
from tunegate.harness.diagnosis.ladder import sample
from tunegate.harness.models.api import Request
from tunegate.harness.models.local import batching as prefix
from tunegate.harness.models.local.huggingface import Base, Local
from tunegate.harness.models.model_options import RungName
from tunegate.harness.models.prompts import requests

ROOT = Path(__file__).parent.parent
RESULT = Path(__file__).parent / "results/prefix.md"
UNITS = ("support/triage", "support/orders", "support/replies")
RUNGS: tuple[RungName, ...] = ("as-is", "few-shot")
OFF = 10**9  # tokens: no batch shares so many


def timed(local: Local, asked: Sequence[Request], least: int) -> tuple[float, dict[str, str | None]]:
    """Seconds to answer, and the outputs, with what is shared read once from `least` tokens on."""
    prefix.LEAST = least
    start = time.perf_counter()
    outputs = {answer.key: answer.output for answer in local.answer(asked)}
    return time.perf_counter() - start, outputs


def rows(model: str, cases: int) -> Iterator[list[str]]:
    """A row of the table for each unit and rung that it offers."""
    tasks, base, usual = load_tasks(ROOT / "fixtures"), Base(model, quiet()), prefix.LEAST
    for key in UNITS:
        unit = sample(find_unit(tasks, key), cases)
        for rung in RUNGS:
            if rung == "few-shot" and not unit.shots:
                continue
            local, asked = Local(model, quiet(), rung=rung, base=base), list(requests([unit], rung))
            timed(local, asked[:2], OFF)  # warm
            without, apart = timed(local, asked, OFF)
            within, together = timed(local, asked, usual)
            same = sum(apart[case] == together[case] for case in apart)
            yield [key, rung, str(len(asked)), f"{without:.1f}", f"{within:.1f}", f"{without / within:.2f}",
                   f"{same} of {len(asked)}"]  # fmt: skip


def main() -> int:
    """Print the table, and write it under results/."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--cases", type=int, default=24, help="cases of a unit")
    parser.add_argument("--out", type=Path, default=RESULT, metavar="FILE")
    options = parser.parse_args()
    columns = ["unit", "rung", "cases", "s, each by itself", "s, shared read once", "times as fast", "same outputs"]
    text = (
        "# Reading once what prompts share\n\nThe same requests in the same batches on the embedded model, prompt and "
        f"answer, in one process.\n\n{table(columns, rows(options.model, options.cases))}\n\n"
        f"    python benchmarks/prefix.py --cases {options.cases}\n"
    )
    write_atomically(options.out, text)
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
