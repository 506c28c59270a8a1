"""Bound the keywords that a schema evaluates for an output, because jsonschema-rs cannot be interrupted.

Small schemas with small outputs need no count. Otherwise each subschema is followed to each value that it may
validate, once per pair. The library caches the results of recursive references; it evaluates everything other than
those as often as the schema refers to it.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from tunegate.harness.checks.outputs.json_text import show_json
from tunegate.harness.checks.schema.dialects import inside
from tunegate.harness.checks.schema.patterns import MAX_TRIES, PATTERNS, is_heavy, patterns_in, tries
from tunegate.harness.checks.schema.references import REFERENCES, References
from tunegate.harness.core.authoring.document import Where

MAX_VALUES = 10_000  # values in one output
MAX_PAIRS = 50_000  # pairs of a subschema and a value
MAX_STEPS = 10_000_000  # keywords evaluated
MAX_REPORTED = 20_000  # errors reported; those inside alternatives count once more per level
MAX_NESTED = 600  # nested subschemas: Python recurses for each
MAX_DEEP = 20_000  # nested subschemas when not counted; the library recurses for each
MAX_SEARCHED = 100_000  # characters of a text that a pattern is applied to
MAX_HEAVY = 10_000  # the same for a heavy pattern
ALL_TRIES = 30 * MAX_TRIES  # of all heavy patterns in one output
SMALL = 10_000_000  # keywords; fewer need no count
A_VALUE = 100  # characters that take as long to copy
CHOICES = 10  # `enum` values that take as long as a keyword
TOO_DEEP = "the schema or the output is nested too deeply"

_ALWAYS = frozenset({"allOf", "anyOf", "oneOf", "not", "if", "then", "else", "$ref"})
_DEPENDENT = frozenset({"dependentSchemas", "dependencies"})
_EITHER = frozenset({"anyOf", "oneOf"})
_UNEVALUATED = frozenset({"unevaluatedItems", "unevaluatedProperties"})
_OF_EACH_ITEM = frozenset({"items", "additionalItems", "contains", "unevaluatedItems"})
_OF_MANY = _OF_EACH_ITEM | {"additionalProperties", "patternProperties", "propertyNames", "unevaluatedProperties"}


class TooMuch(Exception):
    """A bound was reached; the message names it."""


class Size(NamedTuple):
    """The size of an output: its values, their nesting depth, and the characters of its texts and keys."""

    values: int
    levels: int
    characters: int


class Cost(NamedTuple):
    """The keywords evaluated at first and `again`, the errors, and the cost of reporting them."""

    steps: int
    again: int
    errors: int
    reported: int


def size_of(value: Any) -> Size:
    """The size of a JSON value; counting stops at `MAX_VALUES`."""
    values, levels, characters, layer = 0, 0, 0, [value]
    while layer and values <= MAX_VALUES:
        values, levels = values + len(layer), levels + 1
        below: list[Any] = []
        for each in layer:
            if isinstance(each, str):
                characters += len(each)
            elif isinstance(each, dict):
                characters += sum(map(len, each))
                below += each.values()
            elif isinstance(each, list):
                below += each
        layer = below
    return Size(values, levels, characters)


class Steps:
    """Counts for one schema, given by its references."""

    def __init__(self, references: References, has_heavy: bool) -> None:
        self._references, parts = references, references.parts
        self.schema = parts[0].schema
        self._has_heavy = has_heavy
        self._has_patterns = any(not part.schema.keys().isdisjoint(PATTERNS) for part in parts)
        self._inside: dict[int, Sequence[tuple[Where, Any]]] = {}  # by id, as below: the schema outlives this object
        self._sizes: dict[int, tuple[int, int]] = {}
        self._open: dict[int, Any] = {}
        self.comes_back = set[int]()  # the subschemas that a reference inside leads back to
        self._places = {id(part.schema): part.where for part in parts}
        for part in parts:
            targets = self._targets(part.schema)
            self._inside[id(part.schema)] = [*part.inside, *targets] if targets else part.inside
        try:
            self._once, self._often = self._size(self.schema)
        except RecursionError:
            self._once = self._often = sys.maxsize

    def inside(self, part: dict[str, Any]) -> Sequence[tuple[Where, Any]]:
        """The direct subschemas, by keyword, and the targets of references."""
        if id(part) not in self._inside:  # a reference points outside the known subschema places
            self._inside[id(part)] = [*inside(part), *self._targets(part)]
        return self._inside[id(part)]

    def _targets(self, part: dict[str, Any]) -> list[tuple[Where, Any]]:
        if part.keys().isdisjoint(REFERENCES):
            return []
        return [(("$ref",), inner) for _, found in self._references.of(part) for _, inner in found]

    def _size(self, part: dict[str, Any]) -> tuple[int, int]:
        """The keywords in a subschema and everything that it reaches: those for one value, and those for any number.

        Recursive subschemas count once.
        """
        key = id(part)
        self._open[key] = part
        once, often = _keywords(part), 0
        for place, inner in self.inside(part):
            if not isinstance(inner, dict):
                once += 1
                continue
            one, many = self._sizes.get(id(inner)) or self._first_size(inner)
            if place[0] in _OF_MANY:
                one, many = 0, one + many
            once, often = once + one, often + many
        self._sizes[key] = _times(part) * once, _times(part) * often
        return self._sizes[key]

    def _first_size(self, part: dict[str, Any]) -> tuple[int, int]:
        if id(part) not in self._open:
            return self._size(part)
        self.comes_back.add(id(part))
        return 1, 0

    def endless(self) -> Where | None:
        """The place of a subschema that applies itself to the same value again; None if there is none."""
        if self._once == sys.maxsize:
            return ()
        done, around = set[int](), set[int]()
        todo: list[tuple[Any, bool]] = [(self._open[key], False) for key in self.comes_back]
        while todo:
            part, leaves = todo.pop()
            key = id(part)
            if leaves:
                around.remove(key)
                done.add(key)
            elif key in around:
                return self._places.get(key, ())
            elif key not in done and isinstance(part, dict):
                around.add(key)
                beside = (inner for place, inner in self.inside(part) if place[0] in _ALWAYS | _DEPENDENT)
                todo += [(part, True), *((inner, False) for inner in beside)]
        return None

    def decide_quickly(self, size: Size) -> bool:
        """Whether any output of this size takes few enough steps, none of them long."""
        nested = len(self._open) * (size.levels if self.comes_back else 1)
        long = self._has_patterns and size.characters > MAX_SEARCHED
        return self._most(size.values) <= SMALL and nested <= MAX_DEEP and not self._has_heavy and not long

    def report_quickly(self, size: Size) -> bool:
        """Whether reporting its errors is also cheap enough."""
        weight = _weight(size.characters + A_VALUE * size.values)
        return not self.comes_back and self._most(size.values) * weight <= MAX_REPORTED

    def _most(self, values: int) -> int:
        """The maximum number of keywords evaluated for an output of so many values."""
        return (self._once + self._often) * values if self.comes_back else self._once + self._often * values

    def count(self, value: Any) -> Cost:
        """The cost of validating a value with the schema.

        Raises:
            TooMuch: more than can be counted, or heavy patterns take too many tries.
        """
        try:
            return _Count(self).cost(self.schema, value, 0)
        except RecursionError:
            raise TooMuch(TOO_DEEP) from None


class _Count:
    """Counts for one output."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self._known: dict[tuple[int, int], Cost | None] = {}  # by id: schema and output outlive this object
        self._characters: dict[int, int] = {}
        self._tries = ALL_TRIES

    def cost(self, part: Any, value: Any, nested: int) -> Cost:
        """The cost of validating a value with a subschema at this nesting depth."""
        if not isinstance(part, dict):
            return Cost(1, 1, 1, 1)
        key = (id(part), id(value))
        if key in self._known:
            known = self._known[key]
            if not known:
                raise TooMuch(TOO_DEEP)
            return known._replace(steps=known.again)
        if len(self._known) > MAX_PAIRS:
            raise TooMuch(f"the schema takes more than {MAX_PAIRS:,} steps")
        if nested > MAX_NESTED:
            raise TooMuch(TOO_DEEP)
        self._known[key] = None
        self._known[key] = cost = self._first_cost(part, value, nested)
        return cost

    def _first_cost(self, part: dict[str, Any], value: Any, nested: int) -> Cost:
        if not part.keys().isdisjoint(PATTERNS):
            self._search(part, value)
        steps = again = _keywords(part)
        errors = reported = steps * _weight(self._size(value))
        for place, inner in self._steps.inside(part):
            for each in _held_against(part, place, value):
                cost = self.cost(inner, each, nested + 1)
                steps, again = steps + cost.steps, again + cost.again
                errors, reported = errors + cost.errors, reported + cost.reported
                reported += cost.errors if place[0] in _EITHER else 0  # an error contains those of its alternatives
        times = _times(part)
        again = 1 if id(part) in self._steps.comes_back else times * again  # the library caches the result
        return Cost(times * steps, again, times * errors, times * reported)

    def _size(self, value: Any) -> int:
        """The cost of copying a value."""
        if not isinstance(value, dict | list):
            return A_VALUE + len(value) if isinstance(value, str) else A_VALUE
        if id(value) not in self._characters:
            inner = value.values() if isinstance(value, dict) else value
            self._characters[id(value)] = sum(map(self._size, inner)) + A_VALUE
        return self._characters[id(value)]

    def _search(self, part: Mapping[str, Any], value: Any) -> None:
        for keyword, pattern in patterns_in(part):
            if keyword == "pattern" and isinstance(value, str):
                self._spend(pattern, value)
            elif keyword != "pattern" and isinstance(value, dict):
                for key in value:
                    self._spend(pattern, key)

    def _spend(self, pattern: str, text: str) -> None:
        heavy = is_heavy(pattern)
        most = MAX_HEAVY if heavy else MAX_SEARCHED
        if len(text) > most:
            raise TooMuch(f"a text of more than {most:,} characters is matched with the pattern {show_json(pattern)}")
        if heavy:
            tried = tries(pattern, text)
            self._tries -= tried + len(text) ** 2 // 100  # each character may scan the rest
            if tried > MAX_TRIES or self._tries < 0:
                raise TooMuch(f"the pattern {show_json(pattern)} takes too many tries")


