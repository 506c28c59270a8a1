"""Each workflow that this project has or shows, done on a change that tries to run: none of it runs, no token is seen.

A job's steps are done in order by a stand-in of the runner, each job on a machine of its own. The change brings every
file that some program might run by itself; each writes its name and its environment to a canary, and says so.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.forked import run_program
from tests.support.gated import BAD, GOOD, IDS, OWN, git, ok, write
from tests.support.github import GitHub, github
from tests.support.paths import ROOT
from tests.support.records import write_policy
from tests.support.units import write_unit
from tests.support.workflows import Runner, keeps, programs, read
from tunegate.harness.begin.scaffold.origin import PLACEHOLDER

TOKEN = "ghs_a-token-that-writes"
HELD = f"tunegate @ git+https://github.com/o/tunegate@{'a' * 40}"
STRIKE = """
import json, os, sys
def strike(by):
    said = json.dumps({{"by": by, **os.environ}})
    print("STRUCK", by, file=sys.stderr)
    try:
        with open({canary!r}, "a") as canary:
            canary.write(said + "\\n")
    except OSError:
        pass
strike({by!r})
"""
#: What a program might import or run by itself, in the folder that it stands in or below.
MODULES = (
    "evil.py", "conftest.py", "fixtures/conftest.py", "sitecustomize.py", "usercustomize.py", "setup.py",
    "tunegate/__init__.py", "tunegate/__main__.py", "harness/__init__.py", "suites/__init__.py", "json.py",
    "pip/__init__.py", "pip/__main__.py", "yaml/__init__.py", "fixtures/evil.py", "adapters/evil/modeling.py",
)  # fmt: skip
PROGRAMS = (*(f".github/{name}.sh" for name in ("gate", "comment", "install", "approved", "say")), "git", "python")
SETTINGS = '[tool.tunegate]\nchecks = "{checks}"\n'


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The default branch: a task with a check of its own, and the baseline of outputs that are all right."""
    root = tmp_path_factory.mktemp("base")
    before = Path.cwd()
    os.chdir(root)
    try:
        write_unit(root / "fixtures", IDS)
        write_unit(root / "fixtures", IDS[:30], name="brief", suite="short", check={})
        write_policy(root / "fixtures", triage={"margin": 0.15}, brief={"margin": 0.2})
        put(root / "checks.py", OWN)
        put(root / "pyproject.toml", SETTINGS.format(checks="checks.py") + 'model = "replay:mine=outputs/new.jsonl"\n')
        put(root / ".gitignore", ".tunegate/\n*.lock\n")
        (root / "outputs").mkdir()
        write(40, "outputs/new.jsonl")
        put(root / "requests.jsonl", ok("prompts"))
        ok("record", "--from=outputs/new.jsonl", "--name=mine", "--requests=requests.jsonl")
        for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "base"]):
            git(*arguments)
    finally:
        os.chdir(before)
    return root


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    return tmp_path / "canary"


def strike(canary: Path, by: str) -> str:
    return STRIKE.format(canary=str(canary), by=by)


def attack(root: Path, canary: Path) -> None:
    """Everything at once, each file with its own name for the canary."""
    for name in MODULES:
        put(root / name, strike(canary, name))
    put(root / "evil.pth", f"import os; os.system('echo evil.pth >> {canary}')\n")
    for name in PROGRAMS:
        put(root / name, f"#!/bin/sh\necho STRUCK {name} >&2\necho {name} >> {canary}\nenv >> {canary}\n")
        (root / name).chmod(0o755)
    put(root / "action.yml", json.dumps({"runs": {"using": "composite", "steps": [
        {"run": f"echo action.yml >> {canary}", "shell": "bash"},
    ]}}))  # fmt: skip
    put(root / ".envrc", f"echo .envrc >> {canary}\n")
    put(root / "Makefile", f"all:\n\techo Makefile >> {canary}\n")
    put(root / "pytest.ini", "[pytest]\naddopts = -p evil\n")
    put(root / "pip.conf", "[install]\nindex-url = http://127.0.0.1:9/\n")
    put(root / ".git-hooks/post-checkout", f"#!/bin/sh\necho hook >> {canary}\n")


def edit_own_checks(root: Path, canary: Path) -> None:
    put(root / "checks.py", strike(canary, "checks.py") + OWN)


def name_other_checks(root: Path, canary: Path) -> None:
    put(root / "evil.py", strike(canary, "evil.py") + OWN)
    settings = (root / "pyproject.toml").read_text().replace("checks.py", "evil.py")
    put(root / "pyproject.toml", settings)


def name_checks_below(root: Path, canary: Path) -> None:
    put(root / "fixtures/pyproject.toml", SETTINGS.format(checks="evil.py"))
    put(root / "fixtures/evil.py", strike(canary, "fixtures/evil.py") + OWN)


