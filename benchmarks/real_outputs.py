"""Real outputs: on how many unlabelled inputs do two models differ, and what does labelling only those save?

    python benchmarks/larger.py --out MODELS    # DATA is that of benchmarks/coverage.py
    python benchmarks/real_outputs.py DATA WORK --model MODELS/qwen2.5-coder-1.5b-instruct-q4_k_m.gguf    # hours

1,000 messages to a bank are sorted into JSON (triage) and replied to (replies), and 1,000 requests to an assistant are
answered in a few words (questions), by the demo's prompts and checks. The embedded model is compared with an adapter of
the demo's recipe on the demo's rows of these units, this with one of another seed, and with itself in bfloat16. The
larger model only sorts, by the demo's prompt with an example, and by this with one more sentence. The commands are a
user's: `traffic`, `record`, `train`, `gate`. A command whose result lies in WORK is not run again. Writes
results/real_outputs.md.
"""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from shutil import copytree
from typing import Annotated, Any

import typer
import yaml

sys.path.insert(0, str(Path(__file__).parent.parent))  # where `benchmarks` is, also for a script

from benchmarks.flagship import LIBRARIES, WHY
from benchmarks.frame import RESULTS, ROOT, carry_out, run_once
from benchmarks.gate_markdown import number, table
from benchmarks.hold_out_projects import BANKING
from benchmarks.public_sets import HOME, INPUT, Files, annotated
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.cases.snapshot import traffic_in
from tunegate.harness.core.progress import Watch
from tunegate.harness.gate.labelled_outputs import compared_outputs
from tunegate.harness.gate.planning.labelled import TIED
from tunegate.harness.models.evaluation.record import Record, read_record
from tunegate.harness.statistics.labels_needed import labels_needed
from tunegate.harness.statistics.paired import sealed_level
from tunegate.harness.statistics.sample_size import PassFail

INPUTS, QUICK = 1000, 20  # of a snapshot; and of rows in a file, if quick
MARGIN, SAMPLE, TASK = 0.05, 40, "support"
DEMO, RECIPES = ROOT / "fixtures" / TASK, ROOT / "trainers" / "recipes"
BANK, ASSISTANT = "bank", "assistant"
SNAPSHOTS = {"triage": BANK, "replies": BANK, "questions": ASSISTANT}  # by unit
CASES, FEW = "general", 10  # a unit with expectations: a training takes a diagnosis, and labelled traffic has none
ROWS = ("triage", "replies", "general")  # those of these units
TEMPLATES = {"replies": "Customer: {input}\nNotes: none"}  # the inputs have no notes
SEEDS = {"A": 7, "B": 8}
EXAMPLE = ' Example: {"product": "boiler", "request": {"kind": "visit", "urgency": "routine"}, "callback": true}'
SENTENCE = " If nothing is broken, the urgency is routine."
BASES = ("base", "large")  # what the gate compares with
HEAD = ("pair", "unit", "inputs", "rejected, %", "outputs differ, %", "labels", "cases", "saved")
COLUMNS = f"""*Rejected*: outputs of the first and of the second that the check rejects without an expectation; two
rejected ones count as equal. *Labels*: of so many inputs whose outputs differ, to hold an equal model within
{100 * MARGIN:g} points four times in five, if half of these outputs are equally right (`tunegate plan`).
*Cases*: random ones with expected outputs, to hold it as often."""
PAIRS = (
    ("base, adapter A", "base", "A"),
    ("adapter A, B of another seed", "A", "B"),
    ("adapter A, in bfloat16", "A", "A-bfloat16"),
    ("1.5B, one sentence more in its prompt", "large", "large-prompt"),
)


@dataclass(frozen=True)
class Compared:
    """Outputs of two models: how many differ, how many of each the check rejects, and the gate's words."""

    pair: str
    unit: str
    inputs: int
    differing: int
    rejected: tuple[int, ...]
    said: str = ""


Found = tuple[Sequence[Compared], Mapping[str, float]]  # and the minutes of each command


def texts_of(data: Path) -> dict[str, Iterator[str]]:
    """The inputs of each snapshot, without their labels."""
    bank, home = Files(data / "task-specific-datasets", BANKING), Files(data / "NLU-Evaluation-Data", HOME)
    parts = (bank.text(f"banking_data/{part}.csv") for part in ("train", "test"))
    asks = re.compile(r"qa_|.*_query$")  # intents
    return {
        BANK: (row["text"] for part in parts for row in csv.DictReader(io.StringIO(part))),
        ASSISTANT: (row[INPUT] for row in annotated(home) if asks.match(row["intent"])),
    }


