"""The report on the rows before training, as text for the terminal and as a machine-readable file."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from tunegate.harness.cases.model import Task
from tunegate.harness.core.files import digest
from tunegate.harness.rows.examples import Example
from tunegate.trainers.config.recipe import Recipe
from tunegate.trainers.config.sections import ALREADY, DROP
from tunegate.trainers.data.duplicates import DuplicatePair
from tunegate.trainers.data.preference import Data, apart
from tunegate.trainers.data.validation import SHOWN, UnitGrades, all_failures

_LIKE = (0.67, 1.5)  # ratio of medians; if lengths differ more, dpo may learn mostly the length
FEW, MANY = 200, 5000  # rows; published results for small LoRAs lie in this range


@dataclass(frozen=True, slots=True)
class Lengths:
    """Minimum, median and maximum number of tokens."""

    least: int
    median: int
    most: int

    def __str__(self) -> str:
        return f"{self.least} to {self.most}, median {self.median}"


@dataclass(frozen=True)
class ExampleReport:
    """The grades, duplicates and lengths of a recipe's rows; lengths are None until the rows are tokenized.

    `rejected` are the lengths of rejected outputs, which only preferences have. `private` holds the secrets and
    personal data, `near` the pairs of rows and fixtures that decontamination found; both are None before these steps.
    `left_out` is the number of rows that they dropped.
    """

    recipe: Recipe
    rows: int
    grades: Sequence[UnitGrades]
    duplicates: Sequence[DuplicatePair]
    whole: Lengths | None = None
    outputs: Lengths | None = None
    rejected: Lengths | None = None
    cut: Sequence[Example] = field(default=())
    private: Mapping[str, Any] | None = None
    near: Mapping[str, Any] | None = None
    left_out: int = 0

    @property
    def failed(self) -> int:
        """The number of failing rows."""
        return sum(len(unit.failures) for unit in self.grades)

    @property
    def passing(self) -> list[Example]:
        """The rows whose rejected or disliked output passes the check."""
        return [row for unit in self.grades for row in unit.passing]

    @property
    def trained(self) -> int:
        """The number of rows after dropping, including the validation split."""
        return self.rows - (self.failed if self.recipe.failing_rows == DROP else 0) - self.left_out

    def as_dict(self) -> dict[str, Any]:
        """The machine-readable file: all failing rows with all findings, all pairs of duplicates."""
        failures = [
            {**_place(failure.row), "unit": failure.row.unit, "findings": [str(each) for each in failure.findings]}
            for failure in all_failures(self.grades)
        ]
        pairs = [
            {"first": _place(pair.first), "second": _place(pair.second), "alike": round(pair.alike, 3),
             "same_answer": pair.agrees}
            for pair in self.duplicates
        ]  # fmt: skip
        return {
            "schema_version": 1,
            **self._counts(),
            "units": [_unit(unit) for unit in self.grades],
            "failures": failures,
            "rejected_that_pass": [_place(row) for row in self.passing],
            "duplicates": pairs,
            "private_data": self.private,
            "near_fixtures": self.near,
            "longer_than_the_suites_allow": [_place(row) for row in self.cut],
            "warnings": list(self.warnings()),
        }

    def summary(self) -> dict[str, Any]:
        """For the training record: the counts, and the digest of the full report."""
        exact = sum(pair.alike == 1.0 for pair in self.duplicates)
        return {
            **self._counts(),
            "units": [_unit(unit) for unit in self.grades],
            "duplicates": {"exact": exact, "near": len(self.duplicates) - exact},
            "report": digest(self.as_dict()),
        }

    def _counts(self) -> dict[str, Any]:
        lengths = {"whole": self.whole, "answer": self.outputs, "rejected": self.rejected}
        return {
            "rows": self.rows,
            "failed": self.failed,
            "failing_rows": self.recipe.failing_rows,
            "rejected_that_pass": len(self.passing),
            "longer_than_the_suites_allow": len(self.cut),
            "left_out": self.left_out,
            "trained": self.trained,
            "tokens": {name: each and asdict(each) for name, each in lengths.items()},
        }

    def warnings(self) -> Iterator[str]:
        """Yield the warnings; none of them refuses the training."""
        if self.trained < FEW:
            yield f"{self.trained} rows are few: a small LoRA needs a few hundred to a few thousand good rows"
        if self.trained > MANY:
            yield f"{self.trained} rows are many: beyond a few thousand, better rows help more than additional ones"
        if self.passing:
            yield (
                f"{_count(len(self.passing), 'rejected output passes', 'rejected outputs pass')} the check too "
                f"({self.passing[0].file}:{self.passing[0].line} first): the suites cannot measure what they teach"
            )
        if self.outputs and self.rejected and not _LIKE[0] <= self.rejected.median / self.outputs.median <= _LIKE[1]:
            yield "rejected and preferred outputs differ in length: dpo may learn only the length"
        if self.cut:
            where = f"{self.cut[0].file}:{self.cut[0].line}"
            yield (
                f"{_count(len(self.cut), 'output is', 'outputs are')} longer than the unit's max_new_tokens "
                f"({where} first): the suites would truncate such an output"
            )


def measured(report: ExampleReport, rows: Sequence[Example], data: Data, task: Task) -> ExampleReport:
    """The report with the lengths of the remaining rows."""
    tokens, rejected = apart(data)
    allowed = {unit.name: unit.cases[0].decoding.max_new_tokens for unit in task.units}
    cut = [
        row
        for row, each in zip((row for row in rows if row.liked), tokens, strict=True)
        if row.unit and len(each.output) > allowed[row.unit] + 1  # the end of turn does not count
    ]
    return replace(
        report,
        whole=_lengths([len(each.input_ids) for each in (*tokens, *rejected)]),
        outputs=_lengths([len(each.output) for each in tokens]),
        rejected=_lengths([len(each.output) for each in rejected]) if rejected else None,
        cut=cut,
    )


def render_grades(report: ExampleReport) -> Iterator[str]:
    """Yield lines on grades and duplicates."""
    for unit in report.grades:
        name = unit.name or "messages"
        if not unit.graded:
            yield f"  {name}: {_rows(unit.rows)}, not graded: {unit.not_scored}"
            continue
        failed = len(unit.failures)
        result = f"{failed} fail the check" if failed else "all pass the check"
        yield f"  {name}: {_rows(unit.rows)}, {result}; not scored: {unit.not_scored}"
        yield from (f"    {failure}" for failure in unit.failures[:SHOWN])
    yield from _duplicates(report.duplicates)
    if report.failed:
        yield _consequence(report)


def render_lengths(report: ExampleReport) -> Iterator[str]:
    """Yield lines on lengths, and the warnings."""
    rejected = f"; per rejected output: {report.rejected}" if report.rejected else ""
    yield f"  tokens per row: {report.whole}; per output: {report.outputs}{rejected}"
    yield from (f"  warning: {warning}" for warning in report.warnings())


def _duplicates(pairs: Sequence[DuplicatePair]) -> Iterator[str]:
    exact = sum(pair.alike == 1.0 for pair in pairs)
    if pairs:
        yield f"  duplicate inputs: {exact} exact, {len(pairs) - exact} near:"
    for pair in pairs[:SHOWN]:
        how = "the same" if pair.alike == 1.0 else f"{pair.alike:.0%} alike"
        output = "the same output" if pair.agrees else "different outputs"
        first, second = (row.place for row in (pair.first, pair.second))
        yield f"    {first} and {second}: {how}, {output}"


def _consequence(report: ExampleReport) -> str:
    rule = report.recipe.failing_rows
    if rule == DROP:
        return f"  {_rows(report.failed)} dropped, as set in the recipe; {report.trained} left for training"
    if rule == ALREADY:
        return f"  {_rows(report.failed)} fail, and were trained on"
    if isinstance(rule, str):
        return f"  {_rows(report.failed)} to fix"
    return f"  {_rows(report.failed)} kept despite failing, as overridden in the recipe: {rule['override']}"


def _unit(unit: UnitGrades) -> dict[str, Any]:
    failed = len(unit.failures)
    passed = unit.rows - failed if unit.graded else 0
    return {"unit": unit.name or None, "rows": unit.rows, "passed": passed, "failed": failed,
            "graded": unit.graded, "not_scored": unit.not_scored}  # fmt: skip


def _place(row: Example) -> dict[str, Any]:
    return {"file": row.file, "line": row.line}


def _lengths(counts: Sequence[int]) -> Lengths:
    return Lengths(min(counts), int(statistics.median(counts)), max(counts))


def _rows(count: int) -> str:
    return _count(count, "row", "rows")


def _count(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"