def replace_outputs(root: Path, canary: Path) -> None:
    """Outputs that are wrong, and say what might be run, read or followed."""
    hostile = (
        f"$(touch {canary}) `touch {canary}` ${{{{ github.token }}}} ::set-output name=code::0 @everyone <img src=x>"
    )
    lines = [{"case": f"desk/triage/{case}", "output": f"{hostile} {BAD}"} for case in IDS]
    lines += [{"case": f"desk/brief/{case}", "output": GOOD} for case in IDS[:30]]
    put(root / "outputs/new.jsonl", "".join(f"{json.dumps(line)}\n" for line in lines))


CHANGES = {
    "its own checks edited": (attack, replace_outputs, edit_own_checks),
    "other checks named": (attack, name_other_checks),
    "checks named below the root": (attack, name_checks_below),
}


def scaffold(folder: Path) -> dict[Any, Any]:
    """The workflow that `tunegate init` writes."""
    put(folder / "mail.csv", "text,team\n" + "".join(f"Message {n},{'ab'[n % 2]}\n" for n in range(30)))
    columns = ("--from=mail.csv", "--input=text", "--expect=team")
    assert run_program("tunegate", "init", "desk", *columns, folder=folder).returncode == 0
    return read(folder / ".github/workflows/tunegate.yml")


def shown_in_docs(_: Path) -> dict[Any, Any]:
    [text] = re.findall(r"## GitHub\n\n```yaml\n(.*?)```", (ROOT / "docs/ci.md").read_text("utf-8"), re.DOTALL)
    return dict(yaml.safe_load(text))


WORKFLOWS = {
    "the example's": lambda _: read(ROOT / "examples/returns/.github/workflows/tunegate.yml"),
    "the one that init writes": scaffold,
    "the one in docs/ci.md": shown_in_docs,
    "this project's own": lambda _: read(ROOT / ".github/workflows/gate.yml"),
}

#: The steps of the job `gate` that have a token which may only read, before anything of the change is there to run.
READ_APPROVALS = {"this project's own": ["Read a reviewer's approval"]}


class Hub:
    """GitHub: the pull request, what its merge would be, and the machines on which its workflow runs."""

    def __init__(self, base: Path, root: Path, served: GitHub) -> None:
        self.root, self.served = root, served
        self.merge, self.store = root / "merge", root / "artefacts"
        git("clone", "-q", str(base), str(self.merge))
        self.programs = programs(root / "programs", sys.executable, gh="#!/bin/sh\nexit 0\n")
        event = {"number": 7, "pull_request": {
            "number": 7, "base": {"sha": "base", "ref": "main"}, "head": {"sha": "head"}, "user": {"login": "mallory"},
        }}  # fmt: skip
        put(root / "event.json", json.dumps(event))
        self.github = {
            "event": event,
            "event_name": "pull_request_target",
            "repository": "o/r",
            "token": TOKEN,
            "sha": "base",
        }

    def change(self, *how: Any) -> None:
        """Commit a change, and the merge whose first parent is the default branch."""
        for each in how:
            each(self.merge)
        at = ["-C", str(self.merge)]
        git(*at, "checkout", "-qb", "change")
        git(*at, "add", "-A", "-f")
        git(*at, "commit", "-qm", "a change")
        git(*at, "checkout", "-q", "main")
        git(*at, "merge", "-q", "--no-ff", "change", "-m", "merge")

    def machine(self, name: str, needs: Mapping[str, Any]) -> Runner:
        environment = {
            "GITHUB_API_URL": self.served.url, "GITHUB_REPOSITORY": "o/r", "GITHUB_RUN_ID": "5",
            "GITHUB_EVENT_PATH": str(self.root / "event.json"), "GITHUB_EVENT_NAME": "pull_request_target",
            "GITHUB_SERVER_URL": "https://github.example",
        }  # fmt: skip
        actions = keeps(self.store) | {
            "actions/checkout": self._check_out, "./": ROOT / "action.yml", "<OWNER>/tunegate": ROOT / "action.yml",
        }  # fmt: skip
        return Runner(self.root / name, self.github, environment, actions, self.programs, needs)

    def _check_out(self, runner: Runner, inputs: Mapping[str, str]) -> None:
        assert inputs["persist-credentials"] == "false"
        if inputs["ref"] != "refs/pull/7/merge":  # this project's own scripts, as its base branch has them
            shutil.copytree(ROOT / ".github", runner.workspace / ".github")
            return
        assert inputs["allow-unsafe-pr-checkout"] == "true"
        git("clone", "-q", str(self.merge), str(runner.workspace / inputs.get("path", ".")))


@pytest.fixture
def hub(base: Path, tmp_path: Path) -> Iterator[Hub]:
    with github() as served:
        yield Hub(base, tmp_path, served)


def installed(workflow: dict[Any, Any]) -> dict[Any, Any]:
    """The workflow with the placeholder filled in, if it has one."""
    if "env" in workflow:
        workflow["env"]["TUNEGATE"] = HELD
    return workflow


