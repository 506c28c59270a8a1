"""Records for the terminal: a table per run, a text per failed case."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence

from rich import box
from rich.console import JustifyMethod
from rich.segment import Segments
from rich.table import Table
from rich.text import Text

from tunegate.harness.cases.conversation import shown_turn
from tunegate.harness.cases.model import Case
from tunegate.harness.checks.outputs.message import shown_output
from tunegate.harness.core.errors import show_path
from tunegate.harness.core.escaping import shown, shown_lines
from tunegate.harness.core.formatting import certainty, difference, level, listed, percent, points, rates
from tunegate.harness.core.printing import Printer
from tunegate.harness.models.evaluation.latency import render_timing
from tunegate.harness.models.evaluation.record import Record, Result, Summary
from tunegate.harness.models.evaluation.sidecar import CaseContext
from tunegate.harness.reporting.compared import columns, side_name
from tunegate.harness.reporting.differences import difference_lines
from tunegate.harness.reporting.headline import candidate_head
from tunegate.harness.reporting.parts import field_lines
from tunegate.harness.reporting.report import (
    CandidateReport,
    UnitReport,
    candidate_name,
    candidate_report,
    declared_role,
)
from tunegate.harness.reporting.slices import pattern_of
from tunegate.harness.statistics.critical_values import PROMISED

SHOWN_OUTPUT = 600
SHOWN_CASES = 3  # regressed cases per unit
STYLE = {
    "regressed": "bold red", "inconclusive": "yellow", "held": "green", "improved": "bold green", "cannot fall": "dim",
    "ungated": "dim",
}  # fmt: skip
OUTCOME = {"blocked": "bold red", "passed": "bold green", "scored": "bold"}
COLUMNS, GAP = 100, 2  # minimum width of a table; space between columns
LONG = 30  # columns of a difference; if longer, the interval goes below it
SOFT = {"rates": 30}  # columns that shrink, and their minimum widths; units stand whole
LEFT = {"unit", "role", "verdict", "rates"}


def print_record(
    console: Printer, record: Record, limit: int | None = SHOWN_CASES, without: Collection[str] = (),
    contexts: Mapping[str, CaseContext] | None = None,
) -> None:  # fmt: skip
    """Print a record: the verdict, a sentence per unit, the rates, then the table and the next steps.

    Each unit's regressed cases follow it with their differences, at most `limit` (None: all), except those in
    `without`, which are already printed. `contexts` are those of its sidecar, which is read without them.
    """
    report = candidate_report(record, contexts)
    first, rest = candidate_head(report, report.said)
    console.print(f"{report.name}: {first}", style=OUTCOME[report.outcome], soft_wrap=True)
    console.lines(rest)
    for unit in report.units:
        console.lines([f"{unit.key}: {unit.reason}"] if unit.reason else [])
        console.lines(regressed_lines(report, unit, limit, without))
    console.lines(_finding_lines(record, report))
    console.lines(_rate_lines(record))
    for unit in report.units:
        console.lines(field_lines(unit.key, unit.parts, unit.reference))
    console.lines(render_timing(record.timing) if record.timing else [])
    console.lines(f"the claim: {claim.reason}" for claim in record.claims.values())
    console.print()
    print_table(console, record_table(record))
    console.print()
    if len(report.decisions) > 1:  # of one task the first lines have said it
        console.lines(f"{task}: {sentence}" for task, sentence in report.decisions.items())
    console.lines(next_lines(record, report))


def _finding_lines(record: Record, report: CandidateReport) -> Iterator[str]:
    """Yield, with an example, the finding of most cases of each open pass/fail unit; if none passes, the commonest."""
    for unit in report.units:
        cases = [case for case in report.cases if case.unit == unit.key and case.findings]
        if unit.kind != "pass/fail" or unit.mean is None or not cases:
            continue
        # a check's first finding is the cause of those behind it
        patterns = [pattern_of(str(case.findings[0])) for case in cases]
        [(pattern, count)] = Counter(patterns).most_common(1)
        if unit.mean and 2 * count <= unit.n:
            continue
        example, right = cases[patterns.index(pattern)], percent(unit.mean) if unit.mean else "nothing is"
        yield (
            f"{unit.key}: {right} right. Most frequent finding, in {count} of {unit.n} cases: "
            f"{shown(str(example.findings[0]))} ({shown(example.key.removeprefix(f'{unit.key}/'))})"
        )
        if not (record.adapter or record.is_supplied or record.has_supplied_scores):
            task = unit.key.partition("/")[0]
            yield f"next: tunegate diagnose {task} tries constrained decoding, worked examples and other remedies"


def next_lines(record: Record, report: CandidateReport) -> Iterator[str]:
    """Yield the record's path and the next steps."""
    if not record.path:
        return
    path = show_path(record.path)
    yield f"record: {path}"
    if report.outcome == "scored":
        return
    yield f"next: tunegate view {path} shows every case beside its reference"
    for unit in report.units if not record.has_supplied_scores else ():
        verdict = record.verdicts.get(unit.key)
        if unit.verdict != "inconclusive" or unit.difference is None:
            continue
        if verdict is None or verdict.effective is None:  # otherwise it takes other topics, not more cases
            yield f"next: tunegate plan --unit {unit.key} shows how many cases would settle it"


