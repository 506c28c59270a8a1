"""One measured process of `scale.py`; it imports nothing that what it runs does not.

    python benchmarks/scale_child.py REPORT.json pytest test_bare.py     # a module, as with python -m
    python benchmarks/scale_child.py REPORT.json gate PROJECT            # the gate alone, stage by stage

Whatever happens, REPORT.json then says which heavy libraries were loaded, and what each stage of the gate took.
"""

from __future__ import annotations

import json
import resource
import runpy
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

HEAVY = ("torch", "transformers", "peft", "sentence_transformers", "sklearn")
MB = 2**20 if sys.platform == "darwin" else 2**10  # of the peak that the system reports


def main(report: str, what: str, *arguments: str) -> None:
    """Run it and write the report."""
    stages: dict[str, dict[str, float]] = {}
    try:
        if what == "gate":
            gate(Path(arguments[0]), stages)
        else:
            sys.argv = [what, *arguments]
            runpy.run_module(what, run_name="__main__", alter_sys=True)
    except Exception:
        traceback.print_exc()
        raise SystemExit(3) from None  # Python's own 1 would pass for a run that was judged
    finally:
        heavy = [name for name in HEAVY if name in sys.modules]
        Path(report).write_text(json.dumps({"heavy": heavy, "stages": stages}))


def gate(project: Path, stages: dict[str, dict[str, float]]) -> None:
    """Read the fixtures and both records, then compare them."""
    from tunegate.harness.evaluation.record import read_record
    from tunegate.harness.fixtures.loader import load_tasks
    from tunegate.harness.gate import rule as gate

    tasks = timed(stages, "fixtures", lambda: load_tasks(project / "fixtures"))
    before = timed(stages, "one record", lambda: read_record(project / "before.json"))
    after = timed(stages, "the other", lambda: read_record(project / "after.json"))
    timed(stages, "compare", lambda: gate.compare(tasks, after, {"record": before}, ()))


def timed(stages: dict[str, dict[str, float]], name: str, run: Callable[[], Any]) -> Any:
    """Run a stage; note its processor time in seconds, and by how many MB the process' peak grew."""
    start, peak = time.process_time(), _peak()
    made = run()
    stages[name] = {"cpu": time.process_time() - start, "peak": _peak() - peak}
    return made


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MB


if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).parent.parent)  # as with python -m from the checkout
    main(*sys.argv[1:])
