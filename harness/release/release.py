"""Release an adapter: score every output again, compute the verdicts again, and then write the manifest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tunegate.harness.baselines.lookup import baseline_references
from tunegate.harness.baselines.notes import reference_notes
from tunegate.harness.baselines.recording import write_baselines
from tunegate.harness.baselines.releases import check_not_withdrawn, released_adapter
from tunegate.harness.baselines.repeats import check_repeats
from tunegate.harness.baselines.store import state
from tunegate.harness.cases.model import Task
from tunegate.harness.core.errors import Refused, TunegateError
from tunegate.harness.core.files import check_writable, json_text
from tunegate.harness.core.progress import Watch
from tunegate.harness.diagnosis.eligibility import check_eligibility
from tunegate.harness.evaluation.engines import ask_here, runs_beside
from tunegate.harness.evaluation.record import Record
from tunegate.harness.evaluation.rescoring import Rescored, rescored_units, score_again
from tunegate.harness.gate import rule as gate
from tunegate.harness.ledger.evaluations import case_events, evaluation_numbers
from tunegate.harness.ledger.journal import undo_cut_off
from tunegate.harness.ledger.store import LEDGER, append, read_ledger
from tunegate.harness.models.api import Model
from tunegate.harness.parity.result import read_artefacts, with_section
from tunegate.harness.planning.evaluations import evaluations_left, worth
from tunegate.harness.planning.history import Past
from tunegate.harness.planning.plan import plan_units
from tunegate.harness.release.anchor import DEFAULT, Anchor, Outside, check_unmoved, compare_ledger
from tunegate.harness.release.asking import ask_again
from tunegate.harness.release.card import model_card
from tunegate.harness.release.manifest import CARD, MANIFEST, RECORD, make_manifest
from tunegate.harness.release.same_models import check_base_name, check_same_models
from tunegate.harness.release.submission import Submission, check_as_begun, read_submission

OpenModel = Callable[[Path | None], Model]


class Unproven(TunegateError):
    """No error, but no proven gain: evaluated, and blocked."""

    exit_code = 1


@dataclass(frozen=True)
class Released:
    """The files of a release; `notes` name outputs that another version of a check had scored.

    `ledger` is the result of comparing the ledger.
    """

    manifest: Path
    card: Path
    files: tuple[str, ...]
    record: Record
    ledger: Anchor
    notes: tuple[str, ...] = ()


def release_adapter(
    adapter: Path,
    record: Record,
    cases: Path,
    baselines: Path,
    watch: Watch,
    open_model: OpenModel,
    outside: Outside = DEFAULT,
) -> Released:
    """Release `adapter` based on `record` and on a re-run; writes nothing unless every check passes.

    Its folder holds only files that the trainer and an earlier release wrote, and the record is a
    complete run against the baseline. `open_model` loads the evaluated base, with an adapter or
    without one. `outside` names the ledgers to compare with, by default the default branch of the
    remote.

    Raises:
        UsageError: the remote or the branch is ambiguous.
        Refused: something is missing, differs or blocks; the message names it.
        Unproven: other adapters were evaluated on the target's cases before.
        CouldNotRun: the model does not respond.
    """
    release = _Release(adapter, record, cases, baselines, watch, open_model, outside)
    for step in STEPS:
        step(release)
    return release.done


@dataclass
class _Release:
    """The state of a release; each step refuses, or sets what later steps need."""

    adapter: Path
    record: Record
    cases: Path
    baselines: Path
    watch: Watch
    open_model: OpenModel
    outside: Outside

    submission: Submission = field(init=False)
    anchor: Anchor = field(init=False)  # the result of comparing the ledger
    seen: Mapping[str, str | None] = field(init=False)  # the baselines' files at the start
    own: Mapping[str, Record] = field(init=False)  # references, by name, from the local ledger
    references: Mapping[str, Record] = field(init=False)  # those, and the ones that only the remote's ledger has
    numbers_here: Mapping[str, int] = field(init=False)  # the number of the evaluation, by unit
    numbers: Mapping[str, int] = field(init=False)  # the same by all ledgers
    scored: Rescored = field(init=False)
    scored_references: Mapping[str, Rescored] = field(init=False)
    candidate: Record = field(init=False)
    compared: Mapping[str, Record] = field(init=False)  # the references, with their outputs on this engine
    decided: Record = field(init=False)
    asked: str = field(init=False)  # the line about the re-run
    done: Released = field(init=False)

    def read_files(self) -> None:
        """Read adapter, record, training and fixtures, and check that they match."""
        undo_cut_off(self.baselines)
        check_writable(self.baselines / LEDGER)
        self.submission = read_submission(self.adapter, self.record, self.cases, self.watch)

    def compare_ledgers(self) -> None:
        """Check that the local ledger has all events of the remote's."""
        submission = self.submission
        self.anchor = compare_ledger(self.baselines, self.outside, submission.units)
        # read now, so that a concurrent release is not overwritten
        slug = str(submission.record.fingerprint["subject"]["model"])
        self.seen = state(self.baselines, slug, submission.units, released=True)

    def check_diagnosis(self) -> None:
        """Check that the diagnosis is the committed one, and that the adapter was not withdrawn."""
        submission, root = self.submission, self.baselines
        subject = submission.record.fingerprint["subject"]
        [trained] = (task for task in submission.tasks if task.name in submission.trained)
        check_eligibility(root, trained, subject, submission.training["diagnosis"], submission.base_name)
        check_not_withdrawn(read_ledger(root), [task.name for task in submission.tasks], subject)

    def find_references(self) -> None:
        """Find the references, and the number of adapters that were evaluated before this one, in the ledgers."""
        submission, root, anchor = self.submission, self.baselines, self.anchor
        tasks, units, who = submission.tasks, submission.units, submission.record.run_by
        self.own = baseline_references(root, tasks, units, who, submission.base_name)
        check_repeats(self.own, units, submission.record.repeats)
        self.references = {**self.own, **anchor.last_releases(root, tasks, units, who, self.own)}
        self.numbers_here = evaluation_numbers(read_ledger(root), units, who)
        self.numbers = anchor.numbers(self.numbers_here, units, who)

    def score_outputs(self) -> None:
        """Compute all scores again, on either side, since those in files are claims."""
        submission = self.submission
        counted = replace(submission.record, sealed_evaluations=self.numbers)
        self.scored = score_again(submission.units, counted, submission.name, self.watch)
        self.scored_references = {
            name: score_again(submission.units, each, f"the {name}", self.watch)
            for name, each in self.references.items()
        }

    def ask_references(self) -> None:
        """Re-run references of another engine on this one, with caching disabled: see engines.py."""
        submission, records = self.submission, {name: each.record for name, each in self.scored_references.items()}
        sealed = [unit for unit in submission.units if unit.sealed]
        for event in case_events("opened", submission.record.run_by, sealed):
            append(self.baselines, event)  # a no-op if the run already recorded it here
        models = dict(self._beside(records))
        self.compared, engines = ask_here(records, models, submission.units, self.watch, submission.record.repeats)
        self.candidate = replace(self.scored.record, engines=engines)

    def _beside(self, references: Mapping[str, Record]) -> Iterator[tuple[str, Model]]:
        submission, expected = self.submission, self.submission.record.run_by
        for name, each in references.items():
            if runs_beside(each, expected, submission.units):
                sha = each.fingerprint["subject"].get("adapter")
                model = self.open_model(released_adapter(self.baselines, each, self.watch) if sha else None)
                same = replace(expected, subject={**expected.subject, "adapter": sha})
                check_same_models([model], same, submission.name)
                yield name, model

    def decide(self) -> None:
        """Compute the verdicts again, by the local ledger and by the remote's."""
        submission = self.submission
        own = {name: each for name, each in self.compared.items() if name in self.own}
        here = replace(self.candidate, sealed_evaluations=self.numbers_here)
        self.decided = gate.compare(submission.tasks, here, own, submission.trained)
        _check_decision(self.decided, submission.tasks)
        _check_verdicts(self.decided, submission)
        if own.keys() != self.compared.keys() or self.numbers != self.numbers_here:
            self.decided = gate.compare(submission.tasks, self.candidate, self.compared, submission.trained)
            _check_decision(self.decided, submission.tasks, f"By the ledger of {self.anchor.name}: ")

    def ask_again(self) -> None:
        """Re-run the adapter, and its base unless `ask_references` did, since outputs in files are claims."""
        submission, candidate = self.submission, self.candidate
        sides = {"adapter": submission.adapter, next(iter(self.compared)): None}
        models = {name: self.open_model(folder) for name, folder in sides.items() if name not in candidate.engines}
        check_same_models(models.values(), submission.record.run_by, submission.name)
        check_base_name(submission.adapter, submission.base_name, models["adapter"].fingerprint)
        now, compared, self.asked = ask_again(
            submission.tasks, candidate, self.compared, submission.trained, models, self.watch
        )
        decided = gate.compare(submission.tasks, now, compared, submission.trained)
        _check_decision(decided, submission.tasks, "Re-run with caching disabled: ")

    def check_unchanged(self) -> None:
        """Check that files and the remote's ledger did not change during the release."""
        check_as_begun(self.submission, self.cases)
        check_unmoved(self.baselines, self.outside, self.submission.units, self.anchor)

    def write(self) -> None:
        """Write baselines, record, card and manifest in one move."""
        scored = rescored_units({"run": self.scored, **self.scored_references})
        decided = replace(self.decided, rescored=scored, created=self.submission.record.created)
        texts = self._texts(decided)
        folder = self.submission.adapter.resolve()
        slug = str(decided.fingerprint["subject"]["model"])
        files = write_baselines(
            self.baselines, slug, decided, self.submission.units, self.seen, released=folder, more=texts
        )
        adapter = self.submission.adapter
        made = replace(decided, path=adapter / RECORD)
        self.done = Released(adapter / MANIFEST, adapter / CARD, tuple(files), made, self.anchor, self._notes())

    def _texts(self, decided: Record) -> dict[Path, str]:
        """The texts of the adapter's folder, by path."""
        submission, folder = self.submission, self.submission.adapter.resolve()
        sealed = _sealed_cases(submission, decided, self.baselines, self.numbers)
        about = {"asked": self.asked, "sealed": sealed, "ledger": self.anchor.said}
        card = model_card(folder.name, submission.training, decided, about)
        card = with_section(card, read_artefacts(submission.adapter, submission.digest, decided))
        record = json_text(decided.as_dict())
        written, ledger = {RECORD: record, CARD: card}, self.anchor.as_dict()
        manifest = make_manifest(submission.adapter, submission.digest, submission.training, decided, written, ledger)
        return {folder / RECORD: record, folder / CARD: card, folder / MANIFEST: json_text(manifest)}

    def _notes(self) -> tuple[str, ...]:
        submission = self.submission
        return (
            *self.scored.notes(submission.name),
            *(line for name, each in self.scored_references.items() for line in each.notes(f"the {name}")),
            *reference_notes(self.references, submission.record.run_by, submission.units),
            self.asked,
        )


