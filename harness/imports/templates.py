"""Fill templates of Nunjucks and Jinja that only name values, `{{name}}` or `{{item.parts[0]}}`.

No template engine runs: filters, blocks and other expressions are code, and are refused by name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from tunegate.harness.imports.model import LeftOut, Tally

MOST_CHARS = 1_000_000  # of a filled template
MOST_ROUNDS = 5  # of variables inside variables
_NAME = r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*|\[\d{1,6}\]|\[\"[^\"\]]{1,100}\"\]|\['[^'\]]{1,100}'\])*"
_FIELD = re.compile(rf"\{{\{{\s*({_NAME})\s*\}}\}}")
_COMMENT = re.compile(r"\{#.*?#\}", re.DOTALL)
_STEP = re.compile(r"[A-Za-z_]\w*|\[\d+\]|\[\"[^\"]+\"\]|\['[^']+'\]")
_FILTER = re.compile(r"\{\{[^{}|]*\|\s*([A-Za-z_]\w*)")
_BLOCK = re.compile(r"\{%-?\s*([A-Za-z_]\w*)?")
_NOTHING = object()


def template_fields(template: str) -> list[str]:
    """The values that a template names, each once.

    Raises:
        LeftOut: it holds a filter, a block or an expression.
    """
    return list(dict.fromkeys(found[1] for found in _FIELD.finditer(_simple(template))))


def _simple(template: str) -> str:
    """The template without its comments.

    Raises:
        LeftOut: see `template_fields`.
    """
    text = _COMMENT.sub("", template)
    rest = _FIELD.sub("", text)
    if block := _BLOCK.search(rest):
        raise LeftOut(f"the template block {block[1]!r}" if block[1] else "a template block")
    if "{{" in rest:
        found = _FILTER.search(rest)
        raise LeftOut(f"the template filter {found[1]!r}" if found else "a template expression")
    return text


def filled_template(template: str, values: Mapping[str, Any], tally: Tally) -> str:
    """A template with its values; a missing one is empty, which is counted.

    Raises:
        LeftOut: see `template_fields`; or it names the environment, or the text is too long.
    """
    text = _simple(template)
    for _ in range(MOST_ROUNDS):
        if not _FIELD.search(text):
            return text
        text = "".join(_pieces(text, values, tally))
        if not any("{{" in str(value) for value in values.values()):
            return text
        text = _simple(text)
    raise LeftOut("variables that name one another")


def _pieces(text: str, values: Mapping[str, Any], tally: Tally) -> Iterator[str]:
    at, size = 0, len(text)
    for found in _FIELD.finditer(text):
        yield text[at : found.start()]
        value = _text(found[1], values, tally)
        size += len(value)
        if size > MOST_CHARS:
            raise LeftOut(f"a prompt of more than {MOST_CHARS:,} characters")
        yield value
        at = found.end()
    yield text[at:]


def _text(name: str, values: Mapping[str, Any], tally: Tally) -> str:
    if name.partition(".")[0] in ("env", "process"):
        raise LeftOut("a variable of the environment")
    value = field_value(name, values)
    if value is _NOTHING or value is None:
        tally.changed["variable", f"{name} has no value: left empty"] += 1
        return ""
    if isinstance(value, dict | list):
        tally.changed["variable", f"{name} is no text: written as JSON"] += 1
    return as_template_text(value)


def field_value(name: str, values: Mapping[str, Any]) -> Any:
    """The value at a path such as `item.parts[0]`; a marker without one."""
    value: Any = values
    for step in _STEP.findall(name):
        key = int(step[1:-1]) if step[1:-1].isdigit() and step[0] == "[" else step.strip("[]\"'")
        is_item = isinstance(value, list) and isinstance(key, int) and key < len(value)
        if not is_item and not (isinstance(value, Mapping) and key in value):
            return _NOTHING
        value = value[key]
    return value


def recorded_output(model: str, output: Any) -> dict[str, str]:
    """The output that a file holds, as a text, by the name of its model; empty if there is none."""
    return {} if output is None else {model: as_template_text(output)}


def as_template_text(value: Any) -> str:
    """A value as a template writes it: true and false in small letters, 1.0 as 1, lists and objects as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
