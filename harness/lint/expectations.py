"""Valid but suspicious expectations of cases, and cases without one."""

from __future__ import annotations

from collections.abc import Iterator

from tunegate.harness.cases.model import Case, Unit
from tunegate.harness.checks.base import HasExpectWarnings
from tunegate.harness.core.errors import LintWarning
from tunegate.harness.core.formatting import listed


def odd_expectations(unit: Unit) -> Iterator[LintWarning]:
    """Warn about expectations that the unit's check finds suspicious."""
    by_check: dict[int, list[Case]] = {}
    for case in unit.cases:
        by_check.setdefault(id(case.check), []).append(case)
    for cases in by_check.values():
        check: object = cases[0].check
        if not isinstance(check, HasExpectWarnings):
            continue
        for case in cases:
            for text in check.expect_warnings(case.expect) if case.expect is not None else ():
                yield LintWarning(case.path, case.line, f"{case.key}: {text}")


def missing_expectations(unit: Unit) -> Iterator[LintWarning]:
    """Warn about cases without an `expect` if other cases of the unit have one."""
    without = [case for case in unit.cases if case.expect is None]
    if not without or len(without) == len(unit.cases):
        return
    others = [case for case in unit.cases if case.expect is not None]
    text = (
        f"{unit.key}: no expect in {listed([case.id for case in without])}, where {len(others)} of {len(unit.cases)} "
        "cases have one: a wrong value passes there; write what each expects"
    )
    any_object = unit.suite == "schema" and all(isinstance(case.expect, dict) for case in others)
    more = ", or `expect: {}` where any values will do" if any_object else ""
    yield LintWarning(without[0].path, without[0].line, text + more)
