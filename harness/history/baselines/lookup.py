"""The lookup of a run's baselines, and the refusals that explain how to record them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tunegate.harness.cases.model import Task, Unit
from tunegate.harness.cases.policy import policy_changes
from tunegate.harness.core.errors import Refused, show_path
from tunegate.harness.history.baselines.diff import question_differences
from tunegate.harness.history.baselines.matching import check_vanished, how_to_record, matching
from tunegate.harness.history.baselines.releases import RENEW, check_released_files, check_units_kept, released_outputs
from tunegate.harness.history.baselines.service import (
    added_anchors,
    anchor_records,
    records_in_service,
    records_of_branch,
)
from tunegate.harness.history.baselines.store import Baseline, as_reference, baseline_path, read_baseline
from tunegate.harness.history.ledger.ledger import Ledger, who
from tunegate.harness.history.ledger.store import read_ledger
from tunegate.harness.models.api import Completion, Fingerprint
from tunegate.harness.models.evaluation.engines import can_ask_base, is_same_configuration
from tunegate.harness.models.evaluation.record import Noise, Record, Result, read_record
from tunegate.harness.models.evaluation.scoring import summarize
from tunegate.harness.models.options.run import BASELINE

LAST_RELEASE = "last release"
ANCHOR = "anchor"
GROWN = "anchor with the cases added since"
GROWTH = 1.5  # a loss on some cases may count on at most so many times more, or on what one record added
SERVING = "record in service"
Results = Mapping[str, Result]


def is_added_part(name: str) -> bool:
    """Return whether this is the name of a record of added cases, which is joined with others before it is compared."""
    return name.startswith(f"{GROWN}, ")


def is_last_release(name: str) -> bool:
    """Return whether this is the name of a last release among references."""
    return name.startswith(LAST_RELEASE)


def baseline_references(
    root: Path,
    tasks: Sequence[Task],
    units: Sequence[Unit],
    fingerprint: Fingerprint,
    model: str | None,
    branch: Path | None = None,
) -> dict[str, Record]:
    """Return the baseline of `units` and, if there is one of another model, the last release, whatever its base.

    An adapter is also compared with what is in service on the `branch`, if that is another model or prompt. There are
    several releases if tasks were released with different adapters, as after a retirement and a return. Each is named
    by its tasks and evaluated by itself.

    No baseline holds outputs for sealed cases: the base generates them together with an adapter.

    `fingerprint` is the candidate's, `model` its `--tg-model`, for suggested commands. `branch` has the baselines of
    the branch that a change is to be merged into.

    Raises:
        Refused: a baseline is missing or differs in more than the adapter and, if the base can be re-run, the engine; a
            task.yaml is looser than for the baseline or the last release; the last release has other questions or is
            lost; or a unit with a baseline, or of the last release, is missing from the cases.
    """
    subject, slug, ledger = fingerprint.subject, str(fingerprint.subject["model"]), read_ledger(root)
    check_vanished(root, slug, tasks)
    check_units_kept(ledger, [task.name for task in tasks], [unit.key for task in tasks for unit in task.units])
    serving: Sequence[Baseline] = ()
    if not subject.get("adapter"):
        serving = records_in_service(root, ledger, units, fingerprint.is_supplied, branch)
        # what is in service itself is held to its own baseline, on its own engine
        if serving and not is_same_configuration(as_reference(serving), fingerprint, units):
            return _configurations(root, ledger, tasks, units, fingerprint, serving, model)
    opens = can_ask_base(fingerprint)
    can_run = opens or (not subject.get("adapter") and not fingerprint.is_supplied)
    recorded = [unit for unit in units if not (unit.sealed and can_run)]
    found = matching(root, recorded, fingerprint, model, any_engine=opens)
    _check_policies(root, tasks, fingerprint, model)
    baseline = _reference(ledger, found, fingerprint) if found else _nothing_of_base(fingerprint)
    check_released_files(root, ledger, units, who(subject))
    released = last_releases(root, ledger, tasks, units, fingerprint, baseline.noise)
    beside = _named(SERVING, ledger, _served(branch, units, fingerprint), fingerprint)
    # a run that was just recorded is its own baseline, which it always holds
    anchors = _anchors(root, ledger, units, serving, fingerprint, baseline.noise)
    return {BASELINE: baseline, **released, **dict(beside), **anchors}


def _served(branch: Path | None, units: Sequence[Unit], fingerprint: Fingerprint) -> list[Baseline]:
    """Return what serves a branch, if it is no release, of which `last_releases` knows, and not the base of today."""
    base = replace(fingerprint, subject={**fingerprint.subject, "adapter": None})
    records = records_of_branch(branch, units).values() if branch else ()
    return [
        each for each in records
        if not each.subject.get("adapter") and each.is_supplied == fingerprint.is_supplied
        and not is_same_configuration(as_reference([each]), base, units)
    ]  # fmt: skip


def _configurations(
    root: Path,
    ledger: Ledger,
    tasks: Sequence[Task],
    units: Sequence[Unit],
    fingerprint: Fingerprint,
    serving: Sequence[Baseline],
    model: str | None,
) -> dict[str, Record]:
    """Return what a candidate without an adapter is compared with: the configuration in service, and the anchor.

    A unit that nothing serves yet is compared with the model's own baseline. Where tasks have different models in
    service, each is named by its tasks.
    """
    known = {each.unit for each in serving}
    others = [unit for unit in units if unit.key not in known and not unit.sealed]
    own = matching(root, others, fingerprint, model) if others else []
    _check_policies(root, tasks, fingerprint, model)
    found = dict(_named(BASELINE, ledger, [*serving, *own], fingerprint))
    noise = {unit: each for record in found.values() for unit, each in record.noise.items()}
    return found | _anchors(root, ledger, units, serving, fingerprint, noise)


def _anchors(
    root: Path, ledger: Ledger, units: Sequence[Unit], serving: Sequence[Baseline], fingerprint: Fingerprint,
    noise: Mapping[str, Noise],
) -> dict[str, Record]:  # fmt: skip
    """Return the anchors of the units that something serves, by name."""
    anchors = _named(ANCHOR, ledger, anchor_records(root, ledger, units, serving), fingerprint)
    added = [_reference(ledger, [each], fingerprint) for each in added_anchors(root, ledger, units, serving)]
    parts = ((f"{GROWN}, part {number}", each) for number, each in enumerate(added, 1))
    return {name: replace(each, noise=noise) for name, each in (*anchors, *parts)}


def with_grown_anchors(references: Mapping[str, Record], units: Sequence[Unit]) -> dict[str, Record]:
    """Join the anchor and the first results of the cases added since, which were outputs of several configurations.

    Beside the anchor and what is in service, small losses on added cases would still add up. Where later cases would
    hide those on earlier ones, the earlier are compared by themselves, too. The anchor is no reference of its own where
    it is what is in service.
    """
    parts = [each for name, each in references.items() if is_added_part(name)]
    found = {name: each for name, each in references.items() if not is_added_part(name)}
    firsts = [each for kind in (BASELINE, ANCHOR) for name, each in found.items() if name.startswith(kind)]
    asked = [unit for unit in units if any(unit.key in each.units for each in parts)]
    steps = {unit.key: _growing([each.of_unit(unit.key) for each in firsts],
                                [each.of_unit(unit.key) for each in parts]) for unit in asked}  # fmt: skip
    for back in range(1, max(map(len, steps.values()), default=0) + 1):
        name = GROWN if back == 1 else f"anchor with earlier cases added since ({back - 1})"
        found[name] = _joined(parts[0], {key: each[-back] for key, each in steps.items() if back <= len(each)}, asked)
    return found


def _growing(firsts: Sequence[Results], parts: Sequence[Results]) -> list[Results]:
    """Return the results of the anchor with those of the first added parts, of more parts, and so on to all of them.

    There is one more in the list where the next part makes the cases more than GROWTH times those of the last one.
    """
    added = {case: result for each in parts for case, result in each.items()}
    now = {case: result for each in firsts for case, result in each.items() if case not in added}
    kept: list[Results] = [now]
    for part in parts:
        wider = {**now, **part}
        if len(wider) > GROWTH * len(kept[-1]) and now is not kept[-1]:
            kept.append(now)
        now = wider
    return [*kept[1:], now]


def _joined(part: Record, results: Mapping[str, Results], units: Sequence[Unit]) -> Record:
    """Return one record of results of several configurations, by unit and case."""
    wholes = [unit for unit in units if unit.key in results]
    grown = [unit.with_cases(results[unit.key]) for unit in wholes]
    return replace(
        part,
        cases={f"{unit}/{case}": result for unit, of_unit in results.items() for case, result in of_unit.items()},
        units={unit.key: summarize(unit, list(results[unit.key].values())) for unit in grown},
        questions={unit.key: unit.questions for unit in grown},
        shared={unit.key: frozenset(results[unit.key]) for unit in grown if unit not in wholes},
    )


def _named(
    name: str, ledger: Ledger, records: Sequence[Baseline], fingerprint: Fingerprint
) -> Iterator[tuple[str, Record]]:
    """Yield stored records as references with their own names, those of one model and prompting strategy together."""
    by_model = _grouped(records, lambda each: (*who(each.subject), each.subject.get("rung")))
    named = [tasks for tasks, _ in by_model[1:]]
    for number, (tasks, those) in enumerate(by_model):
        whose = tasks if named.count(tasks) == 1 else ", ".join(each.unit for each in those)
        yield f"{name} of {whose}" if number else name, _reference(ledger, those, fingerprint)


def _grouped(records: Sequence[Baseline], key: Callable[[Baseline], Hashable]) -> list[tuple[str, list[Baseline]]]:
    """Return records in groups of one key, each with the names of its tasks."""
    found: dict[Hashable, list[Baseline]] = {}
    for each in records:
        found.setdefault(key(each), []).append(each)
    return [
        (", ".join(dict.fromkeys(each.unit.rpartition("/")[0] for each in those)), those) for those in found.values()
    ]


def _reference(ledger: Ledger, baselines: Sequence[Baseline], fingerprint: Fingerprint) -> Record:
    """Return baselines as one record, with the date of the newest of them by the ledger."""
    digests = {each.unit: each.digest for each in baselines}
    when = [
        event.when
        for event in ledger.events.values()
        if any(digests.get(unit) == sha for unit, sha in event.files.items())
    ]
    return as_reference(baselines, fingerprint.engine, max(when, default=""))


def last_releases(
    root: Path,
    ledger: Ledger,
    tasks: Sequence[Task],
    units: Sequence[Unit],
    fingerprint: Fingerprint,
    noise: Mapping[str, Noise],
) -> dict[str, Record]:
    """Return the outputs of the last releases of other models in a ledger, for `units`, by name.

    `fingerprint` is the candidate's, and `noise` that of the baseline.

    Raises:
        Refused: see `baseline_references`.
    """
    outputs = released_outputs(root, ledger, [unit for task in tasks for unit in task.units])
    _check_released_policies(outputs, tasks)
    # the released model is compared only with the base: against its own outputs it would always hold
    released = [each for each in _asked_alike(outputs, units) if who(each.subject) != who(fingerprint.subject)]
    by_release = _grouped(released, lambda each: who(each.subject))
    return {
        # cases flip by themselves whatever the reference
        LAST_RELEASE if len(by_release) == 1 else f"{LAST_RELEASE} of {names}": replace(
            _reference(ledger, those, fingerprint), noise=noise
        )
        for names, those in by_release
    }


def _nothing_of_base(fingerprint: Fingerprint) -> Record:
    """Return a baseline for sealed units only: the base before it has run."""
    base = replace(fingerprint, subject={**fingerprint.subject, "adapter": None}, names={"model": "baseline"})
    return Record(partial=False, fingerprint=base.as_dict(), questions={}, cases={}, units={})


def _check_policies(root: Path, tasks: Sequence[Task], fingerprint: Fingerprint, model: str | None) -> None:
    """Refuse looser policies unless their baseline is recorded again, where a reviewer sees them beside the scores.

    All units are checked, since a unit that was sealed meanwhile is not among those to compare.
    """
    wrong = []
    policies = _policies(tasks)
    for unit in (unit for task in tasks for unit in task.units):
        policy = policies[unit.key]
        path = baseline_path(root, str(fingerprint.subject["model"]), unit.key)
        # without a baseline there is nothing to loosen; for an evaluated unit, `matching` refuses that
        known = read_baseline(path, unit.key).policy if path.exists() else policy
        if looser := policy_changes(known, policy, looser=True):
            how = f"record it again: {how_to_record(unit, fingerprint, model)}"
            if unit.sealed and can_ask_base(fingerprint):
                how = f"delete {show_path(path)}: nothing is recorded of sealed cases"
            wrong.append(f"  {unit.key}: {', '.join(looser)}; if that is meant, {how}")
    if wrong:
        raise Refused("the rules of units are looser than when the baseline was recorded:\n" + "\n".join(wrong))


def _check_released_policies(released: Sequence[Baseline], tasks: Sequence[Task]) -> None:
    """Refuse policies looser than the last release's unless it is renewed, as for a baseline."""
    policies = _policies(tasks)
    wrong = [
        f"  {each.unit}: {', '.join(looser)} ({show_path(each.path)})"
        for each in released
        if (looser := policy_changes(each.policy, policies[each.unit], looser=True))
    ]
    if wrong:
        raise Refused("the rules of units are looser than at the last release:\n" + "\n".join(wrong) + f"\n{RENEW}")


