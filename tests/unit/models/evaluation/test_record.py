"""Records: what is written can be read, is what the schema says, and is whole."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from tests.support.records import record, write_desk, write_policy
from tunegate.harness.cases.json_schemas import published_schema
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.cases.model import UnitConfiguration
from tunegate.harness.checks.base import Finding
from tunegate.harness.core.errors import Refused
from tunegate.harness.core.files import stamped
from tunegate.harness.core.typed import as_data
from tunegate.harness.gate import rule as gate
from tunegate.harness.models.evaluation.record import Record, Result, Summary, read_record, results_of
from tunegate.harness.models.evaluation.verdict import UnitVerdict

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
NUMBER = st.floats(allow_nan=False, allow_infinity=False)
FINDINGS = st.lists(st.builds(Finding, TEXT, TEXT, TEXT), max_size=3).map(tuple)
COUNT = st.none() | st.integers(0, 10_000)
SINGLE = st.builds(
    Result,
    passed=st.none() | st.booleans(),
    score=st.none() | st.floats(0, 1),
    findings=FINDINGS,
    rates=st.dictionaries(TEXT, st.booleans(), max_size=2),
    output=st.none() | TEXT,
    tokens_in=COUNT,
    tokens_out=COUNT,
    finish=st.sampled_from([None, "stop", "length"]),
    generation=TEXT,
)
RESULT = SINGLE | st.builds(
    lambda one, repeats: replace(one, repeats=tuple(repeats)), SINGLE, st.lists(SINGLE, min_size=1, max_size=3)
)
PAIR = st.none() | st.tuples(NUMBER, NUMBER)
SUMMARY = st.builds(
    Summary,
    suite=TEXT,
    kind=st.sampled_from(["pass/fail", "continuous"]),
    n=st.integers(0, 99),
    unscored=st.integers(0, 99),
    mean=st.none() | NUMBER,
    interval=PAIR,
    rates=st.dictionaries(TEXT, NUMBER, max_size=2),
    tokens=PAIR,
)
POLICY = {"role": "guard", "margin": 0.05}


def whole(units: dict[str, Summary], results: list[tuple[str, Result]], **more: Any) -> Record:
    """A record whose parts belong together: every case is one of a unit, every unit has questions and a policy."""
    cases = {f"{list(units)[index % len(units)]}/{name}": each for index, (name, each) in enumerate(results) if units}
    return Record(cases=cases, units=units, policies=dict.fromkeys(units, POLICY), **more)


UNIT = TEXT.map(lambda text: f"desk/{text.replace('/', '-')}")
RECORD = st.dictionaries(UNIT, SUMMARY, max_size=2).flatmap(
    lambda units: st.builds(
        whole,
        units=st.just(units),
        results=st.lists(st.tuples(TEXT.map(lambda text: text.replace("/", "-")), RESULT), max_size=3),
        partial=st.booleans(),
        fingerprint=st.fixed_dictionaries(
            {
                "subject": st.dictionaries(TEXT, st.none() | TEXT, max_size=2).map(
                    lambda known: {"model": "m"} | known
                ),
                "engine": st.dictionaries(TEXT, TEXT, max_size=2),
            },
            optional={"names": st.dictionaries(TEXT, TEXT, max_size=2)},
        ),
        questions=st.fixed_dictionaries({unit: st.dictionaries(TEXT, TEXT, max_size=2) for unit in units}),
        configurations=st.just({unit: UnitConfiguration().as_dict() for unit in units}),
        adapter=st.none() | TEXT,
        created=TEXT,
        sealed=st.booleans(),
    )
)


@pytest.fixture
def judged(tmp_path):
    """A small record with verdicts and a decision."""
    write_desk(tmp_path, 4)
    write_policy(tmp_path, triage={"role": "target"})
    tasks = load_tasks(tmp_path)
    return gate.compare(
        tasks, record(tasks, {"desk/triage": "1101"}), {"baseline": record(tasks, {"desk/triage": "1100"})}, ["desk"]
    )


@given(RECORD)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_written_is_what_is_read(tmp_path, made):
    path = tmp_path / "record.json"
    assert read_record(made.write(path).path) == made


def test_a_gated_record_comes_back_whole(judged, tmp_path):
    assert read_record(judged.write(tmp_path / "record.json").path) == judged


def test_it_satisfies_the_published_schema(judged):
    Draft202012Validator.check_schema(published_schema("record"))
    Draft202012Validator(published_schema("record")).validate(json.loads(json.dumps(judged.as_dict())))


def test_it_is_plain_ascii_whatever_a_model_says(judged, tmp_path):
    cases = {"desk/triage/c000": Result(False, 0.0, output="Gr\u00fc\u00dfe \U0001f600 \u2028")}
    path = tmp_path / "record.json"
    replace(judged, cases=cases).write(path)
    assert path.read_bytes().isascii()
    assert read_record(path).cases == cases


def test_a_record_that_was_cut_off_is_refused_by_name(judged, tmp_path):
    path = judged.write(tmp_path / "record.json").path
    text = path.read_text()
    for end in (0, len(text) // 2, len(text) - 3):
        path.write_text(text[:end])
        with pytest.raises(Refused, match=r"record\.json(:\d+)?: expected a record \(JSON\), found"):
            read_record(path)


def test_a_missing_record_is_refused_by_name(tmp_path):
    with pytest.raises(Refused, match=r"gone\.json: expected a record \(JSON\), found nothing there"):
        read_record(tmp_path / "gone.json")


@pytest.mark.parametrize(("change", "found"), [
    ({"schema_version": 1}, r"schema_version: 3 was expected"),
    ({"cases": {"a/b/c": {"score": "1.0", "findings": [], "output": None}}}, r"cases.*'1.0' is not of type"),
    (
        {"tasks": {"desk": {"decision": "maybe", "remarks": [], "blocking": [], "short": [], "no_target": False}}},
        "'maybe'",
    ),
    ({"verdicts": {"desk/triage": {"verdict": "held", "remarks": []}}}, "'role' is a required property"),
])  # fmt: skip
def test_what_is_no_record_is_refused_with_the_place(judged, tmp_path, change, found):
    path = tmp_path / "record.json"
    path.write_text(json.dumps(judged.as_dict() | change))
    with pytest.raises(Refused, match=found):
        read_record(path)


@pytest.mark.parametrize(
    ("text", "found"),
    [('{"schema_version": 1, "schema_version": 1}', "the key 'schema_version' twice"), ('{"a": NaN}', "NaN")],
)
def test_keys_written_twice_and_nan_are_refused(tmp_path, text, found):
    path = tmp_path / "record.json"
    path.write_text(text)
    with pytest.raises(Refused, match=found):
        read_record(path)


def test_nothing_is_written_where_writing_fails(judged, tmp_path):
    broken = replace(judged, cases={"desk/triage/c000": Result(False, float("nan"))})
    with pytest.raises(ValueError, match="JSON"):
        broken.write(tmp_path / "record.json")
    assert not (tmp_path / "record.json").exists()


def test_every_answer_can_be_had_with_its_repeat(tmp_path):
    write_desk(tmp_path, 2)
    made = record(load_tasks(tmp_path), {"desk/triage": [(1, 0), (0, 0)]})
    assert [(key, repeat, each.passed) for key, repeat, each in results_of(made)] == [
        ("desk/triage/c000", 0, True),
        ("desk/triage/c000", 1, False),
        ("desk/triage/c001", 0, False),
        ("desk/triage/c001", 1, False),
    ]


def test_a_unit_does_not_get_the_cases_of_one_whose_name_it_begins(tmp_path):
    write_desk(tmp_path, 1)
    write_desk(tmp_path, 1, "triage2")
    made = record(load_tasks(tmp_path), {"desk/triage": "1", "desk/triage2": "0"})
    assert [result.passed for result in made.of_unit("desk/triage").values()] == [True]


def with_verdict(record, verdict: dict[str, Any], path: Path) -> Path:
    """A record's file with another verdict on desk/triage."""
    data = record.as_dict()
    del data["digest"]
    path.write_text(json.dumps(stamped(data | {"verdicts": {"desk/triage": verdict}})))
    return path


