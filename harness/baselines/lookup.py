"""The lookup of a run's baselines, and the refusals that explain how to record them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from tunegate.harness.baselines.diff import (
    configuration_differences,
    differing,
    engine_differences,
    question_differences,
)
from tunegate.harness.baselines.releases import RENEW, check_released_files, check_units_kept, released_outputs
from tunegate.harness.baselines.service import anchor_records, records_in_service
from tunegate.harness.baselines.store import Baseline, as_reference, baseline_path, read_baseline
from tunegate.harness.cases.model import Task, Unit
from tunegate.harness.cases.policy import policy_changes
from tunegate.harness.core.errors import Refused, show_path
from tunegate.harness.core.formatting import listed
from tunegate.harness.evaluation.engines import (
    can_ask_base,
    is_elsewhere,
    is_same_configuration,
    runs_beside,
    why_not_asked,
)
from tunegate.harness.evaluation.record import Noise, Record, read_record
from tunegate.harness.ledger.ledger import LEDGER, Ledger, model_name, read_ledger, who
from tunegate.harness.models.api import ITSELF, SERVED, SUPPLIED, Completion, Fingerprint
from tunegate.harness.models.model_options import REPLAY, split_replay

LAST_RELEASE = "last release"
ANCHOR = "anchor"
DEFAULT_MODEL = "smollm2"
DIAGNOSIS = "diagnosis.json"
PLACED = ("device", "dtype")  # parts of an engine that an option sets
DIGEST = re.compile(r"[0-9a-f]{64}")
EXPRESSION = re.compile(r"[\w:+\-.\[\]/]+")  # one word of pytest's -k


def is_last_release(name: str) -> bool:
    """Return whether this is the name of a last release among references."""
    return name.startswith(LAST_RELEASE)


def how_to_record(unit: Unit, fingerprint: Fingerprint, model: str | None = None) -> str:
    """Return the command that records one unit of a fingerprint; `model` is its `--tg-model`, if not the default."""
    subject = fingerprint.subject
    if model and model.startswith(REPLAY):
        options = ["--from=OLD-OUTPUTS.jsonl", "--requests=REQUESTS.jsonl", f"--name={split_replay(model)[0]}"]
        options += [f"--rung={rung}"] if (rung := subject.get("rung")) and rung != "as-is" else []
        return shlex.join(["tunegate", "record", *options, *(["--sealed"] if unit.sealed else []), unit.key])
    options = ["--tg-record"]
    options += [f"--tg-model={model}"] if model and model != DEFAULT_MODEL else []
    options += shlex.split(fingerprint.names.get("options", ""))
    options += [f"--tg-rung={rung}"] if (rung := subject.get("rung")) and rung != "as-is" else []
    # names that `-k` reads as expressions are omitted; all units are then recorded, most of them unchanged
    options += ["-k", unit.key] if EXPRESSION.fullmatch(unit.key) else []
    return shlex.join(["pytest", f"{_folder(unit)}/", *options])


def _folder(unit: Unit) -> str:
    """Return the folder of cases, as it appears in the unit's cases."""
    file = Path(unit.cases[0].place.rpartition(":")[0]) if unit.cases else Path()
    return file.parent.parent.as_posix() if len(file.parts) > 2 else "fixtures"


