"""Recording of only the added cases: the model is the recorded one, and nothing that is recorded changes."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from tunegate.harness.cases.model import Unit
from tunegate.harness.cases.policy import policy_changes
from tunegate.harness.core.errors import Refused
from tunegate.harness.core.formatting import listed, quantity
from tunegate.harness.history.baselines.diff import configuration_differences
from tunegate.harness.history.baselines.store import Baseline, baseline_path, read_baseline
from tunegate.harness.models.api import ITSELF, SERVED
from tunegate.harness.models.evaluation.record import Record, Result

ALL = "record all cases, in a change that is reviewed: tunegate record"


def check_not_supplied(root: Path, cases: Mapping[str, Sequence[str]]) -> None:
    """Refuse to run a model for added cases of units whose outputs were made elsewhere and supplied.

    `cases` are their ids by unit.
    """
    wrong = []
    for unit, ids in cases.items():
        records = [read_baseline(path, unit) for path in sorted(root.glob(f"*/{glob.escape(unit)}.json"))]
        if records and all(each.is_supplied for each in records):
            names = [each.path.parent.parent.name for each in records]
            wrong.append(
                f"{unit}: its outputs are supplied ({listed(names)}), so no model can record its "
                f"{quantity(len(ids), 'added case')} ({listed(ids)}): "
                f"tunegate record --added --name={names[-1].removeprefix('replay-')} "
                "--from=OUTPUTS.jsonl --requests=REQUESTS.jsonl"
            )
    if wrong:
        raise Refused("\n".join(wrong))


def check_same_model(root: Path, slug: str, units: Sequence[Unit]) -> None:
    """Refuse a model of which a unit has no record: its outputs would stand beside those of another one."""
    missing = [unit.key for unit in units if not baseline_path(root, slug, unit.key).is_file()]
    found = {unit: sorted(path.parent.parent.name for path in root.glob(f"*/{glob.escape(unit)}.json"))
             for unit in missing}  # fmt: skip
    if wrong := [
        f"{unit}: expected a record of {slug}, the model of this run, found {listed(names) or 'none'}"
        for unit, names in found.items()
    ]:
        raise Refused("\n".join([*wrong, f"nothing is recorded; {ALL}"]))


def check_kept(root: Path, slug: str, record: Record, units: Sequence[Unit]) -> None:
    """Refuse a record that differs from the standing one in more than added cases, before it is written."""
    olds = {unit.key: read_baseline(baseline_path(root, slug, unit.key), unit.key) for unit in units}
    changes = {unit.key: "; ".join(_changes(olds[unit.key], record, unit)) for unit in units}
    if wrong := [f"{unit}: the record would change: {what}" for unit, what in changes.items() if what]:
        raise Refused("\n".join([*wrong, f"nothing is recorded; {ALL}"]))


def _changes(old: Baseline, record: Record, unit: Unit) -> Iterator[str]:
    results, asks = record.of_unit(unit.key), unit.case_questions
    known = [case for case in sorted(old.results) if case in results]
    if gone := sorted(old.results.keys() - results.keys()):
        yield f"without {listed(gone)}"
    if edited := [case for case in known if asks[case] != old.case_questions[case]]:
        yield f"other questions of {listed(edited)}"
    if moved := [case for case in known if case not in edited and _seen(results[case]) != _seen(old.results[case])]:
        yield f"other outputs of {listed(moved)}"
    yield from configuration_differences(old.configuration, record.configurations[unit.key])
    for looser in (True, False):
        yield from policy_changes(old.policy, record.policies[unit.key], looser)
    before, served = old.served or ITSELF, record.fingerprint.get("names", {}).get(SERVED, ITSELF)
    if before != served:
        yield f"the server's model is {served}, no longer {before}"


def _seen(result: Result) -> Result:
    """A result without the digest of how it was generated, which names the engine."""
    return replace(result, generation="", repeats=tuple(map(_seen, result.repeats)))
