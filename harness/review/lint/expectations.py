"""Valid but suspicious expectations of cases, and cases without one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from tunegate.harness.cases.model import Case, Unit
from tunegate.harness.checks.base import HasExpectWarnings
from tunegate.harness.checks.schema.pass_rule import name_of_place, plain_variants
from tunegate.harness.core.errors import LintWarning
from tunegate.harness.core.formatting import listed

_EACH = 2  # a key that more than one case in two has is expected of each


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


def missing_keys(unit: Unit) -> Iterator[LintWarning]:
    """Warn about keys that most cases expect and some lack, where `match` does not say what that means."""
    asked = [case for case in unit.cases if unit.suite == "schema" and isinstance(case.expect, dict) and case.expect]
    keys = {case.id: {key for each, _ in plain_variants(case.expect) for key in _keys(each)} for case in asked}
    counts = Counter(key for each in keys.values() for key in each)
    for key in (key for key, count in counts.items() if len(asked) > count > len(asked) / _EACH):
        without = [case for case in asked if key not in keys[case.id] and _is_open(unit.asked[case.id], key)]
        if without:
            text = (
                f"{unit.key}: no `{key}` in the expect of {listed([case.id for case in without])}, where {counts[key]} "
                f"of {len(asked)} cases have it: any value passes there; write it, or say what a missing key means: "
                "check: {match: subset} (any value passes) or {match: whole} (none may stand there)"
            )
            yield LintWarning(without[0].path, without[0].line, text)


def _keys(expect: Any) -> Iterator[str]:
    yield from expect if isinstance(expect, dict) else ()


def _is_open(options: Mapping[str, Any], key: str) -> bool:
    """Whether a check leaves open what a key means that a case lacks."""
    return "match" not in options and name_of_place((key,)) not in options.get("fields", {})
