"""The desk of a bike rental: eight tools, on a model of 1.5 billion parameters.

    python benchmarks/larger.py --out MODELS
    python benchmarks/tool_desk.py MODELS/qwen2.5-coder-1.5b-instruct-q4_k_m.gguf WORK    # a night and a day
    python benchmarks/tool_desk.py smollm2 WORK --quick                                   # the embedded model

Each message is answered with the right calls of eight tools, or in words where none fits: 150 open cases, 100 sealed
ones, 60 where no tool fits, 145 general questions, 381 rows, all written by hand for this (benchmarks/tool_desk). The
model is shown the tools by TRL's template for Qwen2.5, which also reads its calls. The commands are those of a user:
`record`, `diagnose`, then `train` and `gate --sealed` with three seeds, and `release` of the first. Two further
adapters are damaged: one is trained without the rows that no tool fits (*always-calls*), one without those that call
`refund` (*no-refund*). A command whose result lies in WORK is not run again. Writes results/tool_desk.md.

Three columns: *form*, the calls are in the template's form and fit their tools; *right*, they are the right ones,
also in a code block or as bare JSON (benchmarks/tool_desk_calls.py); *both*, as the suite `tools` scores. Calls are
not constrained to the schemas of their tools, so constrained decoding is no prompting strategy here.

Written down before: with each seed at least 85 % of the open cases are right, 15 points above the best prompting
strategy, in the second column, so that a tune has to be worth more than its form; at most 5 % of the messages that no
tool fits are answered with a call; the damaged adapters are blocked, and what they lack is named. If a prompting
strategy closes the gap, the finding is "do not tune".
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from shutil import copytree
from typing import Annotated, Any

import numpy as np
import typer
import yaml

sys.path.insert(0, str(Path(__file__).parent.parent))  # where `benchmarks` is, also for a script

from benchmarks.frame import RESULTS, ROOT, carry_out, run_once
from benchmarks.gate_markdown import number, table
from benchmarks.tool_desk_calls import Seen, seen
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.cases.model import Case
from tunegate.harness.core.progress import Watch
from tunegate.harness.gate.rule import task_blocked
from tunegate.harness.models.evaluation.record import Record, read_record
from tunegate.harness.release.diagnosis.diagnosis import Diagnosis, read_diagnosis
from tunegate.harness.release.diagnosis.optimised import OPTIMISED

LIBRARIES = ("tunegate", "torch", "transformers", "trl", "peft")
DATA, TASK = ROOT / "benchmarks" / "tool_desk", "towpath"
DESK, SEALED, NO_TOOL, QUESTIONS = (f"{TASK}/{unit}" for unit in ("desk", "desk-sealed", "no-tool", "questions"))
RIGHT, ABOVE, NEEDLESS = 0.85, 0.15, 0.05
SEEDS, SAMPLE, BUDGET, LACKING = (0, 1, 2), 40, 200, "refund"
#: A damaged adapter: the rows that it is trained on, and a word of the sentence that has to name what it lacks.
DAMAGED: Mapping[str, tuple[Callable[[set[str]], bool], str]] = {
    "always-calls": (lambda tools: bool(tools), "no-tool"),
    "no-refund": (lambda tools: LACKING not in tools, LACKING),
}
LARGE_OPTIM = {"lr": 2.0e-4, "epochs": 1, "batch": 8, "max_length": 1024}
SMALL_OPTIM = {"lr": 8.0e-4, "epochs": 2, "batch": 4, "max_length": 1024}  # as `init` proposes for this model
QUICK_CASES, QUICK_ROWS, QUICK_TOKENS = 3, 16, 64
WHY = {"override": "a benchmark"}
TODAY = re.compile(r"Today is [^.]+\.")
AS_COMMITTED = ("-c", "user.name=benchmark", "-c", "user.email=benchmark@localhost", "-c", "commit.gpgsign=false")


@dataclass(frozen=True)
class Terms:
    """How much is run: the seeds, the options of `train`, and whether only some cases and rows are taken."""

    seeds: Sequence[int]
    optim: Mapping[str, Any]
    dtype: str
    quick: bool


@dataclass(frozen=True)
class Tuned:
    """An adapter: the record of its gate, the minutes of its training, and the gate's first line on it."""

    record: Record
    minutes: float
    said: str


