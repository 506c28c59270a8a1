"""A runner's result file as the outputs of `scored` units: what it may say, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.results import pair_of
from tunegate.harness.begin.results.read import read_results
from tunegate.harness.begin.results.samples import question_of
from tunegate.harness.begin.results.scored_outputs import has_scores, read_scored_outputs
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.cases.model import Unit
from tunegate.harness.core.errors import AuthoringError, Refused
from tunegate.harness.core.progress import quiet
from tunegate.harness.models.api import Completion, Fingerprint
from tunegate.harness.models.evaluation.record import Record
from tunegate.harness.models.evaluation.rescoring import score_again
from tunegate.harness.models.evaluation.scoring import evaluate
from tunegate.harness.models.replay import Replay

RUBRIC = {"type": "llm-rubric", "value": "is polite", "provider": "openai:judge", "threshold": 0.8}
TESTS = ("hi", "bye", "why")


def row(text: str, success: bool = True, *, place: int = 0, provider: str = "p:a", **more: Any) -> dict[str, Any]:
    """One result of promptfoo."""
    return {
        "testIdx": place, "promptIdx": 0, "vars": {"x": text}, "success": success, "score": float(success is True),
        "prompt": {"raw": f"Say {text}", "label": "Say {{x}}"}, "provider": {"id": provider},
        "response": {"output": f"{text}!"}, "testCase": {"vars": {"x": text}, "assert": [RUBRIC]}, "failureReason": 0,
        **more,
    }  # fmt: skip


def put(path: Path, rows: list[dict[str, Any]], version: str = "1.2") -> Path:
    results = {"version": 3, "results": rows, "stats": {}}
    path.write_text(json.dumps({"results": results, "metadata": {"promptfooVersion": version}}))
    return path


def fixture(root: Path, tool: str, version: str, asked: dict[str, str], **check: Any) -> list[Unit]:
    """A unit that takes the scores of a tool, and one of texts with the case `hi`."""
    cases = [{"id": name, "input": name, "expect": {"question": digest}} for name, digest in asked.items()]
    data = {"version": 1, "suite": "scored", "check": {"from": tool, "version": version, **check}, "cases": cases}
    (root / "fixtures/desk").mkdir(parents=True, exist_ok=True)
    (root / "fixtures/desk/scored.yaml").write_text(json.dumps(data))
    text = {"version": 1, "suite": "schema", "unit": "text", "check": {"schema": {"type": "string"}, "extract": "text"},
            "cases": [{"id": "hi", "input": "hi", "expect": "hi!"}]}  # fmt: skip
    (root / "fixtures/desk/text.yaml").write_text(json.dumps(text))
    return list(load_tasks(root / "fixtures")[0].units)


def questions(path: Path) -> dict[str, str]:
    found = dict.fromkeys(each.whole_question for each in read_results(path).samples)
    return {f"c{number}": each for number, each in enumerate(found)}


@pytest.fixture
def units(tmp_path):
    file = put(tmp_path / "first.json", [row(each, place=place) for place, each in enumerate(TESTS)])
    asked = {sample.output[:-1]: sample.whole_question for sample in read_results(file).samples}
    return fixture(tmp_path, "promptfoo", "1.2", asked)


def scored(units: list[Unit], path: Path, name: str = "gpt") -> tuple[Record, tuple[str, ...]]:
    found = read_scored_outputs(path, units, name, "as-is")
    return evaluate(units, found.outputs, quiet()), found.notes


def scores(record: Record) -> dict[str, float | None]:
    return {key.rpartition("/")[2]: each.score for key, each in record.cases.items() if "/scored/" in key}


def test_a_case_passes_as_its_runner_says_wherever_its_result_stands(tmp_path, units):
    rows = [row(text, text != "bye", place=place) for place, text in enumerate(reversed(TESTS))]

    found, notes = scored(units, put(tmp_path / "any name.json", rows))

    assert (scores(found), notes) == ({"hi": 1.0, "bye": 0.0, "why": 1.0}, ())
    assert found.cases["desk/text/hi"].passed, "the output that the runner saw"
    assert score_again(units, found, "the record", quiet()).record.cases == found.cases


@pytest.mark.parametrize("tool", ["promptfoo", "deepeval", "inspect", "lm"])
@pytest.mark.parametrize("kind", ["old", "worse", "better"])
def test_the_files_of_the_tools_themselves(tmp_path, tool, kind):
    old, now = (read_results(path) for path in pair_of(tool, kind))
    metric = "pass" if "pass" in old.metrics else old.metrics[0]
    asked = questions(old.path)
    units = fixture(tmp_path, old.tool, old.version or "unknown", asked, metric=metric)

    found, notes = scored(units, now.path)

    given = {case: [s.scores[metric] for s in now.samples if s.whole_question == asked[case]] for case in asked}
    assert notes == ()
    assert scores(found) == pytest.approx({case: sum(each) / len(each) for case, each in given.items()})


def test_one_question_under_several_ids_is_one_case_with_their_mean(tmp_path, units):
    rows = [row(text, place=place) for place, text in enumerate([*TESTS, "hi", "hi", "hi"])]
    rows[-1] |= {"success": False, "score": 0.0}

    found, _ = scored(units, put(tmp_path / "r.json", rows))

    assert scores(found)["hi"] == 0.75
    assert found.cases["desk/scored/hi"].passed is False


ERROR = {"error": "API timeout", "failureReason": 2, "success": False, "score": 0.0, "response": {}}


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        (None, "why: no result with its input and its assertions"),
        (row("why!"), "why: no result with its input"),
        (row("why", testCase={"assert": [RUBRIC | {"value": "is rude"}]}), "why: no result with its input"),
        (row("why", testCase={"assert": [RUBRIC | {"provider": "openai:kind"}]}), "why: no result with its input"),
        (row("why", testCase={"assert": [RUBRIC], "threshold": 0.1}), "why: no result with its input"),
        (row("why", testCase={"assert": [RUBRIC], "options": {"provider": "kind"}}), "why: no result with its input"),
        (row("why", testCase={"assert": [{"type": "assert-set", "assert": [RUBRIC]}]}), "why: no result with its"),
        (row("why", **ERROR), "why: no pass, API timeout"),
        (row("why", success="yes"), "why: no pass"),
        (row("why", success=None), "why: no pass"),
    ],
)
def test_a_case_without_its_score_has_none_and_is_named_in_one_line(tmp_path, units, changed, why):
    rows = [row("hi"), row("bye", place=1), *([changed | {"testIdx": 2}] if changed else [])]

    found, [note] = scored(units, put(tmp_path / "r.json", rows))

    assert scores(found) == {"hi": 1.0, "bye": 1.0, "why": None}
    assert why in note
    assert "\n" not in note


@pytest.mark.parametrize("score", [float("nan"), float("inf"), "high", None, [], {}])
def test_a_score_that_is_no_number_is_none(tmp_path, score):
    file = put(tmp_path / "first.json", [row("hi"), row("bye", place=1)])
    units = fixture(tmp_path, "promptfoo", "1.2", questions(file), metric="score")

    found, [note] = scored(units, put(tmp_path / "r.json", [row("hi"), row("bye", place=1, score=score)]))

    assert scores(found) == {"c0": 1.0, "c1": None}
    assert "no score" in note


@pytest.mark.parametrize(
    ("check", "rows", "version", "why"),
    [
        ({}, [row("hi")], "1.3", r"promptfoo 1\.2, which scores desk/scored, found version 1\.3"),
        ({"metric": "score"}, [row("hi", score=1.5)], "1.2", r"score from 0 to 1 for desk/scored/c0, found 1\.5"),
        ({"metric": "latency"}, [row("hi", latencyMs=1)], "1.2", "of which more is better"),
        ({"metric": "scor"}, [row("hi")], "1.2", "none of that name; did you mean 'score'"),
        ({}, [row("hi"), row("hi", provider="p:b") | {"promptIdx": 1}], "1.2", "one provider or prompt, found 2"),
    ],
)
def test_what_is_not_what_the_unit_names_is_refused(tmp_path, check, rows, version, why):
    units = fixture(tmp_path, "promptfoo", "1.2", questions(put(tmp_path / "first.json", [row("hi")])), **check)

    with pytest.raises(Refused, match=why) as caught:
        scored(units, put(tmp_path / "r.json", rows, version))
    assert "\n" not in str(caught.value)


def test_of_two_providers_the_name_says_which(tmp_path, units):
    rows = [row(text, name == "p:a", provider=name, promptIdx=at, place=place)
            for place, text in enumerate(TESTS) for at, name in enumerate(["p:a", "p:b"])]  # fmt: skip
    path = put(tmp_path / "r.json", rows)

    assert [set(scores(scored(units, path, name)[0]).values()) for name in ("p-a", "p-b")] == [{1.0}, {0.0}]
    with pytest.raises(Refused, match=r"replay:p-a=.*r\.json, replay:p-b="):
        scored(units, path, "p")


def test_the_results_of_another_tool_are_refused(units):
    with pytest.raises(Refused, match="expected results of promptfoo, which scores desk/scored, found results of deep"):
        scored(units, pair_of("deepeval", "old")[0])


def test_lines_of_outputs_are_no_results(tmp_path, units):
    lines, results = tmp_path / "o.jsonl", put(tmp_path / "r.json", [row("hi")])
    lines.write_text('{"case": "desk/text/hi", "output": "x"}\n')

    assert [has_scores(path, units) for path in (lines, results, tmp_path / "none")] == [False, True, False]
    assert not has_scores(results, [unit for unit in units if unit.name == "text"])


FORGED = {
    "metric": "pass", "output": None, "passed": [True], "question": "", "reason": "", "runner": "promptfoo",
    "scores": [1.0], "version": "1.2",
}  # fmt: skip


@pytest.mark.parametrize(
    "output",
    ["", "yes", "1", "[]", "{}", "null", "{" * 5000, json.dumps(FORGED)]
    + [json.dumps(FORGED | each) for each in (
        {"scores": [2.0]}, {"scores": []}, {"scores": [True]}, {"scores": "1"}, {"passed": ["yes"]}, {"more": 1},
        {"scores": [float("nan")]}, {"scores": [1.0, 1.0]}, {"runner": "me"}, {"version": "9"}, {"metric": "cost"},
        {"question": question_of("another")},
    )],
)  # fmt: skip
def test_what_is_no_statement_of_the_runner_on_this_question_never_passes(units, output):
    [unit, _] = units
    model = Replay({(case.key, 0): Completion(case.key, output) for case in unit.cases}, _who())

    found = evaluate([unit], model, quiet())

    assert {(each.score, each.passed) for each in found.cases.values()} == {(0.0, False)}


def _who() -> Fingerprint:
    return Fingerprint({"model": "replay-x", "rung": "as-is"}, {"backend": "replay"}, {"model": "replay:x"})


def test_no_model_gives_scores(units):
    class Local(Replay):
        can = frozenset({"generate", "loglik"})

    with pytest.raises(Refused, match=r"desk/scored: expected the result file .* found the model replay:x"):
        evaluate(units, Local({}, _who()), quiet())


def test_what_decides_is_part_of_the_questions(tmp_path):
    asked = {"hi": question_of("hi")}
    (tmp_path / "check.js").write_text("one")
    files = {"files": ["../../check.js"]}

    def digests(version: str = "1.2", asked: dict[str, str] = asked, **check: Any) -> tuple[str, ...]:
        return tuple(fixture(tmp_path, "promptfoo", version, asked, **check)[0].questions.values())

    seen = {digests(), digests("1.3"), digests(metric="score"), digests(**files), digests(asked={"hi": "0" * 64})}
    (tmp_path / "check.js").write_text("two")
    assert len(seen | {digests(**files)}) == 6
    with pytest.raises(AuthoringError, match=r"files\[0\]: expected a file, by its path from this file"):
        digests(files=["../gone.js"])
