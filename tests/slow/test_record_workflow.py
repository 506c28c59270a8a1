"""The workflow that records added cases after a merge: what it records, what it pushes, and when it does nothing.

`origin` is a bare repository in place of GitHub's; each job runs on a machine of its own, which has a clone of it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.slow.test_hosted_workflow import KEY, TEAMS, Desk, tunegate
from tests.support.fault_server import FaultServer, serving
from tests.support.forked import run_program
from tests.support.gated import git
from tests.support.paths import ROOT
from tests.support.workflows import Runner, keeps, programs, read

WORKFLOW = ".github/workflows/tunegate-record.yml"
HELD = f"tunegate[server] @ git+https://github.com/o/tunegate@{'a' * 40}"
BRANCH = "tunegate/record"
STEP = "Record the added cases"


class SteadyDesk(Desk):
    """A desk whose server never fails."""

    def __init__(self) -> None:
        super().__init__()
        self._draw.random = lambda: 1.0  # type: ignore[method-assign]


@dataclass
class Shop:
    """A project on GitHub: a clone to work in, and the workflow's machines."""

    home: Path
    root: Path
    server: FaultServer
    workflow: dict[Any, Any]
    environment: Mapping[str, str] = field(default_factory=dict)

    def merge(self, message: str, *numbers: int) -> None:
        """Add cases to the default branch, as a merge does."""
        path = self.home / "fixtures/desk/schema.yaml"
        lines = [f"  - {{id: new-{n}, input: 'Message {n}', expect: {{team: {TEAMS[n % 3]}}}}}\n" for n in numbers]
        path.write_text(path.read_text() + "".join(lines))
        self.push(message)

    def push(self, message: str) -> None:
        at = ("-C", str(self.home))
        git(*at, "add", "-A")
        git(*at, "commit", "-qm", message)
        git(*at, "push", "-q", "origin", "HEAD:main")

    def run(self, name: str, event: Mapping[str, Any] | None = None, ref: str = "main") -> list[Runner]:
        """Do the workflow's jobs, each on a machine of its own; those that were not skipped."""
        record = self._machine(f"{name}-record", event, ref, {})
        result = record.job(self.workflow, "record")
        if result != "success":
            return [record] if result else []
        needs = {"record": {"result": result, "outputs": record.outputs}}
        offer = self._machine(f"{name}-offer", event, ref, needs)
        if "offer" in self.workflow["jobs"]:
            assert offer.job(self.workflow, "offer") == "success", offer.said
        return [record, offer]

    def _machine(self, name: str, event: Mapping[str, Any] | None, ref: str, needs: Mapping[str, Any]) -> Runner:
        repository = {"default_branch": "main", "fork": False} | dict(event or {})
        github = {"event": {"repository": repository}, "event_name": "push", "ref_name": ref, "repository": "o/r"}
        environment = {"GITHUB_REPOSITORY": "o/r", "GITHUB_SERVER_URL": "https://github.example", **self.environment}
        store = self.root / f"{name.partition('-')[0]}-artefacts"
        actions = keeps(store) | {"actions/checkout": self._check_out, "./": ROOT / "action.yml"}
        folder = self.root / name
        made = programs(folder / "programs", sys.executable)
        return Runner(folder, github, environment, actions, made, needs, secrets={"TUNEGATE_API_KEY": KEY})

    def _check_out(self, runner: Runner, inputs: Mapping[str, str]) -> None:
        keeps_token = inputs["persist-credentials"] == "true"
        assert keeps_token == bool(runner.needs)  # only the second job has a token that git finds
        git("clone", "-q", str(self.root / "origin"), str(runner.workspace))
        git("-C", str(runner.workspace), "checkout", "-q", inputs["ref"])

    def show(self, path: str, ref: str = BRANCH) -> str:
        return git("-C", str(self.root / "origin"), "show", f"{ref}:{path}")

    def record_on(self, ref: str = BRANCH) -> dict[str, Any]:
        [path] = [each for each in self.files(ref) if each.endswith("/desk/schema.json") and "baselines" in each]
        return dict(json.loads(self.show(path, ref)))

    def files(self, ref: str) -> list[str]:
        return git("-C", str(self.root / "origin"), "ls-tree", "-r", "--name-only", ref).split()

    def branches(self) -> list[str]:
        return git("-C", str(self.root / "origin"), "for-each-ref", "--format=%(refname:short)").split()


