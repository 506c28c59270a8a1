"""A search of six trials against one training of the recipe as it stands, on the same rows.

    python benchmarks/trials.py              # two units of the demo, the embedded model
    python benchmarks/trials.py --rows 16 --trials 2 --unit triage

The search chooses on rows put aside; what it chose is then scored on rows that no training saw, as is the recipe's own
training, which is the search's first trial. Writes trials.md. There is no promise to break: the gain is what it is.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

sys.path.insert(0, str(Path(__file__).parent.parent))  # where `benchmarks` is, also for a script

from benchmarks.frame import RESULTS, carry_out
from benchmarks.gate_markdown import table
from benchmarks.small_trainings import BASELINES, SmallTraining, numbers, sealed_score, write_training
from tunegate.harness.core.progress import Watch
from tunegate.harness.core.reading import read_object
from tunegate.harness.models.adapters import TRAINING
from tunegate.trainers import search
from tunegate.trainers.training.loop import ADAPTER

LIBRARIES = ("tunegate", "torch", "transformers", "peft", "trl", "optuna")
UNITS = ("triage", "replies")
#: As the demo's recipes for one unit.
OPTIM = {"lr": 8e-4, "epochs": 2, "batch": 4, "max_length": 512, "validation_split": 0.2}
SPACE = {"epochs": [1, 2, 3]}


@dataclass(frozen=True)
class Searched:
    """A search on a unit: its part of the training record, and scores on sealed rows."""

    unit: str
    rows: int
    aside: int
    sealed: int
    record: dict[str, Any]
    base: float
    own: float
    chosen: float

    @property
    def trials(self) -> list[dict[str, Any]]:
        """The trials, the recipe as it stands first."""
        found: list[dict[str, Any]] = self.record["search"]["each"]
        return found

    @property
    def minutes(self) -> tuple[float, float]:
        """Of the first training alone, and of all."""
        seconds = [trial.get("seconds", 0.0) for trial in self.trials]
        return seconds[0] / 60, sum(seconds) / 60


def measure(units: Sequence[str], rows: int, sealed: int, trials: int, watch: Watch) -> list[Searched]:
    """Search on each unit."""
    say = partial(print, flush=True)
    with tempfile.TemporaryDirectory(prefix="tunegate-trials-") as made:
        places = [
            write_training(Path(made) / unit, unit, rows, sealed, optim=OPTIM, search=SPACE, seed=7) for unit in units
        ]
        return [_searched(place, trials, watch, say) for place in places]


def _searched(place: SmallTraining, trials: int, watch: Watch, say: Callable[[str], None]) -> Searched:
    ready, own = place.ready(watch), place.folder / "own"
    keep = search._keep_only_best

    def keep_the_first_too(work: Path, finished: Sequence[Any]) -> None:
        """The recipe's own adapter, which a search would throw away once another is better."""
        if len(finished) == 1:
            shutil.copytree(work / "trial-1" / ADAPTER, own)
        keep(work, finished)

    search._keep_only_best = keep_the_first_too
    try:
        adapter = search.search_adapter(ready, trials, place.folder / BASELINES, watch, say)
    finally:
        search._keep_only_best = keep
    rows, record = place.sealed(), read_object(adapter / TRAINING)
    (adapter / TRAINING).unlink()  # without the guards it is no record that an adapter is asked with
    scores = [sealed_score(rows, ready.base, each) for each in (None, own, adapter)]
    ready.base.base.forget()
    return Searched(place.unit, len(ready.tokens), len(ready.validation), len(rows), record, *scores)


def report(found: Sequence[Searched], made: str) -> str:
    """The result as Markdown."""
    head = [
        "unit",
        "trial",
        "learning rate",
        "schedule",
        "rank",
        "passes",
        "seed",
        "step",
        "score",
        "loss",
        "KL",
        "min",
    ]
    return "\n".join([
        "# A search against one training", "",
        *(f"- {line}" for line in findings(found)), "",
        table(["unit", "base, sealed", "recipe, put aside", "recipe, sealed", "search, put aside", "search, sealed",
               "minutes, recipe", "minutes, search"], [_row(each) for each in found]), "",
        "Each trial, with the step that was kept of it; score, loss and KL on the rows put aside:", "",
        table(head, [_trial(each.unit, trial) for each in found for trial in each.trials]), "",
        "Score is the mean of the task's own checks with each row's answer as what is expected: for triage the share "
        "of answers that are exact, for replies the share that keeps voice, rules and content. KL is in nats a token. The "
        "sealed rows are others of the demo's training rows, which no training and no choice saw; fixtures were not "
        "looked at.", "",
        "## How", "", made, "",
    ])  # fmt: skip


def findings(found: Sequence[Searched]) -> Iterator[str]:
    """What the tables come to."""
    for each in found:
        yield (
            f"{each.unit}: on {each.sealed} sealed rows the recipe as it stands scores {each.own:.3f}, the best of "
            f"{len(each.trials)} trials {each.chosen:.3f} (the base {each.base:.3f}); trained on {each.rows} rows, "
            f"chosen on {each.aside}. {each.record['seeds']['note'].capitalize()}."
        )


def _row(each: Searched) -> list[str]:
    own, best = each.trials[0], each.trials[each.record["search"]["chosen"] - 1]
    return [each.unit, f"{each.base:.3f}", f"{own['score']:.3f}", f"{each.own:.3f}", f"{best['score']:.3f}",
            f"{each.chosen:.3f}", *(f"{minutes:.1f}" for minutes in each.minutes)]  # fmt: skip


def _trial(unit: str, trial: dict[str, Any]) -> list[str]:
    settings = [f"{trial['lr']:.1e}", trial["schedule"], *(str(trial[name]) for name in ("r", "epochs", "seed"))]
    if "refused" in trial:
        return [unit, str(trial["trial"]), *settings, "refused", "", "", "", ""]
    return [unit, str(trial["trial"]), *settings, *numbers(trial), f"{trial['seconds'] / 60:.1f}"]


def main(
    rows: Annotated[int, typer.Option(min=10, help="Rows of a unit, a fifth of which are put aside.")] = 50,
    sealed: Annotated[int, typer.Option(min=1, help="Further rows, to score on once.")] = 40,
    trials: Annotated[int, typer.Option(min=2, help="Trainings of a search.")] = 6,
    unit: Annotated[list[str] | None, typer.Option(help="Only this unit; may be repeated.")] = None,
    out: Annotated[Path, typer.Option(help="Where trials.md goes.", metavar="DIR")] = RESULTS,
) -> None:
    """Search on each unit, score on sealed rows, and write trials.md."""
    units = tuple(unit or UNITS)
    command = f"python benchmarks/trials.py --rows {rows} --sealed {sealed} --trials {trials}"
    command += "".join(f" --unit {each}" for each in unit or ())
    carry_out(
        out / "trials.md", command, LIBRARIES, lambda watch: measure(units, rows, sealed, trials, watch), report,
        lambda _: (),
    )  # fmt: skip


if __name__ == "__main__":
    typer.run(main)
