r"""The patterns of a schema: translated for the library, and checked for long running times.

jsonschema-rs reads ECMA-262 and matches in linear time, except for look-around and back references, where it
backtracks. Those patterns are heavy, and so are very large ones: `Steps` tries them first, with a bound.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import jsonschema_rs

LIGHT = jsonschema_rs.RegexOptions(size_limit=256 << 10)
NO_PATTERN = "not ECMA-262, or too large"
MAX_TRIES = 100_000  # per heavy pattern and text
HEAVY = jsonschema_rs.FancyRegexOptions(backtrack_limit=MAX_TRIES)
FEW_TRIES = 100

PATTERNS = frozenset({"pattern", "patternProperties"})
_WORD = "[A-Za-z0-9_]"
_BORDERS = {
    r"\b": f"(?:(?<={_WORD})(?!{_WORD})|(?<!{_WORD})(?={_WORD}))",
    r"\B": f"(?:(?<={_WORD})(?={_WORD})|(?<!{_WORD})(?!{_WORD}))",
}
_TOKEN = re.compile(r"\\[pPu]\{[^}]*\}|\\.|\[(?:\\.|[^\]\\])*\]|\{[0-9]+(?:,[0-9]*)?\}|[\]{}]", re.DOTALL)
_IN_CLASS = re.compile(r"(?P<set>\\[dDwWsS])-(?!\])|\\.|\[", re.DOTALL)
_FOREIGN = re.compile(r"\\[AZz_]|\(\?(?:P|(?!i:)[a-zA-Z>#])|(?:[*+?]|\{[0-9,]+\})(?:[*+]|\{[0-9])")
_INSTEAD = {r"\A": "^", r"\Z": "$", r"\z": "$", r"\_": "_", "(?P": "(?<name>...)"}
_FEW = jsonschema_rs.FancyRegexOptions(backtrack_limit=FEW_TRIES)


def for_library(pattern: str) -> str:
    r"""`pattern` rewritten so that the library reads it like ECMA-262 and browsers: its `\b` is Unicode-aware.

    A lone bracket or brace is literal, and so is a hyphen beside a set in a class.
    """
    return _TOKEN.sub(_for_library, pattern)


def _for_library(token: re.Match[str]) -> str:
    text = token[0]
    if text in _BORDERS:
        return _BORDERS[text]
    if text.startswith("["):
        return f"[{_IN_CLASS.sub(_in_class, text[1:])}"
    return f"\\{text}" if len(text) == 1 else text


def _in_class(token: re.Match[str]) -> str:
    if token["set"]:
        return rf"{token['set']}\-"
    return r"\[" if token[0] == "[" else token[0]


def patterns_in(schema: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The patterns directly in a schema, each after its keyword."""
    if schema.keys().isdisjoint(PATTERNS):
        return
    if isinstance(schema.get("pattern"), str):
        yield "pattern", schema["pattern"]
    if isinstance(schema.get("patternProperties"), dict):
        yield from (("patternProperties", key) for key in schema["patternProperties"])


def is_refused(schema: Mapping[str, Any], patterns: Any = None) -> bool:
    """Whether the library refuses a schema, with its `patterns` matched in a certain way."""
    try:
        jsonschema_rs.Draft202012Validator(dict(schema), pattern_options=patterns, offline=True)
    except ValueError:
        return True
    return False


@lru_cache(maxsize=1024)
def is_heavy(pattern: str) -> bool:
    """Whether matching may take more than linear time."""
    return is_refused({"pattern": pattern}, LIGHT)


@lru_cache(maxsize=1024)
def why_not(pattern: str) -> str:
    """Why a text is not a valid pattern; empty if it is."""
    if found := foreign(pattern):
        instead = f"; write {_INSTEAD[found]}" if found in _INSTEAD else ""
        return f"{found}, which ECMA-262 does not have{instead}"
    return NO_PATTERN if is_refused({"pattern": for_library(pattern)}, HEAVY) else ""


def foreign(pattern: str) -> str:
    """The syntax in a pattern that the library accepts and ECMA-262 does not have; empty if none."""
    if not _FOREIGN.search(pattern):
        return ""
    found = _FOREIGN.search(_TOKEN.sub(_without_literals, pattern))
    return found[0] if found else ""


def _without_literals(token: re.Match[str]) -> str:
    is_literal = token[0][0] in "\\[" and not _FOREIGN.match(token[0])
    return "-" if is_literal else token[0]


def tries(pattern: str, text: str) -> int:
    """Roughly how many attempts a heavy pattern takes in `text`; more than `MAX_TRIES` if that is not enough."""
    for options, most in ((_FEW, FEW_TRIES), (HEAVY, MAX_TRIES)):
        if not _gives_up(pattern, text, options):
            return most
    return MAX_TRIES + 1


def _gives_up(pattern: str, text: str, options: Any) -> bool:
    error = next(_single_pattern(pattern, options).iter_errors(text), None)
    return error is not None and not isinstance(error.kind, jsonschema_rs.ValidationErrorKind.Pattern)


@lru_cache(maxsize=256)
def _single_pattern(pattern: str, options: Any) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator({"pattern": pattern}, pattern_options=options, mask="")
