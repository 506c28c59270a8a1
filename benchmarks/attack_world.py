"""The world of benchmarks/attacks.py: a repository with a base branch, a remote, and a branch for a hostile change.

An attempt is a function that is given a `World`, on the branch `change` with `main` and the remote's `main` where it
came from. It does what an attacker does, and nothing else: the runner then calls the command as CI or a person would.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tests.support.gated import BAD, GOOD, OWN, make_repository, ok, with_own_checks, write
from tests.support.prompted import make_desk
from tests.support.traffic import JUDGE, label, make_traffic_repository, verdicts, with_judge, write_candidate
from tunegate.harness.cases.snapshot import traffic_in

Kind = Literal["plain", "checks", "adapter", "served", "traffic", "judge"]
TOKEN = "tg-canary-hush-hush-token"  # noqa: S105  (a canary)
#: Python that says that it ran, where anybody would see it, and what it could see.
CANARY = """
import os, sys
def _canary():
    seen = repr(dict(os.environ))
    for process in ("self", str(os.getppid())):
        try:
            seen += open(f"/proc/{process}/environ", "rb").read().decode("utf-8", "replace")
        except OSError:
            pass
    print("CANARY-RAN", "CANARY-TOKEN" if "hush-hush" in seen else "", file=sys.stderr, flush=True)
    print("CANARY-RAN", flush=True)
    for folder in (os.environ.get("CANARY_FOLDER", "/nowhere"), "/tmp/tg-canary"):
        try:
            open(os.path.join(folder, "ran"), "a").write(seen)
        except OSError:
            pass
_canary()
"""
GATE_OUTPUTS = ("gate", "--model=replay:gpt=outputs.jsonl", "--requests=requests.jsonl")
GATE = (*GATE_OUTPUTS, "--policy-from=origin/main", "--decision=decision.json", "--out=record.json")
GATE_ADAPTER = ("gate", "--model=model", "--adapter=tuned", "--policy-from=origin/main", "--decision=decision.json")
RELEASE = ("release", "tuned", "--model=model")
RECORD = ("record", "--from=outputs.jsonl", "--name=gpt", "--requests=requests.jsonl")
ENVIRON = "/proc/self/environ"
#: Text of a stranger: commands of a workflow and of a terminal, and markup.
HOSTILE = "::set-env name=a::b\n\x1b[2J\x1b]0;x\x07<img src=x onerror=alert(1)> @everyone ![x](https://x.example) `"
#: An own check that lets everything pass.
PASSES_ALL = OWN.replace("float(len(output) < 60)", "1.0")


@dataclass(frozen=True)
class World:
    """A repository as an attacker finds it; the working directory is `home`."""

    home: Path

    #: The text of an own check that is honest: outputs of at most 59 characters pass.
    own = OWN
    good, bad = GOOD, BAD

    def write(self, path: str, text: str | bytes) -> Path:
        """Write a file, with its folders."""
        target = self.home / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text.encode() if isinstance(text, str) else text)
        return target

    def read(self, path: str) -> str:
        """The text of a file."""
        return (self.home / path).read_text()

    def edit(self, path: str, change: Callable[[Any], Any]) -> None:
        """Edit a JSON file, in place or as `change` returns it; fixtures here are JSON, which is YAML, too."""
        data = json.loads(self.read(path))
        made = change(data)
        self.write(path, json.dumps(data if made is None else made))

    def outputs(self, good: int) -> None:
        """Write outputs of which so many of each unit are right: 10 are as good as the base, 38 better, 2 worse."""
        write(good)

    def git(self, *arguments: str) -> str:
        """Git, in the repository, as somebody."""
        own = ["-c", "user.name=mallory", "-c", "user.email=mallory@localhost", "-c", "protocol.file.allow=always"]
        done = subprocess.run(["git", *own, *arguments], cwd=self.home, check=True, capture_output=True, text=True)
        return done.stdout

    def commit(self) -> None:
        """Commit everything on the branch of the change."""
        self.git("add", "-A", "-f")
        self.git("commit", "-qm", "change", "--allow-empty")

    def approve(self) -> None:
        """Commit everything, as the branch main of the remote has it from now on."""
        self.commit()
        self.git("push", "-q", "origin", "change:main")
        self.git("fetch", "-q")

    def record(self) -> None:
        """Record the baseline from the outputs that lie there."""
        self.tunegate(*RECORD)

    def tunegate(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The command line, as the attacker uses it at home."""
        command = [sys.executable, "-m", "tunegate", *arguments]
        return subprocess.run(command, cwd=self.home, capture_output=True, text=True, timeout=300, check=False)


