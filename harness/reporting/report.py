"""The report: the content of a record and its sidecar, shared by terminal, JSON, Markdown, annotations and HTML."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, asdict, dataclass, field, replace
from itertools import chain, repeat
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlencode

from tunegate.harness.checks.base import Finding
from tunegate.harness.core.errors import UsageError
from tunegate.harness.core.escaping import shown, visible_lines
from tunegate.harness.core.formatting import listed, quantity
from tunegate.harness.core.garbage import no_collection
from tunegate.harness.gate import decision_messages
from tunegate.harness.gate import rule as gate
from tunegate.harness.models.evaluation.record import Record, Result
from tunegate.harness.models.evaluation.remarks import Remark, as_sentences, cause, note, remarks_text
from tunegate.harness.models.evaluation.sidecar import CaseContext, read_sidecar
from tunegate.harness.models.evaluation.verdict import Alike, TaskDecision, UnitVerdict, Verdict
from tunegate.harness.reporting.compared import BEFORE, ComparedSide, columns, compared_sides, side_name
from tunegate.harness.reporting.edited import EditedPart
from tunegate.harness.reporting.origin import Origin, origin_of
from tunegate.harness.reporting.parts import PartReport, part_reports
from tunegate.harness.reporting.provenance import provenance, rerun
from tunegate.harness.reporting.slices import SliceReport, driver, patterns_of, slice_reports
from tunegate.harness.rows.near_cases import among_sentence

CaseState = Literal["regressed", "fixed", "failed", "passed", "scored", "unscored"]
GateOutcome = Literal["passed", "blocked", "refused", "scored"]
PAGE = re.compile(r"https?://[\w.:-]+/[\w./~%?=&+,;@-]*")
ORDER: Sequence[CaseState] = ("regressed", "unscored", "failed", "fixed", "scored", "passed")


@dataclass(frozen=True, slots=True)
class CaseReport:
    """One case of one candidate; for sealed units, only key and state. `before` has each reference's output."""

    key: str
    unit: str
    state: CaseState
    critical: bool = False
    sealed: bool = False
    score: float | None = None
    now: str | None = None
    repeats: tuple[str | None, ...] = ()
    findings: tuple[Finding, ...] = ()
    before: Mapping[str, str | None] = field(default_factory=dict)
    context: CaseContext | None = None

    @property
    def has_output(self) -> bool:
        """Whether an output is known, of the candidate or of a reference: a file of scores may hold none."""
        return self.now is not None or any(each is not None for each in self.before.values())

    @property
    def previous(self) -> str | None:
        """The first reference's output."""
        return next(iter(self.before.values()), None)


@dataclass(frozen=True, slots=True)
class UnitReport:
    """One unit of one candidate: the numbers of its verdict, or of its summary if there was no comparison.

    `side` is the reference's name for readers, such as "in service".
    """

    key: str
    kind: Literal["pass/fail", "continuous"]
    n: int
    mean: float | None
    _: KW_ONLY
    verdict: Verdict | Literal[""] = ""
    remarks: tuple[Remark, ...] = ()
    role: str = ""
    reference: str = ""
    base: float | None = None
    difference: float | None = None
    interval: tuple[float, float] | None = None
    level: float | None = None
    margin: float | None = None
    regressed: int = 0
    fixes: int = 0
    blocks: bool = False
    sealed: bool = False
    slices: tuple[SliceReport, ...] = ()
    driver: str = ""
    parts: tuple[PartReport, ...] = ()
    side: str = BEFORE
    alike: Alike = field(default_factory=Alike)

    @property
    def reason(self) -> str:
        """Its remarks as a text."""
        return remarks_text(as_sentences(self.verdict.capitalize(), self.remarks))


