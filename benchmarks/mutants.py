"""20,000 mutants of all files that are read: is any accepted, and does any end in a traceback or a hang?

    python benchmarks/mutants.py               # a quarter of an hour on one core
    python benchmarks/mutants.py --count 2000  # fewer; --out DIR keeps the result apart

A small released task is made. One of its files is changed, seeded: a value, a key or a whole branch of its data, or
bytes of its text; every third with a digest that fits the change, as another tool would write it. Then a command that
reads the file runs. It has to end with 0, 1 or 4, in time, without an unexpected error; with 0 only where the change
means nothing, or is one that the file's owner may make. (A record is only shown here, so it gets no digest that fits:
what a release makes of such a record is in docs/mistakes.md.)

One in twenty goes through a command so. The others are read by the reader of their file, in processes with bounds on
their processor time and memory: see mutants_readers.py.
Writes mutants.md; exit code 1 if one was accepted, or ended otherwise.
"""

from __future__ import annotations

import json
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parent.parent))  # where `benchmarks` and `tests` are, also for a script

from benchmarks.frame import RESULTS, Failed, carry_out
from benchmarks.gate_markdown import table
from benchmarks.mutants_readers import Reading, keep_released, prepare, readings, report_parts, wrong_readings
from tests.support.records import write_desk, write_policy
from tests.support.units import write_outputs
from tests.unit.release.test_release import DIAGNOSIS, HALF, MOST, Desk, T
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.cases.policy import policy_changes
from tunegate.harness.cli.main import app
from tunegate.harness.core.errors import TunegateError
from tunegate.harness.core.files import stamped
from tunegate.harness.core.progress import Watch
from tunegate.harness.diagnosis.diagnosis import write_diagnosis

SECONDS = 5.0  # of processor time, for one command
RIGHT = '{"product": "boiler"}'
BAD = ("accepted", "no clean end", "too slow")
VALUES: Sequence[Any] = (
    None,
    True,
    False,
    -1,
    0,
    1,
    0.5,
    10**40,
    1e308,
    "",
    "x",
    "\x00\n::error::",
    "\u202e",
    [],
    {},
    [[]],
)
KEYS = ("", "../up", "\u202e", "::error::x", "a\nb", "sealed", "critical", "margin", "score")
GATE = ["gate", "--model=replay:gpt=outputs.jsonl", "--requests=requests.jsonl"]


@dataclass(frozen=True)
class Target:
    """A file, the command that reads it, whether it carries a digest, and whether what counts is what it means."""

    name: str
    file: str
    command: Sequence[str]
    is_stamped: bool = True
    is_meaning: bool = False


TARGETS = (
    Target("fixtures", "fixtures/desk/triage.yaml", GATE, is_stamped=False, is_meaning=True),
    Target("task.yaml", "fixtures/desk/task.yaml", GATE, is_stamped=False, is_meaning=True),
    Target("a schema", "fixtures/desk/refs/product.schema.json", GATE, is_stamped=False, is_meaning=True),
    Target("a baseline", "baselines/replay-gpt/desk/triage.json", GATE),
    Target("the ledger", "baselines/ledger/*.json", GATE, is_stamped=False),
    Target("a record", "runs/adapter.json", ["report", "runs/adapter.json"], is_stamped=False),
    Target("a manifest", "adapter/release.json", ["verify", "adapter"]),
    Target("a training record", "adapter/training.json", ["verify", "adapter"]),
    Target("a released record", "adapter/record.json", ["verify", "adapter"]),
)


@dataclass(frozen=True)
class Outcome:
    """What came of one mutant: its file, and one of refused, harmless, accepted, or what went wrong."""

    target: str
    what: str
    detail: str = ""


