"""Compare a JSON output with a case's `expect`, field by field: right, wrong, missing and extra values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, Literal

import numpy as np

from tunegate.harness.checks.base import FieldCount, Finding
from tunegate.harness.checks.outputs.json_text import equality_key, json_path, show_json
from tunegate.harness.checks.schema.alternatives import alternatives
from tunegate.harness.checks.schema.schema_fields import ROOT, SchemaFields, field_name, known_field_name
from tunegate.harness.checks.schema.values import Meaning, same_value
from tunegate.harness.core.authoring.document import Where, show_value

OTHER_KEYS = "(other keys)"  # keys that the schema does not name: a model can invent any number
OTHER_VALUE = "another value"
MOST_EXTRAS = 1_000  # extra values counted
MOST_COMPARED = 20_000  # values compared to match the items of unordered lists
QUANTITY = 20  # plain comparisons that take as long as one quantity
MOST_SHOWN = 5  # alternatives in a message
RIGHT = 1e6  # weight of a right value relative to an extra or missing one: see `belonging`


@dataclass(frozen=True, slots=True)
class FieldRule:
    """How one field is compared; by default as JSON, with lists item by item."""

    ignore: bool = False
    order: Literal["given", "any", "set"] = "given"
    tolerance: float | str = 0
    meaning: Meaning | None = None


_BY_VALUE = FieldRule()


class ListsTooLong(Exception):
    """Unordered lists that take too long to compare."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """One value of a field: `expected`, found in the output (`answered`), or both, and then possibly `right`.

    If it is not right, `message` states the reason at `where`; it is empty if another leaf has the message.
    """

    name: str
    right: bool = False
    expected: bool = True
    answered: bool = True
    message: str = ""
    where: Where = ()
    taken: tuple[str, str] | None = None


Leaves = list[Leaf]


def share(leaves: Sequence[Leaf], right: int = 0, of: int = 0) -> float:
    """The share of right values: twice the right values over the expected plus the found values (Dice), from 0 to 1.

    It is the harmonic mean of precision and recall. `right` of `of` further expected and found values also count.
    """
    right += sum(leaf.right for leaf in leaves)
    both = 2 * of + sum(leaf.expected + leaf.answered for leaf in leaves)
    return 2 * right / both if both else 1.0


def counted(leaves: Sequence[Leaf]) -> dict[str, FieldCount]:
    """The counts of each field, by name."""
    found: dict[str, FieldCount] = {}
    for leaf in leaves:
        taken: tuple[tuple[str, str], ...] = (leaf.taken,) if leaf.taken else ()
        counts = (int(leaf.right), int(leaf.expected), int(leaf.answered))
        if known := found.get(leaf.name):
            counts = (known.right + leaf.right, known.expected + leaf.expected, known.answered + leaf.answered)
            taken = known.taken + taken
        found[leaf.name] = FieldCount(*counts, taken)
    return found


def wrong(leaves: Sequence[Leaf]) -> Iterator[Finding]:
    """The findings for everything that is wrong."""
    return (Finding("expect", leaf.message, json_path(leaf.where)) for leaf in leaves if leaf.message)


@dataclass
class Grader:
    """Compares one output by the `rules` of a fixture; `whole` allows only expected keys."""

    rules: Mapping[str, FieldRule]
    schema: SchemaFields
    whole: bool = False
    _left: int = field(default=MOST_COMPARED, init=False)
    _extras: int = field(default=MOST_EXTRAS, init=False)
    _assigning: int = field(default=0, init=False)

    def grade(self, expect: Any, output: Any, where: Where = (), name: str = ROOT) -> Leaves:
        """Match the values of an output with the expected ones; of a part of it, at `where` and called `name`.

        Raises:
            ListsTooLong: unordered lists are too long.
        """
        return self._grade(expect, output, where, name)

    def names(self, expect: Any, name: str = ROOT) -> frozenset[str]:
        """The expected fields."""
        return frozenset(self._names(expect, name))

    def missing(self, expect: Any, name: str = ROOT, where: Where = (), message: str = "") -> Leaves:
        """Leaves for an expectation of which the output has nothing."""
        leaves = [Leaf(each, answered=False) for each in self._names(expect, name)]
        return saying(message, where, leaves)

    def _rule(self, name: str) -> FieldRule:
        return self.rules.get(name, _BY_VALUE)

    def _names(self, value: Any, name: str, answered: bool = False) -> Iterator[str]:
        """The name of each value inside a value, except ignored ones.

        Alternatives yield the names of the first, then names that only others have; an `answered` value has no
        alternatives.
        """
        if self._rule(name).ignore:
            return
        below = field_name if answered else known_field_name
        if not answered and (options := alternatives(value)):
            first, *others = ([*self._names(each, name)] for each in options)
            known = set(first)
            yield from first
            yield from dict.fromkeys(each for names in others for each in names if each not in known)
        elif value and isinstance(value, dict):
            for key, inner in value.items():
                yield from self._names(inner, below(name, key), answered)
        elif value and isinstance(value, list):
            for inner in value:
                yield from self._names(inner, below(name, 0), answered)
        else:
            yield name

    def _grade(self, expect: Any, output: Any, where: Where, name: str) -> Leaves:
        rule, options = self._rule(name), alternatives(expect)
        self._spend(QUANTITY if rule.meaning == "quantity" else 1)
        if rule.ignore:
            return []
        if options:
            return self._best(expect, output, where, name)
        if isinstance(expect, dict) and isinstance(output, dict):
            return self._objects(expect, output, where, name)
        if isinstance(expect, list) and isinstance(output, list):
            in_order = rule.order == "given"
            return (self._lists if in_order else self._in_any_order)(expect, output, where, name)
        if _same(expect, output, rule):
            return [Leaf(name, right=True)]
        message = f"expected {show_json(expect)}, found {show_json(output)}"
        if expect and isinstance(expect, dict | list):
            return self.missing(expect, name, where, message)
        return [Leaf(name, message=message, where=where, taken=self._taken(expect, output, name))]

    def _best(self, expect: Any, output: Any, where: Where, name: str) -> Leaves:
        options = alternatives(expect)
        best = max(self._beside_each(options, output, where, name), key=share)
        if all(leaf.right for leaf in best):
            return best
        if len(best) == 1 and best[0].message:
            best = [replace(best[0], message=f"expected {_either(options)}, found {show_json(output)}")]
        # a field that the closest alternative lacks would otherwise be neither right nor wrong
        known = {leaf.name for leaf in best}
        others = dict.fromkeys(each for each in self._names(expect, name) if each not in known)
        return best + [Leaf(each, answered=False) for each in others]

    def _beside_each(self, options: Sequence[Any], output: Any, where: Where, name: str) -> list[Leaves]:
        """Grade the output against each alternative: each has the whole budget, except in unordered lists."""
        graded, left, least = [], self._left, self._left
        for each in options:
            self._left = self._left if self._assigning else left
            graded.append(self._grade(each, output, where, name))
            least = min(least, self._left)
        self._left = least
        return graded

    def _spend(self, values: int) -> None:
        if self._assigning:
            self._left -= values
            if self._left < 0:
                raise ListsTooLong

    def _taken(self, expect: Any, output: Any, name: str) -> tuple[str, str] | None:
        values = self.schema.closed(name)
        if not values:
            return None
        wanted, found = show_json(expect), show_json(output)
        return wanted, found if found in values else OTHER_VALUE

    def _objects(self, expect: Mapping[str, Any], output: Mapping[str, Any], where: Where, name: str) -> Leaves:
        leaves = [] if expect else [Leaf(name, right=True)]
        for key, wanted in expect.items():
            below, place = known_field_name(name, key), (*where, key)
            if key in output:
                leaves += self._grade(wanted, output[key], place, below)
            else:
                message = f"expected {_either(alternatives(wanted) or [wanted])}, but the key is missing"
                leaves += self.missing(wanted, below, place, message)
        for key in islice((key for key in output if self.whole and key not in expect), MOST_EXTRAS):
            message = f"expected no key {show_value(key)}, found {show_json(output[key])}"
            leaves += saying(message, (*where, key), self._extra(output[key], field_name(name, key), name))
        return leaves

    def _extra(self, value: Any, name: str, inside: str) -> Leaves:
        """Leaves for extra values of the output; unknown names count for `inside`."""
        most = MOST_EXTRAS if self._assigning else max(1, self._extras)
        names = list(islice(self._names(value, name, answered=True), most))
        self._extras -= 0 if self._assigning else len(names)
        self._spend(len(names))
        others = OTHER_KEYS if inside == ROOT else f"{inside}.{OTHER_KEYS}"
        known = (each if each == inside or each in self.schema.schemas else others for each in names)
        return [Leaf(each, expected=False) for each in known]

    def _lists(self, expect: Sequence[Any], output: Sequence[Any], where: Where, name: str) -> Leaves:
        below = field_name(name, 0)
        pairs = [
            self._grade(wanted, found, (*where, index), below)
            for index, (wanted, found) in enumerate(zip(expect, output, strict=False))
        ]
        leaves = [leaf for each in pairs for leaf in each]
        if len(expect) == len(output):
            return leaves if expect else [Leaf(name, right=True)]
        if not expect:
            leaves.append(Leaf(name, answered=False))
        leaves += [leaf for wanted in expect[len(output) :] for leaf in self.missing(wanted, below)]
        leaves += [leaf for found in output[len(expect) :][:MOST_EXTRAS] for leaf in self._extra(found, below, below)]
        return saying(_lengths(expect, output, pairs), where, leaves)

    def _in_any_order(self, expect: Sequence[Any], output: Sequence[Any], where: Where, name: str) -> Leaves:
        below, numbered = field_name(name, 0), list(enumerate(output))
        if self._rule(name).order == "set":
            expect = list({equality_key(each): each for each in expect}.values())
            numbered = list({equality_key(each): (index, each) for index, each in reversed(numbered)}.values())[::-1]
        if not expect and not numbered:
            return [Leaf(name, right=True)]
        self._assigning += 1
        graded = [[self._grade(each, found, (*where, index), below) for index, found in numbered] for each in expect]
        self._assigning -= 1
        gone = [
            self.missing(each, below, where, f"expected {show_json(each)}, which no item is") for each in expect
        ] or [[Leaf(name, answered=False)]]
        extra = [
            saying(
                f"found {show_json(found)}, which is not expected", (*where, index), self._extra(found, below, below)
            )
            for index, found in numbered[:MOST_EXTRAS]
        ]
        chosen = belonging(graded, gone, extra) if expect and numbered else {}
        leaves = [leaf for i, j in chosen.items() for leaf in graded[i][j]]
        leaves += [leaf for i, each in enumerate(gone) if i not in chosen for leaf in each]
        return leaves + [leaf for j, each in enumerate(extra) if j not in chosen.values() for leaf in each]


def _either(options: Sequence[Any]) -> str:
    return " or ".join(show_json(each) for each in options[:MOST_SHOWN])


def _same(expect: Any, output: Any, rule: FieldRule) -> bool:
    """Whether two values are equal; objects and lists are compared with their own kind only."""
    if isinstance(expect, dict | list) or isinstance(output, dict | list):
        return False
    if type(expect) is type(output) and expect == output:
        return True
    return equality_key(expect) == equality_key(output) or same_value(expect, output, rule.meaning, rule.tolerance)


def saying(message: str, where: Where, leaves: Leaves) -> Leaves:
    """Leaves where the first that is not right has the message, and the others have none."""
    silent = [replace(leaf, message="") for leaf in leaves]
    first = next((index for index, leaf in enumerate(silent) if not leaf.right), None)
    if message and first is not None:
        silent[first] = replace(silent[first], message=message, where=where)
    return silent


def belonging(graded: Sequence[Sequence[Leaves]], gone: Sequence[Leaves], extra: Sequence[Leaves]) -> dict[int, int]:
    """Match expected items to items of the output: first maximize what is right, then minimize what is wrong.

    The share is therefore independent of the order.
    """
    from scipy.optimize import linear_sum_assignment  # takes a third of a second to import and is seldom needed

    def sizes(each: Leaves) -> int:
        return sum(leaf.expected + leaf.answered for leaf in each)

    gain = np.array([
        [
            RIGHT * sum(leaf.right for leaf in pair) - sizes(pair) + sizes(gone[i]) + sizes(extra[j])
            for j, pair in enumerate(line[: len(extra)])
        ]
        for i, line in enumerate(graded)
    ])  # fmt: skip
    rows, columns = linear_sum_assignment(gain, maximize=True)
    return dict(zip(rows.tolist(), columns.tolist(), strict=True))


def _lengths(expect: Sequence[Any], output: Sequence[Any], pairs: Sequence[Leaves]) -> str:
    """How two lists differ in length, and from which item on."""
    parted = (index for index, leaves in enumerate(pairs) if not all(leaf.right for leaf in leaves))
    index = next(parted, min(len(expect), len(output)))
    wanted, found = (show_json(items[index]) if index < len(items) else "nothing" for items in (expect, output))
    plural = "" if len(expect) == 1 else "s"
    return f"expected {len(expect)} item{plural}, found {len(output)}; at [{index}] expected {wanted}, found {found}"
