"""Rows that say the same twice: exactly, up to case and white space, or nearly."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from tunegate.trainers.data.examples import Example

NEAR = 0.8  # Jaccard of the characters' 5-grams
GRAM = 5


@dataclass(frozen=True, slots=True)
class DuplicatePair:
    """Two rows that ask the same or nearly the same; `alike` is 1.0 for the same."""

    first: Example
    second: Example
    alike: float

    @property
    def agrees(self) -> bool:
        """Whether both rows give the same answer."""
        return _plain(self.first.output) == _plain(self.second.output)


def find_duplicates(rows: Sequence[Example]) -> list[DuplicatePair]:
    """Each row that asks what an earlier row of its unit asks, with the first such row; the most alike come first.

    What is asked is compared up to case and white space: the same messages, or inputs whose 5-grams of characters have
    a Jaccard similarity of at least `NEAR`.
    """
    pairs, firsts = [], list[Example]()
    seen: dict[tuple[object, ...], Example] = {}
    for row in rows:
        first = seen.setdefault((row.unit, tuple((role, _plain(text)) for role, text in row.messages)), row)
        if first is row:
            firsts.append(row)
        else:
            pairs.append(DuplicatePair(first, row, 1.0))
    for _, unit in groupby(sorted(firsts, key=lambda row: row.unit or ""), key=lambda row: row.unit):
        pairs += _near(list(unit))
    return sorted(pairs, key=lambda pair: -pair.alike)


def _near(rows: Sequence[Example]) -> Iterator[DuplicatePair]:
    """All similar pairs, exactly, by prefix filtering.

    With the grams of every text in one order, two texts this similar share one of the first few: the rarest first, so
    that few texts are held against one another (Chaudhuri, Ganti and Kaushik 2006).
    """
    grams = [_grams(_plain(row.input)) for row in rows]
    count = Counter(gram for each in grams for gram in each)
    holders: defaultdict[str, list[int]] = defaultdict(list)
    for index, mine in enumerate(grams):
        ordered = sorted(mine, key=lambda gram: (count[gram], gram))
        prefix = ordered[: len(ordered) - math.ceil(NEAR * len(ordered)) + 1]
        candidates = sorted({other for gram in prefix for other in holders[gram]})
        found = ((len(mine & grams[other]) / len(mine | grams[other]), other) for other in candidates)
        alike, first = max(found, default=(0.0, 0), key=lambda pair: pair[0])
        if alike >= NEAR:
            yield DuplicatePair(rows[first], rows[index], alike)
        for gram in prefix:
            holders[gram].append(index)


def _grams(text: str) -> frozenset[str]:
    return frozenset(text[start : start + GRAM] for start in range(max(1, len(text) - GRAM + 1)))


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())
