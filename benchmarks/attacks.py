"""Attempts to get a bad model past the gate, or code of a change to run: the real commands, one attempt at a time.

    python benchmarks/attacks.py               # all of them, 20 minutes on two cores
    python benchmarks/attacks.py --only link   # those whose sentence has the word; --out DIR keeps the result apart

Each attempt is a change to a repository with a base branch and a remote, then one command as CI or a person runs it,
with a token in its environment. It is through where a gate ends with 0, an adapter is released, code runs that nobody
approved, the token is seen, or the command breaks or does not end.
Writes attacks.md; exit code 1 if an attempt is through that no document lists as a limit.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

sys.path.insert(0, str(Path(__file__).parent.parent))  # where `benchmarks` and `tests` are, also for a script

from benchmarks import attacks_candidates, attacks_change, attacks_files, attacks_known, attacks_traffic
from benchmarks.attack_world import TOKEN, Attempt, copy_world, make_world
from benchmarks.frame import RESULTS, carry_out
from benchmarks.gate_markdown import table
from tests.support.fault_server import serving
from tunegate.harness.core.progress import Watch

ATTEMPTS: Mapping[str, Mapping[str, Attempt]] = {
    "known: found by earlier attackers": attacks_known.ATTEMPTS,
    "invented: by pull request, without sight of the code": attacks_change.ATTEMPTS,
    "invented: by files, ledger and release, without sight of the code": attacks_files.ATTEMPTS,
    "candidates: by prompts, records and the ledger": attacks_candidates.ATTEMPTS,
    "traffic: by labels, snapshots and hostile text": attacks_traffic.ATTEMPTS,
}
SECONDS = 300  # what hangs never ends; a busy machine takes its time
CANARY = Path("/tmp/tg-canary")  # noqa: S108  (known to the hostile code, and to nobody else)


@dataclass(frozen=True)
class Tried:
    """What came of an attempt."""

    group: str
    name: str
    attempt: Attempt
    code: int
    wrong: tuple[str, ...]
    last: str

    @property
    def is_through(self) -> bool:
        """Whether it got through, and no document says that it may."""
        return bool(self.wrong) and not self.attempt.limit


def attack(only: str, watch: Watch) -> list[Tried]:
    """Try them all."""
    chosen = [
        (group, name, attempt) for group, attempts in ATTEMPTS.items() for name, attempt in attempts.items()
        if only in f"{name} {attempt.what}"
    ]  # fmt: skip
    found = []
    with (
        tempfile.TemporaryDirectory(prefix="tunegate-attacks-") as folder,
        serving(attacks_candidates.act) as served,
        watch("Attacking", len(chosen)) as done,
    ):
        for kind in sorted({attempt.world for *_, attempt in chosen}):
            make_world(kind, Path(folder, "made", kind), served.model)
        for number, (group, name, attempt) in enumerate(chosen):
            found.append(_try(group, name, attempt, Path(folder, "made", attempt.world), Path(folder, str(number))))
            done(1)
    return found


def _try(group: str, name: str, attempt: Attempt, made: Path, folder: Path) -> Tried:
    folder.mkdir()
    world, before = copy_world(made, folder), Path.cwd()
    shutil.rmtree(CANARY, ignore_errors=True)
    CANARY.mkdir()
    os.chdir(world.home)
    try:
        more = attempt.change(world) or ()
        code, said = _run([*attempt.command, *more], world.home / attempt.folder, attempt.environment)
    finally:
        os.chdir(before)
    wrong = tuple(_wrong(attempt, world.home, code, said))
    shutil.rmtree(folder, ignore_errors=True)
    lines = [line for line in said.splitlines() if line.strip()]
    return Tried(group, name, attempt, code, wrong, lines[-1][:200] if lines else "")


def _run(command: Sequence[str], folder: Path, more: Mapping[str, str]) -> tuple[int, str]:
    """The exit code of a command, and all that it says; 124 where it does not end."""
    environment = os.environ | {"GITHUB_TOKEN": TOKEN, "ACTIONS_RUNTIME_TOKEN": TOKEN} | dict(more)
    started = subprocess.Popen(
        [sys.executable, "-I", "-m", "tunegate", *command], cwd=folder, env=environment, text=True, errors="replace",
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip
    try:
        said, _ = started.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(started.pid, signal.SIGKILL)
        return 124, started.communicate()[0]
    return started.returncode, said


def _wrong(attempt: Attempt, home: Path, code: int, said: str) -> Iterator[str]:
    """In which ways an attempt got through."""
    ran = "CANARY-RAN" in said or any(CANARY.iterdir())
    if ran and not attempt.approved:
        yield "code ran that nobody approved"
    if "CANARY-TOKEN" in said or TOKEN in said or any(TOKEN in path.read_text() for path in CANARY.iterdir()):
        yield "the token was seen"
    if code == 124:
        yield f"it did not end in {SECONDS} seconds"
    if "internal error" in said or "Traceback (most recent call last)" in said or code < 0:
        yield "it broke"
    if code == 0 and not attempt.may_pass:
        yield "released" if attempt.command[0] == "release" else "it ended with 0"
    if re.search(r"^::(set-output|add-path|set-env|stop-commands|add-mask)", said, re.MULTILINE):
        yield "a workflow command was printed"
    if (home / "hacked").exists():
        yield "a file was written outside"


def report(found: Sequence[Tried], how: str) -> str:
    """What came of each, in Markdown."""
    limits = [each for each in found if each.attempt.limit]
    through = [each for each in found if each.is_through]
    parts = [
        "# Attacks",
        f"{len(found)} attempts to get a bad model past a gate or a release, or to have code run that nobody approved: "
        f"{len(through)} through, {len(found) - len(through) - len(limits)} stopped, {len(limits)} that the documents "
        "list as limits.",
    ]
    for group in dict.fromkeys(each.group for each in found):
        rows = [[each.name, each.attempt.what, str(each.code), _ending(each)] for each in found if each.group == group]
        parts.append(f"## {group[0].upper()}{group[1:]}\n\n{table(['name', 'attempt', 'ended with', 'so'], rows)}")
    return "\n\n".join([*parts, f"## How\n\n{how}\n"])


def _ending(tried: Tried) -> str:
    if tried.attempt.limit:
        return f"a limit: {tried.attempt.limit}" + (f" ({', '.join(tried.wrong)})" if tried.wrong else "")
    return f"**through: {', '.join(tried.wrong)}**" if tried.wrong else "stopped"


def main(
    only: Annotated[str, typer.Option(help="Try those alone whose name or sentence has this text.")] = "",
    out: Annotated[Path, typer.Option(help="Where the result is written.")] = RESULTS,
) -> None:
    """Try to get past the gate."""
    command = f"python benchmarks/attacks.py{f' --only {only}' if only else ''}"
    carry_out(
        out / "attacks.md", command, ["tunegate"], lambda watch: attack(only, watch), report,
        lambda found: [f"{each.name}: {', '.join(each.wrong)} ({each.last})" for each in found if each.is_through],
    )  # fmt: skip


if __name__ == "__main__":
    typer.run(main)
