"""Read an output as exactly one JSON value, in bounded time; nothing is repaired, and mistakes become findings.

`strict`: the whole output is one JSON value, optionally surrounded by JSON white space.
`fenced`: the same, or exactly one code block: a line of ```` ```json ````, the value, a line of ```` ``` ````. Text
around the block or a second block is a finding, as in strict.
`text`: the whole output is a text, unchanged, and the schema and the expectation are those of a text.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, islice
from typing import Any, Literal

from tunegate.harness.checks.outputs.finding import Finding
from tunegate.harness.core.authoring.document import SHOWN, show_value
from tunegate.harness.core.escaping import HALF

Extract = Literal["strict", "fenced", "text"]

MAX_CHARS = 1 << 20
MAX_DEPTH = 64  # sufficient for any document, and safe for jsonschema's recursion
MAX_DIGITS = 1_000  # parsing takes quadratic time, and Python refuses 4,300 digits
MAX_FINDINGS = 20

_WHITE = " \t\r\n"
_FENCED = re.compile(r"```json[ \t\r]*\n((?:.*\n)?)[ \t]*```", re.DOTALL)
_FENCE_LINE = re.compile(r"^[ \t]*```", re.MULTILINE)
_ESCAPE = re.compile(r"\\.", re.DOTALL)
_STRING = re.compile(r'"[^"]*"?')
_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,59}")
_STEPS = {"[": 1, "{": 1, "]": -1, "}": -1}


@dataclass(frozen=True, slots=True)
class JsonText:
    """An output read as JSON: `value` is meaningful only without findings.

    `line` (from 1) is where the JSON became invalid.
    """

    value: Any
    findings: tuple[Finding, ...] = ()
    line: int = 1


@dataclass(frozen=True, slots=True)
class _Flaw:
    """A placeholder for a number that JSON or this reader does not allow."""

    message: str


class _Repeated(dict[str, Any]):
    """An object with repeated keys, `keys_twice`."""

    keys_twice: tuple[str, ...] = ()


def read_json_text(text: str, extract: Extract = "strict", deepest: int = MAX_DEPTH) -> JsonText:
    """Read `text` as one JSON value.

    Every deviation from JSON is a finding, and so are repeated keys, more than `MAX_CHARS` characters, more than
    `deepest` levels, numbers of more than `MAX_DIGITS` digits or too large for a float, and lone surrogates.
    """
    if extract == "text":
        return _as_text(text)
    flaw = _text_flaw(text)
    if flaw:
        return JsonText(None, (flaw,))
    # plain strip() would also remove a no-break space, which is not JSON white space
    body = text.strip(_WHITE)
    start = text.index(body)
    if extract == "fenced" and body.startswith("```"):
        block = _FENCED.fullmatch(body)
        if not block or _FENCE_LINE.search(block[1]):
            message = "the output must be one code block only: a line ```json, the JSON, a line ```"
            return JsonText(None, (Finding("json.block", message),))
        # removing the whole fence only: lenient readers accept half an object, or turn `null` into `ull`
        body, start = block[1], start + block.start(1)
    return _parse(body, text.count("\n", 0, start), deepest)


def _as_text(text: str) -> JsonText:
    too_long = _too_long(text)
    findings = (too_long,) if too_long else tuple(islice(_half_characters(text, []), 1))
    return JsonText(None if findings else text, findings)


def _too_long(text: str) -> Finding | None:
    if len(text) <= MAX_CHARS:
        return None
    return Finding("json.size", f"the output has {len(text):,} characters; at most {MAX_CHARS:,} are allowed")


def _text_flaw(text: str) -> Finding | None:
    if too_long := _too_long(text):
        return too_long
    if not text.strip(_WHITE):
        return Finding("json.empty", "the output is empty")
    if text.startswith("\ufeff"):
        return Finding("json.bom", "an invisible byte order mark precedes the JSON")
    return None


def _parse(body: str, lines_above: int, deepest: int) -> JsonText:
    # before decoding: the decoder recurses for each level
    if _depth(body) > deepest:
        return JsonText(None, (Finding("json.depth", f"nested more than {deepest} levels deep"),))
    try:
        value = _DECODER.decode(body)
    except json.JSONDecodeError as error:
        line = error.lineno + lines_above
        return JsonText(None, (_syntax(error, line),), line)
    findings = tuple(islice(_flaws(value, []), MAX_FINDINGS))
    return JsonText(None if findings else value, findings)


def _depth(body: str) -> int:
    """The deepest nesting up to the first mistake, if it may be too deep; brackets inside texts do not count."""
    if body.count("[") + body.count("{") <= MAX_DEPTH:
        return 0  # cannot be deeper
    outside = _STRING.sub("", _ESCAPE.sub("", body))
    return max(accumulate(_STEPS.get(char, 0) for char in outside), default=0)


def _syntax(error: json.JSONDecodeError, line: int) -> Finding:
    rest = error.doc[error.pos :].strip(_WHITE)
    seen, place = show_value(rest[: 2 * SHOWN]), f"line {line}, column {error.colno}"
    if error.msg == "Extra data":
        return Finding("json.trailing", f"text after the JSON value, at {place}: {seen}")
    if not rest:
        return Finding("json.syntax", f"the output ends, at {place}, before its JSON is complete")
    if error.pos == 0 and rest.startswith("```"):
        return Finding("json.block", f"the output is a code block, not just JSON: {seen}")
    if error.pos == 0 and rest[0] not in '{["':
        return Finding("json.syntax", f"the output does not begin with JSON but with {seen}")
    if error.msg.startswith("Unterminated string"):
        return Finding("json.syntax", f"a text that begins at {place} has no closing quote: {seen}")
    return Finding("json.syntax", f"not JSON at {place} ({error.msg.removesuffix(' at').lower()}): {seen}")


def _integer(digits: str) -> int | _Flaw:
    return int(digits) if len(digits) <= MAX_DIGITS else _Flaw(f"a number of {len(digits):,} digits")


def _decimal(digits: str) -> float | _Flaw:
    if len(digits) > MAX_DIGITS:
        return _Flaw(f"a number of {len(digits):,} digits")
    value = float(digits)
    return value if math.isfinite(value) else _Flaw(f"the number {digits[:SHOWN]} is too large")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) == len(pairs):
        return value
    repeated = _Repeated(value)
    seen: set[str] = set()
    # by hand: a Counter takes three times as long for many small objects; in the order of the first repeats
    twice = dict.fromkeys(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
    repeated.keys_twice = tuple(twice)
    return repeated


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_decimal,
    parse_constant=lambda name: _Flaw(f"{name} is not a JSON number"),
)  # fmt: skip


def _flaws(value: Any, where: list[str | int]) -> Iterator[Finding]:
    """The flaws that the decoder left inside `value`; `where` is extended and restored during the descent."""
    if isinstance(value, _Flaw):
        yield Finding("json.number", value.message, json_path(where))
    elif isinstance(value, str):
        yield from _half_characters(value, where)
    elif isinstance(value, dict):
        for key in getattr(value, "keys_twice", ()):
            yield Finding("json.duplicate-key", f"the key {show_json(key)} is repeated here", json_path(where))
        for key, inner in value.items():
            where.append(key)
            yield from _half_characters(key, where)
            yield from _flaws(inner, where)
            where.pop()
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            where.append(index)
            yield from _flaws(inner, where)
            where.pop()


def _half_characters(text: str, where: list[str | int]) -> Iterator[Finding]:
    if HALF.search(text):
        message = f"a lone surrogate, which is not text, in {show_json(text)}"
        yield Finding("json.unicode", message, json_path(where))


def show_json(value: Any) -> str:
    """A JSON value, shortened and escaped for a message, whatever its size."""
    text = _start(value, plain=False)
    if not text.isprintable():
        text = _start(value, plain=True)
    return text if len(text) <= SHOWN else text[: SHOWN - 3] + "..."


def _start(value: Any, plain: bool) -> str:
    """The JSON of `value` until it exceeds the shown length; `plain` is ASCII only."""
    text = ""
    for piece in _pieces(value, plain):
        text += piece
        if len(text) > SHOWN:
            break
    return text


def _pieces(value: Any, plain: bool) -> Iterator[str]:
    if isinstance(value, dict):
        yield "{"
        for index, (key, inner) in enumerate(value.items()):
            yield ", " if index else ""
            yield from _pieces(key, plain)
            yield ": "
            yield from _pieces(inner, plain)
        yield "}"
    elif isinstance(value, list | tuple):
        yield "["
        for index, inner in enumerate(value):
            yield ", " if index else ""
            yield from _pieces(inner, plain)
        yield "]"
    else:
        short = value[: 2 * SHOWN] if isinstance(value, str) else value
        yield json.dumps(short, ensure_ascii=plain, default=str)


def equality_key(value: Any) -> str:
    """A text that is equal for exactly those JSON values that are equal: key order and 1 or 1.0 do not matter."""
    # the quote distinguishes the text 1 from the number; json.dumps writes True as true, which Python equates with 1
    return f'"{value}' if isinstance(value, str) else json.dumps(_whole(value), sort_keys=True)


def _whole(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _whole(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_whole(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def json_path(where: Sequence[str | int]) -> str:
    """A place in a JSON value in the usual notation: `request.items[2]["odd key"]`; empty for the whole value."""
    text = "".join(
        f".{part}" if isinstance(part, str) and _PLAIN_KEY.fullmatch(part) else f"[{show_json(part)}]" for part in where
    )
    return text.removeprefix(".")
