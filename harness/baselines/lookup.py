"""Finding the baselines that a run may be compared with, or the refusal that says how to record them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from tunegate.harness.baselines.diff import differing, engine_differences, question_differences
from tunegate.harness.baselines.releases import RENEW, check_released_files, check_units_kept, released_outputs
from tunegate.harness.baselines.store import Baseline, as_reference, baseline_path, read_baseline
from tunegate.harness.cases.model import Task, Unit
from tunegate.harness.cases.policy import policy_changes
from tunegate.harness.core.errors import Refused, show_path
from tunegate.harness.core.formatting import listed
from tunegate.harness.evaluation.engines import can_ask_base, is_elsewhere, runs_beside, why_not_asked
from tunegate.harness.evaluation.record import Noise, Record, read_record
from tunegate.harness.ledger.ledger import LEDGER, Ledger, model_name, read_ledger, who
from tunegate.harness.models.api import ITSELF, SERVED, SUPPLIED, Completion, Fingerprint
from tunegate.harness.models.model_options import REPLAY, split_replay

LAST_RELEASE = "last release"
DEFAULT_MODEL = "smollm2"
DIAGNOSIS = "diagnosis.json"
PLACED = ("device", "dtype")  # of an engine, the parts that an option sets
DIGEST = re.compile(r"[0-9a-f]{64}")
EXPRESSION = re.compile(r"[\w:+\-.\[\]/]+")  # what pytest's -k takes for one word


def is_last_release(name: str) -> bool:
    """Whether this is what a last release is called among references."""
    return name.startswith(LAST_RELEASE)


def how_to_record(unit: Unit, fingerprint: Fingerprint, model: str | None = None) -> str:
    """The command that records one unit of who has a fingerprint; `model` is its `--tg-model`, if not the default."""
    subject = fingerprint.subject
    if model and model.startswith(REPLAY):
        options = ["--from=OLD-OUTPUTS.jsonl", "--requests=REQUESTS.jsonl", f"--name={split_replay(model)[0]}"]
        options += [f"--rung={rung}"] if (rung := subject.get("rung")) and rung != "as-is" else []
        return shlex.join(["tunegate", "record", *options, *(["--sealed"] if unit.sealed else []), unit.key])
    options = ["--tg-record"]
    options += [f"--tg-model={model}"] if model and model != DEFAULT_MODEL else []
    options += shlex.split(fingerprint.names.get("options", ""))
    options += [f"--tg-rung={rung}"] if (rung := subject.get("rung")) and rung != "as-is" else []
    # a name that `-k` would read as an expression is left out: all units are recorded then, most of them unchanged
    options += ["-k", unit.key] if EXPRESSION.fullmatch(unit.key) else []
    return shlex.join(["pytest", f"{_folder(unit)}/", *options])


def _folder(unit: Unit) -> str:
    """The folder of fixtures, as the unit's cases were found in it."""
    file = Path(unit.cases[0].place.rpartition(":")[0]) if unit.cases else Path()
    return file.parent.parent.as_posix() if len(file.parts) > 2 else "fixtures"


