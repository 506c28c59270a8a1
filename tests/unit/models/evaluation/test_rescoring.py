"""Scores that a file holds are not believed: what differs is refused, what another version scored is listed."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.support.records import record, write_desk
from tests.unit.checks.test_cost import write_cost, write_task
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.cases.model import Unit
from tunegate.harness.checks.base import FieldCount, Finding
from tunegate.harness.checks.registry import CHECKS
from tunegate.harness.core.errors import Refused
from tunegate.harness.core.progress import quiet
from tunegate.harness.models.api import Completion, Fingerprint
from tunegate.harness.models.evaluation.record import Record
from tunegate.harness.models.evaluation.rescoring import Rescored, score_again
from tunegate.harness.models.evaluation.scoring import evaluate, summarize
from tunegate.harness.models.replay import Replay

T = "desk/triage"
FIRST = f"{T}/c000"


@pytest.fixture
def unit(tmp_path: Path) -> Unit:
    write_desk(tmp_path, 4)
    return load_tasks(tmp_path)[0].units[0]


@pytest.fixture
def stored(tmp_path: Path, unit: Unit) -> Record:
    """Three of four cases fail."""
    return record(load_tasks(tmp_path), {T: "0001"})


def again(unit: Unit, stored: Record) -> Rescored:
    return score_again([unit], stored, "the baseline", quiet())


def edited(stored: Record, unit: Unit, **changes: Any) -> Record:
    """The first case otherwise, and a unit's mean that follows from that."""
    cases = {**stored.cases, FIRST: replace(stored.cases[FIRST], **changes)}
    summary = summarize(unit, [cases[case.key] for case in unit.cases])
    return replace(stored, cases=cases, units={T: summary})


def test_scores_that_the_outputs_have_are_the_ones_of_now(unit: Unit, stored: Record) -> None:
    found = again(unit, stored)
    assert found.record.cases == stored.cases
    assert found.record.units == stored.units
    assert found.anew == {}
    assert found.notes("the baseline") == []


@pytest.mark.parametrize(("changes", "says"), [
    ({"score": 1.0, "passed": True}, "c000 score stored as 1.0, now 0.0"),
    ({"passed": True}, "c000 passed stored as True, now False"),
    ({"rates": {"adherence": True, "exact": False}}, "c000 rates stored as"),
    ({"fields": {"product": FieldCount(1, 1, 1)}}, "c000 fields stored as"),
    ({"findings": ()}, "c000 findings stored as none, now json.syntax"),
    ({"findings": (Finding("expect", "another"),)}, "c000 findings stored as expect, now json.syntax"),
    ({"output": '{"product": "boiler"}'}, "c000 score stored as 0.0, now 1.0"),
    ({"output": None}, "c000 score stored as 0.0, now none"),
    ({"output": None, "logprobs": ((-1.0,),)}, "c000 score stored as 0.0, now none"),
])  # fmt: skip
def test_what_the_same_check_would_not_say_is_refused(
    unit: Unit, stored: Record, changes: dict[str, Any], says: str
) -> None:
    with pytest.raises(Refused, match=f"{T}: the baseline does not match its outputs: .*{says}"):
        again(unit, edited(stored, unit, **changes))


def test_a_finding_may_be_worded_otherwise(unit: Unit, stored: Record) -> None:
    found = replace(stored.cases[FIRST].findings[0], message="as an older version put it")
    assert again(unit, edited(stored, unit, findings=(found,))).anew == {}


@pytest.mark.parametrize("part", ["mean", "interval", "rates", "n", "unscored"])
def test_numbers_of_a_unit_that_its_cases_do_not_have_are_refused(unit: Unit, stored: Record, part: str) -> None:
    other = {"mean": 0.9, "interval": (0.8, 1.0), "rates": {"adherence": 1.0, "exact": 1.0}, "n": 5, "unscored": 1}
    odd = replace(stored.units[T], **{part: other[part]})
    with pytest.raises(Refused, match=f"the {part} of its cases stored as"):
        again(unit, replace(stored, units={T: odd}))


