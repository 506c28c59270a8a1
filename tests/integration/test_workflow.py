"""The scripts of this project's workflow: what a reviewer permits, and which adapters are judged."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.paths import ROOT

SCRIPTS = ROOT / ".github"
REVIEW = {
    "state": "APPROVED", "commit_id": "head", "user": {"login": "owner"}, "author_association": "MEMBER",
    "body": "Fine by me: permit 7816ee245021",
}  # fmt: skip


def program(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.write_text(f"#!/usr/bin/env bash\n{text}\n")
    path.chmod(0o755)


def permitted(folder: Path, *reviews: dict[str, Any]) -> str:
    """What the script makes of these reviews, which a stand-in of `gh api PATH --paginate --jq FILTER` serves."""
    (folder / "reviews.json").write_text(json.dumps(reviews))
    program(
        folder, "gh", 'test "$1 $2 $3" = "api repos/o/r/pulls/7/reviews --paginate" && exec jq -r "$5" reviews.json'
    )
    environment = {"PATH": f"{folder}:{os.environ['PATH']}", "REVIEWS": "repos/o/r/pulls/7/reviews", "HEAD": "head",
                   "AUTHOR": "author"}  # fmt: skip
    done = subprocess.run(
        ["bash", SCRIPTS / "permitted.sh"], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(not shutil.which("jq"), reason="jq, which gh brings along, is not installed")
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, "PERMIT=7816ee245021\n"),
        ({"state": "COMMENTED"}, ""),
        ({"state": "DISMISSED"}, ""),
        ({"commit_id": "the one before"}, ""),
        ({"user": {"login": "author"}}, ""),
        ({"author_association": "CONTRIBUTOR"}, ""),
        ({"author_association": "NONE"}, ""),
        ({"body": None}, ""),
        ({"body": "I do not permit this"}, ""),
        ({"body": "permit 7816ee24502"}, ""),
        ({"body": "permit 7816ee245021; echo EVIL=1"}, "PERMIT=7816ee245021\n"),
        ({"body": "permit 7816ee245021\nEVIL=1"}, "PERMIT=7816ee245021\n"),
    ],
)
def test_who_permits(tmp_path, change, said):
    assert permitted(tmp_path, REVIEW | change) == said


@pytest.mark.skipif(not shutil.which("jq"), reason="jq, which gh brings along, is not installed")
def test_the_last_permission_counts(tmp_path):
    assert permitted(tmp_path) == ""
    assert permitted(tmp_path, REVIEW, REVIEW | {"body": "permit 000000000000"}) == "PERMIT=000000000000\n"


def judged(folder: Path, **environment: str) -> tuple[int, list[str]]:
    """The exit code, and the command lines that a stand-in of Python was given; it ends with what `code` says."""
    program(folder, "python", 'echo "$@" >> calls; exit "$(cat code)"')
    (folder / "code").touch(exist_ok=True)
    done = subprocess.run(
        ["bash", SCRIPTS / "gate.sh", folder / "python"], cwd=folder, env={**os.environ, "BASE": "b", **environment},
        check=False,
    )  # fmt: skip
    return done.returncode, (folder / "calls").read_text().splitlines()


def test_each_adapter_is_judged_also_after_one_that_blocks(tmp_path):
    (tmp_path / "code").write_text("1")
    for name in ("a b", "second"):
        (tmp_path / "adapters" / name).mkdir(parents=True)
        (tmp_path / "adapters" / name / "adapter_model.safetensors").touch()
    (tmp_path / "adapters" / "third.ref").touch()
    (tmp_path / "adapters" / "README.md").touch()
    code, calls = judged(tmp_path)
    gate = "-I -m tunegate gate --policy-from=b --out=records/"
    assert calls == [
        f"{gate}third.json --adapter=adapters/third.ref",
        f"{gate}a b.json --adapter=adapters/a b",
        f"{gate}second.json --adapter=adapters/second",
    ]
    assert code == 1


def test_without_an_adapter_the_model_is_judged(tmp_path):
    (tmp_path / "code").write_text("0")
    code, calls = judged(tmp_path, PERMIT="7816ee245021")
    assert calls == ["-I -m tunegate gate --policy-from=b --permit=7816ee245021 --out=records/model.json"]
    assert code == 0


def test_what_runs_with_the_base_branchs_rights_runs_nothing_of_the_change():
    """`pull_request_target` has the base branch's rights: each script and program is that branch's."""
    workflow = yaml.safe_load((SCRIPTS / "workflows" / "gate.yml").read_text())
    assert "pull_request_target" in workflow[True]  # YAML reads the key `on` so
    assert set(workflow["permissions"].values()) == {"read"}
    for step in workflow["jobs"]["gate"]["steps"]:
        for line in step.get("run", "").splitlines():
            assert line.startswith(("echo ", "git worktree ", "make -C ../base ", "bash ../base/", "../base/"))
