"""The first reason to tune: the form of answers, from about 95 to above 99 %, with a lower bound that says so.

    python benchmarks/adherence.py                     # 400 cases, 460 rows; about half an hour on two cores
    python benchmarks/adherence.py --cases 8 --rows 12

Postal addresses that people typed are to be taken apart into JSON (`foreign_data`). With worked examples in its prompt
the base keeps to the schema in most answers; an adapter, trained on other addresses, is asked without them. Beside both
stands what needs no training: the same prompt with constrained decoding. Writes adherence.md. There is no promise to
break.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

sys.path.insert(0, str(Path(__file__).parent.parent))  # where `benchmarks` is, also for a script

from benchmarks.foreign_data import Example, addresses, unit
from benchmarks.frame import RESULTS, carry_out, run_process
from benchmarks.gate_markdown import table
from benchmarks.rows import CHILD, LIBRARIES, at_least
from benchmarks.rows_child import RECIPE
from tunegate.harness.cases.loader import find_unit, load_tasks
from tunegate.harness.cases.model import Unit
from tunegate.harness.core.formatting import percent
from tunegate.harness.core.progress import Watch, quiet
from tunegate.harness.evaluation.record import Record
from tunegate.harness.evaluation.scoring import evaluate
from tunegate.harness.models.local.huggingface import Local
from tunegate.harness.models.model_options import RungName
from tunegate.harness.statistics import paired as stats

NAME, KEY = "addresses", "addresses/addresses"
SHOTS, SEED = 4, 5
OPTIM = {"lr": 5e-4, "batch": 4, "max_length": 512}
ADHERENCE, EXACT = "adherence", "exact"
BEFORE, CONSTRAINED = "with worked examples", "with worked examples, constrained"
TUNED, BOTH = "the adapter, without examples", "the adapter, constrained"
BASE: Mapping[str, RungName] = {"the base": "as-is", BEFORE: "few-shot", CONSTRAINED: "few-shot-constrained"}


@dataclass(frozen=True)
class Answers:
    """Whether each answer of one model adheres and is exact, in the order of the cases; the mean tokens of a prompt."""

    rates: Mapping[str, Sequence[float]]
    tokens: float


@dataclass(frozen=True)
class Measured:
    """What each came to, and how many rows were trained on, how often."""

    answers: Mapping[str, Answers]
    rows: int
    passes: int


def divide(examples: Sequence[Example], cases: int, rows: int) -> tuple[list[Example], list[Example], list[Example]]:
    """Cases, rows and worked examples, no two of the same text.

    Raises:
        ValueError: there are not as many examples.
    """
    different = list({each.text: each for each in examples}.values())
    if len(different) < cases + rows + SHOTS:
        raise ValueError(f"expected {cases + rows + SHOTS} different addresses, found {len(different)}")
    drawn = random.Random(SEED).sample(different, cases + rows + SHOTS)  # noqa: S311
    return drawn[:cases], drawn[cases : cases + rows], drawn[cases + rows :]


def write_project(
    folder: Path, cases: Sequence[Example], rows: Sequence[Example], shots: Sequence[Example], model: str, passes: int
) -> Unit:
    """Fixtures, rows and a recipe; returns the unit."""
    fixtures = folder / "fixtures" / NAME
    fixtures.mkdir(parents=True)
    shown = [{"input": each.text, "output": json.dumps(each.answer)} for each in shots]
    data = {**unit(NAME, cases, {"extract": "strict"}), "shots": shown}
    (fixtures / f"{NAME}.yaml").write_text(json.dumps(data), "utf-8")
    lines = [json.dumps({"unit": NAME, "input": row.text, "output": json.dumps(row.answer)}) for row in rows]
    (folder / "rows.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    recipe = {
        "version": 1, "task": NAME, "model": model, "rows": ["rows.jsonl"], "output": "tuned",
        "optim": {**OPTIM, "epochs": passes}, "seed": 7,
    }  # fmt: skip
    (folder / RECIPE).write_text(json.dumps(recipe), "utf-8")
    return find_unit(load_tasks(folder / "fixtures"), KEY)


def measure(model: str, cases: int, rows: int, passes: int, watch: Watch) -> Measured:
    """Ask the base on each rung, train, and ask the adapter.

    Raises:
        Failed: the training did not end as it should.
    """
    with tempfile.TemporaryDirectory(prefix="tunegate-adherence-") as made:
        folder = Path(made)
        asked = write_project(folder, *divide(addresses(folder), cases, rows), model, passes)
        found = {name: answers_of(asked, Local(model, quiet(), rung=rung), watch) for name, rung in BASE.items()}
        print(f"Training on {rows} rows", flush=True)
        run_process([CHILD, folder, folder / "tuned", folder / "told.json"], folder, folder / "log.txt")
        tuned = folder / "tuned"
        found[TUNED] = answers_of(asked, Local(model, quiet(), tuned), watch)
        found[BOTH] = answers_of(asked, Local(model, quiet(), tuned, rung="constrained"), watch)
    return Measured(found, rows, passes)


def answers_of(asked: Unit, model: Local, watch: Watch) -> Answers:
    """Ask one model every case."""
    record: Record = evaluate([asked], model, watch)
    results = list(record.of_unit(asked.key).values())
    rates = {name: [float(each.rates[name]) for each in results] for name in (ADHERENCE, EXACT)}
    return Answers(rates, sum(each.tokens_in or 0 for each in results) / len(results))


def report(found: Measured, made: str) -> str:
    """The result as Markdown."""
    head = ["", "adherence", "at least", "exact", "tokens of a prompt"]
    return "\n".join([
        "# The form of answers", "", *(f"- {line}" for line in findings(found)), "",
        table(head, list(_rows(found))), "",
        f"Postal addresses in the words of other people, taken apart into JSON: {_n(found)} cases that no training "
        f"saw, {SHOTS} worked examples, {found.rows} rows, passes over them: {found.passes}. `at least` is the "
        "one-sided lower 95 % bound (Clopper and Pearson 1934); differences are paired, with the gate's interval.", "",
        "## How", "", made, "",
    ])  # fmt: skip


def findings(found: Measured) -> Iterator[str]:
    """What the table comes to."""
    before, after = found.answers[BEFORE], found.answers[TUNED]
    for name in (TUNED, BOTH):
        each = found.answers[name]
        mean, bound = _mean(each, ADHERENCE), at_least(_mean(each, ADHERENCE), _n(found))
        yield (
            f"Adherence: {percent(_mean(before, ADHERENCE))} {BEFORE}, {percent(mean)} by {name}, at least "
            f"{percent(bound)}: {_difference(before, each, ADHERENCE)}."
        )
    prompt = f"{after.tokens / before.tokens:.0%} of the prompt"
    yield f"Exactness, tuned: {_difference(before, after, EXACT)}, for {prompt}."
    held = found.answers[CONSTRAINED]
    yield (
        f"Constrained decoding brings adherence to {percent(_mean(held, ADHERENCE))} without a training, and exactness "
        f"to {percent(_mean(held, EXACT))} from {percent(_mean(before, EXACT))}: where form is all that is missing, it "
        "comes first."
    )


def _difference(before: Answers, after: Answers, rate: str) -> str:
    d = [new - old for old, new in zip(before.rates[rate], after.rates[rate], strict=True)]
    bounds = stats.interval(d)
    return f"{100 * sum(d) / len(d):+.1f} points [{100 * bounds.lower:+.1f}, {100 * bounds.upper:+.1f}]"


def _rows(found: Measured) -> Iterator[list[str]]:
    for name, each in found.answers.items():
        share = _mean(each, ADHERENCE)
        bound = percent(at_least(share, _n(found)))
        yield [name, percent(share), bound, percent(_mean(each, EXACT)), f"{each.tokens:.0f}"]


def _mean(each: Answers, rate: str) -> float:
    return sum(each.rates[rate]) / len(each.rates[rate])


def _n(found: Measured) -> int:
    return len(found.answers[TUNED].rates[ADHERENCE])


def main(
    cases: Annotated[int, typer.Option(min=3, help="Addresses that no training sees.")] = 400,
    rows: Annotated[int, typer.Option(min=4, help="Addresses to train on.")] = 460,
    passes: Annotated[int, typer.Option(min=1, help="Over the rows.")] = 2,
    model: Annotated[str, typer.Option(help="As --model of the suites.")] = "smollm2",
    out: Annotated[Path, typer.Option(help="Where adherence.md goes.", metavar="DIR")] = RESULTS,
) -> None:
    """Ask the base with examples, and an adapter without, and write adherence.md."""
    out.mkdir(parents=True, exist_ok=True)
    command = f"python benchmarks/adherence.py --cases {cases} --rows {rows} --passes {passes} --model {model}"
    carry_out(
        out / "adherence.md", command, LIBRARIES,
        lambda watch: measure(model, cases, rows, passes, watch), report, lambda _: (),
    )  # fmt: skip


if __name__ == "__main__":
    typer.run(main)
