"""A schema of plain keywords as one function, which accepts an answer at a glance: most answers are valid.

What it accepts, `validator.violations` finds nothing in; to say what is wrong is left to that. Whatever could take long
or be read in two ways (references, patterns, formats, an `$id`) has no such function.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from tunegate.harness.checks.schema.json_reader import equality_key
from tunegate.harness.checks.schema.validator import MAX_STEPS, MAX_VALUES

Accepts = Callable[[Any], bool]

MOST_LEVELS = 50  # of a schema; the validator calls itself for each
MOST_KEYWORDS = 2_000  # of a schema, those of a part that stands in it twice counted twice
_SILENT = frozenset({"title", "description", "$comment", "default", "examples"})


class _NotPlain(Exception):
    """A schema has more than plain keywords."""


def quick_validator(schema: Mapping[str, Any]) -> Accepts | None:
    """Whether an answer surely satisfies `schema`, which is valid, as a function; None where the schema is not plain.

    The bounds of the validator hold here too: an answer that is too large is not accepted.
    """
    plain = {name: rule for name, rule in schema.items() if name != "$schema"}  # drafts read plain keywords alike
    keywords = sum(1 for _ in islice(_keywords(plain), MOST_KEYWORDS + 1))
    if keywords > MOST_KEYWORDS:
        return None
    try:
        accepts = _function(plain, MOST_LEVELS)
    except _NotPlain:
        return None
    most = min(MAX_VALUES, MAX_STEPS // max(keywords, 1))  # of values: each takes a step a keyword, at most

    def surely(value: Any) -> bool:
        return _values(value) <= most and accepts(value)  # in this order: what is too large takes no time

    return surely


def _function(schema: Any, levels: int) -> Accepts:
    if schema is True:
        return lambda value: True  # noqa: ARG005
    # an embedded schema of another draft is a mapping of a class of its own
    if type(schema) is not dict or not levels:
        raise _NotPlain
    stands = schema.keys() - _SILENT
    if not stands <= _KEYWORDS.keys():
        raise _NotPlain
    return _all([_KEYWORDS[name](schema[name], schema, levels - 1) for name in schema if name in stands])


def _all(rules: Sequence[Accepts]) -> Accepts:
    def accepts(value: Any) -> bool:
        for rule in rules:  # noqa: SIM110  (a generator takes as long as a rule)
            if not rule(value):
                return False
        return True

    return rules[0] if len(rules) == 1 else accepts


def _keywords(schema: Any) -> Iterator[None]:
    """One for each keyword in a schema and in all inside it, and a few more."""
    waiting = [schema]
    while waiting:
        each = waiting.pop()
        inner = each.values() if isinstance(each, Mapping) else each if isinstance(each, list) else ()
        yield from (None for _ in inner)
        waiting.extend(inner)


def _values(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + sum(map(_values, inner))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_TYPES: Mapping[str, Accepts] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "number": _is_number,
    # 1.0 is a whole number since draft 6, and none in draft 4
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
}


def _type(names: Any, _schema: Any, _levels: int) -> Accepts:
    kinds = [_TYPES[name] for name in ([names] if isinstance(names, str) else names)]
    return kinds[0] if len(kinds) == 1 else lambda value: any(kind(value) for kind in kinds)


def _enum(choices: Sequence[Any], _schema: Any, _levels: int) -> Accepts:
    known, texts = frozenset(map(equality_key, choices)), {each for each in choices if isinstance(each, str)}
    return lambda value: value in texts if isinstance(value, str) else equality_key(value) in known


def _required(names: Any, _schema: Any, _levels: int) -> Accepts:
    if not isinstance(names, list):
        raise _NotPlain
    return lambda value: not isinstance(value, dict) or all(name in value for name in names)


def _properties(named: Mapping[str, Any], _schema: Any, levels: int) -> Accepts:
    rules = {name: _function(inner, levels) for name, inner in named.items()}

    def accepts(value: Any) -> bool:
        for name, inner in value.items() if isinstance(value, dict) else ():
            rule = rules.get(name)
            if rule and not rule(inner):
                return False
        return True

    return accepts


def _additional_properties(inner: Any, schema: Mapping[str, Any], levels: int) -> Accepts:
    known = schema.get("properties", {})
    if inner is False:
        return lambda value: not isinstance(value, dict) or value.keys() <= known.keys()
    rule = _function(inner, levels)
    return lambda value: (
        not isinstance(value, dict) or all(rule(each) for name, each in value.items() if name not in known)
    )  # fmt: skip


def _items(inner: Any, _schema: Any, levels: int) -> Accepts:
    rule = _function(inner, levels)
    return lambda value: not isinstance(value, list) or all(map(rule, value))


def _any_of(alternatives: Sequence[Any], _schema: Any, levels: int) -> Accepts:
    rules = [_function(inner, levels) for inner in alternatives]
    return lambda value: any(rule(value) for rule in rules)


def _all_of(parts: Sequence[Any], _schema: Any, levels: int) -> Accepts:
    return _all([_function(inner, levels) for inner in parts])


def _length(kind: type[str] | type[list[Any]], fits: Callable[[int, Any], bool]) -> Callable[[Any, Any, int], Accepts]:
    def keyword(bound: Any, _schema: Any, _levels: int) -> Accepts:
        return lambda value: not isinstance(value, kind) or fits(len(value), bound)

    return keyword


def _bound(fits: Callable[[Any, Any], bool]) -> Callable[[Any, Any, int], Accepts]:
    def keyword(bound: Any, _schema: Any, _levels: int) -> Accepts:
        if not _is_number(bound):  # draft 4 says true or false here
            raise _NotPlain
        return lambda value: not _is_number(value) or fits(value, bound)

    return keyword


_KEYWORDS: Mapping[str, Callable[[Any, Any, int], Accepts]] = {
    "type": _type,
    "enum": _enum,
    "required": _required,
    "properties": _properties,
    "additionalProperties": _additional_properties,
    "items": _items,
    "anyOf": _any_of,
    "allOf": _all_of,
    "minItems": _length(list, lambda size, bound: size >= bound),
    "maxItems": _length(list, lambda size, bound: size <= bound),
    "minLength": _length(str, lambda size, bound: size >= bound),
    "maxLength": _length(str, lambda size, bound: size <= bound),
    "minimum": _bound(lambda value, bound: value >= bound),
    "maximum": _bound(lambda value, bound: value <= bound),
    "exclusiveMinimum": _bound(lambda value, bound: value > bound),
    "exclusiveMaximum": _bound(lambda value, bound: value < bound),
}
