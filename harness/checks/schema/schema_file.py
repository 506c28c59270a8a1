"""The schema of a fixture file: read, and refused with every mistake in it, before any model is loaded.

References stay inside the schema's own file, patterns and formats can be checked here, and checking with it ends.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

from referencing import Registry, Resource
from referencing.exceptions import Unresolvable
from referencing.jsonschema import specification_with

from tunegate.harness.authoring.document import Document, Where
from tunegate.harness.authoring.validation import did_you_mean, validate
from tunegate.harness.authoring.yaml_reader import read_yaml
from tunegate.harness.checks.schema.ecma_regex import NotAPattern, compiled
from tunegate.harness.checks.schema.formats import FORMATS
from tunegate.harness.checks.schema.json_reader import read_json_text, show_json
from tunegate.harness.checks.schema.validator import (
    DEFAULT_DRAFT,
    DRAFTS,
    KINDS,
    LIMIT,
    draft_of,
    render_error,
    violations,
)
from tunegate.harness.core.errors import AuthoringError, Problem, show_path


def read_schema(schema: Any, document: Document, where: Where) -> Mapping[str, Any]:
    """The schema that stands at `where` in `document`, or in the file whose path stands there.

    Raises:
        AuthoringError: no such file, not JSON or YAML, not a valid schema of a known draft, a reference that leaves
            the file or leads nowhere, a format that cannot be checked here.
    """
    if isinstance(schema, str):
        path = document.path.parent / schema
        if not path.is_file():
            raise AuthoringError([document.problem(where, "the path of a schema file", f"no file {show_path(path)}")])
        document, where = _read_json(path) if path.suffix == ".json" else read_yaml(path), ()
        schema = document.data
    problems = _mistakes(schema, document, where)
    if problems:
        raise AuthoringError(problems)
    return dict(schema)


_TRAILING = re.compile(r",\s*[}\]]")


def _read_json(path: Path) -> Document:
    """JSON, and its lines as YAML counts them: YAML reads nearly all JSON, but not tabs."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise AuthoringError([Problem(path, line, "", "UTF-8 text", str(error))]) from error
    read = read_json_text(text)
    if "\t" not in text and {flaw.rule for flaw in read.findings} == {"json.duplicate-key"}:
        read_yaml(path)  # refuses them too, and names their lines
    if read.findings:
        hint = "JSON has no comma after the last entry" if _TRAILING.search(text) else ""
        problems = [Problem(path, read.line, flaw.path, "JSON", flaw.message, hint) for flaw in read.findings]
        raise AuthoringError(
            [replace(problem, found=problem.found.replace("not JSON", "a mistake", 1)) for problem in problems]
        )
    try:
        return Document(path, read.value, read_yaml(path).lines)
    except AuthoringError:
        return Document(path, read.value, {})


def _mistakes(schema: Any, document: Document, where: Where) -> list[Problem]:
    if not isinstance(schema, dict):
        return [document.problem(where, "a JSON Schema (a mapping)", show_json(schema))]
    problems = validate(document, {}, where, schema)
    declared = schema.get("$schema", DEFAULT_DRAFT)
    if not isinstance(declared, str) or declared.removesuffix("#") not in DRAFTS:
        expected = f"one of {', '.join(DRAFTS)}"
        problems.append(document.problem((*where, "$schema"), expected, show_json(declared)))
    if problems:
        return problems
    try:
        problems = list(_invalid(schema, document, where, schema)) or [*_Walk(schema, document, where).problems()]
    except RecursionError:
        return [document.problem(where, "a schema of a few levels", "nesting without end")]
    return problems or list(_endless(schema, document, where))


def _endless(schema: Mapping[str, Any], document: Document, where: Where) -> Iterator[Problem]:
    """A schema that cannot even check the simplest answers, because it refers to itself or doubles."""
    # by trying: whether a schema ends depends on what its references and alternatives come to
    simplest: list[Any] = [None, {}, [], "", 0]
    for finding in chain.from_iterable(violations(schema, value) for value in simplest):
        if finding.rule == LIMIT:
            yield document.problem(where, "a schema that comes to an end", finding.message)


def _mappings(data: Any, where: Where) -> Iterator[tuple[Where, dict[Any, Any]]]:
    if isinstance(data, dict):
        yield where, data
    inner = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in inner:
        yield from _mappings(value, (*where, key))


