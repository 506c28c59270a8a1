"""Validate JSON values by jsonschema-rs, in bounded time and with readable messages.

Drafts 4 to 2020-12, formats asserted; nothing is fetched. Parts that jsonschema-rs reads differently are rewritten
first (`_for_library`); validations that it could not finish are counted before (`Steps`) and become a finding.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import jsonschema_rs

from tunegate.harness.checks.base import Finding
from tunegate.harness.checks.schema.dialects import Dialects, Subschema, uri_of
from tunegate.harness.checks.schema.formats import FORMATS, INTEGERS, Width
from tunegate.harness.checks.schema.patterns import HEAVY, LIGHT, for_library, foreign, patterns_in
from tunegate.harness.checks.schema.references import References
from tunegate.harness.checks.schema.steps import MAX_REPORTED, MAX_STEPS, MAX_VALUES, Steps, TooMuch, size_of
from tunegate.harness.checks.schema.wording import Reporter
from tunegate.harness.core.authoring.document import Document, Where

LIMIT = "schema.limit"  # the rule of findings about a reached bound

_ANNOTATIONS = {"contentEncoding", "contentMediaType"}  # asserted by the library in drafts 6 and 7
_MAYBE = {*_ANNOTATIONS, "$ref", "format", "pattern", "patternProperties"}


class Validator:
    """Validates values against one schema, optionally located in `document`.

    Raises:
        ValueError: the schema cannot be used; a `jsonschema_rs.ValidationError` has the details.
    """

    def __init__(self, schema: Mapping[str, Any], document: Document | None = None) -> None:
        self.schema, self.document = schema, document
        references = References(schema)
        self.parts, self.dialects = references.parts, Dialects.of(references.parts)
        if any(foreign(pattern) for part in self.parts for _, pattern in patterns_in(part.schema)):
            raise ValueError("an invalid pattern")
        if not references.is_whole:  # the library knows the schemas of all drafts
            raise ValueError("a reference without a target in the schema")
        uri = uri_of(self.dialects.whole)
        if not all(jsonschema_rs.meta.is_valid({"$schema": uri, **each.schema}) for each in references.unlisted):
            raise ValueError("a reference to a value that is not a schema")
        prepared = _for_library(schema, self.parts, set(self.dialects.ignored))
        references = references if prepared is schema else References(prepared)
        try:
            self._library, is_heavy = _library(references.parts, LIGHT), False
        except ValueError:
            self._library, is_heavy = _library(references.parts, HEAVY), True
        self.steps = Steps(references, is_heavy)
        self._words = Reporter(schema, references, document)

    def violations(self, value: Any) -> Iterator[Finding]:
        """The findings of the schema on `value`; never raises, and terminates."""
        try:
            yield from self._violations(value)
        except (TooMuch, ValueError) as error:  # such as a lone surrogate, which `read_json_text` reports
            yield Finding(LIMIT, f"{error}; the output cannot be checked")

    def _violations(self, value: Any) -> Iterator[Finding]:
        size = size_of(value)
        if size.values > MAX_VALUES:
            raise TooMuch(f"the output has more than {MAX_VALUES:,} values")
        cost = None if self.steps.decide_quickly(size) else self.steps.count(value)
        if cost and cost.steps > MAX_STEPS:
            raise TooMuch(f"the schema takes more than {MAX_STEPS:,} steps")
        if self._library.is_valid(value):
            return
        if not cost and not self.steps.report_quickly(size):
            cost = self.steps.count(value)
        if cost and cost.reported > MAX_REPORTED:
            yield Finding(LIMIT, f"the output violates the schema; locating it takes over {MAX_REPORTED:,} steps")
            return
        for error in self._library.iter_errors(value):
            yield from self._words.findings(error, value)


def violations(schema: Mapping[str, Any], value: Any) -> Iterator[Finding]:
    """The findings of a valid schema on `value`."""
    return Validator(schema).violations(value)


def _library(parts: Sequence[Subschema], patterns: Any) -> jsonschema_rs.Validator:
    named = {part["format"] for _, part, _ in parts if isinstance(part.get("format"), str)}
    formats = {name: FORMATS[name] for name in named & FORMATS.keys()}
    keywords: Any = {Width.KEYWORD: Width} if named & INTEGERS.keys() else None
    return jsonschema_rs.validator_for(
        parts[0].schema, formats=formats, validate_formats=True, offline=True, pattern_options=patterns, mask="",
        keywords=keywords,
    )  # fmt: skip


def _for_library(schema: Mapping[str, Any], parts: Sequence[Subschema], ignored: set[Where]) -> Mapping[str, Any]:
    """The schema, or a rewritten copy, in a form that the library reads as intended."""
    changed = {where for where, part, _ in parts if where in ignored or _reads_otherwise(part)}
    if not changed:
        return schema

    def copied(value: Any, where: Where = ()) -> Any:
        if isinstance(value, list):
            return [copied(inner, (*where, index)) for index, inner in enumerate(value)]
        if not isinstance(value, dict):
            return value
        part = {key: copied(inner, (*where, key)) for key, inner in value.items()}
        return _rewritten(part, where in ignored) if where in changed else part

    return copied(schema)  # type: ignore[no-any-return]  # a mapping of a mapping


def _reads_otherwise(part: Mapping[str, Any]) -> bool:
    if not _MAYBE & part.keys():
        return False
    reference, patterns = part.get("$ref"), (pattern for _, pattern in patterns_in(part))
    return bool(
        _ANNOTATIONS & part.keys()
        or _width(part)
        or (isinstance(reference, str) and _uri(reference) != reference)
        or any(for_library(each) != each for each in patterns)
    )


def _uri(reference: str) -> str:
    """A reference with all characters encoded as the library requires for URIs."""
    return quote(reference, safe="%!#$&'()*+,/:;=?@~")


def _width(part: Mapping[str, Any]) -> str | None:
    name = part.get("format")
    return name if isinstance(name, str) and name in INTEGERS else None


def _rewritten(part: Mapping[str, Any], is_ignored: bool) -> dict[str, Any]:
    left_out = {*_ANNOTATIONS, *(("$schema",) if is_ignored else ())}
    new = {key: value for key, value in part.items() if key not in left_out}
    for keyword, pattern in patterns_in(part):
        if keyword == "pattern":
            new[keyword] = for_library(pattern)
        else:
            new[keyword] = {for_library(each): inner for each, inner in new[keyword].items()}
    if width := _width(part):
        new[Width.KEYWORD] = width
    if isinstance(new.get("$ref"), str):
        new["$ref"] = _uri(new["$ref"])
    return new