@pytest.fixture
def desk() -> SteadyDesk:
    return SteadyDesk()


@pytest.fixture
def shop(desk: SteadyDesk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """A project with a hosted model, its record and the workflow on the default branch."""
    with serving(desk) as server:
        monkeypatch.setenv("TUNEGATE_CACHE", str(tmp_path / "cache"))
        home = tmp_path / "shop"
        home.mkdir()
        rows = "".join(f"Message {n},{TEAMS[n % 3]}\n" for n in range(43))
        (home / "mail.csv").write_text(f"text,team\n{rows}")
        columns = ("--from=mail.csv", "--input=text", "--expect=team")
        tunegate(home, server, "init", "desk", *columns, f"--model={server.model}")
        tunegate(home, server, "record")
        yield made(home, tmp_path, server)


def made(home: Path, root: Path, server: FaultServer) -> Shop:
    git("init", "-q", "--bare", str(root / "origin"))
    git("-C", str(home), "init", "-q")
    git("-C", str(home), "remote", "add", "origin", str(root / "origin"))
    workflow = read(home / WORKFLOW)
    workflow["env"]["TUNEGATE"] = HELD
    shop = Shop(home, root, server, workflow)
    shop.push("a project")
    return shop


def test_added_cases_are_recorded_on_a_branch_and_nothing_else_changes(shop):
    before = shop.record_on("main")
    shop.merge("two new cases", 100, 101)
    shop.server.asked.clear()

    record, offer = shop.run("first")

    asked = {each.body["messages"][-1]["content"] for each in shop.server.asked}
    assert {"Message 100", "Message 101"} <= asked
    assert not {each for each in asked if each in {f"Message {n}" for n in range(43)}}
    after = shop.record_on()
    assert {case: after["cases"][case] for case in before["cases"]} == before["cases"]
    assert after["cases"].keys() - before["cases"].keys() == {"new-100", "new-101"}
    changed = git("-C", str(shop.root / "origin"), "diff", "--name-only", "main", BRANCH).split()
    assert {name.partition("/")[0] for name in changed} == {"baselines"}
    assert "2 added cases to record: new-100, new-101" in (record.root / "summary").read_text()
    new = "https://github.example/o/r/compare/main...tunegate/record?expand=1"
    assert f"[open a pull request]({new})" in (offer.root / "summary").read_text()
    assert [each.name for each in record.ran if KEY in str(each.env)] == [STEP]
    assert KEY not in str([each.env for each in offer.ran])


def test_this_projects_own_workflow_does_the_same(shop):
    """With the action of the workspace, whose settings name the model; the key stands for one that needs none."""
    shop.workflow = read(ROOT / ".github/workflows/record.yml")
    before = shop.record_on("main")
    shop.merge("two new cases", 100, 101)
    shop.environment = {"TUNEGATE_API_KEY": KEY, "TUNEGATE_API_HOST": shop.server.address.removeprefix("http://")}

    record, offer = shop.run("own")

    after = shop.record_on()
    assert {case: after["cases"][case] for case in before["cases"]} == before["cases"]
    assert after["cases"].keys() - before["cases"].keys() == {"new-100", "new-101"}
    assert "2 added cases to record: new-100, new-101" in (record.root / "summary").read_text()
    assert "[open a pull request](" in (offer.root / "summary").read_text()


def test_after_its_merge_nothing_is_left_and_nothing_is_pushed(shop):
    shop.merge("a new case", 100)
    shop.run("first")
    git("-C", str(shop.home), "fetch", "-q", "origin")
    git("-C", str(shop.home), "merge", "-q", f"origin/{BRANCH}")
    git("-C", str(shop.home), "push", "-q", "origin", "HEAD:main", f":{BRANCH}")
    shop.server.asked.clear()

    record, offer = shop.run("again")

    assert "no added case waits to be recorded" in record.said
    assert shop.server.asked == []
    assert shop.branches() == ["main"]
    assert offer.said == ""


def test_of_two_merges_the_later_run_offers_both_in_either_order(shop):
    shop.merge("one", 100)
    shop.merge("two", 101)
    for name in ("late", "newest"):  # a run takes the newest commit, also if it was started by an earlier one
        shop.run(name)
        assert {"new-100", "new-101"} <= shop.record_on()["cases"].keys()
    commits = git("-C", str(shop.root / "origin"), "rev-list", f"main..{BRANCH}").split()
    assert len(commits) == 1


@pytest.mark.parametrize(
    ("event", "ref"), [({"fork": True}, "main"), ({}, "a-change"), ({"default_branch": "trunk"}, "main")]
)
def test_a_fork_and_another_branch_run_nothing(shop, event, ref):
    shop.merge("a new case", 100)

    assert shop.run("none", event, ref) == []
    assert shop.branches() == ["main"]


def test_pull_requests_do_not_start_it_and_only_the_job_that_runs_git_may_write(shop):
    assert set(shop.workflow[True]) == {"push", "workflow_dispatch"}  # YAML reads the key `on` so
    assert shop.workflow["permissions"] == {"contents": "read"}
    assert "permissions" not in shop.workflow["jobs"]["record"]
    offer = shop.workflow["jobs"]["offer"]
    assert offer["permissions"] == {"contents": "write"}
    assert "tunegate record" not in str(offer)
    assert "pip" not in str(offer)


def test_a_model_that_changed_records_nothing(shop):
    shop.merge("another model, and a case", 100)
    settings = shop.home / "pyproject.toml"
    settings.write_text(settings.read_text().replace("#", "#other-"))
    shop.push("another model")

    [record] = shop.run("changed")

    assert record.ran[-1].code == 4
    assert "#tuned" in (record.root / "summary").read_text()
    assert shop.branches() == ["main"]


def test_files_beside_the_baselines_are_not_taken_from_the_patch(shop):
    """Of the job before, where code of the project may run, the job that writes takes the baselines alone."""
    shop.merge("a new case", 100)
    record = shop._machine("bad-record", None, "main", {})
    assert record.job(shop.workflow, "record") == "success", record.said
    patch = shop.root / "bad-artefacts/tunegate/baselines.patch"
    evil = "diff --git a/evil.py b/evil.py\nnew file mode 100644\n--- /dev/null\n+++ b/evil.py\n@@ -0,0 +1 @@\n+evil\n"
    patch.write_text(patch.read_text() + evil)
    offer = shop._machine("bad-offer", None, "main", {"record": {"result": "success", "outputs": record.outputs}})

    assert offer.job(shop.workflow, "offer") == "success", offer.said
    assert "evil.py" not in shop.files(BRANCH)
    assert "new-100" in shop.record_on()["cases"]


def test_supplied_outputs_fail_with_the_one_command_and_need_no_key(tmp_path, monkeypatch):
    home = tmp_path / "shop"
    home.mkdir()
    rows = "".join(f"Message {n},{TEAMS[n % 3]}\n" for n in range(43))
    (home / "mail.csv").write_text(f"text,team\n{rows}")

    def call(*arguments: str) -> str:
        done = run_program("tunegate", *arguments, folder=home)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    call("init", "desk", "--from=mail.csv", "--input=text", "--expect=team")
    (home / "requests.jsonl").write_text(call("prompts"))
    call("record", "--name=mine", "--from=outputs/expected.jsonl", "--requests=requests.jsonl")
    with serving(SteadyDesk()) as server:
        shop = made(home, tmp_path, server)
        assert "secrets" not in str(shop.workflow)
        assert list(shop.workflow["jobs"]) == ["record"]
        record, _ = shop.run("nothing")
        assert "no added case waits to be recorded" in record.said
        shop.merge("a new case", 100)
        [record] = shop.run("waits")
    assert "tunegate record --added --name=mine --from=OUTPUTS.jsonl" in (record.root / "summary").read_text()
    assert record.ran[-1].code == 4
