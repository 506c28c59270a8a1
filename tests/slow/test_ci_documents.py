"""docs/ci.md: what stands there for GitLab and for a plain shell does what the action does."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from tests.slow.test_action import BIN, base, git, write_answers  # noqa: F401  (a fixture)
from tests.support.paths import ROOT
from tunegate.harness.begin.scaffold.origin import PLACEHOLDER

GUIDE = (ROOT / "docs/ci.md").read_text("utf-8")
MODEL = "--model=replay:mine=outputs/new.jsonl"


@pytest.fixture
def checkout(base, tmp_path):  # noqa: F811
    """A clone of the main branch, with answers to be judged of which so many are right."""

    def make(good: int) -> Path:
        git(tmp_path, "clone", "-q", str(base), "clone")
        (tmp_path / "clone/outputs").mkdir()
        write_answers(tmp_path / "clone/outputs", good)
        return tmp_path / "clone"

    return make


def sh(root: Path, lines: Sequence[str], **environment: str) -> int:
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", "-e"], input="\n".join(lines), text=True, cwd=root, check=False, capture_output=True,
        env={**os.environ, "PATH": path, **environment},
    )  # fmt: skip
    return done.returncode


def test_the_plain_shell_ends_as_the_gate_does_and_leaves_the_page(checkout):
    root = checkout(20)
    install, *lines = re.findall(r"^    (.*)$", GUIDE.partition("## A plain shell\n")[2], flags=re.MULTILINE)
    script = "\n".join(lines)

    assert install.startswith(f"pip install 'tunegate @ {PLACEHOLDER}'")
    assert sh(root, [script.replace("tunegate gate", f"tunegate gate {MODEL}")]) == 1
    assert "<h1>" in (root / "out/report.html").read_text()


@pytest.mark.parametrize(("good", "code"), [(40, 0), (20, 1)])
def test_gitlabs_job_ends_as_the_gate_does_and_leaves_its_artefacts(checkout, good, code):
    root = checkout(good)
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, check=True, capture_output=True, text=True).stdout
    [text] = re.findall(r"## GitLab\n\n```yaml\n(.*?)```", GUIDE, re.DOTALL)
    job = yaml.safe_load(text)["tunegate"]
    install, *script = job["script"]

    assert install == 'python -I -m pip install "$TUNEGATE"'
    assert job["variables"] == {"TUNEGATE": f"tunegate @ {PLACEHOLDER}"}
    assert sh(root, script, CI_MERGE_REQUEST_DIFF_BASE_SHA=head.strip()) == code
    assert sh(root, job["after_script"]) == 0
    kept = {path.name for path in (root / job["artifacts"]["paths"][0]).iterdir()}
    assert kept == {"record.json", "record.cases.jsonl", "decision.json", "report.html", "report.md", "gate.xml"}
    assert (root / "out/report.md").read_text().startswith("### ❌ Blocked" if code else "### ✅")
