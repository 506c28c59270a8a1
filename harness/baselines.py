"""Recorded baselines: one file a unit, one case a line, stable text, committed and reviewed like snapshots."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.cases import Task, Unit
from harness.errors import Refused, show_path
from harness.files import file_digest, is_as_stamped, locked, stamped, write_atomically
from harness.policy import policy_changes
from harness.record import SCHEMA_VERSION, Record, Result, Summary, read_json, record_of
from harness.subject import Answer

#: The parts of a subject that must equal the baseline's under `--against baseline`: only the adapter may differ.
FIXED = ("base", "tokenizer", "template", "rung")
DEFAULT_MODEL = "smollm2"
DIAGNOSIS = "diagnosis.json"
SHOWN = 3
EXPRESSION = re.compile(r"[\w:+\-.\[\]/]+")  # what pytest's -k takes for one word
NAMES = {"base": "base weights", "template": "chat template"}


@dataclass(frozen=True)
class Baseline:
    """One unit's recorded results: who gave them, to which questions, by what means, and its `policy` at the time."""

    unit: str
    subject: Mapping[str, str | None]
    engine: Mapping[str, str]
    questions: Mapping[str, str]
    policy: Mapping[str, Any]
    summary: Summary
    results: Mapping[str, Result]
    path: Path

    @property
    def answers(self) -> dict[str, Answer]:
        """Its outputs by generation digest, for reuse where nothing that decides them has changed."""
        return {
            each.generation: Answer(
                f"{self.unit}/{case}", each.output, each.tokens_in, each.tokens_out, finish=each.finish
            )
            for case, result in self.results.items()
            for each in (result.repeats or (result,))
            if each.generation and each.output is not None
        }


def baseline_path(root: Path, slug: str, unit: str, released: bool = False) -> Path:
    """Where a unit's baseline (or last release) of a model stands: `<root>/<model>-<digest8>/<task>/<unit>.json`."""
    return root / slug / f"{unit}{'.released' if released else ''}.json"


def read_baseline(path: Path, unit: str) -> Baseline:
    """Read one unit's file.

    Raises:
        Refused: missing, damaged, or another unit's.
    """
    name = show_path(path)
    try:
        data = read_json(path)
        found, intact = data["unit"], is_as_stamped(data)
        record = record_of(_as_record(data), name)
    except FileNotFoundError:
        raise Refused(f"{unit}: expected a baseline at {name}, found none") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, Refused) as error:
        raise Refused(f"{unit}: expected a baseline at {name}, found a damaged file ({error})") from error
    if not intact:
        raise Refused(f"{unit}: expected the baseline at {name} as it was recorded, found it edited")
    if found != unit:
        raise Refused(f"{unit}: expected its baseline at {name}, found that of {found!r}")
    return Baseline(
        unit, record.identity["subject"], record.identity["engine"], record.questions[unit], record.policies[unit],
        record.units[unit], record.of_unit(unit), path,
    )  # fmt: skip


def _as_record(data: Mapping[str, Any]) -> dict[str, Any]:
    """A baseline's JSON in the shape of a record, whose published schema then serves both."""
    unit = data["unit"]
    questions = {unit: data["questions"]}
    return {
        "schema_version": data["schema_version"],
        "partial": False,
        "identity": {"subject": data["subject"], "engine": data["engine"], "questions": questions},
        "policies": {unit: data["policy"]},
        "cases": {f"{unit}/{case}": result for case, result in data["cases"].items()},
        "units": {unit: data["summary"]},
        "verdicts": {},
        "tasks": {},
        "digest": data["digest"],
    }


def how_to_record(unit: Unit, subject: Mapping[str, str | None], model: str | None = None) -> str:
    """The command that records one unit for a subject; `model` is its `--model` where that is not the default."""
    options = ["--record"]
    options += [f"--model={model}"] if model and model != DEFAULT_MODEL else []
    options += [f"--rung={rung}"] if (rung := subject.get("rung")) and rung != "as-is" else []
    options += ["--sealed"] if unit.sealed else []
    options += ["-k", unit.key] if EXPRESSION.fullmatch(unit.key) else []
    return shlex.join(["pytest", "suites/", *options])


def state(root: Path, slug: str, units: Iterable[Unit], released: bool = False) -> dict[str, str | None]:
    """The digest of each unit's file, None where there is none: what a writer saw when it began."""
    paths = {unit.key: baseline_path(root, slug, unit.key, released) for unit in units}
    return {unit: file_digest(path) if path.is_file() else None for unit, path in paths.items()}