def matching(
    root: Path, units: Sequence[Unit], fingerprint: Fingerprint, model: str | None = None, any_engine: bool = False
) -> list[Baseline]:
    """The baselines of `units` that were recorded from this very subject and questions, and on this engine or on any.

    `model` is the subject's `--tg-model`, for the command that records what is missing.

    Raises:
        Refused: any is missing, differs, or is not the one that the ledger names last: names what differs for every
            unit, and how to re-record. Or the ledger is not whole.
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
                f"{unit.key}: the baseline ({where}) holds outputs that were {before}, and those of this run were "
                f"{now}; the two are not compared; record it again: {how}"
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
    """What is to be known where outputs are supplied."""
    if _is_supplied(engine):
        yield (
            "OLD-OUTPUTS.jsonl are the answers of the model as it is now; new or edited cases have to be asked of it, "
            "too: tunegate prompts > REQUESTS.jsonl; to compare supplied outputs with a model's, name the model's "
            "record: --tg-against=RECORD.json"
        )


def _as_it_was(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """How to run on the device and in the precision of a baseline, where they differ."""
    options = [f"--tg-{part}={before[part]}" for part in PLACED if part in before and before[part] != now.get(part)]
    return f"run as it was, with {' '.join(options)}, or " if options and before["backend"] == now["backend"] else ""


def _is_supplied(engine: Mapping[str, str]) -> bool:
    return engine.get("backend") == SUPPLIED


def _other_model(root: Path, slug: str, unit: Unit) -> str:
    # the usual reason for a missing baseline: there is one, of the model before
    others = sorted(path.relative_to(root).parts[0] for path in root.glob(f"*/{unit.key}.json"))
    if not others or slug in others:
        return ""
    return f"{unit.key}: expected a baseline of this model ({slug}), found one of another only ({', '.join(others)})"


def check_vanished(root: Path, slug: str, tasks: Sequence[Task]) -> None:
    """Refuse baselines of units that the fixtures no longer have: a deleted unit must not pass unscored.

    Raises:
        Refused: names them, and what to do.
    """
    known = {unit.key for task in tasks for unit in task.units}
    recorded = {
        path.relative_to(root / slug).as_posix().removesuffix(".json").removesuffix(".released"): path
        for path in sorted((root / slug).glob("*/*.json"))
        if path.name != DIAGNOSIS
    }
    gone = {unit: path for unit, path in recorded.items() if unit not in known}
    if gone:
        lines = "\n".join(f"  {unit} ({show_path(path)})" for unit, path in gone.items())
        retired = next(iter(gone))
        raise Refused(
            f"baselines of units that the fixtures do not have (deleted? renamed?):\n{lines}\n"
            f"bring the unit back, or say why it goes: tunegate retire {retired} --reason TEXT"
        )


def baseline_references(
    root: Path, tasks: Sequence[Task], units: Sequence[Unit], fingerprint: Fingerprint, model: str | None
) -> dict[str, Record]:
    """The baseline of `units` and, where there is one of another model, the last release, whatever its base.

    Several where tasks were released with different adapters, as when one was retired and came back: each is named by
    its tasks, and asked by itself.

    No baseline holds answers to sealed cases: those the base is asked when they are opened for an adapter.

    Args:
        root: the folder of baselines.
        tasks: all tasks of the fixtures.
        units: the units to be compared.
        fingerprint: the candidate's.
        model: its `--tg-model`, for the commands in messages; None for the default.

    Raises:
        Refused: a baseline is missing or differs in more than the adapter and, where the base can be asked, the engine;
            a task.yaml became looser than it was when the baseline or the last release was recorded, the last release
            differs in its questions or is lost, or the fixtures lost a unit that has a baseline, or that the last
            release was judged on.
    """
    subject, slug, ledger = fingerprint.subject, str(fingerprint.subject["model"]), read_ledger(root)
    check_vanished(root, slug, tasks)
    check_units_kept(ledger, [task.name for task in tasks], [unit.key for task in tasks for unit in task.units])
    opens = can_ask_base(fingerprint)
    recorded = [unit for unit in units if not (unit.sealed and opens)]
    found = matching(root, recorded, fingerprint, model, any_engine=opens)
    _check_policies(root, tasks, fingerprint, model)
    baseline = as_reference(found, fingerprint.engine) if found else _nothing_of_base(fingerprint)
    check_released_files(root, ledger, units, who(subject))
    return {"baseline": baseline} | last_releases(root, ledger, tasks, units, fingerprint, baseline.noise)


def last_releases(
    root: Path,
    ledger: Ledger,
    tasks: Sequence[Task],
    units: Sequence[Unit],
    fingerprint: Fingerprint,
    noise: Mapping[str, Noise],
) -> dict[str, Record]:
    """The outputs of the last releases of other models that a ledger knows, for `units`, by name.

    Args:
        root: the folder of baselines, where the outputs are found by their digest.
        ledger: which releases are the last.
        tasks: all tasks of the fixtures.
        units: the units to be compared.
        fingerprint: the candidate's.
        noise: that of the baseline.

    Raises:
        Refused: see `baseline_references`.
    """
    outputs = released_outputs(root, ledger, [unit for task in tasks for unit in task.units])
    _check_released_policies(outputs, tasks)
    # the released model itself is compared with the base alone: against its own outputs it would always hold
    released = [each for each in _asked_alike(outputs, units) if who(each.subject) != who(fingerprint.subject)]
    # what flips by itself does so whoever answered before
    return {name: replace(as_reference(each, fingerprint.engine), noise=noise) for name, each in _by_release(released)}


def _by_release(released: Sequence[Baseline]) -> Iterator[tuple[str, list[Baseline]]]:
    """The outputs of each release, with its name."""
    found: dict[tuple[str | None, ...], list[Baseline]] = {}
    for each in released:
        found.setdefault(who(each.subject), []).append(each)
    for those in found.values():
        tasks = dict.fromkeys(each.unit.rpartition("/")[0] for each in those)
        yield LAST_RELEASE if len(found) == 1 else f"{LAST_RELEASE} of {', '.join(tasks)}", those


def _nothing_of_base(fingerprint: Fingerprint) -> Record:
    """A baseline where all is sealed: the base, before it was asked anything."""
    base = replace(fingerprint, subject={**fingerprint.subject, "adapter": None}, names={"model": "baseline"})
    return Record(partial=False, fingerprint=base.as_dict(), questions={}, cases={}, units={})


def _check_policies(root: Path, tasks: Sequence[Task], fingerprint: Fingerprint, model: str | None) -> None:
    """A looser policy counts once its baseline is recorded again: there a reviewer sees it beside the scores.

    All units are looked at, for one that was sealed since is not among those to be compared.
    """
    wrong = []
    for unit, policy in ((unit, task.policies[unit.key]) for task in tasks for unit in task.units):
        path = baseline_path(root, str(fingerprint.subject["model"]), unit.key)
        # without a baseline there is nothing to loosen; a unit that is judged is refused for that by `matching`
        known = read_baseline(path, unit.key).policy if path.exists() else policy
        if looser := policy_changes(known, policy, looser=True):
            how = f"record it again: {how_to_record(unit, fingerprint, model)}"
            if unit.sealed and can_ask_base(fingerprint):
                how = f"delete {show_path(path)}: nothing is recorded of sealed cases"
            wrong.append(f"  {unit.key}: {', '.join(looser)}; if that is meant, {how}")
    if wrong:
        raise Refused("what units are held to is looser than when the baseline was recorded:\n" + "\n".join(wrong))


def _check_released_policies(released: Sequence[Baseline], tasks: Sequence[Task]) -> None:
    """A policy that is looser than the one of the last release counts once that is renewed, as for a baseline."""
    policies = {key: policy for task in tasks for key, policy in task.policies.items()}
    wrong = [
        f"  {each.unit}: {', '.join(looser)} ({show_path(each.path)})"
        for each in released
        if (looser := policy_changes(each.policy, policies[each.unit], looser=True))
    ]
    if wrong:
        raise Refused("what units are held to is looser than at the last release:\n" + "\n".join(wrong) + f"\n{RENEW}")


def _asked_alike(released: Sequence[Baseline], units: Sequence[Unit]) -> list[Baseline]:
    """The outputs of the last release for `units`, if the questions are the same."""
    by_key = {unit.key: unit for unit in units}
    found = [each for each in released if each.unit in by_key]
    for each in found:
        unit = by_key[each.unit]
        if changed := question_differences(each.questions, unit.questions, unit, each.results):
            raise Refused(
                f"{unit.key}: the last release ({show_path(each.path)}) was judged with {', '.join(changed)}; {RENEW}"
            )
    return found


def engine_notes(references: Mapping[str, Record], fingerprint: Fingerprint) -> list[str]:
    """A line for each reference that is asked again, since it was recorded on another engine than the candidate's."""
    return [
        f"the {name} was recorded with "
        f"{', '.join(engine_differences(each.fingerprint['engine'], fingerprint.engine))}: asked again on this engine, "
        "where the pair is judged"
        for name, each in references.items() if is_elsewhere(each, fingerprint)
    ]  # fmt: skip