def print_side_by_side(console: Printer, records: Sequence[Record]) -> None:
    """Print several records in one table: units down, a column of scores and verdicts for each record."""
    print_table(console, _beside(records))
    for record in records:
        name, kept = candidate_name(record), f" ({show_path(record.path)})" if record.path else ""
        console.lines(f"{name}: {task}: {decision.reason}{kept}" for task, decision in record.tasks.items())


def print_table(console: Printer, table: Table) -> None:
    """Print a table in its full width: a narrow terminal wraps it without loss."""
    wide = console.options.update(width=max(console.width, COLUMNS, table.min_width or 0))
    console.print(Segments(console.render(table, wide)), crop=False, soft_wrap=True)


def _beside(records: Sequence[Record]) -> Table:
    units = list(dict.fromkeys(unit for record in records for unit in record.units))
    columns = ("unit", "cases", *map(candidate_name, records))
    rows = [(unit, _cases(records, unit), *(_cell(record, unit, records) for record in records)) for unit in units]
    return laid_out("side by side", columns, rows)


def _cases(records: Sequence[Record], unit: str) -> str:
    return " / ".join(dict.fromkeys(str(record.units[unit].n) for record in records if unit in record.units))


def _cell(record: Record, unit: str, records: Sequence[Record]) -> str:
    """Return a unit's score in a record, unless its questions differ from those in the first record with it."""
    if unit not in record.units:
        return "-"
    first = next(each for each in records if unit in each.units)
    if record.questions[unit] != first.questions[unit]:
        return "other questions"
    verdict = record.verdicts.get(unit)
    score = level(record.units[unit].mean, record.units[unit].kind)
    return f"{score} {verdict.verdict}" if verdict else score


def regressed_lines(
    report: CandidateReport, unit: UnitReport, limit: int | None = SHOWN_CASES, without: Collection[str] = ()
) -> Iterator[str]:
    """Yield the regressed cases of a unit, critical ones first, with differences and findings."""
    if unit.driver and limit != 0:
        yield f"  {shown(unit.driver)}"
    left = [case for case in report.worst if case.unit == unit.key and case.key not in without]
    for case in left[:limit]:
        yield f"  regressed: {shown(case.key)}{' (critical)' if case.critical else ''}"
        if case.has_output:
            yield from (f"    {line}" for line in difference_lines(case.previous, case.now))
        yield from (f"    - {shown(finding.sourced)}" for finding in case.findings)
    if limit and len(left) > limit:
        yield f"  and {len(left) - limit} more"


def _rate_lines(record: Record) -> Iterator[str]:
    """Yield the rates of gated units with several, such as adherence and exact; the table has only one score."""
    for unit, verdict in record.verdicts.items():
        summary = record.units.get(unit)
        if summary and summary.rates:
            before = verdict.base_rates
            yield f"{unit}: {rates(summary.rates, before, verdict.reference, summary.cases_of_rates)}"


def record_table(record: Record) -> Table:
    """Return a table of units: against the baseline under --tg-against, otherwise without. It fits 100 columns."""
    names = record.fingerprint.get("names", {})
    who = shown(names.get("adapter") or names.get("model") or "record")
    return _compared(record, who) if record.verdicts else _alone(record, who)


def laid_out(title: str, columns: Sequence[str], rows: Sequence[Sequence[str | Text]]) -> Table:
    """Return a table whose numbers are never truncated; names and rates shrink if it is narrow."""
    out = Table(
        title=Text(title, style="italic"), title_justify="left", box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False,
        padding=(0, 1, 0, 0),
    )  # fmt: skip
    for index, name in enumerate(columns):
        longest = max(len(line) for cell in (name, *(row[index] for row in rows)) for line in str(cell).split("\n"))
        kept = min(longest, SOFT.get(name, longest))
        justify: JustifyMethod = "left" if name in LEFT else "right"
        out.add_column(name, justify=justify, overflow="fold", no_wrap=longest == kept, min_width=kept)
    # below this width rich would drop a shrinking column entirely
    out.min_width = sum(column.min_width or 0 for column in out.columns) + GAP * (len(columns) - 1)
    for row in rows:
        out.add_row(*(cell if isinstance(cell, Text) else Text(cell) for cell in row))
    return out


