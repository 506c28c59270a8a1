"""A search of six trials against one training of the recipe as it stands, on the same rows.

    python benchmarks/trials.py                  # the demo's triage, the embedded model
    python benchmarks/trials.py --unit replies   # another unit

The search chooses on rows put aside; what it chose is then scored on rows that no training saw, as is the recipe's own
training, which is the search's first trial. Writes trials-UNIT.md. There is no promise to break.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

sys.path.insert(0, str(Path(__file__).parent.parent))  # where `benchmarks` is, also for a script

from benchmarks.frame import RESULTS, carry_out
from benchmarks.gate_markdown import table
from benchmarks.small_trainings import BASELINES, numbers, sealed_score, write_training
from tunegate.harness.core.progress import Watch
from tunegate.harness.core.reading import read_object
from tunegate.harness.models.adapters import TRAINING
from tunegate.trainers.pipeline import train_adapter
from tunegate.trainers.search import search_adapter

LIBRARIES = ("tunegate", "torch", "transformers", "peft", "trl", "optuna")
#: As the demo's recipes for one unit.
OPTIM = {"lr": 8e-4, "epochs": 2, "batch": 4, "max_length": 512, "validation_split": 0.2}
SPACE = {"epochs": [1, 2, 3]}


@dataclass(frozen=True)
class Searched:
    """What a search on a unit came to: its part of the training record, and scores on sealed rows."""

    unit: str
    rows: tuple[int, int, int]  # trained on, put aside, sealed
    record: Mapping[str, Any]
    base: float
    own: float
    chosen: float

    @property
    def trials(self) -> Sequence[Mapping[str, Any]]:
        """The trials, the recipe as it stands first."""
        found: Sequence[Mapping[str, Any]] = self.record["search"]["each"]
        return found


def measure(model: str, unit: str, rows: int, sealed: int, trials: int, watch: Watch) -> Searched:
    """Train as the recipe says, search, and score both on sealed rows."""
    say = partial(print, flush=True)
    with tempfile.TemporaryDirectory(prefix="tunegate-trials-") as made:
        place = write_training(Path(made) / unit, unit, rows, sealed, model=model, optim=OPTIM, search=SPACE, seed=7)
        ready, own = place.ready(watch), Path(made) / "own"
        train_adapter(replace(ready, recipe=replace(ready.recipe, output=own)), watch, say)
        chosen = search_adapter(ready, trials, place.folder / BASELINES, watch, say)
        record, aside = read_object(chosen / TRAINING), place.sealed()
        for adapter in (own, chosen):
            (adapter / TRAINING).unlink()  # without the guards it is no record that an adapter is asked with
        scores = [sealed_score(aside, ready.base, adapter) for adapter in (None, own, chosen)]
    return Searched(unit, (len(ready.tokens), len(ready.validation), len(aside)), record, *scores)


def report(found: Searched, made: str) -> str:
    """The result as Markdown."""
    head = ["trial", "learning rate", "schedule", "rank", "passes", "seed", "step", "score", "loss", "KL", "minutes"]
    trained, aside, sealed = found.rows
    own, best = found.trials[0], found.trials[found.record["search"]["chosen"] - 1]
    minutes = [trial.get("seconds", 0.0) / 60 for trial in found.trials]
    seeds = str(found.record["seeds"]["note"])
    return "\n".join([
        f"# A search against one training: {found.unit}", "",
        f"- On {sealed} sealed rows the recipe as it stands scores {found.own:.3f}, the best of {len(minutes)} trials "
        f"{found.chosen:.3f} (the base {found.base:.3f}); trained on {trained} rows, chosen on {aside}.",
        f"- {seeds[0].upper()}{seeds[1:]}.",
        f"- One training took {minutes[0]:.1f} minutes, the search {sum(minutes):.1f}.", "",
        table(["training", "score, put aside", "score, sealed"], [
            ["the base", "", f"{found.base:.3f}"],
            ["the recipe as it stands", f"{own['score']:.3f}", f"{found.own:.3f}"],
            ["the best of the search", f"{best['score']:.3f}", f"{found.chosen:.3f}"],
        ]), "",
        "Each trial, with the step that was kept of it; score, loss and KL are those on the rows put aside:", "",
        table(head, [_row(trial) for trial in found.trials]), "",
        "A score is the mean of the task's own check, each row's answer being what is expected: for triage the share "
        "of exact answers, for replies of those that keep voice, rules and content. KL is in nats a token, from the "
        "base. Sealed are others of the demo's training rows, which no training and no choice saw; no fixture was "
        "asked.", "", "## How", "", made, "",
    ])  # fmt: skip


def _row(trial: Mapping[str, Any]) -> list[str]:
    settings = [str(trial["trial"]), f"{trial['lr']:.1e}", trial["schedule"]]
    settings += [str(trial[name]) for name in ("r", "epochs", "seed")]
    if "refused" in trial:
        return [*settings, "refused", "", "", "", ""]
    return [*settings, *numbers(trial), f"{trial['seconds'] / 60:.1f}"]


def main(
    unit: Annotated[str, typer.Option(help="A unit of the demo that has rows.")] = "triage",
    rows: Annotated[int, typer.Option(min=10, help="Rows, a fifth of which are put aside.")] = 50,
    sealed: Annotated[int, typer.Option(min=1, help="Further rows, to score on once.")] = 40,
    trials: Annotated[int, typer.Option(min=2, help="Trainings of a search.")] = 6,
    model: Annotated[str, typer.Option(help="As --model of the suites.")] = "smollm2",
    out: Annotated[Path, typer.Option(help="Where trials-UNIT.md goes.", metavar="DIR")] = RESULTS,
) -> None:
    """Train once, search, score both on sealed rows, and write trials-UNIT.md."""
    command = f"python benchmarks/trials.py --unit {unit} --rows {rows} --sealed {sealed} --trials {trials}"
    carry_out(
        out / f"trials-{unit}.md", f"{command} --model {model}", LIBRARIES,
        lambda watch: measure(model, unit, rows, sealed, trials, watch), report, lambda _: (),
    )  # fmt: skip


if __name__ == "__main__":
    typer.run(main)
