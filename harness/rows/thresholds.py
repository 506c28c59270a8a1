"""Thresholds for refusing and for reviewing a row's similarity to a held-out text, derived from measured leaks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from tunegate.harness.rows.examples import Example
from tunegate.harness.rows.overlap import Scores
from tunegate.harness.rows.texts import EvalText, ExampleText

Numbers = npt.NDArray[Any]
Values = npt.NDArray[np.float32]
Threshold = Literal["refuse", "review", "clear"]
EQUAL, TRANSLATION, NEAREST = "equal", "translation", "nearest"
# benchmarks/blind_leaks.py measures what these limits find and flag. A copy is known by its wording: the refuse limits
# separate edited copies from clean rows. The review limits catch paraphrases, to which clean rows come close, such as
# two replies in the same house voice. A lower cosine would flag clean rows, so half of the shared rare words is
# added.
REFUSE: Mapping[str, float] = {"coverage": 0.5, "letters": 0.7, "words": 0.9}
REVIEW: Mapping[str, float] = {"coverage": 0.35, "cosine": 0.9, "likeness": 0.86}
# Fixtures of one domain are similar to each other. A row is reviewed if it is more similar to a fixture than any other
# fixture is, and always from 1.0.
MOST_LIKENESS = 1.0
# Pairs with fewer shared rare words are not compared by meaning: embedding all texts would take most of the time.
WORDS = 0.14
WORDS_COUNT = 0.5  # of the shared rare words, in `likeness`
SPOKEN: Mapping[str, str] = {
    EQUAL: "the same text, ignoring case, spaces and punctuation",
    "coverage": "{:.0%} of the fixture's five-word phrases, ignoring numbers and names (refused from {refuse}, "
    "reviewed from {review})",
    "letters": "{:.0%} of their five-letter runs are the same (refused from {refuse})",
    "words": "{:.0%} of their words are the same, in another order (refused from {refuse})",
    "cosine": "similarity of meaning {:.2f} (reviewed from {review})",
    "likeness": "similarity of meaning and rare words {:.2f} (reviewed from {review:.2f})",
    NEAREST: "similarity of meaning {:.2f}, more than to any other case, as with most cases of the unit",
    TRANSLATION: "similarity of meaning across languages {:.2f} (reviewed from {review:.2f})",
}


@dataclass(frozen=True, slots=True)
class Near:
    """A row and a case that are similar: the deciding measure, and all values."""

    example_text: ExampleText
    eval_text: EvalText
    threshold: Threshold
    measure: str
    value: float
    values: Mapping[str, float]

    @property
    def row(self) -> Example:
        """The row."""
        return self.example_text.row

    @property
    def text(self) -> str:
        """The similar text of the row, decoded if it was encoded."""
        return self.example_text.text

    @property
    def place(self) -> str:
        """The row as `file:line`."""
        return f"{self.row.file}:{self.row.line}"

    @property
    def pair(self) -> tuple[str, int, str]:
        """The row and the case, as named by an exemption."""
        return (self.row.file, self.row.line, self.eval_text.case.key)

    def __str__(self) -> str:
        review = self.values["limit"] if self.measure in ("likeness", TRANSLATION) else REVIEW.get(self.measure)
        limits = {"refuse": REFUSE.get(self.measure), "review": review}
        return SPOKEN[self.measure].format(self.value, **limits)

    def as_dict(self) -> dict[str, Any]:
        """For the training record."""
        case = self.eval_text.case
        return {
            "row": self.place, "case": case.key, "fixture": case.place, "side": self.eval_text.side,
            "threshold": self.threshold, "measure": self.measure, "value": round(self.value, 3),
            "values": {name: round(value, 3) for name, value in self.values.items()},
        }  # fmt: skip


@dataclass(frozen=True)
class Pairs:
    """Pairs of a row's text and a held-out text, by index, with all measures; one array element per pair.

    `same_side` is true if both are inputs, or both outputs. An output is similar in meaning to its own input, so other
    pairs are compared by wording only, with a cosine of 0. `limit` is the review limit of each held-out text.
    """

    rows: Numbers
    eval_texts: Numbers
    equal: Numbers
    same_side: Numbers
    coverage: Values
    letters: Values
    words: Values
    cosine: Values
    limit: Values

    @property
    def likeness(self) -> Values:
        """The cosine plus half of the share of rare words in common, at most 1.5."""
        both: Values = self.cosine + WORDS_COUNT * self.words * self.same_side
        return both

    @property
    def refused(self) -> Numbers:
        """Mask of the pairs beyond a refuse limit."""
        reached = np.any([getattr(self, name) >= least for name, least in REFUSE.items()], axis=0)
        refused: Numbers = reached | (self.equal > 0)
        return refused

    @property
    def reviewed(self) -> Numbers:
        """Mask of the pairs to review."""
        reached = (self.coverage >= REVIEW["coverage"]) | (self.cosine >= REVIEW["cosine"])
        reviewed: Numbers = (reached | (self.likeness >= self.limit)) & ~self.refused
        return reviewed

    def only(self, chosen: Numbers) -> Pairs:
        """The chosen pairs."""
        return Pairs(*(getattr(self, each.name)[chosen] for each in fields(self)))

    def values(self, at: int) -> dict[str, float]:
        """All measures of one pair."""
        return {name: float(getattr(self, name)[at]) for name in (*REFUSE, "cosine", "likeness", "limit")}


def may_be_near(equal: Numbers, scores: Scores, same_side: Numbers) -> Numbers:
    """Mask of the pairs to compare by meaning, of shape (rows, held-out texts); the others are clear."""
    spoke = (equal > 0) | (scores.coverage >= REVIEW["coverage"]) | (scores.letters >= REFUSE["letters"])
    near: Numbers = spoke | (same_side & (scores.words >= WORDS))
    return near


def decided_by(pairs: Pairs, at: int) -> tuple[Threshold, str, float]:
    """The threshold that a pair is beyond, the measure that is highest relative to its limit, and its value."""
    values = pairs.values(at)
    if pairs.equal[at]:
        return "refuse", EQUAL, 1.0
    threshold: Threshold = "refuse" if pairs.refused[at] else "review" if pairs.reviewed[at] else "clear"
    limits = REFUSE if threshold == "refuse" else {**REVIEW, "likeness": values["limit"]}
    measure = max(limits, key=lambda name: values[name] / limits[name])
    return threshold, measure, values[measure]


def nearest_first(found: Sequence[Near]) -> list[Near]:
    """Sort pairs: refused, reviewed, clear; most similar first within each."""
    order = {"refuse": 0, "review": 1, "clear": 2}
    return sorted(found, key=lambda near: (order[near.threshold], near.measure != EQUAL, -near.values["likeness"]))
