"""Tokens that vary between rows weigh five times as much in the loss: does it win, on public sets with a split?

    git clone --bare https://github.com/PolyAI-LDN/task-specific-datasets DATA/task-specific-datasets
    git clone --bare https://github.com/sonos/nlu-benchmark DATA/nlu-benchmark
    python benchmarks/token_weights.py DATA     # half an hour; writes results/token_weights.md

Of each set 96 texts of the official test part are the cases and 240 of the training part the rows. The commands are
those of the README: `record`, `diagnose`, then `train` and `gate` for each weight and seed.

Written down before: it wins if on both sets the mean of three seeds is higher, with a 95 % interval over cases above 0,
and no seed has fewer right answers with it than without it.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

sys.path.insert(0, str(Path(__file__).parent.parent))  # where `benchmarks` is, also for a script

from benchmarks.frame import RESULTS, carry_out
from benchmarks.gate_markdown import table
from benchmarks.hold_out_projects import KEY, SOURCES, Source, prepare, trained, write_project
from benchmarks.hold_out_sets import interval, points
from benchmarks.public_sets import Files
from tunegate.harness.core.progress import Watch

LIBRARIES = ("tunegate", "torch", "transformers", "trl", "peft")
WEIGHTS, SETS = (1, 5), ("Banking77", "SNIPS, with slots")
OPTIM = {"lr": 8e-4, "epochs": 2, "batch": 4}  # as `init` proposes for this model, and two epochs


@dataclass(frozen=True)
class Weighed:
    """One set: for each weight the scores of each seed's adapter (seeds x cases), and the minutes of training."""

    source: Source
    scores: dict[int, list[list[float]]]
    minutes: dict[int, list[float]]
    digest: str

    @property
    def won(self) -> list[float]:
        """Of each case, what the weight adds to the mean score of the seeds."""
        plain, weighed = (np.mean(self.scores[weight], axis=0) for weight in WEIGHTS)
        return list(weighed - plain)

    def right(self, weight: int) -> list[float]:
        """The share of right answers of each seed."""
        return [float(np.mean(each)) for each in self.scores[weight]]


def measure(data: Path, seeds: Sequence[int], sets: Sequence[str], watch: Watch) -> list[Weighed]:
    """Train on every set, with every weight and seed."""
    chosen = [source for source in SOURCES if source.name in sets]
    return [_measured(source, Files(data / source.repository, source.commit), seeds, watch) for source in chosen]


def _measured(source: Source, files: Files, seeds: Sequence[int], watch: Watch) -> Weighed:
    recipes = {
        f"{weight}-{seed}": {"optim": {**OPTIM, "varying_weight": weight}, "seed": seed}
        for weight in WEIGHTS for seed in seeds
    }  # fmt: skip
    scores: dict[int, list[list[float]]] = {weight: [] for weight in WEIGHTS}
    minutes: dict[int, list[float]] = {weight: [] for weight in WEIGHTS}
    with tempfile.TemporaryDirectory() as folder, watch(source.name, len(recipes)) as done:
        project = Path(folder)
        write_project(project, source, files, recipes)
        prepare(project)
        for name in recipes:
            weight = int(name.partition("-")[0])
            record, taken = trained(project, name)
            minutes[weight].append(taken)
            found = record.of_unit(KEY)
            scores[weight].append([float(found[case].score or 0) for case in sorted(found)])
            done(1)
    return Weighed(source, scores, minutes, files.digest)


def report(found: Sequence[Weighed], made: str) -> str:
    """The result as Markdown."""
    origins = [
        f"- {each.source.name}: {each.source.repository}, commit {each.source.commit}, SHA-256 of the files that are "
        f"read {each.digest}" for each in found
    ]  # fmt: skip
    return "\n\n".join([
        "# Weights of tokens that vary between rows",
        "SmolLM2-135M, 240 rows, two epochs; right answers in % of 96 cases, each seed; *won*: the difference of the "
        "means, with its 95 % interval over cases (bootstrap).",
        table(["set", "weight", "right, each seed", "mean", "won", "minutes each"], _lines(found)),
        "## How", made, "\n".join(origins),
    ]) + "\n"  # fmt: skip


def _lines(found: Sequence[Weighed]) -> Iterator[list[str]]:
    for each in found:
        low, high = interval(np.array(each.won))
        won = f"{points(float(np.mean(each.won)))} [{points(low)}, {points(high)}]"
        for weight in WEIGHTS:
            right, minutes = each.right(weight), each.minutes[weight]
            yield [
                each.source.name, str(weight), ", ".join(map(points, right)), points(float(np.mean(right))),
                "" if weight == 1 else won, ", ".join(f"{one:.1f}" for one in minutes),
            ]  # fmt: skip


def losing(found: Sequence[Weighed]) -> Iterator[str]:
    """Where it does not win, by what was written down before."""
    for each in found:
        pairs = zip(*(each.right(weight) for weight in WEIGHTS), strict=True)
        if interval(np.array(each.won))[0] <= 0 or any(weighed < plain for plain, weighed in pairs):
            yield f"{each.source.name}: a weight of {WEIGHTS[1]} does not win"


def main(
    data: Annotated[Path, typer.Argument(help="The folder of the clones.", metavar="DATA")],
    seeds: Annotated[int, typer.Option(help="Seeds, from 0.")] = 3,
    sets: Annotated[list[str], typer.Option(help="Sets, by name.")] = list(SETS),  # noqa: B006
    out: Annotated[Path, typer.Option(help="Where the result goes.", metavar="DIR")] = RESULTS,
) -> None:
    """Train with and without the weight, and compare."""
    carry_out(
        out / "token_weights.md", "python benchmarks/token_weights.py DATA", LIBRARIES,
        lambda watch: measure(data, range(seeds), sets, watch), report, losing,
    )  # fmt: skip


if __name__ == "__main__":
    typer.run(main)
