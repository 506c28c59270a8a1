"""A small model for a large one's job: a teacher answers, the embedded model is trained on what passes, both are asked.

    python benchmarks/distil.py --teacher larger.gguf     # served by llama.cpp, and so are the others then
    python benchmarks/distil.py --teacher ./larger        # a folder; or openai:URL#MODEL, or vllm: with a folder
    python benchmarks/distil.py                           # the demo's own answers stand for a teacher

The teacher answers inputs of the demo's rows, with --rung few-shot behind the unit's worked examples; the task's checks
drop what fails, and the rest trains an adapter. Base, base with worked examples, teacher and tuned then answer rows
that no training saw, and with --fixtures the unit's fixtures, sealed ones among them: one prompt at a time, in turn.
llama.cpp has a server for each of them.
Writes distil-UNIT.md: quality, cost, p50 and p95 of the seconds of a call, each beside the teacher's (the base's, where
a recorded teacher has none) with a paired interval, and "no claim" where quality or price is not shown. There is no
promise to break.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, cast

import numpy as np
import typer

sys.path.insert(0, str(Path(__file__).parent.parent))  # where `benchmarks` is, also for a script

from benchmarks.frame import RESULTS, ROOT, carry_out
from benchmarks.gate_markdown import table
from benchmarks.small_trainings import SEALED, SmallTraining, write_training
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.cases.model import Task, Unit
from tunegate.harness.checks.cost import Price
from tunegate.harness.core.progress import Watch, quiet
from tunegate.harness.models.adapters import TRAINING
from tunegate.harness.models.api import Completion, Model, Request
from tunegate.harness.models.local.huggingface import Base, Local
from tunegate.harness.models.model_options import ModelOptions, RungName, is_server
from tunegate.harness.models.opening import open_model
from tunegate.harness.models.prompts import request
from tunegate.harness.models.served.llama_cpp import GGUF, SLOTS, serving_gguf
from tunegate.harness.models.served.server import Server
from tunegate.harness.release.export import convert_to_gguf, find_converter, merge_adapter
from tunegate.harness.statistics import paired as stats
from tunegate.harness.statistics.ratio import ratio
from tunegate.trainers.data.asked_rows import AskedRow
from tunegate.trainers.distil import Distilled, distil_rows, open_teacher, prepare_inputs, write_distilled
from tunegate.trainers.pipeline import train_adapter

LIBRARIES = ("tunegate", "torch", "transformers", "peft", "trl")
RECORDED = "recorded"
OPTIM = {"lr": 8e-4, "epochs": 2, "batch": 4, "max_length": 512}  # as the demo's recipes for one unit
SEED = 7
DRAWS = 2000  # of the cases, with replacement, for an interval of a quantile
ROOM = 2048  # tokens of prompt and answer, where llama.cpp serves
BASE, WITH_EXAMPLES, TEACHER, TUNED = "base", "base, with examples", "teacher", "tuned"


@dataclass
class Asked:
    """What one model answered, case by case: scores; tokens in and out, prices and seconds where there was a call."""

    scores: list[float] = field(default_factory=list)
    tokens: list[tuple[int, int]] = field(default_factory=list)
    costs: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Measured:
    """A distillation and what it came to; `rows` are what the teacher answered, what was kept and what was asked."""

    unit: str
    teacher: str
    rows: tuple[int, int, int]
    dropped: Mapping[str, int]
    ways: Mapping[str, Asked]


@dataclass(frozen=True)
class Teacher:
    """Whom `--teacher` names, and what a million of its tokens cost, going in and coming out."""

    name: str = RECORDED
    price: Price | None = None
    rung: RungName = "as-is"

    @property
    def file(self) -> Path | None:
        """The file that llama.cpp serves; None for what answers elsewhere."""
        return Path(self.name) if self.name.endswith(GGUF) else None


def measure(
    model: str, teacher: Teacher, unit: str, rows: int, sealed: int, watch: Watch,
    further: str = "", *, fixtures: bool = False,
) -> Measured:  # fmt: skip
    """Distil, train, and ask all four the same rows, and cases where the unit's fixtures are asked, too."""
    say = partial(print, flush=True)
    task = next(task for task in load_tasks(ROOT / "fixtures") if task.name == "support")
    if teacher.file:
        find_converter()  # before the teacher works for an hour
    with tempfile.TemporaryDirectory(prefix="tunegate-distil-") as made, ExitStack() as served:
        place = write_training(Path(made) / unit, unit, rows, sealed, model=model, optim=OPTIM, seed=SEED)
        if further:
            _add_inputs(place, further)
        serving = serving_gguf(teacher.file, ROOM, watch) if teacher.file else nullcontext(teacher.name)
        with serving as name:
            distilled = _distil(place, task, name, teacher.rung, watch)
        ready = place.ready(watch)
        adapter = train_adapter(ready, watch, say)
        (adapter / TRAINING).unlink()  # without the guards it is no record that an adapter is asked with
        found = next(each for each in task.units if each.name == unit)
        last = place.sealed() + (_cases(task, unit) if fixtures else [])
        ways = _ask(_models(model, adapter, teacher, served, watch), last, _outputs(place), found, watch)
    prices = task.policy.prices
    for name, each in ways.items():
        price = (teacher.price if name == TEACHER else None) or (prices.price if prices else None)
        each.costs += [price.of(*tokens) for tokens in each.tokens] if price else []
    asked, kept = len(distilled.inputs.rows), len(distilled.lines)
    dropped = Counter(each.why for each in distilled.dropped)
    who = teacher.file.name if teacher.file else str(distilled.teacher["name"])
    return Measured(unit, who, (asked, kept, len(last)), dropped, ways)


