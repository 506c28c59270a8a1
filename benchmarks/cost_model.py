"""What a run on the local engine costs by cases, adapters and tokens: fitted to small runs, checked on three others.

    python benchmarks/cost_model.py       # the embedded model; four minutes on an idle core

Processor seconds = load + adapters x adapter + tokens in x read + tokens out x write + steps x step, where a step
writes a token of every answer of a batch. Writes cost_model.md and cost_model.svg; exit code 1 if a prediction is off
by half.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import matplotlib as mpl
import numpy as np
import typer
from matplotlib.figure import Figure

sys.path.insert(0, str(Path(__file__).parent.parent))  # where `benchmarks` is, also for a script

from benchmarks.frame import RESULTS, carry_out, run_process
from benchmarks.gate_markdown import table
from tunegate.harness.core.progress import Watch
from tunegate.harness.models.resolve import resolve

MODEL = "smollm2"
LIBRARIES = ("tunegate", "torch", "transformers", "peft")
CHILD, ADAPTERS = Path(__file__).with_name("cost_model_child.py"), Path(__file__).with_name("many_adapters_child.py")
PARTS = ("load the model", "load an adapter", "read 1,000 tokens", "write 1,000 tokens", "1,000 steps")
#: Cases, adapters (0: the base alone), tokens an answer at most.
SMALL = ((2, 0, 4), (2, 0, 24), (12, 0, 4), (12, 0, 24), (2, 3, 4), (6, 2, 12))
CHECKED = ((6, 1, 12), (16, 2, 16), (32, 3, 24))
MOST_ERROR = 0.5


@dataclass(frozen=True)
class Run:
    """One run in a process of its own: what it was to do, what came of it, processor seconds and its peak in MB."""

    cases: int
    adapters: int
    tokens_in: int
    tokens_out: int
    steps: int
    cpu: float
    peak: float

    @property
    def parts(self) -> tuple[float, ...]:
        """How much it has of each of the `PARTS`."""
        return 1.0, self.adapters, self.tokens_in / 1e3, self.tokens_out / 1e3, self.steps / 1e3


@dataclass(frozen=True)
class Outcome:
    """The runs that the model was fitted to, those that it was checked on, and the seconds of each part."""

    small: Sequence[Run]
    checked: Sequence[Run]
    seconds: Mapping[str, float]

    def predicted(self, run: Run) -> float:
        """The processor seconds that the model says a run takes."""
        return sum(amount * each for amount, each in zip(run.parts, self.seconds.values(), strict=True))

    def error(self, run: Run) -> float:
        """By which share of the measured seconds that is too much, or too little."""
        return self.predicted(run) / run.cpu - 1


def measure(watch: Watch) -> Outcome:
    """Run all of them, one process at a time.

    Raises:
        Failed: a process did not end as it should.
    """
    with tempfile.TemporaryDirectory(prefix="tunegate-costs-") as made:
        folder, names = Path(made), [f"adapter-{number}" for number in range(max(each[1] for each in CHECKED))]
        run_process([ADAPTERS, "make", resolve(MODEL, watch), *names], folder, folder / "log.txt")
        found = []
        with watch("Runs", len(SMALL) + len(CHECKED)) as done:
            for cases, adapters, tokens in (*SMALL, *CHECKED):
                found.append(run(folder, cases, names[:adapters], tokens))
                done(1)
    small, checked = found[: len(SMALL)], found[len(SMALL) :]
    return Outcome(small, checked, fitted(small))


def run(folder: Path, cases: int, adapters: Sequence[str], tokens: int) -> Run:
    """One run."""
    out = folder / "measured.json"
    used = run_process([CHILD, out, MODEL, str(cases), str(tokens), *adapters], folder, folder / "log.txt")
    said = json.loads(out.read_text("utf-8"))
    return Run(cases, len(adapters), said["tokens_in"], said["tokens_out"], said["steps"], used.cpu, used.peak)


def fitted(runs: Sequence[Run]) -> dict[str, float]:
    """The seconds of each part that are nearest to those measured, as shares of them; none is below zero."""
    from scipy.optimize import nnls

    amounts = np.array([each.parts for each in runs]) / np.array([[each.cpu] for each in runs])
    seconds, _ = nnls(amounts, np.ones(len(runs)))
    return dict(zip(PARTS, seconds.tolist(), strict=True))


def broken(found: Outcome) -> Iterator[str]:
    """Which predictions are off by more than half."""
    for each in found.checked:
        if abs(found.error(each)) > MOST_ERROR:
            what = f"{each.cases} cases, {each.adapters} adapters"
            yield f"{what}: {found.predicted(each):.0f} s predicted, {each.cpu:.0f} s measured"


def report(found: Outcome, made: str) -> str:
    """The model, its errors and how it was made, in Markdown."""
    rows = [
        [str(each.cases), str(each.adapters), f"{each.tokens_in:,}", f"{each.tokens_out:,}", f"{each.cpu:.1f}",
         f"{found.predicted(each):.1f}", f"{100 * found.error(each):+.0f} %", f"{each.peak:,.0f}"]
        for each in (*found.small, *found.checked)
    ]  # fmt: skip
    head = ["cases", "adapters", "tokens in", "tokens out", "CPU s", "predicted", "error", "peak MB"]
    times = max(each.cpu for each in found.checked) / max(each.cpu for each in found.small)
    worst = max(abs(found.error(each)) for each in found.checked)
    return "\n".join([
        "# What a run costs by cases, adapters and tokens", "",
        f"- Fitted to {len(found.small)} small runs, the model is off by at most {100 * worst:.0f} % on three others, "
        f"of which the largest takes {times:.0f} times as long as the largest small one.",
        "", table(["part", "CPU s"], [[name, f"{each:.2f}"] for name, each in found.seconds.items()]), "",
        "The first runs are those that the model is fitted to, the last three those that it is checked on.", "",
        table(head, rows), "", "![Predicted by measured](cost_model.svg)", "", "## How", "", made, "",
    ])  # fmt: skip


def draw(found: Outcome, path: Path) -> None:
    """Predicted by measured seconds."""
    with mpl.rc_context({"font.size": 9, "svg.hashsalt": "costs", "svg.fonttype": "none"}):
        figure = Figure(figsize=(4.4, 4.2), layout="constrained")
        axes = figure.subplots()
        for runs, label, color in ((found.small, "fitted to", "#999999"), (found.checked, "checked on", "#3f78d8")):
            axes.scatter([each.cpu for each in runs], [found.predicted(each) for each in runs], c=color, label=label)
        most = 1.3 * max(each.cpu for each in found.checked)
        axes.plot((1, most), (1, most), c="#111111", lw=0.8)
        axes.set(xscale="log", yscale="log", xlabel="measured, s of processor time", ylabel="predicted")
        axes.legend(frameon=False)
        figure.savefig(path, metadata={"Date": None})


def main(
    out: Annotated[Path, typer.Option(help="Where cost_model.md goes.", metavar="DIR")] = RESULTS,
) -> None:
    """Fit the model, check it, write cost_model.md and its figure, and fail if it is off by half."""

    def report_and_draw(found: Outcome, made: str) -> str:
        out.mkdir(parents=True, exist_ok=True)
        draw(found, out / "cost_model.svg")
        return report(found, made)

    command = "python benchmarks/cost_model.py"
    carry_out(out / "cost_model.md", command, LIBRARIES, measure, report_and_draw, broken)


if __name__ == "__main__":
    typer.run(main)
