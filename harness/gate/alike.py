"""Outputs that hardly depend on their inputs, which a score does not show."""

from __future__ import annotations

import json
from collections import Counter

from tunegate.harness.gate.pairing import PairedScores
from tunegate.harness.models.evaluation.never_right import closed_values
from tunegate.harness.models.evaluation.verdict import Alike

FEWEST = 10  # cases
SAME, RIGHT = 0.8, 0.5  # the least share of outputs that are equal, and the largest share of these that is right
REPEATED = 3  # cases that expect the same
SHOWN = 60  # characters of an output


def alike_outputs(pair: PairedScores) -> Alike:
    """Return how many outputs are the same, and what one output for all cases would pass."""
    cases = pair.unit.cases
    outputs = Counter(output for case in cases if (output := pair.new[case.id].output))
    if len(cases) < FEWEST or pair.unit.kind != "pass/fail" or not outputs:
        return Alike()
    wanted = Counter(
        json.dumps(case.expect, ensure_ascii=False) for case in cases if closed_values(case.check, case.expect)
    )
    [(output, same)], [(expected, asked)] = outputs.most_common(1), wanted.most_common(1) or [("", 0)]
    passing = [pair.new[case.id].output for case in cases if pair.new[case.id].passed]
    is_same = same >= SAME * len(cases) and passing.count(output) <= RIGHT * same
    is_constant = len(wanted) > 1 and asked >= max(REPEATED, len(passing))
    return Alike(
        len(cases), same if is_same else 0, asked if is_constant else 0,
        _shown(pair, expected) if is_constant else "", _shown(pair, output) if is_same else "",
    )  # fmt: skip


def _shown(pair: PairedScores, output: str) -> str:
    return output if not pair.unit.sealed and len(output) <= SHOWN else ""
