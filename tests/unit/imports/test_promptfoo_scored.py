"""What no check scores of a promptfoo file becomes a unit that promptfoo scores; nothing is left out."""

from __future__ import annotations

import json

import pytest
import yaml

from tests.support.imports import config, fixtures_of, put
from tests.support.results import pair_of
from tests.unit.imports.test_promptfoo import result
from tunegate.harness.begin.results.read import read_results
from tunegate.harness.begin.results.scored_outputs import read_scored_outputs
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.core.errors import Refused, UsageError
from tunegate.harness.imports.recognise import import_source
from tunegate.harness.imports.write import write_import

JS, OK = {"type": "javascript", "value": "output.length < 9"}, {"type": "contains", "value": "a"}


def results(path, *rows, version="1.2"):
    found = {"version": 3, "results": list(rows), "stats": {}}
    return put(path, {"results": found, "metadata": {"promptfooVersion": version}})


def row(test, *assertions, said="a", **more):
    return result(test, 0, said, vars={"x": said}, testCase={"vars": {"x": said}, "assert": list(assertions)}, **more)


@pytest.mark.parametrize(
    "kind", ["javascript", "llm-rubric", "similar", "cost", "latency", "g-eval", "webhook", "mine"]
)
def test_a_test_whose_assertion_has_no_home_is_scored_by_promptfoo(tmp_path, kind):
    path = put(tmp_path / "promptfooconfig.yaml", config({"type": kind, "value": "x"}))
    data = fixtures_of(import_source(path), tmp_path)

    assert list(data) == ["scored"]
    assert data["scored"]["check"] == {"from": "promptfoo", "version": "unknown"}
    assert [case["input"] for case in data["scored"]["cases"]] == ["a"]


def test_a_file_whose_assertions_all_have_a_home_has_no_such_unit(tmp_path):
    assert import_source(results(tmp_path / "r.json", row(0, OK), row(1, OK, said="b"))).scored is None


def test_the_unit_holds_every_test_with_the_ids_of_the_others(tmp_path):
    path = results(
        tmp_path / "r.json", row(0, OK), row(1, JS, said="b"), row(2, OK, JS, said="c"), row(3, OK, JS, said="c")
    )
    imported = import_source(path)
    data = fixtures_of(imported, tmp_path)

    ids = {case["input"]: case["id"] for case in data["scored"]["cases"]}
    assert ids == {"a": "case-001", "b": "test-002", "c": "case-003"}  # one question under two ids is one case
    assert data["scored"]["check"] == {"from": "promptfoo", "version": "1.2"}
    asked = [case["expect"]["question"] for case in data["scored"]["cases"]]
    assert asked == list(dict.fromkeys(each.whole_question for each in read_results(path).samples))


def test_a_configuration_asks_what_its_results_say(tmp_path):
    test = {"vars": {"x": "a"}, "assert": [JS], "threshold": 0.5, "options": {"provider": "openai:judge"}}
    source = put(tmp_path / "promptfooconfig.yaml", {
        "prompts": ["{{x}}"], "defaultTest": {"assert": [OK]}, "tests": [test],
    })  # fmt: skip
    whole = test | {"assert": [OK, JS]}
    path = results(tmp_path / "r.json", result(0, 0, "a", vars={"x": "a"}, testCase=whole))

    [case] = import_source(source).scored.cases
    assert case.question == read_results(path).samples[0].whole_question


def test_tests_that_send_one_prompt_are_one_observation(tmp_path):
    rows = [row(n, JS, said=said) | {"prompt": {"raw": raw, "label": "l"}}
            for n, (said, raw) in enumerate([("1", "Hi"), ("2", "Hi"), ("3", "Bye")])]  # fmt: skip
    data = fixtures_of(import_source(results(tmp_path / "r.json", *rows)), tmp_path)

    groups = [case.get("group") for case in data["scored"]["cases"]]
    assert groups[0] == groups[1]
    assert (groups[0] is not None, groups[2]) == (True, None)


def test_a_result_file_is_the_model_of_what_it_scored(tmp_path):
    rows = [row(0, JS), row(0, JS, promptIdx=1) | {"provider": {"id": "openai:gpt-4o", "label": "the new"}}]
    path = results(tmp_path / "out/r.json", *rows)

    written = write_import(import_source(path), "desk", tmp_path, tmp_path / "fixtures")

    assert written.models == ("replay:p-0=out/r.json", "replay:the-new=out/r.json")
    assert not (tmp_path / "outputs").exists()


def test_scripts_that_decide_are_named_with_their_place(tmp_path):
    for name in ("check.js", "judge.py"):
        put(tmp_path / "desk" / name, "1")
    put(tmp_path / "secret.js", "1")
    values = ["file://check.js", "file://judge.py:grade", "file://../secret.js", "file://gone.js", "file://\0"]
    path = put(tmp_path / "desk/promptfooconfig.yaml", config(*({"type": "javascript", "value": v} for v in values)))
    write_import(import_source(path), "t", tmp_path, tmp_path / "fixtures")

    data = yaml.safe_load((tmp_path / "fixtures/t/scored.yaml").read_text())
    assert data["check"]["files"] == ["../../desk/check.js", "../../desk/judge.py"]
    assert load_tasks(tmp_path / "fixtures")


def test_a_configuration_in_a_subfolder_imports_below_a_root(tmp_path):
    put(tmp_path / "prompts/say.txt", "Say {{x}}")
    put(tmp_path / "secret.txt", "secret")
    path = put(
        tmp_path / "evals/desk/promptfooconfig.yaml", {**config(OK), "prompts": ["file://../../prompts/say.txt"]}
    )

    alone = import_source(path)
    assert any("or below --root DIR" in why for _, why in alone.tally.left)
    assert (len(alone.cases), len(import_source(path.parent, root=tmp_path).cases)) == (0, 1)
    assert import_source(path, root=tmp_path / "evals").cases == ()
    for root in (tmp_path / "prompts", tmp_path / "gone", path):
        with pytest.raises(UsageError, match=r"--root .*: expected a folder above"):
            import_source(path, root=root)


@pytest.mark.parametrize(
    "said", ["# no\nsuite: x", "a\0b", "\ud800", " ", "{{x}}", "x" * 50_000, "\u202etxt", "- id: y"]
)
def test_whatever_a_variable_holds_the_fixture_is_valid_or_refused(tmp_path, said):
    path = tmp_path / "r.json"
    path.write_text(json.dumps({"results": {"version": 3, "stats": {}, "results": [row(0, JS, said=said)]}}))
    try:
        imported = import_source(path)
    except Refused:
        return
    assert len(fixtures_of(imported, tmp_path)["scored"]["cases"]) == 1


@pytest.mark.parametrize("tool", ["deepeval", "inspect", "lm"])
def test_a_result_file_of_another_tool_becomes_the_unit_that_takes_its_scores(tmp_path, tool):
    path = pair_of(tool, "old")[0]
    imported = import_source(path)
    data = fixtures_of(imported, tmp_path)
    units = list(load_tasks(tmp_path / "fixtures")[0].units)

    found = read_scored_outputs(path, units, "any", "as-is")
    assert found.notes == ()
    assert list(data) == ["scored"]
    assert len(found.outputs.completions) == len(data["scored"]["cases"])