def _invalid(schema: Any, document: Document, where: Where, root: Mapping[str, Any]) -> Iterator[Problem]:
    """What the draft's own schema says against `schema`."""
    draft = draft_of(root)
    for error in draft(draft.META_SCHEMA, registry=Registry()).iter_errors(schema):
        place = (*where, *error.absolute_path)
        if place and place[-1] == "type" and error.validator in {"anyOf", "enum"} and isinstance(error.instance, str):
            hint = did_you_mean(error.instance, KINDS)
            yield document.problem(place, f"one of {', '.join(KINDS)}", show_json(error.instance), hint)
        else:
            yield document.problem(
                place, f"a valid JSON Schema ({_name(root)})", show_json(error.instance), render_error(error)
            )


def _name(schema: Mapping[str, Any]) -> str:
    return f"draft {str(schema.get('$schema', DEFAULT_DRAFT)).split('/')[-2].removeprefix('draft-').lstrip('0')}"


class _Walk:
    """A valid schema's subschemas, one by one: references, patterns, formats."""

    def __init__(self, schema: dict[str, Any], document: Document, where: Where) -> None:
        self.schema, self.document = schema, document
        self.places = {id(mapping): place for place, mapping in _mappings(schema, where)}
        self.make = specification_with(schema.get("$schema", DEFAULT_DRAFT)).create_resource

    def problems(self) -> Iterator[Problem]:
        """Everything wrong, in no particular order."""
        root: Resource[Any] = self.make(self.schema)
        todo = [(root, Registry().resolver_with_root(root))]
        seen: set[int] = set()
        while todo:
            resource, resolver = todo.pop()
            schema = resource.contents
            if not isinstance(schema, dict) or id(schema) in seen:
                continue
            seen.add(id(schema))
            yield from self._one(schema)
            for keyword in {"$ref", "$dynamicRef", "$recursiveRef"} & schema.keys():
                try:
                    found = resolver.lookup(schema[keyword])
                except (Unresolvable, LookupError, ValueError, TypeError, AttributeError):
                    yield self._lost(schema, keyword)
                    continue
                target = self.places.get(id(found.contents), self.places[id(schema)])
                yield from _invalid(found.contents, self.document, target, self.schema)
                todo.append((self.make(found.contents), found.resolver))
            # referencing overlooks the schemas in `dependencies` when the first of them is a list of keys
            mixed = [self.make(inner) for inner in schema.get("dependencies", {}).values() if isinstance(inner, dict)]
            todo += [(inner, resolver.in_subresource(inner)) for inner in chain(resource.subresources(), mixed)]

    def _one(self, schema: dict[str, Any]) -> Iterator[Problem]:
        if "$schema" in schema and schema is not self.schema:
            yield self._problem(schema, "$schema", "$schema at the top only", show_json(schema["$schema"]), "delete it")
        patterns = [("patternProperties", key) for key in schema.get("patternProperties", {})]
        patterns += [("pattern", schema["pattern"])] if "pattern" in schema else []
        for keyword, pattern in patterns:
            try:
                compiled(pattern)
            except NotAPattern as error:
                expected = "a regular expression of ECMA-262, the dialect of JSON Schema"
                yield self._problem(schema, keyword, expected, f"{show_json(pattern)}: {error}")
        if "format" in schema and schema["format"] not in FORMATS:
            expected = f"a format that can be checked here ({', '.join(FORMATS)})"
            yield self._problem(schema, "format", expected, show_json(schema["format"]), "delete it, or use a pattern")

    def _lost(self, schema: dict[str, Any], keyword: str) -> Problem:
        reference = schema[keyword]
        expected = "a reference inside this schema, such as #/$defs/name"
        if str(reference).startswith("#"):
            return self._problem(schema, keyword, expected, f"{show_json(reference)}, which leads nowhere")
        hint = "nothing is fetched: copy what it names into this schema"
        return self._problem(schema, keyword, expected, show_json(reference), hint)

    def _problem(self, schema: dict[str, Any], keyword: str, expected: str, found: str, hint: str = "") -> Problem:
        return self.document.problem((*self.places[id(schema)], keyword), expected, found, hint)