@dataclass(frozen=True)
class Found:
    """A model: its diagnosis, a record of each prompting strategy and of each adapter, and the cases by their keys."""

    diagnosis: Diagnosis
    prompted: Mapping[str, Record]
    tuned: Mapping[str, Tuned]
    cases: Mapping[str, Case]
    is_released: bool

    @property
    def seeds(self) -> list[Tuned]:
        """The adapters trained on all rows."""
        return [each for name, each in self.tuned.items() if name not in DAMAGED]

    def share(self, record: Record, unit: str, what: str) -> float:
        """The share of a unit's outputs of which `what` of `Seen` is true."""
        return float(np.mean([getattr(each, what) for each in self._seen(record, unit)]))

    def _seen(self, record: Record, unit: str) -> list[Seen]:
        return [seen(self.cases[f"{unit}/{name}"], each) for name, each in record.of_unit(unit).items()]

    @cached_property
    def best(self) -> tuple[str, float]:
        """The prompting strategy with the most right calls, and their share."""
        return max(
            ((rung, self.share(record, DESK, "right")) for rung, record in self.prompted.items()),
            key=lambda each: each[1],
        )


class Project:
    """A copy of the desk's project for one model, and the commands that it is taken through."""

    def __init__(self, folder: Path, model: str, terms: Terms, watch: Watch) -> None:
        self.folder, self._model, self._terms, self._watch = folder, model, terms, watch
        self._asked = ("--model", model, "--dtype", terms.dtype)
        if not folder.exists():
            write_project(folder, terms.quick)

    def read(self) -> Found:
        """Take the model through all commands."""
        self._run("record", "tunegate", "record", "--out", "base.json", *self._asked)
        diagnosis = self._diagnosed()
        prompted = {"as-is": read_record(self.folder / "base.json"), "few-shot": self._prompted("few-shot")}
        if diagnosis.optimised:
            fixtures = self._with_prompt(diagnosis.optimised.units[DESK].system or "")
            prompted[OPTIMISED] = self._prompted(OPTIMISED, "as-is", fixtures)
        tuned = {f"seed-{seed}": self._tuned(f"seed-{seed}", "desk", seed) for seed in self._terms.seeds}
        first = self._terms.seeds[0]
        self._release(f"seed-{first}")
        tuned |= {name: self._tuned(name, name, first) for name in DAMAGED}
        released = (self.folder / "adapters" / f"seed-{first}" / "release.json").exists()
        tasks = load_tasks(self.folder / "fixtures")
        cases = {case.key: case for task in tasks for unit in task.units for case in unit.cases}
        return Found(diagnosis, prompted, tuned, cases, released)

    def _diagnosed(self) -> Diagnosis:
        optimised = ("--optimise-with", self._model, "--rows", "recipes/rows/prompt.jsonl")
        size = ("--sample", str(SAMPLE), "--optimise-budget", str(BUDGET))
        more = () if self._terms.quick else (*optimised, *size)
        self._run("diagnose", "tunegate", "diagnose", TASK, *more, *self._asked)
        [found] = self.folder.glob(f"baselines/*/{TASK}/diagnosis.json")
        return read_diagnosis(found)

    def _prompted(self, name: str, rung: str = "", fixtures: str = "fixtures") -> Record:
        """The record of both open units with a prompting strategy."""
        asked = (f"--tg-{each[2:]}" if each[:2] == "--" else each for each in self._asked)
        chosen = (f"{fixtures}/", "--tg-cases", fixtures, "-k", f"{DESK}/ or {NO_TOOL}/")
        self._run(name, "pytest", *chosen, "--tg-rung", rung or name, "--tg-out", f"{name}.json", *asked, fine=(0, 1))
        return read_record(self.folder / f"{name}.json")

    def _tuned(self, name: str, rows: str, seed: int) -> Tuned:
        recipe = {
            "version": 1, "task": TASK, "model": self._model, "rows": [f"rows/{rows}.jsonl"], "seed": seed,
            "optim": self._terms.optim, "output": f"../adapters/{name}", "diagnosis": WHY, "memorization": WHY,
        }  # fmt: skip
        (self.folder / "recipes" / f"{name}.yaml").write_text(json.dumps(recipe), "utf-8")
        minutes = self._run(f"train-{name}", "tunegate", "train", f"recipes/{name}.yaml", "--dtype", self._terms.dtype)
        gate = ("gate", "--adapter", f"adapters/{name}", "--sealed", "--out", f"{name}.json")
        self._run(f"gate-{name}", "tunegate", *gate, *self._asked, fine=(0, 1))
        return Tuned(read_record(self.folder / f"{name}.json"), minutes, first_line(self.folder / f"gate-{name}.log"))

    def _release(self, name: str) -> None:
        """Release an adapter from a repository of its own; one that is blocked stays unreleased."""
        if not (self.folder / ".git").exists():
            for command in (("init", "-q", "-b", "main"), ("add", "-A"), (*AS_COMMITTED, "commit", "-qm", "a project")):
                subprocess.run(["git", *command], cwd=self.folder, check=True)
        self._run(f"release-{name}", "tunegate", "release", f"adapters/{name}", *self._asked, fine=(0, 1))

    def _with_prompt(self, system: str) -> str:
        """Write the fixtures with this system prompt, and each unit's own day; return their folder's name."""
        here = self.folder / OPTIMISED
        if not here.exists():
            copytree(self.folder / "fixtures", here)
            for unit in (DESK, NO_TOOL):
                file = here / f"{unit}.yaml"
                text = file.read_text("utf-8")
                today = TODAY.search(text)
                line = f"  system: {json.dumps(TODAY.sub(today[0] if today else '', system), ensure_ascii=False)}"
                text = re.sub(r"^  system: .*", lambda _, line=line: line, text, count=1, flags=re.MULTILINE)
                file.write_text(text, "utf-8")
        return OPTIMISED

    def _run(self, name: str, *command: str, fine: Sequence[int] = (0,)) -> float:
        """Run a command once; return its minutes, also those of an earlier time."""
        with self._watch(f"{self._model}: {name}"):
            return run_once(name, ["-m", *command], self.folder, fine)


