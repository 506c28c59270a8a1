"""A diagnosis of a model that answers."""

from __future__ import annotations

import json

from typer.testing import CliRunner

from tests.support.records import write_desk
from tests.unit.release.diagnosis.test_ladder import SHOTS
from tunegate.harness.cli.main import app
from tunegate.harness.release.diagnosis.diagnosis import read_diagnosis


def test_a_real_model_up_the_ladder(tmp_path, tiny_model, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_desk(tmp_path / "fixtures", 12, shots=SHOTS)

    done = CliRunner().invoke(
        app, ["diagnose", "--model", str(tiny_model), "--larger", str(tiny_model), "--sample", "10"]
    )

    assert done.exit_code == 0, done.output
    [path] = (tmp_path / "baselines").glob("*/desk/diagnosis.json")
    found = read_diagnosis(path)
    finding = found.units["desk/triage"]
    assert [step.rung for step in finding.rungs] == [
        "as-is", "constrained", "few-shot", "few-shot-constrained", "steps", "larger"
    ]  # fmt: skip
    assert [step.n for step in finding.rungs] == [10] * 6
    asis, _, few, *_ = finding.rungs
    assert few.tokens > asis.tokens
    assert finding.remedy == "fine-tune for quality"
    records = sorted(path.name for path in (tmp_path / ".tunegate/diagnose/desk").iterdir())
    assert records == [
        f"{rung}.json" for rung in ("as-is", "constrained", "few-shot-constrained", "few-shot", "larger", "steps")
    ]
    kept = json.loads((tmp_path / ".tunegate/diagnose/desk/few-shot.json").read_text())
    assert kept["partial"] is True
    assert kept["fingerprint"]["subject"]["rung"] == "few-shot"


def test_what_constrained_decoding_shows_of_a_model_without_skill(tmp_path, tiny_model, monkeypatch):
    """Random weights keep to the schema, and are right by chance alone: form is no reason to tune."""
    monkeypatch.chdir(tmp_path)
    write_desk(tmp_path / "fixtures", 12, generate={"max_new_tokens": 40})
    odd = {"type": "object", "contains": {"const": 1}, "properties": {"product": {}}}
    write_desk(tmp_path / "fixtures", 12, "odd", check={"schema": odd})

    done = CliRunner().invoke(app, ["diagnose", "--model", str(tiny_model), "--sample", "10"])

    assert done.exit_code == 0, done.output
    [path] = (tmp_path / "baselines").glob("*/desk/diagnosis.json")
    found = read_diagnosis(path)
    asis, held, _ = found.units["desk/triage"].rungs
    assert (asis.form, held.form) == (0.0, 1.0)
    assert [step.rung for step in found.units["desk/odd"].rungs] == ["as-is", "steps"]
    assert found.unconstrainable == {"desk/odd": 'fixtures/desk/odd.yaml: Unimplemented keys: ["contains"]'}
    assert "desk/odd: constrained decoding not tried: fixtures/desk/odd.yaml: Unimplemented" in done.output
