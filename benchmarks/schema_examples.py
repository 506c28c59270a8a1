"""Values for a schema to judge, for `json_schemas`: what it gives as examples, and one that is made from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DEEP = 12  # levels that a made value goes down
FULL = DEEP - 3  # above this level with every property, below it with the required ones


def examples(schema: Mapping[str, Any]) -> list[Any]:
    """What the schema says is one of its values, and one that is made from it."""
    given = schema["examples"][:1] if isinstance(schema.get("examples"), list) else []
    given += [schema["default"]] if "default" in schema else []
    bare = {key: rule for key, rule in schema.items() if key not in {"examples", "default"}}
    return [*given, made_from(bare, schema, DEEP)]


def made_from(schema: Any, root: Mapping[str, Any], deep: int) -> Any:
    """A value that tries to be what `schema` describes: every property, up to `deep` levels, then the required ones."""
    if not isinstance(schema, dict):
        return "text"
    for key in ("const", "default"):
        if key in schema:
            return schema[key]
    for key in ("enum", "examples"):
        if isinstance(schema.get(key), list) and schema[key]:
            return schema[key][0]
    target = _target(schema, root)
    if target is not None and deep > 0:
        return made_from(target, root, deep - 1)
    for key in ("oneOf", "anyOf", "allOf"):
        if schema.get(key) and "properties" not in schema and deep > 0:
            return made_from(schema[key][0], root, deep - 1)
    return _plain(schema, root, deep)


def _target(schema: Mapping[str, Any], root: Any) -> Any:
    reference = schema.get("$ref")
    if not isinstance(reference, str) or not reference.startswith("#/"):
        return None
    for part in reference[2:].split("/"):
        root = root.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(root, dict) else None
    return root


def _plain(schema: Mapping[str, Any], root: Mapping[str, Any], deep: int) -> Any:
    kind = schema.get("type", "object" if "properties" in schema else "string")
    match kind[0] if isinstance(kind, list) else kind:
        case "object":
            required = schema.get("required") or ()
            inner = schema.get("properties") or {}
            names = [name for name in inner if deep > 0 and (deep > FULL or name in required)]
            return {name: made_from(inner[name], root, deep - 1) for name in names}
        case "array":
            items = schema.get("items")
            return [made_from(items, root, deep - 1)] if isinstance(items, dict) and deep > 0 else []
        case "integer" | "number":
            return schema.get("minimum", 1)
        case "boolean":
            return True
        case "null":
            return None
    samples = {"date-time": "2026-11-27T10:00:00Z", "date": "2026-11-27", "uri": "https://example.org/a"}
    return samples.get(str(schema.get("format")), "a" * max(1, int(schema.get("minLength", 1))))