#: What an attacker does; it may return more arguments for the command.
Change = Callable[[World], Sequence[str] | None]


@dataclass(frozen=True)
class Attempt:
    """One attempt: what it is in a sentence, the change, and the command that must not be talked round.

    Args:
        what: a sentence for people.
        change: does it; the outputs (in the world `adapter`: the adapter) are bad before it, so that an honest gate
            blocks. It may return more arguments for the command.
        command: what is called then; without --approve, which is the reviewer's.
        world: `plain` has outputs only, `checks` an approved checks.py for the unit desk/brief too, `adapter` a tiny
            model with a released adapter `tuned` and its records, `served` a hosted model that is right as often as
            its prompt deserves, with the record of the prompt in service, `traffic` labelled traffic whose labels say
            that the candidate is wrong on a fifth of it, `judge` the same with a judge that says so, too.
        folder: where the command is called, from the repository.
        limit: where the documents say that this is not held, with their words; such an attempt may get through.
        approved: whether code of the change is approved, so that it may run.
        may_pass: where an exit code of 0 is no success of the attacker, such as of `lint`.
    """

    what: str
    change: Change
    command: Sequence[str] = GATE
    world: Kind = "plain"
    folder: str = "."
    limit: str = ""
    approved: bool = False
    may_pass: bool = False
    environment: dict[str, str] = field(default_factory=dict)


def make_world(kind: Kind, home: Path, served: str = "") -> None:
    """Make a world at `home`, with its remote beside it, to be copied by each attempt; `served` is its hosted model."""
    home.mkdir(parents=True)
    before = Path.cwd()
    os.chdir(home)
    try:
        if kind == "adapter":
            _make_adapter(home)
        elif kind in ("traffic", "judge"):
            _make_traffic(home, kind == "judge")
        elif kind == "served":
            make_desk(served)
            World(home).git("init", "-q", "-b", "main")
        else:
            make_repository(home)
            if kind == "checks":
                with_own_checks()
            write(2)
        _publish(World(home))
    finally:
        os.chdir(before)


def _publish(world: World) -> None:
    """Commit everything to main and to the remote, and leave the branch `change` checked out."""
    world.git("checkout", "-q", "-B", "main")
    world.commit()
    remote = world.home.with_name(f"{world.home.name}.git")
    world.git("clone", "-q", "--bare", ".", str(remote))
    world.git("remote", "add", "origin", f"../{remote.name}")
    world.git("fetch", "-q", "origin")
    world.git("checkout", "-q", "-B", "change")


def _make_adapter(home: Path) -> None:
    from tests.integration.test_mistakes import make_good
    from tests.support.tiny import write_model

    model = home.with_name("tiny")
    model.mkdir()
    write_model(model)
    make_good(home, model)
    (home / ".gitignore").write_text("*.lock\ncache/\n")
    World(home).git("init", "-q", "-b", "main")


def _make_traffic(home: Path, has_judge: bool) -> None:
    with traffic_in(Path("traffic")):
        make_traffic_repository([f"{HOSTILE} {number}" for number in range(300)])
        write_candidate(range(0, 300, 5), cases=())
        verdicts()
        label(lambda output: "boiler" in output)
        if has_judge:
            with_judge(lambda _, output: "boiler" in output)
            ok(*JUDGE)
    World(home).git("init", "-q", "-b", "main")


def copy_world(made: Path, into: Path) -> World:
    """A copy of a world and of its remote."""
    shutil.copytree(made, into / made.name, symlinks=True)
    shutil.copytree(made.with_name(f"{made.name}.git"), into / f"{made.name}.git", symlinks=True)
    return World(into / made.name)
