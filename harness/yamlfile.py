"""YAML with line numbers, and JSON Schema errors that point at them."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from harness.errors import AuthoringError, Problem, show_path

Where = tuple[str | int, ...]
SHOWN = 60
TYPES = {
    "object": "a mapping",
    "array": "a list",
    "string": "text",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "null": "nothing",
}


class _Loader(yaml.SafeLoader):
    """A safe loader with YAML 1.2's idea of plain values: dates, `on`, `off`, `yes` and `no` are text."""


_AS_TEXT = {"tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:bool"}
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in _AS_TEXT]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
# YAML 1.1 reads 5e-4 as text; everyone who writes a learning rate means the number
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


@dataclass(frozen=True)
class Document:
    """A parsed YAML file: plain data, and the line (from 1) of every path inside it."""

    path: Path
    data: Any
    lines: Mapping[Where, int]

    def line(self, where: Where) -> int:
        """The line of `where`, or of its nearest parent that has one."""
        while where and where not in self.lines:
            where = where[:-1]
        return self.lines.get(where, 1)

    def problem(self, where: Where, expected: str, found: str, hint: str = "") -> Problem:
        """A problem at `where` in this document."""
        return Problem(show_path(self.path), self.line(where), show_where(where), expected, found, hint)


def show_where(where: Where) -> str:
    """A path inside a document as people write it: `cases[3].expect.product`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in where)
    return text.removeprefix(".")


def show_value(value: Any) -> str:
    """A value, short enough for a message."""
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= SHOWN else text[: SHOWN - 3] + "..."


def read_yaml(path: Path) -> Document:
    """Parse one YAML file.

    Raises:
        AuthoringError: the file is missing, not UTF-8, not YAML, or repeats a key.
    """
    name = show_path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise AuthoringError([Problem(name, 1, "", "a file", "nothing there")]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise AuthoringError([Problem(name, 1, "", "a readable UTF-8 file", str(error))]) from error
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        repeated = list(_repeated_keys(node, name)) if node else []
        if repeated:
            raise AuthoringError(repeated)
        data = loader.construct_document(node) if node else None
    except yaml.YAMLError as error:
        raise AuthoringError([_syntax(error, name)]) from error
    except RecursionError:
        raise AuthoringError([Problem(name, 1, "", "a few levels of nesting", "nesting without end")]) from None
    finally:
        loader.dispose()
    return Document(path, data, dict(_lines(node, ())) if node else {})


def _syntax(error: yaml.YAMLError, name: str) -> Problem:
    mark = getattr(error, "problem_mark", None)
    context = getattr(error, "context", None)
    found = " ".join(filter(None, [getattr(error, "problem", None) or str(error), context]))
    hint = "quote texts that hold ': ' or ' #', and indent with spaces"
    return Problem(name, mark.line + 1 if mark else 1, "", "YAML", found, hint)


def _repeated_keys(node: yaml.Node, name: str, where: Where = ()) -> Iterator[Problem]:
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if key.value in seen:
                found = f"{key.value!r} again (first on line {seen[key.value]})"
                yield Problem(name, line, show_where(where), "each key once", found, "delete or rename one of them")
            seen.setdefault(str(key.value), line)
            yield from _repeated_keys(value, name, (*where, str(key.value)))
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _repeated_keys(item, name, (*where, index))


def _lines(node: yaml.Node, where: Where) -> Iterator[tuple[Where, int]]:
    yield where, node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = (*where, str(key.value))
            yield from _lines(value, inner)
            yield inner, key.start_mark.line + 1  # the key's line, also where its value starts below
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _lines(item, (*where, index))


def check_shape(document: Document, schema: Mapping[str, Any], where: Where = (), data: Any = None) -> list[Problem]:
    """Hold `data` (default: the whole document) at `where` against a JSON Schema; every mistake is a problem."""
    instance = document.data if data is None and not where else data
    errors = Draft202012Validator(schema).iter_errors(instance)
    problems = [problem for error in errors for problem in _problems(error, document, where)]
    return problems + [
        document.problem((*where, *inner), "a finite number", str(value)) for inner, value in _not_finite(instance, ())
    ]


def _problems(error: ValidationError, document: Document, prefix: Where) -> Iterator[Problem]:
    where = (*prefix, *error.absolute_path)
    value, schema = error.instance, _rule_schema(error)
    if error.validator == "additionalProperties" and isinstance(value, dict):
        known = sorted(schema.get("properties", {}))
        for key in [key for key in value if key not in known]:
            close = difflib.get_close_matches(str(key), known, n=1, cutoff=0.6)
            hint = f"did you mean {close[0]!r}?" if close else ""
            yield document.problem((*where, str(key)), f"one of the keys {', '.join(known)}", f"{key!r}", hint)
    elif error.validator == "required" and isinstance(value, dict):
        for key in [key for key in schema["required"] if key not in value]:
            yield document.problem(where, f"the key {key!r}", f"only {', '.join(map(str, value)) or 'nothing'}")
    elif error.validator in {"anyOf", "oneOf"} and "description" in schema:
        yield document.problem(where, schema["description"], show_value(value))
    else:
        yield document.problem(where, _expected(error), show_value(value), schema.get("$comment", ""))


def _expected(error: ValidationError) -> str:
    schema, rule = _rule_schema(error), error.validator
    if rule == "type":
        kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        return " or ".join(TYPES[kind] for kind in kinds)
    if rule in {"enum", "const"}:
        values = schema["enum"] if rule == "enum" else [schema["const"]]
        return "one of " + ", ".join(str(value) for value in values) if len(values) > 1 else str(values[0])
    return str(schema.get("description", error.message))


def _rule_schema(error: ValidationError) -> Mapping[str, Any]:
    return error.schema if isinstance(error.schema, Mapping) else {}


def _not_finite(value: Any, where: Where) -> Iterator[tuple[Where, float]]:
    if isinstance(value, float) and not math.isfinite(value):
        yield where, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _not_finite(inner, (*where, str(key)))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _not_finite(inner, (*where, index))
