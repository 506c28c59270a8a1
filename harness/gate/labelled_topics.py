"""Labelled traffic by topics: a loss that a few topics bear must not be held because most topics bear none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunegate.harness.cases.traffic.units import Disagreement
from tunegate.harness.gate.topic_spread import topics_of_cases
from tunegate.harness.statistics.disagreements import (
    Disagreements,
    LabelTable,
    effective_topics,
    largest_loss_between_topics,
)
from tunegate.harness.statistics.paired import Bounds


@dataclass(frozen=True)
class LabelledTopics:
    """The topic of each input that was compared, by case id, from the inputs only; empty where words show none."""

    by_case: Mapping[str, int]

    @property
    def sizes(self) -> NDArray[np.int64]:
        """The number of inputs of each topic."""
        return np.bincount(list(self.by_case.values()))

    @property
    def effective(self) -> float | None:
        """How many topics of one size they are worth."""
        return effective_topics(self.sizes) if self.by_case else None

    def widened(self, table: LabelTable, changes: Mapping[str, float]) -> Bounds:
        """Return the bounds of the change that hold between topics too.

        `changes` are the labels of cases, each times the inputs that it stands for.
        """
        if not self.by_case or not any(changes.values()):
            # Nothing differs between topics. With as many topics as a promise at large needs, the margin would be held.
            return table.bounds
        cells = [self.by_case[case] for case in changes]
        sums = np.bincount(cells, list(changes.values()), len(self.sizes))
        lower = -largest_loss_between_topics(table, sums, self.sizes)
        upper = largest_loss_between_topics(table.mirrored, -sums, self.sizes)
        return Bounds(min(table.bounds.lower, lower), max(table.bounds.upper, upper))

    def held_at_worst(self, found: Disagreement, margin: float, level: float) -> bool:
        """Whether the margin is held between topics too if all outputs that differ are losses."""
        table = Disagreements(found.inputs, found.differing, found.differing, 0, found.differing, margin, level)
        return self.widened(table, dict.fromkeys(found.differ, -1.0)).lower > -margin


def labelled_topics(found: Disagreement) -> LabelledTopics:
    """Return the topics of the inputs that were compared."""
    topics = topics_of_cases(found.cases)
    labels = topics.labels if topics else ()
    return LabelledTopics(dict(zip((case.id for case in found.cases), labels, strict=False)))
