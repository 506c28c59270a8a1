"""Release an adapter: score every output again, compute the verdicts again, and then write the manifest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tunegate.harness.cases.model import Task
from tunegate.harness.core.errors import Refused, TunegateError
from tunegate.harness.core.files import check_writable, json_text
from tunegate.harness.core.progress import Watch
from tunegate.harness.gate import rule as gate
from tunegate.harness.gate.planning.evaluations import evaluations_left, worth
from tunegate.harness.gate.planning.history import Past
from tunegate.harness.gate.planning.plan import plan_units
from tunegate.harness.history.baselines.lookup import baseline_references
from tunegate.harness.history.baselines.notes import reference_notes
from tunegate.harness.history.baselines.recording import write_baselines
from tunegate.harness.history.baselines.releases import check_not_withdrawn, released_adapter
from tunegate.harness.history.baselines.repeats import check_repeats
from tunegate.harness.history.baselines.store import state
from tunegate.harness.history.ledger.evaluations import case_events, evaluation_numbers
from tunegate.harness.history.ledger.journal import undo_cut_off
from tunegate.harness.history.ledger.store import LEDGER, append, read_ledger
from tunegate.harness.models.api import Model
from tunegate.harness.models.evaluation.engines import ask_here, runs_beside
from tunegate.harness.models.evaluation.record import Record
from tunegate.harness.models.evaluation.rescoring import Rescored, rescored_units, score_again
from tunegate.harness.models.evaluation.run_facts import RescoredUnit
from tunegate.harness.release.anchor import DEFAULT, Anchor, Outside, check_unmoved, compare_ledger
from tunegate.harness.release.asking import ask_again
from tunegate.harness.release.card import model_card
from tunegate.harness.release.diagnosis.eligibility import check_eligibility
from tunegate.harness.release.manifest import CARD, MANIFEST, RECORD, make_manifest
from tunegate.harness.release.parity.result import read_artefacts, with_section
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
    request = _Request(adapter, record, cases, baselines, watch, open_model, outside)
    submission = _read_files(request)
    ledgers = _compare_ledgers(request, submission)
    _check_diagnosis(baselines, submission)
    references = _find_references(baselines, submission, ledgers.anchor)
    scores = _score_outputs(submission, references, watch)
    sides = _ask_references(request, submission, scores)
    decided = _decide(submission, references, sides, ledgers.anchor)
    asked = _ask_again(request, submission, sides)
    _check_unchanged(request, submission, ledgers.anchor)
    return _write(request, submission, ledgers, references, scores, decided, asked)


@dataclass(frozen=True)
class _Request:
    """What `release_adapter` is given."""

    adapter: Path
    record: Record
    cases: Path
    baselines: Path
    watch: Watch
    open_model: OpenModel
    outside: Outside


@dataclass(frozen=True)
class _Ledgers:
    """The result of comparing the ledgers, and the baselines' files at that time."""

    anchor: Anchor
    seen: Mapping[str, str | None]


@dataclass(frozen=True)
class _References:
    """What the adapter is compared with, by name, and which evaluation of each unit this is.

    Attributes:
        own: the references that the local ledger names.
        every: those, and the ones that only the remote's ledger has.
        numbers_here: the number of the evaluation by the local ledger, by unit.
        numbers: the same by all ledgers.
    """

    own: Mapping[str, Record]
    every: Mapping[str, Record]
    numbers_here: Mapping[str, int]
    numbers: Mapping[str, int]


@dataclass(frozen=True)
class _Scores:
    """The scores of all outputs, computed again."""

    candidate: Rescored
    references: Mapping[str, Rescored]

    def notes(self, name: str) -> Iterator[str]:
        """The outputs that another version of a check had scored."""
        yield from self.candidate.notes(name)
        for reference, each in self.references.items():
            yield from each.notes(f"the {reference}")

    def units(self) -> dict[str, Mapping[str, RescoredUnit]]:
        """The units that another version of a check scores, by the name of their record."""
        return rescored_units({"run": self.candidate, **self.references})


@dataclass(frozen=True)
class _Sides:
    """The candidate and its references, each with its outputs on this engine."""

    candidate: Record
    references: Mapping[str, Record]


def _read_files(request: _Request) -> Submission:
    """Read adapter, record, training and fixtures, and check that they match."""
    undo_cut_off(request.baselines)
    check_writable(request.baselines / LEDGER)
    return read_submission(request.adapter, request.record, request.cases, request.watch)


def _compare_ledgers(request: _Request, submission: Submission) -> _Ledgers:
    """Check that the local ledger has all events of the remote's."""
    anchor = compare_ledger(request.baselines, request.outside, submission.units)
    # read now, so that a concurrent release is not overwritten
    slug = str(submission.record.fingerprint["subject"]["model"])
    return _Ledgers(anchor, state(request.baselines, slug, submission.units, released=True))


def _check_diagnosis(baselines: Path, submission: Submission) -> None:
    """Check that the diagnosis is the committed one, and that the adapter was not withdrawn."""
    subject = submission.record.fingerprint["subject"]
    [trained] = (task for task in submission.tasks if task.name in submission.trained)
    check_eligibility(baselines, trained, subject, submission.training["diagnosis"], submission.base_name)
    check_not_withdrawn(read_ledger(baselines), [task.name for task in submission.tasks], subject)