def evaluation_notes(references: Mapping[str, Record], fingerprint: Fingerprint, units: Sequence[Unit]) -> list[str]:
    """A line that names the sealed units, and who is asked them beside the candidate."""
    sealed = [unit for unit in units if unit.sealed]
    asked = [f"the {name}" for name, each in references.items() if runs_beside(each, fingerprint, sealed)]
    if not (sealed and asked):
        return []
    return [f"opened: {listed([unit.key for unit in sealed])}, which {' and '.join(asked)} answered beside the adapter"]


def release_notes(references: Mapping[str, Record], subject: Mapping[str, str | None]) -> list[str]:
    """A line where the last release answers on another base than the candidate: it is compared with all the same."""
    found = [reference.fingerprint["subject"] for name, reference in references.items() if is_last_release(name)]
    return [
        f"the last release, {model_name(each)}, has another base than the candidate, on {subject.get('model')}: "
        "compared with it all the same"
        for each in found if each.get("base") != subject.get("base")
    ]  # fmt: skip


def reference_notes(references: Mapping[str, Record], fingerprint: Fingerprint, units: Sequence[Unit]) -> list[str]:
    """What is to be told of references beside the verdicts, a line each."""
    return [
        *engine_notes(references, fingerprint), *release_notes(references, fingerprint.subject),
        *evaluation_notes(references, fingerprint, units), *_version_notes(references, fingerprint),
    ]  # fmt: skip