def make(home: Path) -> None:
    """A task with a baseline of recorded outputs, better outputs to be judged, and the folder of a released adapter."""
    desk = Desk(home)
    write_desk(desk.fixtures, 60)
    write_policy(desk.fixtures, triage={"role": "target", "margin": 0.2})
    desk.record_baseline({T: HALF})
    write_diagnosis(home / "baselines", DIAGNOSIS)
    adapter = desk.adapter()
    desk.release(adapter, desk.evaluate(adapter, {T: MOST}))
    keep_released(home)
    shutil.rmtree(home / "baselines")  # of a model; recorded outputs are held to their own
    (home / "pyproject.toml").write_text("[tool.tunegate]\n")
    with chdir(home):
        Path("requests.jsonl").write_text(run(["prompts"])[1])
        for right, file in ((20, "base.jsonl"), (40, "outputs.jsonl")):
            keys = [f"{T}/c{number:03}" for number in range(60)]
            write_outputs(Path(file), {key: RIGHT if n < right else "no" for n, key in enumerate(keys)})
        code, said = run(["record", "--from=base.jsonl", "--name=gpt", "--requests=requests.jsonl"])
        if code:
            raise Failed(said)


def run(command: Sequence[str]) -> tuple[int, str]:
    """A command's exit code, and what it says."""
    done = CliRunner().invoke(app, list(command))
    return done.exit_code, done.output


def mutants(home: Path, count: int, watch: Watch) -> list[Outcome]:
    """What comes of so many mutants, the files in turn; the project is as it was afterwards."""
    chance, found = random.Random(7), []  # noqa: S311
    with chdir(home), watch(f"{count:,} mutants", count) as done:
        meaning = means(Path())
        for target in TARGETS:
            code, said = run(target.command)
            if code:
                raise Failed(f"{target.name}, unchanged: {said}")
        for number in range(count):
            target = TARGETS[number % len(TARGETS)]
            [path, *_] = sorted(Path().glob(target.file))
            whole = path.read_bytes()
            changed = mutant(whole, chance, target.is_stamped and chance.random() < 1 / 3)
            path.write_bytes(changed)
            try:
                found.append(outcome(target, whole, changed, meaning))
            finally:
                path.write_bytes(whole)
            done(1)
    return found


def outcome(target: Target, whole: bytes, changed: bytes, meaning: Any) -> Outcome:
    """What comes of one mutant that stands in its place."""
    start = time.process_time()
    code, said = run(target.command)
    seconds = time.process_time() - start
    shown = f"{said[-300:]!r}; the file: {changed[:60]!r}"
    if seconds > SECONDS:
        return Outcome(target.name, "too slow", f"{seconds:.1f} s; {shown}")
    if code not in {0, 1, 4} or "unexpected error" in said or "Traceback" in said:
        return Outcome(target.name, "no clean end", f"exit code {code}; {shown}")
    if code:
        return Outcome(target.name, "refused")
    if data_of(whole) == data_of(changed) or (target.is_meaning and allowed(meaning, means(Path()))):
        return Outcome(target.name, "harmless")
    return Outcome(target.name, "accepted", shown)


