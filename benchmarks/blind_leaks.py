"""Leaks and innocent rows by writers who saw the demo's fixtures and not the code: which does decontamination find?

python benchmarks/blind_leaks.py            # six minutes beside other work; writes results/blind_leaks.md

Each set was scored once when it was written, before anything was mended for it; SETS tells what it came to then.
Whoever mends what is missed has them in sight, and needs others to say how good the mending is.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

sys.path.insert(0, str(Path(__file__).parent.parent))  # where `benchmarks` is, also for a script

from benchmarks.frame import RESULTS, ROOT, carry_out
from benchmarks.gate_markdown import table
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.core.progress import Watch
from tunegate.harness.rows.examples import read_examples
from tunegate.trainers.config.sections import Decontaminate
from tunegate.trainers.decontamination.check import decontaminate

LIBRARIES = ("tunegate", "sentence-transformers")
TEXTS = Path(__file__).parent / "leak_texts"
#: The sets, by file: their name, and what was found and flagged when they were scored for the first time.
SETS = {
    "blind": ("The first set", "182 of 200 and 0 of 120"),
    "blind_second": ("The second set", "183 of 200 and 0 of 120"),
    "blind_third": ("The third set", "185 of 200 and 1 of 120"),
}
INNOCENT, ANOTHER = "innocent", "near another"
MISSED = ("", ANOTHER)  # what their cases show counts as evidence


@dataclass(frozen=True)
class Held:
    """A row by the writer: its kind, the case that it leaks, and what becomes of it by default: nothing if missed."""

    kind: str
    case: str
    outcome: str


def measure(watch: Watch) -> dict[str, list[Held]]:
    """Hold every row of every set against all fixtures of the demo."""
    return {name: held(TEXTS / f"{name}.jsonl", watch) for name in SETS}


def held(file: Path, watch: Watch) -> list[Held]:
    """Hold every row of a file against all fixtures of the demo."""
    raw = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    tasks = load_tasks(ROOT / "fixtures")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl"
        path.write_text("".join(json.dumps(_row(each)) + "\n" for each in raw), "utf-8")
        rows = read_examples([path], tasks[0])
    found = defaultdict[int, dict[str, str]](dict)  # by row, what becomes of it for each case
    for near, outcome in decontaminate(rows, tasks, Decontaminate(), (), watch).pairs:
        found[near.pair[1] - 1][near.eval_text.case.key] = outcome
    return [_held(each, found[number]) for number, each in enumerate(raw)]


def _held(raw: Mapping[str, Any], found: Mapping[str, str]) -> Held:
    """A row and its outcome: dropped, or its case is near; or only another case is, and its own counts as evidence."""
    case = f"support/{raw['unit']}/{raw['case']}"
    outcome = found.get(case) or next(iter(found.values()), "")
    return Held(raw["kind"], case, ANOTHER if outcome == "near" and case not in found else outcome)


def _row(raw: Mapping[str, Any]) -> dict[str, Any]:
    """A row of messages: the earlier turns, of the user and the assistant by turns, then what is asked and answered."""
    turns = [*(raw.get("turns") or []), raw["input"]]
    if len(turns) % 2 == 0:  # it is the user who asks
        turns.insert(-1, "Thanks, and what else?")
    messages = [{"role": "assistant" if number % 2 else "user", "content": text} for number, text in enumerate(turns)]
    rejected = {"rejected": raw["rejected"]} if raw.get("rejected") else {}
    return {"messages": [*messages, {"role": "assistant", "content": raw["output"]}], **rejected}


def report(sets: Mapping[str, Sequence[Held]], made: str) -> str:
    """The result as Markdown, the latest set first."""
    return "\n\n".join([
        "# Leaks by another hand", "The rows were written by people who saw the fixtures and not the code.",
        *(part for name in reversed(tuple(sets)) for part in _of_set(name, sets[name])), "## How", made, "",
    ])  # fmt: skip


def _of_set(name: str, rows: Sequence[Held]) -> Iterator[str]:
    planted = [each for each in rows if each.kind != INNOCENT]
    innocent = [each for each in rows if each.kind == INNOCENT]
    found = sum(each.outcome not in MISSED for each in planted)
    alarms = sum(bool(each.outcome) for each in innocent)
    heading, at_first = SETS[name]
    yield f"## {heading}"
    yield (
        f"**{found} of {len(planted)} planted leaks are found, {alarms} of {len(innocent)} innocent rows flagged.** "
        f"When the set was scored for the first time: {at_first}. Found means: the row is dropped, or its case is no "
        "evidence of a gain."
    )
    yield table(["kind", "rows", "dropped", "case near", "another case near", "missed"], _by_kind(rows))
    yield (
        "\n".join(f"- missed: {each.kind}: {each.case}" for each in planted if each.outcome in MISSED)
        or "Nothing is missed."
    )
    yield (
        "\n".join(f"- flagged: an innocent row, {each.outcome}" for each in innocent if each.outcome)
        or "Nothing innocent is flagged."
    )


def _by_kind(rows: Sequence[Held]) -> Iterator[list[str]]:
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for each in rows:
        counts[each.kind][each.outcome] += 1
    for kind, count in counts.items():
        yield [kind, str(count.total()), *(str(count[outcome]) for outcome in ("dropped", "near", ANOTHER, ""))]


def main(
    out: Annotated[Path, typer.Option(help="Where blind_leaks.md goes.", metavar="DIR")] = RESULTS,
) -> None:
    """Hold the rows against the fixtures, and write what was found."""
    carry_out(out / "blind_leaks.md", "python benchmarks/blind_leaks.py", LIBRARIES, measure, report, lambda _: ())


if __name__ == "__main__":
    typer.run(main)
