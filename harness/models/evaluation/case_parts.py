"""The cases that a part of a pass rule is a rate of: those whose `expect` asks for it, regardless of the output.

The rate of a record therefore does not depend on the other record. A custom check may not declare what a case asks
for; then the cases are those whose output has the part.
"""

from __future__ import annotations

from collections.abc import Iterable

from tunegate.harness.cases.model import Case
from tunegate.harness.models.evaluation.record import Result


def asks_for(case: Case, name: str, results: Iterable[Result]) -> bool:
    """Whether a case asks for a part; `results` are the results of the case to consider."""
    have = [_has(each, name) for each in results]
    if all(have):
        return True
    parts = getattr(case.check, "parts", None)  # `isinstance` of a protocol takes ten times the rest
    return name in parts(case.expect) if parts else any(have)


def _has(result: Result, name: str) -> bool:
    """Whether an output has the rate, or was expected to have the field."""
    return any(
        name in each.rates or (name in each.fields and each.fields[name].expected > 0)
        for each in result.repeats or (result,)
    )
