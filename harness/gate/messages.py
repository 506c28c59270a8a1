"""The sentences of a unit's verdict: the verdict and its reason, then the numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from tunegate.harness.cases.policy import DEFAULT_MARGIN
from tunegate.harness.core.escaping import shown
from tunegate.harness.core.formatting import (
    SHOWN,
    certainty,
    change,
    level,
    listed,
    ordinal,
    percent,
    percents_apart,
    points,
)
from tunegate.harness.gate.together import GroupLoss
from tunegate.harness.models.evaluation.remarks import Remark, cause, note, warning
from tunegate.harness.models.evaluation.run_facts import EngineChange
from tunegate.harness.models.evaluation.verdict import (
    LossPlace,
    NearScores,
    NeverRight,
    PartVerdict,
    UnitVerdict,
    tag_stratum,
    value_stratum,
)
from tunegate.harness.statistics.critical_values import PROMISED
from tunegate.harness.statistics.paired import TIE
from tunegate.harness.statistics.power import fewest_to_bound

WIDE = 0.2  # the largest `collapse` that a message suggests
PROVES_NOTHING = "a score of 0 % cannot fall, so this proves nothing"
TOO_CLOSE = "change the model: this is too close to the margin for more cases to settle it"


def cannot_compare(problem: str) -> Remark:
    """Return why a unit cannot be compared."""
    return cause("not-comparable", f"cannot be compared: {problem}")


def not_compared(problem: str) -> Remark:
    """Return why a metric of two result files blocks without numbers."""
    return cause("not-comparable", f"not compared, since {problem}")


def supplied_ungated(metric: str) -> Remark:
    """Return why a metric of two result files has no verdict."""
    return warning(
        "ungated",
        f"Not gated: {metric} has no bounds and no margin, so any loss of it would pass: add --margin {metric}=NUMBER.",
    )


def ungated(unit: str) -> Remark:
    """Return why a continuous unit without a margin blocks a release."""
    return warning(
        "ungated",
        f"Not gated: {unit} is continuous and task.yaml declares no margin for it, so any loss would pass; "
        "declare a margin, or `ungated: true` with a reason.",
    )


def declared_ungated(reason: str) -> Remark:
    """Return the reason of task.yaml for which a unit is not gated."""
    return note("declared-ungated", f"Not gated, as declared in task.yaml: {reason}")


def critical_regressed(facts: UnitVerdict) -> Remark:
    """Return a cause of "regressed"."""
    which = "a critical case" if len(facts.critical) == 1 else "critical cases"
    return cause("critical-regression", f"{which} regressed ({listed(facts.critical)})")


def worse(facts: UnitVerdict) -> Remark:
    """Return a cause of "regressed": a loss beyond the margin, or a significant loss that may exceed it."""
    sure = confidence(facts.level)
    if facts.interval and facts.interval[1] < -(facts.margin or 0.0):
        text = f"worse than the {facts.reference} by more than the margin of {_margin(facts)} ({sure})"
    else:
        most = f"by up to {_loss(facts)} ({sure}, margin {_margin(facts)})"
        text = f"significantly worse than the {facts.reference}, {most}"
    return cause("significantly-worse", text)


def loss_at(facts: UnitVerdict) -> Iterator[Remark]:
    """Yield a cause of "regressed": what most of the loss is a loss of, and in which cases, if one is known."""
    place = facts.loss_place
    if not place or _is_named(facts, place):
        return
    code, what = {
        "form": ("form-lost", "the form is lost"),
        "field": ("field-lost", f"'{place.label}' is lost"),
        "cases": ("stratum-lost", "cases are lost"),
    }[place.what]
    where = f"in {place.fell} of {place.could} cases"
    if place.stratum:
        elsewhere = f"{place.elsewhere} of {place.could_elsewhere} elsewhere"
        where = f"{place.stratum} ({place.fell} of {place.could}; {elsewhere})"
    yield cause(code, f"{what} {where}")


def _is_named(facts: UnitVerdict, place: LossPlace) -> bool:
    """Whether another cause says it: a part, a value or a slice that fell."""
    if not place.stratum:
        return any(part.fell and part.label == place.label for part in facts.parts)
    values = [value_stratum(each.field, each.value) for each in facts.never_right if each.lost]
    slices = [tag_stratum(each) for each in facts.worse_slices]
    return place.what == "cases" and place.stratum in {*values, *slices}


def lower(facts: UnitVerdict) -> Remark:
    """Return a cause of "regressed": a loss within the margin, where no loss is tolerated."""
    why = "a sealed unit must not be lower" if facts.sealed else "task.yaml sets `lower: block`"
    most = f"at most {_loss(facts)}, within the margin of {_margin(facts)}"
    return cause("lower", f"lower than the {facts.reference} by {most}, but {why}")


def beside_near(facts: UnitVerdict, near: NearScores) -> Remark:
    """Return a sentence on the near cases, and on what is shown without their gains."""
    beside, others = (_moved(facts, each) for each in (near.near, near.others))
    means = f"{beside}; the others {others}" if others else beside
    which = f"{near.n} of {near.n + near.clean} cases ({means})"
    proof = near.gain if facts.role == "target" else near.hold
    seen, least = (change(each, facts.kind) for each in (proof.difference, proof.least))
    return warning(
        "near-cases",
        f"Training rows come near {which}. Without the gains of these: {seen}{_unit(facts)} on {proof.observations} "
        f"balanced {_noun(facts)}, at least {least} ({confidence(facts.level)}).",
    )


def _moved(facts: UnitVerdict, means: tuple[float, float] | None) -> str:
    return " -> ".join(level(mean, facts.kind) for mean in means) if means else ""


def fell(facts: UnitVerdict) -> Remark:
    """Return a cause of "regressed"; the tags of sealed cases are not shown."""
    which = f"the slice {listed(facts.worse_slices)}"
    if facts.sealed:
        which = "a slice" if len(facts.worse_slices) == 1 else f"{len(facts.worse_slices)} slices"
    return cause("slice-regression", f"{which} fell")


def value_lost(value: NeverRight, reference: str) -> Remark:
    """Return a cause of "regressed": a value that no output has right any more."""
    return cause("value-lost", _not_right_once(value, reference))


def _not_right_once(value: NeverRight, reference: str) -> str:
    """Say of a value that no output has it right, without its name if the unit is sealed."""
    where = f"{value.value} is" if value.value else "one of its values is"
    base = f"{value.base or 'none'} in the {reference}"
    return f"'{value.field}' is never right where {where} expected: 0 of {value.n} cases, {base}"


def part_fell(part: PartVerdict) -> Remark:
    """Return a cause of "regressed": a part of the pass rule that fell."""
    margin, (low, high) = part.margin or 0.0, part.interval or (0.0, 0.0)
    tolerated, most = points(margin, signed=False), points(-low, signed=False)
    by = f"a significant loss of up to {most} (margin {tolerated})"
    if high < -margin:
        by = f"by more than the margin of {tolerated}"
    return cause("part-regression", f"{_fall(part)}, {by}")


def ungated_falls(facts: UnitVerdict) -> list[PartVerdict]:
    """Return the parts without a margin that fell by more than their unit may, largest fall first."""
    return [part for part in _falls(facts) if part.margin is None]


def _falls(facts: UnitVerdict) -> list[PartVerdict]:
    """Return the parts that fell by more than is tolerated and do not block, largest fall first."""
    found = [part for part in facts.parts if not part.fell and not part.whole]  # a whole part repeats the verdict
    return sorted(
        (part for part in found if _fell_beyond(part, _tolerated(part, facts))),
        key=lambda part: part.mean - part.base,
    )


def _fell_beyond(part: PartVerdict, margin: float) -> bool:
    return part.base - part.mean > margin + TIE


def _tolerated(part: PartVerdict, facts: UnitVerdict) -> float:
    """Return the tolerated fall: the unit's margin scaled to the part's cases, or the part's own if narrower."""
    whole = (facts.margin if facts.kind == "pass/fail" else None) or DEFAULT_MARGIN
    of_unit = whole * facts.n / part.n
    return of_unit if part.margin is None else min(part.margin, of_unit)


