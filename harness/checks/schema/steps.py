"""How many keywords a schema evaluates for an answer, at most: jsonschema-rs, once asked, cannot be stopped.

A schema and an answer that are small together need no count. For others each subschema is followed to each value that
it may be held against, once for each pair. The library remembers what references that come back to themselves came to;
all else it evaluates as often as the schema says so.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from tunegate.harness.authoring.document import Where
from tunegate.harness.checks.schema.dialects import inside
from tunegate.harness.checks.schema.json_reader import show_json
from tunegate.harness.checks.schema.patterns import MAX_TRIES, PATTERNS, is_heavy, patterns_in, tries
from tunegate.harness.checks.schema.references import REFERENCES, References

MAX_VALUES = 10_000  # values in one answer
MAX_PAIRS = 50_000  # of a subschema and a value
MAX_STEPS = 10_000_000  # keywords evaluated
MAX_REPORTED = 20_000  # errors reported, those inside an alternative once more for each that it stands in
MAX_NESTED = 600  # subschemas inside one another: Python calls itself for each
MAX_DEEP = 20_000  # the same where they are not counted; the library calls itself for each
MAX_SEARCHED = 100_000  # characters of a text that a pattern is looked for in
MAX_HEAVY = 10_000  # the same, of a heavy pattern
ALL_TRIES = 30 * MAX_TRIES  # of all heavy patterns in one answer
SMALL = 10_000_000  # keywords that need no count
A_VALUE = 100  # characters, that take as much to copy
CHOICES = 10  # of an `enum`, that take as long as a keyword
TOO_DEEP = "the schema or the answer goes too deep"

_ALWAYS = frozenset({"allOf", "anyOf", "oneOf", "not", "if", "then", "else", "$ref"})
_DEPENDENT = frozenset({"dependentSchemas", "dependencies"})
_EITHER = frozenset({"anyOf", "oneOf"})
_UNEVALUATED = frozenset({"unevaluatedItems", "unevaluatedProperties"})
_OF_EACH_ITEM = frozenset({"items", "additionalItems", "contains", "unevaluatedItems"})
_OF_MANY = _OF_EACH_ITEM | {"additionalProperties", "patternProperties", "propertyNames", "unevaluatedProperties"}


class TooMuch(Exception):
    """A bound was reached; the message says which."""


class Size(NamedTuple):
    """How large an answer is: its values, how deep they are nested, and the characters of its texts and keys."""

    values: int
    levels: int
    characters: int


class Cost(NamedTuple):
    """The keywords evaluated to decide, and to decide `again`; the errors, and what it takes to tell them."""

    steps: int
    again: int
    errors: int
    reported: int


def size_of(value: Any) -> Size:
    """The size of a JSON value; beyond `MAX_VALUES` it is not looked at."""
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
        self._inside: dict[int, Sequence[tuple[Where, Any]]] = {}  # by id, as all that follow: the schema outlives this
        self._sizes: dict[int, tuple[int, int]] = {}
        self._open: dict[int, Any] = {}
        self._comes_back = set[int]()
        self._places = {id(part.schema): part.where for part in parts}
        for part in parts:
            targets = self._targets(part.schema)
            self._inside[id(part.schema)] = [*part.inside, *targets] if targets else part.inside
        try:
            self._once, self._often = self._size(self.schema)
        except RecursionError:
            self._once = self._often = sys.maxsize

    def inside(self, part: dict[str, Any]) -> Sequence[tuple[Where, Any]]:
        """What stands right inside a subschema, by keyword, and what its references lead to."""
        if id(part) not in self._inside:  # a reference leads to where schemas are not looked for
            self._inside[id(part)] = [*inside(part), *self._targets(part)]
        return self._inside[id(part)]

    def _targets(self, part: dict[str, Any]) -> list[tuple[Where, Any]]:
        if part.keys().isdisjoint(REFERENCES):
            return []
        return [(("$ref",), inner) for _, found in self._references.of(part) for _, inner in found]

    def _size(self, part: dict[str, Any]) -> tuple[int, int]:
        """The keywords in a subschema and in all that it leads to: those for one value, and those for any number.

        Where it comes back to itself it counts once.
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
        self._comes_back.add(id(part))
        return 1, 0

    def comes_back(self, part: dict[str, Any]) -> bool:
        """Whether a reference inside a subschema leads to it."""
        return id(part) in self._comes_back

    def endless(self) -> Where | None:
        """The place of a subschema that is held against a value because it is held against that value."""
        if self._once == sys.maxsize:
            return ()
        done, around = set[int](), set[int]()
        todo: list[tuple[Any, bool]] = [(self._open[key], False) for key in self._comes_back]
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
        """Whether an answer of a size surely takes few enough steps, and none of them long."""
        nested = len(self._open) * (size.levels if self._comes_back else 1)
        long = self._has_patterns and size.characters > MAX_SEARCHED
        return self._most(size.values) <= SMALL and nested <= MAX_DEEP and not self._has_heavy and not long

    def report_quickly(self, size: Size) -> bool:
        """Whether it can be said of it, too, what is wrong."""
        weight = _weight(size.characters + A_VALUE * size.values)
        return not self._comes_back and self._most(size.values) * weight <= MAX_REPORTED

    def _most(self, values: int) -> int:
        """The keywords that may be evaluated for an answer of so many values."""
        return (self._once + self._often) * values if self._comes_back else self._once + self._often * values

    def count(self, value: Any) -> Cost:
        """What it takes to hold the schema against a value.

        Raises:
            TooMuch: more than can be counted, or heavy patterns that are tried too often.
        """
        try:
            return _Count(self).cost(self.schema, value, 0)
        except RecursionError:
            raise TooMuch(TOO_DEEP) from None


class _Count:
    """Counts for one answer."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self._known: dict[tuple[int, int], Cost | None] = {}  # by id: schema and answer outlive this
        self._characters: dict[int, int] = {}
        self._tries = ALL_TRIES

    def cost(self, part: Any, value: Any, nested: int) -> Cost:
        """What it takes to hold a subschema, inside so many others, against a value."""
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
                reported += cost.errors if place[0] in _EITHER else 0  # an error holds those of its alternatives
        times = _times(part)
        again = 1 if self._steps.comes_back(part) else times * again  # the library remembers
        return Cost(times * steps, again, times * errors, times * reported)

    def _size(self, value: Any) -> int:
        """How much a copy of a value takes."""
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
            raise TooMuch(f"a text of more than {most:,} characters has the pattern {show_json(pattern)}")
        if heavy:
            tried = tries(pattern, text)
            self._tries -= tried + len(text) ** 2 // 100  # at each character all that follow may be read
            if tried > MAX_TRIES or self._tries < 0:
                raise TooMuch(f"the pattern {show_json(pattern)} takes too many tries")


def _held_against(part: Mapping[str, Any], place: Where, value: Any) -> Collection[Any]:
    """Which of a value and all right inside it a subschema is held against that stands at a place in another one."""
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
    """How often a subschema is evaluated: once more to find what the rest of it leaves."""
    return 1 if part.keys().isdisjoint(_UNEVALUATED) else 2


def _weight(characters: int) -> int:
    # a copy of the value stands in each error, and one of so many takes as long as an error
    return 1 + characters // 10_000
