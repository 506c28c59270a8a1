"""The basis of a verdict, and the command that reproduces it."""

from __future__ import annotations

import shlex

from tunegate.harness.core.errors import show_path
from tunegate.harness.core.escaping import shown
from tunegate.harness.history.baselines.diff import engine_differences
from tunegate.harness.models.evaluation.record import Record


def provenance(record: Record) -> dict[str, str]:
    """Return the basis of the verdict, as name and value; digests are complete."""
    found = {
        "record": show_path(record.path) if record.path else "",
        "made": record.created,
        "record's digest": record.digest,
        **(_of_files(record) if record.has_supplied_scores else _of_outputs(record)),
    }
    return {name: value for name, value in found.items() if value}


def _of_outputs(record: Record) -> dict[str, str]:
    subject, engine = record.fingerprint["subject"], record.fingerprint["engine"]
    return {
        "cases": "with sealed ones" if record.sealed else "open ones only",
        "outputs": "supplied, not generated" if record.is_supplied else "generated",
        **{name: str(value) for name, value in subject.items() if value},
        **{f"engine: {name}": str(value) for name, value in engine.items()},
        **{f"{name}, re-run": text for name, text in asked_again(record).items()},
    }


def _of_files(record: Record) -> dict[str, str]:
    """Return what a comparison of two result files rests on."""
    names, engine = record.fingerprint.get("names", {}), record.fingerprint["engine"]
    return {
        "scores": "supplied: not re-scored, never released",
        "written by": engine.get("tool", ""),
        "old file": names.get("old", ""),
        "new file": names.get("new", ""),
        "model of the new file": str(record.fingerprint["subject"].get("model")),
    }


def asked_again(record: Record) -> dict[str, str]:
    """Return, for each reference that was re-run, how its recorded engine differed, in words, or that it may drift."""
    now = record.fingerprint["engine"]
    differs = {name: ", ".join(engine_differences(each.engine, now)) for name, each in record.engines.items()}
    return {name: f"recorded with {text}" if text else "may drift, so run again" for name, text in differs.items()}


def rerun(record: Record) -> str:
    """Return the start of the re-run command; the caller appends a folder, a file or a case's node id."""
    names, options = record.fingerprint.get("names", {}), ["pytest"]
    if record.has_supplied_scores:
        return shown(names.get("command", "tunegate compare OLD NEW --gate"))
    if record.verdicts:
        by_record = any(each.reference == "record" for each in record.verdicts.values())
        options.append(f"--tg-against={'RECORD.json' if by_record else 'baseline'}")
    if model := names.get("model"):
        outputs = f"={names.get('file', 'OUTPUTS.jsonl')}" if record.is_supplied else ""
        options.append(f"--tg-model={shown(model + outputs)}")
    if record.adapter:
        options.append(f"--tg-adapter={shown(record.adapter)}")
    if record.rung != "as-is":
        options.append(f"--tg-rung={record.rung}")
    return shlex.join(options)