def _find_references(baselines: Path, submission: Submission, anchor: Anchor) -> _References:
    """Find the references, and the number of adapters that were evaluated before this one, in the ledgers."""
    tasks, units, who = submission.tasks, submission.units, submission.record.run_by
    own = baseline_references(baselines, tasks, units, who, submission.base_name)
    check_repeats(own, units, submission.record.repeats)
    numbers = evaluation_numbers(read_ledger(baselines), units, who)
    return _References(
        own=own,
        every={**own, **anchor.last_releases(baselines, tasks, units, who, own)},
        numbers_here=numbers,
        numbers=anchor.numbers(numbers, units, who),
    )


def _score_outputs(submission: Submission, references: _References, watch: Watch) -> _Scores:
    """Compute all scores again, on either side, since those in files are claims."""
    counted = replace(submission.record, sealed_evaluations=references.numbers)
    candidate = score_again(submission.units, counted, submission.name, watch)
    every = references.every.items()
    return _Scores(candidate, {name: score_again(submission.units, each, f"the {name}", watch) for name, each in every})


def _ask_references(request: _Request, submission: Submission, scores: _Scores) -> _Sides:
    """Re-run references of another engine on this one, with caching disabled: see engines.py."""
    records = {name: each.record for name, each in scores.references.items()}
    sealed = [unit for unit in submission.units if unit.sealed]
    for event in case_events("opened", submission.record.run_by, sealed):
        append(request.baselines, event)  # a no-op if the run already recorded it here
    models = dict(_models_beside(request, submission, records))
    repeats = submission.record.repeats
    references, engines = ask_here(records, models, submission.units, request.watch, repeats)
    return _Sides(replace(scores.candidate.record, engines=engines), references)


def _models_beside(
    request: _Request, submission: Submission, references: Mapping[str, Record]
) -> Iterator[tuple[str, Model]]:
    """The models of the references to re-run, by name."""
    expected = submission.record.run_by
    for name, each in references.items():
        if runs_beside(each, expected, submission.units):
            sha = each.fingerprint["subject"].get("adapter")
            model = request.open_model(released_adapter(request.baselines, each, request.watch) if sha else None)
            same = replace(expected, subject={**expected.subject, "adapter": sha})
            check_same_models([model], same, submission.name)
            yield name, model


def _decide(submission: Submission, references: _References, sides: _Sides, anchor: Anchor) -> Record:
    """Compute the verdicts again, by the local ledger and by the remote's."""
    tasks, trained = submission.tasks, submission.trained
    own = {name: each for name, each in sides.references.items() if name in references.own}
    here = replace(sides.candidate, sealed_evaluations=references.numbers_here)
    decided = gate.compare(tasks, here, own, trained)
    _check_decision(decided, tasks)
    _check_verdicts(decided, submission)
    if own.keys() != sides.references.keys() or references.numbers != references.numbers_here:
        decided = gate.compare(tasks, sides.candidate, sides.references, trained)
        _check_decision(decided, tasks, f"By the ledger of {anchor.name}: ")
    return decided


def _ask_again(request: _Request, submission: Submission, sides: _Sides) -> str:
    """Re-run the adapter, and its base unless `_ask_references` did, since outputs in files are claims.

    Returns:
        The line about the re-run.
    """
    candidate, references = sides.candidate, sides.references
    folders = {"adapter": submission.adapter, next(iter(references)): None}
    models = {name: request.open_model(folder) for name, folder in folders.items() if name not in candidate.engines}
    check_same_models(models.values(), submission.record.run_by, submission.name)
    check_base_name(submission.adapter, submission.base_name, models["adapter"].fingerprint)
    tasks, trained = submission.tasks, submission.trained
    now, compared, asked = ask_again(tasks, candidate, references, trained, models, request.watch)
    _check_decision(gate.compare(tasks, now, compared, trained), tasks, "Re-run with caching disabled: ")
    return asked


def _check_unchanged(request: _Request, submission: Submission, anchor: Anchor) -> None:
    """Check that files and the remote's ledger did not change during the release."""
    check_as_begun(submission, request.cases)
    check_unmoved(request.baselines, request.outside, submission.units, anchor)


def _write(
    request: _Request,
    submission: Submission,
    ledgers: _Ledgers,
    references: _References,
    scores: _Scores,
    decided: Record,
    asked: str,
) -> Released:
    """Write baselines, record, card and manifest in one move."""
    adapter, root = submission.adapter, request.baselines
    decided = replace(decided, rescored=scores.units(), created=submission.record.created)
    sealed = _sealed_cases(submission, decided, root, references.numbers)
    texts = _texts(submission, decided, ledgers.anchor, {"asked": asked, "sealed": sealed})
    slug, folder = str(decided.fingerprint["subject"]["model"]), adapter.resolve()
    files = write_baselines(root, slug, decided, submission.units, ledgers.seen, released=folder, more=texts)
    named = reference_notes(references.every, submission.record.run_by, submission.units)
    return Released(
        manifest=adapter / MANIFEST,
        card=adapter / CARD,
        files=tuple(files),
        record=replace(decided, path=adapter / RECORD),
        ledger=ledgers.anchor,
        notes=(*scores.notes(submission.name), *named, asked),
    )


def _texts(submission: Submission, decided: Record, anchor: Anchor, about: Mapping[str, object]) -> dict[Path, str]:
    """The texts of the adapter's folder, by path; `about` is what the card says of the release."""
    adapter, folder = submission.adapter, submission.adapter.resolve()
    card = model_card(folder.name, submission.training, decided, {**about, "ledger": anchor.said})
    card = with_section(card, read_artefacts(adapter, submission.digest, decided))
    written = {RECORD: json_text(decided.as_dict()), CARD: card}
    manifest = make_manifest(adapter, submission.digest, submission.training, decided, written, anchor.as_dict())
    return {folder / name: text for name, text in {**written, MANIFEST: json_text(manifest)}.items()}


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