def _version_notes(references: Mapping[str, Record], fingerprint: Fingerprint) -> list[str]:
    """A line for each reference that another version gave than the one to which the same name leads now."""
    if fingerprint.engine.get("backend") != "openai":
        return []
    now = fingerprint.names.get(SERVED, ITSELF)
    return [
        f"the {name} was answered by {then}, and {fingerprint.names['model']} by {now} now: a difference may be the "
        "version's"
        for name, each in references.items()
        if (then := each.fingerprint.get("names", {}).get(SERVED, ITSELF)) != now
    ]


def record_reference(path: Path, tasks: Sequence[Task], units: Sequence[Unit]) -> Record:
    """The record at `path`, if it asked the very questions that `units` ask; subject and engine may differ.

    Raises:
        Refused: not a complete record, other questions, or a task.yaml that became looser since: names what differs for
            every unit, and the units that the fixtures (`tasks`) no longer have.
    """
    record = read_record(path)
    name = show_path(path)
    if record.has_supplied_scores:
        raise Refused(f"{name}: its scores were supplied by another tool: they are not re-scored, and no reference")
    # its missing cases may be the ones that fail
    if record.partial:
        raise Refused(f"{name}: expected a complete record, found a partial one; judge whole units")
    known = {unit.key for task in tasks for unit in task.units}
    wrong = [
        f"{name}: {key} is not among the fixtures (deleted? renamed?); bring it back, or judge a record without it"
        for key in record.units
        if key not in known
    ]
    for unit in units:
        if unit.key not in record.questions:
            wrong.append(f"{name}: expected results for {unit.key}, found none; judge it again")
        elif changed := question_differences(
            record.questions[unit.key], unit.questions, unit, record.of_unit(unit.key)
        ):
            wrong.append(f"{name}: {unit.key} was asked with {', '.join(changed)}; judge it again with --tg-out")
    wrong += [f"{name}: expected what {key} is held to, found none" for key in record.units.keys() - record.policies]
    for key, policy in {key: policy for task in tasks for key, policy in task.policies.items()}.items():
        if looser := policy_changes(record.policies.get(key, policy), policy, looser=True):
            wrong.append(
                f"{name}: {key} is held to less than when it was judged ({', '.join(looser)}); "
                "if that is meant, judge it again with --tg-out"
            )
    if wrong:
        raise Refused("\n".join(wrong))
    return record


def difference_notes(record: Record, fingerprint: Fingerprint, tasks: Sequence[Task]) -> list[str]:
    """A line for each part of subject, engine and policy in which a candidate differs from a record."""
    notes = []
    for part, old, new in (
        ("subject", record.fingerprint["subject"], fingerprint.subject),
        ("engine", record.fingerprint["engine"], fingerprint.engine),
    ):
        notes += [
            f"{part} differs: {key} {_short(old.get(key))} -> {_short(new.get(key))}"
            for key in sorted({*old, *new}) if old.get(key) != new.get(key)
        ]  # fmt: skip
    for key, policy in {key: policy for task in tasks for key, policy in task.policies.items()}.items():
        if changed := policy_changes(record.policies.get(key, policy), policy, looser=False):
            notes.append(f"task.yaml is stricter for {key}: {', '.join(changed)}")
    return notes


def _short(value: object) -> str:
    """A digest by its first digits; a name in full, or two that begin alike would read alike."""
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
    """The outputs in the files of `units` by generation digest; a missing or damaged file holds none.

    Nor does one whose place in the ledger is another's: its outputs may be anybody's.
    """
    found: dict[str, Completion] = {}
    ledger = read_ledger(root)
    for unit in units:
        try:
            baseline = read_baseline(baseline_path(root, slug, unit.key, released), unit.key)
        except Refused:
            continue  # about to be written anew
        known = (
            {event.files.get(unit.key) for event in ledger.last_release(unit.task)}
            if released
            else ledger.recorded(unit.key, slug)
        )
        if not known or baseline.digest in known:
            found |= baseline.completions
    return found
