"""Which schemas answers can be held to, without a model."""

from __future__ import annotations

import json
import sys

import pytest

from tunegate.harness.cases.model import Decoding
from tunegate.harness.checks.base import Constraint
from tunegate.harness.core.errors import CouldNotRun
from tunegate.harness.models.api import Request, Unconstrainable
from tunegate.harness.models.local.constrained import check_constraints, library


def asks(*schemas: dict) -> list[Request]:
    return [
        Request(f"desk/triage/{at}", (), Decoding(), constraint=Constraint(json.dumps(schema), f"{at}.schema.json"))
        for at, schema in enumerate(schemas)
    ]


def test_schemas_that_a_grammar_is_made_of_pass():
    check_constraints([*asks({"type": "object"}, {"enum": ["a"]}), Request("desk/free/a", (), Decoding())])


def test_what_no_grammar_is_made_of_is_refused_by_file_and_keyword():
    for schema, found in [
        ({"type": "array", "contains": {"const": 1}}, 'Unimplemented keys: ["contains"]'),
        ({"properties": {"a": {"not": {}}}}, 'Unimplemented keys: ["not"]'),
        ({"type": "string", "format": "int32"}, "Unknown format: int32"),
        ({"type": "string", "pattern": "(?=a)b"}, "look-ahead and look-behind, is not supported"),
        ({"oneOf": [{"type": "object"}, {"type": "object", "title": "b"}]}, "oneOf constraints are not supported"),
        ({"enum": []}, "Unsatisfiable schema: anyOf is empty"),
    ]:
        good, bad = asks({"type": "object"}, schema)
        with pytest.raises(Unconstrainable) as caught:
            check_constraints([good, bad])
        assert str(caught.value).startswith(
            "expected schemas that outputs can be constrained to, found:\n  1.schema.json: "
        )
        assert found in str(caught.value)
        assert str(caught.value).endswith(
            "\nwrite them without these keywords, or use a prompting strategy without constrained decoding (--rung)"
        )
        assert found in caught.value.why(bad.constraint)
        assert caught.value.why(good.constraint) == ""


def test_all_of_them_at_once_each_file_once():
    with pytest.raises(Unconstrainable) as caught:
        check_constraints([*asks({"not": {}}, {"contains": {}}), *asks({"not": {}})])
    assert [line[:16] for line in str(caught.value).split("\n")[1:-1]] == ["  0.schema.json:", "  1.schema.json:"]


def test_without_the_library_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "llguidance", None)
    for ask in (library, lambda: check_constraints(asks({}))):
        with pytest.raises(CouldNotRun, match=r"expected llguidance, found none; run: pip install 'tunegate\[constr"):
            ask()
    check_constraints([Request("desk/free/a", (), Decoding())])


def test_the_engine_names_the_library_and_the_grammar():
    assert library().startswith("llguidance ")
    assert library().endswith(", grammar 1")
