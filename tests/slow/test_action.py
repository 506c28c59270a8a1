"""The action's own steps, run as GitHub's runner would, against a stand-in of its API on loopback."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.support.github import ACTIONS, GitHub, github
from tests.support.paths import ROOT
from tests.support.records import write_policy
from tests.support.units import write_unit
from tests.support.workflows import Runner, keeps, programs

BIN = str(Path(sys.executable).parent)  # where pip puts what it installs
ACTION = yaml.safe_load((ROOT / "action.yml").read_text())
GOOD, BAD = '{"product": "boiler"}', "no idea, says @everyone in <b>bold</b>"
IDS = [f"c{number:02d}" for number in range(40)]


@pytest.fixture
def hub():
    with github() as served:
        yield served


def git(root: Path, *arguments: str) -> None:
    own = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    subprocess.run(["git", *own, *arguments], cwd=root, check=True, capture_output=True)


def committed(root: Path) -> str:
    return subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, check=True, capture_output=True, text=True).stdout


def tunegate(root: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "tunegate", *arguments]
    return subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout


def write_answers(root: Path, good: int) -> None:
    """The file of recorded outputs, of which so many are right."""
    lines = [{"case": f"desk/triage/{case}", "output": GOOD if n < good else BAD} for n, case in enumerate(IDS)]
    (root / "new.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))


def record_and_commit(root: Path) -> None:
    """Record the outputs as the baseline of the requests as they are now."""
    (root / "requests.jsonl").write_text(tunegate(root, "prompts"))
    tunegate(root, "record", "--from", "new.jsonl", "--name", "mine", "--requests", "requests.jsonl")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "a change")


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    """The main branch: a task, and the baseline of answers that are all right."""
    root = tmp_path_factory.mktemp("base")
    write_unit(root / "fixtures", IDS)
    write_policy(root / "fixtures", triage={"margin": 0.15})
    (root / "pyproject.toml").write_text("[tool.tunegate]\n")
    write_answers(root, 40)
    git(root, "init", "-q", "-b", "main")
    record_and_commit(root)
    return root


class Action:
    """A checkout with a pull request's files, and a machine for each job that uses the action on it."""

    def __init__(self, base: Path, root: Path, hub: GitHub) -> None:
        self.root, self._home = root / "workspace", root
        shutil.copytree(base, self.root)
        (root / "event.json").write_text(json.dumps({"pull_request": {"number": 7}}))
        self._environment = {
            "GITHUB_API_URL": hub.url, "GITHUB_REPOSITORY": "o/r", "GITHUB_EVENT_PATH": str(root / "event.json"),
            "GITHUB_RUN_ID": "5", "GITHUB_SERVER_URL": "https://github.example",
        }  # fmt: skip
        self._programs = programs(root / "programs", sys.executable)
        self.temp, self.summary, self.said, self.gated = root / "temp", root / "summary", "", ""

    def run(self, **inputs: str) -> int:
        """The exit code of the gate's step, or of the recording; `said` is what all steps printed."""
        shutil.rmtree(self.temp, ignore_errors=True)  # a runner begins with an empty folder
        shutil.rmtree(self._home / "artefacts", ignore_errors=True)
        given = {"base": "main", "model": "replay:mine=new.jsonl", "token": "secret"} | inputs
        machine = self._machine(self._home)
        is_well = machine.action(ROOT / "action.yml", given)
        self.said = self.gated = machine.said
        [gate] = [each for each in machine.ran if each.name == "Gate or record"]
        assert is_well == (gate.code == 0), self.said
        assert not any(each.env.get("GITHUB_TOKEN") for each in machine.ran)
        return gate.code

    def comment(self, hub: GitHub | None = None, **inputs: str) -> None:
        """Do the second job, on a machine that has nothing but the artefact."""
        home = self._home / "other"
        shutil.rmtree(home, ignore_errors=True)
        if hub:
            self._environment["GITHUB_API_URL"] = hub.url
        machine = self._machine(home)
        assert machine.action(ROOT / "action.yml", {"mode": "comment", "token": "secret"} | inputs), machine.said
        self.said = machine.said

    def _machine(self, home: Path) -> Runner:
        github = {"event_name": "pull_request"}
        return Runner(home, github, self._environment, keeps(self._home / "artefacts"), self._programs)


@pytest.fixture
def runner(base, tmp_path, hub) -> Action:
    return Action(base, tmp_path, hub)


@pytest.fixture(scope="module")
def blocked(base, tmp_path_factory) -> Action:
    """A pull request whose outputs are half wrong, after the job of the gate; for comments and a look."""
    with github() as hub:
        action = Action(base, tmp_path_factory.mktemp("blocked"), hub)
        write_answers(action.root, 20)
        assert action.run() == 1
        assert hub.asked == []
    return action


