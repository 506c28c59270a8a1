"""Structured outputs of a server: the field that holds an answer to a JSON Schema, and whether the server obeys it."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from typing import Any

from tunegate.harness.cases.model import Decoding
from tunegate.harness.checks.base import Constraint
from tunegate.harness.checks.schema.json_reader import read_json_text
from tunegate.harness.checks.schema.validator import violations
from tunegate.harness.core.escaping import shown
from tunegate.harness.models.api import Request, Unconstrainable
from tunegate.harness.models.local.constrained import MADE

Fields = Callable[[Any], dict[str, Any]]
#: By the name that stands in records: what OpenAI's interface has, and llama.cpp's own for prompts in token ids, where
#: it does not look at the first.
WAYS: Mapping[str, Fields] = {
    "response_format": lambda schema: {
        "response_format": {
            "type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True},
        }
    },
    "json_schema": lambda schema: {"json_schema": schema},
}  # fmt: skip
LLGUIDANCE = "llguidance"  # of a server that is known to make its grammars by it
#: As on a local model, at most one space where JSON allows white space. Said in another way: versions before 1.9, which
#: a server may have, take a pattern of white space for one that may be repeated.
SPACED = {
    **MADE, "whitespace_pattern": None, "whitespace_flexible": False, "item_separator": ", ?", "key_separator": ": ?",
}  # fmt: skip


def fields_of(request: Request, way: str) -> dict[str, Any]:
    """What a request says of the schema that its answer is held to; nothing where it has none.

    The `way` is one of `WAYS`, or `LLGUIDANCE`: there the grammar is made as on a local model.
    """
    if not request.constraint:
        return {}
    schema = json.loads(request.constraint.schema)
    if way == LLGUIDANCE:
        own = {"x-guidance": SPACED} if isinstance(schema, dict) else {}
        return WAYS["response_format"]({**schema, **own} if own else schema)
    return WAYS[way](schema)


def constraint_probe() -> Request:
    """Asks for a word that no model would answer by itself: who answers with it holds answers to a schema."""
    word = secrets.token_hex(4)
    schema = {
        "type": "object", "properties": {"word": {"type": "string", "enum": [word]}}, "required": ["word"],
        "additionalProperties": False,
    }  # fmt: skip
    asked = (("user", "Hello."),)
    # room for white space, which not every server bounds, and for a short reasoning
    return Request("the probe", asked, Decoding(max_new_tokens=1024), constraint=Constraint(json.dumps(schema)))


def check_constrained(request: Request, output: str, server: str) -> None:
    """Refuse a complete answer that its schema does not allow: the server did not hold it to that.

    Raises:
        Unconstrainable: names the case, and what is wrong with the answer.
    """
    constraint = request.constraint
    if constraint and (flaw := violation(constraint, output)):
        why = f"{server} does not hold answers to it: {flaw}"
        raise Unconstrainable(
            f"{request.key}: expected an answer that the schema of {constraint.file} allows, and {why}; serve it with "
            "structured outputs that know these keywords, write the schema without them, or ask on a rung without "
            "constrained decoding",
            {constraint: why},
        )


def violation(constraint: Constraint, output: str) -> str:
    """Which rule an answer breaks first under a schema, and where; empty where it breaks none."""
    read = read_json_text(output)
    flaw = next(iter(read.findings or violations(json.loads(constraint.schema), read.value)), None)
    # the rule alone: the case may be sealed, and the answer is nobody's to read
    return f"{flaw.rule}{f' at {shown(flaw.path)}' if flaw.path else ''}" if flaw else ""
