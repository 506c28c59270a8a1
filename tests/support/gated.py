"""A repository with a task, its baseline and better outputs, and a branch for a change: what the gate's tests share."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from tests.support.records import write_policy
from tests.support.units import write_unit
from tunegate.harness.cli.main import app
from tunegate.harness.core.files import stamped
from tunegate.harness.history.ledger.ledger import Event
from tunegate.harness.history.ledger.store import append

GOOD, BAD = '{"product": "boiler"}', "no idea"
IDS = [f"c{number:02d}" for number in range(40)]
OWN = """
from tunegate import CheckKind, Outcome

class Short:
    references = "short"
    def __call__(self, output, expect, prompt):
        return Outcome(float(len(output) < 60))
    def expect_problems(self, expect, document, where):
        return []

CHECKS = {"short": CheckKind(kind="pass/fail", options={}, expect={}, load=lambda *_: Short(), version=1)}
"""
COMMAND = [
    str(Path(sys.executable).parent / "tunegate"), "gate", "--model=replay:gpt=outputs.jsonl",
    "--requests=requests.jsonl",
]  # fmt: skip


def git(*arguments: str) -> str:
    own = ["-c", "user.name=test", "-c", "user.email=test@localhost", "-c", "init.defaultBranch=main"]
    return subprocess.run(["git", *own, *arguments], check=True, capture_output=True, text=True).stdout


def commit_to_main(message: str) -> None:
    git("add", "-A")
    git("commit", "-qm", message)
    git("branch", "-f", "main")


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def ok(*arguments: str) -> str:
    done = invoke(*arguments)
    assert done.exit_code == 0, done.output
    return done.output


def decision(*options: str, ends: Collection[int] = (0, 1)) -> dict[str, Any]:
    """What `tunegate gate --json` says, which ends with one of these exit codes."""
    done = invoke("gate", "--json", *options)
    assert done.exit_code in ends, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    assert (done.exit_code == 0) == found["passes"]
    return found


def put_in_service(path: Path, data: dict[str, Any], kinds: Collection[str] = ("recorded", "serves")) -> None:
    """Write a forged record of desk/triage, whose digest and events fit."""
    forged = stamped({key: value for key, value in data.items() if key != "digest"})
    path.write_text(json.dumps(forged))
    for kind in kinds:
        append(Path("baselines"), Event(kind, "desk", forged["subject"], {"desk/triage": forged["digest"]}))


def write(good: int, name: str = "outputs.jsonl", but: range = range(0)) -> None:
    """Outputs for every case there is, of which so many per unit are right, `but` some."""
    lines = []
    for file in sorted(Path("fixtures").rglob("*.yaml")):
        if file.name == "task.yaml":
            continue
        data = json.loads(file.read_text())
        for number, case in enumerate(data["cases"]):
            output = GOOD if number < good and number not in but else BAD
            lines.append({"case": f"{file.parent.name}/{data['unit']}/{case['id']}", "output": output})
    Path(name).write_text("".join(json.dumps(line) + "\n" for line in lines))


def record(good: int = 10) -> None:
    """The baseline of a model that gets so many right."""
    write(good, "base.jsonl")
    Path("requests.jsonl").write_text(invoke("prompts").stdout)
    ok("record", "--from=base.jsonl", "--name=gpt", "--requests=requests.jsonl")


def edit(change: Callable[[dict[str, Any]], None], name: str = "triage.yaml") -> None:
    path = Path("fixtures/desk") / name
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


def gate(*options: str, since: str | None = "main") -> Result:
    ref = [f"--policy-from={since}"] if since else []
    return invoke("gate", "--model=replay:gpt=outputs.jsonl", "--requests=requests.jsonl", *ref, *options)


def decided(*options: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(gate("--json", *options).stdout)
    return found


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The gate as a program of its own."""
    return subprocess.run(
        [*COMMAND, *arguments], env=os.environ | environment, capture_output=True, text=True, check=False
    )


def with_own_checks() -> None:
    Path("checks.py").write_text(OWN)
    Path("pyproject.toml").write_text('[tool.tunegate]\nchecks = "checks.py"\n')
    write_unit(Path("fixtures"), IDS[:30], name="brief", suite="short", check={})
    write_policy(Path("fixtures"), triage={"role": "target", "margin": 0.1}, brief={"role": "guard", "margin": 0.2})
    record()
    write(38)
    commit_to_main("own checks")


def make_repository(home: Path) -> None:
    """Make it at `home`, which is the working directory."""
    write_unit(home / "fixtures", IDS)
    data = json.loads((home / "fixtures/desk/triage.yaml").read_text())
    data["cases"][0]["critical"] = True
    (home / "fixtures/desk/triage.yaml").write_text(json.dumps(data))
    write_policy(home / "fixtures", triage={"role": "target", "margin": 0.1})
    (home / "pyproject.toml").write_text("[tool.tunegate]\n")
    (home / ".gitignore").write_text(".tunegate/\n*.lock\n")
    record()
    write(38)
    git("init", "-q")
    git("add", "-A")
    git("commit", "-qm", "base")
    git("checkout", "-qb", "change")
