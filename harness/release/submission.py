"""Read the files of a release and check them against each other: adapter, record, training record, fixtures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.cases.model import Task, Unit, UnitConfiguration
from tunegate.harness.cases.rewarding import read_rewards
from tunegate.harness.core.errors import Refused, show_path
from tunegate.harness.core.formatting import listed
from tunegate.harness.core.progress import Watch
from tunegate.harness.history.baselines.diff import NAMES, configuration_differences, question_differences
from tunegate.harness.history.baselines.lookup import SERVING, is_last_release
from tunegate.harness.models.adapters import TRAINING, adapter_digest, base_name, claim_of, training_record
from tunegate.harness.models.evaluation.record import Record, read_record
from tunegate.harness.models.options.run import BASELINE
from tunegate.harness.models.prompts import TRAINED
from tunegate.harness.release.manifest import foreign_files
from tunegate.harness.rows.near_cases import NearCases, find_near_cases
from tunegate.harness.rows.privacy.memorization import check_memorization, check_outputs

PARTS = ("base", "tokenizer", "template")  # the parts of a model without an adapter


@dataclass(frozen=True)
class Submission:
    """The adapter to release, its digest at the start, its record and training record, and all tasks."""

    adapter: Path
    digest: str
    record: Record
    training: Mapping[str, Any]
    tasks: Sequence[Task]

    @property
    def name(self) -> str:
        """The record's name in messages."""
        return record_name(self.record)

    @property
    def units(self) -> list[Unit]:
        """The units of all tasks."""
        return [unit for task in self.tasks for unit in task.units]

    @property
    def trained(self) -> list[str]:
        """The task that the adapter was trained for."""
        return [self.training["task"]]

    @property
    def base_name(self) -> str:
        """The base's name in the recipe, or as it was declared at the adoption."""
        return base_name(self.training)


def read_submission(adapter: Path, record: Record, cases: Path, watch: Watch) -> Submission:
    """Read the files, and check that they match.

    Raises:
        Refused: something is missing or does not match; the message names it.
    """
    digest, tasks = adapter_digest(adapter), load_tasks(cases)
    _check_folder(adapter)
    _check_record(record, digest)
    training = _training(adapter, digest, record, tasks, watch)
    check_memorization(training, show_path(adapter))
    _check_fixtures(record, tasks, training["task"])
    check_outputs(training, tasks, record, record_name(record))
    return Submission(adapter, digest, record, training, tasks)


def check_as_begun(submission: Submission, cases: Path) -> None:
    """Check that adapter and fixtures did not change during the evaluation.

    Raises:
        Refused: the adapter or the fixtures changed.
    """
    if adapter_digest(submission.adapter) != submission.digest or foreign_files(submission.adapter):
        raise Refused(
            f"{show_path(submission.adapter)}: it changed during the release; nothing was released, release it again"
        )
    now = load_tasks(cases)
    if [(task.policies, [_put(unit) for unit in task.units]) for task in submission.tasks] != [
        (task.policies, [_put(unit) for unit in task.units]) for task in now
    ]:
        raise Refused(f"{show_path(cases)}: the fixtures changed meanwhile; nothing was released, evaluate again")


def _put(unit: Unit) -> tuple[dict[str, str], UnitConfiguration]:
    return unit.questions, unit.configuration


def find_record(runs: Path, adapter: str) -> Record:
    """The newest complete run that evaluated this adapter (by digest) against its baseline.

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
        return None  # written by an older version


def _is_gated(record: Record) -> bool:
    references = {verdict.reference for verdict in record.verdicts.values()}
    # a comparison with a record does not involve the baseline
    others = [each for each in references if each not in (BASELINE, SERVING) and not is_last_release(each)]
    return bool(references) and not others and not record.partial


def record_name(record: Record) -> str:
    """A record's name in messages."""
    return show_path(record.path) if record.path else "the record"


def _check_folder(adapter: Path) -> None:
    """Refuse files that the manifest does not list, since the whole folder is delivered."""
    if foreign := foreign_files(adapter):
        raise Refused(
            f"{show_path(adapter)}: expected only files that tunegate wrote, found {listed(foreign)} too; move that "
            "elsewhere: the whole folder is released"
        )


