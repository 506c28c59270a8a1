"""The field rules of a fixture's `check`: how each field is compared, and which outputs pass."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunegate.harness.checks.schema.alternatives import ANY_OF, alternatives
from tunegate.harness.checks.schema.grading import FieldRule, Leaf
from tunegate.harness.checks.schema.schema_fields import ROOT, SchemaFields, field_name, is_below, known_field_name
from tunegate.harness.checks.schema.values import read_date, read_quantity, unit_registry
from tunegate.harness.core.authoring.document import Document, Where, show_value
from tunegate.harness.core.authoring.validation import did_you_mean, mapping_schema
from tunegate.harness.core.errors import Problem

_PATH = {"type": "string", "minLength": 1, "description": "the path of a field, such as `total` or `items[].price`"}
RULE_OF_A_FIELD = mapping_schema(
    {
        "ignore": {"const": True, "description": "true: any value is right"},
        "order": {
            "enum": ["given", "any", "set"],
            "description": "for lists; any: in any order; set: in any order and repeated",
        },
        "tolerance": {
            "type": ["number", "string"],
            "minimum": 0,
            "pattern": r"^[0-9]+(\.[0-9]+)? ?%$(?!\n)",
            "description": "a number from 0, or a share of the expected number, such as 1%",
        },
        "as": {
            "enum": ["date", "quantity", "text"],
            "description": "date: a day or a moment; quantity: a number with a unit, such as `5 kg`; text: without "
            "case, spaces and punctuation",
        },
    },
    minProperties=1,
    description="how the field is compared",
)
PASS = mapping_schema(
    {
        "share": {
            "type": "number",
            "exclusiveMinimum": 0,
            "maximum": 1,
            "description": "the minimum share that is right, above 0 and at most 1",
        },
        "fields": {
            "type": "array",
            "minItems": 1,
            "uniqueItems": True,
            "items": _PATH,
            "description": "a list of fields that must be right",
        },
    },
    minProperties=1,
    description="which partly wrong outputs pass: by the share that is right, by fields, or both",
)
FIELD_OPTIONS: Mapping[str, Any] = {
    "fields": {
        "type": "object",
        "minProperties": 1,
        "propertyNames": _PATH,
        "description": "how fields are compared, by their paths, such as `total` or `items[].price`",
        "additionalProperties": RULE_OF_A_FIELD,
    },
    "pass": PASS,
    "score": {
        "enum": ["pass", "share"],
        "description": "pass: a case scores 1 or 0; share: an adhering output scores the share that is right",
    },
}


@dataclass(frozen=True)
class PassRule:
    """The rule for passing: an output must adhere and enough of it must be right; by default, all of it."""

    share: float | None = None
    fields: tuple[str, ...] = ()

    def passes(self, share: float, leaves: Sequence[Leaf]) -> bool:
        """Whether an adhering output passes with this share and these leaves."""
        if self.share is None and not self.fields:
            return all(leaf.right for leaf in leaves)
        named = [leaf for leaf in leaves if any(is_below(leaf.name, each) for each in self.fields)]
        return share >= (self.share or 0.0) and all(leaf.right for leaf in named)


def read_rules(options: Mapping[str, Any]) -> dict[str, FieldRule]:
    """Read the rules of fields by path.

    Raises:
        CouldNotRun: a rule needs pint, which is not installed.
    """
    rules = {
        path: FieldRule(meaning=raw.get("as"), **{key: raw[key] for key in raw if key != "as"})
        for path, raw in options.get("fields", {}).items()
    }
    if any(rule.meaning == "quantity" for rule in rules.values()):
        unit_registry()
    return rules


def rule_problems(
    options: Mapping[str, Any], schema: SchemaFields, document: Document, where: Where
) -> Iterator[Problem]:
    """Fields that the schema does not name, and rules that have no meaning for their field."""
    rules, due = options.get("fields", {}), options.get("pass", {}).get("fields", [])
    for path, place in [
        *((path, (*where, "fields", path)) for path in rules),
        *((path, (*where, "pass", "fields", index)) for index, path in enumerate(due)),
    ]:
        if not schema.knows(path):
            known = [name for name in schema.schemas if name != ROOT]
            yield document.problem(place, "a field that the schema names", repr(path), did_you_mean(path, known))
    for path, raw in rules.items():
        place = (*where, "fields", path)
        yield from _unfit(raw, schema.types(path), document, place)
        if "ignore" in raw and path in due:
            expected = "a compared field, because `pass` names it"
            yield document.problem((*place, "ignore"), expected, "an ignored one")


def _unfit(raw: Mapping[str, Any], types: frozenset[str], document: Document, where: Where) -> Iterator[Problem]:
    if "ignore" in raw and len(raw) > 1:
        yield document.problem(where, "only `ignore`", ", ".join(raw), "delete the rest, or `ignore`")
    if raw.get("as") in ("date", "text") and "tolerance" in raw:
        expected = f"no tolerance for a {raw['as']}"
        yield document.problem((*where, "tolerance"), expected, show_value(raw["tolerance"]))
    fits = {"order": {"array"}, "as": {"string"} if raw.get("as") == "text" else {"string", "number", "integer"}}
    if "as" not in raw:
        fits["tolerance"] = {"number", "integer"}
    for key, of in fits.items():
        if key in raw and types and not types & of:
            expected = f"{key} on {'a list' if key == 'order' else 'a number' if key == 'tolerance' else 'a text'}"
            yield document.problem((*where, key), expected, f"a field that is {', '.join(sorted(types))}")


def name_of_place(where: Where) -> str:
    """The name of the field at a place of an expectation without alternatives."""
    return functools.reduce(field_name, where, ROOT)


def expectations(expect: Any, name: str = ROOT, where: Where = ()) -> Iterator[tuple[str, Any, Where]]:
    """Yield every value inside an expectation with its field's name and its place, alternatives one by one."""
    yield name, expect, where
    if options := alternatives(expect):
        for index, each in enumerate(options):
            yield from expectations(each, name, (*where, ANY_OF, index))
    elif isinstance(expect, dict):
        for key, inner in expect.items():
            yield from expectations(inner, known_field_name(name, key), (*where, key))
    elif isinstance(expect, list):
        for index, inner in enumerate(expect):
            yield from expectations(inner, known_field_name(name, index), (*where, index))


