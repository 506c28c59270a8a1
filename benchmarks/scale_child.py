"""One measured process of `scale.py`; it imports nothing that what it runs does not.

    python benchmarks/scale_child.py REPORT.json pytest test_bare.py     # a module, as with python -m

Whatever happens, REPORT.json then says which heavy libraries were loaded.
"""

from __future__ import annotations

import json
import runpy
import sys
import traceback
from pathlib import Path

HEAVY = ("torch", "transformers", "peft", "sentence_transformers", "sklearn")


def main(report: str, what: str, *arguments: str) -> None:
    """Run it and write the report."""
    try:
        sys.argv = [what, *arguments]
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    except Exception:
        traceback.print_exc()
        raise SystemExit(3) from None  # Python's own 1 would pass for a run that was judged
    finally:
        heavy = [name for name in HEAVY if name in sys.modules]
        Path(report).write_text(json.dumps({"heavy": heavy, "stages": stages}), encoding="utf-8")


def gate(project: Path, stages: dict[str, dict[str, float]]) -> None:
    """All that a run does between pytest's collection and its tests, and the report of its record."""
    from rich.console import Console

    from tunegate.harness.cases.loader import load_tasks
    from tunegate.harness.core.progress import quiet
    from tunegate.harness.evaluation.record import read_record
    from tunegate.harness.evaluation.rescoring import score_again
    from tunegate.harness.evaluation.scoring import evaluate
    from tunegate.harness.gate import rule as gate
    from tunegate.harness.models.replay import read_replay
    from tunegate.harness.reporting.record import print_record

    tasks = timed(stages, "fixtures", lambda: load_tasks(project / "fixtures"))
    units = [unit for task in tasks for unit in task.units]
    known = {case.key: 0 for unit in units for case in unit.cases}
    stored = timed(stages, "read the record", lambda: read_record(project / "before.json"))
    answers = timed(stages, "read the outputs", lambda: read_replay(project / "after.jsonl", known, "", "as-is"))
    before = timed(stages, "score the record", lambda: score_again(units, stored, "the record", quiet()).record)
    after = timed(stages, "score the outputs", lambda: evaluate(units, answers, quiet(), known=[before]))
    judged = timed(stages, "compare", lambda: gate.compare(tasks, after, {"record": before}, ()))
    policies = {key: policy for task in tasks for key, policy in task.policies.items()}
    whole = replace(judged, policies=policies)
    written = timed(stages, "write", lambda: whole.write(project / "alone.json"))
    with (project / "alone.txt").open("w") as file:
        timed(stages, "report", lambda: print_record(Console(file=file), written))


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
