"""The subschemas of a schema, one by one: their references, identifiers, patterns and formats."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any
from urllib.parse import urlsplit

from referencing import Registry, Resource
from referencing.exceptions import Unresolvable
from referencing.jsonschema import specification_with

from tunegate.harness.authoring.document import Document, Where
from tunegate.harness.authoring.validation import did_you_mean
from tunegate.harness.checks.schema.dialects import draft_at, id_keyword, name_of, resolver_of, subschemas, uri_of
from tunegate.harness.checks.schema.ecma_regex import NotAPattern, compiled
from tunegate.harness.checks.schema.json_reader import show_json
from tunegate.harness.checks.schema.keywords import REFERENCES
from tunegate.harness.checks.schema.lint import unasserted
from tunegate.harness.checks.schema.validator import KINDS, render_error
from tunegate.harness.core.errors import Problem

# what referencing raises at references that lead nowhere, or are not even text
_LOST = (Unresolvable, LookupError, ValueError, TypeError, AttributeError)


def invalid(schema: Any, document: Document, where: Where, draft: Any) -> Iterator[Problem]:
    """What the draft's own schema says against `schema`, which stands at `where`."""
    for error in draft(draft.META_SCHEMA, registry=Registry()).iter_errors(schema):
        place = (*where, *error.absolute_path)
        if place and place[-1] == "type" and error.validator in {"anyOf", "enum"} and isinstance(error.instance, str):
            hint = did_you_mean(error.instance, KINDS)
            yield document.problem(place, f"one of {', '.join(KINDS)}", show_json(error.instance), hint)
        else:
            expected = f"a valid JSON Schema ({name_of(draft)})"
            yield document.problem(place, expected, show_json(error.instance), render_error(error))


class Walk:
    """A way through a settled and valid schema: all that can be reached in it, by references too.

    `notes` are what lint says of what it met, with their places; they are there once `problems` has ended.
    """

    def __init__(self, schema: dict[str, Any], document: Document, where: Where, whole: Any) -> None:
        self.schema, self.document, self.whole = schema, document, whole
        self.places = {id(mapping): place for place, mapping in _mappings(schema, where)}
        self.notes: list[tuple[Where, str]] = []

    def problems(self) -> Iterator[Problem]:
        """Everything wrong, in no particular order."""
        odd = list(self._odd_identifiers())
        if odd:  # each would break the look-up of every reference
            yield from odd
            return
        todo: list[Any] = [resolver_of(self.schema, self.whole)]
        referred: list[Any] = []
        seen: set[int] = set()
        while todo or referred:
            if not todo:  # only now: what stands inside is valid since the whole is
                resource, resolver, origin = referred.pop()
                if id(resource.contents) not in seen and not (yield from self._not_a_schema(resource.contents, origin)):
                    todo.append((resource, resolver))
                continue
            resource, resolver = todo.pop()
            schema = resource.contents
            if isinstance(schema, dict) and id(schema) not in seen:
                seen.add(id(schema))
                yield from self._one(schema)
                yield from self._references(schema, resolver, referred)
                yield from self._inside(resource, resolver, todo)

    def _resource(self, schema: Any) -> Resource[Any]:
        return specification_with(uri_of(draft_at(schema, self.whole))).create_resource(schema)

    def _odd_identifiers(self) -> Iterator[Problem]:
        for _, schema in subschemas(self.schema):
            keyword = id_keyword(draft_at(schema, self.whole))
            name = schema.get(keyword)
            try:
                urlsplit(name if isinstance(name, str) else "")
            except ValueError as error:
                yield self._problem(schema, keyword, "a URI", f"{show_json(name)}: {error}")

    def _not_a_schema(self, target: Any, origin: Where) -> Generator[Problem, None, bool]:
        """What its draft says against the target of a reference that stands in `origin`, and whether it does."""
        mistakes = list(
            invalid(target, self.document, self.places.get(id(target), origin), draft_at(target, self.whole))
        )
        yield from mistakes
        return bool(mistakes)

    def _references(self, schema: dict[str, Any], resolver: Any, referred: list[Any]) -> Iterator[Problem]:
        """Put what the references of `schema` lead to into `referred`, each with its resolver and its origin."""
        known = draft_at(schema, self.whole).VALIDATORS
        for keyword in [keyword for keyword in REFERENCES if keyword in schema and keyword in known]:
            try:
                found = resolver.lookup(schema[keyword])
            except _LOST:
                yield self._lost(schema, keyword)
            else:
                referred.append((self._resource(found.contents), found.resolver, self.places[id(schema)]))

    def _inside(self, resource: Resource[Any], resolver: Any, todo: list[Any]) -> Iterator[Problem]:
        """Put the subschemas of `resource` into `todo`, each with the resolver for its references."""
        dependent = resource.contents.get("dependencies", {}).values()
        # referencing overlooks these where a list of keys is among them, and in the newer drafts
        overlooked = [inner for inner in dependent if isinstance(inner, dict)]
        for schema in [*(inner.contents for inner in resource.subresources()), *overlooked]:
            inner = self._resource(schema)  # made anew, for referencing obeys a $schema also where none counts
            try:
                inner_resolver = resolver.in_subresource(inner)
                if inner.id() is not None:
                    inner_resolver.lookup("#")
            except _LOST:
                keyword = id_keyword(draft_at(schema, self.whole))
                found = f"{show_json(inner.id())}, where identifiers are not looked for"
                yield self._problem(schema, keyword, f"no {keyword}", found, "delete it, or move its schema to $defs")
            else:
                todo.append((inner, inner_resolver))

    def _one(self, schema: dict[str, Any]) -> Iterator[Problem]:
        patterns = [("patternProperties", key) for key in schema.get("patternProperties", {})]
        patterns += [("pattern", schema["pattern"])] if "pattern" in schema else []
        for keyword, pattern in patterns:
            try:
                compiled(pattern)
            except NotAPattern as error:
                expected = "a regular expression of ECMA-262, the dialect of JSON Schema"
                yield self._problem(schema, keyword, expected, f"{show_json(pattern)}: {error}")
        if said := unasserted(schema, draft_at(schema, self.whole)):
            self.notes.append(((*self.places[id(schema)], "format"), said))

    def _lost(self, schema: dict[str, Any], keyword: str) -> Problem:
        reference = schema[keyword]
        expected = "a reference inside this schema, such as #/$defs/name"
        if str(reference).startswith("#"):
            return self._problem(schema, keyword, expected, f"{show_json(reference)}, which leads nowhere")
        hint = "nothing is fetched: copy what it names into this schema"
        return self._problem(schema, keyword, expected, show_json(reference), hint)

    def _problem(self, schema: dict[str, Any], keyword: str, expected: str, found: str, hint: str = "") -> Problem:
        return self.document.problem((*self.places[id(schema)], keyword), expected, found, hint)


def _mappings(data: Any, where: Where) -> Iterator[tuple[Where, dict[Any, Any]]]:
    if isinstance(data, dict):
        yield where, data
    inner = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in inner:
        yield from _mappings(value, (*where, key))
