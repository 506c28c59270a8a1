"""How a text is spelt: the frequency of short runs of letters, for habits of a voice that no list of traits names.

Which runs are looked at and how rare each is comes from the references alone, without their labels.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from tunegate.harness.checks.voice.features import plain

LETTERS = (2, 4)  # the shortest and the longest run, inside a word or at its edge
WEIGHT = 10.0  # beside traits in standard deviations: a text's runs together are a vector of this length
SEEN = 4_000  # characters of a text; no reply is longer, and judging has to end


def prepared(text: str) -> str:
    """`text` in one form, small, and with every digit the same: a price is no habit."""
    return re.sub(r"\d", "0", plain(text[:SEEN]).lower())


class Spelling:
    """TF-IDF of the runs of letters that at least two of `texts` hold; each text becomes a sparse vector."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = texts

    @cached_property
    def _vectorizer(self) -> Any:
        from sklearn.feature_extraction.text import TfidfVectorizer

        return TfidfVectorizer(
            analyzer="char_wb", ngram_range=LETTERS, sublinear_tf=True, min_df=2, preprocessor=prepared
        ).fit(self.texts)

    def measure(self, texts: Sequence[str]) -> Any:
        """A sparse matrix (texts, runs), each row of length `WEIGHT`."""
        return WEIGHT * self._vectorizer.transform(texts)
