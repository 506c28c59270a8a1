"""Several outputs per case: equal numbers on both sides, variation, and the measured noise of baselines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from tunegate.harness.cases.model import Unit
from tunegate.harness.core.errors import Refused
from tunegate.harness.history.baselines.store import Baseline, baseline_path, read_baseline
from tunegate.harness.models.api import Fingerprint
from tunegate.harness.models.evaluation.record import Noise, Record


def check_repeats(references: Mapping[str, Record], units: Sequence[Unit], repeats: int) -> None:
    """Refuse to compare means of different numbers of outputs per case."""
    wrong = [
        f"{unit.key}: the {name} holds {found} output{'s' if found > 1 else ''} per case, and this run {repeats}; "
        f"run with --tg-repeats={found}, or record it again with --tg-repeats={repeats}"
        for name, reference in references.items()
        for unit in units
        if unit.check_kind.asks == "generate"
        # the mean of three outputs varies less than one output: the paired difference would include that effect
        for found in sorted({len(result.repeats) or 1 for result in reference.of_unit(unit.key).values()} - {repeats})
    ]
    if wrong:
        raise Refused("\n".join(wrong))


def check_greedy_repeats(
    units: Sequence[Unit], repeats: int, noise: Mapping[str, Noise], fingerprint: Fingerprint
) -> None:
    """Refuse several outputs per case if they would be identical, by the measured `noise` of the baseline."""
    wrong = []
    for unit in units if repeats > 1 else ():
        if unit.check_kind.asks != "generate" or unit.of or all(case.decoding.temperature for case in unit.cases):
            continue
        if unit.sealed:  # no baseline can have measured it
            continue
        needs = f"{unit.key}: --tg-repeats needs `generate: {{temperature: ...}}`"
        known = noise.get(unit.key)
        if known and not known.flips:
            wrong.append(f"{needs}; greedy outputs do not vary: of {known.asked} cases re-run none flipped")
        elif not known and fingerprint.repeats_itself:
            wrong.append(f"{needs}, or greedy outputs that vary, as measured by --tg-record --tg-noise")
    if wrong:
        raise Refused("\n".join(wrong))


def known_noise(root: Path, fingerprint: Fingerprint, units: Sequence[Unit]) -> dict[str, Noise]:
    """Return the noise that a model's baselines on its engine measured for these questions, by unit."""
    return {each.unit: each.noise for each in _recorded_alike(root, fingerprint, units) if each.noise}


def kept_noise(root: Path, fingerprint: Fingerprint, units: Sequence[Unit], record: Record) -> dict[str, Noise]:
    """Return the noise that also applies to a record, since its outputs are those of the baseline."""
    alike = [each for each in _recorded_alike(root, fingerprint, units) if each.results == record.of_unit(each.unit)]
    return {each.unit: each.noise for each in alike if each.noise}


def _recorded_alike(root: Path, fingerprint: Fingerprint, units: Sequence[Unit]) -> Iterator[Baseline]:
    slug = str(fingerprint.subject["model"])
    for unit in units:
        with suppress(Refused):  # skip a baseline that is missing or about to be rewritten
            baseline = read_baseline(baseline_path(root, slug, unit.key), unit.key)
            if (baseline.questions, baseline.configuration, baseline.engine) == (
                unit.questions, unit.configuration.as_dict(), fingerprint.engine,
            ):  # fmt: skip
                yield baseline
