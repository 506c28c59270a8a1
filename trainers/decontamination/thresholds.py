"""When a row's text is too near to a held-out one, and when a person has to look; both from measured leaks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from tunegate.trainers.data.examples import Example
from tunegate.trainers.decontamination.overlap import Scores
from tunegate.trainers.decontamination.texts import EvalText, ExampleText

Numbers = npt.NDArray[Any]
Values = npt.NDArray[np.float32]
Threshold = Literal["refuse", "review", "clear"]
EQUAL, TRANSLATION = "equal", "translation"
# From measured texts (docs/decontamination.md, benchmarks/results/leaks.md). Refused is where edited copies lie
# (coverage from .81, cosine from .96) and none of 2,501 innocent rows. Reviewed is where paraphrases lie, and innocent
# rows near by: two replies in one house voice reach a coverage of .31. A cosine cannot review by itself: where it lets
# all innocent rows pass it finds 60 % of the paraphrases, with half of the shared rare words added 81 %.
REFUSE: Mapping[str, float] = {"coverage": 0.5, "letters": 0.7, "cosine": 0.9}
REVIEW: Mapping[str, float] = {"coverage": 0.35, "likeness": 0.86}
# In one trade, fixtures are alike among themselves. A row is reviewed where it comes nearer to a fixture than any other
# fixture does, and from 1.0 in any case: rows that near lift a score by .6 points of 100, those from .86 by 2.0
# (benchmarks/results/near_rows.md).
MOST_LIKENESS = 1.0
# Shared rare words: of pairs with fewer the meaning is not looked at. That loses 1 of 47 paraphrases, and spares four
# texts in five the embedding, which is where the time goes.
WORDS = 0.14
WORDS_COUNT = 0.5  # of the shared rare words, in `likeness`
SPOKEN: Mapping[str, str] = {
    EQUAL: "the same text, up to case, spaces and punctuation",
    "coverage": "{:.0%} of the fixture's five-word phrases, numbers and names aside (refused from {refuse}, "
    "reviewed from {review})",
    "letters": "{:.0%} of their five-letter runs are the same (refused from {refuse})",
    "cosine": "their meaning is {:.2f} alike (refused from {refuse})",
    "likeness": "meaning and rare words are {:.2f} alike (reviewed from {review:.2f})",
    TRANSLATION: "in another language, their meaning is {:.2f} alike (reviewed from {review:.2f})",
}


@dataclass(frozen=True, slots=True)
class Near:
    """A row and a case that come near to each other: by which measure most, and every value."""

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
        """What of the row comes near; where it stood in disguise, as it reads."""
        return self.example_text.text

    @property
    def place(self) -> str:
        """The row as `file:line`."""
        return f"{self.row.file}:{self.row.line}"

    @property
    def pair(self) -> tuple[str, int, str]:
        """The row and the case, which an exemption names."""
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
    """Pairs of a row's text and a held-out one, by their numbers, with every measure; one entry a pair.

    `same_side` says that both are asked, or both answered. What an answer means is near to what it answers, so that of
    other pairs the wording alone counts, and their cosine is 0. `limit` is the likeness that is reviewed, of each
    held-out text its own.
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
        """The cosine and, for words that few fixtures use, half of their shared share: at most 1.5."""
        both: Values = self.cosine + WORDS_COUNT * self.words * self.same_side
        return both

    @property
    def refused(self) -> Numbers:
        """Which are too near."""
        reached = np.any([getattr(self, name) >= least for name, least in REFUSE.items()], axis=0)
        refused: Numbers = reached | (self.equal > 0)
        return refused

    @property
    def reviewed(self) -> Numbers:
        """Which a person has to look at."""
        reached: Numbers = (self.coverage >= REVIEW["coverage"]) | (self.likeness >= self.limit)
        return reached & ~self.refused

    def only(self, chosen: Numbers) -> Pairs:
        """Some of the pairs."""
        return Pairs(*(getattr(self, each.name)[chosen] for each in fields(self)))

    def values(self, at: int) -> dict[str, float]:
        """Every measure of one pair."""
        return {name: float(getattr(self, name)[at]) for name in (*REFUSE, "words", "likeness", "limit")}


def may_be_near(equal: Numbers, scores: Scores, same_side: Numbers) -> Numbers:
    """Which pairs can be beyond a threshold, before the meaning is looked at: of shape (rows, held-out texts)."""
    spoke = (equal > 0) | (scores.coverage >= REVIEW["coverage"]) | (scores.letters >= REFUSE["letters"])
    near: Numbers = spoke | (same_side & (scores.words >= WORDS))
    return near


def decided_by(pairs: Pairs, at: int) -> tuple[Threshold, str, float]:
    """The threshold that a pair is beyond, the measure that stands highest against its limit, and its value."""
    values = pairs.values(at)
    if pairs.equal[at]:
        return "refuse", EQUAL, 1.0
    threshold: Threshold = "refuse" if pairs.refused[at] else "review" if pairs.reviewed[at] else "clear"
    measure = _loudest(values, REFUSE if threshold == "refuse" else {**REVIEW, "likeness": values["limit"]})
    return threshold, measure, values[measure]


def _loudest(values: Mapping[str, float], limits: Mapping[str, float]) -> str:
    """The measure that stands highest against its limit."""
    return max(limits, key=lambda name: values[name] / limits[name])


def nearest_first(found: Sequence[Near]) -> list[Near]:
    """Refused pairs before reviewed ones before clear ones, each the most alike first."""
    order = {"refuse": 0, "review": 1, "clear": 2}
    return sorted(found, key=lambda near: (order[near.threshold], near.measure != EQUAL, -near.values["likeness"]))
