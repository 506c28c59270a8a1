"""The numbers of a plan in words: amounts in the score's own unit, counts of cases, chances."""

from __future__ import annotations

from tunegate.harness.cases.model import Unit
from tunegate.harness.core.formatting import change
from tunegate.harness.gate.planning.plan import Plan


def plain_number(value: float | None, unit: Unit) -> str:
    """Return the bare number: points for pass/fail, otherwise the score's own unit."""
    return change(value, unit.kind, signed=False)


def short_number(value: float | None, unit: Unit) -> str:
    """Return the number in short for a column: prices of calls in powers of ten."""
    if value is None or unit.kind == "pass/fail" or not 0 < abs(value) < 0.001:
        return plain_number(value, unit)
    return f"{value:.2g}"


def amount(value: float | None, unit: Unit) -> str:
    """Return `10 points`, or the bare number for continuous scores."""
    if value is None or unit.kind == "continuous":
        return plain_number(value, unit)
    return in_points(value)


def in_points(share: float) -> str:
    """Return `15 points`."""
    return f"{round(100 * share, 1):g} points"


def case_count(n: int, each: Plan) -> str:
    """Return `12 cases`, or observations if some are grouped."""
    noun = "case" if each.n == len(each.unit.cases) else "observation"
    return f"{n} {noun}{'' if n == 1 else 's'}"


def often(chance: float) -> str:
    """Return a chance in percent of the time."""
    if chance >= 0.995:
        return "over 99 % of the time"
    return f"{round(100 * chance)} % of the time" if chance >= 0.005 else "less than 1 % of the time"