def _policies(tasks: Sequence[Task]) -> dict[str, dict[str, Any]]:
    return {key: policy for task in tasks for key, policy in task.policies.items()}


def _asked_alike(released: Sequence[Baseline], units: Sequence[Unit]) -> list[Baseline]:
    """Return the outputs of the last release for `units`, if the questions are the same."""
    by_key = {unit.key: unit for unit in units}
    found = [each for each in released if each.unit in by_key]
    for each in found:
        unit = by_key[each.unit]
        if changed := question_differences(each.questions, unit.questions, unit, each.results):
            raise Refused(
                f"{unit.key}: the last release ({show_path(each.path)}) was evaluated with {', '.join(changed)}; "
                f"{RENEW}"
            )
    return found


def record_reference(path: Path, tasks: Sequence[Task], units: Sequence[Unit], compares: bool = False) -> Record:
    """Return the record at `path` if it has the questions of `units`; subject and engine may differ.

    If the run only `compares` configurations, so may the record, and it need not have all units.

    Raises:
        Refused: the record is incomplete, has other questions, or a task.yaml became looser since; the message names
            the differences of every unit and units missing from the cases (`tasks`).
    """
    record = read_record(path)
    name = show_path(path)
    if record.has_supplied_scores:
        raise Refused(f"{name}: its scores were supplied by another tool: they are not re-scored, and no reference")
    if record.compared_as and not compares:
        raise Refused(f"{name}: a record of tunegate compare is for information only, and no reference; evaluate again")
    # its missing cases may be the failing ones
    if record.partial and not compares:
        raise Refused(f"{name}: expected a complete record, found a partial one; evaluate whole units")
    known = {unit.key for task in tasks for unit in task.units}
    wrong = [
        f"{name}: {key} is not among the fixtures (deleted? renamed?); restore it, or compare a record without it"
        for key in record.units
        if key not in known
    ]
    for unit in units:
        if unit.key not in record.questions:
            wrong.append(f"{name}: expected results for {unit.key}, found none; evaluate it again")
        elif changed := question_differences(
            record.questions[unit.key], unit.questions, unit, record.of_unit(unit.key)
        ):
            wrong.append(f"{name}: {unit.key} was evaluated with {', '.join(changed)}; evaluate it again with --tg-out")
    wrong += [f"{name}: expected the rules of {key}, found none" for key in record.units.keys() - record.policies]
    for key, policy in _policies(tasks).items():
        if looser := policy_changes(record.policies.get(key, policy), policy, looser=True):
            wrong.append(
                f"{name}: {key} has looser rules than when it was evaluated ({', '.join(looser)}); "
                "if that is intended, evaluate it again with --tg-out"
            )
    if wrong:
        raise Refused("\n".join(wrong))
    return record


