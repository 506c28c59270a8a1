"""Which draft of JSON Schema each part of a schema is written in, and where its subschemas stand.

A `$schema` counts at the top. Further in it counts only where JSON Schema lets it stand, at the root of a schema
resource of its own: a subschema with an `$id` (2020-12, core, 8.1.1 and 9.3.3). Anywhere else it "MUST NOT appear",
so there the draft around it goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

from jsonschema import (
    Draft4Validator,
    Draft6Validator,
    Draft7Validator,
    Draft201909Validator,
    Draft202012Validator,
)
from jsonschema.protocols import Validator

from tunegate.harness.authoring.document import Where

Draft = type[Validator]

DRAFTS: dict[str, Draft] = {
    "http://json-schema.org/draft-04/schema": Draft4Validator,
    "http://json-schema.org/draft-06/schema": Draft6Validator,
    "http://json-schema.org/draft-07/schema": Draft7Validator,
    "https://json-schema.org/draft/2019-09/schema": Draft201909Validator,
    "https://json-schema.org/draft/2020-12/schema": Draft202012Validator,
}
DEFAULT_DRAFT = "https://json-schema.org/draft/2020-12/schema"


def _without_scheme(uri: str) -> str:
    return uri.removesuffix("#").removeprefix("http:").removeprefix("https:")


_URIS = {draft: uri for uri, draft in DRAFTS.items()}
_BY_NAME = {_without_scheme(uri): draft for uri, draft in DRAFTS.items()}

MAX_PARTS = 50_000  # subschemas of a schema: references in YAML could make any number of them

# the keywords that hold schemas, in any draft: one, a list of them, or some by name
_ONE = {
    "additionalItems", "additionalProperties", "contains", "contentSchema", "else", "if", "items", "not",
    "propertyNames", "then", "unevaluatedItems", "unevaluatedProperties",
}  # fmt: skip
_MANY = {"allOf", "anyOf", "items", "oneOf", "prefixItems"}
_NAMED = {
    "$defs", "definitions", "dependencies", "dependentSchemas", "patternProperties", "properties",
}  # fmt: skip
HOLD_SCHEMAS = _ONE | _MANY | _NAMED


def draft_named(uri: Any) -> Draft | None:
    """The draft that a `$schema` names, be it with http or https; None if it is none of `DRAFTS`."""
    return _BY_NAME.get(_without_scheme(uri)) if isinstance(uri, str) else None


def draft_of(schema: Mapping[str, Any]) -> Any:
    """The jsonschema class of the draft that a whole schema, whose `$schema` is known, declares."""
    return draft_named(schema.get("$schema", DEFAULT_DRAFT))


def uri_of(draft: Any) -> str:
    """How a draft is written as a `$schema`."""
    return _URIS[draft]


def id_keyword(draft: Any) -> str:
    """The keyword by which a resource is named."""
    return "id" if draft is Draft4Validator else "$id"


def reads_beside_references(draft: Any) -> bool:
    """Whether what stands beside a `$ref` counts: up to draft 7 it does not."""
    return "unevaluatedProperties" in draft.VALIDATORS


def name_of(draft: Any) -> str:
    """A draft as people call it."""
    return f"draft {uri_of(draft).split('/')[-2].removeprefix('draft-').lstrip('0')}"


class TooLarge(ValueError):
    """A schema has more subschemas than are looked at."""


class Subschema(NamedTuple):
    """A subschema, its place, and the subschemas right inside it with their places in it."""

    where: Where
    schema: dict[str, Any]
    inside: Sequence[tuple[Where, Any]]


def subschemas(schema: Any) -> list[Subschema]:
    """This schema and all inside it, as far as they are mappings; a schema may be malformed.

    Raises:
        TooLarge: there are more than `MAX_PARTS`.
    """
    found: list[Subschema] = []
    todo: list[tuple[Where, Any]] = [((), schema)]
    while todo:
        if len(found) > MAX_PARTS:
            raise TooLarge(f"more than {MAX_PARTS:,} subschemas")
        where, each = todo.pop()
        if isinstance(each, dict):
            below = inside(each)
            found.append(Subschema(where, each, below))
            todo += [((*where, *place), inner) for place, inner in reversed(below)]
    return found


def inside(schema: Mapping[str, Any]) -> Sequence[tuple[Where, Any]]:
    """The subschemas that stand right inside a schema, with their places in it."""
    found: list[tuple[Where, Any]] = []
    for key, value in schema.items():
        if key in _MANY and isinstance(value, list):
            found += [((key, index), inner) for index, inner in enumerate(value)]
        elif key in _NAMED and isinstance(value, dict):
            found += [((key, name), inner) for name, inner in value.items()]
        elif key in _ONE:
            found.append(((key,), value))
    return found


def keyword_at(where: Where) -> str:
    """The keyword at a place of a schema; empty where it ends with the name or number of a subschema below one."""
    found, steps = "", list(where)
    while steps:
        found = str(steps.pop(0))
        if steps and (found in _NAMED or (found in _MANY and isinstance(steps[0], int))):
            steps.pop(0)
            found = ""
    return found


@dataclass
class Dialects:
    """What became of the `$schema` of each subschema, by its place."""

    whole: Draft
    embedded: dict[Where, Draft] = field(default_factory=dict)
    ignored: list[Where] = field(default_factory=list)

    @classmethod
    def of(cls, parts: Sequence[Subschema]) -> Self:
        """Of a whole schema, all of whose subschemas are given; it need not be valid."""
        found = cls(draft_of(parts[0].schema))
        for where, each, _ in parts:
            if "$schema" in each and where and isinstance(each["$schema"], str):
                found._see(where, each)
        return found

    def _see(self, where: Where, schema: dict[str, Any]) -> None:
        outer, declared = self.draft(where), draft_named(schema["$schema"])
        # by both drafts' rules for an identifier: draft 4 says `id`, and up to draft 7 a `$ref` voids what is beside it
        if declared is None or not (_is_resource(schema, outer) and _is_resource(schema, declared)):
            self.ignored.append(where)
        elif declared is not outer:
            self.embedded[where] = declared

    def draft(self, where: Where) -> Draft:
        """The draft of what stands at `where`."""
        if not self.embedded:
            return self.whole
        around = (where[:length] for length in range(len(where), 0, -1))
        return next((self.embedded[place] for place in around if place in self.embedded), self.whole)


def _is_resource(schema: Mapping[str, Any], draft: Any) -> bool:
    """Whether a subschema has an identifier that makes it a resource of its own by the rules of `draft`."""
    return isinstance(schema.get(id_keyword(draft)), str) and bool(draft.ID_OF(schema))


def rebuilt(value: Any, change: Callable[[Where, dict[str, Any]], dict[str, Any]], where: Where = ()) -> Any:
    """A copy of `value` in which no part is shared, its mappings changed from the inside out."""
    if isinstance(value, list):
        return [rebuilt(inner, change, (*where, index)) for index, inner in enumerate(value)]
    if isinstance(value, dict):
        return change(where, {key: rebuilt(inner, change, (*where, key)) for key, inner in value.items()})
    return value
