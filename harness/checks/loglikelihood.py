"""Checks of the likelihood of given texts: general passages, and minimal pairs of wording.

Both scores are continuous, in nats per token, so that long texts weigh no more than short ones. Scores are comparable
only between models that share a tokenizer, such as a base and its adapters.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tunegate.harness.checks.base import Check, CheckKind, Outcome
from tunegate.harness.core.authoring.document import Document, Where
from tunegate.harness.core.authoring.validation import mapping_schema, text_schema
from tunegate.harness.core.errors import Problem

Measure = Literal["passages", "pairs"]
EXPECT = mapping_schema(
    {
        "preferred": text_schema("the output in the house's words"),
        "other": text_schema("the same output in the words to avoid"),
    },
    required=["preferred", "other"],
    description="two outputs that differ in wording only: `preferred` has the house's words, `other` does not",
)


@dataclass(frozen=True)
class LikelihoodCheck(Check):
    """Scores a case by the log-probabilities of its texts."""

    measure: Measure

    def __call__(self, output: Sequence[Sequence[float]], expect: Any, prompt: str) -> Outcome:  # noqa: ARG002
        """Score the log-probabilities of the tokens of each text, in nats.

        The score of a passage is the mean: the negative of its negative log-likelihood per token. The score of a pair
        is the mean of the preferred text minus the mean of the other; above 0 the model prefers the house's wording.
        """
        means = [statistics.fmean(each) for each in output]
        if self.measure == "passages":
            return Outcome(means[0])
        preferred, other = means
        return Outcome(preferred - other, rates={"preferred": preferred > other})

    def expect_problems(self, expect: Any, document: Document, where: Where) -> list[Problem]:
        """Refuse a pair of identical texts."""
        if expect["preferred"].split() != expect["other"].split():
            return []
        return [document.problem((*where, "other"), "a text other than the preferred one", "the same")]


def load(options: Mapping[str, Any], document: Document, where: Where) -> LikelihoodCheck:  # noqa: ARG001
    """Create the check; it has no references."""
    return LikelihoodCheck(options["measure"])


def _options(measure: Measure) -> dict[str, Any]:
    return mapping_schema({"measure": {"const": measure, "description": "what the cases measure"}}, ["measure"])


def _passage(text: str, expect: Any) -> tuple[str, ...]:  # noqa: ARG001  (a passage has no expect)
    return (text,)


def _pair(text: str, expect: Mapping[str, str]) -> tuple[str, ...]:  # noqa: ARG001  (the input is the prompt)
    return expect["preferred"], expect["other"]


PASSAGES = CheckKind(
    kind="continuous",
    options=_options("passages"),
    expect={},
    load=load,
    version=1,
    texts=_passage,
    chat=False,
    ignores=("prompt", "generate", "shots", "tools", "context", "expect"),
)
PAIRS = CheckKind(
    kind="continuous",
    options=_options("pairs"),
    expect=EXPECT,
    load=load,
    version=1,
    needs_expect=True,
    texts=_pair,
    parts={"preferred": "preferred text"},
    ignores=("generate", "tools"),
)
