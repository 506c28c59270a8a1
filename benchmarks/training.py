"""The speed of our training beside TRL's defaults, in one run, with the loss that each comes to.

    python benchmarks/training.py                        # the embedded model; 9 minutes on one core
    python benchmarks/training.py --steps 2 --model DIR  # another model; --out DIR keeps it apart

Both train the same rows of the demo with the same LoRA, batch, learning rate, steps and seed, in turn, each in a
process of its own. Then one setting of ours at a time is changed. The loss is on rows that were not trained on. Writes
training.md; exit code 1 if ours is slower than TRL's defaults.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

sys.path.insert(0, str(Path(__file__).parent.parent))  # where `benchmarks` is, also for a script

from benchmarks.frame import RESULTS, carry_out, run_process
from benchmarks.gate_markdown import table
from benchmarks.training_child import PLAIN
from tunegate.harness.core.progress import Watch

CHILD = Path(__file__).with_name("training_child.py")
LIBRARIES = ("tunegate", "torch", "transformers", "peft", "trl", "accelerate")
SEEDS, HELD = (0, 1), 16
OURS, TRL = "ours", "TRL's defaults"
#: What is changed in our arguments, by name; None is TRL as it comes.
SETTINGS: dict[str, dict[str, Any] | None] = {
    OURS: {},
    TRL: None,
    "ours, the vocabulary computed for prompts too": {PLAIN: True},
    "ours, gradient checkpointing on": {"gradient_checkpointing": True},
    "ours, batches grouped by length": {"train_sampling_strategy": "group_by_length"},
    "ours, float32": {"bf16": False},
}


@dataclass(frozen=True)
class Run:
    """One training: the steps' seconds of wall clock and of processor time, the process' peak in MB, the loss."""

    what: str
    seed: int
    tokens: int
    answers: int
    seconds: float
    cpu: float
    peak: float
    loss: float
    precision: str

    @property
    def rate(self) -> float:
        """Tokens a second."""
        return self.tokens / self.seconds


def measure(model: str, steps: int, watch: Watch) -> list[Run]:
    """Ours and TRL's in turn, seed by seed; then each changed setting once, with the first seed.

    Raises:
        Failed: a training did not end as it should.
    """
    others = [what for what in SETTINGS if what not in (OURS, TRL)]
    plan = [(what, seed) for seed in SEEDS for what in (OURS, TRL)] + [(what, SEEDS[0]) for what in others]
    found = []
    with tempfile.TemporaryDirectory(prefix="tunegate-training-") as folder, watch("Trainings", len(plan)) as done:
        for what, seed in plan:
            found.append(train(Path(folder), model, steps, what, seed))
            done(1)
    return found


def train(folder: Path, model: str, steps: int, what: str, seed: int) -> Run:
    """Train once, in a process of its own."""
    order, told = folder / "order.json", folder / "told.json"
    wanted = {"model": model, "steps": steps, "seed": seed, "held": HELD, "settings": SETTINGS[what]}
    order.write_text(json.dumps(wanted), "utf-8")
    used = run_process([CHILD, order, told], folder, folder / "log.txt")
    return Run(what, seed, peak=used.peak, **json.loads(told.read_text("utf-8")))


def report(runs: Sequence[Run], made: str) -> str:
    """The result as Markdown."""
    by = {what: [run for run in runs if run.what == what] for what in SETTINGS}
    first = runs[0]
    return "\n".join([
        "# The speed of training", "",
        *(f"- {line}" for line in findings(by)), "",
        table(["training", "seed", "tokens/s", "tokens/CPU s", "peak MB", "loss afterwards"], map(_row, runs)), "",
        f"{first.tokens:,} tokens of the demo's rows, {first.answers:,} of them in answers, which alone carry loss; "
        f"products in {first.precision}, weights in float32. The loss is on {HELD} rows that were not trained on. "
        "TRL's defaults are `SFTConfig()` with what both share (batch, learning rate, seed, loss on answers), "
        "`use_cpu` (its default, bfloat16, is refused on a CPU without it), and neither trackers nor checkpoints.", "",
        "## How", "", made, "",
    ])  # fmt: skip


def findings(by: Mapping[str, Sequence[Run]]) -> Iterator[str]:
    """What the table comes to."""
    ours, theirs = by[OURS], by[TRL]
    gains = [one.rate / other.rate for one, other in zip(ours, theirs, strict=True)]
    yield (
        f"Ours is {_span(gains, '{:.2f}')} times as fast as TRL's defaults, at {_peak(ours):,.0f} MB against "
        f"{_peak(theirs):,.0f} MB at the peak."
    )
    yield (
        f"The loss afterwards: {_span([run.loss for run in ours], '{:.3f}')} against "
        f"{_span([run.loss for run in theirs], '{:.3f}')}, over {len(ours)} seeds."
    )
    for what, (run, *_) in by.items():
        if what not in (OURS, TRL):
            yield (
                f"{what.partition(', ')[2].capitalize()}: {run.rate / ours[0].rate:.2f} times as fast, "
                f"{run.peak - ours[0].peak:+,.0f} MB, loss {run.loss:.3f} (without the change {ours[0].loss:.3f})."
            )


def _row(run: Run) -> list[str]:
    return [run.what, str(run.seed), f"{run.rate:.0f}", f"{run.tokens / run.cpu:.0f}", f"{run.peak:,.0f}",
            f"{run.loss:.3f}"]  # fmt: skip


def _span(values: Sequence[float], form: str) -> str:
    low, high = form.format(min(values)), form.format(max(values))
    return low if low == high else f"{low} to {high}"


def _peak(runs: Sequence[Run]) -> float:
    return max(run.peak for run in runs)


def broken(runs: Sequence[Run]) -> Iterator[str]:
    """What should not be: to be slower than the library that it configures."""
    for ours, theirs in zip(
        (run for run in runs if run.what == OURS), (run for run in runs if run.what == TRL), strict=True
    ):  # fmt: skip
        if ours.rate < theirs.rate:
            yield f"with seed {ours.seed} ours took {ours.seconds:.0f} s, TRL's defaults {theirs.seconds:.0f} s"


def main(
    steps: Annotated[int, typer.Option(min=1, help="Steps of four rows.")] = 8,
    model: Annotated[str, typer.Option(help="As --model of the suites.")] = "smollm2",
    out: Annotated[Path, typer.Option(help="Where training.md goes.", metavar="DIR")] = RESULTS,
) -> None:
    """Train in turn, write training.md, and fail if ours is slower than TRL's defaults."""
    command = f"python benchmarks/training.py --steps {steps} --model {model}"
    carry_out(
        out / "training.md", command, LIBRARIES, lambda watch: measure(model, steps, watch), report, broken
    )  # fmt: skip


if __name__ == "__main__":
    typer.run(main)