def _compared(record: Record, who: str) -> Table:
    levels = {each.level for each in record.verdicts.values() if each.level}
    sure = listed(sorted(certainty(2 * PROMISED * each) for each in levels))
    moved = f"difference [{sure}]" if sure else "difference"
    columns = ("unit", "role", "cases", *_sides(record), moved, "regressed/\nfixed", "verdict")
    rows = [
        (
            unit, declared_role(record, each), str(each.n), level(each.base, each.kind), level(each.mean, each.kind),
            _folded(difference(each.difference, each.interval, each.kind)),
            f"{len(each.regressed_cases)}/{len(each.fixed_cases)}", Text(each.verdict, STYLE[each.verdict]),
        )
        for unit, each in record.verdicts.items()
    ]  # fmt: skip
    return laid_out(f"{who} against {_references(record)}", columns, rows)


def _sides(record: Record) -> tuple[str, str]:
    """Return the names of the two columns of scores, in two lines."""
    sides = dict.fromkeys(side_name(record, each.reference) for each in record.verdicts.values())
    before, now = columns(sides, record.compared_as)
    return before.replace(" ", "\n"), now.replace(" ", "\n")


def _folded(text: str) -> str:
    return text.replace(" [", "\n[", 1) if len(text) > LONG else text


def _references(record: Record) -> str:
    return " and ".join(dict.fromkeys(verdict.reference for verdict in record.verdicts.values()))


def _alone(record: Record, who: str) -> Table:
    columns = ("unit", "cases", "passed", "95 %", "rates", "tokens in/out")
    rows = [
        (unit, _count(each), _score(each), _interval(each), _rates(each), tokens_text(each))
        for unit, each in record.units.items()
    ]
    return laid_out(who, columns, rows)


def _count(summary: Summary) -> str:
    return f"{summary.n}" + (f" ({summary.unscored} unscored)" if summary.unscored else "")


def _score(summary: Summary) -> str:
    # for shares, the number of passing cases is one of the rates
    return level(summary.mean, summary.kind) + (" (share)" if "passed" in summary.rates else "")


def _interval(summary: Summary) -> str:
    return f"{' to '.join(points(bound, signed=False) for bound in summary.interval)} %" if summary.interval else "-"


def _rates(summary: Summary) -> str:
    # if rates cover all cases, the column of cases has their number
    of = {name: f" of {n}" for name, n in summary.rates_of.items()}
    return ", ".join(f"{name} {100 * rate:.0f} %{of.get(name, '')}" for name, rate in summary.rates.items())


def tokens_text(summary: Summary) -> str:
    """Return the mean tokens of prompts and outputs: `231/18`."""
    return f"{summary.tokens[0]:.0f}/{summary.tokens[1]:.0f}" if summary.tokens else "-"


def case_failure(case: Case, result: Result, before: Result | None) -> str:
    """Return the details of a failed case: its place, input, output and findings."""
    missed = result.missed
    lines = [f"{case.key} ({case.place})", "", "input:", *_turns(case)]
    if result.repeats:
        failed = sum(not each.passed for each in result.repeats)
        lines += [f"{failed} of {len(result.repeats)} outputs failed; the first one:"]
    if before is not None and before.output is not None and missed.output is not None:
        lines += ["difference:", *(f"  {line}" for line in difference_lines(before.output, missed.output))]
    else:
        lines += ["output:", _indent("(none: unscored)" if missed.output is None else shown_output(missed.output))]
    lines += ["findings:", *(f"  - {shown(finding.sourced)}" for finding in missed.findings)]
    return "\n".join(lines)


def _turns(case: Case) -> Iterator[str]:
    """Yield the input, or the turns of a conversation with their speakers."""
    for role, text in case.turns:
        yield _indent(f"{role}: {shown_turn(role, text)}" if case.earlier else text)


def _indent(text: str) -> str:
    start = text if len(text) <= SHOWN_OUTPUT else f"{text[:SHOWN_OUTPUT]}... ({len(text)} characters)"
    # not splitlines, which would hide that the model output another separator than \n
    return "\n".join(f"  {line}" for line in shown_lines(start).split("\n"))
