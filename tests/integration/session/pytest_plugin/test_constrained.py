"""Constrained decoding from pytest: judged on its own baseline, or refused before anything is asked."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.support.project import Project

RUNG = "--tg-rung=constrained"


@pytest.fixture
def desk(project: Project, tiny_model: Path) -> Project:
    project.unit([f"case{at}" for at in range(12)], generate={"max_new_tokens": 40})
    project.policy(triage={"role": "guard", "margin": 0.5})
    settings = f'[tool.tunegate]\nmodel = "{tiny_model}"\n'
    (project.path / "pyproject.toml").write_text((project.path / "pyproject.toml").read_text() + settings)
    return project


def test_it_is_recorded_and_gated_on_its_own_rung(desk):
    assert desk.run("--tg-record", RUNG).ret == 0
    assert desk.run("--tg-against=baseline", RUNG, "--tg-out=record.json").ret == 0

    [baseline] = desk.path.glob("baselines/*/desk/triage.json")
    kept = json.loads(baseline.read_text())
    assert kept["subject"]["rung"] == "constrained"
    assert kept["engine"]["constraint"].startswith("llguidance ")
    assert desk.record()["units"]["desk/triage"]["rates"]["adherence"] == 1.0

    other = desk.run("--tg-against=baseline")
    assert other.ret == 1, "another strategy is another configuration, which is compared"


def test_a_schema_that_cannot_be_held_is_refused(desk):
    desk.unit(["a"], "odd", check={"schema": {"type": "object", "not": {"required": ["a"]}}})
    desk.policy(triage={"role": "guard"}, odd={"role": "guard"})
    refused = desk.run(RUNG, "--tg-record")

    assert refused.ret == 4
    assert 'fixtures/desk/odd.yaml: Unimplemented keys: ["not"]' in refused.stderr.str()
    assert not list(desk.path.glob("baselines/**/*.json"))


def test_without_the_library_it_does_not_run_and_says_what_to_install(desk, monkeypatch):
    monkeypatch.setitem(sys.modules, "llguidance", None)
    missing = desk.run(RUNG)

    assert missing.ret == 3
    assert "expected llguidance, found none; run: pip install 'tunegate[constrained]'" in (
        missing.stdout.str() + missing.stderr.str()
    )
