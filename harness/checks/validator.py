"""A JSON Schema validator that always ends: what a schema finds in a JSON value, in plain words.

Drafts 4 to 2020-12, formats asserted; nothing is ever fetched. What could run without end (a pattern, a schema that
doubles, a huge answer) has a bound, and reaching it is a finding. In patterns `$` is the end of the text, as in JSON
Schema, and not also the place before a last line break.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache, lru_cache
from itertools import islice
from typing import Any

import regex
from jsonschema import (
    Draft4Validator,
    Draft6Validator,
    Draft7Validator,
    Draft201909Validator,
    Draft202012Validator,
    FormatChecker,
    ValidationError,
)
from jsonschema.protocols import Validator
from jsonschema.validators import extend
from referencing import Registry

from harness.checks.jsontext import json_path, show
from harness.checks.outcome import Finding

LIMIT = "schema.limit"  # the rule of a finding that says a bound was reached
MAX_STEPS = 100_000  # keywords evaluated for one answer
MAX_VALUES = 10_000  # values in one answer: some keywords compare them pairwise
MAX_FORMATTED = 2_000  # characters of a text with a format
TEXT_SECONDS = 1.0  # for all patterns and formats of one answer together

DRAFTS: dict[str, type[Validator]] = {
    "http://json-schema.org/draft-04/schema": Draft4Validator,
    "http://json-schema.org/draft-06/schema": Draft6Validator,
    "http://json-schema.org/draft-07/schema": Draft7Validator,
    "https://json-schema.org/draft/2019-09/schema": Draft201909Validator,
    "https://json-schema.org/draft/2020-12/schema": Draft202012Validator,
}
DEFAULT_DRAFT = "https://json-schema.org/draft/2020-12/schema"
KINDS = {
    "object": "an object", "array": "a list", "string": "text", "boolean": "true or false", "integer": "a whole number",
    "number": "a number", "null": "null",
}  # fmt: skip
_ADDRESS = regex.compile(r'(?:"[^"]*"|[^@\s"]+)@[^@\s]+')


class _TooMuchError(Exception):
    """A bound was reached while an answer was checked."""


def violations(schema: Mapping[str, Any], value: Any) -> Iterator[Finding]:
    """What `schema` finds in `value`; it never raises, and it ends."""
    try:
        if sum(1 for _ in islice(_values(value), MAX_VALUES + 1)) > MAX_VALUES:
            raise _TooMuchError(f"the answer has more than {MAX_VALUES:,} values")
        for error in _validator(schema).iter_errors(value):
            yield Finding(f"schema.{error.validator or 'closed'}", in_words(error), json_path(error.absolute_path))
    except _TooMuchError as error:
        yield _limit(str(error))
    except ArithmeticError:
        yield _limit("a number is too large to compare")
    except RecursionError:
        yield _limit("the schema or the answer goes too deep")


def _limit(reached: str) -> Finding:
    return Finding(LIMIT, f"{reached}; the answer cannot be checked")


def _values(value: Any) -> Iterator[bool]:
    yield True
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for each in inner:
        yield from _values(each)


def in_words(error: Any) -> str:
    """A `ValidationError` in plain words."""
    seen, wanted = show(error.instance), error.validator_value
    match error.validator:
        case None:
            return f"the schema allows nothing here, found {seen}"
        case "type":
            kinds = wanted if isinstance(wanted, list) else [wanted]
            return f"should be {' or '.join(KINDS[kind] for kind in kinds)}, is {seen}"
        case "enum":
            return f"should be one of {', '.join(show(choice) for choice in islice(wanted, 20))}, is {seen}"
        case "required":
            return f"the key {error.message.removesuffix(' is a required property')} is missing"
        case "anyOf" | "oneOf" if error.context:
            closest = max(error.context, key=lambda inner: len(inner.path))
            place = json_path(closest.path)
            return f"fits none of the alternatives; closest: {place}{': ' if place else ''}{in_words(closest)}"
        case "oneOf":
            return f"fits more than one of the alternatives, of which only one may fit: {seen}"
        case _:
            text = str(error.message).replace(repr(error.instance), seen)
            return text if len(text) <= 200 else text[:197] + "..."


def draft_of(schema: Mapping[str, Any]) -> Any:
    """The jsonschema class of the draft that `schema` declares."""
    return DRAFTS[schema.get("$schema", DEFAULT_DRAFT).removesuffix("#")]


def identity(value: Any) -> Any:
    """A hashable that is equal exactly for JSON values that are equal."""
    if isinstance(value, dict):
        return frozenset((key, identity(inner)) for key, inner in value.items())
    if isinstance(value, list):
        return tuple(identity(inner) for inner in value)
    return (isinstance(value, bool), value)


def _validator(schema: Mapping[str, Any]) -> Any:
    """The draft's own keywords, counted; those that match patterns or compare pairs are bounded ones."""
    draft = draft_of(schema)
    bare = {key: value for key, value in schema.items() if key != "$schema"}  # a $schema would bring back the draft
    return _bounded(draft)(bare, registry=Registry(), format_checker=_Budget(draft.FORMAT_CHECKER))


