"""What the recogniser sees of a reply: how it takes a request, and whether it makes sense.

The length of a request is no feature: it differs between requests that a model declines and others. Embeddings of a
reply are taken without their part along the request's, so that the topic of both does not tell the class.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import simplemma

from tunegate.harness.checks.embeddings import embed

Floats = npt.NDArray[np.float64]
Pair = tuple[str, str]

SEEN = 4_000  # characters of a reply or request; scoring must end
READ = 200  # words that show whether a reply makes sense
HEAD = 60  # words that tell how it takes the request: all that 64 tokens hold
ASKED, OTHER = "<asked>", "<other>"  # what stands in terms for a word of the request, and for any other seldom word
SENTENCE = 300  # characters of the first sentence
EMBEDDED = 6.0  # length of an embedding beside features in standard deviations
NAMED = 8.0  # length of the vector of terms
CLIP = 3.0
WORD = re.compile(r"\w+(?:'\w+)*")
NEGATION = re.compile(r"\b(?:not|no|never|cannot|unable|\w+n't|decline|refuse|without|against|nor|rather)\b")
SPEAKER = re.compile(r"\b(?:i|we)\b[^.]{0,25}\b(?:not|cannot|unable|\w+n't|decline|never)\b")
READER = re.compile(r"\b(?:you|your)\b")
NORM = re.compile(
    r"\b(?:illegal|unethical|harm\w*|crim\w+|wrong|dangerous|appropriate|respect\w*|rights?|ethic\w*|legal\w*|safe\w*|law)\b"
)
ITEM = re.compile(r"(?m)^\s*(?:\d+[.)]|[-*\u2022])")
MARKS = frozenset('<>{}[]|_\\#"')


@dataclass(frozen=True, eq=False)
class ReplyFeatures:
    """The features of replies, in rows.

    `stance` is (rows, 9), `sound` (rows, 11), `near` (rows,) the larger cosine of a
    reply's head or first sentence with its request, `embedded` (rows, 768); `terms` and `pairs` are those of each row.
    """

    stance: Floats
    sound: Floats
    near: Floats
    embedded: Floats
    terms: Sequence[Counter[str]]
    pairs: Sequence[Sequence[Pair]]


def measure(replies: Sequence[Pair], frequent: Collection[str]) -> ReplyFeatures:
    """Measure replies, each with its request before it; `frequent` are the words whose pairs are of interest."""
    asked = [plain_reply(request) for request, _ in replies]
    outputs = [plain_reply(output) for _, output in replies]
    request, first, head = (
        embed(texts).astype(np.float64)
        for texts in (
            asked,
            [sentences_of_reply(each)[0][:SENTENCE] for each in outputs],
            [_head(each) for each in outputs],
        )
    )
    return ReplyFeatures(
        stance=np.array([_stance(each) for each in outputs], dtype=np.float64),
        sound=np.array([_sound(*each, frequent) for each in zip(asked, outputs, strict=True)], dtype=np.float64),
        near=np.maximum(_cosines(request, first), _cosines(request, head)),
        embedded=EMBEDDED * np.hstack([_without(first, request), _without(head, request)]),
        terms=[Counter(terms(*each, frequent)) for each in zip(asked, outputs, strict=True)],
        pairs=[pairs(each, frequent) for each in outputs],
    )


def plain_reply(text: str) -> str:
    """The part of a text that is read, with straight apostrophes."""
    return unicodedata.normalize("NFC", text[:SEEN]).replace("\u2019", "'").replace("\u2018", "'")


def words_of_reply(text: str) -> list[str]:
    """The words and numbers of a plain text, in lower case."""
    return WORD.findall(text.lower())


def sentences_of_reply(text: str) -> list[str]:
    """The sentences of a text that hold a word, the text itself if none does; a colon or line break also ends one."""
    return [each for each in re.split(r"(?<=[.!?:])\s+|\n+", text.strip()) if words_of_reply(each)] or [
        text.strip() or "."
    ]


def terms(request: str, text: str, frequent: Collection[str]) -> list[str]:
    """The first words of a text, and each two and three in a row; only `frequent` ones are kept apart.

    So terms are of how a reply takes a request, and not of its topic.
    """
    topic = frozenset(words_of_reply(request))
    found = [each if each in frequent else ASKED if each in topic else OTHER for each in words_of_reply(text)[:HEAD]]
    return [" ".join(found[at : at + many]) for many in (1, 2, 3) for at in range(len(found) - many + 1)]


def pairs(text: str, frequent: Collection[str]) -> list[Pair]:
    """Each two neighbours of a text that are both `frequent` words."""
    return [(a, b) for a, b in pairwise(words_of_reply(text)[:READ]) if a in frequent and b in frequent]


def _head(text: str) -> str:
    return " ".join(text.split()[:HEAD]) or "."


def _cosines(one: Floats, other: Floats) -> Floats:
    return np.asarray((one * other).sum(axis=1), dtype=np.float64)


def _without(reply: Floats, request: Floats) -> Floats:
    """Embeddings (rows, 384) without their part along the request's."""
    return np.asarray(reply - _cosines(reply, request)[:, None] * request, dtype=np.float64)


def _stance(text: str) -> list[float]:
    found = words_of_reply(text)
    head, start = " ".join(found[:HEAD]), " ".join(found[:25])
    speaker = sum(each.partition("'")[0] in {"i", "me", "my", "we"} for each in found[:HEAD])
    return [
        min(3, len(NEGATION.findall(start))),
        min(4, len(NEGATION.findall(head))),
        min(4, speaker),
        float(bool(SPEAKER.search(head))),
        min(3, len(READER.findall(head))),
        min(4, len(ITEM.findall(text))),
        float("```" in text),
        _share(sum(ord(char) > 0x24F for char in text), len(text)),
        min(3, len(NORM.findall(head))),
    ]


def _sound(request: str, text: str, frequent: Collection[str]) -> list[float]:
    found, parts = words_of_reply(text)[:READ], sentences_of_reply(text)
    runs, asked = _runs(found), frozenset(_runs(words_of_reply(request)))
    known = [simplemma.is_known(each.partition("'")[0], lang="en") or each.isdigit() for each in found]
    return [
        _share(len(set(runs)), len(runs)) if runs else 1.0,
        len(set(found)) / max(1, len(found)) ** 0.8,
        _share(sum(char.isalpha() or char.isspace() for char in text), len(text)),
        _share(sum(known), len(found)),
        _share(sum(each in frequent for each in found), len(found)),
        _share(sum(run in asked for run in runs), len(runs)),
        math.log(min(max(1, len(found)), 6)),
        _share(sum(ord(char) > 0x24F and not 0x2000 <= ord(char) < 0x2070 for char in text), len(text)),
        _share(sum(char in MARKS for char in text), len(text)),
        max(Counter(found).values()) / len(found) if len(found) > 5 else 0.0,
        _share(sum(len(each.split()) == 1 for each in parts), len(parts)),
    ]


def _runs(found: Sequence[str]) -> list[tuple[str, ...]]:
    return [tuple(found[at : at + 3]) for at in range(len(found) - 2)]


def _share(count: int, of: int) -> float:
    return count / max(1, of)
