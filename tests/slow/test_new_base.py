"""Two base models end to end, on the embedded one: tests/integration/release/test_new_base.py does it on a tiny one."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from tests.e2e.test_real_model import RECIPE, Place, copied, place  # noqa: F401  (fixtures)
from tests.support.paths import ROOT
from tunegate.harness.authoring.yaml_reader import read_yaml

pytestmark = pytest.mark.real


def test_a_new_base_is_held_to_what_is_served_and_a_withdrawal_brings_it_back(copied: Place) -> None:  # noqa: F811
    def ok(*command: str, code: int = 0) -> str:
        done = copied.run(*command)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    ok("tunegate", "release", "adapter", "--run=gate.json")
    [served] = copied.path.glob("baselines/*/support/triage.released.json")
    outputs = served.read_bytes()
    perturb(Path(os.environ["TUNEGATE_CACHE"]) / "models", copied.path / "next")
    seal(copied.path / "fixtures/support")  # the open cases were asked of the first adapter, and prove no gain any more
    gate = ("pytest", "suites/", "--tg-model=next", "--tg-adapter=second", "--tg-against=baseline", "--tg-sealed")
    ok("pytest", "suites/", "--tg-record", "--tg-model=next")
    ok("tunegate", "diagnose", "--sample=10", "--model=next")
    (copied.path / "recipe.yaml").write_text(f"{RECIPE.replace('output: adapter', 'output: second')}model: next\n")
    ok("tunegate", "train", "recipe.yaml")
    told = ok(*gate, "--tg-out=second.json")
    assert "the last release, adapter " in told
    assert "has another base than the candidate, on next-" in told
    judged = json.loads((copied.path / "second.json").read_text())["verdicts"]["support/triage"]
    assert "Against the last release: " in judged["reason"]
    ok("tunegate", "release", "second", "--run=second.json", "--model=next")
    assert "the last release is adapter" in ok("tunegate", "release", "--withdraw", "second", "--reason=Too slow.")
    assert served.read_bytes() == outputs
    ok(*gate)  # held to the first adapter again
    refused = ok("tunegate", "release", "second", "--run=second.json", "--model=next", code=4)
    assert "Too slow.; it is not released again" in refused
    kinds = [each["kind"] for each in json.loads(copied.run("tunegate", "ledger", "--json").stdout)]
    assert kinds == ["recorded", "run", "released", "recorded", "opened", "run", "released", "withdrawn"]


def seal(task: Path) -> None:
    """A sealed unit of other messages that proves what triage shows."""
    data = json.loads((task / "triage.yaml").read_text())
    known = {case["id"] for case in data["cases"]}
    others = [
        case for case in read_yaml(ROOT / "fixtures/support/triage.yaml").data["cases"] if case["id"] not in known
    ]
    cases = [{key: case[key] for key in ("id", "input")} for case in others[:20]]
    (task / "final.yaml").write_text(json.dumps({**data, "unit": "final", "sealed": True, "cases": cases}))
    policy = "  final: {role: target, margin: 0.2, seals: triage, reason: looked at once}\n"
    (task / "task.yaml").write_text((task / "task.yaml").read_text() + policy)


def perturb(models: Path, to: Path) -> None:
    """A copy of the embedded model with slightly other weights: a new version of the base."""
    from safetensors.torch import load_file, save_file

    [converted] = {path.parent for path in models.rglob("model.safetensors")}
    shutil.copytree(converted, to)
    weights = load_file(to / "model.safetensors")
    name = next(name for name in sorted(weights) if "down_proj" in name)
    save_file(weights | {name: weights[name] * 1.01}, to / "model.safetensors", {"format": "pt"})
