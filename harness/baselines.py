"""Recorded baselines: one file a unit, one case a line, stable text, committed and reviewed like snapshots."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.cases import Unit
from harness.errors import Refused, show_path
from harness.files import file_digest, locked, write_atomically
from harness.record import SCHEMA_VERSION, Record, Result, Summary, read_result
from harness.subject import Answer

#: The parts of a subject that must equal the baseline's under `--against baseline`: only the adapter may differ.
FIXED = ("base", "tokenizer", "template", "rung")
NAMES = {"base": "base weights", "template": "chat template"}


@dataclass(frozen=True)
class Baseline:
    """One unit's recorded results, and who gave them to which questions by what means."""

    unit: str
    subject: Mapping[str, str | None]
    engine: Mapping[str, str]
    questions: Mapping[str, str]
    summary: Summary
    results: Mapping[str, Result]
    path: Path

    @property
    def answers(self) -> dict[str, Answer]:
        """Its outputs by generation digest, for reuse where nothing that decides them has changed."""
        return {
            each.generation: Answer(
                f"{self.unit}/{case}", each.output, each.tokens_in, each.tokens_out,
                finish="length" if each.finish == "length" else "stop",
            )
            for case, result in self.results.items()
            for each in (result.repeats or (result,))
            if each.generation and each.output is not None
        }  # fmt: skip


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
        data = json.loads(path.read_text("utf-8"))
        if data["schema_version"] != SCHEMA_VERSION or data["unit"] != unit:
            raise Refused(f"{name}: expected the baseline of {unit}, found {data['unit']!r}; re-record it")
        summary = data["summary"]
        return Baseline(
            unit, data["subject"], data["engine"], data["questions"],
            Summary(**{**summary, "interval": summary["interval"] and tuple(summary["interval"]),
                       "tokens": summary.get("tokens") and tuple(summary["tokens"])}),
            {case: read_result(raw) for case, raw in data["cases"].items()},
            path,
        )  # fmt: skip
    except FileNotFoundError:
        raise Refused(f"{unit}: expected a baseline at {name}, found none; record it first: {_how(unit)}") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Refused(
            f"{name}: expected a baseline, found a damaged file ({error!r}); restore or re-record it"
        ) from error


def _how(unit: str) -> str:
    return f"pytest suites/ --record -k '{unit}'"


def write_baselines(root: Path, slug: str, record: Record, units: Iterable[Unit], released: bool = False) -> list[str]:
    """Write the files of whole units and say in a line each what changed; unchanged files are left alone."""
    return [_write_unit(baseline_path(root, slug, unit.key, released), record, unit) for unit in units]


def _write_unit(path: Path, record: Record, unit: Unit) -> str:
    text = _text(record, unit)
    with locked(path.parent.parent / ".recording"):
        old = _read_or_none(path, unit.key)
        if old and path.read_text("utf-8") == text:
            return f"{unit.key}: unchanged ({show_path(path)})"
        write_atomically(path, text)
    summary = record.units[unit.key]
    if old is None:
        return f"{unit.key}: recorded {summary.n} cases, mean {_number(summary.mean)} ({show_path(path)})"
    return f"{unit.key}: updated: {'; '.join(_changes(old, record, unit)) or 'outputs only'} ({show_path(path)})"


def _read_or_none(path: Path, unit: str) -> Baseline | None:
    try:
        return read_baseline(path, unit)
    except Refused:
        return None


def _changes(old: Baseline, record: Record, unit: Unit) -> list[str]:
    """What an update changed, most suspicious first: the questions, then who answered, then the score."""
    asked = [
        f"{name} changed" for name, value in record.questions[unit.key].items() if old.questions.get(name) != value
    ]
    subject, engine = record.identity["subject"], record.identity["engine"]
    who = [f"{name} changed" for name in (*FIXED, "adapter") if old.subject.get(name) != subject.get(name)]
    how = [
        f"{name} {old.engine.get(name)} -> {value}" for name, value in engine.items() if old.engine.get(name) != value
    ]
    before, after = old.summary.mean, record.units[unit.key].mean
    moved = [f"mean {_number(before)} -> {_number(after)}"] if before != after else []
    return asked + who + how + moved


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.3f}"