def _fall(part: PartVerdict) -> str:
    single = [
        f"{percent(each[0])} of {each[1]} {side}"
        for each, side in ((part.base_only, "before"), (part.mean_only, "now")) if each
    ]  # fmt: skip
    which = f" that have it in either run (separately: {' and '.join(single)})" if single else ""
    return f"'{part.label}' fell from {percent(part.base)} to {percent(part.mean)} of {part.n} cases{which}"


def _parts_first(facts: UnitVerdict) -> Iterator[Remark]:
    """Yield a sentence on the part that fell most without blocking, shown before the verdict; nothing if none fell."""
    falls = _falls(facts)
    if not falls:
        return
    first, others = falls[0], [f"'{part.label}'" for part in falls[1:]]
    if first.margin is None:
        known = "it" if first.label == first.named else first.named
        why = f"not gated; give {known} a margin under `parts` in task.yaml"
    elif _fell_beyond(first, first.margin):
        why = f"more than its margin of {points(first.margin, signed=False)}, but not significant"
    else:
        why = f"within its margin of {points(first.margin, signed=False)}, but more than its unit's margin"
    joint = "but" if facts.verdict in {"held", "improved", "cannot fall"} else "and"
    more = f"; {listed(others)} fell too" if others else ""
    yield warning("part-lower", f"{facts.verdict.capitalize()}, {joint} {_fall(first)}: {why}{more}.")