def test_so_they_are_where_another_version_scored_them(unit: Unit, stored: Record) -> None:
    odd = replace(stored, units={T: replace(stored.units[T], mean=0.9)}, scorers={T: {"python": "2.7"}})
    with pytest.raises(Refused, match=r"the mean of its cases stored as 0\.9, now 0\.25"):
        again(unit, odd)


def test_a_case_that_is_missing_or_no_case_is_refused(unit: Unit, stored: Record) -> None:
    rest = {key: result for key, result in stored.cases.items() if key != FIRST}
    with pytest.raises(Refused, match="c000 is missing"):
        again(unit, replace(stored, cases=rest))
    with pytest.raises(Refused, match="c9 is not in the fixtures"):
        again(unit, replace(stored, cases={**stored.cases, f"{T}/c9": stored.cases[FIRST]}))


@pytest.mark.parametrize("other", ["check version", "regex", "a library that is gone"])
def test_what_another_version_scored_is_scored_anew_and_listed(unit: Unit, stored: Record, other: str) -> None:
    forged = edited(stored, unit, score=1.0, passed=True)
    if other == "check version":
        forged = replace(forged, questions={T: {**forged.questions[T], "check version": "0"}})
    else:
        forged = replace(forged, scorers={T: {**forged.scorers[T], other: "0"}})
    found = again(unit, forged)
    assert found.record.cases == stored.cases  # claimed of another version or not, the score of now counts
    assert found.record.units == stored.units
    assert found.record.questions[T] == unit.questions
    assert found.anew[T].changed == ("c000",)
    assert found.anew[T].cases == 4
    [note] = found.notes("the baseline")
    assert note.startswith(f"{T}: the outputs of the baseline were scored again ({other} 0 -> ")
    assert note.endswith("1 of 4 cases changed their score (c000)")


def test_a_score_may_differ_in_its_last_bits_and_that_of_now_counts(unit: Unit, stored: Record) -> None:
    """An own check may add in an order that is the processor's."""
    near = edited(stored, unit, score=1e-13)
    assert again(unit, near).record.cases == stored.cases
    with pytest.raises(Refused, match="c000 score stored as 1e-08"):
        again(unit, edited(stored, unit, score=1e-8))


def test_prices_follow_from_the_tokens_of_the_answers(tmp_path: Path) -> None:
    write_desk(tmp_path, 2)
    write_cost(tmp_path)
    write_task(tmp_path, triage={"role": "target"}, spend={"margin": 0.0001})
    units = load_tasks(tmp_path)[0].units
    answers = {(f"{T}/c00{n}", 0): Completion(f"{T}/c00{n}", "?", 50, 30 + n) for n in range(2)}
    made = evaluate(units, Replay(answers, Fingerprint({"model": "m"}, {}, {"model": "m"})), quiet())
    assert score_again(units, made, "the baseline", quiet()).record.cases == made.cases
    cheap = replace(made.cases[FIRST], tokens_out=1)
    with pytest.raises(Refused, match="desk/spend: the baseline does not match its outputs: c000 score stored as"):
        score_again(units, replace(made, cases={**made.cases, FIRST: cheap}), "the baseline", quiet())


def test_units_that_the_record_lacks_are_left_out(tmp_path: Path, unit: Unit, stored: Record) -> None:
    write_desk(tmp_path, 2, "other")
    units = load_tasks(tmp_path)[0].units
    assert list(score_again(units, stored, "the record", quiet()).record.units) == [T]


@pytest.mark.skipif(not find_spec("torch"), reason="the core alone is installed")
def test_the_libraries_that_can_change_an_outcome_are_named() -> None:
    assert {"scikit-learn", "torch", "sentence-transformers"} <= CHECKS["voice"].scorer.keys()
    assert "jsonschema-rs" in CHECKS["schema"].scorer
    assert all("+" not in version for version in CHECKS["voice"].scorer.values())
    assert list(CHECKS["cost"].scorer) == ["python"]
