"""Time and memory of decontamination, by the number of rows: the demo's rows, each with a sentence of another in it."""

from __future__ import annotations

import json
import random
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))  # where `benchmarks` is, also for a script

from benchmarks.gate_markdown import table
from benchmarks.leak_rows import NO_ANSWER, SENTENCE, demo_tasks, innocent
from benchmarks.scale_child import MB
from tunegate.harness.cases.model import Task
from tunegate.harness.core.progress import Watch, quiet
from tunegate.harness.embeddings import embed
from tunegate.trainers.data.examples import Example
from tunegate.trainers.decontamination.overlap import Matrix
from tunegate.trainers.decontamination.search import search

FIXTURES = 300
SIZES = (2_000, 10_000, 50_000)


def generated(rows: int) -> tuple[list[Example], list[Task]]:
    """Demo rows, each with one sentence of another in it, and some of the demo's fixtures."""
    rng = random.Random(7)  # noqa: S311
    ours = [SENTENCE.split(row.input) for row in next(iter(innocent())).rows]
    made = [" ".join(_with_another(rng.choice(ours), rng.choice(ours), rng)) for _ in range(rows)]
    task = demo_tasks()[0]
    cases = [case for unit in task.units if not unit.of for case in unit.cases]
    fixtures = replace(task.units[0], cases=tuple(rng.sample(cases, FIXTURES)))
    return [_row(text, at) for at, text in enumerate(made, 1)], [replace(task, units=(fixtures,))]


def _with_another(mine: Sequence[str], other: Sequence[str], rng: random.Random) -> list[str]:
    sentences = [*mine]
    sentences.insert(rng.randrange(len(mine) + 1), rng.choice(other))
    return sentences


def _row(text: str, line: int) -> Example:
    return Example((("user", text),), text, NO_ANSWER, "made.jsonl", line)


class Timed:
    """The embedding model, with how many texts it embedded and the processor time that took."""

    def __init__(self) -> None:
        self.texts, self.processor = 0, 0.0

    def __call__(self, texts: Sequence[str]) -> Matrix:
        """The embedding of each text."""
        start = time.process_time()
        vectors = embed(texts)
        self.texts += len(texts)
        self.processor += time.process_time() - start
        return vectors


def measure(size: int) -> dict[str, float]:
    """One comparison, in this process: processor and wall seconds, texts embedded, and the peak memory in MB."""
    rows, tasks = generated(size)
    timed = Timed()
    embed(["."])  # loading the model is not what grows
    processor, wall = time.process_time(), time.perf_counter()
    search(rows, tasks, quiet(), timed)
    return {
        "wording": time.process_time() - processor - timed.processor,
        "meaning": timed.processor,
        "texts": timed.texts,
        "wall": time.perf_counter() - wall,
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MB,
    }


def scale(watch: Watch) -> Iterator[str]:
    """The table, each size in a process of its own."""
    lines = []
    for size in SIZES:
        with watch(f"{size} rows against {FIXTURES} fixtures"):
            run = subprocess.run([sys.executable, __file__, str(size)], capture_output=True, text=True, check=True)
        got = json.loads(run.stdout)
        processor = got["wording"] + got["meaning"]
        lines.append([f"{size:,}", f"{got['wording']:.0f}", f"{got['texts']:,.0f}", f"{got['meaning']:.0f}",
                      f"{processor:.0f}", f"{1000 * processor / size:.1f}", f"{got['wall']:.0f}",
                      f"{got['memory']:.0f}"])  # fmt: skip
    yield (
        f"{FIXTURES} fixtures, and the demo's rows, each with a sentence of another in it, compared in one process; "
        "nothing is left out or reckoned. Seconds are of processor time, but for those by the clock, which other work "
        "on the machine stretches. Only texts that share rare words with a fixture are embedded."
    )
    head = ["rows", "wording, s", "texts embedded", "meaning, s", "together, s", "ms a row", "by the clock, s",
            "peak MB"]  # fmt: skip
    yield table(head, lines)


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]))))
