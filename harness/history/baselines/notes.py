"""Notes on references: how they and the candidate differ, for readers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from tunegate.harness.cases.model import Task, Unit
from tunegate.harness.cases.policy import policy_changes
from tunegate.harness.core.formatting import listed
from tunegate.harness.history.baselines.diff import configuration_differences, engine_differences
from tunegate.harness.history.baselines.lookup import is_last_release
from tunegate.harness.history.ledger.ledger import model_name
from tunegate.harness.models.api import ITSELF, SERVED, Fingerprint
from tunegate.harness.models.backends import backend_of_engine
from tunegate.harness.models.evaluation.engines import is_elsewhere, runs_beside
from tunegate.harness.models.evaluation.record import Record

DIGEST = re.compile(r"[0-9a-f]{64}")


def _engine_notes(references: Mapping[str, Record], fingerprint: Fingerprint, units: Sequence[Unit]) -> list[str]:
    return [
        f"the {name} was recorded with "
        f"{', '.join(engine_differences(each.fingerprint['engine'], fingerprint.engine))}: re-run on this engine, "
        "where the pair is evaluated"
        for name, each in references.items() if is_elsewhere(each, fingerprint, units)
    ]  # fmt: skip


def _evaluation_notes(references: Mapping[str, Record], fingerprint: Fingerprint, units: Sequence[Unit]) -> list[str]:
    sealed = [unit for unit in units if unit.sealed]
    asked = [f"the {name}" for name, each in references.items() if runs_beside(each, fingerprint, sealed)]
    if not (sealed and asked):
        return []
    return [f"sealed: {listed([unit.key for unit in sealed])}; evaluated beside the adapter: {' and '.join(asked)}"]


def _release_notes(references: Mapping[str, Record], subject: Mapping[str, str | None]) -> list[str]:
    """Return a line if the last release has another base than the candidate; it is compared anyway."""
    found = [reference.fingerprint["subject"] for name, reference in references.items() if is_last_release(name)]
    return [
        f"the last release, {model_name(each)}, has another base than the candidate, on {subject.get('model')}: "
        "compared anyway"
        for each in found if each.get("base") != subject.get("base")
    ]  # fmt: skip


def reference_notes(references: Mapping[str, Record], fingerprint: Fingerprint, units: Sequence[Unit]) -> list[str]:
    """Return the notes on references beside the verdicts, one line each."""
    return [
        *_engine_notes(references, fingerprint, units), *_release_notes(references, fingerprint.subject),
        *_evaluation_notes(references, fingerprint, units), *_version_notes(references, fingerprint),
        *_configuration_notes(references, units),
    ]  # fmt: skip


def _configuration_notes(references: Mapping[str, Record], units: Sequence[Unit]) -> list[str]:
    return [
        f"{unit.key}: the {name} and this run have different configurations: {', '.join(differs)}"
        for name, each in references.items()
        for unit in units
        if unit.key in each.configurations
        and (differs := configuration_differences(each.configurations[unit.key], unit.configuration.as_dict()))
    ]


def _version_notes(references: Mapping[str, Record], fingerprint: Fingerprint) -> list[str]:
    """Return a line for each reference from another version of the model than its name means now."""
    backend = backend_of_engine(fingerprint.engine)
    if backend is None or not backend.is_hosted:
        return []
    now = fingerprint.names.get(SERVED, ITSELF)
    return [
        f"the {name} is of {then}, and {fingerprint.names['model']} is {now} now: a difference may come from the "
        "version"
        for name, each in references.items()
        if (then := each.fingerprint.get("names", {}).get(SERVED, ITSELF)) != now
    ]


def difference_notes(record: Record, fingerprint: Fingerprint, tasks: Sequence[Task]) -> list[str]:
    """Return a line for each part of subject, engine and policy in which a candidate differs from a record."""
    notes = []
    for part, old, new in (
        ("subject", record.fingerprint["subject"], fingerprint.subject),
        ("engine", record.fingerprint["engine"], fingerprint.engine),
    ):
        notes += [
            f"{part} differs: {key} {_short(old.get(key))} -> {_short(new.get(key))}"
            for key in sorted({*old, *new}) if old.get(key) != new.get(key)
        ]  # fmt: skip
    for unit in (unit for task in tasks for unit in task.units if unit.key in record.configurations):
        notes += [
            f"{unit.key}: {each}"
            for each in configuration_differences(record.configurations[unit.key], unit.configuration.as_dict())
        ]
    for key, policy in {key: policy for task in tasks for key, policy in task.policies.items()}.items():
        if changed := policy_changes(record.policies.get(key, policy), policy, looser=False):
            notes.append(f"task.yaml is stricter for {key}: {', '.join(changed)}")
    return notes


def _short(value: object) -> str:
    """Shorten a digest; names stay complete, since two with the same start would look alike."""
    text = str(value)
    return text[:12] if DIGEST.fullmatch(text) else text
