"""A finding of a schema leads to the line of the keyword that the answer breaks."""

from __future__ import annotations

import pytest

from tests.support.units import SCHEMA, write_unit
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.checks.schema.check import load
from tunegate.harness.core.authoring.yaml_reader import read_yaml

IN_JSON = """\
{
  "type": "object",
  "properties": {
    "product": {"$ref": "#/$defs/product"},
    "rest": {
      "additionalProperties": false
    }
  },
  "required": ["product"],
  "$defs": {
    "product": {
      "enum": ["boiler", "radiator"]
    }
  }
}
"""
INLINE = """\
suite: schema
check:
  schema:
    properties:
      count:
        type: integer
        minimum: 1
"""


@pytest.fixture
def check(tmp_path, monkeypatch):
    """A check with the schema in IN_JSON, or another text of it."""
    monkeypatch.chdir(tmp_path)

    def build(schema=IN_JSON):
        (tmp_path / "order.schema.json").write_text(schema)
        (tmp_path / "fixture.yaml").write_text("suite: schema\ncheck: {schema: order.schema.json}\n")
        document = read_yaml(tmp_path / "fixture.yaml")
        return load(document.data["check"], document, ("check",))

    return build


def sources(check, answer):
    return [finding.source for finding in check(answer, None, "").findings]


@pytest.mark.parametrize(("answer", "line"), [
    ("[]", 2),  # type
    ("{}", 9),  # required
    ('{"product": "tap"}', 12),  # enum, through the reference
    ('{"product": "boiler", "rest": {"x": 1}}', 6),  # additionalProperties
])  # fmt: skip
def test_the_line_is_that_of_the_keyword(check, answer, line):
    assert sources(check(), answer) == [f"order.schema.json:{line}"]


def test_a_schema_inside_a_fixture_file_is_found_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fixture.yaml").write_text(INLINE)
    document = read_yaml(tmp_path / "fixture.yaml")
    made = load(document.data["check"], document, ("check",))

    assert sources(made, '{"count": "1"}') == ["fixture.yaml:6"]
    assert sources(made, '{"count": 0}') == ["fixture.yaml:7"]


def test_what_has_no_line_has_no_source(check):
    assert sources(check(), "no idea") == [""]  # of no keyword
    assert sources(check(IN_JSON.replace("  ", "\t")), "[]") == [""]  # YAML, which counts the lines, knows no tabs


def test_another_draft_inside_changes_no_line(check):
    embedded = IN_JSON.replace(
        '"rest": {', '"rest": {"$id": "x", "$schema": "http://json-schema.org/draft-07/schema#",'
    )
    assert sources(check(embedded), '{"product": "tap"}') == ["order.schema.json:12"]
    assert sources(check(embedded), '{"product": "boiler", "rest": {"x": 1}}') == ["order.schema.json:6"]


def test_the_source_is_no_part_of_what_was_found(check):
    [found] = check()("[]", None, "").findings
    [other] = check(IN_JSON.replace('{\n  "type"', '{\n\n  "type"'))("[]", None, "").findings
    assert (found.source, other.source) == ("order.schema.json:2", "order.schema.json:3")
    assert found == other
    assert found.sourced == "schema.type: should be an object, is [] (order.schema.json:2)"


def test_a_check_from_two_places_of_a_file_is_read_and_has_no_source(tmp_path):
    case = {"id": "a", "input": "x", "expect": {"product": "boiler"}, "check": {"extract": "fenced"}}
    write_unit(tmp_path, ["a"], check={"schema": SCHEMA}, cases=[case])
    [task] = load_tasks(tmp_path)
    assert sources(task.units[0].cases[0].check, "[]") == [""]
