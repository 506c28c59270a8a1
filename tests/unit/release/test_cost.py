"""A release judges the prices again too: from the tokens that its record holds, at the prices of task.yaml."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from tests.support.records import ENGINE, LOCAL, save, write_desk
from tests.unit.checks.test_cost import GOOD, PRICES, write_cost, write_task
from tests.unit.release.test_release import DIAGNOSIS, Desk
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.core.errors import Refused
from tunegate.harness.core.progress import quiet
from tunegate.harness.gate.rule import compare
from tunegate.harness.history.baselines.lookup import baseline_references
from tunegate.harness.models.adapters import adapter_digest
from tunegate.harness.models.api import Completion, Fingerprint
from tunegate.harness.models.evaluation.record import Record
from tunegate.harness.models.evaluation.scoring import evaluate
from tunegate.harness.models.replay import Replay
from tunegate.harness.release.diagnosis.diagnosis import write_diagnosis
from tunegate.harness.release.manifest import verify_release

N = 60


def answered(desk: Desk, adapter: Path | None, passing: int, tokens_out: int) -> Record:
    """A record of the model or an adapter: so many cases pass, and every answer takes about as many tokens."""
    tasks = load_tasks(desk.fixtures)
    keys = [f"desk/triage/c{index:03}" for index in range(N)]
    answers = {
        (key, 0): Completion(key, GOOD if index < passing else "?", 50, tokens_out + index % 5)
        for index, key in enumerate(keys)
    }
    fingerprint = Fingerprint(
        LOCAL | {"adapter": adapter_digest(adapter) if adapter else None}, ENGINE, {"model": "tiny"}
    )
    made = evaluate(tasks[0].units, Replay(answers, fingerprint), quiet())
    return replace(made, policies=tasks[0].policies)


def judged(desk: Desk, adapter: Path, tokens_out: int) -> Record:
    """What a run of the adapter against the baseline keeps."""
    tasks, made = load_tasks(desk.fixtures), answered(desk, adapter, 57, tokens_out)
    fingerprint = Fingerprint(made.fingerprint["subject"], made.fingerprint["engine"])
    references = baseline_references(desk.home / "baselines", tasks, tasks[0].units, fingerprint, "tiny")
    return compare(tasks, made, references, ["desk"])


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    desk = Desk(tmp_path)
    write_desk(desk.fixtures, N, generate={"max_new_tokens": 128})
    write_cost(desk.fixtures)
    write_task(desk.fixtures, triage={"role": "target"}, spend={"margin": 0.0001})
    units = load_tasks(desk.fixtures)[0].units
    save(tmp_path / "baselines", answered(desk, None, 30, 90), units)
    write_diagnosis(tmp_path / "baselines", DIAGNOSIS)
    return desk


def released(desk: Desk, adapter: Path, record: Record) -> None:
    desk.release(adapter, record)


def test_a_cheaper_adapter_is_released_and_verified(desk):
    adapter = desk.adapter()
    released(desk, adapter, judged(desk, adapter, 30))
    assert any("released for desk" in line for line in verify_release(adapter))
    manifest = json.loads((adapter / "release.json").read_text())
    assert manifest["verdicts"] == {"desk/triage": "improved", "desk/spend": "held"}
    assert "desk/spend" in (adapter / "README.md").read_text()
    assert list(desk.home.glob("baselines/*/desk/spend.released.json"))


def test_the_head_of_the_card_has_the_mean_price_of_its_table(desk):
    adapter = desk.adapter()
    released(desk, adapter, judged(desk, adapter, 30))
    _, front, body = (adapter / "README.md").read_text().split("---\n", 2)
    values = {
        each["dataset"]["name"]: each["metrics"][0]["value"]
        for each in yaml.safe_load(front)["model-index"][0]["results"]
    }
    assert values == {"desk/triage": 0.95, "desk/spend": -0.00037}
    assert "| desk/spend | 60 | -0.00097 | -0.00037 |" in body


def test_a_dearer_adapter_is_not(desk):
    adapter = desk.adapter()
    with pytest.raises(Refused, match="desk/spend regressed"):
        released(desk, adapter, judged(desk, adapter, 190))


def test_a_price_that_the_tokens_do_not_bear_out_is_found(desk):
    adapter = desk.adapter()
    record = judged(desk, adapter, 30)
    key = "desk/spend/c007"
    cheap = replace(record.cases[key], score=-1e-9)
    says = "desk/spend: the record does not match its outputs: .*; c007 score stored as -1e-09, now "
    with pytest.raises(Refused, match=says):
        released(desk, adapter, replace(record, cases={**record.cases, key: cheap}))


def test_tokens_that_are_not_those_of_the_answer_are_found(desk):
    adapter = desk.adapter()
    record = judged(desk, adapter, 30)
    key = "desk/triage/c007"
    odd = replace(record.cases[key], tokens_out=5000)
    with pytest.raises(Refused, match="desk/spend: the record does not match its outputs: c007 score stored as"):
        released(desk, adapter, replace(record, cases={**record.cases, key: odd}))


def test_another_price_since_is_found(desk):
    adapter = desk.adapter()
    record = judged(desk, adapter, 30)
    write_task(desk.fixtures, {**PRICES, "output_per_million": 1}, triage={"role": "target"}, spend={"margin": 0.0001})
    with pytest.raises(Refused, match="desk/spend: the fixtures changed since"):
        released(desk, adapter, record)