def _text(record: Record, unit: Unit) -> str:
    head = {
        "schema_version": SCHEMA_VERSION,
        "unit": unit.key,
        "subject": record.identity["subject"],
        "engine": record.identity["engine"],
        "questions": record.questions[unit.key],
        "summary": record.units[unit.key].as_dict(),
    }
    results = record.of_unit(unit.key)
    lines = [f"  {json.dumps(case)}: {json.dumps(results[case].as_dict(), sort_keys=True)}" for case in sorted(results)]
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
    )


def matching(
    root: Path, slug: str, units: Sequence[Unit], subject: Mapping[str, str | None], engine: Mapping[str, str]
) -> list[Baseline]:
    """The baselines of `units` that were recorded from this very subject, engine and questions.

    Raises:
        Refused: any is missing or differs: names what differs for every unit, and how to re-record.
    """
    found, wrong = [], []
    for unit in units:
        try:
            baseline = read_baseline(baseline_path(root, slug, unit.key), unit.key)
            differences = differing(baseline, unit, subject, engine)
        except Refused as error:
            wrong.append(_other_model(root, slug, unit) or str(error))
            continue
        if differences:
            where = show_path(baseline.path)
            wrong.append(
                f"{unit.key}: the baseline ({where}) was recorded with {differences}; re-record: {_how(unit.key)}"
            )
        found.append(baseline)
    if wrong:
        raise Refused("no baseline to compare with:\n" + "\n".join(f"  {line}" for line in wrong))
    return found


def _other_model(root: Path, slug: str, unit: Unit) -> str:
    others = sorted(path.parts[len(root.parts)] for path in root.glob(f"*/{unit.key}.json"))
    if not others or slug in others:
        return ""
    return (
        f"{unit.key}: expected a baseline of this model ({slug}), found one of another model only "
        f"({', '.join(others)}); record it with the right --model: {_how(unit.key)}"
    )


def differing(baseline: Baseline, unit: Unit, subject: Mapping[str, str | None], engine: Mapping[str, str]) -> str:
    """What differs between a baseline and a run, in words; empty if nothing does. The adapter may differ."""
    return ", ".join(
        [
            *(question_differences(baseline.questions, unit.questions, unit, baseline.results)),
            *(f"another {NAMES.get(part, part)}" for part in FIXED if baseline.subject.get(part) != subject.get(part)),
            *(
                f"{part} {baseline.engine.get(part)} (now {engine.get(part)})"
                for part in sorted({*baseline.engine, *engine})
                if baseline.engine.get(part) != engine.get(part)
            ),
        ]
    )


def question_differences(
    old: Mapping[str, str], new: Mapping[str, str], unit: Unit, results: Mapping[str, Any]
) -> list[str]:
    """Which parts of the questions differ, naming added and removed cases."""
    ids = {case.id for case in unit.cases}
    added, removed = sorted(ids - results.keys()), sorted(results.keys() - ids)
    if added or removed:
        listed = [f"+{name}" for name in added[:3]] + [f"-{name}" for name in removed[:3]]
        more = len(added) + len(removed) - len(listed)
        return [f"other cases ({', '.join(listed)}{f' and {more} more' if more else ''})"]
    return [f"other {name}" for name in new if old.get(name) != new[name]] + [
        f"a question part {name!r} that is gone" for name in old if name not in new
    ]


def digests(baselines: Sequence[Baseline]) -> dict[str, str]:
    """The digest of each baseline file, for a training record."""
    return {each.unit: file_digest(each.path) for each in baselines}


def renewed(record: Record) -> Record:
    """The record without what may not stand in a baseline."""
    return replace(record, created="", adapter=None)
