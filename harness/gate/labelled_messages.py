"""The remarks of the guard by disagreement: why the verdict is so, then the numbers."""

from __future__ import annotations

from collections.abc import Iterator

from tunegate.harness.cases.traffic.strata import FEWEST_EARLIER
from tunegate.harness.cases.traffic.units import JudgeUse
from tunegate.harness.core.formatting import ordinal, percent, points
from tunegate.harness.gate.messages import confidence, critical_regressed
from tunegate.harness.models.evaluation.remarks import Remark, cause, note, warning
from tunegate.harness.models.evaluation.verdict import LabelledSample, UnitVerdict, Verdict
from tunegate.harness.statistics.disagreements import FEWEST_TOPICS

DIGITS = 12  # of a snapshot's digest


def held_without_labels(facts: UnitVerdict, caveat: str = "") -> tuple[Remark, ...]:
    """Return the remarks on a unit whose outputs differ on too few inputs to lose its margin; `caveat` as in a kind."""
    few = f"outputs differ on fewer inputs than the margin of {_margin(facts)} points ({confidence(facts.level)})"
    return note("held", f"Held{_within(facts, caveat) or ' without labels'}{_for_these(facts)}: {few}."), _numbers(
        facts
    )


def missing(facts: UnitVerdict, chance: float) -> tuple[Remark, ...]:
    """Return the remarks on a unit whose sample lacks labels, with the command.

    `chance` is how often the whole sample holds an equal model if half of what differs is equally right.
    """
    found = _sample(facts)
    source = f" of the snapshot sha256:{found.snapshot[:DIGITS]}" if found.snapshot else ""
    lack = f"{found.missing} of {found.sample} labels{source} are missing"
    worth = f"With {found.sample} labels an equal model gets held about {percent(chance)} of the time"
    few = ", since outputs differ too often for labels to help" if chance < 0.5 else ""
    why = cause("labels-missing", lack, step=f"run tunegate label {facts.unit}")
    return why, _numbers(facts), note("advice", f"{worth}{few}.")


def verdicts_missing(facts: UnitVerdict, judge: JudgeUse) -> tuple[Remark, ...]:
    """Return the remarks on a unit whose judge did not see all outputs that differ, with the command."""
    lack = f"verdicts of the judge are missing on {judge.missing} inputs"
    return cause("judgements-missing", lack, step=f"run tunegate label {facts.unit} --judge MODEL"), _numbers(facts)


def by_labels(facts: UnitVerdict, found: Verdict, by_topics: bool, caveat: str = "") -> tuple[Remark, ...]:
    """Return why a labelled sample has the verdict that was `found`, then the numbers.

    `by_topics` says that the margin would be held if inputs were of one topic.
    """
    margin, most, sure = _margin(facts), _loss(facts), confidence(facts.level)
    why = "; some topics bear more of it than others" if by_topics else ""
    cure = "take a snapshot of more topics" if by_topics else "label a larger sample of another snapshot"
    cure = cure if _sample(facts).snapshot else "add cases"
    held = f"Held{_within(facts, caveat)}{', but lower' if facts.lower else ''}{_for_these(facts)}"
    worse = f"significantly worse than the {facts.reference}, by up to {most} points ({sure}, margin {margin})"
    unsettled = f"the loss may be up to {most} points ({sure}, margin {margin}){why}"
    within = f"the loss against the {facts.reference} is at most {most} points ({sure}), within the margin of {margin}"
    if facts.critical:
        return critical_regressed(facts), _numbers(facts)
    remark = {
        "regressed": cause("significantly-worse", worse),
        "inconclusive": cause("loss-not-excluded", unsettled, step=f"{cure}, which could settle it"),
        "held": note("held", f"{held}: {within}."),
        "improved": note("improved", f"Improved: significantly better than the {facts.reference} ({sure})."),
    }[found]  # fmt: skip
    return remark, _numbers(facts)


def _judge(judge: JudgeUse) -> str:
    if judge.saved > 0:
        return f"drawn by the judge's verdicts, which save about {judge.saved} labels"
    if judge.earlier < FEWEST_EARLIER:
        return (
            f"the judge is not used: {judge.earlier} labelled pairs outside of the sample show what its verdicts are "
            f"worth, and it takes {FEWEST_EARLIER}"
        )
    return f"the judge is not used: by {judge.earlier} labelled pairs its verdicts save no label"


def _for_these(facts: UnitVerdict) -> str:
    """Return what a promise is restricted to where the topics are too few to speak of those of future traffic."""
    topics = _sample(facts).topics
    return " for these topics" if topics and topics < FEWEST_TOPICS else ""


def _sample(facts: UnitVerdict) -> LabelledSample:
    if facts.labelled is None:
        raise ValueError(f"{facts.unit} has no labels")
    return facts.labelled


def _within(facts: UnitVerdict, caveat: str) -> str:
    return f" within {_margin(facts)} points; {caveat}" if caveat else ""


def _margin(facts: UnitVerdict) -> str:
    return points(facts.margin, signed=False)


def _loss(facts: UnitVerdict) -> str:
    return points(max(0.0, -(facts.interval[0] if facts.interval else 0.0)), signed=False)


def _numbers(facts: UnitVerdict) -> Remark:
    """Return what was compared and labelled; a label missing on one output leaves its input without."""
    found = _sample(facts)
    topics = f" of effectively {found.topics:.0f} topics" if found.topics else ""
    share = percent(found.differing / found.inputs)
    parts = [f"{found.inputs:,} inputs{topics}; {found.differing:,} outputs differ ({share})"]
    if labelled := found.sample - found.missing:
        parts.append(f"{labelled} labelled: {found.better} better, {found.worse} worse")
    if found.judge and not found.judge.missing:
        parts.append(_judge(found.judge))
    if found.number > 1:
        parts.append(f"the {ordinal(found.number)} try on {'this snapshot' if found.snapshot else 'these cases'}")
    return note("numbers", f"{'; '.join(parts)}.")


def near_gains(number: int) -> Iterator[Remark]:
    """Yield a remark on gains that make up for no loss; nothing without any."""
    which = "The gain on an input" if number == 1 else f"{number} gains on inputs"
    if number:
        text = f"{which} that training rows come near make{'s' * (number == 1)} up for no loss."
        yield warning("near-gains", text)