def drawn(texts: Iterable[str], count: int) -> list[str]:
    """So many different texts, those of the smallest SHA-256."""
    return sorted({each.strip() for each in texts}, key=lambda each: sha256(each.encode()).digest())[:count]


def demo_unit(name: str, cases: int = 0) -> dict[str, Any]:
    """A unit of the demo with its prompt and check, and with so many of its cases."""
    unit = yaml.safe_load((DEMO / f"{name}.yaml").read_text("utf-8"))
    kept = {key: unit[key] for key in ("version", "suite", "unit", "prompt", "check", "generate")}
    return kept | ({"cases": unit["cases"][:cases]} if cases else {})


@dataclass
class Project:
    """A project of traffic units for one model, and the commands that it is taken through."""

    folder: Path
    model: tuple[str, ...]
    watch: Watch
    minutes: dict[str, float] = field(default_factory=dict)
    records: dict[str, Record] = field(default_factory=dict)

    def write(self, texts: Mapping[str, Sequence[str]], *names: str) -> dict[str, str]:
        """Freeze the snapshots, and write the units of these names; return the digests of the snapshots."""
        copytree(DEMO / "refs", self.folder / "fixtures" / TASK / "refs", dirs_exist_ok=True)
        named = {of: self._freeze(of, texts[of]) for of in sorted({SNAPSHOTS[name] for name in names})}
        for name in names:
            self.write_unit(name, named[SNAPSHOTS[name]])
        units = {name: {"role": "guard", "margin": MARGIN, "reason": "a benchmark"} for name in (*names, CASES)}
        self._write(f"fixtures/{TASK}/{CASES}.yaml", demo_unit("questions", FEW) | {"unit": CASES})
        self._write(f"fixtures/{TASK}/task.yaml", {"version": 1, "units": units})
        return named

    def _freeze(self, name: str, texts: Sequence[str]) -> str:
        path = self.folder / f"{name}.jsonl"
        path.write_text("".join(json.dumps({"input": each}) + "\n" for each in texts), "utf-8")
        self.run(f"traffic-{name}", "traffic", path.name, "--allow-personal", "a public set")
        return (self.folder / f"traffic-{name}.log").read_text("utf-8").partition("traffic: ")[2].split()[0]

    def write_unit(self, name: str, traffic: str, more: str = "") -> None:
        """Write a unit with the demo's prompt and check, and `more` in its prompt."""
        unit = demo_unit(name)
        unit["prompt"]["system"] += more
        unit["prompt"]["template"] = TEMPLATES.get(name, "{input}")
        labels = {"file": f"{name}.labels.jsonl", "sample": SAMPLE}
        self._write(f"fixtures/{TASK}/{name}.yaml", unit | {"traffic": traffic, "labels": labels})

    def train(self, name: str, seed: int, rows: int | None) -> None:
        """Train an adapter by the demo's recipe, on so many rows of each file."""
        for file in ROWS:
            lines = (RECIPES / "rows" / f"{file}.jsonl").read_text("utf-8").splitlines(keepends=True)
            self._write(f"recipes/{file}.jsonl", "".join(lines[:rows]))
        recipe = yaml.safe_load((RECIPES / f"{TASK}.yaml").read_text("utf-8")) | {
            "rows": [f"{file}.jsonl" for file in ROWS], "seed": seed, "output": f"../adapters/{name}",
            "diagnosis": WHY, "memorization": WHY, "private_data": WHY,
        }  # fmt: skip
        self._write(f"recipes/{name}.yaml", recipe)
        self.run(f"train-{name}", "train", f"recipes/{name}.yaml", "--dtype", "float32")

    def ask(self, name: str, command: str, *options: str) -> None:
        """Record or gate, and keep the record."""
        self.run(name, command, *self.model, *options, "--out", f"{name}.json")
        self.records[name] = read_record(self.folder / f"{name}.json")

    def run(self, name: str, command: str, *options: str) -> None:
        """Run a command once, and note its minutes; a gate may block."""
        called, fine = f"{self.folder.name}: {name}", (0, 1) if command == "gate" else (0,)
        terms = ["-m", "tunegate", command, *options, "--traffic", "snapshots"]
        with self.watch(called):
            used = run_once(name, terms, self.folder, fine)
        self.minutes[called] = used

    def compare(self) -> Iterator[Compared]:
        """Compare the outputs of its records, as the gate does."""
        with traffic_in(self.folder / "snapshots"):
            units = [unit for unit in load_tasks(self.folder / "fixtures")[0].units if unit.labels]
        for pair, before, after in (each for each in PAIRS if each[1] in self.records):
            first, second = self.records[before], self.records[after]
            for unit in units:
                old, new = (compared_outputs(unit, record) for record in (first, second))
                differing = sum(old[case].output != new[case].output for case in old)
                rejected = tuple(sum(each.rejected for each in side.values()) for side in (old, new))
                said = str(second.verdicts[unit.key].reason) if before in BASES else ""
                yield Compared(pair, unit.name, len(old), differing, rejected, said)

    def _write(self, path: str, data: str | Mapping[str, Any]) -> None:
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(data if isinstance(data, str) else json.dumps(data), "utf-8")


