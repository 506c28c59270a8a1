"""The JSON Schema draft of each part of a schema, and the places of its subschemas.

A `$schema` counts at the top. Further down it counts only at the root of an embedded schema resource: a subschema
with an `$id` (2020-12, core, 8.1.1 and 9.3.3). In other places it "MUST NOT appear", and the surrounding draft
continues there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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

from tunegate.harness.core.authoring.document import Where

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

MAX_PARTS = 50_000  # subschemas per schema: YAML aliases could create any number

# keywords that hold schemas, in any draft: a single one, a list, or a mapping by name
_ONE = {
    "additionalItems", "additionalProperties", "contains", "contentSchema", "else", "if", "items", "not",
    "propertyNames", "then", "unevaluatedItems", "unevaluatedProperties",
}  # fmt: skip
_MANY = {"allOf", "anyOf", "items", "oneOf", "prefixItems"}
_NAMED = {"$defs", "definitions", "dependencies", "dependentSchemas", "patternProperties", "properties"}
HOLD_SCHEMAS = _ONE | _MANY | _NAMED


def draft_named(uri: Any) -> Draft | None:
    """The draft named by a `$schema`, with http or https; None if it is not one of `DRAFTS`."""
    return _BY_NAME.get(_without_scheme(uri)) if isinstance(uri, str) else None


def draft_of(schema: Mapping[str, Any]) -> Any:
    """The jsonschema class of the draft that a schema declares; its `$schema` must be known."""
    return draft_named(schema.get("$schema", DEFAULT_DRAFT))


def uri_of(draft: Any) -> str:
    """The `$schema` of a draft."""
    return _URIS[draft]


def id_keyword(draft: Any) -> str:
    """The keyword that identifies a resource."""
    return "id" if draft is Draft4Validator else "$id"


def reads_beside_references(draft: Any) -> bool:
    """Whether keywords beside a `$ref` count: up to draft 7 they do not."""
    return "unevaluatedProperties" in draft.VALIDATORS


def name_of(draft: Any) -> str:
    """The display name of a draft."""
    return f"draft {uri_of(draft).split('/')[-2].removeprefix('draft-').lstrip('0')}"


class TooLarge(ValueError):
    """A schema has too many subschemas."""


class Subschema(NamedTuple):
    """A subschema, its place, and its direct subschemas with their relative places."""

    where: Where
    schema: dict[str, Any]
    inside: Sequence[tuple[Where, Any]]


def subschemas(schema: Any) -> list[Subschema]:
    """List this schema and all mappings inside it; the schema may be malformed.

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
    """The direct subschemas of a schema, with their relative places."""
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
    """The keyword at a place of a schema; empty if the place is a subschema's name or index under a keyword."""
    found, steps = "", list(where)
    while steps:
        found = str(steps.pop(0))
        if steps and (found in _NAMED or (found in _MANY and isinstance(steps[0], int))):
            steps.pop(0)
            found = ""
    return found


@dataclass
class Dialects:
    """The drafts of subschemas, and how each `$schema` was treated, by place."""

    whole: Draft
    embedded: dict[Where, Draft] = field(default_factory=dict)
    ignored: list[Where] = field(default_factory=list)

    @classmethod
    def of(cls, parts: Sequence[Subschema]) -> Self:
        """Determine the drafts from all subschemas of a schema, which may be invalid."""
        found = cls(draft_of(parts[0].schema))
        for where, each, _ in parts:
            if "$schema" in each and where and isinstance(each["$schema"], str):
                found._see(where, each)
        return found

    def _see(self, where: Where, schema: dict[str, Any]) -> None:
        outer, declared = self.draft(where), draft_named(schema["$schema"])
        # by the identifier rules of both drafts: draft 4 uses `id`, and up to draft 7 a `$ref` voids its neighbours
        if declared is None or not (_is_resource(schema, outer) and _is_resource(schema, declared)):
            self.ignored.append(where)
        elif declared is not outer:
            self.embedded[where] = declared

    def draft(self, where: Where) -> Draft:
        """The draft that applies at `where`."""
        if not self.embedded:
            return self.whole
        around = (where[:length] for length in range(len(where), 0, -1))
        return next((self.embedded[place] for place in around if place in self.embedded), self.whole)


def _is_resource(schema: Mapping[str, Any], draft: Any) -> bool:
    """Whether a subschema has an identifier that makes it a resource by the rules of `draft`."""
    return isinstance(schema.get(id_keyword(draft)), str) and bool(draft.ID_OF(schema))
