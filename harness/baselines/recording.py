"""Writing baselines: whole units, by compare and swap, with a line for each that says what changed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from tunegate.harness.baselines.diff import number, update_changes
from tunegate.harness.baselines.store import Baseline, baseline_path, read_baseline, state
from tunegate.harness.core.errors import Refused, show_path
from tunegate.harness.core.files import locked, stamped, write_atomically
from tunegate.harness.core.reading import read_text
from tunegate.harness.evaluation.record import SCHEMA_VERSION, Record
from tunegate.harness.fixtures.model import Unit


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
    # The lock alone does not do: a run takes minutes, and the later of two would write over answers that it never saw.
    now = state(root, slug, units, released)
    paths = {unit: baseline_path(root, slug, unit, released) for unit, sha in now.items() if sha != seen[unit]}
    lost = [path for unit, path in paths.items() if not path.is_file() or read_text(path) != texts[unit]]
    if lost:
        raise Refused(
            f"another run changed {', '.join(map(show_path, lost))} meanwhile: nothing of this one is written there; "
            "look at what came, then run the same command again (the outputs are kept, so it is quick)"
        )


def _write_unit(path: Path, record: Record, unit: Unit, text: str) -> str:
    old = _read_or_none(path, unit.key)
    # left alone, so that neither git nor a build tool sees a change where there is none
    if old and read_text(path) == text:
        return f"{unit.key}: unchanged ({show_path(path)})"
    write_atomically(path, text)
    summary = record.units[unit.key]
    if old is None:
        return f"{unit.key}: recorded {summary.n} cases, mean {number(summary.mean)} ({show_path(path)})"
    changes = "; ".join(update_changes(old, record, unit)) or "outputs only"
    return f"{unit.key}: updated: {changes} ({show_path(path)})"


def _read_or_none(path: Path, unit: str) -> Baseline | None:
    try:
        return read_baseline(path, unit)
    except Refused:
        return None


def _text(record: Record, unit: Unit) -> str:
    head = {
        "schema_version": SCHEMA_VERSION,
        "unit": unit.key,
        "subject": record.fingerprint["subject"],
        "engine": record.fingerprint["engine"],
        "questions": record.questions[unit.key],
        "scorer": record.scorers[unit.key],
        "policy": record.policies[unit.key],
        "summary": record.units[unit.key].as_dict(),
    }
    results = {case: result.as_dict() for case, result in record.of_unit(unit.key).items()}
    # One case a line, in the order of their ids: a review shows which cases changed, and git merges what two people
    # did. No times, hosts or inputs, or a line would change although its answer did not.
    lines = [f"  {json.dumps(case)}: {json.dumps(results[case], sort_keys=True)}" for case in sorted(results)]
    head["digest"] = stamped({**head, "cases": results})["digest"]
    opening = json.dumps(head, indent=1, sort_keys=True).removesuffix("\n}")
    return opening + ',\n "cases": {\n' + ",\n".join(lines) + "\n }\n}\n"
