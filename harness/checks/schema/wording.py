"""Messages for the errors of jsonschema-rs in an output: one finding per key, item or value."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from jsonschema_rs import ValidationErrorKind as Kind

from tunegate.harness.checks.base import Finding
from tunegate.harness.checks.outputs.json_text import json_path, show_json
from tunegate.harness.checks.schema.dialects import keyword_at
from tunegate.harness.checks.schema.formats import Width
from tunegate.harness.checks.schema.references import References
from tunegate.harness.core.authoring.document import Document, Where

KINDS = {
    "object": "an object", "array": "a list", "string": "text", "boolean": "true or false", "integer": "a whole number",
    "number": "a number", "null": "null",
}  # fmt: skip
NOT_ALLOWED = "this key is not allowed"
CLOSED = "closed"  # the rule of the schema `false`
MOST_CHOICES = 20  # `enum` values shown

_TOO_FEW = {"minLength": "is too short", "minItems": "is too short", "minProperties": "does not have enough properties"}
_TOO_MANY = {"maxLength": "is too long", "maxItems": "is too long", "maxProperties": "has too many properties"}
_BOUNDS = {
    "minimum": "less than the minimum of", "maximum": "greater than the maximum of",
    "exclusiveMinimum": "less than or equal to the minimum of",
    "exclusiveMaximum": "greater than or equal to the maximum of",
}  # fmt: skip


@dataclass(frozen=True)
class Reporter:
    """Messages for one schema, optionally located in `document`."""

    schema: Mapping[str, Any]
    references: References
    document: Document | None

    def findings(self, error: Any, value: Any) -> Iterator[Finding]:
        """The findings for an error in a value."""
        place, where = self._place(error), tuple(error.instance_path)
        keyword = keyword_at(place) or CLOSED
        for key, text in self._texts(error, keyword, found_at(value, where)):
            inner = (*where, key) if key is not None else where
            yield Finding(f"schema.{keyword}", text, json_path(inner), self._source(place))

    def _texts(self, error: Any, keyword: str, value: Any) -> Iterator[tuple[str | int | None, str]]:
        """Messages for each key or item that is not allowed, or for the whole value."""
        match error.kind:
            case Kind.AdditionalProperties(keys) | Kind.UnevaluatedProperties(keys):
                yield from ((key, NOT_ALLOWED) for key in keys)
            case Kind.FalseSchema() if keyword == "additionalProperties":  # no other properties are declared
                yield from ((key, NOT_ALLOWED) for key in value)
            case Kind.AdditionalItems(limit):
                yield from ((index, _no_more(limit)) for index in range(limit, len(value)))
            case _:
                yield None, self.text(error)

    def text(self, error: Any) -> str:
        """The message for an error."""
        if isinstance(error.kind, Kind.PropertyNames):
            error = error.kind.error
        place, seen = self._place(error), show_json(error.instance)
        keyword, wanted = keyword_at(place), found_at(self.schema, place)
        if keyword in _WORDS and (wanted is not None or keyword == "const"):
            return _WORDS[keyword](wanted, seen)
        match error.kind:
            case Kind.FalseSchema() if keyword == "items":
                return _no_more(len((found_at(self.schema, place[:-1]) or {}).get("prefixItems", ())))
            case Kind.FalseSchema() if keyword != "additionalProperties":
                return f"the schema allows nothing here, found {seen}"
            case Kind.Required(key):
                return f"the key {key!r} is missing"
            case Kind.AnyOf(tried) | Kind.OneOfNotValid(tried):
                return self._closest(tried, len(error.instance_path))
            case Kind.OneOfMultipleValid():
                return f"matches more than one of the alternatives, only one is allowed: {seen}"
            case Kind.UnevaluatedItems(items):
                return f"no more items are allowed here, such as {', '.join(map(str, items[:3]))}"[:200]
            case Kind.AdditionalItems(limit):
                return _no_more(limit)
            case Kind.FalseSchema() | Kind.AdditionalProperties() | Kind.UnevaluatedProperties():
                return NOT_ALLOWED
        return f"{seen} is not what the schema allows"

    def _closest(self, tried: list[list[Any]], above: int) -> str:
        deepest = [max(islice(errors, 20), key=_depth) for errors in tried if errors]
        if not deepest:
            return "matches none of the alternatives"
        closest = max(deepest, key=_depth)
        place = json_path(closest.instance_path[above:])
        return f"matches none of the alternatives; closest: {place}{': ' if place else ''}{self.text(closest)}"

    def _place(self, error: Any) -> Where:
        """The place of the keyword in the schema; the library counts from the root of an embedded resource."""
        inside = tuple("format" if step == Width.KEYWORD else step for step in error.schema_path)
        name = (error.absolute_keyword_location or "").partition("#")[0]
        for where, part in self.references.resources(name) if name else ():
            if found_at(part, inside) is not None:
                return (*where, *inside)
        return inside

    def _source(self, place: Where) -> str:
        known = self.document is not None and place in self.document.lines
        return self.document.place(place) if self.document and known else ""


def found_at(value: Any, place: Where) -> Any:
    """The value at a place; None if there is none."""
    for step in place:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def _depth(error: Any) -> int:
    return len(error.instance_path)


def _no_more(limit: int) -> str:
    return f"no more than {limit} allowed here"


def _type(wanted: Any, seen: str) -> str:
    kinds = wanted if isinstance(wanted, list) else [wanted]
    return f"should be {' or '.join(KINDS.get(kind, str(kind)) for kind in kinds)}, is {seen}"


def _enum(wanted: Any, seen: str) -> str:
    return f"should be one of {', '.join(map(show_json, islice(wanted, MOST_CHOICES)))}, is {seen}"


def _size(words: str, edge: int, at_edge: str) -> Callable[[Any, str], str]:
    return lambda limit, seen: f"{seen} {at_edge if limit == edge else words}"


def _bound(words: str) -> Callable[[Any, str], str]:
    return lambda limit, seen: f"{seen} is {words} {show_json(limit)}"


_WORDS: Mapping[str, Callable[[Any, str], str]] = {
    "type": _type,
    "enum": _enum,
    "const": lambda wanted, _: f"{show_json(wanted)} was expected",
    "pattern": lambda wanted, seen: f"{seen} does not match the pattern {show_json(wanted)}",
    "format": lambda wanted, seen: f"{seen} is not a valid {wanted}",
    "multipleOf": lambda wanted, seen: f"{seen} is not a multiple of {show_json(wanted)}",
    "uniqueItems": lambda *_: "the list has repeated items",
    "contains": lambda _, seen: f"{seen} does not contain items matching the given schema",
    "minContains": lambda wanted, _: f"too few items match the given schema (at least {wanted})",
    "maxContains": lambda wanted, _: f"too many items match the given schema (at most {wanted})",
    "not": lambda _, seen: f"matches what it must not match: {seen}",
    **{keyword: _size(words, 1, "should be non-empty") for keyword, words in _TOO_FEW.items()},
    **{keyword: _size(words, 0, "is expected to be empty") for keyword, words in _TOO_MANY.items()},
    **{keyword: _bound(words) for keyword, words in _BOUNDS.items()},
}