STEPS: Sequence[Callable[[_Release], None]] = (
    _Release.read_files,
    _Release.compare_ledgers,
    _Release.check_diagnosis,
    _Release.find_references,
    _Release.score_outputs,
    _Release.ask_references,
    _Release.decide,
    _Release.ask_again,
    _Release.check_unchanged,
    _Release.write,
)


def _sealed_cases(
    submission: Submission, decided: Record, baselines: Path, numbers: Mapping[str, int]
) -> dict[str, int]:
    """The number of evaluations of the sealed cases, and how many useful ones are `left`; empty without sealed cases.

    Of several sealed units, the one with most evaluations and the one with fewest left count.
    """
    made = {unit.key: numbers[unit.key] for unit in submission.units if unit.sealed}
    if not made:
        return {}
    past = Past(decided, baselines / str(decided.fingerprint["subject"]["model"]))
    plans = [each for each in plan_units(submission.tasks, past) if each.unit.key in made and worth(each, 1)]
    left = [evaluations_left(each, made[each.unit.key]) for each in plans]
    return {"number": max(made.values())} | ({"left": min(left)} if left else {})


def _check_decision(decided: Record, tasks: Sequence[Task], how: str = "") -> None:
    for name in dict.fromkeys([*(task.name for task in tasks), *decided.tasks]):
        decision = decided.tasks.get(name)
        if decision is None or decision.decision != "release":
            why = decision.reason if decision else "No decision was possible."
            error = Unproven if decision and decision.decision == "unproven" else Refused
            raise error(f"{name}: not released. {how}{why}")


def _check_verdicts(decided: Record, submission: Submission) -> None:
    verdicts = [{key: each.verdict for key, each in every.verdicts.items()} for every in (decided, submission.record)]
    differ = sorted(key for key in verdicts[0] | verdicts[1] if verdicts[0].get(key) != verdicts[1].get(key))
    if differ:
        raise Refused(
            f"computed again, the verdicts of {', '.join(differ)} are not those of {submission.name}: "
            "a baseline or a task.yaml changed since; evaluate again"
        )
