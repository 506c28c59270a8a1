"""Which keys or items of a value a schema has looked at: what `unevaluatedProperties` and `unevaluatedItems` leave out.

Only subschemas that accept the value count. jsonschema has this too, but matches patterns there without a bound.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from referencing.jsonschema import lookup_recursive_ref


def evaluated(validator: Any, value: Any, schema: Any) -> set[Any]:
    """The keys of an object, or the indexes of a list, that `schema`, which accepts `value`, evaluates."""
    validator.format_checker.step()
    if not isinstance(schema, dict):
        return set()
    found = set(_keys(validator, value, schema) if isinstance(value, dict) else _indexes(validator, value, schema))
    for inner_validator, inner in _in_place(validator, value, schema):
        found |= evaluated(inner_validator, value, inner)
    return found


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
    """The subschemas that judge the same value and accept it, each with the validator that knows its references."""
    for resolved in _referred(validator, schema):
        yield validator.evolve(schema=resolved.contents, _resolver=resolved.resolver), resolved.contents
    for inner in _applied(validator, value, schema):
        yield validator.evolve(schema=inner), inner


def _referred(validator: Any, schema: Any) -> Iterator[Any]:
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
