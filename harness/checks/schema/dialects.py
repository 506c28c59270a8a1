"""Which draft of JSON Schema each part of a schema is written in, and where its subschemas stand.

A `$schema` counts at the top. Further in it counts only where JSON Schema lets it stand, at the root of a schema
resource of its own: a subschema with an `$id` (2020-12, core, 8.1.1 and 9.3.3). Anywhere else it "MUST NOT appear",
so there the draft around it goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Self

from jsonschema import (
    Draft4Validator,
    Draft6Validator,
    Draft7Validator,
    Draft201909Validator,
    Draft202012Validator,
)
from jsonschema.protocols import Validator
from referencing import Registry, Resource
from referencing.jsonschema import specification_with

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


class Embedded(dict[str, Any]):
    """A mapping inside a resource whose draft is not that of the schema around it."""

    __slots__ = ("draft",)

    def __init__(self, items: Mapping[str, Any], draft: Draft) -> None:
        super().__init__(items)
        self.draft = draft


def draft_named(uri: Any) -> Draft | None:
    """The draft that a `$schema` names, be it with http or https; None if it is none of `DRAFTS`."""
    return _BY_NAME.get(_without_scheme(uri)) if isinstance(uri, str) else None


def draft_of(schema: Mapping[str, Any]) -> Any:
    """The jsonschema class of the draft that a whole schema, whose `$schema` is known, declares."""
    return draft_named(schema.get("$schema", DEFAULT_DRAFT))


def draft_at(part: Any, whole: Any) -> Any:
    """The draft of a part of a settled schema; `whole` is that of the schema."""
    return part.draft if isinstance(part, Embedded) else whole


_RESOLVERS: dict[int, tuple[Any, Any]] = {}
_KEPT = 64  # schemas
_NAMES = {"$anchor", "$dynamicAnchor", "$id", "$recursiveAnchor", "id"}


def resolver_of(schema: Any, whole: Any) -> tuple[Resource[Any], Any]:
    """A settled schema as a resource, and what its references are looked up with; nothing is fetched.

    The schema is searched for identifiers and anchors once: to do it at each reference takes a square of time.
    jsonschema's own registry would fetch, and has the schemas of all drafts, which hide what the schema calls alike.
    """
    known = _RESOLVERS.get(id(schema))  # it holds the schema, so that no other one can have its id
    if known is None:
        resource = specification_with(uri_of(draft_at(schema, whole))).create_resource(schema)
        name = resource.id() or ""
        registry = Registry().with_resource(name, resource)
        known = resource, (registry.crawl() if _names_parts(schema) else registry).resolver(name)
        if len(_RESOLVERS) >= _KEPT:
            _RESOLVERS.clear()
        _RESOLVERS[id(schema)] = known
    return known


def _names_parts(schema: Any) -> bool:
    """Whether a part of a schema may have a name, by which to refer to it; each part is looked at once."""
    todo, seen = [schema], set[int]()
    while todo:
        part = todo.pop()
        if id(part) in seen or not isinstance(part, dict | list):
            continue
        seen.add(id(part))
        if isinstance(part, dict) and part.keys() & _NAMES:
            return True
        todo += part.values() if isinstance(part, dict) else part
    return False


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


def subschemas(schema: Any, where: Where = ()) -> Iterator[tuple[Where, dict[str, Any]]]:
    """This schema and all inside it with their places, as far as they are mappings; a schema may be malformed."""
    if not isinstance(schema, dict):
        return
    yield where, schema
    for key, value in schema.items():
        here = (*where, key)
        if key in _ONE:
            yield from subschemas(value, here)
        if key in _MANY and isinstance(value, list):
            for index, inner in enumerate(value):
                yield from subschemas(inner, (*here, index))
        if key in _NAMED and isinstance(value, dict):
            for name, inner in value.items():
                yield from subschemas(inner, (*here, name))


@dataclass
class Dialects:
    """What became of the `$schema` of each subschema, by its place."""

    whole: Draft
    embedded: dict[Where, Draft] = field(default_factory=dict)
    ignored: list[Where] = field(default_factory=list)
    mixed: set[Where] = field(default_factory=set)

    @classmethod
    def of(cls, schema: Mapping[str, Any]) -> Self:
        """Of a whole schema, which need not be valid."""
        found = cls(draft_of(schema))
        for where, each in subschemas(schema):
            if where and isinstance(each.get("$schema"), str):
                found._see(where, each)
            dependent = each.get("dependencies")
            if isinstance(dependent, dict) and len({isinstance(inner, dict) for inner in dependent.values()}) > 1:
                found.mixed.add((*where, "dependencies"))
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
        around = (where[:length] for length in range(len(where), 0, -1))
        return next((self.embedded[place] for place in around if place in self.embedded), self.whole)

    def settled(self, schema: dict[str, Any]) -> dict[str, Any]:
        """`schema` so that referencing, which obeys every `$schema` it meets, reads it by these dialects."""
        if not (self.embedded or self.ignored or self.mixed):
            return schema
        ignored = set(self.ignored)

        def copied(where: Where, value: dict[str, Any]) -> dict[str, Any]:
            items = {key: inner for key, inner in value.items() if key != "$schema" or where not in ignored}
            if where in self.mixed:
                # referencing takes all for schemas if the first one is, and breaks at a list of keys
                items = dict(sorted(items.items(), key=lambda item: isinstance(item[1], dict)))
            if where in self.embedded:
                items["$schema"] = uri_of(self.embedded[where])
            draft = self.draft(where)
            return items if draft is self.whole else Embedded(items, draft)

        return _rebuilt(schema, (), copied)  # type: ignore[no-any-return]  # a mapping of a mapping

    def resources(self, schema: dict[str, Any]) -> Iterator[tuple[Where, Draft, dict[str, Any]]]:
        """The schema and those embedded in it, each without the others, for only its own draft has a say in it."""
        if not self.embedded:
            yield (), self.whole, schema
            return
        for start, draft in [((), self.whole), *self.embedded.items()]:
            others = self.embedded.keys() - {start}
            yield start, draft, _rebuilt(_at(schema, start), start, partial(_emptied, others))


def _at(value: Any, where: Where) -> Any:
    for step in where:
        value = value[step]
    return value


def _emptied(places: Collection[Where], where: Where, value: dict[str, Any]) -> dict[str, Any]:
    return {} if where in places else value


def _is_resource(schema: Mapping[str, Any], draft: Any) -> bool:
    """Whether a subschema has an identifier that makes it a resource of its own by the rules of `draft`."""
    return isinstance(schema.get(id_keyword(draft)), str) and bool(draft.ID_OF(schema))


def _rebuilt(value: Any, where: Where, change: Callable[[Where, dict[str, Any]], dict[str, Any]]) -> Any:
    """A copy of `value` in which no part is shared, its mappings changed from the inside out."""
    if isinstance(value, list):
        return [_rebuilt(inner, (*where, index), change) for index, inner in enumerate(value)]
    if isinstance(value, dict):
        return change(where, {key: _rebuilt(inner, (*where, key), change) for key, inner in value.items()})
    return value
