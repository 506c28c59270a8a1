"""JSON Schema errors as problems with the line, what was expected and what was found."""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

import jsonschema_rs
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from tunegate.harness.core.authoring.document import TYPES, Document, Where, shortened, show_value
from tunegate.harness.core.errors import MOST_OF_A_KIND, Problem

MOST_LETTERS = 100  # longest word for which a similar one is searched
MOST_WORDS = 2_000  # candidates searched
MOST_HINTS = 500  # different words per file that are searched
NOT_BLANK, NOT_EMPTY = r"\S", "text that is not empty"


def text_schema(what: str = NOT_EMPTY) -> dict[str, Any]:
    """The JSON Schema of a text that is not empty; `what` describes it in messages and editors."""
    return {"type": "string", "pattern": NOT_BLANK, "description": what}


def mapping_schema(properties: Mapping[str, Any], required: Sequence[str] = (), **rules: Any) -> dict[str, Any]:
    """The JSON Schema of a mapping that has no other keys than `properties`."""
    needed = {"required": [*required]} if required else {}
    return {"type": "object", "additionalProperties": False, **needed, **rules, "properties": properties}


def validate(document: Document, schema: Mapping[str, Any], where: Where = (), data: Any = None) -> list[Problem]:
    """Validate `data` (default: the whole document) at `where` against a JSON Schema; every mistake is a problem."""
    instance = document.data if data is None and not where else data
    if _is_valid(instance, _Same(schema)):
        return []
    finder = _Finder(document, where, schema)
    errors = Draft202012Validator(schema).iter_errors(instance)
    return [problem for error in errors for problem in finder.problems(error)]


class _Same:
    """A schema as a cache key, compared by identity."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self.schema = schema

    def __hash__(self) -> int:
        return id(self.schema)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.schema is other.schema


def _is_valid(instance: Any, schema: _Same) -> bool:
    """Whether `instance` is surely valid; other instances go to the explaining validator, forty times slower."""
    try:
        return bool(_quick(schema).is_valid(instance))
    except ValueError:  # keys that are not text, a lone surrogate, a Python-only pattern
        return False


@functools.lru_cache(maxsize=256)
def _quick(schema: _Same) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(dict(schema.schema))


class _Finder:
    """Turns a validator's errors about the data at `prefix` into problems, in linear time."""

    def __init__(self, document: Document, prefix: Where, whole: Mapping[str, Any]) -> None:
        self._document, self._prefix, self._whole = document, prefix, whole
        self._hints: dict[tuple[str, tuple[str, ...]], str] = {}

    def problems(self, error: ValidationError) -> Iterator[Problem]:
        """The problems described by a validator's error."""
        where = (*self._prefix, *error.absolute_path)
        value, schema = error.instance, error.schema if isinstance(error.schema, Mapping) else {}
        document = self._document
        if error.validator == "additionalProperties" and isinstance(value, dict) and error.validator_value is False:
            yield from self._unknown(where, value, sorted(schema.get("properties", {})))
        elif error.validator == "required" and isinstance(value, dict):
            branch = error.schema_path[0] in {"then", "else"}  # the keys are described beside the condition
            yield from _missing(document, where, {**self._whole, **schema} if branch else schema, value)
        elif error.validator in {"anyOf", "oneOf"} and "description" in schema:
            yield document.problem(where, schema["description"], show_value(value))
        else:
            hint = _hint(error, schema, self._meant)
            yield document.problem(where, _expected(error, schema), show_value(value), hint)

    def _unknown(self, where: Where, value: Mapping[Any, Any], known: list[str]) -> Iterator[Problem]:
        """Unknown keys; the last reported one counts the rest."""
        keys = [key for key in value if key not in known and isinstance(key, str)]
        expected = f"one of the keys {', '.join(known)}"
        for number, key in enumerate(keys[:MOST_OF_A_KIND], start=1):
            more = len(keys) - number if number == MOST_OF_A_KIND else 0
            found = self._document.problem((*where, key), expected, show_value(key), self._meant(key, known))
            yield replace(found, more=more)

    def _meant(self, word: str, known: Sequence[str]) -> str:
        """`did_you_mean` for the first different words only: the search is slow, and few hints are shown."""
        key = word, tuple(known)
        if key not in self._hints and len(self._hints) < MOST_HINTS:
            self._hints[key] = did_you_mean(word, known)
        return self._hints.get(key, "")


