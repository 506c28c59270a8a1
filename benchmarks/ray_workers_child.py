"""A process of `ray_workers.py`: asks all cases of the project that it is started in, by itself or of workers on Ray.

python benchmarks/ray_workers_child.py MEASURED.json model|replay WORKERS     # 0 workers: no Ray
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.core.files import write_json
from tunegate.harness.core.progress import quiet
from tunegate.harness.evaluation.scoring import evaluate
from tunegate.harness.models.api import Completion, Fingerprint, Model, Request
from tunegate.harness.models.local.worker_pool import WorkerPool
from tunegate.harness.models.model_options import ModelOptions, RayOptions
from tunegate.harness.models.opening import open_model
from tunegate.harness.models.replay import Replay, read_replay


@dataclass(frozen=True)
class Known:
    """Opens the answers of a file, as a worker opens a model."""

    answers: Replay

    def __call__(self, adapter: Path | None) -> Replay:  # noqa: ARG002  (there is none)
        """Those answers."""
        return self.answers


class Pooled:
    """Workers that repeat those answers, as a model."""

    can = Replay.can

    def __init__(self, answers: Replay, workers: int) -> None:
        self.pool = WorkerPool(Known(answers), RayOptions(workers=workers))
        self.fingerprint: Fingerprint = self.pool.fingerprint(None)

    def answer(self, requests: Sequence[Request]) -> Iterator[Completion]:
        """Answer each request once."""
        return self.pool.answer(None, requests, self.fingerprint)


def main(measured: str, what: str, workers: str) -> None:
    """Ask, score, and write how long it took and what came of it."""
    units = [unit for task in load_tasks(Path("fixtures")) for unit in task.units]
    count, start = int(workers), time.perf_counter()
    if what == "model":
        options = ModelOptions(ray=RayOptions(workers=count) if count else None)
        model: Model = open_model("smollm2", quiet(), options=options)
    else:
        known = {case.key: 0 for unit in units for case in unit.cases}
        answers = read_replay(Path("after.jsonl"), known, "known", "as-is")
        model = Pooled(answers, count) if count else answers
    _ = model.fingerprint  # the workers are there
    first = units[:1] and [replace(units[0], cases=units[0].cases[:1])]
    evaluate(first, model, quiet(), partial=True)  # and the model is loaded
    ready = time.perf_counter()
    record = evaluate(units, model, quiet())
    answered = time.perf_counter()
    digest = replace(record, created="", fingerprint={**record.fingerprint, "names": {}}).digest
    write_json(Path(measured), {"starting": ready - start, "answering": answered - ready, "record": digest})
    pool = getattr(model, "pool", None) or getattr(getattr(model, "base", None), "pool", None)
    if pool:
        pool.stop()


if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).parent.parent)  # as with python -m from the checkout
    main(*sys.argv[1:])