@dataclass(frozen=True, slots=True)
class CandidateReport:
    """An evaluated model: what the gate `said` of it, the basis of that, and what it was `compared` with.

    `about_near` says how many cases are near, and by which word; empty if there are none.

    `command` repeats it: the start of a command, or all of it if it `is_whole`.
    """

    name: str
    outcome: GateOutcome
    said: tuple[Remark, ...]
    units: tuple[UnitReport, ...]
    cases: tuple[CaseReport, ...]
    decisions: Mapping[str, str]
    provenance: Mapping[str, str]
    command: str
    is_whole: bool = False
    compared: tuple[ComparedSide, ...] = ()
    compared_as: str = ""
    about_near: str = ""

    @property
    def verdict(self) -> str:
        """What the gate said, as a text."""
        return remarks_text(self.said)

    @property
    def folder(self) -> str:
        """The folder of cases, as the run named it."""
        files = (case.context.file for case in self.cases if case.context)
        return next((Path(file).parent.parent.as_posix() for file in files), "fixtures")

    @property
    def whole_command(self) -> str:
        """The command that re-runs all of it."""
        return self.command if self.is_whole else f"{self.command} {shlex.quote(self.folder)}/"

    @property
    def columns(self) -> tuple[str, str]:
        """The names of the two columns of scores."""
        return columns((unit.side for unit in self.units if unit.verdict), self.compared_as)

    @property
    def worst(self) -> tuple[CaseReport, ...]:
        """The regressed open cases, critical ones first."""
        found = [case for case in self.cases if case.state == "regressed" and not case.sealed]
        return tuple(sorted(found, key=lambda case: not case.critical))


@dataclass(frozen=True, slots=True)
class RuleReport:
    """A change's effect on the rules; `by_rules` has a line for each set of rules that was applied.

    `configuration` are the edited parts of the configuration, `untrue` the records that are not what the gate finds.
    """

    modified: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    approve: str = ""
    approved: bool = False
    refused: str = ""
    by_rules: tuple[str, ...] = ()
    configuration: tuple[EditedPart, ...] = ()
    untrue: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """An event of a unit, and its mean score then; None if no longer known.

    `is_comparable` says whether the questions were the present ones.
    """

    when: str
    event: str
    model: str
    mean: float | None
    is_comparable: bool


