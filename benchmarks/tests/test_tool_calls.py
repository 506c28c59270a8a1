"""The comparison with BFCL: how its entries become fixtures, what a mistake makes of a result, and each cause."""

from __future__ import annotations

import json
from dataclasses import replace
from random import Random

import pytest

from benchmarks.frame import Failed
from benchmarks.tool_calls import (
    BLANK,
    DEEP,
    IN_TEXT,
    OWN,
    STRICTER,
    UNKNOWN,
    UNREADABLE,
    WRITING,
    Found,
    broken,
    entry_alike,
    judge,
    report,
)
from benchmarks.tool_calls_mistakes import MISTAKES, NEEDLESS, QUIET, RIGHT, planted
from benchmarks.tool_calls_sets import Entry, json_schema, load_cases, read_entries, values, write_fixtures
from benchmarks.tool_calls_theirs import HOME, decoded

PARAMETERS = {
    "type": "dict",
    "required": ["city", "days"],
    "properties": {
        "city": {"type": "string"},
        "days": {"type": "integer"},
        "box": {"type": "array", "items": {"type": "float"}},
        "unit": {"type": "string", "enum": ["C", "F"], "optional": True},
        "who": {"type": "dict", "properties": {"adults": {"type": "integer"}, "dogs": {"type": "integer"}}},
    },
}
ANSWER = {"city": ["New York"], "days": [3], "box": [[1.0, 3.0], ""], "unit": ["", "C"],
          "who": ["", {"adults": [1, 2], "dogs": [0, ""]}]}  # fmt: skip
WEATHER = {"name": "weather.get", "description": "", "parameters": PARAMETERS}
ENTRIES = [
    Entry("parallel_0", "parallel", "?", [WEATHER], [{"weather.get": ANSWER}, {"weather.get": ANSWER | {"days": [5]}}]),
    Entry("simple_python_0", "simple_python", "?", [WEATHER], [{"weather.get": ANSWER}]),
    Entry("irrelevance_0", "irrelevance", "?", [WEATHER], []),
]
GIVEN = {"city": "New York", "days": 3}


@pytest.fixture
def bfcl(tmp_path):
    """A folder with a checker in the place of BFCL's, which refuses cities that are called like its errors."""
    home = tmp_path / "gorilla" / HOME / "bfcl_eval"
    for name, text in {
        "constants/enums.py": "class Language:\n    PYTHON = 1\n",
        "eval_checker/ast_eval/ast_checker.py": "from bfcl_eval.constants.model_config import MODEL_CONFIG_MAPPING\n"
        "def ast_checker(functions, calls, answer, language, category, model):\n"
        "    assert MODEL_CONFIG_MAPPING[model].underscore_to_dot\n"
        f"    bad = [each['city'] for call in calls for each in call.values() if each['city'] in {[*STRICTER]}]\n"
        "    return {'valid': not bad, 'error_type': 'type', 'error': bad}\n",
    }.items():
        (home / name).parent.mkdir(parents=True)
        (home / name).write_text(text, "utf-8")
    return tmp_path / "gorilla"


def cases(folder, entries=ENTRIES):
    write_fixtures(entries, folder / "ours")
    write_fixtures(entries, folder / "as-text", as_text=True)
    write_fixtures([entry_alike(entry) for entry in entries], folder / "alike")
    return [load_cases(folder / name) for name in ("ours", "as-text", "alike")]


def test_schemas_and_possible_answers_are_read():
    schema = json_schema(PARAMETERS)
    assert schema["type"] == schema["properties"]["who"]["type"] == "object"
    assert schema["properties"]["box"]["items"] == {"type": "number"}
    assert "optional" not in schema["properties"]["unit"]
    assert values(ANSWER["who"]) == [
        {"adults": 1, "dogs": 0}, {"adults": 1}, {"adults": 2, "dogs": 0}, {"adults": 2}
    ]  # fmt: skip
    assert values([[1, 2], ""]) == [[1, 2]]


def test_answers_that_a_function_refuses_are_named_and_entries_without_one_are_left_out(tmp_path):
    wrong = replace(ENTRIES[1], id="wrong", answer=[{"weather.get": ANSWER | {"days": ["three"]}}])
    partly = replace(ENTRIES[1], id="partly", answer=[{"weather.get": ANSWER | {"unit": ["", "C", "K"]}}])
    refused = write_fixtures([wrong, partly], tmp_path / "one")

    assert refused == {"wrong": ['days="three"', "days: no value is left"], "partly": ['unit="K"']}
    assert [*load_cases(tmp_path / "one")] == ["partly"]


