"""Values of a closed set that no output has right: a rate over all values hides a rare value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

from tunegate.harness.cases.model import Case
from tunegate.harness.checks.base import Check, ClosedValue, FieldCount, HasClosedValues
from tunegate.harness.models.evaluation.record import Result

LEAST_CASES = 3  # cases that expect a value: one right half of the time fails two of two a quarter of the time
Never = tuple[str, str, int]  # a field, a value as JSON, and the number of cases that expect it
Counts = dict[tuple[str, str], tuple[int, int]]


def never_right(cases: Sequence[Case], results: Sequence[Result]) -> tuple[Never, ...]:
    """Return the values that enough cases expect and no output has right, the most expected first."""
    return tuple((*key, n) for key, (n, _) in unmet_values(value_counts(cases, results)).items())


def unmet_values(counts: Counts) -> Counts:
    """Select the values that enough cases expect and none has right, the most expected first."""
    found = {key: both for key, both in counts.items() if both[0] >= LEAST_CASES and not both[1]}
    return dict(sorted(found.items(), key=lambda each: (-each[1][0], each[0])))


def value_counts(cases: Sequence[Case], results: Sequence[Result]) -> Counts:
    """Return for each value of a closed set how many cases expect only it, and how many have it right.

    If a case expects several values of a field and some are right, a value counts as right unless
    it was confused with another.
    """
    found: Counts = {}
    for case, result in zip(cases, results, strict=True):
        said = closed_values(case.check, case.expect) if result.score is not None else ()
        times = Counter((field, value) for field, value, _ in said)
        certain = {(field, value) for field, value, is_only in said if is_only}
        for key in times:
            n, right = found.get(key, (0, 0))
            has = any(_is_right(each.fields, key, times[key]) for each in result.repeats or (result,))
            found[key] = n + (key in certain), right + has
    return found


def closed_values(check: Check, expect: Any) -> Sequence[ClosedValue]:
    """Return the expected values of closed sets; empty for a check that knows none."""
    return check.closed_values(expect) if _has_any(check) else ()


def _has_any(check: Check) -> TypeGuard[HasClosedValues]:
    return hasattr(check, "closed_values")  # `isinstance` of a protocol is slow


def _is_right(fields: Mapping[str, FieldCount], key: tuple[str, str], times: int) -> bool:
    field, value = key
    if field not in fields or not fields[field].right:
        return False
    count = fields[field]
    return count.is_right or times > sum(wanted == value for wanted, _ in count.taken)