def write_baselines(
    root: Path, slug: str, record: Record, units: Sequence[Unit], seen: Mapping[str, str | None], released: bool = False
) -> list[str]:
    """Write the files of whole units and say in a line each what changed; unchanged files are left alone.

    Compare and swap: `seen` is their `state` when the writer began.

    Raises:
        Refused: another writer changed one of them since; nothing is written.
    """
    texts = {unit.key: _text(record, unit) for unit in units}
    with locked(root / slug / ".recording"):
        _check_unchanged(root, slug, units, seen, released, texts)
        return [
            _write_unit(baseline_path(root, slug, unit.key, released), record, unit, texts[unit.key]) for unit in units
        ]


def _check_unchanged(
    root: Path,
    slug: str,
    units: Sequence[Unit],
    seen: Mapping[str, str | None],
    released: bool,
    texts: Mapping[str, str],
) -> None:
    """Refuse to write over what another writer wrote since, unless it is the same text.

    Raises:
        Refused: names the files.
    """
    now = state(root, slug, units, released)
    paths = {unit: baseline_path(root, slug, unit, released) for unit, sha in now.items() if sha != seen[unit]}
    lost = [path for unit, path in paths.items() if not path.is_file() or path.read_text("utf-8") != texts[unit]]
    if lost:
        raise Refused(
            f"another run changed {', '.join(map(show_path, lost))} meanwhile: nothing of this one is written there; "
            "look at what came, then run the same command again (the outputs are kept, so it is quick)"
        )


def _write_unit(path: Path, record: Record, unit: Unit, text: str) -> str:
    old = _read_or_none(path, unit.key)
    if old and path.read_text("utf-8") == text:
        return f"{unit.key}: unchanged ({show_path(path)})"
    write_atomically(path, text)
    summary = record.units[unit.key]
    if old is None:
        return f"{unit.key}: recorded {summary.n} cases, mean {_number(summary.mean)} ({show_path(path)})"
    changes = "; ".join(_changes(old, record, unit)) or "outputs only"
    return f"{unit.key}: updated: {changes} ({show_path(path)})"


def _read_or_none(path: Path, unit: str) -> Baseline | None:
    try:
        return read_baseline(path, unit)
    except Refused:
        return None


def _changes(old: Baseline, record: Record, unit: Unit) -> list[str]:
    """What an update changed, most suspicious first: loosened rules, the questions, who answered, then the score."""
    asked = question_differences(old.questions, record.questions[unit.key], unit, old.results)
    subject, engine = record.identity["subject"], record.identity["engine"]
    who = [_part_name(part) for part in (*FIXED, "adapter") if old.subject.get(part) != subject.get(part)]
    how = [
        f"{part} {old.engine.get(part)} -> {engine.get(part)}"
        for part in sorted({*old.engine, *engine})
        if old.engine.get(part) != engine.get(part)
    ]
    before, after = old.summary.mean, record.units[unit.key].mean
    moved = [f"mean {_number(before)} -> {_number(after)}"] if before != after else []
    looser, stricter = (
        [f"{how} task.yaml: {', '.join(terms)}"]
        if (terms := policy_changes(old.policy, record.policies[unit.key], flag))
        else []
        for how, flag in (("loosened", True), ("tightened", False))
    )
    return looser + _judged_otherwise(old, record, unit) + stricter + asked + who + how + moved


def _judged_otherwise(old: Baseline, record: Record, unit: Unit) -> list[str]:
    """The same output with another score: the rules changed, not the model."""
    now = record.of_unit(unit.key)
    same = [
        (case, before.score or 0.0, now[case].score or 0.0)
        for case, before in sorted(old.results.items())
        if case in now and before.output == now[case].output and before.repeats == () == now[case].repeats
    ]
    looser = [case for case, before, after in same if after > before]
    stricter = [case for case, before, after in same if after < before]
    return [
        f"{name} rules: the same output now scores {how} in {_some(cases)}"
        for name, how, cases in (("loosened", "higher", looser), ("tightened", "lower", stricter))
        if cases
    ]


def _some(cases: Sequence[str]) -> str:
    more = f" and {len(cases) - SHOWN} more" if len(cases) > SHOWN else ""
    return f"{', '.join(cases[:SHOWN])}{more}"


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.3f}"


def _text(record: Record, unit: Unit) -> str:
    head = {
        "schema_version": SCHEMA_VERSION,
        "unit": unit.key,
        "subject": record.identity["subject"],
        "engine": record.identity["engine"],
        "questions": record.questions[unit.key],
        "policy": record.policies[unit.key],
        "summary": record.units[unit.key].as_dict(),
    }
    results = {case: result.as_dict() for case, result in record.of_unit(unit.key).items()}
    lines = [f"  {json.dumps(case)}: {json.dumps(results[case], sort_keys=True)}" for case in sorted(results)]
    head["digest"] = stamped({**head, "cases": results})["digest"]
    opening = json.dumps(head, indent=1, sort_keys=True).removesuffix("\n}")
    return opening + ',\n "cases": {\n' + ",\n".join(lines) + "\n }\n}\n"