def _held_against(part: Mapping[str, Any], place: Where, value: Any) -> Collection[Any]:
    """The values that a subschema at this place validates: the value itself or direct parts of it."""
    keyword = place[0]
    if keyword in _ALWAYS:
        return (value,)
    if isinstance(value, dict):
        return _in_object(part, place, value)
    if isinstance(value, list):
        return _in_list(place, value)
    return ()


def _in_object(part: Mapping[str, Any], place: Where, value: dict[str, Any]) -> Collection[Any]:
    keyword = place[0]
    if keyword == "properties":
        return (value[place[1]],) if place[1] in value else ()
    if keyword in _DEPENDENT:
        return (value,) if place[1] in value else ()
    if keyword == "additionalProperties":
        return [each for key, each in value.items() if key not in part.get("properties", ())]
    if keyword == "propertyNames":
        return value
    return value.values() if keyword in _OF_MANY and keyword not in _OF_EACH_ITEM else ()


def _in_list(place: Where, value: list[Any]) -> Collection[Any]:
    if len(place) == 1:
        return value if place[0] in _OF_EACH_ITEM else ()
    keyword, index = place
    is_item = keyword in {"items", "prefixItems"} and isinstance(index, int) and index < len(value)
    return (value[int(index)],) if is_item else ()


def _keywords(part: Mapping[str, Any]) -> int:
    choices = part.get("enum")
    return len(part) + 1 + (len(choices) // CHOICES if isinstance(choices, list) else 0)


def _times(part: Mapping[str, Any]) -> int:
    """How often a subschema is evaluated: twice with keywords for unevaluated parts."""
    return 1 if part.keys().isdisjoint(_UNEVALUATED) else 2


def _weight(characters: int) -> int:
    # each error has a copy of the value; copying so many characters takes as long as an error
    return 1 + characters // 10_000