def _check_record(record: Record, digest: str) -> None:
    name, found = record_name(record), record.fingerprint["subject"].get("adapter")
    if record.partial:
        raise Refused(f"{name}: expected a complete record, found a partial one; evaluate without -k")
    if record.compared_as:
        raise Refused(
            f"{name}: a record of tunegate compare is for information only, and never released; evaluate again with "
            "--tg-against baseline"
        )
    if record.has_supplied_scores:
        raise Refused(f"{name}: its scores were supplied by another tool: they are not re-scored, and never released")
    if record.is_supplied:
        raise Refused(f"{name}: its outputs were supplied, not generated: they can be gated, but not released")
    if record.rung not in TRAINED:
        raise Refused(
            f"{name}: expected the prompting strategy of the training, with which the adapter is served, found "
            f"{record.rung}; evaluate without --tg-rung, or with --tg-rung=constrained"
        )
    if found != digest:
        other = f"that of {str(found)[:8]}" if found else "that of a model without an adapter"
        raise Refused(f"{name}: expected the record of this adapter ({digest[:8]}), found {other}; evaluate this one")


def _training(adapter: Path, digest: str, record: Record, tasks: Sequence[Task], watch: Watch) -> dict[str, Any]:
    training = training_record(adapter)
    where = show_path(adapter)
    if training is None:
        raise Refused(
            f"{where}: expected a training record ({TRAINING}), found none; tunegate train writes one, and tunegate "
            "adopt for an adapter trained elsewhere"
        )
    if training["adapter"] != digest:
        raise Refused(f"{where}: expected the adapter its training record describes, found another one; train it again")
    _check_said(adapter, record, tasks, watch)
    for part in PARTS:
        if training["model"].get(part) != record.fingerprint["subject"].get(part):
            name = NAMES.get(part, part)
            raise Refused(
                f"{where}: it was trained on another {name} than the evaluated one; evaluate it on its own base"
            )
    if read_rewards(training.get("rewards", ())) != record.rewards:
        raise Refused(
            f"{where}: expected the rewards that {record_name(record)} was decided with, found others; evaluate again"
        )
    return training


def _check_said(adapter: Path, record: Record, tasks: Sequence[Task], watch: Watch) -> None:
    """Refuse a record that says other things of the training data than is found here: a file is a claim."""
    found = find_near_cases(adapter, tasks, watch, fresh=True).of([*record.units])
    said = NearCases(record.near, record.near_claimed, record.near_among_rows).of([*record.units])
    if said != found or record.adopted != claim_of(adapter):
        raise Refused(
            f"{record_name(record)}: it was not evaluated with this {TRAINING}, which names other cases that rows come "
            "near, or other training data, or not where its rows are; evaluate again"
        )


def _check_fixtures(record: Record, tasks: Sequence[Task], trained: str) -> None:
    name = record_name(record)
    if trained not in {task.name for task in tasks}:
        raise Refused(f"{trained}: expected the task it was trained for among the fixtures, found no such task")
    if gone := sorted(record.units.keys() - {unit.key for task in tasks for unit in task.units}):
        raise Refused(f"{name}: {', '.join(gone)} is not among the fixtures (deleted? renamed?); evaluate again")
    for task in tasks:
        if not task.policy.declared:
            raise Refused(f"{task.name}: expected a task.yaml that names its targets, found none; write one")
        for unit in task.units:
            if unit.sealed and not record.sealed:
                raise Refused(f"{unit.key}: sealed units must be evaluated for a release; run again with --tg-sealed")
            asked, put = record.questions.get(unit.key, {}), record.configurations.get(unit.key, {})
            if differs := [
                *question_differences(asked, unit.questions, unit, record.of_unit(unit.key)),
                *configuration_differences(put, unit.configuration.as_dict()),
            ]:
                what = ", ".join(differs)
                raise Refused(f"{unit.key}: the fixtures changed since {name} was evaluated ({what}); evaluate again")
        for key, policy in task.policies.items():
            if record.policies.get(key) != policy:
                raise Refused(f"{key}: task.yaml changed since {name} was evaluated; evaluate again")
