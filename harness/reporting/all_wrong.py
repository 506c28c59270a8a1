"""A unit of which nothing is right: its most frequent finding shows why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from tunegate.harness.core.escaping import shown
from tunegate.harness.reporting.report import CandidateReport
from tunegate.harness.reporting.slices import pattern_of


def all_wrong_lines(report: CandidateReport) -> Iterator[str]:
    """Yield the most frequent finding of each open pass/fail unit that passes no case, with an example."""
    for unit in report.units:
        cases = [case for case in report.cases if case.unit == unit.key and case.findings]
        if unit.kind != "pass/fail" or unit.mean != 0 or not cases:
            continue
        # a check's first finding is the cause of those behind it
        patterns = [pattern_of(str(case.findings[0])) for case in cases]
        [(pattern, count)] = Counter(patterns).most_common(1)
        example = cases[patterns.index(pattern)]
        yield (
            f"{unit.key}: nothing is right. Most frequent finding, in {count} of {unit.n} cases: "
            f"{shown(str(example.findings[0]))} ({shown(example.key.removeprefix(f'{unit.key}/'))})"
        )