def unreadable(expect: Any, rules: Mapping[str, FieldRule], document: Document, where: Where) -> Iterator[Problem]:
    """Expected values that a rule cannot read, and invalid alternatives."""
    for name, value, place in expectations(expect):
        if isinstance(value, dict) and value.keys() == {ANY_OF}:
            if len(alternatives(value)) < 2:
                found = show_value(value[ANY_OF])
                yield document.problem((*where, *place, ANY_OF), "a list of two alternatives or more", found)
            elif any(alternatives(each) for each in value[ANY_OF]):
                yield document.problem((*where, *place), "alternatives", "alternatives inside alternatives", "list all")
            continue
        meaning = rules[name].meaning if name in rules else None
        if meaning == "date" and read_date(value) is None:
            hint = "write it as 2026-03-01"
            yield document.problem((*where, *place), "an unambiguous date", show_value(value), hint)
        if meaning == "quantity" and (isinstance(value, dict | list) or read_quantity(value) is None):
            hint = "write it as 5 kg"
            yield document.problem((*where, *place), "a number with a known unit", show_value(value), hint)


def plain_variants(expect: Any) -> Iterator[tuple[Any, Mapping[Where, Where]]]:
    """Yield an expectation per alternative: without `any_of`, and with the original place of each part."""
    most = max((len(alternatives(value)) for _, value, _ in expectations(expect)), default=0)
    for choice in range(max(1, most)):
        places: dict[Where, Where] = {}
        yield _plain(expect, choice, (), (), places), places


def _plain(value: Any, choice: int, where: Where, written: Where, places: dict[Where, Where]) -> Any:
    if options := alternatives(value):
        index = min(choice, len(options) - 1)
        return _plain(options[index], choice, where, (*written, ANY_OF, index), places)
    places[where] = written
    if isinstance(value, dict):
        return {key: _plain(each, choice, (*where, key), (*written, key), places) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each, choice, (*where, index), (*written, index), places) for index, each in enumerate(value)]
    return value
