"""The scripts of this project's workflow: what a reviewer permits, and which adapters are judged."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.paths import ROOT
from tunegate.harness.begin.scaffold.task import render
from tunegate.harness.reporting.decision import read_inputs

SCRIPTS = ROOT / ".github"
BIN = str(Path(sys.executable).parent)  # where pip puts what it installs
REVIEW = {
    "state": "APPROVED", "commit_id": "head", "user": {"login": "owner"},
    "body": "Fine by me:\r\napprove 7816ee245021\r\n",
}  # fmt: skip

GH = """
case "$*" in
  "api repos/o/r/pulls/7/reviews --paginate --jq "*) exec jq -r "$5" reviews.json ;;
  "api repos/o/r/collaborators/owner/permission --jq .permission") echo admin ;;
  "api repos/o/r/collaborators/maintainer/permission --jq .permission") echo write ;;
  "api repos/o/r/collaborators/reader/permission --jq .permission") echo read ;;
  *) exit 1 ;;
esac
"""


def program(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.write_text(f"#!/usr/bin/env bash\n{text}\n")
    path.chmod(0o755)


def approved(folder: Path, *reviews: dict[str, Any]) -> str:
    """What the script makes of these reviews, which a stand-in of `gh api PATH [--paginate] --jq FILTER` serves."""
    (folder / "reviews.json").write_text(json.dumps(reviews))
    program(folder, "gh", GH)
    environment = {"PATH": f"{folder}:{os.environ['PATH']}", "REVIEWS": "repos/o/r/pulls/7/reviews", "HEAD": "head",
                   "AUTHOR": "author"}  # fmt: skip
    done = subprocess.run(
        ["bash", SCRIPTS / "approved.sh"], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(not shutil.which("jq"), reason="jq, which gh brings along, is not installed")
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, "APPROVE=7816ee245021\n"),
        ({"state": "COMMENTED"}, ""),
        ({"state": "DISMISSED"}, ""),
        ({"commit_id": "the one before"}, ""),
        ({"user": {"login": "author"}}, ""),
        ({"user": {"login": "maintainer"}}, "APPROVE=7816ee245021\n"),
        ({"user": {"login": "reader"}}, ""),
        ({"user": {"login": "stranger"}}, ""),
        ({"user": None}, ""),
        ({"body": None}, ""),
        ({"body": "I do not approve this"}, ""),
        ({"body": "approve 7816ee24502"}, ""),
        ({"body": "I do **not** approve 7816ee245021"}, ""),
        ({"body": "> approve 7816ee245021"}, ""),
        ({"body": "approve 7816ee245021, once the margin is back"}, ""),
        ({"body": "approve 7816ee245021; echo EVIL=1"}, ""),
        ({"body": "approve 7816ee245021\nEVIL=1"}, "APPROVE=7816ee245021\n"),
    ],
)
def test_who_permits(tmp_path, change, said):
    assert approved(tmp_path, REVIEW | change) == said


@pytest.mark.skipif(not shutil.which("jq"), reason="jq, which gh brings along, is not installed")
def test_the_last_permission_counts(tmp_path):
    assert approved(tmp_path) == ""
    assert approved(tmp_path, REVIEW, REVIEW | {"body": "approve 000000000000"}) == "APPROVE=000000000000\n"
    again = REVIEW | {"body": "approve 000000000000"}
    assert approved(tmp_path, REVIEW, again | {"user": {"login": "reader"}}) == "APPROVE=7816ee245021\n"


@pytest.mark.skipif(not shutil.which("jq"), reason="jq, which gh brings along, is not installed")
@pytest.mark.parametrize(
    ("later", "said"),
    [
        ({"state": "CHANGES_REQUESTED", "body": "I was wrong."}, ""),
        ({"state": "CHANGES_REQUESTED", "commit_id": "the one after"}, ""),
        ({"state": "COMMENTED", "body": "Thanks!"}, "APPROVE=7816ee245021\n"),
        ({"state": "CHANGES_REQUESTED", "user": {"login": "maintainer"}}, "APPROVE=7816ee245021\n"),
    ],
)
def test_who_requests_changes_afterwards_permits_nothing(tmp_path, later, said):
    assert approved(tmp_path, REVIEW, REVIEW | later) == said


def judged(folder: Path, **environment: str) -> tuple[int, list[str]]:
    """The exit code, and the command lines that a stand-in of Python was given; it ends with what `code` says."""
    program(folder, "python", 'echo "$@" >> calls; exit "$(cat code)"')
    (folder / "code").touch(exist_ok=True)
    done = subprocess.run(
        ["bash", SCRIPTS / "gate.sh", folder / "python"], cwd=folder,
        env={**os.environ, "BASE": "b", "OUT": "out", **environment}, check=False,
    )  # fmt: skip
    return done.returncode, (folder / "calls").read_text().splitlines()


def call(name: str, options: str = "", more: str = "") -> str:
    return f"-I -m tunegate gate{options} --out=out/{name}.json --decision=out/{name}.decision.json{more}"


def test_each_adapter_is_judged_also_after_one_that_blocks(tmp_path):
    (tmp_path / "code").write_text("1")
    for name in ("a b", "second"):
        (tmp_path / "adapters" / name).mkdir(parents=True)
        (tmp_path / "adapters" / name / "adapter_model.safetensors").touch()
    (tmp_path / "adapters" / "third.ref").touch()
    (tmp_path / "adapters" / "README.md").touch()
    code, calls = judged(tmp_path)
    assert calls == [
        call("third", " --policy-from=b", " --adapter=adapters/third.ref"),
        call("a b", " --policy-from=b", " --adapter=adapters/a b"),
        call("second", " --policy-from=b", " --adapter=adapters/second"),
    ]
    assert code == 1


def test_a_whole_model_among_them_is_judged_like_an_adapter(tmp_path):
    write_adapters(tmp_path / "adapters", "whole/config.json", "lora/config.json", "lora/adapter_model.safetensors")
    assert judged(tmp_path)[1] == [
        call(name, " --policy-from=b", f" --adapter=adapters/{name}") for name in ("lora", "whole")
    ]


def test_without_an_adapter_the_model_is_judged(tmp_path):
    (tmp_path / "code").write_text("0")
    code, calls = judged(tmp_path, APPROVE="7816ee245021")
    assert calls == [call("model", " --policy-from=b --approve=7816ee245021")]
    assert code == 0


def test_the_adapters_or_the_model_that_are_named_are_judged_alone(tmp_path):
    (tmp_path / "adapters").mkdir()
    (tmp_path / "adapters" / "other.ref").touch()
    _, calls = judged(tmp_path, ADAPTERS="one.ref\n\n  \nmine/two\n", BASE="")
    assert calls == [call("one", "", " --adapter=one.ref"), call("two", "", " --adapter=mine/two")]
    _, calls = judged(tmp_path, MODEL="replay:mine=new.jsonl")
    assert calls[2:] == [call("model", " --policy-from=b --model=replay:mine=new.jsonl")]


def write_adapters(folder: Path, *files: str) -> None:
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).touch()


def refused(folder: Path, **environment: str) -> str:
    """Why nothing was judged, as the one decision says that was left behind."""
    (folder / "out").mkdir(exist_ok=True)
    (folder / "out" / "earlier.decision.json").write_text("{}")
    (folder / "calls").touch()
    assert judged(folder, **environment) == (4, [])
    [decision] = (folder / "out").iterdir()
    found = read_inputs([decision]).report()
    assert found.outcome == "refused"
    return found.rules.refused


@pytest.mark.parametrize(("files", "why"), [
    (("x.ref", "x/adapter_model.safetensors"),
     "expected adapters of different names, found adapters/x and adapters/x.ref"),
    (("x.ref", "x.decision.ref"),
     "expected an adapter whose name does not end in .decision, found adapters/x.decision.ref"),
])  # fmt: skip
def test_adapters_that_would_share_their_files_are_not_judged(tmp_path, files, why):
    write_adapters(tmp_path / "adapters", *files)
    assert refused(tmp_path) == why


def test_adapters_named_alike_elsewhere_are_not_judged(tmp_path):
    why = "expected adapters of different names, found mine/x/ and adapters/x"
    assert refused(tmp_path, ADAPTERS="adapters/x\nmine/x/") == why


@pytest.mark.parametrize("file", [
    "team/bad/adapter_model.safetensors", "adapter_model.safetensors", "team/bad.ref", ".bad/adapter_model.safetensors",
    "bad/adapter_model.bin", "a.ref\nadapters/b.ref", "team/bad/config.json", "config.json",
])  # fmt: skip
def test_an_adapter_that_would_be_left_out_is_told(tmp_path, file):
    write_adapters(tmp_path / "adapters", "a.ref", "b.ref", file)
    assert refused(tmp_path) == (
        "expected every adapter at adapters/NAME.ref or adapters/NAME/adapter_model.safetensors, every whole model at "
        f"adapters/NAME/config.json, or named by `adapters`, found adapters/{file.replace(chr(10), '?')}"
    )


def test_where_the_gate_does_not_start_a_decision_that_refuses_stands(tmp_path):
    write_adapters(tmp_path / "adapters", 'a "b\\".ref')
    (tmp_path / "code").write_text("1")
    assert judged(tmp_path)[0] == 1
    [decision] = (tmp_path / "out").iterdir()
    found = read_inputs([decision]).report()
    assert (found.outcome, found.rules.refused) == ("refused", "a 'b/': the gate did not start: see the log of the job")


@pytest.mark.parametrize(("environment", "installed"), [
    ({}, [f"-m pip install --quiet {ROOT}"]),
    ({"EXTRA": "models", "CONSTRAINTS": "a b.txt"}, [
        f"-m pip install --quiet --constraint a b.txt {ROOT}[models]",
        "-m pip install --quiet --no-deps --require-hashes -r /dev/stdin",
    ]),
])  # fmt: skip
def test_this_very_version_is_installed(tmp_path, environment, installed):
    venv = 'mkdir -p "$3/bin"; printf \'#!/bin/sh\\necho "$@" >> calls\\n\' > "$3/bin/python"; chmod +x "$3/bin/python"'
    program(tmp_path, "python3", venv)
    subprocess.run(
        ["bash", SCRIPTS / "install.sh", tmp_path / "venv"], cwd=tmp_path, check=True,
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}", **environment},
    )  # fmt: skip
    assert (tmp_path / "calls").read_text().splitlines() == installed


def workflow(path: Path = SCRIPTS / "workflows" / "gate.yml") -> dict[Any, Any]:
    return dict(yaml.safe_load(path.read_text("utf-8")))


def test_what_runs_with_the_base_branchs_rights_runs_nothing_of_the_change():
    """`pull_request_target` has the base branch's rights: each script and program is that branch's."""
    here = workflow()
    assert "pull_request_target" in here[True]  # YAML reads the key `on` so
    assert set(here["permissions"].values()) == {"read"}
    gate, comment = here["jobs"]["gate"]["steps"], here["jobs"]["comment"]["steps"]
    for step in (*gate, *comment):
        assert step.get("run", "bash .github/").startswith("bash .github/")
        assert re.fullmatch(r"\./|actions/[a-z-]+@[0-9a-f]{40}", step.get("uses", "./"))
    # the change lies below the workspace, so that `./` is the base branch's action
    [base, change] = [step["with"] for step in gate if step.get("uses", "").startswith("actions/checkout@")]
    assert (base.get("path"), change["path"]) == (None, "change")
    assert not base["persist-credentials"]
    assert not change["persist-credentials"]
    assert change["allow-unsafe-pr-checkout"]  # or checkout v7 refuses every fork


def test_what_may_write_is_not_near_what_the_change_brings():
    """A check of the change's own runs as the same user as the job that evaluates it."""
    here = workflow()
    gate, comment = here["jobs"]["gate"], here["jobs"]["comment"]
    assert "permissions" not in gate
    assert comment["permissions"] == {"contents": "read", "pull-requests": "write"}
    assert comment["steps"][-1]["with"] == {"mode": "comment", "result": "${{ needs.gate.result }}"}
    assert not any("merge" in str(step.get("with", "")) for step in comment["steps"])