def matching(
    root: Path, units: Sequence[Unit], fingerprint: Fingerprint, model: str | None = None, any_engine: bool = False
) -> list[Baseline]:
    """Return the baselines of `units` recorded from this subject, with these questions and on this engine or any.

    `model` is the subject's `--tg-model`, for the suggested command.

    Raises:
        Refused: a baseline is missing, differs, or is not the ledger's last one; the message names the differences of
            every unit and how to record again. Or the ledger is incomplete.
    """
    found, wrong, ledger, elsewhere = [], [], read_ledger(root), False
    subject, engine, slug = fingerprint.subject, fingerprint.engine, str(fingerprint.subject["model"])
    for unit in units:
        how = how_to_record(unit, fingerprint, model)
        try:
            baseline = read_baseline(baseline_path(root, slug, unit.key), unit.key)
        except Refused as error:
            wrong.append(f"{_other_model(root, slug, unit) or error}; record it: {how}")
            continue
        if _is_supplied(baseline.engine) != _is_supplied(engine):
            where, kinds = show_path(baseline.path), ("generated", "supplied")
            before, now = (kinds[_is_supplied(each)] for each in (baseline.engine, engine))
            wrong.append(
                f"{unit.key}: the baseline ({where}) holds {before} outputs, and this run has {now} ones; the two are "
                f"not compared; record it again: {how}"
            )
        elif (others := differing(baseline, unit, subject)) or (baseline.engine != engine and not any_engine):
            elsewhere = elsewhere or not others
            differences = ", ".join([*others, *engine_differences(baseline.engine, engine)])
            where, how = show_path(baseline.path), f"{_as_it_was(baseline.engine, engine)}record it again: {how}"
            wrong.append(f"{unit.key}: the baseline ({where}) was recorded with {differences}; {how}")
        elif baseline.digest not in (known := ledger.recorded(unit.key, slug)):
            where, last = show_path(baseline.path), "another one as the last" if known else "none of this model yet"
            undone = (
                f", or take an undone recording's event back: git clean {show_path(root / LEDGER)}" if known else ""
            )
            wrong.append(
                f"{unit.key}: expected the baseline ({where}) in the ledger, which names {last}; record it again: "
                f"{how}{undone}"
            )
        found.append(baseline)
    if wrong:
        lines = [*wrong, *([why_not_asked(fingerprint)] if elsewhere else []), *_on_supplied(engine)]
        raise Refused("no baseline to compare with:\n" + "\n".join(f"  {line}" for line in lines))
    return found


def _on_supplied(engine: Mapping[str, str]) -> Iterator[str]:
    """Yield notes for supplied outputs."""
    if _is_supplied(engine):
        yield (
            "OLD-OUTPUTS.jsonl are outputs of the present model; generate outputs for new or edited cases as well: "
            "tunegate prompts > REQUESTS.jsonl; to compare supplied outputs with a model's, name the model's "
            "record: --tg-against=RECORD.json"
        )


