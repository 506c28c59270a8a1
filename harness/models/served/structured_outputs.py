"""Structured outputs of a server: the field that constrains an output to a JSON Schema, and whether it is obeyed."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from typing import Any

from tunegate.harness.cases.model import Decoding
from tunegate.harness.checks.base import Constraint
from tunegate.harness.checks.outputs.json_text import read_json_text
from tunegate.harness.checks.schema.validator import violations
from tunegate.harness.core.escaping import shown
from tunegate.harness.models.api import GRAMMAR_OPTIONS, Request, Unconstrainable

Fields = Callable[[Any], dict[str, Any]]
OPENAI_WAYS = ("response_format", "json_schema")
OUTPUT_CONFIG = "output_config"
#: By the name in records: OpenAI's field, llama.cpp's own for prompts in token ids, for which it ignores the first, and
#: Anthropic's.
WAYS: Mapping[str, Fields] = {
    "response_format": lambda schema: {
        "response_format": {
            "type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True},
        }
    },
    "json_schema": lambda schema: {"json_schema": schema},
    OUTPUT_CONFIG: lambda schema: {OUTPUT_CONFIG: {"format": {"type": "json_schema", "schema": schema}}},
}  # fmt: skip
LLGUIDANCE = "llguidance"  # for a server that is known to build its grammars with it
#: As on a local model, at most one space where JSON allows white space. Written differently: versions before 1.9, which
#: a server may have, repeat a pattern of white space.
SPACED = {
    **GRAMMAR_OPTIONS, "whitespace_pattern": None, "whitespace_flexible": False, "item_separator": ", ?",
    "key_separator": ": ?",
}  # fmt: skip


def fields_of(request: Request, way: str) -> dict[str, Any]:
    """The request fields for the schema of its constraint; empty without one.

    The `way` is one of `WAYS`, or `LLGUIDANCE`, with which the grammar is the same as on a local model.
    """
    if not request.constraint:
        return {}
    schema = json.loads(request.constraint.schema)
    if way == LLGUIDANCE:
        own = {"x-guidance": SPACED} if isinstance(schema, dict) else {}
        return WAYS["response_format"]({**schema, **own} if own else schema)
    return WAYS[way](schema)


def constraint_probe() -> Request:
    """A request for a word that no model would write by itself: a server that returns it constrains outputs."""
    word = secrets.token_hex(4)
    schema = {
        "type": "object", "properties": {"word": {"type": "string", "enum": [word]}}, "required": ["word"],
        "additionalProperties": False,
    }  # fmt: skip
    asked = (("user", "Hello."),)
    # room for white space, which some servers do not limit, and for a short reasoning
    return Request("the probe", asked, Decoding(max_new_tokens=1024), constraint=Constraint(json.dumps(schema)))


def check_constrained(request: Request, output: str, server: str) -> None:
    """Raise Unconstrainable for a complete output that its schema does not allow: the server did not constrain it."""
    constraint = request.constraint
    if constraint and (flaw := violation(constraint, output)):
        why = f"{server} does not constrain outputs to it: {flaw}"
        raise Unconstrainable(
            f"{request.key}: expected an output that the schema of {constraint.file} allows, but {why}; serve it with "
            "structured outputs that support these keywords, write the schema without them, or use a prompting "
            "strategy without constrained decoding (--rung)",
            {constraint: why},
        )


def violation(constraint: Constraint, output: str) -> str:
    """The first rule that an output breaks under a schema, and where; empty if it breaks none."""
    read = read_json_text(output)
    flaw = next(iter(read.findings or violations(json.loads(constraint.schema), read.value)), None)
    # only the rule: the case may be sealed, and its output must not be shown
    if not flaw:
        return ""
    where = f" at {shown(flaw.path)}" if flaw.path else ""
    return f"{flaw.rule}{where}"
