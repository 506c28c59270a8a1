from __future__ import annotations

import pytest

from tunegate.harness.cases.model import Decoding
from tunegate.harness.checks.base import Constraint
from tunegate.harness.models.api import Request, Unconstrainable
from tunegate.harness.models.served.structured_outputs import check_constrained, constraint_probe, fields_of, violation

SCHEMA = Constraint('{"type": "object", "required": ["a"]}', "refs/a.schema.json")
ASKED = Request("desk/triage/one", (), Decoding(), constraint=SCHEMA)


def test_what_a_request_says_of_its_schema():
    schema = {"type": "object", "required": ["a"]}
    said = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}
    assert fields_of(ASKED, "response_format") == {"response_format": said}
    assert fields_of(ASKED, "json_schema") == {"json_schema": schema}
    assert fields_of(Request("desk/free/one", (), Decoding()), "response_format") == {}


def test_an_answer_that_the_schema_does_not_allow_is_refused():
    for output, flaw in [
        ("Hello.", "json.syntax"),
        ("{}", "schema.required; "),
        ('{"a": 1, "a": 2}', "json.duplicate-key"),
        ("", "json."),
    ]:
        with pytest.raises(Unconstrainable) as caught:
            check_constrained(ASKED, output, "tuned")
        message = str(caught.value)
        assert message.startswith(
            "desk/triage/one: expected an output that the schema of refs/a.schema.json allows, but tuned does not "
            f"constrain outputs to it: {flaw}"
        )
        assert message.endswith("or use a prompting strategy without constrained decoding (--rung)")
        assert caught.value.why(SCHEMA)


def test_an_answer_that_it_allows_and_one_that_was_not_held_pass():
    check_constrained(ASKED, '{"a": 1}', "tuned")
    check_constrained(Request("desk/free/one", (), Decoding()), "Hello.", "tuned")


def test_no_two_probes_ask_for_the_same_word():
    one, other = constraint_probe(), constraint_probe()
    assert one.constraint != other.constraint
    assert violation(one.constraint, '{"word": "hello"}')
