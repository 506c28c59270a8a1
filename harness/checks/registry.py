"""Which kind of check scores which suite: the one place where a suite's name meets its code.

A kind of check is named after its suite, or `suite/measure` where a suite measures several things: a fixture file then
says `check: {measure: ...}`. A unit has one kind.
"""

from __future__ import annotations

from tunegate.harness.checks import cost, loglikelihood, short_answer
from tunegate.harness.checks.base import CheckKind
from tunegate.harness.checks.schema import check as schema
from tunegate.harness.checks.vocabulary import check as vocabulary
from tunegate.harness.checks.voice import check as voice

CHECKS: dict[str, CheckKind] = {
    "schema": schema.KIND,
    "voice": voice.KIND,
    "vocabulary": vocabulary.KIND,
    "vocabulary/pairs": loglikelihood.PAIRS,
    "cost": cost.KIND,
    "retention/passages": loglikelihood.PASSAGES,
    "retention/questions": short_answer.KIND,
}
SUITES = tuple(dict.fromkeys(name.partition("/")[0] for name in CHECKS))


def kind_name(suite: str, measure: str = "") -> str:
    """The name of a kind of check."""
    return f"{suite}/{measure}" if measure else suite


def measures(suite: str) -> list[str]:
    """What a suite measures, by name; an empty name is what it measures where a fixture file names nothing."""
    return [name.partition("/")[2] for name in CHECKS if name.partition("/")[0] == suite]
