"""The keywords of JSON Schema that jsonschema would run without a bound, in other words, or wrongly.

`validator.format_checker` is the answer's `Budget`: it stands where a validator keeps its format checker, and so is at
hand in every keyword.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import islice
from typing import Any

from jsonschema import Draft7Validator, ValidationError

from tunegate.harness.checks.schema.evaluated import evaluated
from tunegate.harness.checks.schema.json_reader import MAX_FINDINGS, show

Errors = Iterator[ValidationError]


def _pattern(validator: Any, pattern: str, value: Any, _schema: Any) -> Errors:
    if isinstance(value, str) and not validator.format_checker.search(pattern, value):
        yield ValidationError(f"{show(value)} does not match the pattern {show(pattern)}")


def _pattern_properties(validator: Any, patterns: Any, value: Any, _schema: Any) -> Errors:
    for pattern, inner in patterns.items() if isinstance(value, dict) else ():
        for key in value:
            if validator.format_checker.search(pattern, key):
                yield from validator.descend(value[key], inner, path=key, schema_path=pattern)


def _additional_properties(validator: Any, inner: Any, value: Any, schema: Any) -> Errors:
    known, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    for key in value if isinstance(value, dict) else ():
        if key not in known and not any(validator.format_checker.search(pattern, key) for pattern in patterns):
            yield from _extra(validator, inner, value[key], key, "this key is not allowed")


def _additional_items(validator: Any, inner: Any, value: Any, schema: Any) -> Errors:
    if isinstance(schema.get("items"), list):
        yield from _items_from(validator, len(schema["items"]), inner, value)


def _items(validator: Any, inner: Any, value: Any, schema: Any) -> Errors:
    yield from _items_from(validator, len(schema.get("prefixItems", ())), inner, value)


def _items_from(validator: Any, start: int, inner: Any, value: Any) -> Errors:
    for index in range(start, len(value)) if isinstance(value, list) else ():
        yield from _extra(validator, inner, value[index], index, f"no more than {start} allowed here")


def _unevaluated_properties(validator: Any, inner: Any, value: Any, schema: Any) -> Errors:
    known = _known(validator, value, schema, "unevaluatedProperties") if isinstance(value, dict) else ()
    for key in value if isinstance(value, dict) else ():
        if key not in known:
            yield from _extra(validator, inner, value[key], key, "this key is not allowed")


def _unevaluated_items(validator: Any, inner: Any, value: Any, schema: Any) -> Errors:
    known = _known(validator, value, schema, "unevaluatedItems") if isinstance(value, list) else ()
    for index, item in enumerate(value) if isinstance(value, list) else ():
        if index not in known:
            yield from _extra(validator, inner, item, index, "this item is not allowed")


def _known(validator: Any, value: Any, schema: Any, but: str) -> set[Any]:
    return evaluated(validator, value, {keyword: rule for keyword, rule in schema.items() if keyword != but})


def _extra(validator: Any, inner: Any, value: Any, where: str | int, words: str) -> Errors:
    if inner is False:
        yield ValidationError(words, path=[where])
    else:
        yield from validator.descend(value, inner, path=where)


def _format(validator: Any, name: str, value: Any, _schema: Any) -> Errors:
    if isinstance(value, str) and not validator.format_checker.conforms(name, value):
        yield ValidationError(f"{show(value)} is not a valid {name}")


def _unique_items(validator: Any, wanted: bool, value: Any, _schema: Any) -> Errors:
    if not wanted or not isinstance(value, list):
        return
    if len(set(map(validator.format_checker.identity, value))) < len(value):
        yield ValidationError("the same item stands in the list more than once")


def _enum(validator: Any, choices: list[Any], value: Any, _schema: Any) -> Errors:
    if not validator.format_checker.among(value, choices):
        yield ValidationError("none of the choices")  # `in_words` lists them


def _multiple_of(_validator: Any, divisor: float, value: Any, _schema: Any) -> Errors:
    """Decimal, as written: 19.99 is a multiple of 0.01."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if number and (Fraction(str(value)) / Fraction(str(divisor))).denominator != 1:
        yield ValidationError(f"{show(value)} is not a multiple of {divisor}")


def _any_of(validator: Any, alternatives: Any, value: Any, _schema: Any) -> Errors:
    tried = [_tried(validator, inner, value) for inner in alternatives]
    if all(tried):
        yield _none_fits(tried)


def _one_of(validator: Any, alternatives: Any, value: Any, _schema: Any) -> Errors:
    tried = [_tried(validator, inner, value) for inner in alternatives]
    if all(tried):
        yield _none_fits(tried)
    elif sum(not errors for errors in tried) > 1:
        yield ValidationError(f"fits more than one of the alternatives, of which only one may fit: {show(value)}")


def _tried(validator: Any, inner: Any, value: Any) -> list[ValidationError]:
    """Of what is wrong by one alternative the deepest of the first few, which is all that is told."""
    return sorted(islice(validator.descend(value, inner), MAX_FINDINGS), key=lambda error: -len(error.path))[:1]


def _none_fits(tried: list[list[ValidationError]]) -> ValidationError:
    closest = max((errors[0] for errors in tried), key=lambda error: len(error.path))
    return ValidationError("fits none of the alternatives", context=[closest])


def _not(validator: Any, inner: Any, value: Any, _schema: Any) -> Errors:
    if validator.evolve(schema=inner).is_valid(value):
        yield ValidationError(f"fits what it must not fit: {show(value)}")


KEYWORDS = {
    "additionalItems": _additional_items,
    "additionalProperties": _additional_properties,
    "anyOf": _any_of,
    "enum": _enum,
    "format": _format,
    "multipleOf": _multiple_of,
    "not": _not,
    "oneOf": _one_of,
    "pattern": _pattern,
    "patternProperties": _pattern_properties,
    "uniqueItems": _unique_items,
    "unevaluatedItems": _unevaluated_items,
    "unevaluatedProperties": _unevaluated_properties,
    # in the newer drafts under another name; ignoring what an author wrote helps nobody
    "dependencies": Draft7Validator.VALIDATORS["dependencies"],
}
FROM_2020 = {"items": _items}