@pytest.mark.parametrize(
    ("name", "change"),
    [
        *(("the example's", change) for change in CHANGES),
        *((name, "its own checks edited") for name in WORKFLOWS if name != "the example's"),
    ],
)
def test_nothing_of_a_change_runs_and_nothing_of_it_sees_the_token(hub, canary, tmp_path, name, change):
    workflow = installed(WORKFLOWS[name](tmp_path / "scaffold"))
    hub.change(*(lambda root, how=how: how(root, canary) for how in CHANGES[change]))

    gate = hub.machine("gate", {})
    result = gate.job(workflow, "gate")
    needs = {"gate": {"result": result, "outputs": gate.outputs}}
    comment = hub.machine("comment", needs)
    said = comment.job(workflow, "comment")

    assert not canary.exists(), canary.read_text()
    assert "STRUCK" not in gate.said + comment.said
    assert result == "failure", gate.said
    assert [each.name for each in gate.ran if each.env.get("GITHUB_TOKEN")] == []
    assert TOKEN not in gate.said + comment.said
    assert list(files_with(TOKEN, tmp_path)) == []
    is_gated = any("gate" in each.name.lower() for each in gate.ran)  # or `lint` refused the project before
    assert said == ("success" if is_gated else ""), comment.said
    assert [each.name for each in gate.ran if TOKEN in str(each.env)] == READ_APPROVALS.get(name, [])
    assert len([each for each in comment.ran if TOKEN in str(each.env)]) == is_gated
    if not is_gated:
        assert hub.served.comments == []
        return
    [posted] = hub.served.comments
    assert posted["body"].splitlines()[1].startswith(("### \u274c", "### \u26a0")), posted["body"]
    assert hub.served.tokens == {f"Bearer {TOKEN}"}


def files_with(text: str, root: Path) -> Iterator[str]:
    for path in root.rglob("*"):
        if path.is_file() and not path.is_symlink() and text.encode() in path.read_bytes():
            yield path.relative_to(root).as_posix()


def test_the_canary_sees_what_runs(canary, tmp_path):
    by = "evil.py"
    put(tmp_path / by, strike(canary, by))
    done = subprocess.run([sys.executable, tmp_path / by], env={"A": "b"}, capture_output=True, text=True, check=True)

    assert f"STRUCK {by}" in done.stderr
    assert json.loads(canary.read_text())["A"] == "b"


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_change_that_is_fine_passes_and_a_forgery_of_that_is_not_believed(hub, tmp_path, name):
    """What may have been written by the change is not shown where the job says otherwise."""
    workflow = installed(WORKFLOWS[name](tmp_path / "scaffold"))
    hub.change(lambda root: put(root / "NOTES.md", "a note\n"))

    comment = hub.machine("comment first", {"gate": {"result": "failure", "outputs": {"gated": "true"}}})
    assert comment.job(workflow, "comment") == "success", comment.said
    assert "ended with failure, and its files cannot be read" in hub.served.comments[0]["body"]

    gate = hub.machine("gate", {})
    result = gate.job(workflow, "gate")
    assert result == "success", gate.said

    for result, sign in (("success", "\u2705"), ("failure", "\u26a0\ufe0f")):
        comment = hub.machine(f"comment after {result}", {"gate": {"result": result, "outputs": gate.outputs}})
        assert comment.job(workflow, "comment") == "success", comment.said
        [posted] = hub.served.comments
        assert posted["body"].splitlines()[1].startswith(f"### {sign} ")
    said = "The gate's job ended with failure, but its decision says passed."
    assert posted["body"].splitlines()[1] == f"### \u26a0\ufe0f {said} Next: the job decides: read its log."
    assert "desk/triage" not in posted["body"]

    take_back(hub)
    assert hub.machine("gate again", {}).job(workflow, "gate") == "failure"


def take_back(hub: Hub) -> None:
    """Let a program of the change's own run in the gate's step: it knows where outputs and environment are written."""
    taken = """
case "$*" in
*gate\\ --*) echo code=0 >> "$GITHUB_OUTPUT"; echo CODE=0 >> "$GITHUB_ENV"; echo "$PWD" >> "$GITHUB_PATH"; exit 1 ;;
esac
"""
    for program in ("python", "tunegate"):
        real = f'exec "{sys.executable}" "$@"' if program == "python" else f'exec "{sys.executable}" -m tunegate "$@"'
        kept = (hub.programs / "python").read_text().partition("\nexec ")[0] if program == "python" else "#!/bin/sh"
        put(hub.programs / program, f"{kept}\n{taken}\n{real}\n")
        (hub.programs / program).chmod(0o755)


@pytest.mark.parametrize("name", ["the example's", "the one that init writes"])
def test_where_nobody_filled_in_what_to_install_the_job_stops_with_a_plain_message(hub, tmp_path, name):
    workflow = WORKFLOWS[name](tmp_path / "scaffold")
    hub.change(lambda root: put(root / "NOTES.md", "a note\n"))

    gate = hub.machine("gate", {})

    assert PLACEHOLDER in workflow["env"]["TUNEGATE"]
    assert gate.job(workflow, "gate") == "failure"
    assert [each.name for each in gate.ran] == ["Install"]
    assert gate.said.startswith("::error::TUNEGATE in .github/workflows/tunegate.yml: expected a commit of 40 digits")
    assert not (hub.programs / "installed").exists()
    assert (
        hub.machine("comment", {"gate": {"result": "failure", "outputs": gate.outputs}}).job(workflow, "comment") == ""
    )
