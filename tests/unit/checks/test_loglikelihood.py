"""The checks of likelihoods, and the units they may judge."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tunegate.harness.cases.loader import find_unit, load_tasks
from tunegate.harness.cases.model import Case
from tunegate.harness.checks.registry import CHECKS
from tunegate.harness.core.errors import AuthoringError

PASSAGES = {
    "fog": "Fog came up the river before the ferry did.",
    "bread": "Knead the dough, let it rest an hour, then knead it again.",
    "tax": "The council voted eight to five to leave the tax as it is.",
}


PAIR = {"preferred": "An engineer will call.", "other": "A plumber will call."}


def write_passages(fixtures: Path, **more: Any) -> Path:
    cases = [{"id": case, "input": text} for case, text in PASSAGES.items()]
    return write(fixtures, "passages", "retention", {"measure": "passages"}, cases=cases, **more)


def write_pairs(fixtures: Path, **more: Any) -> Path:
    cases = [{"id": "who", "input": "It drips.", "expect": PAIR}]
    return write(fixtures, "pairs", "vocabulary", {"measure": "pairs"}, **{"cases": cases, **more})


def write_questions(fixtures: Path) -> Path:
    cases = [{"id": "france", "input": "What is the capital of France?", "expect": {"answer": ["paris"]}}]
    return write(fixtures, "questions", "retention", {"measure": "questions"}, cases=cases)


def write(fixtures: Path, unit: str, suite: str, check: dict[str, Any], **more: Any) -> Path:
    path = fixtures / "desk" / f"{unit}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"version": 1, "suite": suite, "unit": unit, "check": check, **more}))
    return path


def check(row: str) -> Any:
    from tunegate.harness.core.authoring.document import Document

    measure = row.partition("/")[2]
    return CHECKS[row].load({"measure": measure}, Document(Path("x.yaml"), {}, {}), ())


def passages(shift: float = 0.0) -> list[dict[str, Any]]:
    return [{"case": f"desk/passages/{case}", "logprobs": [-1 - shift, -3 - shift]} for case in PASSAGES]


def test_a_passage_scores_its_mean_per_token() -> None:
    outcome = check("retention/passages")([(-1.0, -2.0, -3.0)], None, "")
    assert outcome.score == -2.0
    assert outcome.rates == {}


def test_a_pair_scores_the_difference_of_means_whatever_the_lengths() -> None:
    pairs = check("vocabulary/pairs")
    better = pairs([(-1.0,), (-2.0, -2.0, -2.0)], PAIR, "")
    assert better.score == 1.0
    assert better.rates == {"preferred": True}
    same = pairs([(-1.0,), (-1.0, -1.0)], PAIR, "")
    assert same.score == 0.0
    assert same.rates == {"preferred": False}


# --- authoring


def mistakes(fixtures: Path) -> str:
    with pytest.raises(AuthoringError) as error:
        load_tasks(fixtures)
    return str(error.value)


def test_a_retention_file_must_say_what_it_measures(tmp_path: Path) -> None:
    write(tmp_path, "passages", "retention", {}, cases=[{"id": "a", "input": "Fog."}])
    told = mistakes(tmp_path)
    assert "expected a check with measure: passages or questions, found none" in told
    assert "write check: {measure: passages} above the cases" in told


def test_an_unknown_measure_is_refused_with_what_was_meant(tmp_path: Path) -> None:
    write(tmp_path, "passages", "retention", {"measure": "passage"}, cases=[{"id": "a", "input": "Fog."}])
    assert "did you mean 'passages'" in mistakes(tmp_path)
    write(tmp_path, "passages", "schema", {"measure": "pairs", "schema": {}}, cases=[{"id": "a", "input": "Fog."}])
    assert "no measure, because schema has only one" in mistakes(tmp_path)


def test_a_measure_of_a_case_cannot_differ_from_its_files(tmp_path: Path) -> None:
    cases = [{"id": "a", "input": "Fog.", "check": {"measure": "questions"}}]
    write(tmp_path, "passages", "retention", {"measure": "passages"}, cases=cases)
    assert "measure" in mistakes(tmp_path)


def test_two_measures_in_one_unit_are_refused(tmp_path: Path) -> None:
    write_passages(tmp_path)
    other = write_questions(tmp_path)
    other.write_text(other.read_text().replace('"unit": "questions"', '"unit": "passages"'))
    assert "measure: passages, as in" in mistakes(tmp_path)


@pytest.mark.parametrize(
    "more",
    [{"prompt": {"system": "x"}}, {"generate": {"max_new_tokens": 3}}, {"shots": [{"input": "a", "output": "b"}]}],
)
def test_keys_that_a_passage_does_not_read_are_refused(tmp_path: Path, more: dict[str, Any]) -> None:
    write_passages(tmp_path, **more)
    assert f"no {next(iter(more))}, which retention/passages does not read" in mistakes(tmp_path)


def test_an_expect_on_a_passage_is_refused(tmp_path: Path) -> None:
    cases = [{"id": "a", "input": "Fog.", "expect": {"answer": ["x"]}}]
    write(tmp_path, "passages", "retention", {"measure": "passages"}, cases=cases)
    assert "no expect, which retention/passages does not read" in mistakes(tmp_path)


def test_a_pair_of_equal_texts_is_refused(tmp_path: Path) -> None:
    same = {"preferred": "An engineer.", "other": "An  engineer."}
    write_pairs(tmp_path, cases=[{"id": "a", "input": "x", "expect": same}])
    assert "expected a text other than the preferred one, found the same" in mistakes(tmp_path)


def test_a_unit_is_of_its_own_kind(tmp_path: Path) -> None:
    write_passages(tmp_path)
    write_pairs(tmp_path)
    write_questions(tmp_path)
    tasks = load_tasks(tmp_path)
    kinds = {name: find_unit(tasks, f"desk/{name}").kind for name in ("passages", "pairs", "questions")}
    assert kinds == {"passages": "continuous", "pairs": "continuous", "questions": "pass/fail"}
    pairs = find_unit(tasks, "desk/pairs")
    case: Case = pairs.cases[0]
    assert pairs.texts(case) == tuple(PAIR.values())
