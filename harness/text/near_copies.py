"""Texts that are nearly the same: all such pairs, exactly, without holding every text against every other."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

GRAM = 5  # characters
SHARED = 12  # grams of their prefixes that two copies share, at least; of short texts fewer


@dataclass(frozen=True, slots=True)
class NearCopy:
    """Two texts by their numbers, and the Jaccard similarity of their 5-grams of characters."""

    first: int
    second: int
    alike: float


def near_copies(texts: Sequence[str], least: float, of_firsts: bool = False) -> Iterator[NearCopy]:
    """Each text with every earlier one that is at least so alike, up to case and white space, by prefix filtering.

    With the grams of every text in one order, two texts that share n grams at least share k of the first
    |text| - n + k: the rarest first, so that few texts are held against one another (Chaudhuri, Ganti and Kaushik 2006;
    for k above 1 Wang, Li and Feng 2012). `of_firsts` holds none against an earlier one that is a copy itself:
    thousands of copies of one text cost little then, and of a chain of edits, each like the one before, some may be
    missed.
    """
    every = [grams(text) for text in texts]
    count = Counter(gram for each in every for gram in each)
    holders: defaultdict[str, list[int]] = defaultdict(list)
    shared = [min(SHARED, math.ceil(least * len(each))) for each in every]
    for index, mine in enumerate(every):
        ordered = sorted(mine, key=lambda gram: (count[gram], gram))
        prefix = ordered[: len(ordered) - math.ceil(least * len(ordered)) + shared[index]]
        near = Counter(chain.from_iterable(holders[gram] for gram in prefix))
        others = sorted(other for other, times in near.items() if times >= min(shared[index], shared[other]))
        copies = [NearCopy(other, index, alike) for other in others if (alike := jaccard(mine, every[other])) >= least]
        yield from copies
        for gram in prefix if not (copies and of_firsts) else ():
            holders[gram].append(index)


def grams(text: str) -> frozenset[str]:
    """The 5-grams of a text's characters, up to case and white space; of a shorter text all of it."""
    plain = folded_text(text)
    return frozenset(plain[start : start + GRAM] for start in range(max(1, len(plain) - GRAM + 1)))


def jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    """The share of what either has that both have."""
    return len(one & other) / len(one | other)


def folded_text(text: str) -> str:
    """A text up to case and white space."""
    return " ".join(text.casefold().split())
