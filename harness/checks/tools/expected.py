"""The `expect` of a case with tools: calls, or none; and what of it no call could meet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tunegate.harness.checks.schema.grading import FieldRule
from tunegate.harness.checks.schema.lint import impossible
from tunegate.harness.checks.schema.pass_rule import name_of_place, plain_variants, unreadable
from tunegate.harness.checks.tools.matching import MOST_EXPECTED, field_below
from tunegate.harness.checks.tools.validity import Offered, lacking_arguments
from tunegate.harness.core.authoring.document import Document, Where, show_value
from tunegate.harness.core.authoring.validation import did_you_mean, mapping_schema
from tunegate.harness.core.errors import Problem

NONE = "none"


def expect_schema() -> dict[str, Any]:
    """The JSON Schema of an `expect`."""
    call = mapping_schema(
        {
            "name": {"type": "string", "description": "the name of a tool that is offered"},
            "arguments": {
                "type": "object",
                "description": "the arguments and their values; {any_of: [...]} for several",
            },
            "optional": {"type": "object", "description": "arguments that may be missing, and their values if not"},
        },
        ["name"],
        description="a call: {name: TOOL, arguments: {ARGUMENT: VALUE}}",
    )
    calls = {"type": "array", "minItems": 1, "maxItems": MOST_EXPECTED, "items": call}
    return mapping_schema(
        {
            "calls": {
                "if": {"type": "array"},
                "then": calls,
                "else": {"const": NONE, "$comment": "write `calls: none` where no tool fits, or a list of calls"},
                "description": "the calls, as a set unless `order: strict`; or none",
            },
            "order": {"enum": ["any", "strict"], "description": "strict: the calls come in this order"},
            "text": {
                "type": "object",
                "description": "a JSON Schema of the text beside the calls, such as {pattern: Tuesday}",
            },
        },
        minProperties=1,
        description="what a right message has: calls, or `calls: none`",
    )


def expected_problems(
    expect: Mapping[str, Any], offers: Offered, rules: Mapping[str, FieldRule], whole: bool, document: Document,
    where: Where,
) -> Iterator[Problem]:  # fmt: skip
    """Calls of tools that are not offered, and arguments that no call of the tool could have."""
    calls = expect.get("calls")
    for index, call in enumerate(calls if isinstance(calls, list) else ()):
        place = (*where, "calls", index)
        if call["name"] not in offers.tools:
            expected, found = f"a tool that is offered ({', '.join(offers.names[:12])})", show_value(call["name"])
            yield document.problem((*place, "name"), expected, found, did_you_mean(call["name"], offers.names))
            continue
        yield from _of_call(call, offers, rules, whole, document, place)


def _of_call(
    call: Mapping[str, Any], offers: Offered, rules: Mapping[str, FieldRule], whole: bool, document: Document,
    place: Where,
) -> Iterator[Problem]:  # fmt: skip
    name, optional = call["name"], call.get("optional", {})
    for key in ("arguments", "optional"):
        wanted = call.get(key, {})
        below = {each.removeprefix(field_below(name, "")): rule for each, rule in rules.items()
                 if each.startswith(field_below(name, ""))}  # fmt: skip
        if problems := list(unreadable(wanted, below, document, (*place, key))):
            yield from problems
            continue
        for plain, places in plain_variants(wanted):
            for each in impossible(offers.validator(name), plain):
                at = (*place, key, *places[each.where])
                if each.where and field_below(name, name_of_place(each.where)) not in rules:
                    found = show_value(each.value)
                    yield document.problem(at, f"what `{name}` takes", found, each.message)
    if twice := [key for key in optional if key in call.get("arguments", {})]:
        yield document.problem((*place, "optional"), "arguments that `arguments` does not name", ", ".join(twice))
    missing = lacking_arguments(offers.tools[name], {**call.get("arguments", {}), **optional})
    if whole and missing:
        hint = "the tool requires it; add it, or set check: {match: subset}"
        yield document.problem((*place, "arguments"), f"the argument {missing[0]!r}", "none", hint)