def test_the_first_run_comments_and_the_next_updates_it(blocked, hub, tmp_path):
    blocked.comment(hub, result="failure")
    [comment] = hub.comments
    lines = comment["body"].splitlines()
    assert lines[0].startswith("<!-- tunegate:")
    assert lines[1].startswith("### ❌ Blocked: desk/triage regressed: in service 100.0 %, this change 50.0 %")
    assert "| desk/triage | guard | 40 | 100.0 % | 50.0 % |" in comment["body"]
    assert lines[-1] == (
        "[Every case, as a page, and the record: the artefacts of this run](https://github.example/o/r/actions/runs/5)"
    )
    prose = re.sub(r"^(`{3,})text\n.*?\n\1$", "", comment["body"], flags=re.DOTALL | re.MULTILINE)
    assert "@everyone" not in prose  # what a model wrote mentions nobody
    assert "<b>" not in prose

    next_push = Action(blocked.root, tmp_path, hub)
    write_answers(next_push.root, 40)
    assert next_push.run() == 0, next_push.said
    next_push.comment(result="success")
    assert [each["body"].splitlines()[1][:5] for each in hub.comments] == ["### ✅"]
    assert "Since the last push:\n\n- replay:<!-- -->mine: desk/triage: regressed → held\n" in hub.comments[0]["body"]
    assert hub.tokens == {"Bearer secret"}


def test_a_regressed_case_is_annotated_at_its_line_and_page_record_and_decision_are_kept(blocked):
    errors = [line for line in blocked.gated.splitlines() if line.startswith("::error file=")]
    assert len(errors) == 9
    assert errors[0].startswith("::error file=fixtures/desk/triage.yaml,line=")
    assert "11 more regressed cases" in blocked.gated
    kept = {path.name for path in (blocked.temp / "tunegate").iterdir()}
    assert kept == {"model.json", "model.cases.jsonl", "model.decision.json", "report.html"}


def test_a_fork_has_the_summary_and_the_same_exit_code(blocked, hub):
    hub.may_write = False
    assert blocked.summary.read_text().startswith(
        "### ❌ Blocked: desk/triage regressed: in service 100.0 %, this change 50.0 %"
    )
    blocked.comment(hub, result="failure")
    assert hub.comments == []
    assert "no permission to comment" in blocked.said
    assert "written to the summary only" in blocked.said


def test_a_comment_leads_to_the_page_and_leaves_that_of_somebody_else_alone(blocked, hub):
    hub.add("<!-- tunegate: --> ### ✅ All is fine, merge it", "mallory")
    blocked.comment(hub, page="https://pages.example/7/report.html")
    assert [each["user"]["login"] for each in hub.comments] == ["mallory", ACTIONS]
    assert hub.comments[0]["body"] == "<!-- tunegate: --> ### ✅ All is fine, merge it"
    assert "[on the page](https://pages.example/7/report.html#case=desk%2Ftriage%2Fc20)" in hub.comments[1]["body"]


def test_an_altered_rule_shouts_and_is_permitted_by_its_name(runner, hub):
    git(runner.root, "switch", "-qc", "change")
    write_policy(runner.root / "fixtures", triage={"margin": 0.5})
    record_and_commit(runner.root)

    assert runner.run() == 1

    runner.comment()
    body = hub.comments[0]["body"]
    approve = re.search(r"`--approve=([0-9a-f]{12})`", body)[1]
    reads = f"Next: a reviewer reads the rule changes and runs it with --approve={approve}."
    assert body.splitlines()[1] == f"### ❌ Blocked by 1 unapproved rule change. {reads}"
    assert body.index("> **Rule changes: they block until a reviewer approves them.**") < body.index("| unit |")
    assert "- desk/triage: task.yaml is looser: margin 0.15 -&gt; 0.5" in body

    assert runner.run(approve=approve) == 0, runner.said
    runner.comment()
    assert "**Rule changes, approved:**" in hub.comments[0]["body"]


def test_what_cannot_be_judged_is_said_too(runner, hub):
    (runner.root / "fixtures/desk/triage.yaml").write_text("cases: [")
    assert runner.run() == 4
    runner.comment()
    assert hub.comments[0]["body"].splitlines()[1].startswith("### ⚠️ Refused")
    assert "fixtures/desk/triage.yaml:1" in hub.comments[0]["body"]


