"""The rubric suite: people say by a rubric, in words, which outputs are right.

Only an empty output is known to be wrong; which of two outputs that differ is right, people say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tunegate.harness.checks.base import Check, CheckKind, Finding, Outcome
from tunegate.harness.core.authoring.document import Document, Where
from tunegate.harness.core.authoring.validation import mapping_schema

MOST_LETTERS = 10_000
OPTIONS = mapping_schema({}, [])
EXPECT = {
    "type": "string", "pattern": r"\S", "maxLength": MOST_LETTERS,
    "description": f"what a right output says, for those who label, up to {MOST_LETTERS} characters",
}  # fmt: skip


@dataclass(frozen=True)
class RubricCheck(Check):
    """Rejects empty outputs; all others are for people to judge."""

    def __call__(self, output: str, expect: str | None, prompt: str) -> Outcome:  # noqa: ARG002
        """Score one output: 0 if it is empty."""
        return Outcome(1.0) if output.strip() else Outcome(0.0, (Finding("empty", "the output is empty"),))

    def label_note(self, expect: str | None) -> str:
        """What is known of the right outputs of a case."""
        return expect or ""


def load(options: Mapping[str, Any], document: Document, where: Where) -> RubricCheck:  # noqa: ARG001
    """Create the check; it has no references."""
    return RubricCheck()


KIND = CheckKind(
    kind="pass/fail", options=OPTIONS, expect=EXPECT, load=load, version=1,
    by_expect="whether an output is right by the rubric", labelled=True,
)  # fmt: skip