ACTION = workflow(ROOT / "action.yml")["runs"]["steps"]


def test_the_actions_one_step_with_a_token_is_the_comment():
    holders = [step for step in ACTION if "token" in str({**step, "uses": ""}).lower()]

    assert [step["name"] for step in holders] == ["Comment"]
    assert holders[0]["if"] == "inputs.mode == 'comment'"


def test_kept_outputs_come_from_the_base_branch_alone():
    """A pull request neither writes what others read, nor reads what it may have written itself."""
    caches = {step["uses"].partition("@")[0]: step["if"] for step in ACTION if "cache" in step.get("uses", "")}

    assert caches == {
        "actions/cache/restore": "inputs.mode != 'comment' && github.event_name != 'pull_request'",
        "actions/cache/save": "always() && inputs.mode != 'comment' && github.event_name == 'push'",
    }


def shown_workflows(folder: Path) -> list[Path]:
    """The workflows in the guides, with what a user fills in, as files that zizmor reads."""
    files = []
    for guide in sorted((ROOT / "docs").glob("*.md")):
        for number, text in enumerate(re.findall(r"^```yaml\n(.*?)^```$", guide.read_text("utf-8"), re.M | re.S)):
            if "\njobs:\n" in text:
                files.append(folder / f"{guide.stem}-{number}.yml")
                # the guide says why this trigger
                text = re.sub(
                    r"^(on: pull_request_target).*$", r"\1 # zizmor: ignore[dangerous-triggers]", text, flags=re.M
                )
                files[-1].write_text(text.replace("<OWNER>", "owner").replace("<COMMIT>", "a" * 40))
    return files