def _as_it_was(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """Return how to run on the device and in the precision of a baseline, if they differ."""
    options = [f"--tg-{part}={before[part]}" for part in PLACED if part in before and before[part] != now.get(part)]
    return f"run as it was, with {' '.join(options)}, or " if options and before["backend"] == now["backend"] else ""


def _is_supplied(engine: Mapping[str, str]) -> bool:
    return engine.get("backend") == SUPPLIED


def _other_model(root: Path, slug: str, unit: Unit) -> str:
    # the usual reason for a missing baseline: it is one of the previous model
    others = sorted(path.relative_to(root).parts[0] for path in root.glob(f"*/{unit.key}.json"))
    if not others or slug in others:
        return ""
    return f"{unit.key}: expected a baseline of this model ({slug}), found one of another only ({', '.join(others)})"


def vanished_units(folder: Path, tasks: Sequence[Task]) -> dict[str, Path]:
    """The units with a baseline in a model's folder that are no longer among the cases, each with its file."""
    known = {unit.key for task in tasks for unit in task.units}
    recorded = {
        path.relative_to(folder).as_posix().removesuffix(".json").removesuffix(".released"): path
        for path in sorted(folder.glob("*/*.json"))
        if path.name != DIAGNOSIS
    }
    return {unit: path for unit, path in recorded.items() if unit not in known}


def check_vanished(root: Path, slug: str, tasks: Sequence[Task]) -> None:
    """Refuse baselines of units that are no longer among the cases: a deleted unit must not pass unscored.

    Raises:
        Refused: names them and what to do.
    """
    if gone := vanished_units(root / slug, tasks):
        lines = "\n".join(f"  {unit} ({show_path(path)})" for unit, path in gone.items())
        retired = next(iter(gone))
        raise Refused(
            f"baselines of units that the fixtures do not have (deleted? renamed?):\n{lines}\n"
            f"restore the unit, or retire it with a reason: tunegate retire {retired} --reason TEXT"
        )


def baseline_references(
    root: Path,
    tasks: Sequence[Task],
    units: Sequence[Unit],
    fingerprint: Fingerprint,
    model: str | None,
    branch: Path | None = None,
) -> dict[str, Record]:
    """Return the baseline of `units` and, if there is one of another model, the last release, whatever its base.

    There are several releases if tasks were released with different adapters, as after a retirement and a return. Each
    is named by its tasks and evaluated by itself.

    No baseline holds outputs for sealed cases: the base generates them together with an adapter.

    Args:
        root: the folder of baselines.
        tasks: all tasks of the cases.
        units: the units to compare.
        fingerprint: the candidate's.
        model: its `--tg-model`, for suggested commands; None for the default.
        branch: the baselines of the branch that a change is to be merged into.

    Raises:
        Refused: a baseline is missing or differs in more than the adapter and, if the base can be re-run, the engine; a
            task.yaml is looser than for the baseline or the last release; the last release has other questions or is
            lost; or a unit with a baseline, or of the last release, is missing from the cases.
    """
    subject, slug, ledger = fingerprint.subject, str(fingerprint.subject["model"]), read_ledger(root)
    check_vanished(root, slug, tasks)
    check_units_kept(ledger, [task.name for task in tasks], [unit.key for task in tasks for unit in task.units])
    if not subject.get("adapter"):
        serving = records_in_service(root, ledger, units, _is_supplied(fingerprint.engine), branch)
        # what is in service itself is held to its own baseline, on its own engine
        if serving and not is_same_configuration(as_reference(serving), fingerprint, units):
            return _configurations(root, ledger, tasks, units, fingerprint, serving, model)
    opens = can_ask_base(fingerprint)
    can_run = opens or (not subject.get("adapter") and not _is_supplied(fingerprint.engine))
    recorded = [unit for unit in units if not (unit.sealed and can_run)]
    found = matching(root, recorded, fingerprint, model, any_engine=opens)
    _check_policies(root, tasks, fingerprint, model)
    baseline = _reference(ledger, found, fingerprint) if found else _nothing_of_base(fingerprint)
    check_released_files(root, ledger, units, who(subject))
    return {"baseline": baseline} | last_releases(root, ledger, tasks, units, fingerprint, baseline.noise)


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
    found = dict(_named("baseline", ledger, [*serving, *own], fingerprint))
    noise = {unit: each for record in found.values() for unit, each in record.noise.items()}
    anchors = _named(ANCHOR, ledger, anchor_records(root, ledger, units, serving), fingerprint)
    return found | {name: replace(each, noise=noise) for name, each in anchors}


def _named(
    name: str, ledger: Ledger, records: Sequence[Baseline], fingerprint: Fingerprint
) -> Iterator[tuple[str, Record]]:
    """Yield stored records as references, those of one model and prompting strategy together."""
    by_model: dict[tuple[str | None, ...], list[Baseline]] = {}
    for each in records:
        by_model.setdefault((*who(each.subject), each.subject.get("rung")), []).append(each)
    for number, those in enumerate(by_model.values()):
        tasks = dict.fromkeys(each.unit.rpartition("/")[0] for each in those)
        yield f"{name} of {', '.join(tasks)}" if number else name, _reference(ledger, those, fingerprint)


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

    Args:
        root: the folder of baselines, where the outputs are found by their digest.
        ledger: determines the last releases.
        tasks: all tasks of the cases.
        units: the units to compare.
        fingerprint: the candidate's.
        noise: that of the baseline.

    Raises:
        Refused: see `baseline_references`.
    """
    outputs = released_outputs(root, ledger, [unit for task in tasks for unit in task.units])
    _check_released_policies(outputs, tasks)
    # the released model is compared only with the base: against its own outputs it would always hold
    released = [each for each in _asked_alike(outputs, units) if who(each.subject) != who(fingerprint.subject)]
    # cases flip by themselves whatever the reference
    return {name: replace(_reference(ledger, each, fingerprint), noise=noise) for name, each in _by_release(released)}


def _by_release(released: Sequence[Baseline]) -> Iterator[tuple[str, list[Baseline]]]:
    """Yield the outputs of each release, with its name."""
    found: dict[tuple[str | None, ...], list[Baseline]] = {}
    for each in released:
        found.setdefault(who(each.subject), []).append(each)
    for those in found.values():
        tasks = dict.fromkeys(each.unit.rpartition("/")[0] for each in those)
        yield LAST_RELEASE if len(found) == 1 else f"{LAST_RELEASE} of {', '.join(tasks)}", those


def _nothing_of_base(fingerprint: Fingerprint) -> Record:
    """Return a baseline for sealed units only: the base before it has run."""
    base = replace(fingerprint, subject={**fingerprint.subject, "adapter": None}, names={"model": "baseline"})
    return Record(partial=False, fingerprint=base.as_dict(), questions={}, cases={}, units={})


def _check_policies(root: Path, tasks: Sequence[Task], fingerprint: Fingerprint, model: str | None) -> None:
    """Refuse looser policies unless their baseline is recorded again, where a reviewer sees them beside the scores.

    All units are checked, since a unit that was sealed meanwhile is not among those to compare.
    """
    wrong = []
    for unit, policy in ((unit, task.policies[unit.key]) for task in tasks for unit in task.units):
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
    policies = {key: policy for task in tasks for key, policy in task.policies.items()}
    wrong = [
        f"  {each.unit}: {', '.join(looser)} ({show_path(each.path)})"
        for each in released
        if (looser := policy_changes(each.policy, policies[each.unit], looser=True))
    ]
    if wrong:
        raise Refused("the rules of units are looser than at the last release:\n" + "\n".join(wrong) + f"\n{RENEW}")


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


def engine_notes(references: Mapping[str, Record], fingerprint: Fingerprint, units: Sequence[Unit]) -> list[str]:
    """Return a line for each reference that is re-run because it was recorded on another engine."""
    return [
        f"the {name} was recorded with "
        f"{', '.join(engine_differences(each.fingerprint['engine'], fingerprint.engine))}: re-run on this engine, "
        "where the pair is evaluated"
        for name, each in references.items() if is_elsewhere(each, fingerprint, units)
    ]  # fmt: skip


def evaluation_notes(references: Mapping[str, Record], fingerprint: Fingerprint, units: Sequence[Unit]) -> list[str]:
    """Return a line that names the sealed units and the references that run beside the candidate."""
    sealed = [unit for unit in units if unit.sealed]
    asked = [f"the {name}" for name, each in references.items() if runs_beside(each, fingerprint, sealed)]
    if not (sealed and asked):
        return []
    return [
        f"sealed: {listed([unit.key for unit in sealed])}; evaluated beside the adapter: {' and '.join(asked)}"
    ]  # fmt: skip


def release_notes(references: Mapping[str, Record], subject: Mapping[str, str | None]) -> list[str]:
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
        *engine_notes(references, fingerprint, units), *release_notes(references, fingerprint.subject),
        *evaluation_notes(references, fingerprint, units), *_version_notes(references, fingerprint),
        *configuration_notes(references, units),
    ]  # fmt: skip


def configuration_notes(references: Mapping[str, Record], units: Sequence[Unit]) -> list[str]:
    """Return a line for each unit that a reference ran with another prompt, worked examples or decoding than now."""
    return [
        f"{unit.key}: the {name} and this run have different configurations: {', '.join(differs)}"
        for name, each in references.items()
        for unit in units
        if unit.key in each.configurations
        and (differs := configuration_differences(each.configurations[unit.key], unit.configuration.as_dict()))
    ]


def _version_notes(references: Mapping[str, Record], fingerprint: Fingerprint) -> list[str]:
    """Return a line for each reference from another version of the model than its name means now."""
    if fingerprint.engine.get("backend") != "openai":
        return []
    now = fingerprint.names.get(SERVED, ITSELF)
    return [
        f"the {name} is of {then}, and {fingerprint.names['model']} is {now} now: a difference may come from the "
        "version"
        for name, each in references.items()
        if (then := each.fingerprint.get("names", {}).get(SERVED, ITSELF)) != now
    ]


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
    for key, policy in {key: policy for task in tasks for key, policy in task.policies.items()}.items():
        if looser := policy_changes(record.policies.get(key, policy), policy, looser=True):
            wrong.append(
                f"{name}: {key} has looser rules than when it was evaluated ({', '.join(looser)}); "
                "if that is intended, evaluate it again with --tg-out"
            )
    if wrong:
        raise Refused("\n".join(wrong))
    return record


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
