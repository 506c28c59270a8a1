"""Infer the JSON Schema of values, and write it in a prompt."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tunegate.harness.cases.template import without_placeholders

DIALECT = "https://json-schema.org/draft/2020-12/schema"
MOST_LABELS = 20  # different texts that count as labels, however few rows there are
ALL_LABELS = 100  # more are not labels, however many rows there are
LONGEST_LABEL = 60  # characters
PROSE = 8  # words on average; longer texts are not matched word for word
_WHOLE, _DECIMAL = re.compile(r"-?(0|[1-9]\d{0,14})"), re.compile(r"-?(0|[1-9]\d{0,14})(\.\d{1,15})?")
_TRUTHS = {"true": True, "false": False}


def typed(values: Sequence[str]) -> list[Any]:
    """Convert the cells of a CSV column to the type that fits all: booleans, integers, numbers, or texts."""
    if all(value.lower() in _TRUTHS for value in values):
        return [_TRUTHS[value.lower()] for value in values]
    if all(_WHOLE.fullmatch(value) for value in values):
        return [int(value) for value in values]
    if all(_DECIMAL.fullmatch(value) for value in values):
        return [float(value) for value in values]
    return list(values)


def is_prose(values: Sequence[Any]) -> bool:
    """Whether the texts are free prose, which no two authors write alike."""
    texts = [value for value in values if isinstance(value, str)]
    if not texts or len(set(texts)) <= min(MOST_LABELS, len(texts) // 2):
        return False
    return any("\n" in text for text in texts) or sum(len(text.split()) for text in texts) > PROSE * len(texts)


def schema_of(values: Sequence[Any]) -> dict[str, Any]:
    """The JSON Schema that all values satisfy, with an enum for labels, and properties for objects."""
    kinds = {_kind(value) for value in values}
    if kinds == {"integer", "number"}:
        kinds = {"number"}
    if len(kinds) > 1:
        return {"type": sorted(kinds)}
    [kind] = kinds
    if kind == "object":
        return object_schema(values)
    if kind == "array":
        items = [item for value in values for item in value]
        return {"type": "array"} | ({"items": schema_of(items)} if items else {})
    if kind == "string" and (labels := _labels(values)):
        return {"enum": labels}
    return {"type": kind}


def object_schema(values: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The schema of objects: a key that one of them lacks is optional, and no other key is allowed."""
    keys = list(dict.fromkeys(key for value in values for key in value))
    return {
        "type": "object",
        "properties": {key: schema_of([value[key] for value in values if key in value]) for key in keys},
        "required": [key for key in keys if all(key in value for value in values)],
        "additionalProperties": False,
    }


def _kind(value: Any) -> str:
    kinds = {bool: "boolean", int: "integer", float: "number", str: "string", dict: "object", list: "array"}
    return kinds.get(type(value), "null")


def _labels(texts: Sequence[str]) -> list[str]:
    """The different texts if they are labels: short, and few in total or for this many rows; empty otherwise."""
    different = sorted(set(texts))
    few = len(different) <= MOST_LABELS or (len(different) <= ALL_LABELS and 2 * len(different) <= len(texts))
    return different if few and all(len(text) <= LONGEST_LABEL and "\n" not in text for text in different) else []


def render_schema(schema: Mapping[str, Any]) -> str:
    """A schema in a prompt's notation: `{"team": "billing"|"sales", "urgent": true|false}`."""
    if "enum" in schema:
        return "|".join(map(_json, schema["enum"]))
    if "properties" in schema:
        return f"{{{', '.join(_properties(schema))}}}"
    if "items" in schema:
        return f"[{render_schema(schema['items'])}, ...]"
    kinds: list[str] = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    words = {"boolean": "true|false", "integer": "a whole number", "number": "a number", "string": "text"}
    return "|".join(words.get(kind, kind) for kind in kinds)


def _properties(schema: Mapping[str, Any]) -> Iterator[str]:
    for key, inner in schema["properties"].items():
        optional = "" if key in schema["required"] else " (left out where there is none)"
        yield f"{_json(key)}: {render_schema(inner)}{optional}"


def _json(value: Any) -> str:
    """JSON without a prompt's placeholders: a brace in a string may be written as its escape."""
    return without_placeholders(json.dumps(value, ensure_ascii=False), "\\u007b")
