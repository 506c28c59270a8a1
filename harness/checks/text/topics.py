"""The topics of test cases, by a tag or by the words of their inputs, fixed before any output is seen.

A topic is any similarity of cases to which a change may relate, not necessarily a topic in the everyday sense.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import regex
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

FEWEST_CASES = 30
FEWEST_TOPICS = 5
TAGGED = 0.8  # the share of the cases that a tag must cover
MOST_TOPICS = 50
CUT, READ = 4_000, 20_000_000  # characters per text and in total; takes about four seconds
WORDS = 30_000  # distinct words; rarer ones connect few texts
DIMENSIONS = 50  # at most; for few texts twice the clusters, because the rest is noise
STARTS, ROUNDS = 8, 30  # of k-means
SEED = 20_260_728
EMPTY = 1e-9  # maximum length of a text that shares no word with another

#: A word; in scripts without spaces every two characters, which usually are a word.
_WORD = regex.compile(r"[\p{L}\p{M}]+")
_UNSPACED = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Myanmar}\p{Khmer}]+")


@dataclass(frozen=True)
class Topics:
    """The topic number of each text, and the source of the topics: "the tag `intent`", "their words"."""

    labels: tuple[int, ...]
    source: str


def topics(texts: Sequence[str], tags: Sequence[Mapping[str, str]]) -> Topics | None:
    """Return the topics of n inputs with their tags; None below 30 texts, or if they are not informative.

    The topics are the values of a tag that covers at least 80 % of the cases and has at least five values, most of
    them with two or more cases; the tag with the most such values wins. Cases without it are one topic. Without such
    a tag, the topics are clusters by words.

    Raises:
        ValueError: the number of tag mappings and texts differs.
    """
    if len(texts) != len(tags):
        raise ValueError(f"expected tags for each of {len(texts)} texts, found {len(tags)}")
    if len(texts) < FEWEST_CASES:
        return None
    if key := _best_tag(tags):
        return Topics(_numbered([each.get(key, "") for each in tags]), f"the tag `{key}`")
    labels = _by_words(texts)
    return None if labels is None else Topics(labels, "their words")


def _best_tag(tags: Sequence[Mapping[str, str]]) -> str | None:
    found: dict[str, Counter[str]] = {}
    for each in tags:
        for key, value in each.items():
            found.setdefault(key, Counter())[value] += 1
    shared = {key: sum(count > 1 for count in values.values()) for key, values in found.items()}
    suitable = [
        key
        for key, values in found.items()
        if values.total() >= TAGGED * len(tags) and len(values) >= FEWEST_TOPICS and 2 * shared[key] > len(values)
    ]
    return min(suitable, key=lambda key: (-shared[key], key), default=None)


def _numbered(values: Sequence[str]) -> tuple[int, ...]:
    """Number the values in order of first appearance."""
    numbers: dict[str, int] = {}
    return tuple(numbers.setdefault(value, len(numbers)) for value in values)


def _by_words(texts: Sequence[str]) -> tuple[int, ...] | None:
    """Cluster texts by their words; equal texts share a cluster, as do texts that share no words."""
    different = sorted(set(texts))  # sorted: clusters do not depend on the order of cases
    if len(different) < FEWEST_CASES:
        return None
    weighted = _weighted(different)
    if weighted is None:
        return None
    points, placed = _directions(weighted, min(2 * topic_count(len(different)), DIMENSIONS))
    if placed.sum() < FEWEST_CASES:
        return None
    labels = np.full(len(different), -1)
    labels[placed] = spherical_clusters(points[placed], topic_count(int(placed.sum())))
    if len(set(labels[placed].tolist())) < FEWEST_TOPICS:
        return None
    of_text = dict(zip(different, labels.tolist(), strict=True))
    return _numbered([str(of_text[text]) for text in texts])


def topic_count(n: int) -> int:
    """The number of clusters for n different texts: sqrt(n / 2) (Mardia, Kent and Bibby, 1979), from 5 to 50."""
    return min(max(round(math.sqrt(n / 2)), FEWEST_TOPICS), MOST_TOPICS)


def _weighted(texts: Sequence[str]) -> csr_array | None:
    """TF-IDF, texts by words (Salton and Buckley, 1988): (1 + log count) log(n / texts with it); None without words.

    A word in every text has weight 0, so that templates and system prompts have no influence.
    """
    from scipy.sparse import csr_array

    numbers: dict[str, int] = {}
    columns: list[NDArray[np.int32]] = []
    counts: list[NDArray[np.float32]] = []
    half = min(CUT, READ // len(texts)) // 2
    for text in texts:
        # keep the beginning and the end: a question often follows its context
        words = Counter(split_words(text if len(text) <= 2 * half else f"{text[:half]} {text[-half:]}"))
        columns.append(np.fromiter((numbers.setdefault(word, len(numbers)) for word in words), np.int32, len(words)))
        counts.append(np.fromiter(words.values(), np.float32, len(words)))
    ends = np.cumsum([0, *map(len, columns)])
    if not numbers:
        return None
    weights = 1 + np.log(np.concatenate(counts))
    table = csr_array((weights, np.concatenate(columns), ends), (len(texts), len(numbers)))
    within = np.bincount(table.indices, minlength=len(numbers))
    kept = np.flatnonzero((within > 1) & (within < len(texts)))
    kept = kept[np.argsort(-within[kept], kind="stable")[:WORDS]]
    if not len(kept):
        return None
    table = table[:, kept]
    table.data *= np.log(len(texts) / within[kept])[table.indices]
    return table


def split_words(text: str) -> list[str]:
    """The words of a text, case-folded; in scripts without spaces every two characters."""
    folded = text.casefold()
    words: list[str] = _WORD.findall(folded)
    if not _UNSPACED.search(folded):
        return words
    return [part for word in words for part in _parts(word)]


def _parts(word: str) -> Iterator[str]:
    for run in _UNSPACED.findall(word):
        yield from (run[at : at + 2] for at in range(max(1, len(run) - 1)))
    if rest := _UNSPACED.sub("", word):
        yield rest


def _directions(table: csr_array, dimensions: int) -> tuple[Floats, NDArray[np.bool_]]:
    """Each text as a unit vector of the leading singular directions, and which texts have one.

    Latent semantic analysis (Deerwester and others, 1990): words that occur together count as one. It uses the
    randomized range finder (Halko, Martinsson and Tropp, SIAM Review 53, 2011), because a full decomposition of 20,000
    texts takes minutes.
    """
    lengths = np.sqrt(np.asarray((table**2).sum(axis=1)).ravel())
    table = table.multiply(1 / np.maximum(lengths, EMPTY)[:, None]).tocsr()
    words = int(table.indices.max()) + 1  # each occurs in some text
    width = max(1, min(dimensions, len(lengths) - 1, words - 1))
    basis = table @ np.random.default_rng(SEED).standard_normal((words, width))
    for _ in range(4):
        basis, _ = np.linalg.qr(table @ (table.T @ np.linalg.qr(basis)[0]))
    left, values, _ = np.linalg.svd(np.asarray(table.T @ basis).T, full_matrices=False)
    points = basis @ (left * values)
    lengths = np.linalg.norm(points, axis=1)
    placed = lengths > 1e-6
    return points / np.maximum(lengths, EMPTY)[:, None], placed


def spherical_clusters(points: Floats, count: int) -> Integers:
    """Spherical k-means of unit vectors (Dhillon and Modha, Machine Learning 42, 2001), the best of a few starts."""
    random = np.random.default_rng(SEED)
    found = [_settled(points, _start(points, count, random)) for _ in range(STARTS)]
    return max(found, key=lambda each: each[1])[0]


def _start(points: Floats, count: int, random: np.random.Generator) -> Floats:
    """Random centres far from one another (k-means++: Arthur and Vassilvitskii, 2007)."""
    chosen = [int(random.integers(len(points)))]
    far = np.full(len(points), np.inf)
    for _ in range(count - 1):
        far = np.minimum(far, np.maximum(1 - points @ points[chosen[-1]], 0))
        if far.sum() < EMPTY:
            break
        chosen.append(int(np.searchsorted(np.cumsum(far), random.random() * far.sum())))
    return points[chosen]


def _settled(points: Floats, centres: Floats) -> tuple[Integers, float]:
    """Each point's cluster, and the closeness of points to their centres as a sum of cosines."""
    from scipy.sparse import csr_array

    labels, ones = np.full(len(points), -1), np.ones(len(points))
    for _ in range(ROUNDS):
        closeness = points @ centres.T
        nearest = closeness.argmax(axis=1)
        if (nearest == labels).all():
            break
        labels = nearest
        members = csr_array((ones, (labels, np.arange(len(points)))), (len(centres), len(points)))
        sums = members @ points
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        centres = np.where(lengths > EMPTY, sums / np.maximum(lengths, EMPTY), centres)
    return labels, float(closeness.max(axis=1).sum())
