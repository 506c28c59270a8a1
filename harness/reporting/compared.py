"""What is compared with what: each side's name beside its score, and its configuration in a line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunegate.harness.core.escaping import shown
from tunegate.harness.core.files import digest
from tunegate.harness.history.baselines.lookup import is_last_release
from tunegate.harness.history.ledger.ledger import model_name
from tunegate.harness.models.evaluation.compared import short_form
from tunegate.harness.models.evaluation.record import Record
from tunegate.harness.models.evaluation.run_facts import ShortConfiguration

IN_SERVICE, THIS_CHANGE, BEFORE = "in service", "this change", "before"
DIGITS = 8  # of a digest
MOST_PROMPTS = 3  # digests in a line
AS_IS = "as-is"


@dataclass(frozen=True, slots=True)
class ComparedSide:
    """One side of a comparison: its name, such as "in service", and its configuration in a line."""

    name: str
    configuration: str


def side_name(record: Record, reference: str) -> str:
    """Return the name of a record's reference; the baseline of an adapter is its base's, not what is in service."""
    if (known := record.references.get(reference)) and known.compared_as:
        return known.compared_as
    adapter = record.fingerprint["subject"].get("adapter")
    if is_last_release(reference) or (reference == "baseline" and not adapter):
        return IN_SERVICE
    return f"the {reference}" if reference else BEFORE


def columns(sides: Iterable[str], compared_as: str = "") -> tuple[str, str]:
    """Return the names of the two columns of scores: if all units are compared with what is in service, they say so.

    In `tunegate compare` they are the names of the two configurations.
    """
    if compared_as:
        return next(iter(sides), BEFORE), compared_as
    return (IN_SERVICE, THIS_CHANGE) if set(sides) == {IN_SERVICE} else (BEFORE, "now")


def compared_sides(record: Record) -> tuple[ComparedSide, ...]:
    """Return what a record was compared with, and itself; nothing if that is unknown."""
    if not record.references:
        return ()
    subject = record.fingerprint["subject"]
    own = {unit: short_form(each) for unit, each in record.configurations.items()}
    sides = [
        ComparedSide(
            side_name(record, name),
            _line(each.subject, _shared(each.configurations, own), "recorded", each.created),
        )
        for name, each in record.references.items()
    ]
    known = {unit for each in record.references.values() for unit in each.configurations}
    name = record.compared_as or THIS_CHANGE
    return (*sides, ComparedSide(name, _line(subject, _shared(own, known), "evaluated", record.created)))


def _shared(configurations: Mapping[str, ShortConfiguration], units: Iterable[str]) -> list[ShortConfiguration]:
    """Return the configurations of the units that both sides have, so that their digests can be compared."""
    return [configurations[unit] for unit in sorted(configurations) if unit in units]


def _line(subject: Mapping[str, Any], configurations: Sequence[ShortConfiguration], verb: str, when: str) -> str:
    parts = [shown(model_name(subject)), *_prompts([each.prompt for each in configurations])]
    if subject.get("rung", AS_IS) not in (AS_IS, None):
        parts.append(f"prompting strategy {shown(str(subject['rung']))}")
    parts += _temperatures(configurations)
    if when:
        parts.append(f"{verb} {date(when)}")
    return ", ".join(parts)


def _prompts(digests: Sequence[str]) -> Iterator[str]:
    each = list(dict.fromkeys(digests))
    if not each:
        return
    if len(each) > MOST_PROMPTS:
        yield f"{len(each)} prompts {digest(digests)[:DIGITS]}"
    else:
        yield f"prompt{'s' if len(each) > 1 else ''} {', '.join(sha[:DIGITS] for sha in each)}"


def _temperatures(configurations: Iterable[ShortConfiguration]) -> Iterator[str]:
    found = sorted({float(each.decoding.get("temperature") or 0.0) for each in configurations})
    if any(found):
        yield f"temperature {' and '.join(f'{each:g}' for each in found)}"


def date(when: str) -> str:
    """Return a time in UTC as a date and minutes: `2026-11-29 22:56 UTC`."""
    return f"{shown(when[:16].replace('T', ' '))} UTC"
