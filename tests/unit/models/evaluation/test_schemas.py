"""The published schemas of records, sidecars and baselines are what their types say."""

from __future__ import annotations

import json
import os

import pytest
from jsonschema import Draft202012Validator

from tests.support.paths import ROOT
from tests.support.schemas import derived


@pytest.mark.golden
@pytest.mark.parametrize("name", ["record", "sidecar", "baseline"])
def test_the_committed_file_is_what_the_types_say(name):
    path, schema = ROOT / "harness/cases" / f"{name}.schema.json", derived()[name]
    Draft202012Validator.check_schema(schema)
    text = json.dumps(schema, indent=2) + "\n"
    if os.environ.get("TUNEGATE_GOLDEN") == "write":
        path.write_text(text)

    assert path.read_text() == text, "`make golden`, then read the diff"


def test_each_part_is_closed_and_says_what_must_stand():
    parts = derived()["record"]["$defs"]
    assert {name for name, each in parts.items() if each.get("additionalProperties") is not False} == {
        "FieldCount", "policy", "subject",  # a list, and what has more keys than it must
    }  # fmt: skip
    assert parts["Result"]["required"] == ["score", "findings", "output"]
    assert parts["PartVerdict"]["properties"]["interval"]["type"] == ["array", "null"]
    assert parts["UnitVerdict"]["properties"]["near"]["properties"]["n"] == {"type": "integer", "minimum": 1}
    assert derived()["record"]["properties"]["timing"]["type"] == ["object", "null"]
