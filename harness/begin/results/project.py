"""Paired result files as the gate knows them: a task with a unit for each metric, and a record of each file."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Literal, NoReturn

from tunegate.harness.begin.results.pairing import PairedFiles, safe_names
from tunegate.harness.begin.results.samples import ResultFile, ScoredSample
from tunegate.harness.cases.model import Case, Decoding, Prompt, Task, Unit
from tunegate.harness.checks.base import CheckKind, Finding, Kind
from tunegate.harness.core.authoring.document import Document, Where
from tunegate.harness.core.errors import Problem, Refused
from tunegate.harness.core.escaping import shown
from tunegate.harness.core.files import digest, text_digest
from tunegate.harness.core.garbage import no_collection
from tunegate.harness.gate.rule import compare
from tunegate.harness.models.api import SUPPLIED_SCORES, Fingerprint
from tunegate.harness.models.evaluation.record import Record, Result
from tunegate.harness.models.evaluation.scoring import merge_repeats, summarize
from tunegate.harness.models.evaluation.sidecar import Before, CaseContext, sidecar_text

Soft = Literal["block", "warn"]
REFERENCE = "old file"
TASK = "results"
SUITE = "supplied scores"


@dataclass(frozen=True)
class SuppliedCheck:
    """Stands where a check would: the scores are those of another tool, and nothing is scored here."""

    @property
    def references(self) -> str:
        """There are none."""
        return ""

    def __call__(self, output: Any, expect: Any, prompt: str) -> NoReturn:  # noqa: ARG002
        """Refuse to score.

        Raises:
            Refused: always.
        """
        raise Refused("expected scores of another tool, which are not re-scored")

    def expect_problems(self, expect: Any, document: Document, where: Where) -> list[Problem]:  # noqa: ARG002
        """None."""
        return []


_CHECK = SuppliedCheck()


def supplied_kind(kind: Kind) -> CheckKind:
    """The kind of check of a metric: one that scores nothing."""
    return CheckKind(kind, {}, {}, lambda *_: _CHECK, 1, supplied=True)


@dataclass(frozen=True)
class SuppliedRun:
    """Two paired files as a task and two records, with ids as records hold them."""

    paired: PairedFiles

    @cached_property
    def ids(self) -> dict[str, str]:
        """The ids of OLD, each as it stands in the records."""
        return safe_names(list(self.paired.before))

    @cached_property
    def units(self) -> dict[str, str]:
        """The metrics, each as its unit is called."""
        return safe_names(self.paired.metrics)

    @cached_property
    def task(self) -> Task:
        """The task: a unit for each metric."""
        paired = self.paired
        units = tuple(self._unit(name, kind) for name, kind in paired.kinds.items())
        policy = paired.settings.policy(paired.kinds)
        named = {self.units[name]: each for name, each in policy.units.items()}
        return Task(_task_name(paired), units, type(policy)(named, declared=True))

    def _unit(self, metric: str, kind: Kind) -> Unit:
        key, name = f"{_task_name(self.paired)}/{self.units[metric]}", self.units[metric]
        cases = tuple(self._case(key, raw, self.paired.before[raw][0]) for raw in self.paired.ids_of(metric))
        return Unit(_task_name(self.paired), name, SUITE, cases, own_kind=supplied_kind(kind))

    def _case(self, unit: str, raw: str, sample: ScoredSample) -> Case:
        # without an input its text is empty: ids are no words that topics could be found by
        return Case(
            self.ids[raw], unit, sample.input, _CHECK, _PROMPT, _DECODING, sample.expected or None,
            group=self.paired.observations.of[raw], place=f"{self.paired.old.name}:{sample.line}",
        )  # fmt: skip

    def record(
        self, file: ResultFile, samples: Mapping[str, Sequence[ScoredSample]], names: Mapping[str, str]
    ) -> Record:
        """The record of one file."""
        cases: dict[str, Result] = {}
        units = {}
        for unit, metric in zip(self.task.units, self.paired.metrics, strict=True):
            has = metric in file.metrics
            results = {
                self.ids[raw]: merge_repeats([self._result(metric, one) for one in samples[raw]])
                for raw in self.paired.ids_of(metric)
                if has and raw in samples
            }
            cases |= {f"{unit.key}/{name}": result for name, result in results.items()}
            units[unit.key] = summarize(_only(unit, results), list(results.values()))
        questions = digest([sorted(self.ids.values())])
        return Record(
            partial=False, fingerprint=_fingerprint(file, names).as_dict(),
            questions={unit.key: {"suite": SUITE, "cases": questions} for unit in self.task.units},
            configurations={unit.key: unit.configuration.as_dict() for unit in self.task.units},
            cases=cases, units=units, policies=self.task.policies,
            scorers={unit.key: {"tool": file.tool, "version": file.version or "unknown"} for unit in self.task.units},
            created=datetime.now(UTC).isoformat(timespec="seconds"),
        )  # fmt: skip

    def _result(self, metric: str, sample: ScoredSample) -> Result:
        raw = sample.scores.get(metric)
        reason = sample.reasons.get(metric) or sample.reasons.get("", "")
        if raw is None:
            return Result(None, None, (Finding("unscored", reason or "no score"),), output=sample.output)
        kind, is_lower = self.paired.kinds[metric], metric in self.paired.lower
        raw = min(max(raw, 0.0), 1.0) if kind == "pass/fail" else raw
        score = (0.0 - raw if kind == "continuous" else 1 - raw) if is_lower else raw
        passed = sample.passed.get(metric, score == 1.0) if kind == "pass/fail" else None
        findings = (Finding(metric, reason),) if reason and not passed else ()
        return Result(passed, score, findings, output=sample.output)

    def sidecar(self, candidate: Record, reference: Record) -> str:
        """The text of the sidecar: what each case asked and expected, and what OLD came to."""
        contexts = {}
        for unit, metric in zip(self.task.units, self.paired.metrics, strict=True):
            for case, raw in zip(unit.cases, self.paired.ids_of(metric), strict=True):
                if case.key in candidate.cases:
                    sample, before = self.paired.after[raw][0], reference.cases.get(case.key)
                    contexts[case.key] = self._context(sample, before)
        return sidecar_text(contexts)

    def _context(self, sample: ScoredSample, before: Result | None) -> CaseContext:
        known = {REFERENCE: Before(before.passed, before.score, before.output)} if before else {}
        asked = (("user", sample.input),) if sample.input else ()
        return CaseContext(self.paired.new.name, sample.line, sample.expected or None, asked, before=known)


_PROMPT, _DECODING = Prompt(), Decoding()


@dataclass(frozen=True)
class SuppliedVerdict:
    """What came of comparing two files: the gate's record of NEW, and its sidecar, empty where none is kept."""

    record: Record
    sidecar: str