def test_names_with_another_schema_are_in_another_file(tmp_path):
    other = WEATHER | {"parameters": {"type": "dict", "properties": {}, "required": []}}
    write_fixtures([*ENTRIES, replace(ENTRIES[2], id="irrelevance_1", function=[other])], tmp_path / "two")

    assert len([*(tmp_path / "two").iterdir()]) == 2


def test_every_mistake_is_wrong_and_what_is_right_is_right(tmp_path):
    ours, *_ = cases(tmp_path)
    from benchmarks.tool_calls_sets import as_message

    found = {(kind, ENTRIES[index].id): result for kind, index, result in planted(ENTRIES, Random(1))}
    assert {kind for kind, _ in found} == {*MISTAKES, NEEDLESS, QUIET, RIGHT}
    for (kind, name), result in found.items():
        outcome = ours[name].check(as_message(result), ours[name].expect, "")
        assert (outcome.score == 1) == (kind in {QUIET, RIGHT}), (kind, result)


CALL = "weather_get"
DIFFERENCES = [
    (1, [{CALL: GIVEN | {"city": "new-york"}}], True, WRITING),
    (1, [{CALL: GIVEN | {"unit": " "}}], True, BLANK),
    (1, [{CALL: GIVEN | {"box": []}}], True, BLANK),
    (1, [{CALL: GIVEN | {"who": {"adults": True}}}], True, DEEP),
    (1, [{CALL: GIVEN | {"unit": "K"}}], True, OWN),
    (1, [{CALL: GIVEN | {"days": 4}}], True, UNKNOWN),
    (2, "You can write `weather_get(city='Oslo', days=1)`.", True, IN_TEXT),
    (2, [{CALL: '{"city": "Os'}], True, UNREADABLE),
]


@pytest.mark.parametrize(("index", "result", "valid", "why"), DIFFERENCES)
def test_each_difference_has_its_cause(bfcl, tmp_path, index, result, valid, why):
    [judged] = judge(bfcl, ENTRIES, cases(tmp_path), [("model", index, result)])

    assert (judged.theirs, judged.ours, judged.cause) == (valid, False, why)


@pytest.mark.parametrize("city", STRICTER)
def test_what_only_bfcl_refuses_has_its_cause(bfcl, tmp_path, city):
    entries = [replace(ENTRIES[1], answer=[{"weather.get": ANSWER | {"city": [city]}}])]
    [judged] = judge(bfcl, entries, cases(tmp_path, entries), [("model", 0, [{CALL: GIVEN | {"city": city}}])])

    assert (judged.theirs, judged.ours, judged.cause) == (False, True, STRICTER[city])


@pytest.mark.parametrize(("city", "agrees"), [("new-york", True), ("Bern", False)])
def test_a_text_written_otherwise_is_right_as_text(bfcl, tmp_path, city, agrees):
    [judged] = judge(bfcl, ENTRIES, cases(tmp_path), [("model", 1, [{CALL: GIVEN | {"city": city}}])])

    assert judged.as_text == agrees


def test_what_both_say_has_no_cause(bfcl, tmp_path):
    [same] = judge(bfcl, ENTRIES, cases(tmp_path), [("model", 1, [{CALL: GIVEN}])])

    assert same.agrees
    assert not same.cause


def test_a_difference_without_a_cause_breaks_the_promise_and_stands_in_the_report(bfcl, tmp_path):
    judged = judge(bfcl, ENTRIES, cases(tmp_path), [("model", 1, [{CALL: GIVEN | {"days": 4}}])])
    planted_ones = judge(bfcl, ENTRIES, cases(tmp_path / "again"), [*planted(ENTRIES, Random(1))])
    found = Found(judged, planted_ones, {"partly": ['unit="K"']})

    said = "; ".join(broken(found))
    assert "published outputs: 0.00 % agree" in said
    assert "no known cause, such as model on simple_python_0" in said
    assert f"| {UNKNOWN} | 1 |" in report(found, "made")


def test_what_bfcl_cannot_decode_is_no_call():
    assert decoded("[f(x=1)]") is None
    assert decoded([{"f": '{"x": 1'}]) is None
    assert decoded([{"f": "[1]"}]) is None
    assert decoded([{"f": '{"x": 1}'}, {"g": {}}]) == [{"f": {"x": 1}}, {"g": {}}]


def test_a_folder_without_the_sets_is_refused(tmp_path):
    with pytest.raises(Failed, match="clone ShishirPatil/gorilla"):
        read_entries(tmp_path)
    home = tmp_path / HOME / "bfcl_eval" / "data"
    home.mkdir(parents=True)
    (home / "possible_answer").mkdir()
    for folder in (home, home / "possible_answer"):
        (folder / "BFCL_v4_simple_python.json").write_text(json.dumps({}), "utf-8")
    with pytest.raises(Failed, match="expected 400 questions"):
        read_entries(tmp_path)
