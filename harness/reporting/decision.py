"""What `tunegate gate` decided, as it was written, and the report on it: altered rules, and each set of rules."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tunegate.harness.core.errors import Unreadable
from tunegate.harness.core.reading import read_object, schema_mistakes
from tunegate.harness.evaluation.record import Record, read_record
from tunegate.harness.fixtures.json_schemas import published_schema
from tunegate.harness.reporting.report import (
    CandidateReport,
    GateOutcome,
    Report,
    RuleReport,
    candidate_report,
    report_of,
    summary,
)


def read_report(paths: Sequence[Path]) -> Report:
    """The report on records, or on decisions and the records that they name.

    Raises:
        Refused: one of them is neither, or cannot be read; or there are some of both.
    """
    decisions = {path: data for path in paths if (data := _decision(path)) is not None}
    records = [path for path in paths if path not in decisions]
    if not decisions:
        return report_of([read_record(path) for path in records])
    if records:
        raise Unreadable(
            records[0], "a decision, as the others are", "something else", "name records or decisions alone"
        )
    return decided(list(decisions.values()))


def _decision(path: Path) -> dict[str, Any] | None:
    """A decision, as --decision wrote it; None where it is something else, which is then read as a record."""
    found = read_object(path, "a record or a decision (JSON)")
    if "by_rules" not in found:
        return None
    if mistakes := schema_mistakes(found, published_schema("decision")):
        raise Unreadable(path, "a decision, as tunegate gate --decision writes it", "; ".join(mistakes))
    return found


def decided(decisions: Sequence[Mapping[str, Any]]) -> Report:
    """The report on decisions, each of which may have judged several adapters, with the records that they name."""
    candidates = tuple(candidate_report(record) for record in _records(decisions))
    # one change, whichever adapter was judged
    altered, added, by_rules, notes = (
        tuple(dict.fromkeys(line for each in decisions for line in lines(each)))
        for lines in (lambda each: each["altered"], lambda each: each["added"], _rule_lines, lambda each: each["notes"])
    )
    rules = RuleReport(
        altered, added, next((each["permit"] for each in decisions if each["permit"]), ""),
        all(each["permitted"] or not each["altered"] for each in decisions),
        "\n".join(dict.fromkeys(each["refused"] for each in decisions if each["refused"])), by_rules,
    )  # fmt: skip
    return Report(*_outcome(decisions, rules, candidates), rules, candidates, notes)


def _records(decisions: Sequence[Mapping[str, Any]]) -> Iterator[Record]:
    for path in dict.fromkeys(each["record"] for decision in decisions for each in decision["by_rules"]):
        if path:
            yield read_record(Path(path))


def _rule_lines(decision: Mapping[str, Any]) -> Iterator[str]:
    for each in decision["by_rules"]:
        if each["rules"]:
            who = f"{each['adapter']}, " if each["adapter"] else ""
            verdict = f"blocked by {', '.join(each['blocks'])}" if each["blocks"] else "passes"
            yield f"{who}by {each['rules']}: {verdict}"


def _outcome(
    decisions: Sequence[Mapping[str, Any]], rules: RuleReport, candidates: Sequence[CandidateReport]
) -> tuple[GateOutcome, str]:
    """The outcome and the verdict: what could not be judged first, then altered rules, then what was judged."""
    outcome, verdict = summary(candidates) if candidates else ("not judged", "")
    if all(each["passes"] for each in decisions):
        return ("passed" if outcome == "scored" else outcome), verdict
    sentences = []
    if rules.refused:
        sentences.append("Not judged: something is missing or is no longer what it was; nothing passes.")
    if rules.altered and not rules.permitted:
        count = len(rules.altered)
        sentences.append(f"Blocked by {count} altered rule{'s' if count != 1 else ''} that nobody has permitted.")
    older = [each for decision in decisions for each in decision["by_rules"] if each["blocks"] and not each["record"]]
    if outcome != "blocked":
        sentences += [f"Blocked by {each['rules']}: {', '.join(each['blocks'])}." for each in older]
    if verdict and not rules.refused:
        sentences.append(verdict)
    return ("not judged" if rules.refused else "blocked"), " ".join(sentences) or "Blocked."
