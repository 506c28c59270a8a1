"""The whole loop on the embedded model, for real: one small adapter is trained once and shared by every test here."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.support.forked import run_program
from tests.support.kept import Kept
from tests.support.paths import ROOT

CASES, ROWS = 16, 40
GENERATE = {"generate": {"max_new_tokens": 40}}  # a right answer has 32

pytestmark = pytest.mark.real

RECIPE = """
version: 1
task: support
rows: [rows.jsonl]
lora: {r: 16, alpha: 32}
optim: {lr: 2e-3, epochs: 1, batch: 4, max_length: 400}
seed: 1
output: adapter
diagnosis: {override: "Constrained decoding would do here; what is tried is the loop."}
"""
POLICY = """
version: 1
units:
  triage: {role: target, margin: 0.4, reason: sixteen cases can hold no less}
"""


@dataclass(frozen=True)
class Place:
    """A folder with a small task cut from the demo, and what a run in it printed."""

    path: Path

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return run_program(*command, folder=self.path)

    def evaluate(self, *options: str) -> subprocess.CompletedProcess[str]:
        return self.run("pytest", "suites/", *options)

    def train(self, *options: str) -> subprocess.CompletedProcess[str]:
        return self.run("tunegate", "train", "recipe.yaml", *options)


def fill(path: Path) -> Place:
    """A task of the shortest triage messages, asked for the shape of the answer alone, and rows that teach it."""
    data = yaml.safe_load((ROOT / "fixtures/support/triage.yaml").read_text("utf-8"))
    shortest = sorted(data["cases"], key=lambda case: len(case["input"]))[:CASES]
    cases = [{key: case[key] for key in ("id", "input")} for case in shortest]
    task = path / "fixtures" / "support"
    shutil.copytree(ROOT / "suites", path / "suites", ignore=shutil.ignore_patterns("__pycache__"))
    (task / "refs").mkdir(parents=True)
    shutil.copy(ROOT / "fixtures/support/refs/triage.schema.json", task / "refs")
    (task / "triage.yaml").write_text(json.dumps({**data, "cases": cases, "shots": data["shots"][:1], **GENERATE}))
    (task / "task.yaml").write_text(POLICY)
    rows = (ROOT / "trainers/recipes/rows/triage.jsonl").read_text("utf-8").splitlines()[:ROWS]
    (path / "rows.jsonl").write_text("\n".join(rows) + "\n", "utf-8")
    (path / "recipe.yaml").write_text(RECIPE)
    (path / "pyproject.toml").write_text("[tool.pytest.ini_options]\n")
    return Place(path)


@pytest.fixture(scope="session")
def place(once: Kept) -> Place:
    """The small task with its baseline recorded, the adapter trained, and the adapter judged; to be copied."""
    return Place(once("real", make_place))


def make_place(folder: Path) -> None:
    """Record, diagnose, train, and judge the adapter into `gate.json`."""
    place = fill(folder)
    for done in (
        place.evaluate("--tg-record"),
        place.run("tunegate", "diagnose", "--sample=10"),
        place.train(),
        place.evaluate("--tg-adapter=adapter", "--tg-against=baseline", "--tg-out=gate.json"),
    ):
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def copied(place: Place, tmp_path: Path) -> Place:
    """A copy of the place that a test may spoil."""
    shutil.copytree(place.path, tmp_path / "copy")
    return Place(tmp_path / "copy")


def edit_weights(adapter: Path, change: Callable[[str, object], object]) -> None:
    from safetensors.torch import load_file, save_file

    file = adapter / "adapter_model.safetensors"
    save_file({name: change(name, weight) for name, weight in load_file(file).items()}, file)


def test_the_score_moves_and_the_gate_says_so(place: Place) -> None:
    record = json.loads((place.path / "gate.json").read_text())
    verdict = record["verdicts"]["support/triage"]
    assert verdict["verdict"] == "improved"
    assert verdict["base"] < 0.3
    assert verdict["mean"] > verdict["base"] + 0.5
    assert record["tasks"]["support"]["decision"] == "release"
    assert record["partial"] is False


def test_release_and_verify(copied: Place) -> None:
    done = copied.run("tunegate", "release", "adapter", "--run=gate.json")
    assert done.returncode == 0, done.stderr
    assert copied.run("tunegate", "verify", "adapter").returncode == 0
    card = (copied.path / "adapter/README.md").read_text()
    assert "improved" in card
    assert list(copied.path.glob("baselines/*/support/triage.released.json"))
    (copied.path / "adapter/training.json").write_text("{}")
    spoilt = copied.run("tunegate", "verify", "adapter")
    assert spoilt.returncode == 4
    assert "training.json" in spoilt.stderr


def test_an_adapter_without_effect_is_caught(copied: Place) -> None:
    edit_weights(copied.path / "adapter", lambda name, weight: weight * ("lora_A" in name))
    done = copied.evaluate("--tg-adapter=adapter", "--tg-against=baseline", "--tg-out=none.json")
    assert done.returncode == 4
    assert "not acting" in done.stderr
    assert not (copied.path / "none.json").exists()


def test_release_refuses_another_adapters_record(copied: Place) -> None:
    edit_weights(copied.path / "adapter", lambda name, weight: weight * 1.01)
    refused = copied.run("tunegate", "release", "adapter", "--run=gate.json")
    assert refused.returncode == 4
    assert not (copied.path / "adapter/release.json").exists()
