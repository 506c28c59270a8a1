"""The core works in an environment without what hangs on its seams, and says of that in a line that it is not there."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from typing import Any

import pytest

from tests.support.paths import ROOT
from tests.support.units import write_outputs, write_unit

RIGHT, WRONG = '{"product": "boiler"}', "no idea"
IDS = [f"c{number:02d}" for number in range(60)]
#: Runs commands, one after another, in a process that refuses to import what the contract keeps from the core.
CODE = """
import contextlib, io, json, sys
from pathlib import Path

forbidden, lines = json.loads(sys.argv[1]), json.loads(sys.argv[2])
sys.modules |= dict.fromkeys(forbidden)  # Python refuses to import these, as if they were not there
from typer.testing import CliRunner
from tunegate.harness.cli.main import app
import pytest

def ran(line):
    if line[0] != "pytest":
        line, _, file = " ".join(line).partition(" > ")
        done = CliRunner().invoke(app, line.split())
        if file:
            Path(file).write_text(done.output)
        return done.exit_code, done.output
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(out):
        return int(pytest.main(["-p", "no:cacheprovider", *line[1:]])), out.getvalue()

done = {" ".join(line): ran(line) for line in lines}
print("DONE", json.dumps(done))
"""
CORE = {
    "lint": 0,
    "plan": 0,
    "prompts > requests.jsonl": 0,
    "record --from=old.jsonl --name=old --requests=requests.jsonl": 0,
    "gate --model=replay:old=new.jsonl --requests=requests.jsonl --decision=decision.json": 0,
    "gate --model=replay:old=bad.jsonl --requests=requests.jsonl --decision=worse.json": 1,
    "report worse.json": 0,
    "report worse.json --html=page.html --json": 0,
    "compare old.csv new.csv --better=right=higher": 0,
    "record --model=python:bot.py:reply": 0,
    "ledger": 0,
    "compare python:bot.py:reply shorter=python:bot.py:reply --unit=desk/triage": 0,
    "--help": 0,
    "pytest suites/ --tg-model=replay:old=new.jsonl --tg-against=baseline --tg-out=record.json": 0,
    "pytest suites/ --tg-model=python:bot.py:reply --tg-against=baseline": 0,
    "report record.json": 0,
    "init letters --from=table.csv --input=text --expect=team": 0,
    "lint fixtures/letters": 0,
}
BEHIND = {
    "train recipe.yaml": "tunegate.trainers",
    "distil desk rows.jsonl": "tunegate.trainers",
    "adopt folder": "tunegate.trainers",
    "diagnose": "tunegate.trainers",
    "release folder": "tunegate.harness.release",
    "retire desk/old --reason=gone": "tunegate.harness.release",
    "sign folder --key=key.pem": "tunegate.harness.release",
    "verify folder": "tunegate.harness.release",
    "parity folder --model=m.gguf": "tunegate.harness.release",
    "export folder --output=m": "tunegate.harness.release",
    "import promptfooconfig.yaml": "tunegate.harness.imports",
    "coverage inputs.jsonl": "tunegate.harness.labelling.coverage",
    "label questions.jsonl": "tunegate.harness.labelling",
    "record --model=smollm2": "tunegate.harness.models.local",
    "record --model=vllm:smollm2": "tunegate.harness.models.served.vllm",
    "pytest suites/ --tg-model=smollm2": "tunegate.harness.models.local",
}


def forbidden() -> list[str]:
    """What the contract keeps from the core."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    [found] = [each["forbidden_modules"] for each in contracts if each["type"] == "forbidden"]
    return list(found)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The exit code and output of each command, in a project with recorded and scripted models."""
    home = tmp_path_factory.mktemp("project")
    write_unit(home / "fixtures", IDS)
    for name, right in {"old": 60, "new": 60, "bad": 20}.items():
        outputs = {f"desk/triage/{each}": RIGHT if at < right else WRONG for at, each in enumerate(IDS)}
        write_outputs(home / f"{name}.jsonl", outputs)
    (home / "suites").symlink_to(ROOT / "suites")
    (home / "pytest.ini").write_text("[pytest]\n")
    (home / "bot.py").write_text(f"def reply(messages, settings):\n    return '{RIGHT}'\n")
    (home / "table.csv").write_text("text,team\n" + "".join(f"message {at},{'ab'[at % 2]}\n" for at in range(20)))
    (home / "promptfooconfig.yaml").write_text("prompts: ['{{x}}']\ntests: [{vars: {x: 1}}]\n")
    for name, lost in {"old": 0, "new": 20}.items():
        (home / f"{name}.csv").write_text(
            "id,right\n" + "".join(f"{each},{int(at >= lost)}\n" for at, each in enumerate(IDS))
        )
    lines = [each.split() for each in (*CORE, *BEHIND)]
    command = [sys.executable, "-c", CODE, json.dumps(forbidden()), json.dumps(lines)]
    ran = subprocess.run(command, cwd=home, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return dict(json.loads(ran.stdout.rpartition("DONE")[2]))


@pytest.mark.parametrize(("line", "code"), CORE.items())
def test_the_core_works_alone(done, line, code):
    assert done[line][0] == code, done[line][1]


@pytest.mark.parametrize(("line", "part"), BEHIND.items())
def test_what_is_not_there_is_said_in_a_line(done, line, part):
    code, said = done[line]
    told = [each for each in said.splitlines() if "found none" in each]

    assert code == 3
    assert [part in each and "only a part of tunegate; install all of it" in each for each in told] == [True], said
    if not line.startswith("pytest"):
        assert len(said.splitlines()) == 1
