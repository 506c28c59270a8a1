"""Infer the JSON Schema of values, and write it in a prompt.

The schema must also accept rows that are not in the table. So a text becomes one of a list of labels, a number or a
required key of an inner object only where the table shows that often enough: see `are_labels` and `ENOUGH`.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date
from typing import Any

from tunegate.harness.cases.template import without_placeholders
from tunegate.harness.core.reading import NotJson, parse_json

DIALECT = "https://json-schema.org/draft/2020-12/schema"
#: Values that a column needs; in a table of fewer than 100 rows, one in every second row. Of three public slot tables,
#: 300 rows each drawn five times, all other rows have the types and labels seen in 50 cells; of those seen in 20, up to
#: 1.6 % have others.
ENOUGH = 50
EACH = 3  # times that each label stands: of values that stand once, others are still to come (Good and Turing)
EACH_KEY = 5  # times that each key stands where there are no others; `match: whole` refuses others in an output anyway
MOST_LABELS = 100
LONGEST_LABEL = 60  # characters
PROSE = 8  # words on average; longer texts are not matched word for word
FEW_OPTIONAL = 2  # keys that the prompt calls optional one by one
_WHOLE, _DECIMAL = re.compile(r"-?(0|[1-9]\d{0,14})"), re.compile(r"-?(0|[1-9]\d{0,14})(\.\d{1,15})?")
_THOUSANDS = re.compile(r"-?[1-9]\d{0,2}(\.\d{3})+")  # or three decimals
_TRUTHS = {"true": True, "false": False}
DATE = re.compile(r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])")


def cell_values(cells: Sequence[Any]) -> list[Any]:
    """The values of cells with JSON text: objects or lists if every cell is one; otherwise the cells unchanged."""
    found = [_json_value(cell) for cell in cells]
    return found if found and all(isinstance(value, (dict, list)) for value in found) else list(cells)


def _json_value(cell: Any) -> Any:
    if not isinstance(cell, str) or not cell.startswith(("{", "[")):
        return cell
    try:
        return parse_json(cell)
    except NotJson:
        return cell


def typed(values: Sequence[str], rows: int) -> list[Any]:
    """Convert the cells of a CSV column to the type that fits all: booleans, integers, numbers, or texts.

    Numbers need `ENOUGH` cells, as a rarely filled column may hold other texts elsewhere. Those that may be thousands
    stay texts.
    """
    if all(value.lower() in _TRUTHS for value in values):
        return [_TRUTHS[value.lower()] for value in values]
    if _are_enough(values, rows) and all(_WHOLE.fullmatch(value) for value in values):
        return [int(value) for value in values]
    are_numbers = _are_enough(values, rows) and all(_DECIMAL.fullmatch(value) for value in values)
    if are_numbers and not may_be_thousands(values):
        return [float(value) for value in values]
    return list(values)


def may_be_thousands(texts: Sequence[str]) -> bool:
    """Whether texts are numbers, and each point of them may stand between thousands."""
    pointed = [text for text in texts if "." in text]
    return bool(pointed) and all((_WHOLE if "." not in text else _THOUSANDS).fullmatch(text) for text in texts)


def _are_enough(values: Collection[Any], rows: int) -> bool:
    return len(values) >= enough(rows)


def enough(rows: int) -> float:
    """How many values show what all values of a place are, in a table of so many rows."""
    return min(ENOUGH, rows / 2)


def is_prose(values: Sequence[Any]) -> bool:
    """Whether the texts are free prose, which no two authors write alike."""
    texts = [value for value in values if isinstance(value, str)]
    if not texts or 2 * len(set(texts)) <= len(texts):
        return False
    return any("\n" in text for text in texts) or sum(len(text.split()) for text in texts) > PROSE * len(texts)


def are_labels(texts: Sequence[str], rows: int) -> bool:
    """Whether texts repeat as labels do, so that no other text is to be expected.

    Each stands three times or more, and together they fill 50 cells, or in a smaller table every second row; there are
    at most 100 different ones, each short. A value that stands once is what a single case expects: in a list of
    labels, the prompt would give it away.
    """
    counts = Counter(texts)
    short = all(len(text) <= LONGEST_LABEL and "\n" not in text for text in counts)
    return bool(counts) and short and len(counts) <= MOST_LABELS and _are_enough(texts, rows) and not rare(texts)


def _are_dates(texts: Sequence[str], rows: int) -> bool:
    return _are_enough(texts, rows) and all(map(_is_date, texts))


def _is_date(text: str) -> bool:
    try:
        return bool(DATE.fullmatch(text) and date.fromisoformat(text))
    except ValueError:  # 30 February
        return False


def rare(texts: Sequence[str]) -> list[str]:
    """The texts that stand less often than labels do, in order."""
    return sorted(text for text, count in Counter(texts).items() if count < EACH)


def schema_of(values: Sequence[Any], rows: int | None = None) -> dict[str, Any]:
    """The JSON Schema that all values of a column, or of an inner place of it, satisfy; without any, that of a text.

    It has an enum for labels, a format for dates, and properties for objects. `rows` of the table: None if all of them
    have a value.
    """
    rows = len(values) if rows is None else rows
    kinds = {_kind(value) for value in values}
    if kinds == {"integer", "number"}:
        kinds = {"number"}
    if kinds == {"null"}:
        return {}
    if kinds == {"null", "string"} and "enum" in (labels := schema_of([*filter(_is_text, values)], rows)):
        return {"enum": [*labels["enum"], None]}
    if len(kinds) > 1:
        return {"type": sorted(kinds)}
    kind = next(iter(kinds), "string")
    if kind == "object":
        return object_schema(values, rows)
    if kind == "array":
        items = [item for value in values for item in value]
        return {"type": "array"} | ({"items": schema_of(items, rows)} if items else {})
    if kind == "string" and _are_dates(values, rows):
        return {"type": "string", "format": "date"}
    if kind == "string" and are_labels(values, rows):
        return {"enum": sorted(set(values))}
    return {"type": kind}


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def object_schema(values: Sequence[Mapping[str, Any]], rows: int | None = None) -> dict[str, Any]:
    """The schema of objects: a key that one of them lacks is optional.

    No other key is allowed, unless there are few objects or one of their keys is rare: then more are to be expected.
    """
    rows = len(values) if rows is None else rows
    counts = Counter(key for value in values for key in value)
    often = _are_enough(values, rows)
    is_closed = often and min(counts.values(), default=0) >= min(EACH_KEY, rows / 2)
    return {
        "type": "object",
        "properties": {key: schema_of([value[key] for value in values if key in value], rows) for key in counts},
        "required": [key for key, count in counts.items() if often and count == len(values)],
        **({"additionalProperties": False} if is_closed else {}),
    }


def _kind(value: Any) -> str:
    kinds = {bool: "boolean", int: "integer", float: "number", str: "string", dict: "object", list: "array"}
    return kinds.get(type(value), "null")


def render_schema(schema: Mapping[str, Any]) -> str:
    """A schema in a prompt's notation: `{"team": "billing"|"sales", "urgent": true|false}`."""
    if "enum" in schema:
        return "|".join(map(_json, schema["enum"]))
    if "properties" in schema:
        return _object(schema)
    if schema.get("format") == "date":
        return "a date as YYYY-MM-DD"
    if "items" in schema:
        return f"[{render_schema(schema['items'])}, ...]"
    kinds: str | list[str] = schema.get("type", "any value")
    words = {"boolean": "true|false", "integer": "a whole number", "number": "a number", "string": "text"}
    return "|".join(words.get(kind, kind) for kind in (kinds if isinstance(kinds, list) else [kinds]))


def _object(schema: Mapping[str, Any]) -> str:
    """An object; many optional keys are named once, after it."""
    keys, required = schema["properties"], schema["required"]
    if len(keys) - len(required) <= FEW_OPTIONAL:
        return f"{{{', '.join(_properties(schema))}}}"
    inner = ", ".join(f"{_json(key)}: {render_schema(each)}" for key, each in keys.items())
    others = f"all but {', '.join(map(_json, required))}" if required else "each"
    return f"{{{inner}}} ({others} left out where there is none)"


def _properties(schema: Mapping[str, Any]) -> Iterator[str]:
    for key, inner in schema["properties"].items():
        optional = "" if key in schema["required"] else " (left out where there is none)"
        yield f"{_json(key)}: {render_schema(inner)}{optional}"


def _json(value: Any) -> str:
    """JSON without a prompt's placeholders: a brace in a string may be written as its escape."""
    return without_placeholders(json.dumps(value, ensure_ascii=False), "\\u007b")