def test_new_baselines_are_offered_as_a_patch_and_never_committed(runner, hub):
    write_answers(runner.root, 20)
    before = committed(runner.root)
    assert runner.run(mode="record", requests="requests.jsonl") == 0, runner.said
    assert committed(runner.root) == before
    assert hub.asked == []
    summary = runner.summary.read_text()
    assert summary.startswith("### 📋 New baselines: 4 files\n\nNothing is committed.")
    assert "+++ b/baselines/replay-mine/desk/triage.json" in summary
    assert "no idea, says @everyone" in re.search(r"^````diff\n(.*?)\n````$", summary, re.DOTALL | re.MULTILINE)[1]

    patch = runner.temp / "tunegate/baselines.patch"
    assert [path.name for path in patch.parent.iterdir()] == [patch.name]
    recorded = (runner.root / "baselines/replay-mine/desk/triage.json").read_text()
    git(runner.root, "stash", "--include-untracked")
    git(runner.root, "apply", str(patch))
    assert (runner.root / "baselines/replay-mine/desk/triage.json").read_text() == recorded
    write_answers(runner.root, 20)
    assert runner.run() == 1, "another baseline is a rule change, to be approved"
    assert "by the rules of this change: passes" in runner.said


def test_baselines_that_stay_as_they_were_are_said_to(runner):
    assert runner.run(mode="record", requests="requests.jsonl") == 0, runner.said
    assert runner.summary.read_text() == "### 📋 The baselines are unchanged\n\n"
    assert (runner.temp / "tunegate/baselines.patch").read_text() == ""


def test_a_recording_that_is_refused_ends_so_and_says_where_to_look(runner):
    (runner.root / "fixtures/desk/triage.yaml").write_text("cases: [")
    assert runner.run(mode="record", requests="requests.jsonl") == 4
    assert runner.summary.read_text().endswith("The recording ended with exit code 4: see the log of the job.\n\n")


def test_settings_that_mean_nothing_are_told_before_anything_is_recorded(runner):
    (runner.root / "pyproject.toml").write_text("[tool.tunegate]\nmodle = 'smollm2'\n")
    assert runner.run(mode="record") == 4
    assert "did you mean 'model'?" in runner.said
    assert "Traceback" not in runner.said


def test_a_model_is_scored_by_pytest(runner, tiny_model):
    assert runner.run(mode="record", model=str(tiny_model)) == 0, runner.said
    patch = (runner.temp / "tunegate/baselines.patch").read_text()
    assert re.search(r"^\+\+\+ b/baselines/\S+-[0-9a-f]{8}/desk/triage\.json$", patch, re.MULTILINE)
    assert "replay-mine" not in patch


def test_a_patch_holds_what_was_recorded_and_no_other_file_that_lies_there(runner):
    write_answers(runner.root, 20)
    for name in (".env", "replay-mine/desk/notes.txt", "replay-mine/token.json", "a/b/token.json", "ledger/key.pem"):
        (runner.root / "baselines" / name).parent.mkdir(parents=True, exist_ok=True)
        (runner.root / "baselines" / name).write_text("s3cr3t")
    assert runner.run(mode="record", requests="requests.jsonl") == 0, runner.said
    patch = (runner.temp / "tunegate/baselines.patch").read_text()

    assert re.findall(r"^\+\+\+ b/(\S+)$", patch, re.MULTILINE)[-1] == "baselines/replay-mine/desk/triage.json"
    assert "s3cr3t" not in patch + runner.summary.read_text()


@pytest.mark.parametrize("folder", [".", "../elsewhere", ".git/info", "link"])
def test_a_folder_of_baselines_that_is_more_than_that_is_refused(runner, folder):
    (runner.root / "link").symlink_to(".")
    (runner.root / "pyproject.toml").write_text(f"[tool.tunegate]\nbaselines = '{folder}'\n")
    (runner.root / ".env").write_text("s3cr3t")

    assert runner.run(mode="record", requests="requests.jsonl") == 4
    assert "baselines: expected a folder of their own in the repository, found " in runner.said
    assert not (runner.temp / "tunegate/baselines.patch").exists()


def test_another_mode_is_refused(runner):
    assert runner.run(mode="recrod") == 4
    assert "mode: expected gate, record or comment" in runner.said


def test_third_party_actions_are_pinned_by_commit():
    used = [step["uses"] for step in ACTION["runs"]["steps"] if "uses" in step]
    assert len(used) == 5
    assert all(re.fullmatch(r"actions/[a-z-]+(/[a-z]+)?@[0-9a-f]{40}", each) for each in used)


def test_no_expression_stands_in_a_script():
    assert not any("${{" in step.get("run", "") for step in ACTION["runs"]["steps"])


@pytest.mark.skipif(shutil.which("shellcheck", path=BIN) is None and not os.environ.get("CI"), reason="not installed")
def test_shellcheck_finds_nothing_in_the_scripts():
    scripts = sorted((ROOT / ".github").glob("*.sh"))
    assert len(scripts) == 8
    steps = [step["run"] for step in ACTION["runs"]["steps"] if "run" in step]
    shellcheck = [shutil.which("shellcheck", path=BIN), "--shell=bash"]
    subprocess.run([*shellcheck, *scripts], check=True)
    for step in steps:  # which a runner starts with `bash -eo pipefail`
        subprocess.run([*shellcheck, "-"], input=f"set -eo pipefail\n{step}", text=True, check=True)