def below_minimum(facts: UnitVerdict, minimum_score: float | None) -> Remark:
    """Return a cause of "regressed"."""
    least = percent(minimum_score)
    return cause("below-minimum", f"below the minimum score of {least}, regardless of the {facts.reference}")


def not_excluded(facts: UnitVerdict, needed: int | None, outputs: int | None) -> Remark:
    """Return a cause of "inconclusive", with the number of cases, or of outputs per case, that would settle it."""
    if facts.effective is not None:
        advice = "add cases of other topics rather than more of these: the change differs between topics"
    elif needed is None:
        advice = TOO_CLOSE
    elif needed > facts.observations and facts.cases:
        anchor = "approve a new anchor: tunegate record --anchor REASON" if facts.reference.startswith("anchor") else ""
        advice = f"added cases do not count here; {anchor or 'they do once this change is merged'}"
    elif needed > facts.observations:
        more = f"{outputs} outputs per case, or " if outputs else ""
        advice = f"add cases: about {more}{needed} {_noun(facts)} in total would settle it"
    else:
        advice = f"add cases; a close call: this many {_noun(facts)} settle it 80 % of the time"
    loss = f"the loss may be up to {_loss(facts)} (margin {_margin(facts)})"
    fine = facts.kind == "pass/fail" and facts.n and not facts.regressed_cases and facts.effective is None
    few = f"no case regressed, but {facts.n} cases are too few: " if fine else ""
    return cause("loss-not-excluded", f"{few}{loss}", step=advice)


def not_excluded_without_near(facts: UnitVerdict, needed: int | None, rests: int) -> Remark:
    """Return a cause of "inconclusive": only the gains of cases that training rows come near exclude the loss."""
    if needed is None:
        advice = TOO_CLOSE
    elif needed > rests:
        advice = f"add cases: about {needed} {_noun(facts)} without a row near them would settle it"
    else:
        advice = f"add {_noun(facts)} that no row comes near"
    return cause(
        "loss-not-excluded-without-near",
        f"without the gains of cases that training rows come near, the loss may be up to {_loss(facts)} "
        f"(margin {_margin(facts)})",
        step=advice,
    )


