"""The verdict on labelled traffic: the guard by disagreement.

Elsewhere both outputs are the same, so only inputs with differing outputs can lose, and a sample of them is labelled.
"""

from __future__ import annotations

from dataclasses import replace

from tunegate.harness.gate import labelled_messages
from tunegate.harness.gate.families import Tests
from tunegate.harness.gate.pairing import PairedScores
from tunegate.harness.gate.verdict import LabelledSample, UnitVerdict, Verdict
from tunegate.harness.statistics import disagreements as stats
from tunegate.harness.traffic.units import Disagreement


def labelled_verdict(
    each: PairedScores, found: Disagreement, facts: UnitVerdict, tests: Tests, number: int
) -> UnitVerdict:
    """Return the verdict of a pair of labelled traffic; held outweighs worse, as for cases.

    Args:
        each: the pair.
        found: its disagreement.
        facts: what is known of the pair without labels.
        tests: the tests of the run, of which "worse" on the sample is one.
        number: the number of the try.
    """
    counts = stats.Counts(found.inputs, found.differing, len(found.sample), len(found.better), len(found.worse))
    no_label_needed = stats.needs_no_label(found.inputs, found.differing, each.margin, each.level)
    facts = replace(
        facts,
        base=None, mean=None, observations=found.inputs, level=each.level,
        regressed_cases=found.worse, fixed_cases=found.better,
        before={item.case: item.before.output for item in found.sample if item.case in found.worse},
        labelled=LabelledSample(
            each.unit.traffic, found.inputs, found.differing, len(found.sample), len(found.better), len(found.worse),
            len(found.missing), number,
        ),
    )  # fmt: skip
    if no_label_needed:
        return replace(facts, verdict="held", reason=labelled_messages.held_without_labels(facts))
    if found.missing:
        return replace(facts, reason=labelled_messages.missing(facts), blocks=True)
    lower, upper = stats.interval(counts, each.level)
    facts = replace(
        facts,
        difference=found.differing / found.inputs * (len(found.better) - len(found.worse)) / len(found.sample),
        interval=(lower, upper), p_worse=tests.worse[each.key].p, tests=tests.count, lower=each.key in tests.is_worse,
    )  # fmt: skip
    verdict = _rule(facts, stats.is_held(counts, each.margin, each.level), each.policy.lower == "block")
    reason = labelled_messages.verdict(facts, verdict)
    return replace(facts, verdict=verdict, reason=reason, blocks=verdict != "held")


def _rule(facts: UnitVerdict, held: bool, intolerant: bool) -> Verdict:
    if facts.lower and (intolerant or not held):
        return "regressed"
    return "held" if held else "inconclusive"