def as_reference(baselines: Sequence[Baseline]) -> Record:
    """Baselines of several units as one record, to compare against."""
    first = baselines[0]
    return Record(
        partial=False,
        identity={"subject": first.subject, "engine": first.engine, "names": {"model": "baseline"}},
        questions={each.unit: each.questions for each in baselines},
        cases={f"{each.unit}/{case}": result for each in baselines for case, result in each.results.items()},
        units={each.unit: each.summary for each in baselines},
        policies={each.unit: each.policy for each in baselines},
    )


def matching(
    root: Path,
    slug: str,
    units: Sequence[Unit],
    subject: Mapping[str, str | None],
    engine: Mapping[str, str],
    model: str | None = None,
) -> list[Baseline]:
    """The baselines of `units` that were recorded from this very subject, engine and questions.

    `model` is the subject's `--model`, for the command that records what is missing.

    Raises:
        Refused: any is missing or differs: names what differs for every unit, and how to re-record.
    """
    found, wrong = [], []
    for unit in units:
        how = how_to_record(unit, subject, model)
        try:
            baseline = read_baseline(baseline_path(root, slug, unit.key), unit.key)
        except Refused as error:
            wrong.append(f"{_other_model(root, slug, unit) or error}; record it: {how}")
            continue
        if differences := differing(baseline, unit, subject, engine):
            where = show_path(baseline.path)
            wrong.append(f"{unit.key}: the baseline ({where}) was recorded with {differences}; record it again: {how}")
        found.append(baseline)
    if wrong:
        raise Refused("no baseline to compare with:\n" + "\n".join(f"  {line}" for line in wrong))
    return found


def _other_model(root: Path, slug: str, unit: Unit) -> str:
    others = sorted(path.relative_to(root).parts[0] for path in root.glob(f"*/{unit.key}.json"))
    if not others or slug in others:
        return ""
    return f"{unit.key}: expected a baseline of this model ({slug}), found one of another only ({', '.join(others)})"


def check_vanished(root: Path, slug: str, tasks: Sequence[Task]) -> None:
    """Refuse baselines of units that the fixtures no longer have: a deleted unit must not pass unjudged.

    Raises:
        Refused: names them, and what to do.
    """
    known = {unit.key for task in tasks for unit in task.units}
    recorded = {
        path.relative_to(root / slug).as_posix().removesuffix(".json").removesuffix(".released"): path
        for path in sorted((root / slug).glob("*/*.json"))
        if path.name != DIAGNOSIS
    }
    gone = [f"  {unit} ({show_path(path)})" for unit, path in recorded.items() if unit not in known]
    if gone:
        lines = "\n".join(gone)
        raise Refused(
            f"baselines of units that the fixtures do not have (deleted? renamed?):\n{lines}\n"
            "bring the unit back, or delete its file here to retire it for good"
        )


def differing(baseline: Baseline, unit: Unit, subject: Mapping[str, str | None], engine: Mapping[str, str]) -> str:
    """What differs between a baseline and a run, in words; empty if nothing does. The adapter may differ."""
    return ", ".join(
        [
            *question_differences(baseline.questions, unit.questions, unit, baseline.results),
            *(_part_name(part) for part in FIXED if baseline.subject.get(part) != subject.get(part)),
            *(
                f"{part} {baseline.engine.get(part)} (now {engine.get(part)})"
                for part in sorted({*baseline.engine, *engine})
                if baseline.engine.get(part) != engine.get(part)
            ),
        ]
    )


def _part_name(part: str) -> str:
    return f"another {NAMES.get(part, part)}"


def question_differences(
    old: Mapping[str, str], new: Mapping[str, str], unit: Unit, results: Mapping[str, Any]
) -> list[str]:
    """Which parts of the questions differ, naming added and removed cases."""
    ids = {case.id for case in unit.cases}
    changed = [f"+{name}" for name in sorted(ids - results.keys())] + [
        f"-{name}" for name in sorted(results.keys() - ids)
    ]
    if changed:
        # every other digest differs with the cases
        return [f"other cases ({_some(changed)})"]
    return [f"other {name}" for name in new if old.get(name) != new[name]] + [
        f"a question part {name!r} that is gone" for name in old if name not in new
    ]


def digests(baselines: Sequence[Baseline]) -> dict[str, str]:
    """The digest of each baseline file, for a training record."""
    return {each.unit: file_digest(each.path) for each in baselines}
