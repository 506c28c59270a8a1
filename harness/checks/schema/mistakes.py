"""The mistakes in a schema that jsonschema-rs refuses, with their places."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema_rs

from tunegate.harness.checks.outputs.json_text import show_json
from tunegate.harness.checks.schema.dialects import Dialects, id_keyword, name_of
from tunegate.harness.checks.schema.patterns import NO_PATTERN, is_refused, patterns_in, why_not
from tunegate.harness.checks.schema.references import References
from tunegate.harness.checks.schema.wording import KINDS, found_at
from tunegate.harness.core.authoring.document import Document, Where
from tunegate.harness.core.authoring.validation import did_you_mean
from tunegate.harness.core.errors import Problem

A_PATTERN = "a regular expression of ECMA-262, the dialect of JSON Schema"
INSIDE = "a reference inside this schema, such as #/$defs/name"


def mistakes(schema: dict[str, Any], document: Document, where: Where, refusal: ValueError) -> list[Problem]:
    """List the mistakes in a schema at `where`; at least the library's refusal."""
    references = References(schema)
    dialects = Dialects.of(references.parts)
    found = [
        problem
        for place, each in [((), schema), *((each.where, each.schema) for each in references.unlisted)]
        for problem in _of_its_draft(each, document, (*where, *place), dialects.whole)
    ]
    if not found:
        for place, part, _ in references.parts:
            found += _in_part(part, document, (*where, *place), dialects.draft(place), references)
    return found or [_as_refused(schema, document, where, dialects, refusal)]


def _of_its_draft(schema: Any, document: Document, where: Where, draft: Any) -> Iterator[Problem]:
    """Violations of the draft's own meta-schema."""
    for error in draft(draft.META_SCHEMA).iter_errors(schema):
        place = (*where, *error.absolute_path)
        is_type = bool(place) and place[-1] == "type" and error.validator in {"anyOf", "enum"}
        kinds = error.instance if isinstance(error.instance, list) else [error.instance]
        if is_type and (isinstance(error.instance, str) or None in kinds):
            hint = 'write "null" in quotes' if None in kinds else did_you_mean(error.instance, KINDS)
            yield document.problem(place, f"one of {', '.join(KINDS)}", show_json(error.instance), hint)
        else:
            expected = f"a valid JSON Schema ({name_of(draft)})"
            yield document.problem(place, expected, show_json(error.instance), str(error.message)[:200])


def _in_part(
    part: dict[str, Any], document: Document, where: Where, draft: Any, references: References
) -> Iterator[Problem]:
    for keyword, pattern in patterns_in(part):
        if why := why_not(pattern):
            yield document.problem((*where, keyword), A_PATTERN, f"{show_json(pattern)}: {why}")
    name = part.get(id_keyword(draft))
    if isinstance(name, str) and is_refused({"$id": name}):
        yield document.problem((*where, id_keyword(draft)), "a URI", show_json(name))
    for keyword, targets in references.of(part):
        if not targets:
            reference = part[keyword]
            fetched = not str(reference).startswith("#")
            found = show_json(reference) if fetched else f"{show_json(reference)}, which does not exist"
            hint = "references are not fetched: copy the target into this schema" if fetched else ""
            yield document.problem((*where, keyword), INSIDE, found, hint)


def _as_refused(
    schema: Mapping[str, Any], document: Document, where: Where, dialects: Dialects, refusal: ValueError
) -> Problem:
    if not isinstance(refusal, jsonschema_rs.ValidationError):
        return document.problem(where, "a schema that the validator accepts", str(refusal)[:200])
    inside = tuple(refusal.instance_path)
    seen = show_json(found_at(schema, inside)) if inside else "one that is refused"
    if isinstance(refusal.kind, jsonschema_rs.ValidationErrorKind.Format) and refusal.kind.format == "regex":
        return document.problem((*where, *inside), A_PATTERN, f"{seen}: {NO_PATTERN}")
    expected = f"a valid JSON Schema ({name_of(dialects.draft(inside))})"
    return document.problem((*where, *inside), expected, seen, refusal.message[:200])
