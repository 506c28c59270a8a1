"""Several answers a case: that two sides have as many, that they can differ, and what a baseline knows of that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from tunegate.harness.baselines.store import Baseline, baseline_path, read_baseline
from tunegate.harness.cases.model import Unit
from tunegate.harness.core.errors import Refused
from tunegate.harness.evaluation.record import Noise, Record
from tunegate.harness.models.api import Fingerprint


def check_repeats(references: Mapping[str, Record], units: Sequence[Unit], repeats: int) -> None:
    """Refuse to compare a mean of several answers with another number of them.

    Raises:
        Refused: names the units, and what the references hold.
    """
    wrong = [
        f"{unit.key}: the {name} holds {found} answer{'s' if found > 1 else ''} a case, and this run {repeats}; "
        f"run with --tg-repeats={found}, or record it again with --tg-repeats={repeats}"
        for name, reference in references.items()
        for unit in units
        if unit.check_kind.asks == "generate"
        # the mean of three answers varies less than one answer: paired, the difference would be of the numbers, too
        for found in sorted({len(result.repeats) or 1 for result in reference.of_unit(unit.key).values()} - {repeats})
    ]
    if wrong:
        raise Refused("\n".join(wrong))


def check_greedy_repeats(
    units: Sequence[Unit], repeats: int, noise: Mapping[str, Noise], fingerprint: Fingerprint
) -> None:
    """Refuse several answers a case where they would be the same one.

    Args:
        units: what is to be asked.
        repeats: answers a case.
        noise: by unit what the baseline measured; nothing of units that were never asked again.
        fingerprint: who is to answer.

    Raises:
        Refused: names the units, and what was measured.
    """
    wrong = []
    for unit in units if repeats > 1 else ():
        if unit.check_kind.asks != "generate" or unit.of or all(case.decoding.temperature for case in unit.cases):
            continue
        if unit.sealed:  # before they are opened nobody can have measured whether answers to them vary
            continue
        needs = f"{unit.key}: --tg-repeats needs `generate: {{temperature: ...}}`"
        known = noise.get(unit.key)
        if known and not known.flips:
            wrong.append(f"{needs}; greedy answers do not vary: of {known.asked} cases asked again none flipped")
        elif not known and fingerprint.repeats_itself:
            wrong.append(f"{needs}, or greedy answers that vary: --tg-record --tg-noise measures whether they do")
    if wrong:
        raise Refused("\n".join(wrong))


def known_noise(root: Path, fingerprint: Fingerprint, units: Sequence[Unit]) -> dict[str, Noise]:
    """What the baselines of a model and its engine measured of these very questions, by unit."""
    return {each.unit: each.noise for each in _recorded_alike(root, fingerprint, units) if each.noise}


def kept_noise(root: Path, fingerprint: Fingerprint, units: Sequence[Unit], record: Record) -> dict[str, Noise]:
    """What of that holds of a record as well, since its answers are those of the baseline."""
    alike = [each for each in _recorded_alike(root, fingerprint, units) if each.results == record.of_unit(each.unit)]
    return {each.unit: each.noise for each in alike if each.noise}


def _recorded_alike(root: Path, fingerprint: Fingerprint, units: Sequence[Unit]) -> Iterator[Baseline]:
    slug = str(fingerprint.subject["model"])
    for unit in units:
        with suppress(Refused):  # a baseline that is missing, or about to be written anew, tells nothing
            baseline = read_baseline(baseline_path(root, slug, unit.key), unit.key)
            if (baseline.questions, baseline.configuration, baseline.engine) == (
                unit.questions, unit.configuration.as_dict(), fingerprint.engine,
            ):  # fmt: skip
                yield baseline
