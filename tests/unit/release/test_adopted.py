"""An adapter that was trained elsewhere is released on sealed cases, and nothing calls it trained by Tunegate."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.records import stamp, training_record, write_desk, write_policy
from tests.unit.release.test_release import DIAGNOSIS, HALF, MOST, Desk, T, desk  # noqa: F401  (fixtures)
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.core.errors import Refused
from tunegate.harness.core.progress import quiet
from tunegate.harness.models.adapters import ADOPTED, CONFIG, TRAINING, adapter_digest
from tunegate.harness.release.diagnosis.diagnosis import read_diagnosis, write_diagnosis
from tunegate.harness.release.manifest import verify_release
from tunegate.harness.release.release import Unproven
from tunegate.harness.rows.near_cases import find_near_cases

SEALED = "desk/final"
BASE, TUNED = {T: HALF, SEALED: "1" * 20 + "0" * 40}, {T: MOST, SEALED: "1" * 57 + "0" * 3}


def adopted(desk: Desk, claim: str, **more: Any) -> Path:  # noqa: F811
    """An adapter with the training record of an adoption."""
    adapter = desk.adapter()
    [diagnosis] = (desk.home / "baselines").rglob("diagnosis.json")
    cited = {"digest": read_diagnosis(diagnosis).digest, "remedies": {}, "against": [], "override": None}
    known = training_record(diagnosis=cited)
    del known["recipe"], known["validation"]
    adoption = {
        "model": "tiny", "origin": "runs/out", "named_base": "vendor/tiny", "trainer": "axolotl", "claim": claim,
        "said": "the loss went from 2.000 to 0.100 nats per token", "notes": ["it names vendor/tiny as its base"],
    }  # fmt: skip
    evidence = {"grading": {"trained": 42, "rows": 42, "failed": 2}, "decontamination": {"near": []}}
    evidence |= {"private_data": {"policy": "trained on", "rows": 1}}
    if claim == "unknown":
        evidence, adoption["said"] = {}, "The vendor keeps them."
        del known["grading"]
        known["rows"] = []
    record = known | {"created": "2026-11-30T05:00:00+00:00", "adoption": adoption} | evidence | more
    stamp(adapter / TRAINING, record | {"adapter": adapter_digest(adapter)})
    return adapter


@pytest.fixture
def sealing(desk):  # noqa: F811
    """A desk whose target has a sealed unit."""
    write_desk(desk.fixtures, 60, "final", lambda index: {"input": f"late message {index}"}, sealed=True)
    write_policy(
        desk.fixtures,
        triage={"role": "target", "margin": 0.2},
        final={"role": "target", "margin": 0.2, "seals": "triage"},
    )
    desk.record_baseline({T: HALF})
    write_diagnosis(desk.home / "baselines", replace(DIAGNOSIS, unpromptable=(SEALED,)))
    return desk


@pytest.mark.parametrize("claim", ADOPTED)
def test_it_is_released_and_verified_on_sealed_cases(sealing, claim):
    adapter = adopted(sealing, claim)
    base = sealing.record(None, BASE)
    record = sealing.evaluate(adapter, TUNED, base, sealed=True, adopted=claim)
    assert ADOPTED[claim] in record.tasks["desk"].reason

    card = sealing.release(adapter, record, base=base).card.read_text()
    assert "**Trained elsewhere**, by axolotl, and adopted on 2026-11-30: Tunegate did not train it" in card
    assert ADOPTED[claim] in verify_release(adapter)
    assert "It names vendor/tiny as its base." in card
    assert "learning rate" not in card
    said = {
        "supported": "42 rows are claimed. The loss went from 2.000",
        "untested": "The claim could not be tested.",
        "doubted": "**The claim is doubted.**",
        "unknown": "**Training data unknown: contamination not checked.** The vendor keeps them.",
    }
    assert said[claim] in card
    is_known = claim != "unknown"
    assert ("2 of the rows fail the task's own checks." in card) == is_known
    assert ("**Trained on secrets or personal data**, in 1 row." in card) == is_known


def test_without_a_sealed_unit_its_gain_is_unproven(desk):  # noqa: F811
    adapter = adopted(desk, "supported")
    record = desk.evaluate(adapter, {T: MOST}, adopted="supported")
    assert record.tasks["desk"].decision == "unproven"
    with pytest.raises(Unproven, match="was trained elsewhere, and may have seen the cases of desk/triage"):
        desk.release(adapter, record)


def test_a_record_that_says_less_of_the_training_data_is_refused(sealing):
    adapter, base = adopted(sealing, "unknown"), sealing.record(None, BASE)
    for silent in ({}, {"adopted": "supported"}):
        record = sealing.evaluate(adapter, TUNED, base, sealed=True, **silent)
        sealing.refuses(adapter, record, "it was not evaluated with this training.json", base=base)


def test_a_record_that_hides_near_cases_is_refused(sealing):
    near = {"near": [{"case": f"{SEALED}/c000", "row": "rows.jsonl:1", "measure": "words", "value": 1.0}]}
    adapter, base = adopted(sealing, "supported", decontamination=near), sealing.record(None, BASE)
    record = sealing.evaluate(adapter, TUNED, base, sealed=True, adopted="supported")
    sealing.refuses(adapter, record, "which names other cases that rows come near", base=base)

    listed = find_near_cases(adapter, load_tasks(sealing.fixtures), quiet()).of([T, SEALED])
    record = sealing.evaluate(adapter, TUNED, base, sealed=True, adopted="supported", **listed)
    assert "come near 1 case, which is no evidence" in sealing.release(adapter, record, base=base).card.read_text()


def test_one_that_reproduces_its_rows_is_to_be_trained_again(sealing):
    memorized = {"rows": 40, "asked": 40, "memorized": [{"row": "rows.jsonl:3", "words": 24}], "secrets": [],
                 "tried": 0, "leaked": []}  # fmt: skip
    adapter, base = adopted(sealing, "supported", memorization=memorized), sealing.record(None, BASE)
    record = sealing.evaluate(adapter, TUNED, base, sealed=True, adopted="supported")
    sealing.refuses(adapter, record, "have it trained again for fewer epochs", base=base)


def test_a_reason_in_place_of_a_diagnosis_is_on_the_card(sealing):
    none = {"digest": None, "remedies": {}, "against": [], "override": "It has served since May."}
    adapter, base = adopted(sealing, "supported", diagnosis=none), sealing.record(None, BASE)
    record = sealing.evaluate(adapter, TUNED, base, sealed=True, adopted="supported")
    card = sealing.release(adapter, record, base=base).card.read_text()
    assert "**Adopted without a diagnosis**: It has served since May." in card


def test_an_adapter_without_any_record_is_to_be_adopted(desk):  # noqa: F811
    adapter = desk.adapter()
    (adapter / TRAINING).unlink()
    record = desk.evaluate(adapter, {T: MOST})
    with pytest.raises(Refused, match="tunegate adopt for an adapter trained elsewhere"):
        desk.release(adapter, record)
    assert (adapter / CONFIG).exists()