@cache
def _bounded(draft: Any) -> Any:
    """The draft's class with counted and bounded keywords: to make one takes longer than to judge with it."""
    keywords = {**draft.VALIDATORS, **KEYWORDS}
    return extend(draft, {name: _counted(keyword) for name, keyword in keywords.items()})  # type: ignore[no-untyped-call]  # its stub is


def _counted(keyword: Any) -> Callable[[Any, Any, Any, Any], Any]:
    """`keyword`, each evaluation of which takes a step."""

    def run(validator: Any, value: Any, instance: Any, schema: Any) -> Any:
        validator.format_checker.step()
        return keyword(validator, value, instance, schema)

    return run


class _Budget:
    """What checking one answer may cost. It stands where a validator keeps its format checker, and so is at hand."""

    def __init__(self, formats: FormatChecker) -> None:
        self.formats = formats
        self.steps = MAX_STEPS
        self.seconds = TEXT_SECONDS

    def step(self) -> None:
        """Take one of the steps."""
        self.steps -= 1
        if self.steps < 0:
            raise _TooMuchError(f"the schema takes more than {MAX_STEPS:,} steps")

    def search(self, pattern: str, text: str) -> bool:
        """Whether `pattern` is found in `text`."""
        with self.timed(f"the pattern {show(pattern)}"):
            return bool(_pattern(pattern).search(text, timeout=self.seconds))

    @contextmanager
    def timed(self, what: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            if self.seconds <= 0:
                raise TimeoutError
            yield
        except TimeoutError:
            raise _TooMuchError(f"{what} takes longer than {TEXT_SECONDS:g} s") from None
        finally:
            self.seconds -= time.perf_counter() - started


def _one_pattern(validator: Any, pattern: str, value: Any, _schema: Any) -> Iterator[ValidationError]:
    if isinstance(value, str) and not validator.format_checker.search(pattern, value):
        yield ValidationError(f"{show(value)} does not match the pattern {show(pattern)}")


def _key_patterns(validator: Any, patterns: Any, value: Any, _schema: Any) -> Iterator[ValidationError]:
    for pattern, inner in patterns.items() if isinstance(value, dict) else ():
        for key in value:
            if validator.format_checker.search(pattern, key):
                yield from validator.descend(value[key], inner, path=key, schema_path=pattern)


def _additional(validator: Any, inner: Any, value: Any, schema: Any) -> Iterator[ValidationError]:
    known, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    for key in value if isinstance(value, dict) else ():
        if key in known or any(validator.format_checker.search(pattern, key) for pattern in patterns):
            continue
        if inner is False:
            yield ValidationError("this key is not allowed", path=[key])
        else:
            yield from validator.descend(value[key], inner, path=key)


def _format(validator: Any, name: str, value: Any, _schema: Any) -> Iterator[ValidationError]:
    if not isinstance(value, str):
        return
    budget = validator.format_checker
    with budget.timed(f"the format {name}"):
        good = _conforms(budget.formats, name, value)
    if not good:
        yield ValidationError(f"{show(value)} is not a valid {name}")


def _unique(_validator: Any, wanted: bool, value: Any, _schema: Any) -> Iterator[ValidationError]:
    if wanted and isinstance(value, list) and len({identity(item) for item in value}) < len(value):
        yield ValidationError("the same item stands in the list more than once")


# the keywords that jsonschema would run without a bound
KEYWORDS = {
    "pattern": _one_pattern,
    "patternProperties": _key_patterns,
    "additionalProperties": _additional,
    "uniqueItems": _unique,
    "format": _format,
}


def _conforms(checker: FormatChecker, name: str, text: str) -> bool:
    if name == "regex":
        return is_pattern(text)
    if name in {"email", "idn-email"}:  # jsonschema asks for no more than an @
        return len(text) <= MAX_FORMATTED and bool(_ADDRESS.fullmatch(text))
    try:
        return len(text) <= MAX_FORMATTED and checker.conforms(text, name)
    except (ValueError, LookupError, TypeError, ArithmeticError):  # some checkers raise more than they declare
        return False


@lru_cache(maxsize=512)
def _pattern(text: str) -> Any:
    """The compiled pattern, in which `$` is the end of the text."""
    parts = regex.sub(r"(\\.|\[\^?\]?(?:\\.|[^\]\\])*\])|\$", lambda found: found[1] or r"\Z", text, flags=regex.DOTALL)
    return regex.compile(parts)


def is_pattern(text: str) -> bool:
    """Whether `text` is a regular expression, and not too long a one."""
    try:
        return len(text) <= MAX_FORMATTED and bool(_pattern(text))
    except (regex.error, RecursionError, OverflowError, ValueError):
        return False