def group_not_held(group: GroupLoss) -> Remark:
    """Return a cause of "inconclusive" for each guard of a group."""
    if group.missing:
        missing = f"it shares a margin with other guards, and {group.missing} cannot be compared"
        return cause("not-comparable", missing)
    seen, most = (points(max(0.0, -loss), signed=False) for loss in (group.difference, group.interval[0]))
    return cause(
        "group-loss-not-excluded",
        f"the {len(group.units)} guards of its group lose {seen} points on average and may lose up to {most} "
        f"(group margin {points(group.margin, signed=False)})",
        step=_to_settle(group),
    )


def _to_settle(group: GroupLoss) -> str:
    if group.needed is None:
        return TOO_CLOSE
    if group.needed <= group.cases:
        return f"add cases; a close call: {group.needed} cases of the group settle it 80 % of the time"
    return f"add cases: about {group.needed} in the whole group would settle it"


def mean_lost(facts: UnitVerdict, is_price: bool) -> Remark:
    """Return a cause of its own: the observed mean lost more than the margin, although changes are capped."""
    lost = abs(facts.difference or 0.0)
    share = f" ({100 * lost / abs(facts.base):.0f} %)" if facts.base else ""
    moved = "a call costs {} more on average" if is_price else "the mean fell by {}"
    by = moved.format(f"{change(lost, facts.kind, signed=False)}{share}")
    return cause("mean-lost", f"{by}, more than the margin of {_margin(facts)}")


def collapse_not_excluded(facts: UnitVerdict, share: float, file: str = "task.yaml") -> Remark:
    """Return a cause of "inconclusive" for an unbounded score: too many cases may fall beyond the cap.

    `file` is where a wider share could be declared.
    """
    level = facts.level or 0.0
    most, n = facts.collapse_bound or 0.0, facts.observations
    may = f"up to {100 * most:.2f} % of the cases may fall by {_span(facts)} or more"
    seen, advice, needed = f"; {facts.collapsed} of {n} did", "", fewest_to_bound(share, level)
    if not facts.collapsed and n < needed:
        wider = math.ceil(1000 * most) / 1000
        declared = f", or `collapse: {wider:g}` in {file}" if wider <= WIDE else ""
        seen, advice = "", f"add cases: {needed} without such a fall would settle it{declared}"
    return cause("collapse-not-excluded", f"{may}, but `collapse` allows {100 * share:g} %{seen}", step=advice)


def _span(facts: UnitVerdict) -> str:
    return change(facts.span, facts.kind, signed=False)


def maybe_below_minimum(score: float, minimum_score: float, cases: int = 0) -> Remark:
    """Return a cause of "inconclusive"; `cases` are all of the unit, if the reference has only some."""
    mean, minimum = percents_apart(score, minimum_score)
    on = f" on all {cases} cases" if cases else ""
    return cause("minimum-not-shown", f"{mean}{on} is below the minimum score of {minimum}, but not significantly")


def _noun(facts: UnitVerdict) -> str:
    return "cases" if facts.observations == facts.n else "observations"


def _unit(facts: UnitVerdict) -> str:
    return " points" if facts.kind == "pass/fail" else ""


def _margin(facts: UnitVerdict) -> str:
    return change(facts.margin, facts.kind, signed=False)


def _loss(facts: UnitVerdict) -> str:
    """Return the largest loss that the gate's level does not exclude."""
    return change(max(0.0, -_least(facts)), facts.kind, signed=False) + _unit(facts)


def _least(facts: UnitVerdict) -> float:
    """Return the lower bound of the change, also without the gains of cases that training rows come near."""
    least = facts.interval[0] if facts.interval else 0.0
    return min(least, facts.near.hold.least) if facts.near else least


def remarks(
    facts: UnitVerdict, causes: Sequence[Remark], group: GroupLoss | None = None, found: float | None = None
) -> tuple[Remark, ...]:
    """Return why it is so: the causes if there are some, then the numbers, then the rest.

    `found` is the smallest drop that a guard of a `group` detects on its own.
    """
    return (
        *_parts_first(facts), *(causes or [_fine(facts, group, found)]), note("numbers", _numbers(facts)),
        *_further(facts),
    )  # fmt: skip