@dataclass(frozen=True, slots=True)
class UnitHistory:
    """The ledger's entries on a unit, oldest first, and what is shown now."""

    key: str
    kind: Literal["pass/fail", "continuous"]
    entries: tuple[HistoryEntry, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """The content of all formats: what the gate `said`, then rule changes, then the numbers of each candidate.

    `page` is the address of the HTML page, for links to its cases; empty if there is none. `origin` is the pull
    request.
    """

    outcome: GateOutcome
    said: tuple[Remark, ...]
    rules: RuleReport
    candidates: tuple[CandidateReport, ...]
    notes: tuple[str, ...] = ()
    history: tuple[UnitHistory, ...] = ()
    page: str = ""
    origin: Origin | None = None

    @property
    def verdict(self) -> str:
        """What the gate said, as a text."""
        return remarks_text(self.said)

    @property
    def before(self) -> str:
        """The name of the scores that all candidates are compared with."""
        names = {each.columns[0] for each in self.candidates if each.compared_as}
        return names.pop() if len(names) == 1 else BEFORE

    def as_dict(self) -> dict[str, Any]:
        """Return the report as JSON data."""
        found = {"outcome": self.outcome, "verdict": self.verdict} | asdict(self)
        for raw, candidate in zip(found["candidates"], self.candidates, strict=True):
            raw["verdict"] = candidate.verdict
            for inner, unit in zip(raw["units"], candidate.units, strict=True):
                inner["reason"] = unit.reason
        return found


def report_of(records: Sequence[Record]) -> Report:
    """Return the report on records; see `decision.decided` for decisions of `tunegate gate`.

    Raises:
        Refused: a sidecar is not the one that its record names.
    """
    candidates = candidate_reports(records)
    return Report(*summary(candidates), RuleReport(), candidates)


def candidate_reports(records: Sequence[Record]) -> tuple[CandidateReport, ...]:
    """Return one report per record; equal names are distinguished by their files."""
    made = [candidate_report(record) for record in records]
    names = Counter(each.name for each in made)
    return tuple(
        replace(each, name=f"{each.name} ({shown(each.provenance['record'])})")
        if names[each.name] > 1 and "record" in each.provenance
        else each
        for each in made
    )


def with_addresses(report: Report, page: str | None, environment: Mapping[str, str]) -> Report:
    """Add the address of the page to the report, and the pull request and commit that a workflow runs for.

    Raises:
        UsageError: the address cannot be linked.
    """
    if page and not PAGE.fullmatch(page):
        raise UsageError(f"--page: expected an address, https://HOST/PATH without a #, found {shown(page)}")
    return replace(report, page=page or "", origin=origin_of(environment))


def with_provenance(report: Report, name: str, values: Sequence[str]) -> Report:
    """Add one more basis of each candidate's verdict to the report; empty values are omitted."""
    candidates = tuple(
        replace(each, provenance={**each.provenance, name: value}) if value else each
        for each, value in zip(report.candidates, values, strict=True)
    )
    return replace(report, candidates=candidates)


def case_address(report: Report, case: CaseReport) -> str:
    """Return the address of a case on the page, in the form of the page's script; empty without a page."""
    return f"{report.page}#{urlencode({'case': visible_lines(case.key)})}" if report.page else ""


def summary(candidates: Sequence[CandidateReport]) -> tuple[GateOutcome, tuple[Remark, ...]]:
    """Return the outcome of all candidates together, and what the gate says of it."""
    if len(candidates) == 1:
        return candidates[0].outcome, candidates[0].said
    outcome, remark = _summary(candidates)
    return outcome, (remark, *dict.fromkeys(chain.from_iterable(_unguarded(each.said) for each in candidates)))


def _summary(candidates: Sequence[CandidateReport]) -> tuple[GateOutcome, Remark]:
    if names := [each.name for each in candidates if each.compared_as]:
        sides = f"{listed(names)} with {candidates[0].columns[0]}"
        return "scored", note("compared", f"Compared: {sides}, for information only.")
    blocked = [each.name for each in candidates if each.outcome == "blocked"]
    compared = [each for each in candidates if each.outcome != "scored"]
    if not compared:
        return "scored", note("scored", f"Scored: {len(candidates)} records, without a comparison.")
    if blocked:
        of = f"{len(blocked)} of {len(candidates)}"
        return "blocked", cause("candidates-block", f"Blocked: {', '.join(blocked)} ({of}).")
    return "passed", note("passed", f"Passed: all {len(candidates)}.")


@no_collection()
def candidate_report(record: Record, contexts: Mapping[str, CaseContext] | None = None) -> CandidateReport:
    """Return the report on one record and its sidecar; `contexts` replaces reading the sidecar."""
    soft = gate.exempted(record, record.inconclusive)
    contexts = read_sidecar(record) if contexts is None else contexts
    cases = tuple(sorted(_cases(record, contexts), key=lambda case: (ORDER.index(case.state), not case.critical)))
    decisions = {task: decision_sentences(each, soft, record.verdicts) for task, each in record.tasks.items()}
    if not record.verdicts or record.compared_as:
        outcome: GateOutcome = "scored"
    else:
        outcome = "blocked" if gate.blocked(record, record.inconclusive) else "passed"
    units = sorted(_units(record, cases), key=lambda unit: not unit.blocks)
    return CandidateReport(
        candidate_name(record), outcome, tuple(_said(record, decisions, soft)), tuple(units), cases,
        {task: remarks_text(each) for task, each in decisions.items()}, provenance(record), rerun(record),
        record.has_supplied_scores, compared_sides(record), record.compared_as, _about_near(record),
    )  # fmt: skip


def _about_near(record: Record) -> str:
    """Return sentences on the near cases: those by the change's own record, and how common near is among the rows."""
    claimed = {unit: len(set(near) & record.of_unit(unit).keys()) for unit, near in record.near_claimed.items()}
    said = [
        f"{number} of {len(record.of_unit(unit))} cases of {unit} are near by this change's own record."
        for unit, number in claimed.items() if number
    ]  # fmt: skip
    if record.near and record.near_among_rows is not None:
        said.append(among_sentence(sum(map(len, record.near.values())), record.near_among_rows))
    return " ".join(said)


def candidate_name(record: Record) -> str:
    """Return the name in a comparison, or the adapter's folder or the model, with the prompting strategy."""
    if record.compared_as:
        return shown(record.compared_as)
    names = record.fingerprint.get("names", {})
    who = str(names.get("adapter") or names.get("model") or "record").rstrip("/").rpartition("/")[2]
    who = shown(who.rpartition("#")[2])  # a served model: ADDRESS#MODEL
    return who if record.rung == "as-is" else f"{who} ({record.rung})"


def decision_sentences(
    decision: TaskDecision, soft: Iterable[str], verdicts: Mapping[str, UnitVerdict]
) -> tuple[Remark, ...]:
    """Return the sentences of a task's decision; a separate one if only warnings remain."""
    if decision.decision == "block" and not gate.task_blocked(decision, set(soft)):
        warned = decision_messages.only_warned([verdicts[unit] for unit in decision.blocking])
        return (warned, *_unguarded(decision.said))
    return decision.said


def _unguarded(said: Iterable[Remark]) -> Iterator[Remark]:
    yield from (each for each in said if each.code == "no-guard")


def _said(record: Record, decisions: Mapping[str, Iterable[Remark]], soft: Iterable[str]) -> Iterable[Remark]:
    if record.compared_as:
        sides = dict.fromkeys(side_name(record, each.reference) for each in record.verdicts.values())
        return (note("compared", f"Compared with {listed(list(sides))}, for information only."),)
    blocking = [decisions[task] for task, each in record.tasks.items() if gate.task_blocked(each, set(soft))]
    undecided = {
        unit: f"{unit} {each.verdict}" for unit, each in record.verdicts.items()
        if unit.partition("/")[0] not in record.tasks and gate.unit_blocked(unit, each, set(soft))
    }  # fmt: skip
    if undecided:
        text = f"Blocked: {', '.join(undecided.values())}; its task was not evaluated completely."
        blocking.append((cause("incomplete-task", text, undecided),))
    if blocking or decisions:
        return chain.from_iterable(blocking or decisions.values())
    if record.verdicts:
        return (note("not-decided", "No unit blocks; no task was evaluated completely, so none is decided."),)
    cases, units = quantity(len(record.cases), "case"), quantity(len(record.units), "unit")
    return (note("scored", f"Scored: {cases} of {units}, without a comparison."),)


def _units(record: Record, cases: Sequence[CaseReport]) -> Iterator[UnitReport]:
    by_unit: dict[str, list[CaseReport]] = {}
    for case in cases:
        by_unit.setdefault(case.unit, []).append(case)
    for unit, each in record.units.items():
        sealed = _is_sealed(record, unit)
        if unit not in record.verdicts:
            yield UnitReport(
                unit, each.kind, each.n, each.mean, sealed=sealed, parts=part_reports(each, (), sealed)
            )  # fmt: skip
    for unit, verdict in record.verdicts.items():
        yield _unit(record, verdict, [case for case in by_unit.get(unit, ()) if not case.sealed])


def _unit(record: Record, found: UnitVerdict, cases: Sequence[CaseReport]) -> UnitReport:
    """Return the report on a unit with a verdict; `cases` are those that may be shown."""
    tagged = [(case.state, case.score, case.context) for case in cases if case.context]
    sealed = _is_sealed(record, found.unit)
    return UnitReport(
        found.unit, found.kind, found.n, found.mean, verdict=found.verdict, remarks=found.remarks,
        role=declared_role(record, found),
        reference=found.reference, side=side_name(record, found.reference), base=found.base,
        difference=found.difference, interval=found.interval, level=found.level, margin=found.margin,
        regressed=len(found.regressed_cases), fixes=len(found.fixed_cases), blocks=found.blocks, sealed=sealed,
        slices=slice_reports(tagged, found.worse_slices), driver=driver(tagged, _patterns_of(cases)),
        parts=part_reports(record.units.get(found.unit), found.parts, sealed), alike=found.alike,
    )  # fmt: skip


def declared_role(record: Record, found: UnitVerdict) -> str:
    """Return the role that task.yaml declares: a target that only has to hold in this run stays a target."""
    return str(record.policies.get(found.unit, {}).get("role", found.role))


def _patterns_of(cases: Iterable[CaseReport]) -> Counter[str]:
    """Count the regressed cases with findings of each pattern."""
    regressed_cases = (case for case in cases if case.state == "regressed")
    return Counter(
        each for case in regressed_cases for each in patterns_of((found.rule, str(found)) for found in case.findings)
    )


def _is_sealed(record: Record, unit: str) -> bool:
    # a record of a sealed run that does not declare it for a unit may contain sealed cases of it
    declared = record.policies.get(unit, {}).get("sealed", record.sealed)
    verdict = record.verdicts.get(unit)
    return bool(declared or (verdict and verdict.sealed))


def _cases(record: Record, contexts: Mapping[str, CaseContext]) -> Iterator[CaseReport]:
    for key, result in record.cases.items():
        unit, _, case = key.rpartition("/")
        verdict = record.verdicts.get(unit)
        state, critical = _state(verdict, case, result), bool(verdict and case in verdict.critical)
        if _is_sealed(record, unit):
            yield CaseReport(key, unit, state, critical, sealed=True)
            continue
        context = contexts.get(key)
        found = _before(verdict, case, context)
        before = {side_name(record, name): output for name, output in found.items()}
        yield CaseReport(
            key, unit, state, critical or bool(context and context.critical), False, result.score, result.missed.output,
            tuple(each.output for each in result.repeats),
            tuple(_findings(result, context)), before, context,
        )  # fmt: skip


def _findings(result: Result, context: CaseContext | None) -> Iterator[Finding]:
    sources = chain(context.sources if context else (), repeat(""))
    yield from (replace(each, source=source) for each, source in zip(result.missed.findings, sources, strict=False))


def _before(verdict: UnitVerdict | None, case: str, context: CaseContext | None) -> dict[str, str | None]:
    """Return the references' outputs, that of the verdict first; without a sidecar, only those of regressed cases."""
    if context and context.before:
        names = sorted(context.before, key=lambda name: not verdict or name != verdict.reference)
        return {name: context.before[name].output for name in names}
    return {verdict.reference: verdict.before[case]} if verdict and case in verdict.before else {}


def _state(verdict: UnitVerdict | None, case: str, result: Result) -> CaseState:
    if verdict and case in verdict.regressed_cases:
        return "regressed"
    if verdict and case in verdict.fixed_cases:
        return "fixed"
    if result.score is None:
        return "unscored"
    return "scored" if result.passed is None else "passed" if result.passed else "failed"


def case_command(candidate: CandidateReport, case: CaseReport) -> str:
    """Return the command that re-runs a case; empty if the place of the case is unknown."""
    node = "" if candidate.is_whole else node_id(case)
    return f"{candidate.command} {shlex.quote(node)}" if node else ""


def node_id(case: CaseReport) -> str:
    """Return pytest's node id of a case: its file and its id; empty if unknown."""
    return f"{case.context.file}::{case.key.removeprefix(f'{case.unit}/')}" if case.context else ""