def _missing(document: Document, where: Where, schema: Mapping[str, Any], value: dict[Any, Any]) -> Iterator[Problem]:
    rules = schema.get("properties", {})
    unknown = [str(key) for key in value if key not in rules]
    for key in [key for key in schema["required"] if key not in value]:
        misspelt = schema.get("additionalProperties") is False and closest(key, unknown, 0.75)
        if not misspelt:  # already reported as an unknown key with a hint
            found = f"only {_listed(value)}" if value else TYPES["null"]
            about = _about(rules.get(key, {}))
            yield document.problem(where, f"the key {key!r}", found, f"add it: {about}" if about else "")


def _listed(keys: Collection[Any]) -> str:
    """Keys on one line, shortened to a readable number."""
    few = ", ".join(shortened(str(key)) for key in islice(keys, MOST_OF_A_KIND))
    return f"{few} and {len(keys) - MOST_OF_A_KIND:,} more" if len(keys) > MOST_OF_A_KIND else few


def _about(rule: Mapping[str, Any]) -> str:
    """The purpose of a key: the title if there is one, otherwise the description."""
    return str(rule.get("title", rule.get("description", "")))


def did_you_mean(found: str, known: Iterable[str]) -> str:
    """A hint with the entry of `known` that resembles `found`; empty if there is none."""
    close = closest(found, known)
    return f"did you mean {close!r}?" if close else ""


def closest(word: str, known: Iterable[str], least: float = 0.6) -> str:
    """The entry of `known` most similar to a word by `difflib`'s ratio; empty if none reaches `least`.

    Long words have none, and only the first `MOST_WORDS` entries of similar length are searched: a full search would
    take minutes.
    """
    if len(word) > MOST_LETTERS:
        return ""
    # the ratio is at most twice the shorter length over the sum of both
    few = (each for each in known if least * (len(word) + len(each)) <= 2 * min(len(word), len(each)))
    return next(iter(difflib.get_close_matches(word, list(islice(few, MOST_WORDS)), 1, least)), "")


def _expected(error: ValidationError, schema: Mapping[str, Any]) -> str:
    rule = error.validator
    if rule == "type":
        kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        if kinds[0] in {"integer", "number"} and "description" in schema:
            return str(schema["description"])
        keys = f" with {', '.join(schema['required'])}" if kinds == ["object"] and schema.get("required") else ""
        return " or ".join(TYPES[kind] for kind in kinds) + keys
    if rule == "pattern" and error.validator_value == NOT_BLANK:
        return NOT_EMPTY
    if rule in {"enum", "const"}:
        values = schema["enum"] if rule == "enum" else [schema["const"]]
        return "one of " + ", ".join(str(value) for value in values) if len(values) > 1 else str(values[0])
    return str(schema.get("description", error.message))


def _as_name(text: str) -> str:
    return re.sub(r"[^\w.+-]+", "-", text).strip("-")


_YES, _NO = {"yes", "on", "y", "true"}, {"no", "off", "n", "false"}


def _hint(error: ValidationError, schema: Mapping[str, Any], meant: Callable[[str, Sequence[str]], str]) -> str:
    """How to fix a value: the schema's own `$comment`, or the usual cause of such a mistake."""
    rule = error.validator
    value: Any = error.instance
    wanted: Any = error.validator_value
    if rule == "pattern" and isinstance(value, str) and re.search(str(wanted), named := _as_name(value)):
        return f"write {named}"
    if "$comment" in schema:
        return str(schema["$comment"])
    if rule == "pattern" and wanted == NOT_BLANK:
        return str(schema.get("description", "")).removeprefix(NOT_EMPTY)
    if rule == "enum" and isinstance(value, str):
        return meant(value, [str(choice) for choice in wanted])
    if rule == "const" and str(value) == str(wanted):
        return "write it without quotes"
    if rule in {"maximum", "exclusiveMaximum"} and wanted == 1 and 1 < value <= 100:
        return f"for {value:g} points or percent write {value / 100:g}"
    return _type_hint(wanted if isinstance(wanted, list) else [wanted], value) if rule == "type" else ""


def _type_hint(kinds: Sequence[str], value: Any) -> str:
    if "string" in kinds:
        return (
            "write one; if it begins with # or &, or is null or ~, put it in quotes"
            if value is None
            else "put it in quotes"
        )
    if kinds == ["boolean"] and str(value).lower() in _YES | _NO:
        word = "true" if value.lower() in _YES else "false"
        return f"write {word} without quotes" if value.lower() == word else f"write {word}; {value} is a text here"
    if kinds[0] in {"integer", "number"} and isinstance(value, str) and value.strip("+-. ").isdigit():
        return "write it without quotes"
    usual = {"object": "write `key: value` lines, indented", "array": "write its items on lines that begin with `- `"}
    return usual.get(kinds[0], "")
