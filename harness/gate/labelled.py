"""The verdict by people's labels, on traffic or on cases: the guard, or the target, by disagreement.

Elsewhere both outputs are the same, so only inputs with differing outputs can lose, and a sample of them is labelled.
"""

from __future__ import annotations

from dataclasses import replace

from tunegate.harness.cases.traffic.units import Disagreement
from tunegate.harness.gate import labelled_messages
from tunegate.harness.gate.families import Tests, labelled_table
from tunegate.harness.gate.labelled_topics import labelled_topics
from tunegate.harness.gate.pairing import PairedScores
from tunegate.harness.models.evaluation.verdict import LabelledSample, UnitVerdict, Verdict
from tunegate.harness.statistics.disagreements import needs_no_labels
from tunegate.harness.statistics.labels_needed import prob_held_by_labels


def labelled_verdict(
    each: PairedScores, found: Disagreement, facts: UnitVerdict, tests: Tests, number: int
) -> UnitVerdict:
    """Return the verdict of a labelled pair with its disagreement; held outweighs worse, as without labels.

    `facts` are known without labels, `tests` are those of the run, and `number` is that of the try.
    """
    # the gains of inputs that training rows come near prove nothing: they do not make up for losses elsewhere
    sparing = found.without_near_gains
    table, held_by, topics = labelled_table(each, found), labelled_table(each, sparing), labelled_topics(found)
    counts = found.inputs, found.differing, each.margin, each.level
    facts = replace(
        facts,
        base=None, mean=None, observations=found.inputs, level=each.level,
        regressed_cases=found.worse, fixed_cases=found.better,
        before={item.case: item.before.output for item in found.sample if item.case in found.worse},
        labelled=LabelledSample(
            each.unit.traffic, found.inputs, found.differing, len(found.sample), len(found.better), len(found.worse),
            len(found.missing), number, topics.effective, found.judge,
        ),
    )  # fmt: skip
    severe = {case.id for case in found.cases if case.critical}
    kind = each.unit.check_kind
    unseen = severe & found.differ  # people see each of these
    can_gain = each.policy.role == "target" and found.differing  # and takes labels to show it
    if not (unseen or can_gain) and needs_no_labels(*counts) and topics.held_at_worst(found, each.margin, each.level):
        return replace(facts, verdict="held", remarks=labelled_messages.held_without_labels(facts, kind.caveat))
    if found.judge and found.judge.missing:
        return replace(facts, remarks=labelled_messages.verdicts_missing(facts, found.judge), blocks=True)
    if found.missing:
        return replace(facts, remarks=labelled_messages.missing(facts, _chance(each, found)), blocks=True)
    upper, lower = topics.widened(table, found.changes).upper, topics.widened(held_by, sparing.changes).lower
    facts = replace(
        facts, difference=table.difference, interval=(lower, upper),
        p_worse=tests.worse[each.key].p, tests=tests.count, lower=each.key in tests.is_worse,
    )  # fmt: skip
    facts = replace(facts, critical=tuple(case for case in found.worse if case in severe))
    verdict = _rule(facts, lower > -each.margin, each.policy.lower == "block", each.key in tests.is_better)
    remarks = labelled_messages.by_labels(facts, verdict, by_topics=held_by.held, caveat=kind.caveat)
    near = labelled_messages.near_gains(len(found.better) - len(sparing.better))
    return replace(facts, verdict=verdict, remarks=(*remarks, *near), blocks=verdict in {"regressed", "inconclusive"})


def _chance(each: PairedScores, found: Disagreement) -> float:
    """Return how often the whole sample holds an equal model if half of what differs is equally right."""
    share, size = found.differing / found.inputs, each.unit.labels.sample if each.unit.labels else 0
    size += found.judge.saved if found.judge and found.strata else 0
    return prob_held_by_labels(found.inputs, size, each.margin, share, 0.25, 0.25, each.level)


def _rule(facts: UnitVerdict, held: bool, intolerant: bool, better: bool) -> Verdict:
    if facts.critical or (facts.lower and (intolerant or not held)):
        return "regressed"
    if not held:
        return "inconclusive"
    return "improved" if better else "held"