def _fine(facts: UnitVerdict, group: GroupLoss | None, found: float | None) -> Remark:
    if facts.verdict == "improved":
        sure = confidence(facts.level)
        return note("improved", f"Improved: significantly better than the {facts.reference} ({sure}).")
    if facts.verdict == "cannot fall":
        why = f"the {facts.reference} passes none of its cases"
        return note("cannot-fall", f"Cannot fall: {why}, so it guards {_guarded(facts)}.")
    return note("held", _held_together(facts, group, found) if group else _held(facts))


def _guarded(facts: UnitVerdict) -> str:
    parts = [part.label for part in facts.parts if part.margin is not None]
    return f"only {listed([repr(part) for part in parts])}" if parts else "nothing"


def is_all_wrong(facts: UnitVerdict) -> bool:
    """Whether no case passes, in the reference or now."""
    return facts.kind == "pass/fail" and facts.base == 0 == facts.mean


def _held(facts: UnitVerdict) -> str:
    if is_all_wrong(facts):
        return f"Held: nothing was right in the {facts.reference}, and nothing is now: {PROVES_NOTHING}."
    within = f"{_loss(facts)} ({confidence(facts.level)}), within the margin of {_margin(facts)}"
    if facts.lower:
        return f"Held, but lower: significantly worse than the {facts.reference}, by at most {within}."
    if facts.gained:
        return f"Held, and gained: significantly better than the {facts.reference}, before correction for other tests."
    if _least(facts) >= 0:
        return f"Held: a loss against the {facts.reference} is excluded ({confidence(facts.level)})."
    capped = "" if facts.bounded else f", capped at {_span(facts)} per case,"
    return f"Held: the loss against the {facts.reference}{capped} is at most {within}{_few_collapse(facts)}."


def _few_collapse(facts: UnitVerdict) -> str:
    """Return the bound on the share of collapsed cases, for an unbounded score."""
    if facts.collapse_bound is None:
        return ""
    return f"; at most {percent(facts.collapse_bound)} of cases fall by {_span(facts)} or more"


def _held_together(facts: UnitVerdict, group: GroupLoss, found: float | None) -> str:
    most, others = points(max(0.0, -group.interval[0]), signed=False), len(group.units) - 1
    alone = f" On its own it would detect a loss of {points(found, signed=False)} points 80 % of the time."
    guards = f"{others} other guard{'s' if others > 1 else ''}{', but lower' if facts.lower else ''}"
    mean = "mean loss" if group.even else "weighted mean loss"
    return (
        f"Held with {guards}: their {mean} against the {facts.reference} is at most {most} points "
        f"({confidence(group.level)}), within the group's margin of "
        f"{points(group.margin, signed=False)}.{alone if found else ''}"
    )


def confidence(level: float | None) -> str:
    """Return the one-sided confidence of a bound that is computed at a level, in words: what is promised of it."""
    return f"one-sided {certainty(PROMISED * (level or 0.0))}"


def _of_cases(facts: UnitVerdict) -> str:
    """Return the number of cases, and if the reference has only some of the unit's unchanged, of how many."""
    return f"{facts.n} of {facts.cases}" if facts.cases else str(facts.n)


def _numbers(facts: UnitVerdict) -> str:
    means = f"{level(facts.base, facts.kind)} -> {level(facts.mean, facts.kind)}"
    grouped = f" ({facts.observations} observations: a group counts once)" if facts.observations != facts.n else ""
    moved = change(facts.difference, facts.kind) + _unit(facts)
    if facts.interval:
        sure = certainty(2 * PROMISED * (facts.level or 0.0))
        capped = f", capped at {_span(facts)} per case" if facts.winsorised else ""
        moved += f" ({sure}{capped}: {' to '.join(change(bound, facts.kind) for bound in facts.interval)})"
    text = f"{means} on {_of_cases(facts)} cases{grouped}, {moved}"
    if facts.kind == "pass/fail":
        return f"{text}; {len(facts.regressed_cases)} regressed, {len(facts.fixed_cases)} fixed."
    beyond = f"; {facts.winsorised} moved further" if facts.winsorised else ""
    return f"{text}{beyond}."


