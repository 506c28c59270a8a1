"""The published JSON Schemas: made from the code, true to the demo, and strict with the mistakes people make.

After a change that is meant: `make golden`, then read the files' diff.
"""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from tests.support.paths import ROOT
from tunegate.harness.cases.json_schemas import PUBLISHED, made, published_schema
from tunegate.harness.checks.registry import CHECKS, shipped_kinds
from tunegate.harness.cli.main import app
from tunegate.harness.core.authoring.yaml_reader import read_yaml

DEMO = ROOT / "fixtures" / "support"
FIXTURE = Draft202012Validator(published_schema("fixture"))
FILES = [path for path in sorted(DEMO.glob("*.yaml")) if path.name != "task.yaml"]


@pytest.mark.golden
@pytest.mark.parametrize("name", made())
def test_the_committed_file_is_what_the_code_makes(name):
    path, text = ROOT / "harness/cases" / f"{name}.schema.json", json.dumps(made()[name], indent=2) + "\n"
    if os.environ.get("TUNEGATE_GOLDEN") == "write":
        path.write_text(text)

    assert path.read_text() == text, "`make golden`, then read the diff"


def test_each_is_a_schema_with_a_title():
    for name in PUBLISHED:
        Draft202012Validator.check_schema(published_schema(name))
        assert published_schema(name)["title"].startswith("Tunegate")


def test_every_suite_is_named():
    assert published_schema("fixture")["properties"]["suite"]["enum"] == list(shipped_kinds().suites)


def properties(found: Any) -> Iterator[tuple[str, Any]]:
    """Every property that a schema describes, but for the conditions of an `if`."""
    if isinstance(found, dict):
        yield from found.get("properties", {}).items()
        for key, inner in found.items():
            yield from () if key == "if" else properties(inner)
    elif isinstance(found, list):
        for inner in found:
            yield from properties(inner)


def test_every_key_is_described_to_whoever_hovers_over_it():
    for name in ["file", "task", "terms", "voice"]:
        whole = published_schema(name)

        for key, shape in properties(whole):
            target = whole["$defs"][shape["$ref"].rpartition("/")[2]] if "$ref" in shape else shape
            assert "description" in shape or "description" in target, key


def test_every_option_and_expectation_of_a_suite_is_described():
    for row in CHECKS:
        for part in (CHECKS[row].options, CHECKS[row].expect):
            for key, shape in properties(part):
                assert shape.get("description"), key


@pytest.mark.data("fixtures/support/**/*.yaml", "harness/cases/*.schema.json")
def test_the_demo_is_valid_and_points_editors_to_its_schema():
    for path in FILES:
        first = path.read_text("utf-8").partition("\n")[0]

        assert (path.parent / first.removeprefix("# yaml-language-server: $schema=")).resolve() == (
            ROOT / "harness/cases/fixture.schema.json"
        )
        assert [error.message for error in FIXTURE.iter_errors(read_yaml(path).data)] == []


@pytest.mark.data("fixtures/support/**/*.yaml", "harness/cases/*.schema.json")
@pytest.mark.parametrize("name", ["terms", "voice"])
def test_the_demo_s_references_are_valid_and_point_editors_to_their_schema(name):
    path = DEMO / "refs" / f"{name}.yaml"
    first = path.read_text("utf-8").partition("\n")[0]

    assert first == f"# yaml-language-server: $schema=../../../harness/cases/{name}.schema.json"
    Draft202012Validator(published_schema(name)).validate(read_yaml(path).data)


def spoilt(name: str, *where: str | int, value: Any = None) -> Any:
    """A file of the demo with one value changed or, without a new one, deleted."""
    data = copy.deepcopy(read_yaml(DEMO / f"{name}.yaml").data)
    inner = data
    for part in where[:-1]:
        inner = inner[part]
    if value is None:
        del inner[where[-1]]
    else:
        inner[where[-1]] = value
    return data


PLANTED = {
    "an unknown key": spoilt("triage", "case", value=[]),
    "no suite": spoilt("triage", "suite"),
    "an unknown suite": spoilt("triage", "suite", value="shcema"),
    "a misspelt option": spoilt("triage", "check", "extarct", value="strict"),
    "an unknown way to extract": spoilt("triage", "check", "extract", value="loose"),
    "another suite's option": spoilt("triage", "check", "terms", value="refs/terms.yaml"),
    "no check": spoilt("triage", "check"),
    "a check without what it needs": spoilt("wording", "check", value={}),
    "an unknown measure": spoilt("word-choice", "check", value={"measure": "pares"}),
    "a suite without a measure": spoilt("passages", "check"),
    "a measure where there is none": spoilt("triage", "check", "measure", value="pairs"),
    "no expect": spoilt("wording", "cases", 0, "expect"),
    "an expect of another suite": spoilt("replies", "cases", 0, "expect", value={"terms": ["engineer"]}),
    "a pair of one": spoilt("word-choice", "cases", 0, "expect", "other"),
    "an answer that is no list": spoilt("questions", "cases", 0, "expect", value={"answer": "paris"}),
    "a passage with a prompt": spoilt("passages", "prompt", value={"system": "Go on."}),
    "a passage with an expect": spoilt("passages", "cases", 0, "expect", value={"answer": ["x"]}),
    "a case's option out of range": spoilt("replies", "cases", 0, "check", value={"content": 40}),
    "a number as input": spoilt("triage", "cases", 0, "input", value=42),
    "critical: yes": spoilt("triage", "cases", 0, "critical", value="yes"),
    "a cost file of no unit": {"version": 1, "suite": "cost"},
    "a cost file with cases": {"version": 1, "suite": "cost", "of": "triage", "cases": [{"id": "a", "input": "hi"}]},
    "cases of another unit": spoilt("triage", "of", value="orders"),
    "a temperature in words": spoilt("triage", "generate", "temperature", value="low"),
}


def test_a_planted_mistake_is_refused():
    for mistake, data in PLANTED.items():
        assert not FIXTURE.is_valid(data), mistake


def test_a_check_may_stand_on_the_cases_instead_of_the_file():
    data = spoilt("triage", "check")
    for case in data["cases"]:
        case["check"] = {"schema": "refs/triage.schema.json"}

    assert FIXTURE.is_valid(data)
    del data["cases"][3]["check"]
    assert not FIXTURE.is_valid(data)


def test_a_cost_file_names_a_unit_and_has_no_cases():
    assert FIXTURE.is_valid({"version": 1, "suite": "cost", "unit": "triage-cost", "of": "triage"})


def test_the_command_prints_a_schema_and_knows_which_was_meant():
    printed, refused = (CliRunner().invoke(app, ["schema", name]) for name in ("fixture", "fixtures"))

    assert json.loads(printed.stdout) == published_schema("fixture")
    assert (refused.exit_code, "did you mean 'fixture'?" in refused.stderr) == (2, True)
