"""What workers on Ray cost on one machine, beside one process without Ray: the embedded model, and replayed answers.

    python benchmarks/ray_workers.py         # 40 cases by the model, 4,000 replayed; ten minutes on two cores
    python benchmarks/ray_workers.py --cases 8 --replayed 400; --out DIR keeps it apart

On one machine workers share the cores that one process had, so nothing is won: what is left is Ray's price.
Writes ray_workers.md; exit code 1 if a record differs from that of one process.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

sys.path.insert(0, str(Path(__file__).parent.parent))  # where `benchmarks` is, also for a script

from benchmarks.frame import RESULTS, ROOT, carry_out, run_process
from benchmarks.gate_markdown import table
from benchmarks.scale_project import write_project
from tunegate.harness.authoring.yaml_reader import read_yaml
from tunegate.harness.core.progress import Watch

WORKERS = (0, 1, 2, 4)  # 0: one process, and no Ray
LIBRARIES = ("tunegate", "ray", "torch", "transformers")
CHILD = Path(__file__).with_name("ray_workers_child.py")
MODEL, REPLAYED = "the embedded model", "replayed answers"


@dataclass(frozen=True)
class Run:
    """One process and its workers: seconds till they were there, till the last answer, and what its record says."""

    what: str
    workers: int
    cases: int
    starting: float
    answering: float
    wall: float
    record: str


def measure(cases: int, replayed: int, watch: Watch) -> list[Run]:
    """Ask a part of the demo of the model, and answers that are known of workers that repeat them.

    Raises:
        Failed: a process did not end as it should.
    """
    found = []
    with tempfile.TemporaryDirectory(prefix="tunegate-ray-") as made, watch("Runs", 2 * len(WORKERS)) as done:
        asked, known = Path(made) / "asked", Path(made) / "known"
        write_asked(asked, cases)
        write_project(known, replayed)
        for what, project, count in ((MODEL, asked, cases), (REPLAYED, known, replayed)):
            for workers in WORKERS:
                found.append(run(what, project, count, workers))
                done(1)
    return found


def write_asked(home: Path, cases: int) -> None:
    """A project of the demo's first messages."""
    unit = dict(read_yaml(ROOT / "fixtures/support/triage.yaml").data)
    unit |= {"cases": unit["cases"][:cases], "generate": {"max_new_tokens": 24}}
    refs = home / "fixtures/support/refs"
    refs.mkdir(parents=True)
    (refs / "triage.schema.json").write_bytes((ROOT / "fixtures/support/refs/triage.schema.json").read_bytes())
    (home / "fixtures/support/triage.yaml").write_text(json.dumps(unit), "utf-8")  # JSON is YAML


def run(what: str, project: Path, cases: int, workers: int) -> Run:
    """Run one process, and read what it tells."""
    measured = project / "measured.json"
    used = run_process(
        [CHILD, measured, "model" if what == MODEL else "replay", str(workers)], project, project / "log.txt"
    )
    said = json.loads(measured.read_text("utf-8"))
    return Run(what, workers, cases, said["starting"], said["answering"], used.wall, said["record"])


def broken(runs: Sequence[Run]) -> Iterator[str]:
    """Which records are not those of one process."""
    alone = {each.what: each.record for each in runs if not each.workers}
    for each in runs:
        if each.record != alone[each.what]:
            yield f"{each.workers} workers make another record of {each.what}"


def findings(runs: Sequence[Run]) -> Iterator[str]:
    """What the table comes to."""
    at = {(each.what, each.workers): each for each in runs}
    yield f"The records are {'not ' if list(broken(runs)) else ''}the same with 0, 1, 2 and 4 workers."
    alone, one = at[REPLAYED, 0], at[REPLAYED, 1]
    each = 1e3 * (one.answering - alone.answering) / one.cases
    yield (
        f"An answer that comes from a worker takes {each:.2f} ms longer than one that is there; to start Ray and a "
        f"worker takes {one.starting:.0f} s."
    )
    alone, two = at[MODEL, 0], at[MODEL, 2]
    yield (
        f"Of the embedded model, {alone.cases} answers take {alone.answering:.0f} s in one process, and "
        f"{two.answering:.0f} s of two workers that share its cores."
    )


def report(runs: Sequence[Run], made: str) -> str:
    """The findings, the table and how it was made, in Markdown."""
    rows = [
        [each.what, f"{each.cases:,}", str(each.workers) if each.workers else "no Ray", f"{each.starting:.1f}",
         f"{each.answering:.1f}", f"{1e3 * each.answering / each.cases:.2f}", f"{each.wall:.1f}"]
        for each in runs
    ]  # fmt: skip
    head = ["who answers", "cases", "workers", "s to start", "s to answer", "ms a case", "s in all"]
    return "\n".join([
        "# Workers on Ray, on one machine", "", *(f"- {line}" for line in findings(runs)), "", table(head, rows), "",
        "To start is to have a first answer: Ray and a worker are there, or this process has loaded the model. To "
        "answer is to ask, to score and to sum up; it includes what further workers take to load the model.", "",
        "## How", "", made, "",
    ])  # fmt: skip


def main(
    cases: Annotated[int, typer.Option(min=1, help="Of the demo's triage, for the embedded model.")] = 40,
    replayed: Annotated[int, typer.Option(min=5, help="Replayed cases, a multiple of five.")] = 4_000,
    out: Annotated[Path, typer.Option(help="Where ray_workers.md goes.", metavar="DIR")] = RESULTS,
) -> None:
    """Measure workers on Ray beside one process, write ray_workers.md, and fail if a record differs."""
    command = f"python benchmarks/ray_workers.py --cases {cases} --replayed {replayed}"
    carry_out(
        out / "ray_workers.md", command, LIBRARIES, lambda watch: measure(cases, replayed, watch), report, broken
    )  # fmt: skip


if __name__ == "__main__":
    typer.run(main)
