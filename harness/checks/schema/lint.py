"""What a schema says in vain, and mistakes in what a case expects of it, that would be noticed late or never.

A misspelt keyword means nothing to a validator: `requried` requires nothing, and neither does an unknown format. And a
case that expects what its schema refuses can never pass.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from tunegate.harness.authoring.document import Document, Where, show_where
from tunegate.harness.checks.schema.dialects import (
    HOLD_SCHEMAS,
    Dialects,
    Subschema,
    id_keyword,
    name_of,
    reads_beside_references,
    uri_of,
)
from tunegate.harness.checks.schema.formats import FORMATS, INTEGERS
from tunegate.harness.checks.schema.json_reader import json_path, show_json
from tunegate.harness.checks.schema.validator import Validator
from tunegate.harness.core.errors import LintWarning

# beside those that hold schemas: of all drafts, and what OpenAPI adds
_PLAIN = {
    "$anchor", "$comment", "$dynamicAnchor", "$dynamicRef", "$id", "$recursiveAnchor", "$recursiveRef", "$ref",
    "$schema", "$vocabulary", "const", "contentEncoding", "contentMediaType", "default", "dependentRequired",
    "deprecated", "description", "discriminator", "enum", "example", "examples", "exclusiveMaximum",
    "exclusiveMinimum", "externalDocs", "format", "id", "maxContains", "maxItems", "maxLength", "maxProperties",
    "maximum", "minContains", "minItems", "minLength", "minProperties", "minimum", "multipleOf", "nullable",
    "pattern", "readOnly", "required", "title", "type", "uniqueItems", "writeOnly", "xml",
}  # fmt: skip
KEYWORDS = frozenset(HOLD_SCHEMAS | _PLAIN)
_FORMATS = frozenset(FORMATS)
ALIKE = 0.8  # of difflib's ratio: `requried` is .88 of `required`

# what other languages and older drafts call a format that JSON Schema has
_ALSO_CALLED = {"guid": "uuid", "host": "hostname", "ip": "ipv4", "ip-address": "ipv4", "url": "uri"}

Note = tuple[Where, str]  # the place of something in a document, and what is said of it


def schema_typos(parts: Sequence[Subschema], document: Document, where: Where) -> Iterator[LintWarning]:
    """Keywords of a schema, which stands at `where`, that mean nothing and resemble one that does."""
    for place, each, _ in parts:
        for key in [key for key in each if key not in KEYWORDS and not key.startswith("x-")]:
            if close := _alike(str(key), KEYWORDS):
                text = f"{key!r} is no keyword of JSON Schema and checks nothing; did you mean {close!r}?"
                yield _warning(document, (*where, *place, key), text)


def dialect_notes(schema: Mapping[str, Any], dialects: Dialects, where: Where) -> Iterator[Note]:
    """The `$schema` of a schema that stands at `where`, and of those in it, that mean little, or another draft."""
    declared, exact = schema.get("$schema"), uri_of(dialects.whole)
    if declared is not None and declared.removesuffix("#") != exact:
        text = f"{show_json(declared)} is read as {name_of(dialects.whole)}, and other tools may not; write {exact}"
        yield (*where, "$schema"), text
    for place in dialects.ignored:
        draft = dialects.draft(place)
        text = f"this $schema is ignored, and {name_of(draft)} goes on: inside a schema one counts only beside an"
        yield (*where, *place, "$schema"), f"{text} {id_keyword(draft)}, and only if it names a known draft"
    for place, draft in dialects.embedded.items():
        text = f"from here on {name_of(draft)} judges, as this $schema beside an {id_keyword(draft)} says"
        yield (*where, *place, "$schema"), text


def format_notes(parts: Sequence[Subschema], dialects: Dialects, where: Where) -> Iterator[Note]:
    """The formats in a schema that stands at `where` that check nothing."""
    for place, each, _ in parts:
        if "format" in each and (said := unasserted(each, dialects.draft(place))):
            yield (*where, *place, "format"), said


def unasserted(schema: Mapping[str, Any], draft: Any) -> str:
    """Why the `format` of a subschema checks nothing; empty where it does, or there is none."""
    name = schema.get("format")
    if not isinstance(name, str):
        return ""
    shown, kinds = show_json(name), schema.get("type", ["string", "number"])
    if name not in FORMATS and name not in INTEGERS:
        meant = _ALSO_CALLED.get(name.lower()) or _alike(name.lower(), _FORMATS)
        hint = f"did you mean {show_json(meant)}?" if meant else "a pattern, or bounds, would be"
        return f"{shown} is no format of JSON Schema, so it is an annotation and not checked; {hint}"
    if "$ref" in schema and not reads_beside_references(draft):
        return f"{shown} is not checked: in {name_of(draft)} nothing beside a $ref counts; put both into an allOf"
    of, known = ("texts", {"string"}) if name in FORMATS else ("numbers", {"integer", "number"})
    if not known.intersection([kinds] if isinstance(kinds, str) else kinds):
        return f"{shown} is not checked: it is a format of {of}, and the type here is {show_json(kinds)}"
    return ""


def warn_once(notes: Iterable[Note], document: Document) -> Iterator[LintWarning]:
    """Each different note as one warning, at the first of its places."""
    places: dict[str, list[Where]] = {}
    for where, text in notes:
        places.setdefault(text, []).append(where)
    for text, found in places.items():
        more = f" ({len(found)} times in this schema)" if len(found) > 1 else ""
        yield _warning(document, min(found, key=document.line), f"{text}{more}")


def _warning(document: Document, where: Where, text: str) -> LintWarning:
    return LintWarning(document.path, document.line(where), f"{show_where(where)}: {text}")


@lru_cache(maxsize=4096)
def _alike(key: str, known: frozenset[str]) -> str:
    """The one of `known` that `key` resembles; empty where none does."""
    return next(iter(difflib.get_close_matches(key, sorted(known), n=1, cutoff=ALIKE)), "")


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


def impossible(validator: Validator, expect: Any) -> Iterator[Impossible]:
    """Where a schema refuses an `expect` whatever else the answer says, and why.

    An answer may hold keys that `expect` does not, so what a schema misses is no matter, nor is whatever may depend on
    it: alternatives, conditions, values compared as a whole.
    """
    if _conditional(validator.schema):
        return
    values = {json_path(where): (where, value) for where, value in _values(expect, ())}
    for finding in validator.violations(expect):
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