def check_released(root: Path, subject: Mapping[str, str | None], units: Sequence[Unit], adapter: Path) -> None:
    """Refuse to record with an adapter, unless it is the released one, which renews its own files."""
    ledger = read_ledger(root)
    for unit in units:
        last = ledger.last_release(unit.task)
        if not any(event.who == who(subject) and unit.key in event.files for event in last):
            raise Refused(
                f"--tg-record with --tg-adapter {show_path(adapter)}: only the released adapter may renew its files, "
                f"and it is not the release of {unit.key}; record the base without --tg-adapter, "
                "release with tunegate release"
            )


def recorded_completions(root: Path, slug: str, units: Sequence[Unit], released: bool = False) -> dict[str, Completion]:
    """Return the outputs in the files of `units` by generation digest; missing or damaged files have none.

    Files that the ledger does not know for this model are ignored, since their origin is unknown.
    """
    found: dict[str, Completion] = {}
    ledger = read_ledger(root)
    for unit in units:
        try:
            baseline = read_baseline(baseline_path(root, slug, unit.key, released), unit.key)
        except Refused:
            continue  # about to be rewritten
        known = (
            {event.files.get(unit.key) for event in ledger.last_release(unit.task)}
            if released
            else ledger.recorded(unit.key, slug)
        )
        if not known or baseline.digest in known:
            found |= baseline.completions
    return found
