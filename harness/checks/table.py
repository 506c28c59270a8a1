"""Which check judges which suite: the one place where a suite's name meets its code.

A row is named after its suite, or `suite/measure` where a suite measures several things: a fixture file then says
`check: {measure: ...}`. A unit has one row.
"""

from __future__ import annotations

from harness.checks import cost, likelihood, questions, schema, vocabulary, voice
from harness.checks.outcome import CheckKind

CHECKS: dict[str, CheckKind] = {
    "schema": schema.KIND,
    "voice": voice.KIND,
    "vocabulary": vocabulary.KIND,
    "vocabulary/pairs": likelihood.PAIRS,
    "cost": cost.KIND,
    "retention/passages": likelihood.PASSAGES,
    "retention/questions": questions.KIND,
}
SUITES = tuple(dict.fromkeys(name.partition("/")[0] for name in CHECKS))


def row_name(suite: str, measure: str = "") -> str:
    """The name of a row in the table."""
    return f"{suite}/{measure}" if measure else suite


def measures(suite: str) -> list[str]:
    """What a suite measures, by name; an empty name is what it measures where a fixture file names nothing."""
    return [name.partition("/")[2] for name in CHECKS if name.partition("/")[0] == suite]