def _cases(task: Task, unit: str) -> list[AskedRow]:
    """The unit's fixtures, and those of the unit that seals it."""
    found = [each for each in task.units if unit in (each.name, task.policy.of(each.name, each.kind).seals)]
    return [AskedRow(request(each, case), case) for each in found for case in each.cases]


def _outputs(place: SmallTraining) -> list[str]:
    return [json.loads(line)["output"] for line in (place.folder / SEALED).read_text("utf-8").splitlines()]


def _add_inputs(place: SmallTraining, further: str) -> None:
    """Another unit's inputs as this unit's: work as it comes in, without an answer."""
    lines = (ROOT / f"trainers/recipes/rows/{further}.jsonl").read_text("utf-8").splitlines()
    rows = [json.loads(line) | {"unit": place.unit} for line in lines]
    with (place.folder / "rows.jsonl").open("a", encoding="utf-8") as out:
        out.writelines(json.dumps(row) + "\n" for row in rows)


def _distil(place: SmallTraining, task: Task, teacher: str, rung: RungName, watch: Watch) -> Distilled:
    """Put the teacher's answers, those that pass, in the place of the demo's."""
    rows, inputs = place.folder / "rows.jsonl", place.folder / "inputs.jsonl"
    known = [json.loads(line) for line in rows.read_text("utf-8").splitlines()]
    asked = [{key: value for key, value in each.items() if key not in ("output", "rejected")} for each in known]
    inputs.write_text("".join(json.dumps(each) + "\n" for each in asked), "utf-8")
    prepared = prepare_inputs(task, [inputs], rung)
    name = teacher
    if teacher == RECORDED:
        outputs = place.folder / "outputs.jsonl"
        pairs = zip(prepared.requests, known, strict=True)
        lines = [{"case": call.key, "digest": call.digest, "output": each["output"]} for call, each in pairs]
        outputs.write_text("".join(json.dumps(each) + "\n" for each in lines), "utf-8")
        name = f"replay:demo={outputs}"
    rows.unlink()
    made = distil_rows(prepared, open_teacher(name, prepared, watch, ModelOptions(in_flight=SLOTS)), watch)
    write_distilled(rows, made)
    return made


def _models(
    model: str, adapter: Path, teacher: Teacher, served: ExitStack, watch: Watch
) -> dict[str, tuple[Model | None, RungName]]:
    """Who is asked, on which rung; a recorded teacher is asked nothing."""
    if teacher.file:
        files = _as_gguf(model, adapter, served, watch)
        every = {BASE: files[0], WITH_EXAMPLES: files[0], TEACHER: teacher.file, TUNED: files[1]}
        rungs: dict[str, RungName] = {WITH_EXAMPLES: "few-shot", TEACHER: teacher.rung}
        found: dict[str, tuple[Model | None, RungName]] = {}
        for way, file in every.items():
            name, rung = served.enter_context(serving_gguf(file, ROOM, watch, slots=1)), rungs.get(way, "as-is")
            found[way] = (Server(name, quiet(), ModelOptions(in_flight=1), rung), rung)
        return found
    return {
        BASE: (Local(model, quiet()), "as-is"),
        WITH_EXAMPLES: (Local(model, quiet()), "few-shot"),
        TEACHER: (None if teacher.name == RECORDED else _opened(teacher.name), teacher.rung),
        # a base of its own: to change the adapter between two calls would be timed, too
        TUNED: (Local(model, quiet(), adapter), "as-is"),
    }


