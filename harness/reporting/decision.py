"""Decisions of `tunegate gate`, and the report on them: rule changes, and the verdict by each set of rules."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunegate.harness.cases.json_schemas import published_schema
from tunegate.harness.core.errors import Refused, Unreadable, UsageError, show_path
from tunegate.harness.core.escaping import shown
from tunegate.harness.core.files import file_digest
from tunegate.harness.core.formatting import listed, quantity
from tunegate.harness.core.reading import read_object, schema_mistakes
from tunegate.harness.models.evaluation.record import Record, read_record
from tunegate.harness.models.evaluation.remarks import Remark, cause, note
from tunegate.harness.models.evaluation.sidecar import sidecar_path
from tunegate.harness.reporting.edited import EditedPart
from tunegate.harness.reporting.report import (
    CandidateReport,
    GateOutcome,
    Report,
    RuleReport,
    candidate_reports,
    report_of,
    summary,
)

RESULTS = ("success", "failure", "cancelled", "skipped")  # job results of GitHub Actions


@dataclass(frozen=True, slots=True)
class Inputs:
    """The inputs of a report: records, and the decisions that name them, if any."""

    records: tuple[Record, ...]
    decisions: tuple[Mapping[str, Any], ...] = ()

    def report(self) -> Report:
        """Return the report.

        Raises:
            Refused: a sidecar is not the one that its record names.
        """
        return decided(self) if self.decisions else report_of(self.records)


def read_inputs(paths: Sequence[Path], beside: bool = False) -> Inputs:
    """Read records, or decisions with their records.

    With `beside`, the files may come from an untrusted author: a decision's records are read only from its own folder,
    whatever their paths, and links are refused.

    Raises:
        Refused: a file is neither, or unreadable, or the two kinds are mixed.
    """
    if beside:
        _refuse_links(paths)
    decisions = {path: data for path in paths if (data := _decision(path)) is not None}
    others = [path for path in paths if path not in decisions]
    if decisions and others:
        raise Unreadable(others[0], "a decision, as the others are", "none", "name only records or only decisions")
    records = list(_named(decisions, beside)) if decisions else [read_record(path) for path in others]
    return Inputs(tuple(records), tuple(decisions.values()))


def _decision(path: Path) -> dict[str, Any] | None:
    """Read a decision that --decision wrote; return None for other files, which are read as records."""
    found = read_object(path, "a record or a decision (JSON)")
    if "by_rules" not in found:
        return None
    if mistakes := schema_mistakes(found, published_schema("decision")):
        raise Unreadable(path, "a decision, as tunegate gate --decision writes it", "; ".join(mistakes))
    if found["passes"] and (why := next(_objections(found), "")):
        raise Unreadable(path, "a decision that agrees with itself", f"one that passes and {why}", "run the gate again")
    return found


def _objections(decision: Mapping[str, Any]) -> Iterator[str]:
    """Yield reasons why a decision cannot pass."""
    if decision["refused"]:
        yield "was refused"
    if decision["modified"] and not decision["approved"]:
        yield "has unapproved rule changes"
    if decision["untrue"]:
        yield "has records that are not what the gate found"
    if not decision["by_rules"]:
        yield "evaluated nothing"
    yield from (f"is blocked by {listed(each['blocks'])}" for each in decision["by_rules"] if each["blocks"])


def _refuse_links(paths: Sequence[Path]) -> None:
    for path in paths:
        if path.is_symlink():
            raise Refused(
                f"{show_path(path)}: expected a file of the artefact itself, found a link; run the gate again"
            )


def _named(decisions: Mapping[Path, Mapping[str, Any]], beside: bool) -> Iterator[Record]:
    """Yield the records that decisions name, each once, and unchanged since the decision."""
    verdicts = [(path, each) for path, decision in decisions.items() for each in decision["by_rules"] if each["record"]]
    read: dict[str, Record] = {}
    for path, each in verdicts:
        record = path.parent / Path(each["record"]).name if beside else Path(each["record"])
        if beside:
            _refuse_links([record, sidecar_path(record)])
        read.setdefault(str(record), read_record(record))
        if file_digest(record) != each["digest"]:
            raise Unreadable(record, f"the record that {show_path(path)} decided on", "another", "run the gate again")
    yield from read.values()


def decided(inputs: Inputs) -> Report:
    """Return the report on decisions, each on one or several adapters."""
    decisions = inputs.decisions
    candidates = candidate_reports(inputs.records)

    def lines(name: str) -> tuple[str, ...]:
        # one change for all adapters
        return tuple(dict.fromkeys(line for each in decisions for line in each[name]))

    rules = RuleReport(
        lines("modified"), lines("added"), next((each["approve"] for each in decisions if each["approve"]), ""),
        all(each["approved"] or not each["modified"] for each in decisions),
        "\n".join(dict.fromkeys(each["refused"] for each in decisions if each["refused"])),
        tuple(dict.fromkeys(
            rule_line(each["adapter"], each["rules"], each["blocks"])
            for decision in decisions for each in decision["by_rules"] if each["rules"]
        )),
        tuple(dict.fromkeys(EditedPart(**part) for each in decisions for part in each["configuration"])),
        lines("untrue"),
    )  # fmt: skip
    return Report(*_outcome(decisions, rules, candidates), rules, candidates, lines("notes"))


def of_artefact(paths: Sequence[Path], result: str) -> Report:
    """Return the report on untrusted files of the gate's job; see `with_gate_result`.

    Raises:
        Refused: the files are unreadable, and the job's result is unknown.
    """
    try:
        return with_gate_result(read_inputs(paths, beside=True).report(), result)
    except Refused as error:
        if not result:
            raise
        said = _job_decides(result, "its files cannot be read", "and")
        return Report("refused", said, RuleReport(refused=str(error)), ())


def with_gate_result(report: Report, result: str) -> Report:
    """Return the report; if the gate's job ended otherwise than the report says, return only that contradiction.

    `result` is GitHub's result of that job, empty if unknown. The job's files may have been changed by code that ran in
    it; its result cannot be.

    Raises:
        UsageError: it is not a job result.
    """
    if result and result not in RESULTS:
        expected = f"{', '.join(RESULTS[:-1])} or {RESULTS[-1]}"
        raise UsageError(f"--gate-result: expected {expected}, found '{shown(result)}'")
    says = "passed" if report.outcome in ("passed", "scored") else "blocked"
    if not result or (result == "success") == (says == "passed"):
        return report
    return Report("refused", _job_decides(result, f"its decision says {says}", "but"), RuleReport(), ())


def _job_decides(result: str, what: str, joint: str) -> tuple[Remark, ...]:
    advice = note("advice", "The job decides: read its log.")
    return cause("gate-result", f"The gate's job ended with {result}, {joint} {what}."), advice


def change_lines(modified: Sequence[str], added: Sequence[str], approved: bool) -> Iterator[str]:
    """Yield the rule changes, which a reviewer has to see."""
    if modified:
        how = "approved" if approved else "they block until a reviewer approves them"
        yield f"{quantity(len(modified), 'rule change')}; {how}"
    yield from (f"  {line}" for line in modified)
    if added:
        yield f"{quantity(len(added), 'addition')}, blocking nothing"
    yield from (f"  {line}" for line in added)


def rule_line(adapter: str | None, rules: str, blocks: Sequence[str]) -> str:
    """Return the verdict by one set of rules on one adapter (or the model), as a line."""
    verdict = f"blocked by {', '.join(blocks)}" if blocks else "passes"
    who = f"{adapter}, " if adapter else ""
    return f"{who}by {rules}: {verdict}"


def _outcome(
    decisions: Sequence[Mapping[str, Any]], rules: RuleReport, candidates: Sequence[CandidateReport]
) -> tuple[GateOutcome, tuple[Remark, ...]]:
    """Return the outcome and what the gate says: evaluation errors first, then rule changes, then candidates."""
    outcome, said = summary(candidates) if candidates else ("refused", ())
    if all(each["passes"] for each in decisions):
        return ("passed" if outcome == "scored" else outcome), said
    blocking = list(_of_change(rules))
    if outcome != "blocked":  # not covered by the candidates' sentences: older rules, or a task without a decision
        found = [each for decision in decisions for each in decision["by_rules"] if each["blocks"]]
        blocking += [cause("rules-block", f"Blocked by {_by(each)}{', '.join(each['blocks'])}.") for each in found]
    if not rules.refused:
        blocking += said
    return ("refused" if rules.refused else "blocked"), tuple(blocking) or (cause("no-evaluation", "Blocked."),)


def _of_change(rules: RuleReport) -> Iterator[Remark]:
    """Yield what blocks a change whatever was evaluated."""
    if rules.refused:
        first, *more = rules.refused.splitlines()
        others = f" ({quantity(len(more), 'further line')} below)" if more else ""
        yield cause("refused", f"Refused: {first.rstrip('.')}{others}.")
    if rules.modified and not rules.approved:
        number = quantity(len(rules.modified), "unapproved rule change")
        yield cause("rule-changes", f"Blocked by {number}.")
    if rules.untrue:
        number = quantity(len(rules.untrue), "record")
        yield cause("untrue-records", f"Blocked by {number} that the gate does not find so.")


def _by(verdict: Mapping[str, Any]) -> str:
    return f"{verdict['rules']}: " if verdict["rules"] else ""