def write_project(folder: Path, quick: bool) -> None:
    """Copy the desk's project, or some cases and rows of it, with the rows of the damaged adapters."""
    copytree(DATA, folder)
    rows = folder / "recipes" / "rows"
    every = [json.loads(line) for line in (rows / "desk.jsonl").read_text("utf-8").splitlines()]
    if quick:
        every = every[:: len(every) // QUICK_ROWS]
        for unit in (DESK, SEALED, NO_TOOL, QUESTIONS):
            _shorten(folder / "fixtures" / f"{unit}.yaml")
    system = yaml.safe_load((folder / "fixtures" / f"{DESK}.yaml").read_text("utf-8"))["prompt"]["system"]
    written = {
        "desk": every,
        "prompt": [_of_unit(row, system) for row in every if not _days(row)],
        **{name: [row for row in every if keeps(called(row))] for name, (keeps, _) in DAMAGED.items()},
    }
    for name, chosen in written.items():
        lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in chosen)
        (rows / f"{name}.jsonl").write_text("".join(lines), "utf-8")


def _shorten(file: Path) -> None:
    """Leave every n-th case of a unit, so that about `QUICK_CASES` stay, and less room for outputs."""
    head, mark, tail = file.read_text("utf-8").partition("\ncases:\n")
    cases = re.split(r"^(?=  - )", tail, flags=re.MULTILINE)[1:]
    head = head.replace("max_new_tokens: 160", f"max_new_tokens: {QUICK_TOKENS}")
    file.write_text(head + mark + "".join(cases[:: len(cases) // QUICK_CASES]), "utf-8")


def called(row: Mapping[str, Any]) -> set[str]:
    """The names of the tools that a row calls."""
    return {call["function"]["name"] for each in row["messages"] for call in each.get("tool_calls", ())}


def _days(row: Mapping[str, Any]) -> bool:
    """Whether a row's calls name a day, so that it is right on its own day only."""
    calls = (call for each in row["messages"] for call in each.get("tool_calls", ()))
    return any("day" in json.loads(call["function"]["arguments"]) for call in calls)


def _of_unit(row: Mapping[str, Any], system: str) -> dict[str, Any]:
    """A row of the unit, with its prompt: what a prompt is optimised on."""
    messages = [{"role": "system", "content": system}, *row["messages"][1:]]
    return {"unit": DESK.rpartition("/")[2], "messages": messages}


def first_line(log: Path) -> str:
    """What a gate says first of what it blocks, or its last line."""
    lines = [line.strip() for line in log.read_text("utf-8", errors="replace").splitlines() if line.strip()]
    return next((line for line in lines if "Blocked: " in line), lines[-1] if lines else "")


def report(found: Found, made: str) -> str:
    """The result as Markdown."""
    rung, share = found.best
    advice = found.diagnosis.units[DESK].advice
    parts = [
        f"# The desk of a bike rental: eight tools\n\n{made}",
        f"Best prompting strategy: {rung}, {number(share)} % right. The diagnosis: {advice}",
        f"{len(found.prompted['as-is'].of_unit(DESK))} open cases.\n\n{_open(found)}",
        _gates(found),
        f"The adapter of the first seed {'is' if found.is_released else 'is not'} released.",
    ]
    return "\n\n".join(parts) + "\n"


def _open(found: Found) -> str:
    every = {**found.prompted, **{name: each.record for name, each in found.tuned.items()}}
    rows = [
        [
            name, *(number(found.share(record, DESK, what)) for what in ("form", "right", "both")),
            number(found.share(record, NO_TOOL, "calls")),
        ]
        for name, record in every.items()
    ]  # fmt: skip
    return table(["what", "form, %", "right, %", "both, %", "calls where none fits, %"], rows)


def _gates(found: Found) -> str:
    rows = [
        [
            name, number(each.record.units[SEALED].mean or 0.0), number(each.record.units[QUESTIONS].mean or 0.0),
            *(str(each.record.verdicts[unit].verdict) for unit in (DESK, NO_TOOL, QUESTIONS)),
            f"{each.minutes:.1f}", each.said.replace("|", "/"),
        ]
        for name, each in found.tuned.items()
    ]  # fmt: skip
    head = ["adapter", "sealed, both, %", "questions, %", "desk", "no-tool", "questions", "minutes", "the gate"]
    return table(head, rows)


def broken(found: Found) -> Iterator[str]:
    """What was written down before and does not hold."""
    rung, best = found.best
    for name, each in found.tuned.items():
        if name in DAMAGED:
            yield from _not_stopped(name, each)
            continue
        right, needless = found.share(each.record, DESK, "right"), found.share(each.record, NO_TOOL, "calls")
        if right < RIGHT or right < best + ABOVE:
            yield f"{name}: {number(right)} % right, {rung} {number(best)} %"
        if needless > NEEDLESS:
            yield f"{name}: {number(needless)} % calls where none fits"
    if DESK in found.diagnosis.cheaper:
        yield f"do not tune: {found.diagnosis.units[DESK].advice}"


def _not_stopped(name: str, adapter: Tuned) -> Iterator[str]:
    if not task_blocked(adapter.record.tasks[TASK]):
        yield f"{name} passes"
    elif DAMAGED[name][1] not in adapter.said:
        yield f"{name}: what it lacks is not named"


def main(
    model: Annotated[str, typer.Argument(help="A GGUF file, a folder, or the embedded model's name.")],
    work: Annotated[Path, typer.Argument(help="Folder of what is kept between runs.", metavar="WORK")],
    quick: Annotated[bool, typer.Option("--quick", help="One seed, few cases and rows.")] = False,
    out: Annotated[Path, typer.Option("--out", help="Where it goes.", metavar="DIR")] = RESULTS,
) -> None:
    """See the module."""
    is_file = Path(model).exists()
    optim = LARGE_OPTIM if is_file else SMALL_OPTIM
    terms = Terms(
        SEEDS[:1] if quick else SEEDS, {**optim, "epochs": 1} if quick else optim,
        "bfloat16" if is_file else "float32", quick,
    )  # fmt: skip
    named = str(Path(model).resolve()) if is_file else model
    folder = work.resolve() / (f"{Path(model).stem}{'-quick' * quick}")
    command = f"python benchmarks/tool_desk.py {Path(model).name} WORK{' --quick' * quick}"
    carry_out(
        out / "tool_desk.md",
        command,
        LIBRARIES,
        lambda watch: Project(folder, named, terms, watch).read(),
        report,
        broken,
    )


if __name__ == "__main__":
    main.__doc__ = __doc__
    typer.run(main)
