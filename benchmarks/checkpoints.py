"""The checkpoint chosen by the task's own scores, with a limit of KL, against the one chosen by the loss: two seeds.

    python benchmarks/checkpoints.py         # the demo's triage, the embedded model
    python benchmarks/checkpoints.py --rows 16 --epochs 2 --cases 8

Each training is made twice, to the same steps: once it keeps what the scores choose, once what the loss does. Both
adapters then answer rows that no training saw, for what was gained, and the demo's general passages and questions, for
what was kept. Writes checkpoints.md and the curves of each seed. There is no promise to break.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

sys.path.insert(0, str(Path(__file__).parent.parent))  # where `benchmarks` is, also for a script

from benchmarks.frame import RESULTS, ROOT, carry_out
from benchmarks.gate_markdown import table
from benchmarks.small_trainings import numbers, sealed_score, write_training
from tunegate.harness.cases.loader import find_unit, load_tasks
from tunegate.harness.core.progress import Watch, quiet
from tunegate.harness.core.reading import read_object
from tunegate.harness.diagnosis.ladder import sample
from tunegate.harness.evaluation.scoring import evaluate
from tunegate.harness.models.adapters import CURVES, TRAINING
from tunegate.harness.models.local.huggingface import Local
from tunegate.trainers.pipeline import train_adapter
from tunegate.trainers.preparation import Ready

LIBRARIES = ("tunegate", "torch", "transformers", "peft", "trl")
UNIT, SEEDS = "triage", (7, 8)
OPTIM = {"lr": 1.6e-3, "batch": 4, "max_length": 512, "validation_split": 0.2}  # twice the demo's rate: it overfits
SCORE, LOSS = "score", "loss"
KEPT = ("passages", "questions")


@dataclass(frozen=True)
class Chosen:
    """An adapter: by what it was chosen, its evaluation, its score on sealed rows, and what it kept, by unit."""

    by: str
    seed: int | None
    evaluation: Mapping[str, Any] | None
    sealed: float
    kept: Mapping[str, float]


def measure(model: str, rows: tuple[int, int], epochs: int, cases: int, pictures: Path, watch: Watch) -> list[Chosen]:
    """The base, then each seed by score and by loss; `rows` are those of the training and the sealed ones."""
    say = partial(print, flush=True)
    with tempfile.TemporaryDirectory(prefix="tunegate-checkpoints-") as made:
        optim = {**OPTIM, "epochs": epochs}
        place = write_training(Path(made) / UNIT, UNIT, *rows, model=model, optim=optim, seed=SEEDS[0])
        ready = place.ready(watch)
        scored = partial(_scored, place.sealed(), ready.base, cases)
        found = [Chosen("base", None, None, *scored(None))]
        for seed in SEEDS:
            one = replace(ready, recipe=replace(ready.recipe, seed=seed))
            adapter, facts = _trained(one, watch, say)
            shutil.copyfile(adapter / CURVES, pictures / f"checkpoints-{seed}.svg")
            found.append(Chosen(SCORE, seed, _of(facts, facts["best_step"]), *scored(adapter)))
            lowest = min(facts["validation"], key=lambda each: each["loss"])["step"]
            if lowest == facts["best_step"]:  # the same adapter
                found.append(replace(found[-1], by=LOSS))
            else:
                # without rows to ask, the same training keeps what its loss chooses
                adapter, again = _trained(replace(one, asked=()), watch, say)
                found.append(Chosen(LOSS, seed, _of(facts, again["best_step"]), *scored(adapter)))
        return found


def _trained(ready: Ready, watch: Watch, say: Callable[[str], None]) -> tuple[Path, dict[str, Any]]:
    adapter = train_adapter(ready, watch, say)
    facts: dict[str, Any] = read_object(adapter / TRAINING)["training"]
    (adapter / TRAINING).unlink()  # without the guards it is no record that an adapter is asked with
    return adapter, facts


def _of(facts: Mapping[str, Any], step: int) -> Mapping[str, Any]:
    found: Mapping[str, Any] = next(each for each in facts["validation"] if each["step"] == step)
    return found


def _scored(rows: Sequence[Any], base: Local, cases: int, adapter: Path | None) -> tuple[float, dict[str, float]]:
    """The score on sealed rows, and the mean of each unit that tells what was kept."""
    tasks = load_tasks(ROOT / "fixtures")
    units = [sample(find_unit(tasks, f"support/{name}"), cases) for name in KEPT]
    model = Local(base.model.name, quiet(), adapter, base=base.base)
    record = evaluate(units, model, quiet(), partial=True)
    kept = {unit.name: record.units[unit.key].mean or 0.0 for unit in units}
    score = sealed_score(rows, base, adapter)
    base.base.forget()
    return score, kept


def report(found: Sequence[Chosen], made: str) -> str:
    """The result as Markdown."""
    head = ["chosen by", "seed", "step", "score", "loss", "KL", "score, sealed", *KEPT]
    return "\n".join([
        "# The checkpoint by score, and by loss", "",
        *(f"- {line}" for line in findings(found)), "",
        table(head, map(_row, found)), "",
        "Step, score, loss and KL (nats a token, from the base) are those on the rows put aside. The sealed score is "
        "the share of exact answers to rows that no training saw. Passages are in nats a token of general text (the "
        "log-probability: higher is better), questions the share of general questions that are answered right.", "",
        *(f"![seed {seed}](checkpoints-{seed}.svg)" for seed in SEEDS), "",
        "## How", "", made, "",
    ])  # fmt: skip


def findings(found: Sequence[Chosen]) -> Iterator[str]:
    """What the table comes to."""
    base = found[0]
    for score, loss in zip(found[1::2], found[2::2], strict=True):
        where = "the same step" if score.evaluation == loss.evaluation else "another step"
        yield (
            f"Seed {score.seed}: the score and the loss choose {where}. Sealed {score.sealed:.3f} by score, "
            f"{loss.sealed:.3f} by loss (the base {base.sealed:.3f}); passages changed by "
            f"{score.kept['passages'] - base.kept['passages']:+.3f} and "
            f"{loss.kept['passages'] - base.kept['passages']:+.3f} nats a token, questions by "
            f"{score.kept['questions'] - base.kept['questions']:+.3f} and "
            f"{loss.kept['questions'] - base.kept['questions']:+.3f}."
        )


def _row(each: Chosen) -> list[str]:
    at = numbers(each.evaluation) if each.evaluation else [""] * 4
    kept = [f"{each.kept[name]:.3f}" for name in KEPT]
    return [each.by, "" if each.seed is None else str(each.seed), *at, f"{each.sealed:.3f}", *kept]


def main(
    rows: Annotated[int, typer.Option(min=10, help="Rows, a fifth of which are put aside.")] = 50,
    sealed: Annotated[int, typer.Option(min=1, help="Further rows, to score on once.")] = 40,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the rows.")] = 5,
    cases: Annotated[int, typer.Option(min=1, help="General passages, and general questions.")] = 24,
    model: Annotated[str, typer.Option(help="As --model of the suites.")] = "smollm2",
    out: Annotated[Path, typer.Option(help="Where checkpoints.md goes.", metavar="DIR")] = RESULTS,
) -> None:
    """Train with each seed, choose both ways, and write checkpoints.md."""
    command = f"python benchmarks/checkpoints.py --rows {rows} --sealed {sealed} --epochs {epochs} --cases {cases}"
    command += f" --model {model}"
    out.mkdir(parents=True, exist_ok=True)
    carry_out(
        out / "checkpoints.md", command, LIBRARIES,
        lambda watch: measure(model, (rows, sealed), epochs, cases, out, watch), report, lambda _: (),
    )  # fmt: skip


if __name__ == "__main__":
    typer.run(main)