def _never_right(facts: UnitVerdict) -> Iterator[Remark]:
    """Yield a sentence for each value that no output has right and that is no cause of the verdict."""
    others = [each for each in facts.never_right if not each.lost]
    for each in others[:SHOWN]:
        yield warning("value-never-right", f"{_not_right_once(each, facts.reference)}.")
    if (rest := len(others) - SHOWN) > 0:
        which = f"{rest} other expected value{' is' if rest == 1 else 's are'}"
        yield warning("value-never-right", f"{which} never right.")


def _alike(facts: UnitVerdict) -> Iterator[Remark]:
    """Yield what a score does not show: outputs that hardly depend on the input, and values that fell."""
    alike = facts.alike
    if alike.same:
        which = f": {shown(alike.output)}" if alike.output else ""
        yield warning("same-outputs", f"{alike.same} of {alike.n} outputs are the same{which}.")
    if alike.constant:
        expected = f", {alike.expected}," if alike.expected else ""
        passes = percent(alike.constant / alike.n)
        yield warning("constant-output", f"One output for all cases{expected} would pass {passes}.")
    for each in facts.falls:
        where = f"{each.value} is" if each.value else "one of its values is"
        moved = f"from {each.base} to {each.mean} of {each.n} cases"
        yield warning("value-lower", f"'{each.field}' fell where {where} expected: {moved}.")


def _further(facts: UnitVerdict) -> Iterator[Remark]:
    if facts.near:
        yield beside_near(facts, facts.near)
    yield from (*_alike(facts), *_never_right(facts))
    if facts.target_score is not None and facts.role == "target":
        yield _target_score(facts, facts.target_score)
    if facts.effective is not None:
        worth = f"{facts.observations} {_noun(facts)} count as {facts.effective:.0f} independent ones"
        yield note("topics", f"The change differs between topics (by {facts.topics}), so the {worth}.")
    yield from _family_decided(facts)
    if facts.sealed and facts.verdict == "inconclusive":
        yield warning("sealed-not-held", "A sealed unit must be held before a release.")
    yield from _critical_but(facts)
    if facts.by_themselves and facts.kind == "pass/fail":  # a score that moves a little is no flip
        flip = f"{len(facts.by_themselves)} of the cases flip{'s' if len(facts.by_themselves) == 1 else ''}"
        yield note("flips", f"{flip} when the base is re-run.")
    if facts.skipped:
        which = f"{len(facts.skipped)} of its tags" if facts.sealed else listed(facts.skipped)
        yield note("untested-tags", f"Not tested as slices, as they cover nearly the whole unit: {which}.")


def _critical_but(facts: UnitVerdict) -> Iterator[Remark]:
    """Yield a sentence on the critical cases that failed and do not count."""
    if facts.already_failing:
        failing = f"already failing in the {facts.reference}: {listed(facts.already_failing)}"
        yield warning("already-failing", f"Critical, but {failing}.")
    if facts.unstable:
        failed = f"declared unstable and failed only in part: {listed(facts.unstable)}"
        yield warning("unstable", f"Critical, but {failed}.")
    if facts.disarmed:
        flips = f"as the base's result flips on a re-run: {listed(facts.disarmed)}"
        yield warning("disarmed", f"Critical, but not blocking, {flips}.")


def _target_score(facts: UnitVerdict, target: float) -> Remark:
    if facts.verdict != "improved" and has_nothing_to_gain(facts):
        reaches = f"the {facts.reference} already reaches the target score of {percent(target)}"
        return warning("nothing-to-gain", f"Nothing to gain: {reaches}.")
    if facts.reached:
        return note("target-reached", f"The target score of {percent(target)} is reached.")
    least, asked = percents_apart(facts.score_bound or 0.0, target)
    score = f"the score is at least {least} ({confidence(facts.level)})"
    return warning("target-not-reached", f"The target score of {asked} is not reached: {score}.")