def scaffolds(folder: Path) -> list[Path]:
    """What `init` writes: the workflows for outputs, for a local model and for a hosted one."""
    held = f"tunegate @ git+https://example.com/t@{'a' * 40}"
    values = {"folder": "", "fixtures": "fixtures", "baselines": "baselines", "requirement": held, "package": "pip a",
              "paths": '"fixtures/**"', "included": "'baselines/*'"}  # fmt: skip
    models = {"outputs": "", "local": '"smollm2"', "hosted": '"openai:https://api.example.com/v1#m"'}
    files = []
    for (name, model), file in product(models.items(), ("workflow", "record")):
        hosted = name == "hosted"
        text = render(f"{file}.yml.j2", **values, model=model, hosted=hosted, host='"api.example.com"')
        files.append(folder / f"init-{name}-{file}.yml")
        files[-1].write_text(text)
    return files


def workflows(folder: Path) -> list[Path]:
    """Every workflow: this repository's, the example's, those that `init` writes and those of the guides."""
    shown = shown_workflows(folder)
    assert [path.name for path in shown] == ["ci-0.yml"]
    written = [ROOT / "examples/returns/.github/workflows/tunegate.yml", *scaffolds(folder)]
    return [*sorted((SCRIPTS / "workflows").glob("*.yml")), *written, *shown]


@pytest.mark.skipif(shutil.which("zizmor", path=BIN) is None and not os.environ.get("CI"), reason="not installed")
def test_zizmor_finds_nothing_in_the_workflows_and_the_action(tmp_path):
    zizmor = [shutil.which("zizmor", path=BIN), "--offline", "--no-config", ROOT / "action.yml"]
    done = subprocess.run([*zizmor, *workflows(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


# its package fetches the program from GitHub: no part of the lock
@pytest.mark.skipif(not shutil.which("actionlint") and not os.environ.get("GITHUB_ACTIONS"), reason="not installed")
def test_actionlint_finds_nothing_in_the_workflows(tmp_path):
    # the scripts in them are shellcheck's in test_action.py
    actionlint = ["actionlint", "-shellcheck=", "-pyflakes=", *workflows(tmp_path)]
    done = subprocess.run(actionlint, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
