"""Typos in a schema, and mistakes in what a case expects of it, that would be noticed late or never.

A misspelt keyword means nothing to a validator: `requried` requires nothing. And a case that expects what its schema
refuses can never pass.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from tunegate.harness.authoring.document import Document, Where
from tunegate.harness.authoring.yaml_reader import read_yaml
from tunegate.harness.checks.schema.json_reader import json_path
from tunegate.harness.checks.schema.validator import violations
from tunegate.harness.core.errors import AuthoringError, LintWarning

# of all drafts, and what OpenAPI adds
_ONE = {
    "additionalItems", "additionalProperties", "contains", "contentSchema", "else", "if", "items", "not",
    "propertyNames", "then", "unevaluatedItems", "unevaluatedProperties",
}  # fmt: skip
_MANY = {"allOf", "anyOf", "items", "oneOf", "prefixItems"}
_NAMED = {
    "$defs", "definitions", "dependencies", "dependentSchemas", "patternProperties", "properties",
}  # fmt: skip
_PLAIN = {
    "$anchor", "$comment", "$dynamicAnchor", "$dynamicRef", "$id", "$recursiveAnchor", "$recursiveRef", "$ref",
    "$schema", "$vocabulary", "const", "contentEncoding", "contentMediaType", "default", "dependentRequired",
    "deprecated", "description", "discriminator", "enum", "example", "examples", "exclusiveMaximum",
    "exclusiveMinimum", "externalDocs", "format", "id", "maxContains", "maxItems", "maxLength", "maxProperties",
    "maximum", "minContains", "minItems", "minLength", "minProperties", "minimum", "multipleOf", "nullable",
    "pattern", "readOnly", "required", "title", "type", "uniqueItems", "writeOnly", "xml",
}  # fmt: skip
KEYWORDS = _ONE | _MANY | _NAMED | _PLAIN
ALIKE = 0.8  # of difflib's ratio: `requried` is .88 of `required`


def schema_typos(schema: Any, written: Any, document: Document, where: Where) -> Iterator[LintWarning]:
    """Keywords of a valid schema that mean nothing and resemble one that does.

    `written` is what stands at `where` in `document`: the schema, or the path of its file.
    """
    found = [(place, close[0]) for place in _unknown(schema, ()) if (close := _alike(str(place[-1])))]
    if not found:
        return
    if isinstance(written, str):
        path, where = document.path.parent / written, ()
        document = Document(path, schema, {})
        with suppress(AuthoringError):  # JSON with tabs is no YAML: then it has no lines
            document = read_yaml(path)
    for place, meant in found:
        text = f"{json_path((*where, *place))}: {place[-1]!r} is no keyword of JSON Schema and checks nothing"
        yield LintWarning(document.path, document.line((*where, *place)), f"{text}; did you mean {meant!r}?")


def _alike(key: str) -> list[str]:
    return difflib.get_close_matches(key, KEYWORDS, n=1, cutoff=ALIKE)


def _unknown(schema: Any, where: Where) -> Iterator[Where]:
    """The places of unknown keywords, in this schema and those inside it."""
    for key, value in schema.items() if isinstance(schema, dict) else ():
        here = (*where, key)
        if key not in KEYWORDS:
            yield here
        if key in _ONE:
            yield from _unknown(value, here)
        if key in _MANY and isinstance(value, list):
            for index, inner in enumerate(value):
                yield from _unknown(inner, (*here, index))
        if key in _NAMED and isinstance(value, dict):
            for name, inner in value.items():
                yield from _unknown(inner, (*here, name))


# what an answer cannot put right by saying more than the case expects
_FIRM = {
    "additionalProperties", "const", "enum", "exclusiveMaximum", "exclusiveMinimum", "format", "maxItems",
    "maxLength", "maximum", "minItems", "minLength", "minimum", "multipleOf", "pattern", "type",
}  # fmt: skip


@dataclass(frozen=True)
class Impossible:
    """A value that a case expects and its schema refuses: where it stands in the `expect`, and why."""

    where: Where
    value: Any
    message: str


def impossible(schema: Mapping[str, Any], expect: Any) -> Iterator[Impossible]:
    """Where `schema` refuses an `expect` whatever else the answer says, and why.

    An answer may hold keys that `expect` does not, so what a schema misses is no matter, nor is whatever may depend on
    it: alternatives, conditions, values compared as a whole.
    """
    if _conditional(schema):
        return
    values = {json_path(where): (where, value) for where, value in _values(expect, ())}
    for finding in violations(schema, expect):
        keyword = finding.rule.removeprefix("schema.")
        where, value = values.get(finding.path, ((), None))
        whole = keyword in {"const", "enum"} and isinstance(value, dict | list)
        if keyword in _FIRM and not whole:
            yield Impossible(where, value, f"no answer can match it: {finding.message}")


def _conditional(schema: Any) -> bool:
    if isinstance(schema, dict):
        return "if" in schema or any(_conditional(inner) for inner in schema.values())
    return isinstance(schema, list) and any(_conditional(inner) for inner in schema)


def _values(value: Any, where: Where) -> Iterator[tuple[Where, Any]]:
    yield where, value
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        yield from _values(each, (*where, key))