def _family_decided(facts: UnitVerdict) -> Iterator[Remark]:
    """Explain an interval that excludes 0 without being "worse" or "improved": it is not corrected for other tests."""
    if not facts.interval or facts.verdict not in {"held", "inconclusive"} or facts.lower or facts.gained:
        return
    low, high = facts.interval
    if high < 0:
        corrected = f"not after correction for all tests of this run ({facts.tests})"
        yield note("not-corrected", f"This loss is significant on its own, but {corrected}.")
    elif low > 0 and facts.role == "target" and facts.near and facts.near.gain.least <= 0:
        yield warning("near-gains", "This gain is not shown without the cases that training rows come near.")
    elif low > 0 and facts.role == "target":
        corrected = "not after correction for the other targets"
        yield note("not-corrected", f"This gain is significant on its own, but {corrected}.")


def proven_by(sealed: str) -> Remark:
    """Return a remark on an open unit whose sealed counterpart was evaluated too."""
    return note("sealed-decides", f"The sealed unit {sealed} decides; this open unit must only not regress.")


def at_late_run(number: int, level: float | None) -> Remark:
    """Return a remark on an open guard that is held at a late run of its cases."""
    run = f"Held at the {ordinal(number)} run of these cases"
    return warning("late-run", f"{run}: {by_chance(number, level)}.")


def by_chance(number: int, level: float | None) -> str:
    """Return how often at least one of so many candidates is held, each of which loses the whole margin."""
    chance = 1 - (1 - (level or 0.0)) ** number
    return (
        f"of {number} candidates that each lose as much as the margin, one or more gets held {100 * chance:.0f} % of "
        "the time"
    )


def beside(facts: UnitVerdict) -> Remark:
    """Return the verdict against another reference, appended to the remarks of the one that counts."""
    moved = f", {change(facts.difference, facts.kind)}{_unit(facts)}" if facts.difference is not None else ""
    if facts.below_service and not facts.blocks:
        lost = change(facts.below_service, facts.kind, signed=False)
        how = "significantly, but within the margin" if facts.is_below_shown else "not beyond chance"
        return warning("below-service", f"Below the {facts.reference} by {lost}{_unit(facts)}, {how}.")
    on = f", on {facts.n} of its {facts.cases} cases" if facts.cases else ""
    return note("other-reference", f"Against the {facts.reference}{on}: {facts.verdict}{moved}.")


def supplied(reference: str, candidate_is: bool, reference_is: bool) -> Iterator[Remark]:
    """Yield a remark on outputs made elsewhere, whose model and prompts were not observed."""
    if candidate_is:
        yield note("supplied", "The outputs come from a file.")
    elif reference_is:
        yield note("supplied", f"The outputs of the {reference} were supplied, not generated.")


def engine_only(reference: str, changed: EngineChange | None, is_drift: bool = False) -> Iterator[Remark]:
    """Yield a remark on a reference that was re-run: what its engine changed, or its drift."""
    if changed is None:
        return
    both = {"lost": changed.lost, "gained": changed.gained}
    moved = [f"{what} {len(cases)} ({listed(cases)})" for what, cases in both.items() if cases]
    text = (
        f"The {reference}, recorded on another engine, was re-run on this one; the new engine "
        f"{' and '.join(moved) or 'changed none'} of {changed.cases} cases; "
        f"{changed.other_outputs} outputs differ."
    )
    if is_drift:
        text = (
            f"The {reference}, which may drift, was run again: {changed.other_outputs} of {changed.cases} "
            f"outputs differ from its record{'; ' if moved else ''}{' and '.join(moved)}."
        )
    yield note("engine", text)


def has_nothing_to_gain(facts: UnitVerdict) -> bool:
    """Whether the reference already passes the target score, or every case; other scores have no such limit."""
    return facts.kind == "pass/fail" and (facts.base or 0.0) >= (facts.target_score or 1.0)
