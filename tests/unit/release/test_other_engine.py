"""A release of a record that was judged on another engine than its baseline's: the base is asked again, in full."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import Any

import pytest

from tests.support.records import ENGINE, LOCAL, answering, record
from tests.unit.release.test_release import HALF, MOST, Desk, T, desk  # noqa: F401  (a fixture)
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.core.errors import Refused
from tunegate.harness.core.progress import quiet
from tunegate.harness.gate.rule import compare
from tunegate.harness.models.adapters import adapter_digest
from tunegate.harness.models.evaluation.engines import ask_here
from tunegate.harness.models.evaluation.record import Record
from tunegate.harness.models.evaluation.run_facts import EngineChange
from tunegate.harness.release.manifest import verify_release
from tunegate.harness.release.release import release_adapter

BFLOAT16 = ENGINE | {"dtype": "bfloat16"}


def on_bfloat16(desk: Desk, scores: str, adapter: str | None = None) -> Record:  # noqa: F811
    who = {"subject": LOCAL | {"adapter": adapter}, "engine": BFLOAT16, "names": {"model": "tiny"}}
    return record(load_tasks(desk.fixtures), {T: scores}, adapter, fingerprint=who)


def judged(desk: Desk, adapter: Any, base: str) -> Record:  # noqa: F811
    """What a run in bfloat16 keeps, in which the base answers so."""
    tasks, mine = load_tasks(desk.fixtures), on_bfloat16(desk, MOST, adapter_digest(adapter))
    models = {"baseline": answering(on_bfloat16(desk, base))}
    here, engines = ask_here({"baseline": desk.baseline()}, models, tasks[0].units, quiet(), 1)
    gated = compare(tasks, replace(mine, engines=engines), here, ["desk"])
    return gated.write(desk.home / "runs" / f"{adapter.name}.json")


def release(desk: Desk, adapter: Any, record: Record, base: str, **others: Record) -> Any:  # noqa: F811
    def open_model(given: Any) -> Any:
        if given is None:
            return answering(on_bfloat16(desk, base))
        return answering(others.get(given.name, record))

    return release_adapter(adapter, record, desk.fixtures, desk.home / "baselines", quiet(), open_model)


def test_it_is_released_on_what_the_base_answers_there(desk):  # noqa: F811
    adapter, base = desk.adapter(), HALF[:-1] + "1"
    done = release(desk, adapter, judged(desk, adapter, base), base)
    assert done.record.engines["baseline"].units[T].gained == ("c059",)
    assert any("re-run on this engine" in note for note in done.notes)
    assert (
        "evaluated on backend transformers, dtype bfloat16, device cpu; the baseline, recorded with dtype float32 (now "
        "bfloat16), re-run" in verify_release(adapter)
    )


def test_a_base_that_answers_better_there_than_the_record_says_blocks(desk):  # noqa: F811
    adapter = desk.adapter()
    made = judged(desk, adapter, HALF)
    with pytest.raises(Refused, match="not released"):
        release(desk, adapter, made, "1" * 60)


def test_a_record_whose_base_was_not_asked_there_counts_for_nothing_of_it(desk):  # noqa: F811
    """Whoever edits the record to say that the engine moved nothing is not believed: the base is asked in full."""
    adapter = desk.adapter()
    forged = replace(judged(desk, adapter, HALF), engines={}).write(desk.home / "runs" / "forged.json")
    done = release(desk, adapter, forged, HALF)
    assert done.record.engines["baseline"].units[T] == EngineChange(60, 0, (), ())


def test_another_base_than_that_of_the_record_is_not_asked(desk):  # noqa: F811
    adapter = desk.adapter()
    made = judged(desk, adapter, HALF)

    def open_model(given: Any) -> Any:
        return answering(desk.baseline() if given is None else made)  # in float32

    with pytest.raises(Refused, match="expected the engine of the evaluation, found another dtype"):
        release_adapter(adapter, made, desk.fixtures, desk.home / "baselines", quiet(), open_model)


def test_the_last_release_is_asked_again_with_its_own_adapter(desk, monkeypatch):  # noqa: F811
    monkeypatch.setenv("TUNEGATE_CACHE", str(desk.home / "cache"))
    first = desk.adapter("first")
    desk.release(first, desk.evaluate(first, {T: MOST}))
    second = desk.adapter("second", weights="0.7")
    made, before = judged(desk, second, HALF), on_bfloat16(desk, HALF, adapter_digest(first))
    done = release(desk, second, made, HALF, first=before)
    assert list(done.record.engines) == ["baseline", "last release"]

    third = desk.adapter("third", weights="0.8")
    shutil.rmtree(desk.home / "cache")
    shutil.rmtree(second)
    with pytest.raises(Refused, match=r"expected the adapter \w{8} at .*second or .*second.ref, found neither"):
        # the second was released in bfloat16: in float32 it has to be asked again
        desk.release(third, desk.evaluate(third, {T: MOST}))
