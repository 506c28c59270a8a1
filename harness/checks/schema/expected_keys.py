"""Keys that a case expects and its schema does not name: valid, but usually misspelt."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tunegate.harness.checks.schema.alternatives import ANY_OF, meant_any_of
from tunegate.harness.core.authoring.document import Where, show_where

_SIDE_BY_SIDE = ("allOf", "anyOf", "oneOf")
_BRANCHES = ("then", "else")


def unknown_keys(schema: Mapping[str, Any], expect: Any) -> Iterator[str]:
    """Yield a message for each key of `expect` that `schema` does not name at its place.

    Places with free keys (no `properties`, or `patternProperties`, or an `additionalProperties` schema) and with
    references that cannot be followed are skipped.
    """
    yield from _unknown(schema, [schema], expect, ("expect",))


def _unknown(root: Mapping[str, Any], schemas: list[Any], value: Any, where: Where) -> Iterator[str]:
    parts = schemas_beside(root, schemas)
    if isinstance(value, dict):
        names = {name: None for part in parts for name in part.get("properties", {})}
        free = not names or any(has_free_keys(part) for part in parts)
        for key, inner in value.items():
            if key in names:
                below = [part["properties"][key] for part in parts if key in part.get("properties", {})]
                yield from _unknown(root, below, inner, (*where, key))
            elif not free:
                close = difflib.get_close_matches(key, names, n=1)
                hint = f"did you mean {close[0]!r}?" if close else f"it names {', '.join(names)}"
                hint = meant_any_of(value if key == ANY_OF else {key: inner}) or hint
                yield f"{show_where((*where, key))}: the schema does not name this key; {hint}"
    elif isinstance(value, list):
        items = [part["items"] for part in parts if isinstance(part.get("items"), dict)]
        for index, inner in enumerate(value if items else ()):
            yield from _unknown(root, items, inner, (*where, index))


def schemas_beside(root: Mapping[str, Any], schemas: Sequence[Any]) -> list[Mapping[str, Any]]:
    """The schemas and all that apply to the same value: alternatives, conditions, referenced schemas."""
    found: dict[int, Mapping[str, Any]] = {}
    todo = list(schemas)
    while todo:
        schema = todo.pop()
        if isinstance(schema, dict) and id(schema) not in found:
            found[id(schema)] = schema
            todo += [each for key in _SIDE_BY_SIDE for each in schema.get(key, ())]
            todo += [schema[key] for key in _BRANCHES if key in schema]
            todo += [_target(root, schema["$ref"])] if "$ref" in schema else []
    return list(found.values())


def _target(root: Mapping[str, Any], reference: Any) -> Any:
    """The target of a JSON pointer into the schema; other references leave all keys free."""
    free: Mapping[str, Any] = {"patternProperties": {}}
    if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
        return free
    found: Any = root
    for step in reference.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        found = found.get(name) if isinstance(found, dict) else None
    return free if found is None else found


def has_free_keys(schema: Mapping[str, Any]) -> bool:
    """Whether a schema allows keys that it does not name."""
    extra = schema.get("additionalProperties")
    return "patternProperties" in schema or isinstance(extra, dict) or extra is True