def _as_gguf(model: str, adapter: Path, kept: ExitStack, watch: Watch) -> tuple[Path, Path]:
    """The base, and the base with the adapter merged into it, both in float16."""
    folder = Path(kept.enter_context(tempfile.TemporaryDirectory(prefix="tunegate-distil-")))
    base = Base(model, watch)
    merge_adapter(base, adapter, folder / "merged")
    files = (folder / "base.gguf", folder / "tuned.gguf")
    for source, file in zip((base.folder, folder / "merged"), files, strict=True):
        convert_to_gguf(find_converter(), source, file, watch)
    return files


def _opened(teacher: str) -> Model:
    return Server(teacher, quiet(), ModelOptions()) if is_server(teacher) else open_model(teacher, quiet())


def _ask(
    models: Mapping[str, tuple[Model | None, RungName]], rows: Sequence[AskedRow], recorded: Sequence[str],
    unit: Unit, watch: Watch,
) -> dict[str, Asked]:  # fmt: skip
    """Ask one prompt at a time; all take turns, and in who goes first as well. No model stands for what is recorded."""
    found = {name: Asked() for name in models}
    names = list(models)
    for model, rung in models.values():  # loaded and warm before the clock starts
        list(model.answer([_call(rows[0], unit, rung)]) if model else ())
    with watch("Asking all of them in turn", len(rows)) as done:
        for turn, row in enumerate(rows):
            for name in names[turn % len(names) :] + names[: turn % len(names)]:
                model, rung = models[name]
                start = time.perf_counter()
                call = _call(row, unit, rung)
                [said] = model.answer([call]) if model else [Completion(call.key, recorded[turn])]
                if model:
                    found[name].seconds.append(time.perf_counter() - start)
                    found[name].tokens.append((said.tokens_in or 0, said.tokens_out or 0))
                found[name].scores.append(row.score(said) or 0.0)
            done(1)
    return found


def _call(row: AskedRow, unit: Unit, rung: RungName) -> Request:
    return request(unit, row.case, rung) if row.case else row.request


def quantile_ratio(before: Sequence[float], after: Sequence[float], q: float) -> tuple[float, float, float]:
    """How many times one quantile is the other, over the same cases, with the 95 % interval of a bootstrap."""
    x, y = np.asarray(before), np.asarray(after)
    drawn = np.random.default_rng(SEED).integers(len(x), size=(DRAWS, len(x)))
    ratios = np.quantile(y[drawn], q, axis=1) / np.quantile(x[drawn], q, axis=1)
    low, high = np.quantile(ratios, [0.025, 0.975]).tolist()
    return float(np.quantile(y, q) / np.quantile(x, q)), low, high


def claim(teacher: Asked, asked: Asked, margin: float) -> str:
    """Whether quality is held within the margin and the price of a call is lower, each by its paired test."""
    if not stats.held(_differences(teacher, asked), margin):
        return f"no claim: quality is not held within {100 * margin:.0f} points"
    found = ratio(teacher.costs, asked.costs) if len(teacher.costs) == len(asked.costs) and asked.costs else None
    if not (found and found.interval):
        return "no claim: the teacher's price is not known"
    if found.interval[1] >= 1:
        return "no claim: the price is not lower"
    return f"quality held, at {100 * found.estimate:.0f} % of the price"


def _differences(teacher: Asked, asked: Asked) -> list[float]:
    return [now - before for before, now in zip(teacher.scores, asked.scores, strict=True)]


def report(found: Measured, margin: float, made: str) -> str:
    """The result as Markdown."""
    asked, kept, last = found.rows
    dropped = ", ".join(f"{count} {why}" for why, count in found.dropped.items()) or "none"
    teacher, others = found.ways[TEACHER], {name: each for name, each in found.ways.items() if name != TEACHER}
    head = ["", "score", "to the teacher, points", "price of 1,000", "times", "p50, s", "times", "p95, s", "times"]
    return "\n".join([
        f"# A small model for a large one's job: {found.unit}", "",
        f"- {found.teacher} answered {asked} inputs, of which {kept} passed the task's checks (dropped: {dropped}).",
        f"- On {last} inputs that no training saw: {claim(teacher, found.ways[TUNED], margin)}.", "",
        table(head, (_row(name, found.ways) for name in found.ways)), "",
        *(f"- {name}: {claim(teacher, each, margin)}" for name, each in others.items()), "",
        "Prices are in the demo's currency: its own, and the teacher's where one was given. Times are by the "
        "teacher's, or by the base's where a recorded teacher has neither price nor seconds, with paired 95 % "
        "intervals over the cases: Fieller's for prices, a bootstrap's for quantiles.", "",
        "## How", "", made, "",
    ])  # fmt: skip


