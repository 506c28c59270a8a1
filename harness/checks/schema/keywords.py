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
from referencing.jsonschema import lookup_recursive_ref

from tunegate.harness.checks.schema.dialects import reads_beside_references
from tunegate.harness.checks.schema.json_reader import MAX_FINDINGS, show_json

REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
_ROOM = 40  # calls


def leave_room(calls: int = _ROOM) -> None:
    """Raise `RecursionError` here if the stack has no room for a look-up of a reference.

    It is done in Rust, which turns a `RecursionError` of its own into a panic: no `Exception`, and the end of the run.
    """
    if calls:
        leave_room(calls - 1)


def evaluated(validator: Any, value: Any, schema: Any) -> set[Any]:
    """The keys of an object, or the indexes of a list, that `schema`, which accepts `value`, evaluates."""
    validator.format_checker.step()
    if not isinstance(schema, dict):
        return set()
    schema = _known_keywords(validator, schema)
    found = set(_keys(validator, value, schema) if isinstance(value, dict) else _indexes(validator, value, schema))
    for inner_validator, inner in _in_place(validator, value, schema):
        found |= evaluated(inner_validator, value, inner)
    return found


def _known_keywords(validator: Any, schema: dict[str, Any]) -> dict[str, Any]:
    """What the subschema's draft reads of it: an embedded one may be of a draft without `unevaluatedProperties`."""
    if "$ref" in schema and not reads_beside_references(validator):
        return {"$ref": schema["$ref"]}
    return {key: rule for key, rule in schema.items() if key in validator.VALIDATORS or key in {"then", "else"}}


def _keys(validator: Any, value: dict[str, Any], schema: Any) -> Iterator[str]:
    if "additionalProperties" in schema or "unevaluatedProperties" in schema:
        yield from value
    yield from schema.get("properties", {}).keys() & value.keys()
    for pattern in schema.get("patternProperties", ()):
        yield from (key for key in value if validator.format_checker.search(pattern, key))


def _indexes(validator: Any, value: list[Any], schema: Any) -> Iterator[int]:
    is_2020 = "prefixItems" in validator.VALIDATORS
    first = schema.get("prefixItems" if is_2020 else "items", ())
    whole = isinstance(first, dict | bool) or "unevaluatedItems" in schema
    if whole or ("items" in schema if is_2020 else "additionalItems" in schema and "items" in schema):
        yield from range(len(value))
        return
    yield from range(min(len(first), len(value)))
    if is_2020 and "contains" in schema:
        contained = validator.evolve(schema=schema["contains"])
        yield from (index for index, item in enumerate(value) if contained.is_valid(item))


def _in_place(validator: Any, value: Any, schema: Any) -> Iterator[tuple[Any, Any]]:
    """The subschemas that check the same value and accept it, each with the validator that knows its references."""
    for resolved in _referred(validator, schema):
        yield validator.evolve(schema=resolved.contents, _resolver=resolved.resolver), resolved.contents
    for inner in _applied(validator, value, schema):
        yield validator.evolve(schema=inner), inner


def _referred(validator: Any, schema: Any) -> Iterator[Any]:
    leave_room()
    for keyword in ("$ref", "$dynamicRef"):
        if keyword in schema and keyword in validator.VALIDATORS:
            yield validator._resolver.lookup(schema[keyword])
    if "$recursiveRef" in schema and "$recursiveRef" in validator.VALIDATORS:
        yield lookup_recursive_ref(validator._resolver)


def _applied(validator: Any, value: Any, schema: Any) -> Iterator[Any]:
    def accepts(inner: Any) -> bool:
        return bool(validator.evolve(schema=inner).is_valid(value))

    for keyword in ("allOf", "anyOf", "oneOf"):
        yield from filter(accepts, schema.get(keyword, ()))
    if "if" in schema:
        fits = accepts(schema["if"])
        if fits:
            yield schema["if"]
        yield schema.get("then" if fits else "else", True)
    if isinstance(value, dict):
        dependent = schema.get("dependentSchemas", {})
        yield from (inner for key, inner in dependent.items() if key in value)


Errors = Iterator[ValidationError]


def _pattern(validator: Any, pattern: str, value: Any, _schema: Any) -> Errors:
    if isinstance(value, str) and not validator.format_checker.search(pattern, value):
        yield ValidationError(f"{show_json(value)} does not match the pattern {show_json(pattern)}")


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


def _extra(validator: Any, inner: Any, value: Any, where: str | int, message: str) -> Errors:
    if inner is False:
        yield ValidationError(message, path=[where])
    else:
        yield from validator.descend(value, inner, path=where)


def _format(validator: Any, name: str, value: Any, _schema: Any) -> Errors:
    # an unknown one is an annotation, as JSON Schema says: lint warns of it
    if isinstance(name, str) and not validator.format_checker.conforms(name, value):
        yield ValidationError(f"{show_json(value)} is not a valid {name}")


def _unique_items(validator: Any, wanted: bool, value: Any, _schema: Any) -> Errors:
    if not wanted or not isinstance(value, list):
        return
    # jsonschema compares each item with each where they cannot be sorted: a square of time
    if len(set(map(validator.format_checker.equality_key, value))) < len(value):
        yield ValidationError("the same item stands in the list more than once")


def _enum(validator: Any, choices: list[Any], value: Any, _schema: Any) -> Errors:
    if not validator.format_checker.among(value, choices):
        yield ValidationError("none of the choices")  # `render_error` lists them


def _multiple_of(_validator: Any, divisor: float, value: Any, _schema: Any) -> Errors:
    """Decimal, as written: 19.99 is a multiple of 0.01."""
    # as floats 19.99 / 0.01 is 1998.9999999999998
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if number and (Fraction(str(value)) / Fraction(str(divisor))).denominator != 1:
        yield ValidationError(f"{show_json(value)} is not a multiple of {divisor}")


def _any_of(validator: Any, alternatives: Any, value: Any, _schema: Any) -> Errors:
    # jsonschema collects every error of every alternative, and nested alternatives multiply them
    tried = [_tried(validator, inner, value) for inner in alternatives]
    if all(tried):
        yield _none_fits(tried)


def _one_of(validator: Any, alternatives: Any, value: Any, _schema: Any) -> Errors:
    tried = [_tried(validator, inner, value) for inner in alternatives]
    if all(tried):
        yield _none_fits(tried)
    elif sum(not errors for errors in tried) > 1:
        yield ValidationError(f"fits more than one of the alternatives, of which only one may fit: {show_json(value)}")


def _tried(validator: Any, inner: Any, value: Any) -> list[ValidationError]:
    """Of what is wrong by one alternative the deepest of the first few, which is all that is told."""
    return sorted(islice(validator.descend(value, inner), MAX_FINDINGS), key=lambda error: -len(error.path))[:1]


def _none_fits(tried: list[list[ValidationError]]) -> ValidationError:
    closest = max((errors[0] for errors in tried), key=lambda error: len(error.path))
    return ValidationError("fits none of the alternatives", context=[closest])


def _not(validator: Any, inner: Any, value: Any, _schema: Any) -> Errors:
    if validator.evolve(schema=inner).is_valid(value):
        yield ValidationError(f"fits what it must not fit: {show_json(value)}")


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
