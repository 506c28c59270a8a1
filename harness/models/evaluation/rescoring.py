"""Rescoring of records: the stored outputs count, never the stored scores. No model is run.

If the same check and libraries produced a stored score, a different score now means that the file was edited, and it is
refused. Otherwise the outputs are scored again, and the cases whose score changed are listed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tunegate.harness.cases.model import CHECK_VERSION, Unit
from tunegate.harness.core.errors import Refused, show_path
from tunegate.harness.core.formatting import listed
from tunegate.harness.core.garbage import no_collection
from tunegate.harness.core.progress import Watch
from tunegate.harness.models.api import Completion, Fingerprint
from tunegate.harness.models.evaluation.record import Record, Result, Summary, results_of
from tunegate.harness.models.evaluation.run_facts import RescoredUnit
from tunegate.harness.models.evaluation.scoring import evaluate, summarize
from tunegate.harness.models.replay import Replay

# Relative, of scores and means: another processor sums in another order. The new score counts in any case.
TOLERANCE = 1e-9


@dataclass(frozen=True)
class Rescored:
    """A record with the present scores of its outputs.

    `anew` are the units scored before by another version of their check or of its libraries: `why`,
    how many `cases`, and the ids of those that `changed`.
    """

    record: Record
    anew: Mapping[str, RescoredUnit]

    def notes(self, name: str) -> list[str]:
        """Return a line for each unit in `anew`; `name` is the name of the record."""
        return [
            f"{unit}: the outputs of {name} were scored again ({each.why}): "
            f"{len(each.changed)} of {each.cases} cases changed their score{_some(each.changed)}"
            for unit, each in self.anew.items()
        ]


def rescored_units(scored: Mapping[str, Rescored]) -> dict[str, Mapping[str, RescoredUnit]]:
    """Return the units scored again, by the name of their record, for the record of a run."""
    return {name: each.anew for name, each in scored.items() if each.anew}


def _some(changed: Sequence[str]) -> str:
    return f" ({listed(changed)})" if changed else ""


@no_collection()
def score_again(units: Sequence[Unit], record: Record, name: str, watch: Watch) -> Rescored:
    """Score the outputs of a record with the present checks, for the units of the fixtures with its questions.

    `name` names the record in messages. Refused for a score, rate or finding that the same check
    and libraries do not reproduce, or a wrong mean.
    """
    known = [record.part_of(unit) for unit in units if unit.key in record.units]
    fingerprint = Fingerprint(
        record.fingerprint["subject"], record.fingerprint["engine"], {"model": f"the outputs of {name} again"}
    )
    again = evaluate(known, Replay(completions_of(known, record), fingerprint), watch, record.repeats)
    _check_as_scored(known, record, again, name)
    anew = {unit.key: _changes(unit, why, record, again) for unit in known if (why := _other_scorer(unit, record))}
    scored = replace(
        record, questions=again.questions, scorers=again.scorers, cases=again.cases, units=again.units
    )  # fmt: skip
    return Rescored(scored, anew)


def completions_of(units: Sequence[Unit], record: Record) -> dict[tuple[str, int], Completion]:
    """Return the outputs of a record by case and repeat, leaving out any of another kind than its case asks for."""
    texts = {case.key: len(unit.texts(case)) for unit in units if not unit.of for case in unit.cases}
    return {
        (key, repeat): each.as_completion(key, repeat)
        for key, repeat, each in results_of(record)
        if key in texts and len(each.logprobs) == texts[key] and (each.output is None or not texts[key])
    }


def _other_scorer(unit: Unit, record: Record) -> str:
    """Return what scored a unit of the record and has another version now, in words; empty if nothing has."""
    before = {"check version": record.questions[unit.key].get(CHECK_VERSION), **record.scorers.get(unit.key, {})}
    now = {"check version": unit.questions[CHECK_VERSION], **unit.check_kind.scorer}
    parts = [part for part in dict.fromkeys([*now, *before]) if before.get(part) != now.get(part)]
    return ", ".join(f"{part} {before.get(part)} -> {now.get(part)}" for part in parts)


def _changes(unit: Unit, why: str, record: Record, again: Record) -> RescoredUnit:
    stored, now = record.of_unit(unit.key), again.of_unit(unit.key)
    changed = tuple(
        case.id for case in unit.cases
        if case.id not in stored or not _close(stored[case.id].score, now[case.id].score)
    )  # fmt: skip
    return RescoredUnit(why, len(unit.cases), changed)


def _check_as_scored(units: Sequence[Unit], record: Record, again: Record, name: str) -> None:
    path = show_path(record.path) if record.path else name
    where = f" ({path})" if path != name else ""
    wrong = []
    for unit in units:
        found = [*_wrong_summary(unit, record), *([] if _other_scorer(unit, record) else _wrong(unit, record, again))]
        if found:
            wrong.append(f"{unit.key}: {name}{where} does not match its outputs: {_first(found)}")
    if wrong:
        raise Refused(
            "\n".join(wrong) + "\nit was edited, or a check changed without a new `version`; restore the file that a "
            "run wrote, or create it again (a baseline: --tg-record --tg-fresh)"
        )


def _first(found: Sequence[str]) -> str:
    more = f", and {len(found) - 3} more" if len(found) > 3 else ""
    return f"{'; '.join(found[:3])}{more}"


def _wrong_summary(unit: Unit, record: Record) -> Iterator[str]:
    """Yield where the numbers of a unit do not match its stored cases."""
    results = record.of_unit(unit.key)
    if results.keys() != {case.id for case in unit.cases}:
        return  # reported by case
    stored, in_order = record.units[unit.key], [results[case.id] for case in unit.cases]
    now = summarize(unit, in_order)
    for part in Summary.__slots__:
        old, new = getattr(stored, part), getattr(now, part)
        if not _close(old, new):
            yield f"the {part} of its cases stored as {_shown(old)}, now {_shown(new)}"


def _wrong(unit: Unit, record: Record, again: Record) -> Iterator[str]:
    """Yield a line for each case whose stored result does not match its output."""
    stored, now = record.of_unit(unit.key), again.of_unit(unit.key)
    for case in dict.fromkeys([*now, *stored]):
        if case not in stored or case not in now:
            yield f"{case} {'is missing' if case in now else 'is not in the fixtures'}"
        elif differs := _difference(stored[case], now[case]):
            yield f"{case} {differs}"


def _difference(stored: Result, now: Result) -> str:
    if len(stored.repeats) != len(now.repeats):
        return f"stored with {len(stored.repeats) or 1} outputs, now {len(now.repeats) or 1}"
    for part, old, new in _parts(stored, now):
        if not _close(old, new):
            return f"{part} stored as {_shown(old)}, now {_shown(new)}"
    return next((found for pair in zip(stored.repeats, now.repeats, strict=True) if (found := _difference(*pair))), "")


def _parts(stored: Result, now: Result) -> Iterator[tuple[str, Any, Any]]:
    for part in ("score", "passed", "rates", "output", "tokens_in", "tokens_out", "fields"):
        yield part, getattr(stored, part), getattr(now, part)
    yield "findings", _places(stored), _places(now)


def _places(result: Result) -> list[tuple[str, str]]:
    # by rule and path: the wording of a finding may change without a new version of its check
    return sorted({(each.rule, each.path) for each in result.findings})


def _close(old: Any, new: Any) -> bool:
    """Whether two values are equal; numbers within the tolerance, also inside tuples and mappings."""
    if old == new:
        return True
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return old.keys() == new.keys() and all(_close(old[key], new[key]) for key in old)
    if isinstance(old, tuple) and isinstance(new, tuple):
        return len(old) == len(new) and all(map(_close, old, new))
    if isinstance(old, float) and isinstance(new, float | int):
        return math.isclose(old, new, rel_tol=TOLERANCE, abs_tol=1e-12)
    return False


def _shown(value: Any) -> str:
    if isinstance(value, list):  # findings
        return listed([f"{rule}{path and ' at ' + path}" for rule, path in value]) or "none"
    text = "none" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:60]}..."
