"""From a table and a key to a check that blocks: `init --model`, `record`, and the workflow that came of it, on GitHub.

The server fails one request in a hundred, as servers do; the machine of the job is a stand-in.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.slow.test_hostile_change import HELD, Hub
from tests.support.fault_server import FaultServer, Handler, reply, says, serving
from tests.support.forked import run_program
from tests.support.gated import git
from tests.support.github import github
from tests.support.workflows import Runner, read

KEY = "sk-of-the-new-user"
TEAMS = ("billing", "repairs", "sales")
WORKFLOW = ".github/workflows/tunegate.yml"
CASES = 180


class Desk:
    """Answers as the table does, or with one team for all; one request in a hundred fails, by a seed."""

    def __init__(self) -> None:
        self.always = ""
        self.failed = 0
        self._draw = random.Random(3)

    def __call__(self, handler: Handler, body: dict[str, Any]) -> None:
        assert handler.headers["Authorization"] == f"Bearer {KEY}"
        if self._draw.random() < 0.01:
            self.failed += 1
            says("<html>Bad Gateway</html>", 502)(handler, body)
            return
        *_, number = body["messages"][-1]["content"].split()
        team = self.always or (TEAMS[int(number) % 3] if number.isdecimal() else "Hello!")
        handler.send(json.dumps(reply(body, json.dumps({"team": team}))))


@pytest.fixture
def served() -> Iterator[tuple[FaultServer, Desk]]:
    desk = Desk()
    with serving(desk) as server:
        yield server, desk


def tunegate(home: Path, server: FaultServer, *arguments: str) -> str:
    own = {"TUNEGATE_API_KEY": KEY, "TUNEGATE_API_HOST": server.address.removeprefix("http://")}
    done = run_program("tunegate", *arguments, folder=home, **own)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def gate(hub: Hub, workflow: dict[Any, Any], name: str) -> tuple[str, Runner]:
    machine = hub.machine(name, {})
    machine.secrets = {"TUNEGATE_API_KEY": KEY}
    return machine.job(workflow, "gate"), machine


def test_from_a_table_and_a_key_to_a_check_that_blocks(served, tmp_path, monkeypatch):
    server, desk = served
    monkeypatch.setenv("TUNEGATE_CACHE", str(tmp_path / "cache"))
    home = tmp_path / "shop"
    home.mkdir()
    (home / "mail.csv").write_text("text,team\n" + "".join(f"Message {n},{TEAMS[n % 3]}\n" for n in range(CASES + 3)))
    columns = ("--from=mail.csv", "--input=text", "--expect=team")
    tunegate(home, server, "init", "desk", *columns, f"--model={server.model}")
    said = tunegate(home, server, "record")

    assert f"desk: {CASES} requests: about " in said
    assert "to read, at most " in said
    assert list(home.glob("baselines/tuned-*/desk/schema.json"))
    monkeypatch.chdir(home)
    git("init", "-q")
    git("add", "-A")
    git("commit", "-qm", "A gate for the mail desk")

    workflow = read(home / WORKFLOW)
    assert "tunegate[server] @" in workflow["env"]["TUNEGATE"]
    workflow["env"]["TUNEGATE"] = HELD
    with github() as hosted:
        hub = Hub(home, tmp_path / "hub", hosted)
        hub.change(lambda root: (root / "README.md").write_text("A change of words.\n"))
        result, machine = gate(hub, workflow, "pushed since")
        assert (result, [each.code for each in machine.ran][-1]) == ("failure", 1)
        hub.github["event"]["pull_request"]["head"]["sha"] = git("-C", str(hub.merge), "rev-parse", "HEAD^2").strip()
        server.asked.clear()
        before = desk.failed
        result, machine = gate(hub, workflow, "gate")

        assert result == "success", machine.said
        asked = [each.body["messages"][-1]["content"] for each in server.asked]
        # each case once, by both sets of rules, whose probes ask the same
        assert len(set(asked)) == CASES + 1
        assert len(asked) == CASES + 2 + desk.failed - before
        assert KEY not in machine.said
        assert [each.name for each in machine.ran if KEY in str(each.env)] == [
            "Gate the model's outputs against the baseline"
        ]
        desk.always = "sales"
        result, machine = gate(hub, workflow, "worse")
        assert result == "failure"
        assert "desk/schema: Regressed" in machine.said
    assert desk.failed


def test_the_workflow_of_a_hosted_model_is_tried_by_the_change_that_adds_it_and_a_fork_waits(served, tmp_path):
    server, _ = served
    (tmp_path / "mail.csv").write_text("text,team\n" + "".join(f"Message {n},{TEAMS[n % 3]}\n" for n in range(30)))
    tunegate(
        tmp_path, server, "init", "desk", "--from=mail.csv", "--input=text", "--expect=team", f"--model={server.model}"
    )
    workflow = read(tmp_path / WORKFLOW)

    assert workflow[True]["pull_request"] == {"paths": [WORKFLOW]}  # YAML reads the key `on` so
    job, here = workflow["jobs"]["gate"], "github.event.pull_request.head.repo.full_name == github.repository"
    assert job["environment"] == f"${{{{ {here} && 'hosted-model' || 'hosted-model-for-forks' }}}}"
    assert "github.event_name == 'pull_request' && 'gate of a change of the workflow' || 'gate'" in job["name"]
    assert "github.event_name != 'pull_request'" in workflow["jobs"]["comment"]["if"]
    settings = (tmp_path / "pyproject.toml").read_text()
    assert f'model = "{server.model}"' in settings
    assert not (tmp_path / "outputs").exists()


def test_recorded_outputs_are_not_written_into_a_workflow(tmp_path):
    (tmp_path / "mail.csv").write_text("text,team\n" + "".join(f"Message {n},{TEAMS[n % 3]}\n" for n in range(30)))
    columns = ("--from=mail.csv", "--input=text", "--expect=team")
    done = run_program("tunegate", "init", "desk", *columns, "--model=replay:a.jsonl", folder=tmp_path)

    assert done.returncode == 2
    said = "a folder, a Hub id, openai:URL#MODEL or anthropic:URL#MODEL, found replay:a.jsonl"
    assert said in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mail.csv"]