@no_collection()
def compare_supplied(
    paired: PairedFiles, command: str, inconclusive: Soft = "block", with_sidecar: bool = True
) -> SuppliedVerdict:  # fmt: skip
    """Compare two paired files by the gate's rule; `command` is what repeats it."""
    run = SuppliedRun(paired)
    names = {"old": paired.old.name, "new": paired.new.name, "command": command}
    reference = run.record(paired.old, paired.before, names)
    candidate = run.record(paired.new, paired.after, names)
    problems = {f"{run.task.name}/{run.units[name]}": why for name, why in paired.problems.items()}
    made = compare([run.task], candidate, {REFERENCE: reference}, (), targets_stay=True, problems=problems)
    text = run.sidecar(made, reference) if with_sidecar else ""
    return SuppliedVerdict(replace(made, sidecar=text and text_digest(text), inconclusive=inconclusive), text)


def _only(unit: Unit, results: Mapping[str, Result]) -> Unit:
    """The unit with the cases that have results."""
    if len(results) == len(unit.cases):
        return unit
    return replace(unit, cases=tuple(case for case in unit.cases if case.id in results))


def _task_name(paired: PairedFiles) -> str:
    """The name of the task, as both files have it; `results` where they do not."""
    names = {shown(file.task).rpartition("/")[2].strip() for file in (paired.old, paired.new)}
    return names.pop() or TASK if len(names) == 1 else TASK


def _fingerprint(file: ResultFile, names: Mapping[str, str]) -> Fingerprint:
    model, column = (shown(each).replace("/", "\u2215").strip(". ") for each in (file.model, file.column))
    engine = {"backend": SUPPLIED_SCORES, "tool": file.tool, "python": platform.python_version()}
    return Fingerprint({"model": model or file.tool}, engine, {"model": column or file.path.name, **names})
