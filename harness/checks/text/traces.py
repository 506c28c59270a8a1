"""Find traces of a short text in a longer one: verbatim, edited or reworded.

Words are compared by their first letters, and weighted by how rare they are among comparable texts.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

import regex

from tunegate.harness.checks.text.reading import read

STEM = 5  # letters; most inflected forms of a word share them
RAREST = 5.0  # nats; the weight of a word that no other of 200 texts has
STRETCH, MORE = 2, 6  # a window is at most so many times as long as the text, and so many words longer
_UNSPACED = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Myanmar}\p{Khmer}]"
_WORD = regex.compile(rf"{_UNSPACED}|[[\p{{L}}\p{{M}}\p{{N}}]--{_UNSPACED}]+", regex.V1)
_IS_UNSPACED = regex.compile(_UNSPACED)
PLACES = 5  # parts of a text that are compared with one other text


def plain_words(text: str) -> tuple[str, ...]:
    """The words of a text as it is read, in one case; in scripts without spaces, its characters."""
    found = read(text)
    return tuple(_WORD.findall((found if found.text else read(f" {text} ")).folded.text))


@dataclass(frozen=True)
class Rarity:
    """The weights of words (stems) by how few of some texts have them, in nats."""

    weights: Mapping[str, float]
    unknown: float

    @classmethod
    def of(cls, texts: Sequence[Iterable[str]]) -> Rarity:
        """Count the words of texts."""
        used = Counter(stem for words in texts for stem in set(stems(words)))
        weights = {stem: _rarity(count, len(texts)) * _share(stem) for stem, count in used.items()}
        return cls(weights, _rarity(0, len(texts)))

    def __call__(self, stem: str) -> float:
        """The weight of a word, by its stem."""
        known = self.weights.get(stem)
        return self.unknown * _share(stem) if known is None else known


def _share(stem: str) -> float:
    """Short words count for less, as most of them are function words; of scripts without spaces, each character."""
    return 0.5 if _IS_UNSPACED.match(stem) else min(1.0, len(stem) / STEM)


def _rarity(count: int, texts: int) -> float:
    return min(RAREST, math.log((texts + 1) / (count + 0.5)))


def word_count(words: Sequence[str]) -> float:
    """The number of words; in scripts without spaces, two characters count as one."""
    return sum(0.5 if _IS_UNSPACED.match(word) else 1.0 for word in words)


def stems(words: Iterable[str]) -> list[str]:
    """The first letters of each word."""
    return [word[:STEM] for word in words]


@dataclass(frozen=True, slots=True)
class Trace:
    """The part of a longer text that is most like a short one, from its first word to before its `end`.

    The two have `words` in common, of the weight `shared` in nats; `alike` is that share of both (Dice), from 0 to 1.
    If `verbatim`, the short text stands there word for word.
    """

    start: int
    end: int
    alike: float
    shared: float
    words: int
    verbatim: bool = False

    @property
    def evidence(self) -> float:
        """How unlikely the likeness is by chance: what is shared, weighted by its share of both."""
        return self.alike * self.shared


class Passage:
    """A longer text, prepared for the search of many short ones.

    Words within one of `names`, such as labels, are part of a verbatim trace only.
    """

    def __init__(self, words: Sequence[str], names: Collection[Sequence[str]] = ()) -> None:
        self.words = words
        self._stems = stems(words)
        self._weighed: tuple[Rarity, Sequence[float]] | None = None
        self._at: dict[str, list[int]] = {}
        for number, stem in enumerate(self._stems):
            self._at.setdefault(stem, []).append(number)
        self._named = {place + number for name in names for place in self.places(name) for number in range(len(name))}

    def places(self, words: Sequence[str], start: int = 0, end: int | None = None) -> Iterator[int]:
        """Yield where the words stand one after the other, between two places."""
        end = len(self.words) if end is None else min(end, len(self.words))
        for place in self._at.get(words[0][:STEM], ()) if words else ():
            if start <= place <= end - len(words) and self.words[place : place + len(words)] == words:
                yield place

    def traces(self, words: Sequence[str], rarity: Rarity, least: float = 0.0) -> list[Trace]:
        """The parts that are most like a text, the likest first; none if all that it shares weighs less than `least`.

        They do not overlap.
        """
        sought = {stem: rarity(stem) for stem in set(stems(words))}
        known = sought.keys() & self._at.keys()
        found = [
            Trace(place, place + len(words), 1.0, sum(sought.values()), len(sought), verbatim=True)
            for place in self.places(words)
        ]
        if sum(sought[stem] for stem in known) >= least:
            there = {place for stem in known for place in self._at[stem]}
            found += self._windows(sorted(there - self._named), sought, rarity, words)
        kept: list[Trace] = []
        for each in sorted(found, key=lambda trace: (trace.verbatim, trace.alike), reverse=True):
            if all(each.end <= other.start or other.end <= each.start for other in kept):
                kept.append(each)
            if len(kept) == PLACES and not each.verbatim:
                break
        return kept

    def _windows(
        self, places: Sequence[int], sought: Mapping[str, float], rarity: Rarity, words: Sequence[str]
    ) -> Iterator[Trace]:
        """For each place the likest of the parts that begin there and end with a shared word."""
        before, longest, total = self._summed(rarity), STRETCH * len(words) + MORE, sum(sought.values())
        for number, start in enumerate(places):
            seen: set[str] = set()
            shared, best = 0.0, None
            for end in places[number:]:
                if end - start >= longest:
                    break
                if (stem := self._stems[end]) not in seen:
                    seen.add(stem)
                    shared += sought[stem]
                    alike = 2 * shared / (total + before[end + 1] - before[start])
                    if best is None or alike > best.alike:
                        best = Trace(start, end + 1, alike, shared, len(seen))
            if best:
                yield best

    def _summed(self, rarity: Rarity) -> Sequence[float]:
        """The weight of all words before each place."""
        if self._weighed is None or self._weighed[0] is not rarity:
            self._weighed = (rarity, [0.0, *accumulate(map(rarity, self._stems))])
        return self._weighed[1]
