"""Records as people read them: one table a run, one text a failed case."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.cases import Case
from harness.errors import show_path
from harness.record import Record, Result, Summary
from harness.words import difference, level, percent, rates

SHOWN_OUTPUT = 600
STYLE = {"regressed": "bold red", "inconclusive": "yellow", "held": "green", "improved": "bold green", "ungated": "dim"}
LEFT = {"unit", "role", "verdict", "rates"}


def show(console: Console, record: Record) -> None:
    """A record in full: the table, a sentence for each verdict and decision, the rates, and where it is kept."""
    console.print(table(record))
    for unit, verdict in record.verdicts.items():
        _line(console, f"{unit}: {verdict['reason']}")
    for line in _rate_lines(record):
        _line(console, line)
    for task, decision in record.tasks.items():
        _line(console, f"{task}: {decision['decision'].upper()}. {decision['reason']}")
    if record.path:
        _line(console, f"record: {show_path(record.path)}")


def _line(console: Console, text: str) -> None:
    console.print(text, highlight=False, soft_wrap=True, markup=False)


def _rate_lines(record: Record) -> Iterator[str]:
    """The rates of gated units that have several, such as adherence and exact; the table holds one score only."""
    for unit, verdict in record.verdicts.items():
        summary = record.units.get(unit)
        if summary and summary.rates:
            yield f"{unit}: {rates(summary.rates, verdict['base_rates'], verdict['reference'])}"


def table(record: Record) -> Table:
    """Units down, numbers across: beside the baseline under --against, by themselves otherwise. 100 columns do."""
    names = record.identity.get("names", {})
    who = names.get("adapter") or names.get("model") or "record"
    return _compared(record, who) if record.verdicts else _alone(record, who)


def _empty(title: str, columns: Sequence[str]) -> Table:
    out = Table(title=Text(title, style="italic"), title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in columns:
        out.add_column(name, justify="left" if name in LEFT else "right", no_wrap=name != "rates")
    return out


def _compared(record: Record, who: str) -> Table:
    columns = ("unit", "role", "cases", "baseline", "tuned", "difference [95 %]", "broke/fixed", "verdict")
    out = _empty(f"{who} against {_references(record)}", columns)
    for unit, verdict in record.verdicts.items():
        kind = verdict["kind"]
        out.add_row(
            Text(unit), verdict["role"], str(verdict["n"]), level(verdict["base"], kind), level(verdict["mean"], kind),
            Text(difference(verdict["difference"], verdict["interval"], kind)),
            f"{len(verdict['broke'])}/{len(verdict['fixed'])}", _verdict(verdict),
        )  # fmt: skip
    return out


def _verdict(verdict: Mapping[str, Any]) -> Text:
    # inconclusive and regressed block anyway; a held unit that blocks must say so
    odd = verdict["blocks"] and verdict["verdict"] in {"held", "improved"}
    name = verdict["verdict"]
    return Text(f"{name}, blocks" if odd else name, style="bold red" if odd else STYLE[name])


def _references(record: Record) -> str:
    return " and ".join(dict.fromkeys(verdict["reference"] for verdict in record.verdicts.values()))


def _alone(record: Record, who: str) -> Table:
    out = _empty(who, ("unit", "cases", "passed", "95 %", "rates", "tokens in/out"))
    for unit, summary in record.units.items():
        out.add_row(
            Text(unit), _count(summary), level(summary.mean, summary.kind), _interval(summary), _rates(summary),
            _tokens(summary),
        )  # fmt: skip
    return out


def _count(summary: Summary) -> str:
    return f"{summary.n}" + (f" ({summary.unscored} unscored)" if summary.unscored else "")


def _interval(summary: Summary) -> str:
    return " to ".join(percent(bound) for bound in summary.interval) if summary.interval else "-"


def _rates(summary: Summary) -> str:
    return ", ".join(f"{name} {100 * rate:.0f} %" for name, rate in summary.rates.items())


def _tokens(summary: Summary) -> str:
    return f"{summary.tokens[0]:.0f}/{summary.tokens[1]:.0f}" if summary.tokens else "-"


def case_failure(case: Case, result: Result, before: Result | None) -> str:
    """What a reader needs to see why a case failed: where it stands, what was asked, what came, what is wrong."""
    shown = next((each for each in result.repeats if not each.passed), result)
    lines = [f"{case.key} ({case.place})", "", "input:", _indent(case.input)]
    if before is not None and before.output is not None:
        lines += ["before:", _indent(before.output)]
    if result.repeats:
        failed = sum(not each.passed for each in result.repeats)
        lines += [f"{failed} of {len(result.repeats)} answers failed; the first that did:"]
    lines += ["output:", _indent(shown.output if shown.output is not None else "(none: unscored)")]
    lines += ["findings:", *(f"  - {finding}" for finding in shown.findings)]
    return "\n".join(lines)


def _indent(text: str) -> str:
    shown = text if len(text) <= SHOWN_OUTPUT else f"{text[:SHOWN_OUTPUT]}... ({len(text)} characters)"
    return "\n".join(f"  {line}" for line in shown.splitlines() or [""])