def data_of(text: bytes) -> Any:
    """The data of a text; the text itself where it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def means(home: Path) -> Any:
    """What the fixtures ask and hold units to; nothing where they cannot be read."""
    try:
        tasks = load_tasks(home / "fixtures")
    except TunegateError:
        return None
    return {unit.key: (unit.questions, task.policies[unit.key]) for task in tasks for unit in task.units}


def allowed(before: Any, now: Any) -> bool:
    """Whether fixtures ask the same, and hold every unit to no less: what their owner may change at any time."""
    if now is None or before.keys() != now.keys():
        return False
    return all(
        before[unit][0] == questions and not policy_changes(before[unit][1], policy, looser=True)
        for unit, (questions, policy) in now.items()
    )


def mutant(whole: bytes, chance: random.Random, with_digest: bool) -> bytes:
    """A changed text: of its bytes, or of its data, then with a digest that fits if asked for."""
    data = data_of(whole)
    if isinstance(data, bytes) or (not with_digest and chance.random() < 1 / 3):
        return of_bytes(whole, chance)
    *above, last = chance.choice([place for place in places(data) if place])
    inside = data
    for key in above:
        inside = inside[key]
    change = chance.randrange(4)
    if change == 0:
        inside[last] = chance.choice(VALUES)
    elif change == 1:
        del inside[last]
    elif change == 2 and isinstance(inside, dict):
        inside[chance.choice(KEYS)] = inside.pop(last)
    else:
        near(inside, last, chance)
    if with_digest and isinstance(data, dict):
        data = stamped({key: value for key, value in data.items() if key != "digest"})
    return json.dumps(data).encode()


def near(inside: Any, last: Any, chance: random.Random) -> None:
    """Another value of the same kind, as an interested editor would choose."""
    value = inside[last]
    if isinstance(value, bool):
        inside[last] = not value
    elif isinstance(value, int | float):
        inside[last] = chance.choice([0, 1, -value, value + 1, value / 2])
    elif isinstance(value, str):
        inside[last] = chance.choice([RIGHT, "release", "held", value.upper(), value[:-1], value + "0", "0" * 64])
    elif isinstance(value, list):
        inside[last] = value[: len(value) // 2]
    else:
        inside[last] = {key: value[key] for key in list(value)[: len(value) // 2]} if value else 1


def of_bytes(whole: bytes, chance: random.Random) -> bytes:
    """A text with a byte flipped, taken out, put in, or cut off there."""
    at = chance.randrange(len(whole))
    return chance.choice([
        whole[:at] + bytes([whole[at] ^ 1 << chance.randrange(8)]) + whole[at + 1 :],
        whole[:at] + whole[at + 1 :],
        whole[:at] + bytes([chance.randrange(256)]) + whole[at:],
        whole[:at],
        whole[:at] + whole[at : at + 40] + whole[at:],
    ])  # fmt: skip


def places(value: Any, where: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in some data."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else []
    return [where, *(place for key, each in inner for place in places(each, (*where, key)))]


def report(found: tuple[Sequence[Outcome], Sequence[Reading]], made: str) -> str:
    """Both tables, and what went wrong."""
    judged, read = found
    return "\n\n".join([
        "# Mutants", "## What a command makes of them", *judged_parts(judged), "## What their readers make of them",
        *report_parts(read), "## How", made,
    ]) + "\n"  # fmt: skip


def judged_parts(found: Sequence[Outcome]) -> Iterator[str]:
    """The table of what a command made of mutants, and what went wrong."""
    kinds = ("refused", "harmless", "accepted", "no clean end", "too slow")
    counts = Counter((each.target, each.what) for each in found)
    rows = [[target.name, *(str(counts[target.name, kind]) for kind in kinds)] for target in TARGETS]
    totals = ["all", *(str(sum(counts[target.name, kind] for target in TARGETS)) for kind in kinds)]
    wrong = [f"- {each.target}, {each.what}: {each.detail}" for each in found if each.what in BAD]
    yield (
        f"{len(found):,} seeded changes of files that the gate rests on; a third of those that carry a digest got one "
        "that fits. Harmless: the data is the same, or a fixture asks the same and holds its unit to no less."
    )
    yield table(["file", *kinds], [*rows, totals])
    if wrong:
        yield "\n".join(wrong[:20])


def wrong(found: tuple[Sequence[Outcome], Sequence[Reading]]) -> Iterator[str]:
    """The promises that were not kept."""
    counts = Counter(each.what for each in found[0])
    yield from (f"{counts[what]} {what}" for what in BAD if counts[what])
    yield from wrong_readings(found[1])


def measure(home: Path, count: int, watch: Watch) -> tuple[list[Outcome], list[Reading]]:
    """What comes of so many mutants: one in twenty by commands, the others by their readers."""
    judged = mutants(home, count // 20, watch)
    prepare(home, run, GATE)
    return judged, readings(home, count - count // 20, watch)


def main(
    count: Annotated[int, typer.Option(help="How many mutants.")] = 20_000,
    out: Annotated[Path, typer.Option(help="Where the result goes.")] = RESULTS,
) -> None:
    """Measure, and write mutants.md."""
    with tempfile.TemporaryDirectory() as made:
        home = Path(made) / "desk"
        home.mkdir()
        make(home)
        more = "" if count == 20_000 else f" --count {count}"
        carry_out(
            out / "mutants.md", f"python benchmarks/mutants.py{more}", ("tunegate",),
            lambda watch: measure(home, count, watch), report, wrong,
        )  # fmt: skip


if __name__ == "__main__":
    typer.run(main)
