"""The content of an output by the cosine of sentence embeddings, and whether a language supports this."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from tunegate.harness.checks.embeddings import embed
from tunegate.harness.checks.voice.classifier import LEAST_AUC, ReferencePair
from tunegate.harness.statistics.auc import auc, auc_interval

# Minimum cosine of an output to its case's `says`, because on-brand text with the wrong content passes every style
# check. It passes 96 % of the texts with the same content, and 1.5 % of texts on other topics.
CONTENT = 0.4


def likeness(output: str, says: str) -> float:
    """The cosine of two texts' embeddings."""
    one, other = embed([output, says])
    return float(one @ other)


@dataclass(frozen=True)
class ContentCard:
    """How well cosines separate pairs with the same content from texts of two pairs: the AUC and its 95 % interval."""

    auc: float
    low: float
    high: float

    @property
    def accepted(self) -> bool:
        """Whether the embedding model may score this language."""
        return self.low >= LEAST_AUC

    def __str__(self) -> str:
        interval = f"[{self.low:.3f}, {self.high:.3f}]"
        return f"AUC {self.auc:.3f} {interval}, at least {LEAST_AUC} is needed at the lower bound"


@functools.lru_cache(maxsize=8)
def content_card(pairs: tuple[ReferencePair, ...]) -> ContentCard:
    """Measure the embedding model on labelled pairs, whose two texts have the same content."""
    on, off = (embed(texts).astype(np.float64) for texts in ([p.on for p in pairs], [p.off for p in pairs]))
    cosines = on @ off.T
    area = auc(cosines.diagonal(), cosines[~np.eye(len(pairs), dtype=bool)])
    # as many as there are pairs: the cosines of different pairs share their texts
    return ContentCard(area, *auc_interval(area, len(pairs), len(pairs)))