def measure(data: Path, work: Path, inputs: int, rows: int | None, model: Path | None, watch: Watch) -> Found:
    """Take the embedded model, and the larger one if there is one, through all commands."""
    texts = {name: drawn(each, inputs) for name, each in texts_of(data).items()}
    small = Project(work / f"small-{inputs}", ("--dtype", "float32"), watch)
    small.write(texts, *SNAPSHOTS)
    small.ask("base", "record")
    small.run("diagnose", "diagnose", TASK, "--sample", str(FEW), *small.model)
    for name, seed in SEEDS.items():
        small.train(name, seed, rows)
        small.ask(name, "gate", "--adapter", f"adapters/{name}")
    small.ask("A-bfloat16", "gate", "--adapter", "adapters/A", "--dtype", "bfloat16")
    if model is None:
        return list(small.compare()), small.minutes
    large = Project(work / f"large-{inputs}", ("--model", str(model), "--dtype", "bfloat16"), watch)
    named = large.write(texts, "triage")
    large.write_unit("triage", named[BANK], EXAMPLE)  # without it, the values have no quotes
    large.ask("large", "record")
    large.write_unit("triage", named[BANK], EXAMPLE + SENTENCE)
    large.ask("large-prompt", "gate")
    return [*small.compare(), *large.compare()], small.minutes | large.minutes


def report(found: Found, made: str) -> str:
    """The result as Markdown."""
    compared, minutes = found
    said = (f"- {each.pair}, {each.unit}: {each.said}" for each in compared if each.said)
    spent = ([name, f"{each:.1f}"] for name, each in minutes.items())
    parts = [f"# Real outputs\n\n{made}", COLUMNS, table(HEAD, map(_row, compared)), "## What the gate says"]
    return "\n\n".join([*parts, "\n".join(said), "## Minutes", table(["command", "minutes"], spent)]) + "\n"


def needed(share: float, inputs: int) -> tuple[int | None, int]:
    """Labels, None if all are too few, and random cases that hold an equal model if so many outputs differ."""
    labels = labels_needed(share, MARGIN, TIED, inputs, sealed_level(1))
    return labels, PassFail(share * (1 - TIED)).cases_to_hold(MARGIN)


def _row(each: Compared) -> list[str]:
    rejected = " / ".join(number(count / each.inputs) for count in each.rejected)
    labels, cases = needed(share := each.differing / each.inputs, each.inputs)
    saved = f"{cases - labels:,}" if labels is not None and labels < cases else "nothing"
    shown = "all do not suffice" if labels is None else f"{labels:,}"
    return [each.pair, each.unit, f"{each.inputs:,}", rejected, number(share), shown, f"{cases:,}", saved]


def main(
    data: Annotated[Path, typer.Argument(help="Folder of both clones.", metavar="DATA", exists=True)],
    work: Annotated[Path, typer.Argument(help="Folder of what is kept between runs.", metavar="WORK")],
    model: Annotated[Path | None, typer.Option(help="The GGUF file of the larger model.", exists=True)] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer inputs and rows.")] = False,
    out: Annotated[Path, typer.Option("--out", help="Where it goes.", metavar="DIR")] = RESULTS,
) -> None:
    """See the module."""
    terms = (QUICK, QUICK) if quick else (INPUTS, None)
    command = "python benchmarks/real_outputs.py DATA WORK" + " --model MODEL" * bool(model) + " --quick" * quick
    carry_out(
        out / "real_outputs.md", command, LIBRARIES,
        lambda watch: measure(data, work.resolve(), *terms, model and model.resolve(), watch), report, lambda _: (),
    )  # fmt: skip


if __name__ == "__main__":
    main.__doc__ = __doc__
    typer.run(main)
