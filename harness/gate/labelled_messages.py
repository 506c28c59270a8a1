"""The sentences of the guard by disagreement: the verdict and its reason, then the numbers."""

from __future__ import annotations

from tunegate.harness.core.formatting import ordinal, percent, points
from tunegate.harness.gate.messages import confidence
from tunegate.harness.gate.verdict import LabelledSample, UnitVerdict, Verdict

DIGITS = 12  # of a snapshot's digest


def held_without_labels(facts: UnitVerdict) -> str:
    """Return the reason of a unit whose outputs differ on too few inputs to lose its margin."""
    margin = points(facts.margin, signed=False)
    why = f"outputs differ on a share of inputs below the margin of {margin} ({confidence(facts.level)})"
    return f"Held without labels: {why}. {_numbers(facts)}"


def missing(facts: UnitVerdict) -> str:
    """Return the reason of a unit whose sample lacks labels, with the command."""
    found = _sample(facts)
    lack = f"{found.missing} of {found.sample} labels are missing, of snapshot sha256:{found.snapshot[:DIGITS]}"
    return f"Inconclusive: {lack}: tunegate label {facts.unit}. {_numbers(facts)}"


def verdict(facts: UnitVerdict, found: Verdict) -> str:
    """Return the verdict on a labelled sample and its reason, then the numbers."""
    within, most = f"the margin of {points(facts.margin, signed=False)}", _loss(facts)
    sure, against = confidence(facts.level), facts.reference
    if found == "regressed":
        how = f"significantly worse than the {against}, by up to {most} points ({sure}, margin {within.split()[-1]})"
        return f"Regressed: {how}. {_numbers(facts)}"
    if found == "inconclusive":
        return f"Inconclusive: the loss may be up to {most} points ({sure}), beyond {within}. {_numbers(facts)}"
    lower = ", but lower" if facts.lower else ""
    return f"Held{lower}: the loss against the {against} is at most {most} points ({sure}), within {within}. {_numbers(facts)}"


def _sample(facts: UnitVerdict) -> LabelledSample:
    if facts.labelled is None:
        raise ValueError(f"{facts.unit} is no labelled traffic")
    return facts.labelled


def _loss(facts: UnitVerdict) -> str:
    return points(max(0.0, -(facts.interval[0] if facts.interval else 0.0)), signed=False)


def _numbers(facts: UnitVerdict) -> str:
    found = _sample(facts)
    parts = [
        f"{found.inputs:,} inputs",
        f"{found.differing:,} outputs differ ({percent(found.differing / found.inputs)})",
    ]
    labelled = found.sample - found.missing
    if labelled:
        parts.append(f"{labelled} labelled: {found.better} better, {found.worse} worse")
    if found.number > 1:
        parts.append(f"the {ordinal(found.number)} try on this snapshot")
    return f"{'; '.join(parts)}."