FACTS = [each.name for each in fields(UnitVerdict)]


@pytest.mark.parametrize("name", FACTS)
def test_a_verdict_that_lacks_a_part_or_has_an_odd_one_is_refused(judged, tmp_path, name):
    rest = {key: value for key, value in as_data(judged.verdicts["desk/triage"]).items() if key != name}
    lacking = [] if name in ("labelled", "cases") else [rest]  # only some units have these
    for forged in (*lacking, rest | {name: {"x": []}}):
        path = with_verdict(judged, forged, tmp_path / "record.json")
        with pytest.raises(Refused, match=name):
            read_record(path)


@pytest.mark.parametrize(("part", "found"), [
    ({"code": "bad-weather"}, "'bad-weather' is not one of"), ({"severity": "fatal"}, "'fatal' is not one of"),
    ({"text": None}, "text: None is not of type 'string'"), ({"units": "desk"}, "units: 'desk' is not of type 'array'"),
    ({"more": 1}, r"\('more' was unexpected\)"),
])  # fmt: skip
@pytest.mark.parametrize("of", ["verdicts", "tasks"])
def test_a_remark_with_an_odd_part_is_refused(judged, tmp_path, of, part, found):
    data = judged.as_dict()
    del data["digest"]
    [[first, *_]] = [each["remarks"] for each in data[of].values()]
    first |= part
    (tmp_path / "record.json").write_text(json.dumps(stamped(data)))
    with pytest.raises(Refused, match=found):
        read_record(tmp_path / "record.json")


@pytest.mark.parametrize("name", ["difference", "level", "p_worse", "margin"])
def test_a_verdict_with_an_interval_has_all_that_it_rests_on(judged, tmp_path, name):
    forged = as_data(judged.verdicts["desk/triage"]) | {name: None}
    path = with_verdict(judged, forged, tmp_path / "record.json")
    with pytest.raises(Refused, match=rf"{name}: None is not of type 'number'"):
        read_record(path)


PART = {
    "name": "clean", "label": "no banned word", "n": 9, "base": 1.0, "mean": 0.5, "margin": 0.1,
    "interval": [-0.7, -0.2], "p_worse": 0.01, "declared": "a complaint each", "fell": True, "named": "",
    "observations": 9, "difference": -0.5, "whole": False, "base_only": None, "mean_only": None,
}  # fmt: skip
UNGATED = PART | {"margin": None, "interval": None, "p_worse": None, "declared": "", "fell": False}


@pytest.mark.parametrize(("part", "found"), [
    (PART | {"interval": None}, "interval: None is not of type 'array'"),
    (PART | {"p_worse": None}, "p_worse: None is not of type 'number'"),
    (UNGATED | {"interval": [0, 1]}, r"interval: \[0, 1\] is not of type 'null'"),
    (PART, None), (UNGATED, None),
])  # fmt: skip
def test_a_part_with_a_margin_has_all_that_it_rests_on(judged, tmp_path, part, found):
    forged = as_data(judged.verdicts["desk/triage"]) | {"parts": [part]}
    path = with_verdict(judged, forged, tmp_path / "record.json")
    if found is None:
        [read] = read_record(path).as_dict()["verdicts"]["desk/triage"]["parts"]
        assert read == part
        return
    with pytest.raises(Refused, match=found):
        read_record(path)
