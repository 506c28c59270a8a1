"""100 kills at random moments of a recording, a gate and a release, the real commands on a real model: what is left?

    python benchmarks/kills.py              # 50 minutes on two cores, other work beside it
    python benchmarks/kills.py --quick      # 12 of them; --out DIR keeps the result apart

A small project is made on a tiny model: recorded, trained, judged. Copies of it run a command, whose processes are all
killed at a moment drawn over the time that it takes. Then every file must be as before or as after; where some are as
before and others as after, whatever reads them has to refuse. At last the command is run again, to its end: it must
leave what a run leaves that nobody killed, but for times.
Writes kills.md; exit code 1 if a promise was broken.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent))  # where `benchmarks` and `tests` are, also for a script

from benchmarks.frame import ROOT, Failed, script
from benchmarks.gate_markdown import table
from tests.integration.test_mistakes import make_good
from tests.support.tiny import write_model
from tunegate.harness.core.errors import TunegateError
from tunegate.harness.core.files import digest
from tunegate.harness.core.progress import Watch
from tunegate.harness.ledger.ledger import LEDGER, read_ledger

BETWEEN = "refused until it is repeated"
STATES = ("as before", "as after", BETWEEN)
TIMES = frozenset({"created", "when", "after", "digest"})  # and what they bring about
PASSING = frozenset({"cache", "__pycache__", ".tunegate"})


@dataclass(frozen=True)
class Command:
    """A command that writes, its exit code, and the files that a project must not have before it."""

    name: str
    line: Sequence[str]
    without: Sequence[str]
    code: int = 0


TUNEGATE = ["-m", "tunegate"]
LIBRARIES = ("tunegate", "torch")
COMMANDS = (
    Command("record", ["-m", "pytest", "fixtures/", "--tg-record", "-p", "no:cacheprovider"],
            ["baselines"]),
    Command("gate", [*TUNEGATE, "gate", "--adapter=third", "--sealed", "--out=gate.json"], [], code=1),
    Command("release", [*TUNEGATE, "release", "tuned", "--run=run.json"],
            ["tuned/release.json", "tuned/record.json", "tuned/README.md", "baselines/*/desk/*.released.json"]),
)  # fmt: skip


@dataclass(frozen=True)
class Kill:
    """A kill so many seconds after the start, what it left, and what was wrong with that."""

    command: str
    seconds: float
    state: str
    wrong: str = ""


def make(home: Path) -> None:
    """The project: recorded, trained, judged, and an adapter released."""
    (home.parent / "tiny").mkdir()
    write_model(home.parent / "tiny")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TUNEGATE_CACHE", str(home.parent / "cache"))
        make_good(home, home.parent / "tiny")


def place(made: Path, command: Command, to: Path) -> Path:
    """A copy of the project, as it is before a command."""
    shutil.copytree(made, to)
    for pattern in command.without:
        for path in to.glob(pattern):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    if command.name == "release":
        for path in to.glob(f"baselines/{LEDGER}/*.json"):
            if json.loads(path.read_text())["kind"] == "released":  # the newest events: nothing names them
                path.unlink()
    return to


def start(command: Command, home: Path) -> subprocess.Popen[bytes]:
    """Start a command, with a cache of its own."""
    own = {"PYTHONPATH": str(ROOT), "TUNEGATE_CACHE": str(home / "cache"), "OMP_NUM_THREADS": "1"}
    with (home.parent / f"{home.name}.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, *command.line], cwd=home, env={**os.environ, **own}, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip


def finish(command: Command, home: Path) -> float:
    """Run a command to its end; the seconds that it took.

    Raises:
        Failed: it ended with another exit code than it should.
    """
    begun = time.monotonic()
    code = start(command, home).wait(timeout=300)
    if code != command.code:
        said = (home.parent / f"{home.name}.log").read_text("utf-8", errors="replace")[-2000:]
        raise Failed(f"{command.name} ended with {code}:\n{said}")
    return time.monotonic() - begun


def left(home: Path) -> dict[str, str]:
    """The digest of every file of a project, without times; the events of its ledger by what they say."""
    found: dict[str, str] = {}
    for path in sorted(path for path in home.rglob("*") if path.is_file()):
        inside = path.relative_to(home)
        if PASSING & set(inside.parts) or path.suffix == ".lock" or path.name in (".recording", ".unfinished.json"):
            continue
        text = path.read_bytes()
        said = timeless(json.loads(text)) if path.suffix == ".json" else text.hex()
        name = f"an event {digest(said)[:12]}" if inside.parent.name == LEDGER else inside.as_posix()
        found[name] = digest(said)
    return found


def timeless(data: Any) -> Any:
    """JSON data without what tells the time, or a digest of that."""
    if isinstance(data, dict):
        return {key: timeless(each) for key, each in data.items() if key not in TIMES}
    return [timeless(each) for each in data] if isinstance(data, list) else data


def killed(command: Command, home: Path, seconds: float, before: Mapping[str, str], after: Mapping[str, str]) -> Kill:
    """Kill a command in a copy of the project after so many seconds, look, and run it again."""
    process = start(command, home)
    time.sleep(seconds)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    found = left(home)
    odd = sorted(name for name in found.keys() | before.keys() | after.keys()
                 if found.get(name) not in (before.get(name), after.get(name)))  # fmt: skip
    wrong = [f"neither as before nor as after: {', '.join(odd)}"] if odd else []
    if not (state := state_of(command, home, found, before, after)):
        wrong.append("a part of it is there, and nothing refuses")
    try:
        finish(command, home)
        again = left(home)
        if differ := sorted(key for key in again.keys() | after.keys() if again.get(key) != after.get(key)):
            wrong.append(f"run again, it left other files: {', '.join(differ)}")
    except Failed as error:
        wrong.append(f"run again: {error}")
    return Kill(command.name, seconds, state or "in between", "; ".join(wrong))


def state_of(
    command: Command, home: Path, found: Mapping[str, str], before: Mapping[str, str], after: Mapping[str, str]
) -> str:
    """What a kill left: one of `STATES`, or nothing of the kind."""
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    if all(found.get(name) == after.get(name) for name in changed):
        return "as after"
    if command.name == "gate":  # it tells of an opening before the first answer, of a run after the last
        changed = {name for name in changed if not name.startswith("an event")}
    if all(found.get(name) == before.get(name) for name in changed):
        return "as before"
    try:
        read_ledger(home / "baselines")
    except TunegateError:
        return BETWEEN
    return ""


def measure(count: int, watch: Watch) -> list[Kill]:
    """What so many kills left, the commands in turn."""
    chance, found = random.Random(7), []  # noqa: S311
    with tempfile.TemporaryDirectory() as folder, watch(f"{count} kills", count) as done:
        made = Path(folder) / "made"
        make(made)
        whole = {}
        for command in COMMANDS:
            first = place(made, command, Path(folder) / command.name)
            before = left(first)
            seconds = finish(command, first)
            whole[command.name] = (seconds, before, left(first))
        for number in range(count):
            command = COMMANDS[number % len(COMMANDS)]
            seconds, before, after = whole[command.name]
            home = place(made, command, Path(folder) / f"{command.name}-{number}")
            found.append(killed(command, home, chance.uniform(0, seconds), before, after))
            shutil.rmtree(home)
            done(1)
    return found


def report(found: Sequence[Kill], made: str) -> str:
    """The table, and what went wrong."""
    rows = []
    for command in COMMANDS:
        kills = [kill for kill in found if kill.command == command.name]
        states = [str(sum(kill.state == state for kill in kills)) for state in STATES]
        bad = str(sum(bool(kill.wrong) for kill in kills))
        longest = f"{max((kill.seconds for kill in kills), default=0.0):.1f} s"
        rows.append([command.name, str(len(kills)), longest, *states, bad])
    wrong = [f"- {kill.command}, after {kill.seconds:.2f} s: {kill.wrong}" for kill in found if kill.wrong]
    return "\n\n".join([
        "# Kills",
        f"{len(found)} kills of real commands on a tiny model, each at a moment drawn over the time that the command "
        "takes. Each was then run again to its end, and compared with a run that nobody killed.",
        table(["command", "kills", "the latest", *STATES, "wrong"], rows),
        *(["\n".join(wrong[:20])] if wrong else []),
        "## How", made,
    ]) + "\n"  # fmt: skip


def broken(found: Sequence[Kill]) -> Iterator[str]:
    """The promises that were not kept."""
    if wrong := sum(bool(kill.wrong) for kill in found):
        yield f"{wrong} kills left what they should not"


if __name__ == "__main__":
    script(__file__, LIBRARIES, measure, report, broken, whole=[100], quick=[12])
