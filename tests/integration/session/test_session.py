"""Runs without pytest of a model that answers: its baselines and releases."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.records import save, stamp
from tests.support.units import write_unit
from tests.unit.session.test_session import GOOD, IDS, answers, judged, options  # noqa: F401  (a fixture)
from tunegate.harness.core.errors import Refused
from tunegate.harness.evaluation.options import Options
from tunegate.harness.evaluation.record import Record
from tunegate.harness.fixtures.loader import load_tasks


@pytest.fixture
def local(options: Options, tiny_model: Path) -> Options:  # noqa: F811
    """The same task on the tiny model, its baseline recorded."""
    local = replace(options, model=str(tiny_model))
    judged(replace(local, record=True))
    return local


def baseline(options: Options, name: str) -> Path:  # noqa: F811
    [path] = options.baselines.glob(f"*/desk/{name}.json")
    return path


def release(options: Options, adapter: Path) -> Record:  # noqa: F811
    """Record an adapter as the last release of every unit, as `tunegate release` does."""
    record = judged(replace(options, adapters=(adapter,))).records[0]
    [task] = load_tasks(options.cases)
    save(options.baselines, record, task.units, released=True)
    return record


def test_recording_again_reuses_the_outputs_of_the_baseline(local: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    path = baseline(local, "triage")
    data = json.loads(path.read_text())
    data["cases"]["case00"]["output"] = GOOD  # only a reused output can say this
    stamp(path, data)
    monkeypatch.setenv("TUNEGATE_CACHE", str(local.root / "empty"))
    record = judged(replace(local, record=True)).records[0]
    assert record.cases["desk/triage/case00"].passed
    assert not record.cases["desk/triage/case01"].passed


def test_a_damaged_baseline_is_recorded_anew(local: Options) -> None:
    path = baseline(local, "triage")
    text = path.read_text()
    path.write_text("{")
    judged(replace(local, record=True))
    assert path.read_text() == text


def test_the_next_adapter_is_compared_with_the_last_release_too(
    local: Options, make_adapter: Callable[[str], Path]
) -> None:
    release(local, make_adapter("released"))
    again = judged(replace(local, adapters=(make_adapter("released"),), against="baseline"))
    assert list(again.references[0]) == ["baseline"]  # nothing is compared with itself
    following = judged(replace(local, adapters=(make_adapter("next"),), against="baseline"))
    assert list(following.references[0]) == ["baseline", "last release"]


def test_a_release_that_was_asked_otherwise_must_be_renewed(
    local: Options, make_adapter: Callable[[str], Path]
) -> None:
    released = make_adapter("released")
    release(local, released)
    write_unit(local.cases, IDS, "triage", prompt={"system": "Be brief."})
    judged(replace(local, record=True))
    gate = replace(local, adapters=(make_adapter("next"),), against="baseline")
    with pytest.raises(Refused, match=r"desk/triage: the last release .* was judged with other prompt; renew it"):
        judged(gate)
    with pytest.raises(Refused, match="only the released adapter may renew its files"):
        judged(replace(local, adapters=(make_adapter("next"),), record=True))
    judged(replace(local, adapters=(released,), record=True))
    assert judged(gate).records[0].verdicts.keys() == {"desk/triage", "desk/second"}