def _row(name: str, ways: Mapping[str, Asked]) -> list[str]:
    asked, teacher = ways[name], ways[TEACHER]
    differ = _differences(teacher, asked)
    bounds = stats.interval(differ)
    points = f"{100 * np.mean(differ):+.1f} [{100 * bounds.lower:+.1f}, {100 * bounds.upper:+.1f}]"
    cells = [name, f"{np.mean(asked.scores):.3f}", "" if name == TEACHER else points]
    return [*cells, *_costs(asked, teacher if teacher.costs else ways[BASE]), *_seconds(asked, ways)]


def _costs(asked: Asked, beside: Asked) -> Iterator[str]:
    yield f"{1000 * np.mean(asked.costs):.3g}" if asked.costs else ""
    found = ratio(beside.costs, asked.costs) if beside.costs and asked.costs and asked is not beside else None
    yield _times(found.estimate, *found.interval) if found and found.interval else ""


def _seconds(asked: Asked, ways: Mapping[str, Asked]) -> Iterator[str]:
    beside = ways[TEACHER] if ways[TEACHER].seconds else ways[BASE]
    for q in (0.5, 0.95):
        yield f"{np.quantile(asked.seconds, q):.3g}" if asked.seconds else ""
        both = beside.seconds and asked.seconds and asked is not beside
        yield _times(*quantile_ratio(beside.seconds, asked.seconds, q)) if both else ""


def _times(estimate: float, low: float, high: float) -> str:
    return f"{estimate:.2f} [{low:.2f}, {high:.2f}]"


def main(
    teacher: Annotated[str, typer.Option(help="As --model; `recorded` are the demo's own answers.")] = RECORDED,
    price: Annotated[
        tuple[float, float] | None, typer.Option(help="The teacher's price of a million tokens, in and out.")
    ] = None,
    rung: Annotated[str, typer.Option(help="On which the teacher is asked: as-is, or few-shot.")] = "as-is",
    unit: Annotated[str, typer.Option(help="A unit of the demo that has rows.")] = "triage",
    further: Annotated[str, typer.Option(help="Another unit of it, whose inputs the teacher answers, too.")] = "",
    rows: Annotated[int, typer.Option(min=10, help="Inputs that the teacher answers.")] = 200,
    sealed: Annotated[int, typer.Option(min=2, help="Further rows, to ask once.")] = 60,
    fixtures: Annotated[bool, typer.Option(help="Ask the unit's fixtures as well, and those that seal it.")] = False,
    margin: Annotated[float, typer.Option(min=0.01, help="What quality may lose, .1 for ten points.")] = 0.1,
    model: Annotated[str, typer.Option(help="The small model, as --model of the suites.")] = "smollm2",
    out: Annotated[Path, typer.Option(help="Where distil-UNIT.md goes.", metavar="DIR")] = RESULTS,
) -> None:
    """Distil, train, ask all four, and write distil-UNIT.md."""
    command = f"python benchmarks/distil.py --teacher {teacher} --rung {rung} --unit {unit} --rows {rows}"
    if fixtures and teacher == RECORDED:
        raise typer.BadParameter("the demo's own answers hold none to the fixtures: name a --teacher that can be asked")
    command += (f" --further {further}" if further else "") + f" --sealed {sealed}" + " --fixtures" * fixtures
    command += f" --price {price[0]} {price[1]}" if price else ""
    named = Teacher(teacher, Price(*price) if price else None, cast("RungName", rung))
    carry_out(
        out / f"distil-{unit}.md", f"{command} --margin {margin} --model {model}", LIBRARIES,
        lambda watch: measure(model, named, unit, rows, sealed, watch, further, fixtures=fixtures),
        lambda found, made: report(found, margin, made), lambda _: (),
    )  # fmt: skip


if __name__ == "__main__":
    typer.run(main)
