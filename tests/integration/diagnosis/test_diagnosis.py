"""A diagnosis of a model that answers."""

from __future__ import annotations

import json

from typer.testing import CliRunner

from tests.support.records import write_desk
from tests.unit.diagnosis.test_ladder import SHOTS
from tunegate.harness.cli.main import app
from tunegate.harness.diagnosis.diagnosis import read_diagnosis


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
    assert [step.rung for step in finding.rungs] == ["as-is", "few-shot", "steps", "larger"]
    assert [step.n for step in finding.rungs] == [10] * 4
    asis, few, *_ = finding.rungs
    assert few.tokens > asis.tokens
    assert finding.remedy == "fine-tune for quality"
    records = sorted(path.name for path in (tmp_path / ".tunegate/diagnose/desk").iterdir())
    assert records == ["as-is.json", "few-shot.json", "larger.json", "steps.json"]
    kept = json.loads((tmp_path / ".tunegate/diagnose/desk/few-shot.json").read_text())
    assert kept["partial"] is True
    assert kept["fingerprint"]["subject"]["rung"] == "few-shot"
