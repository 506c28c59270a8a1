"""Find all pairs of nearly identical texts, exactly, without comparing every pair."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

GRAM = 5  # characters
SHARED = 12  # minimum shared grams of two copies' prefixes; fewer for short texts


@dataclass(frozen=True, slots=True)
class NearCopy:
    """The numbers of two texts, and the Jaccard similarity of their character 5-grams."""

    first: int
    second: int
    alike: float


def near_copies(texts: Sequence[str], least: float, of_firsts: bool = False) -> Iterator[NearCopy]:
    """Pair each text with every earlier one of at least this similarity, ignoring case and white space.

    Prefix filtering: with all grams in one order, two texts that share n grams share at least k of their first
    `|text| - n + k`. Rare grams come first, so that few texts are compared (Chaudhuri, Ganti and Kaushik 2006; for k
    above 1 Wang, Li and Feng 2012). `of_firsts` skips earlier texts that are copies themselves: thousands of copies of
    one text are then cheap, and in a chain of edits, each similar to the previous one, some pairs may be missed.
    """
    every = [grams(text) for text in texts]
    count = Counter(gram for each in every for gram in each)
    holders: defaultdict[str, list[int]] = defaultdict(list)
    shared = [min(SHARED, math.ceil(least * len(each))) for each in every]
    short = {index for index, most in enumerate(shared) if most < SHARED}
    for index, mine in enumerate(every):
        ordered = sorted(mine, key=lambda gram: (count[gram], gram))
        prefix = ordered[: len(ordered) - math.ceil(least * len(ordered)) + shared[index]]
        near = Counter(chain.from_iterable(holders[gram] for gram in prefix))
        # `near` grows with the texts: it is gone through once, with one comparison each
        others = {other for other, times in near.items() if times >= shared[index]}
        others.update(other for other in near.keys() & short if near[other] >= shared[other])
        compared = ((other, jaccard(mine, every[other])) for other in sorted(others))
        copies = [NearCopy(other, index, alike) for other, alike in compared if alike >= least]
        yield from copies
        for gram in prefix if not (copies and of_firsts) else ():
            holders[gram].append(index)


def grams(text: str) -> frozenset[str]:
    """The character 5-grams of a text, ignoring case and white space; the whole text if it is shorter."""
    plain = folded_text(text)
    return frozenset(plain[start : start + GRAM] for start in range(max(1, len(plain) - GRAM + 1)))


def jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    """The size of the intersection over the size of the union."""
    return len(one & other) / len(one | other)


def folded_text(text: str) -> str:
    """A text with folded case and white space."""
    return " ".join(text.casefold().split())
