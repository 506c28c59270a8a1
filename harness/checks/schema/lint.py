"""Ineffective parts of a schema, and impossible expectations of cases.

Validators ignore a misspelt keyword such as `requried`, or an unknown format. A case that expects a value that its
schema refuses can never pass.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from tunegate.harness.checks.outputs.json_text import json_path, show_json
from tunegate.harness.checks.schema.alternatives import meant_any_of, resembles_any_of
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
from tunegate.harness.checks.schema.pass_rule import name_of_place
from tunegate.harness.checks.schema.schema_fields import SchemaFields, schema_fields
from tunegate.harness.checks.schema.validator import Validator
from tunegate.harness.core.authoring.document import Document, Where, show_where
from tunegate.harness.core.errors import LintWarning

# besides those that hold schemas: keywords of all drafts, and those that OpenAPI adds
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
ALIKE = 0.8  # difflib's ratio: `requried` has .88 to `required`

# names of JSON Schema formats in other languages and older drafts
_ALSO_CALLED = {"guid": "uuid", "host": "hostname", "ip": "ipv4", "ip-address": "ipv4", "url": "uri"}

Note = tuple[Where, str]  # a place in a document, and a message


def schema_typos(parts: Sequence[Subschema], document: Document, where: Where) -> Iterator[LintWarning]:
    """Meaningless keywords of a schema at `where` that resemble a real one."""
    for place, each, _ in parts:
        for key in [key for key in each if key not in KEYWORDS and not key.startswith("x-")]:
            if close := _alike(str(key), KEYWORDS):
                text = f"{key!r} is not a JSON Schema keyword and checks nothing; did you mean {close!r}?"
                yield _warning(document, (*where, *place, key), text)


def dialect_notes(schema: Mapping[str, Any], dialects: Dialects, where: Where) -> Iterator[Note]:
    """Notes on each `$schema` of a schema at `where` that is ignored or changes the draft."""
    declared, exact = schema.get("$schema"), uri_of(dialects.whole)
    if declared is not None and declared.removesuffix("#") != exact:
        text = f"{show_json(declared)} is read as {name_of(dialects.whole)}, and other tools may not; write {exact}"
        yield (*where, "$schema"), text
    for place in dialects.ignored:
        draft = dialects.draft(place)
        text = f"this $schema is ignored, and {name_of(draft)} continues: inside a schema it counts only beside an"
        yield (*where, *place, "$schema"), f"{text} {id_keyword(draft)}, and only if it names a known draft"
    for place, draft in dialects.embedded.items():
        text = f"from here on {name_of(draft)} applies, by this $schema beside an {id_keyword(draft)}"
        yield (*where, *place, "$schema"), text


def format_notes(parts: Sequence[Subschema], dialects: Dialects, where: Where) -> Iterator[Note]:
    """Notes on the formats of a schema at `where` that check nothing."""
    for place, each, _ in parts:
        if "format" in each and (said := unasserted(each, dialects.draft(place))):
            yield (*where, *place, "format"), said


def unasserted(schema: Mapping[str, Any], draft: Any) -> str:
    """Why the `format` of a subschema checks nothing; empty if it does, or if there is none."""
    name = schema.get("format")
    if not isinstance(name, str):
        return ""
    shown, kinds = show_json(name), schema.get("type", ["string", "number"])
    if name not in FORMATS and name not in INTEGERS:
        meant = _ALSO_CALLED.get(name.lower()) or _alike(name.lower(), _FORMATS)
        hint = f"did you mean {show_json(meant)}?" if meant else "use a pattern or bounds"
        return f"{shown} is not a JSON Schema format, so it is an annotation and not checked; {hint}"
    if "$ref" in schema and not reads_beside_references(draft):
        return f"{shown} is not checked: in {name_of(draft)} keywords beside a $ref are ignored; put both into an allOf"
    of, known = ("texts", {"string"}) if name in FORMATS else ("numbers", {"integer", "number"})
    if not known.intersection([kinds] if isinstance(kinds, str) else kinds):
        return f"{shown} is not checked: it is a format of {of}, and the type here is {show_json(kinds)}"
    return ""


def warn_once(notes: Iterable[Note], document: Document) -> Iterator[LintWarning]:
    """One warning per different note, at the first of its places."""
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
    """The one of `known` that `key` resembles; empty if there is none."""
    return next(iter(difflib.get_close_matches(key, sorted(known), n=1, cutoff=ALIKE)), "")


# keywords that an output cannot satisfy by adding to what the case expects
_FIRM = {
    "additionalProperties", "const", "enum", "exclusiveMaximum", "exclusiveMinimum", "format", "maxItems",
    "maxLength", "maximum", "minItems", "minLength", "minimum", "multipleOf", "pattern", "type",
}  # fmt: skip


@dataclass(frozen=True)
class Impossible:
    """An expected value that the schema refuses: its place in the `expect`, and the reason."""

    where: Where
    value: Any
    message: str


def impossible(validator: Validator, expect: Any) -> Iterator[Impossible]:
    """Where a schema refuses `expect` whatever the rest of the output is, and why.

    An output may have keys that `expect` does not, so missing keys do not count, nor does anything that may depend on
    them: alternatives, conditions, values compared as a whole (unless the schema has no such value of this type).
    """
    if _conditional(validator.schema):
        return
    values = {json_path(where): (where, value) for where, value in _values(expect, ())}
    fields = schema_fields(validator.schema)
    for finding in validator.violations(expect):
        keyword = finding.rule.removeprefix("schema.")
        where, value = values.get(finding.path, ((), None))
        whole = keyword in {"const", "enum"} and isinstance(value, dict | list)
        if keyword in _FIRM and not (whole and _may_be_completed(value, where, fields)):
            text = f"no output can match it: {finding.message}"
            yield Impossible(where, value, "; ".join(filter(None, (text, _meant(where, value)))))


def _may_be_completed(value: Any, where: Where, fields: SchemaFields) -> bool:
    """Whether the schema's values for a field may include one of this type, which an output could complete."""
    known = fields.values(name_of_place(where))
    return not known or any(type(each) is type(value) for each in known)


def _meant(where: Where, value: Any) -> str:
    """What to write if the value, or the key that holds it, was meant as alternatives."""
    key = where[-1] if where else None
    return meant_any_of(value) or (meant_any_of({key: value}) if resembles_any_of(key) else "")


def _conditional(schema: Any) -> bool:
    if isinstance(schema, dict):
        return "if" in schema or any(_conditional(inner) for inner in schema.values())
    return isinstance(schema, list) and any(_conditional(inner) for inner in schema)


def _values(value: Any, where: Where) -> Iterator[tuple[Where, Any]]:
    yield where, value
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        yield from _values(each, (*where, key))
