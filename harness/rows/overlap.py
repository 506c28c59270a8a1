"""Text overlap: four measures of how much of each held-out text is in each row's text, as matrix products."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from tunegate.harness.rows.normalize import LEAST_WORDS, Wording

Matrix = npt.NDArray[np.float32]  # rows down, held-out texts across
LEAST_KEPT = 4  # words with letters besides facts; with fewer, texts with masked facts match by coincidence
NOTHING = Wording((), (), (), ())


@dataclass(frozen=True)
class Scores:
    """The measures of every row against every held-out text, in [0, 1]."""

    coverage: Matrix
    letters: Matrix
    words: Matrix


class EvalTexts:
    """The held-out texts, prepared once for every block of rows."""

    def __init__(self, texts: Sequence[Wording]) -> None:
        enough = [text if _is_enough(text) else NOTHING for text in texts]
        self.texts = texts
        self.phrases = _Table([text.phrases for text in texts])
        self.masked = _Table([text.masked_phrases if text.kept >= LEAST_KEPT else frozenset() for text in texts])
        self.letters = _Table([text.letters for text in enough])
        self.words = _Table([frozenset(text.plain) for text in enough], _rarity(enough))

    def scores(self, rows: Sequence[Wording]) -> Scores:
        """Score every row's text against every held-out text."""
        plain = self.phrases.coverage([row.phrases for row in rows])
        masked = self.masked.coverage([row.masked_phrases for row in rows])
        enough = [row if _is_enough(row) else NOTHING for row in rows]
        return Scores(
            np.maximum(plain, masked),
            self.letters.jaccard([row.letters for row in enough]),
            self.words.jaccard([frozenset(row.plain) for row in enough]),
        )


def _is_enough(text: Wording) -> bool:
    return len(text.plain) >= LEAST_WORDS


def _rarity(texts: Sequence[Wording]) -> Mapping[str, float]:
    """The weight of each word: its inverse document frequency in the held-out texts."""
    used = Counter(word for text in texts for word in set(text.plain))
    return {word: _weight(number, len(texts)) for word, number in used.items()}


def _weight(used: int, texts: int) -> float:
    return math.log((texts + 1) / (used + 0.5))


class _Table:
    """The features of each held-out text, as a sparse matrix: features down, texts across."""

    def __init__(self, texts: Sequence[Set[str]], weights: Mapping[str, float] | None = None) -> None:
        self.columns = {feature: at for at, feature in enumerate(sorted(set().union(*texts)))}
        known = [weights[each] if weights else 1.0 for each in self.columns] or [0.0]
        self.weights = np.array(known, dtype=np.float32)
        self.unknown = _weight(0, len(texts)) if weights else 1.0
        self.matrix = (self._matrix(texts) @ sparse.diags_array(self.weights)).T.tocsr()
        self.totals = np.asarray(self.matrix.sum(axis=0), dtype=np.float32).ravel()

    def coverage(self, rows: Sequence[Set[str]]) -> Matrix:
        """The share of each held-out text's features that a row has."""
        shares: Matrix = np.divide(self._shared(rows), np.maximum(self.totals, 1), dtype=np.float32)
        return shares

    def jaccard(self, rows: Sequence[Set[str]]) -> Matrix:
        """The Jaccard similarity: features of both, divided by features of either."""
        shared = self._shared(rows)
        either = self._totals(rows)[:, None] + self.totals - shared
        shares: Matrix = np.divide(shared, either, out=np.zeros_like(shared), where=either > 0)
        return shares

    def _shared(self, rows: Sequence[Set[str]]) -> Matrix:
        dense: Matrix = (self._matrix(rows) @ self.matrix).toarray()
        return dense

    def _totals(self, rows: Sequence[Set[str]]) -> npt.NDArray[np.float32]:
        known = self._matrix(rows)
        # Features in no fixture count in the union, too: a long row that contains a short fixture is not similar to it.
        strange = np.array([len(row) for row in rows], dtype=np.float32) - np.asarray(known.sum(axis=1)).ravel()
        totals: npt.NDArray[np.float32] = known @ self.weights + np.float32(self.unknown) * strange
        return totals

    def _matrix(self, sets: Sequence[Set[str]]) -> Any:
        known = [[self.columns[each] for each in features if each in self.columns] for features in sets]
        starts = np.cumsum([0, *map(len, known)])
        places = np.array([at for row in known for at in row], dtype=np.int32)
        ones = np.ones(len(places), dtype=np.float32)
        return sparse.csr_array((ones, places, starts), shape=(len(sets), len(self.weights)))
