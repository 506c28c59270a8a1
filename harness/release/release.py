"""Release an adapter: every output scored again, the verdict computed again, and only then the manifest."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tunegate.harness.baselines.diff import NAMES, question_differences
from tunegate.harness.baselines.lookup import baseline_references, is_last_release, reference_notes
from tunegate.harness.baselines.recording import write_baselines
from tunegate.harness.baselines.releases import check_not_withdrawn, released_adapter
from tunegate.harness.baselines.repeats import check_repeats
from tunegate.harness.baselines.store import state
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.cases.model import Task, Unit
from tunegate.harness.core.errors import Refused, TunegateError, show_path
from tunegate.harness.core.escaping import shown
from tunegate.harness.core.files import check_writable, json_text
from tunegate.harness.core.formatting import listed
from tunegate.harness.core.progress import Watch
from tunegate.harness.diagnosis.eligibility import check_eligibility
from tunegate.harness.evaluation.engines import answers_beside, ask_here
from tunegate.harness.evaluation.record import Record, read_record
from tunegate.harness.evaluation.rescoring import rescored_units, score_again
from tunegate.harness.gate import rule as gate
from tunegate.harness.ledger.journal import undo_cut_off
from tunegate.harness.ledger.ledger import LEDGER, append, case_events, opening_numbers, read_ledger
from tunegate.harness.models.adapters import (
    TRAINING,
    adapter_digest,
    check_named_base,
    training_record,
)
from tunegate.harness.models.api import Fingerprint, Model
from tunegate.harness.models.prompts import TRAINED
from tunegate.harness.models.resolve import identify, resolve
from tunegate.harness.options.run import BASELINE
from tunegate.harness.parity.result import read_artefacts, with_section
from tunegate.harness.planning.evaluations import evaluations_left, worth
from tunegate.harness.planning.history import Past
from tunegate.harness.planning.plan import plan_units
from tunegate.harness.privacy.recitation import check_answers, check_recitation
from tunegate.harness.release.anchor import DEFAULT, Anchor, Outside, check_unmoved, compare_ledger
from tunegate.harness.release.asking import AskedAgain, ask_again
from tunegate.harness.release.card import model_card
from tunegate.harness.release.manifest import CARD, MANIFEST, RECORD, foreign_files, make_manifest

PARTS = ("base", "tokenizer", "template")  # of a model without an adapter
OpenModel = Callable[[Path | None], Model]


class Unproven(TunegateError):
    """Nothing is wrong with it, and no gain is proven: judged, and blocked."""

    exit_code = 1


@dataclass(frozen=True)
class _Claim:
    """What is to be released: the adapter as it was when it began, its record and training, and what it is held to."""

    adapter: Path
    digest: str
    record: Record
    training: Mapping[str, Any]
    tasks: Sequence[Task]

    @property
    def units(self) -> list[Unit]:
        """Those of all tasks."""
        return [unit for task in self.tasks for unit in task.units]

    @property
    def trained(self) -> list[str]:
        """The task that it was trained for."""
        return [self.training["task"]]

    @property
    def base_name(self) -> str:
        """What its recipe calls the base."""
        return str(self.training["recipe"]["model"])


@dataclass(frozen=True)
class Released:
    """What a release wrote; `notes` tell which outputs another version of a check had scored.

    `ledger` says with what the ledger was compared.
    """

    manifest: Path
    card: Path
    files: tuple[str, ...]
    record: Record
    ledger: Anchor
    notes: tuple[str, ...] = ()


def find_record(runs: Path, adapter: str) -> Record:
    """The newest complete run that judged this adapter (by digest) against its baseline.

    Raises:
        Refused: there is none.
    """
    for path in sorted(runs.glob("*.json"), reverse=True):
        record = _readable(path)
        if record and record.fingerprint["subject"].get("adapter") == adapter and _is_gated(record):
            return record
    raise Refused(
        f"expected a complete run of this adapter against its baseline under {show_path(runs)}, found none; "
        "run: pytest fixtures/ --tg-adapter=DIR --tg-against baseline"
    )


def _readable(path: Path) -> Record | None:
    try:
        return read_record(path)
    except Refused:
        return None  # an older version's: not what is looked for


def _is_gated(record: Record) -> bool:
    references = {verdict["reference"] for verdict in record.verdicts.values()}
    # one that was compared with a record shows nothing of the baseline
    return bool(references) and all(map(_is_stored, references)) and not record.partial


def _is_stored(reference: str) -> bool:
    return reference == BASELINE or is_last_release(reference)


def release_adapter(
    adapter: Path,
    record: Record,
    cases: Path,
    baselines: Path,
    watch: Watch,
    open_model: OpenModel,
    outside: Outside = DEFAULT,
) -> Released:
    """Release `adapter` on the strength of `record` and of what it answers now; writes nothing unless all of it holds.

    Args:
        adapter: its folder, with nothing in it but what the trainer and an earlier release wrote.
        record: a complete run of it against the baseline.
        cases: the folder of fixtures.
        baselines: the folder of baselines.
        watch: shows the progress.
        open_model: the base that was judged, with an adapter or without one.
        outside: with what the ledger is compared, by default the default branch of the remote.

    Raises:
        UsageError: it is not clear which remote or branch to compare with.
        Refused: names what is missing, what differs, or what blocks.
        Unproven: other adapters were asked the target's cases before.
        CouldNotRun: the model cannot be asked.
    """
    undo_cut_off(baselines)
    check_writable(baselines / LEDGER)
    claim = _claim(adapter, record, cases)
    anchor = compare_ledger(baselines, outside, claim.units)
    # taken first: what another release writes while this one judges is then not overwritten
    seen = state(baselines, str(record.fingerprint["subject"]["model"]), claim.units, released=True)
    here = _references(claim, baselines)
    references = here | anchor.last_releases(baselines, claim.tasks, claim.units, record.answered_by, here)
    # Scores and verdicts are only what files say, whichever side they are on: both are computed again. And how many
    # adapters were asked before this one, the ledger knows.
    numbers_here = opening_numbers(read_ledger(baselines), claim.units, record.answered_by)
    numbers = anchor.numbers(numbers_here, claim.units, record.answered_by)
    again = score_again(claim.units, replace(record, openings=numbers), _name(record), watch)
    scored = {name: score_again(claim.units, each, f"the {name}", watch) for name, each in references.items()}
    compared, engines = _ask_beside(
        claim, {name: each.record for name, each in scored.items()}, baselines, open_model, watch
    )
    candidate = replace(again.record, engines=engines)
    own = {name: each for name, each in compared.items() if name in here}
    decided = gate.compare(claim.tasks, replace(candidate, openings=numbers_here), own, claim.trained)
    _check_decision(decided, claim.tasks)
    _check_verdicts(decided, record)
    if own.keys() != compared.keys() or numbers != numbers_here:  # what the ledger here does not say, the remote does
        decided = gate.compare(claim.tasks, candidate, compared, claim.trained)
        _check_decision(decided, claim.tasks, f"By the ledger of {anchor.name}: ")
    # And outputs are only what files say: both sides are asked again.
    asked = _ask_both(claim, candidate, compared, open_model, watch)
    _check_as_begun(claim, cases)
    check_unmoved(baselines, outside, claim.units, anchor)
    decided = replace(decided, rescored=rescored_units({"run": again, **scored}), created=record.created)
    about = {"asked": asked.line(), "sealed": _sealed_cases(claim, decided, baselines, numbers)}
    done = _write(claim, decided, baselines, seen, about, anchor)
    notes = [
        *again.notes(_name(record)), *(line for name, each in scored.items() for line in each.notes(f"the {name}")),
        *reference_notes(references, record.answered_by, claim.units),
    ]  # fmt: skip
    return replace(done, notes=(*notes, asked.line()))


def _sealed_cases(claim: _Claim, decided: Record, baselines: Path, numbers: Mapping[str, int]) -> dict[str, int]:
    """At which evaluation the sealed cases were, and how many more are `left` that are worth anything; empty: none.

    Of several sealed units the one counts that was evaluated most often, and the one that is worth least.
    """
    made = {unit.key: numbers[unit.key] for unit in claim.units if unit.sealed}
    if not made:
        return {}
    past = Past(decided, baselines / str(decided.fingerprint["subject"]["model"]))
    plans = [each for each in plan_units(claim.tasks, past) if each.unit.key in made and worth(each, 1)]
    left = [evaluations_left(each, made[each.unit.key]) for each in plans]
    return {"number": max(made.values())} | ({"left": min(left)} if left else {})


def _claim(adapter: Path, record: Record, cases: Path) -> _Claim:
    """What the files say, held against each other."""
    digest, tasks = adapter_digest(adapter), load_tasks(cases)
    _check_folder(adapter)
    _check_record(record, digest)
    training = _training(adapter, digest, record)
    check_recitation(training, show_path(adapter))
    _check_fixtures(record, tasks, training["task"])
    check_answers(training, tasks, record, _name(record))
    return _Claim(adapter, digest, record, training, tasks)


def _references(claim: _Claim, baselines: Path) -> dict[str, Record]:
    """What it is compared with, if its diagnosis is the committed one and it was not withdrawn."""
    subject, model = claim.record.fingerprint["subject"], claim.base_name
    [trained] = (task for task in claim.tasks if task.name in claim.trained)
    check_eligibility(baselines, trained, subject, claim.training["diagnosis"], model)
    check_not_withdrawn(read_ledger(baselines), [task.name for task in claim.tasks], subject)
    found = baseline_references(baselines, claim.tasks, claim.units, claim.record.answered_by, model)
    check_repeats(found, claim.units, claim.record.repeats)
    return found


def _ask_beside(
    claim: _Claim, references: Mapping[str, Record], baselines: Path, open_model: OpenModel, watch: Watch
) -> tuple[dict[str, Record], dict[str, Any]]:
    """The references with what they answer beside the adapter, past every cache: see engines.py."""
    expected, models = claim.record.answered_by, dict[str, Model]()
    for event in case_events("opened", expected, [unit for unit in claim.units if unit.sealed]):
        append(baselines, event)  # known already where the run was told of here
    for name, each in references.items():
        if answers_beside(each, expected, claim.units):
            sha = each.fingerprint["subject"].get("adapter")
            models[name] = open_model(released_adapter(baselines, each, watch) if sha else None)
            same = replace(expected, subject={**expected.subject, "adapter": sha})
            _check_models({name: models[name]}, same, _name(claim.record))
    return ask_here(references, models, claim.units, watch, claim.record.repeats)


def _ask_both(
    claim: _Claim, record: Record, references: Mapping[str, Record], open_model: OpenModel, watch: Watch
) -> AskedAgain:
    """Ask the adapter again, and its base unless that was asked everything; refused if it decides otherwise."""
    sides = {"adapter": claim.adapter, next(iter(references)): None}
    models = {name: open_model(folder) for name, folder in sides.items() if name not in record.engines}
    _check_models(models, claim.record.answered_by, _name(claim.record))
    _check_base_name(claim.adapter, claim.base_name, models["adapter"].fingerprint)
    now, compared, asked = ask_again(claim.tasks, record, references, claim.trained, models, watch)
    _check_decision(gate.compare(claim.tasks, now, compared, claim.trained), claim.tasks, "Asked again: ")
    return asked


def _check_folder(adapter: Path) -> None:
    """What is delivered is the folder, so nothing may be in it that the manifest does not list."""
    if foreign := foreign_files(adapter):
        raise Refused(
            f"{show_path(adapter)}: expected an adapter and what was written about it, found {listed(foreign)} too; "
            "move that elsewhere: what is released is the folder"
        )


def _check_models(models: Mapping[str, Model], expected: Fingerprint, name: str) -> None:
    """The models that are asked are those that were judged, by the same means."""
    for model in models.values():
        found, without = model.fingerprint, {"adapter"} if model.fingerprint.subject.get("adapter") is None else set()
        for part, ours, theirs in (
            ("model", found.subject, expected.subject), ("engine", found.engine, expected.engine)
        ):  # fmt: skip
            keys = {*ours, *theirs} - without
            if differ := sorted(key for key in keys if ours.get(key) != theirs.get(key)):
                raise Refused(
                    f"{name}: expected to ask the {part} that was judged, found another {', '.join(differ)}; name it "
                    "with --model, --device, --dtype and --chat-template, or judge again here"
                )


def _check_base_name(adapter: Path, name: str, asked: Fingerprint) -> None:
    """Who loads the adapter elsewhere finds its base by the name that it was trained on: it has to be the one asked."""
    check_named_base(adapter, name)
    if name == asked.names["model"]:
        return
    try:
        found = identify(name, resolve(name))
    except TunegateError as error:
        raise Refused(
            f"{show_path(adapter)}: it names {shown(name)} as its base, which is not found here, and "
            f"{asked.names['model']} was asked; name the base as it does: --model={name}"
        ) from error
    if {part: getattr(found, part) for part in PARTS} != {part: asked.subject[part] for part in PARTS}:
        raise Refused(
            f"{show_path(adapter)}: it names {shown(name)} as its base, which is another one than was judged; train it "
            "again on the right one"
        )


def _check_as_begun(claim: _Claim, cases: Path) -> None:
    """What was judged is what is released: nobody changed it while it was asked."""
    if adapter_digest(claim.adapter) != claim.digest or foreign_files(claim.adapter):
        raise Refused(
            f"{show_path(claim.adapter)}: it changed while it was judged; nothing is released, release it again"
        )
    now = load_tasks(cases)
    if [(task.policies, [unit.questions for unit in task.units]) for task in claim.tasks] != [
        (task.policies, [unit.questions for unit in task.units]) for task in now
    ]:
        raise Refused(f"{show_path(cases)}: the fixtures changed meanwhile; nothing is released, judge it again")


def _check_record(record: Record, digest: str) -> None:
    name, found = _name(record), record.fingerprint["subject"].get("adapter")
    if record.partial:
        raise Refused(f"{name}: expected a complete record, found a partial one; judge without -k")
    if record.is_supplied:
        raise Refused(f"{name}: its outputs were supplied, not generated: they are gated, and never released")
    if record.rung not in TRAINED:
        raise Refused(
            f"{name}: judged on the rung {record.rung}, and what is released is served with the prompt that it was "
            "trained on; judge it without --tg-rung, or with --tg-rung=constrained"
        )
    if found != digest:
        other = f"that of {str(found)[:8]}" if found else "that of a model without an adapter"
        raise Refused(f"{name}: expected the record of this adapter ({digest[:8]}), found {other}; judge this one")


def _name(record: Record) -> str:
    return show_path(record.path) if record.path else "the record"


def _training(adapter: Path, digest: str, record: Record) -> dict[str, Any]:
    training = training_record(adapter)
    where = show_path(adapter)
    if training is None:
        raise Refused(f"{where}: expected a training record ({TRAINING}), found none; tunegate train writes it")
    if training["adapter"] != digest:
        raise Refused(f"{where}: expected the adapter its training record describes, found another one; train it again")
    for part in PARTS:
        if training["model"].get(part) != record.fingerprint["subject"].get(part):
            name = NAMES.get(part, part)
            raise Refused(
                f"{where}: it was trained on another {name} than the one that was judged; judge it on its own"
            )
    return training


def _check_fixtures(record: Record, tasks: Sequence[Task], trained: str) -> None:
    name = _name(record)
    if trained not in {task.name for task in tasks}:
        raise Refused(f"{trained}: expected the task it was trained for among the fixtures, found none of that name")
    if gone := sorted(record.units.keys() - {unit.key for task in tasks for unit in task.units}):
        raise Refused(f"{name}: {', '.join(gone)} is not among the fixtures (deleted? renamed?); judge it again")
    for task in tasks:
        if not task.policy.declared:
            raise Refused(
                f"{task.name}: expected a task.yaml that names its targets, found none; nothing to release for"
            )
        for unit in task.units:
            if unit.sealed and not record.sealed:
                raise Refused(f"{unit.key}: sealed units must be judged before a release; run again with --tg-sealed")
            if differs := question_differences(
                record.questions.get(unit.key, {}), unit.questions, unit, record.of_unit(unit.key)
            ):
                what = ", ".join(differs)
                raise Refused(f"{unit.key}: the fixtures changed since {name} was judged ({what}); judge it again")
        for key, policy in task.policies.items():
            if record.policies.get(key) != policy:
                raise Refused(f"{key}: task.yaml changed since {name} was judged; judge it again")


def _check_decision(decided: Record, tasks: Sequence[Task], how: str = "") -> None:
    for name in dict.fromkeys([*(task.name for task in tasks), *decided.tasks]):
        decision = decided.tasks.get(name)
        if decision is None or decision["decision"] != "release":
            why = decision["reason"] if decision else "It could not be decided."
            error = Unproven if decision and decision["decision"] == "unproven" else Refused
            raise error(f"{name}: not released. {how}{why}")


def _check_verdicts(decided: Record, record: Record) -> None:
    verdicts = [{key: each["verdict"] for key, each in every.verdicts.items()} for every in (decided, record)]
    differ = sorted(key for key in verdicts[0] | verdicts[1] if verdicts[0].get(key) != verdicts[1].get(key))
    if differ:
        raise Refused(
            f"computed again, the verdicts of {', '.join(differ)} are not those of {_name(record)}: "
            "a baseline or a task.yaml changed since; judge it again"
        )


def _write(
    claim: _Claim,
    decided: Record,
    baselines: Path,
    seen: Mapping[str, str | None],
    about: Mapping[str, Any],
    anchor: Anchor,
) -> Released:
    adapter, folder, training = claim.adapter, claim.adapter.resolve(), claim.training
    artefacts = read_artefacts(adapter, claim.digest, decided)
    card = with_section(model_card(folder.name, training, decided, {**about, "ledger": anchor.said}), artefacts)
    record = json_text(decided.as_dict())
    written = {RECORD: record, CARD: card}
    manifest = json_text(make_manifest(adapter, claim.digest, training, decided, written, anchor.as_dict()))
    texts = {folder / RECORD: record, folder / CARD: card, folder / MANIFEST: manifest}
    slug = str(decided.fingerprint["subject"]["model"])
    notes = write_baselines(baselines, slug, decided, claim.units, seen, released=folder, more=texts)
    made = replace(decided, path=adapter / RECORD)
    return Released(adapter / MANIFEST, adapter / CARD, tuple(notes), made, anchor)
