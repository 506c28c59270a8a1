"""Records as people read them: one table a run, one text a failed case."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from harness.cases import Case
from harness.errors import show_path
from harness.record import Record, Result, Summary
from harness.words import percent, points

SHOWN_OUTPUT = 600
STYLE = {"regressed": "bold red", "inconclusive": "yellow", "held": "green", "improved": "bold green", "ungated": "dim"}


def show(console: Console, record: Record) -> None:
    """A record in full: the table, a sentence for each verdict and decision, and where it is kept."""
    console.print(table(record))
    for unit, verdict in record.verdicts.items():
        _line(console, f"{unit}: {verdict['reason']}")
    for task, decision in record.tasks.items():
        _line(console, f"{task}: {decision['decision'].upper()}. {decision['reason']}")
    if record.path:
        _line(console, f"record: {show_path(record.path)}")


def _line(console: Console, text: str) -> None:
    console.print(text, highlight=False, soft_wrap=True, markup=False)


def table(record: Record) -> Table:
    """Units down, numbers across: beside the baseline under --against, by themselves otherwise."""
    names = record.identity.get("names", {})
    who = names.get("adapter") or names.get("model") or "record"
    return _compared(record, who) if record.verdicts else _alone(record, who)


def _compared(record: Record, who: str) -> Table:
    out = Table(title=f"{who} against {_references(record)}", title_justify="left")
    for name in ("unit", "role", "cases", "baseline", "tuned", "difference [95 %]", "broke/fixed", "verdict"):
        left = name in {"unit", "role", "verdict"}
        out.add_column(name, justify="left" if left else "right", no_wrap=name in {"unit", "verdict"})
    for unit, verdict in record.verdicts.items():
        interval = verdict["interval"]
        spread = f" [{points(interval[0])}, {points(interval[1])}]" if interval else ""
        style = STYLE[verdict["verdict"]]
        out.add_row(
            unit, verdict["role"], str(verdict["n"]), percent(verdict["base"]), percent(verdict["mean"]),
            f"{points(verdict['difference'])}{spread}", f"{len(verdict['broke'])}/{len(verdict['fixed'])}",
            f"[{style}]{verdict['verdict']}{' (blocks)' if verdict['blocks'] else ''}[/]",
        )  # fmt: skip
    return out


def _references(record: Record) -> str:
    return " and ".join(dict.fromkeys(verdict["reference"] for verdict in record.verdicts.values()))


def _alone(record: Record, who: str) -> Table:
    out = Table(title=who, title_justify="left")
    for name in ("unit", "cases", "passed", "95 %", "rates", "tokens in/out"):
        out.add_column(name, justify="left" if name in {"unit", "rates"} else "right", no_wrap=name == "unit")
    for unit, summary in record.units.items():
        out.add_row(unit, _count(summary), percent(summary.mean), _interval(summary), _rates(summary), _tokens(summary))
    return out


def _count(summary: Summary) -> str:
    return f"{summary.n}" + (f" ({summary.unscored} unscored)" if summary.unscored else "")


def _interval(summary: Summary) -> str:
    return " to ".join(percent(bound) for bound in summary.interval) if summary.interval else "-"


def _rates(summary: Summary) -> str:
    return ", ".join(f"{name} {percent(rate)}" for name, rate in summary.rates.items())


def _tokens(summary: Summary) -> str:
    return f"{summary.tokens[0]:.0f}/{summary.tokens[1]:.0f}" if summary.tokens else "-"


def case_failure(case: Case, result: Result, before: Result | None) -> str:
    """What a reader needs to see why a case failed: where it stands, what was asked, what came, what is wrong."""
    lines = [f"{case.key} ({case.place})", "", "input:", _indent(case.input)]
    if before is not None and before.output is not None:
        lines += ["before:", _indent(before.output)]
    lines += ["output:", _indent(result.output if result.output is not None else "(none: unscored)")]
    lines += ["findings:", *(f"  - {finding}" for finding in result.findings)]
    return "\n".join(lines)


def _indent(text: str) -> str:
    shown = text if len(text) <= SHOWN_OUTPUT else f"{text[:SHOWN_OUTPUT]}... ({len(text)} characters)"
    return "\n".join(f"  {line}" for line in shown.splitlines() or [""])
