"""Which cases a part of a pass rule is a rate of: those whose `expect` asks for it, whatever was answered.

So the rate of one record is the same beside any other one. Of a check of your own, which does not say what a case asks
for, they are the cases of which an answer has the part.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import cast

from tunegate.harness.cases.model import Case
from tunegate.harness.checks.base import Check, HasParts
from tunegate.harness.evaluation.record import Result


def asks_for(case: Case, name: str, results: Iterable[Result]) -> bool:
    """Whether a case asks for a part; `results` are those of the case that are to be counted."""
    have = [_has(each, name) for each in results]
    if all(have):
        return True
    return name in cast("HasParts", case.check).parts(case.expect) if _says(type(case.check)) else any(have)


@functools.cache  # of a protocol it takes ten times as long as all the rest
def _says(check: type[Check]) -> bool:
    return issubclass(check, HasParts)


def _has(result: Result, name: str) -> bool:
    """Whether an answer has the rate, or was to have the field."""
    return any(
        name in each.rates or (name in each.fields and each.fields[name].expected > 0)
        for each in result.repeats or (result,)
    )
