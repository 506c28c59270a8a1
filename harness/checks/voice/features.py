"""Surface features of a text: how it sounds, regardless of its topic.

One row of `TRAITS` is one number, and an editor's words for high and low values. All are rates, shares or means; the
length of a text is no feature, because it would score the amount of content. The words and forms that they count
come from `languages/*.yaml`; a trait for which a language has no words is left out.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml

WINDOW = 15  # words per window of the variety trait, so that longer texts do not look poorer
CLIPPED = 4  # sentences with fewer words are clipped
ENGLISH = "en"
LANGUAGES = ("de", ENGLISH, "es", "fi", "fr")
HEAVY = re.compile(r"[;:()\u2013\u2014]|\s-\s")


@dataclass(frozen=True)
class Text:
    """A text, split once: the original, in lower case, its words (in lower case), its sentences."""

    cased: str
    plain: str
    words: tuple[str, ...]
    sentences: tuple[str, ...]
    function_share: float


Measure = Callable[[Text], float]


@dataclass(frozen=True)
class Feature:
    """One number of a text, and an editor's words for more and less of it than in the voice."""

    name: str
    measure: Measure
    more: str
    less: str


@dataclass(frozen=True, eq=False)
class SurfaceLanguage:
    """The traits of a language. `span` is the share of function words in texts that have sentences.

    With `elides`, an apostrophe separates two words.
    """

    features: tuple[Feature, ...]
    function: frozenset[str]
    span: tuple[float, float]
    elides: bool

    def function_share(self, found: Collection[str]) -> float:
        """The share of function words such as "the" among `found`, without contractions; 0 if there are no words."""
        parts = [part for word in found for part in word.split("'")] if self.elides else found
        return sum(word in self.function for word in parts) / max(1, len(parts))

    def measure(self, text: str) -> npt.NDArray[np.float64]:
        """Measure `text`: one number per feature, finite for any text."""
        plain, found = plain_text(text), words(text)
        taken = Text(plain, plain.lower(), found, sentences_of(text), self.function_share(found))
        return np.array([feature.measure(taken) for feature in self.features], dtype=np.float64)


@cache
def surface_language(code: str) -> SurfaceLanguage:
    """The surface language of one of `LANGUAGES`."""
    data = yaml.safe_load(resources.files(__package__).joinpath(f"languages/{code}.yaml").read_text("utf-8"))
    low, high = data["function_share"]
    features = [
        Feature(name, measure, more.format(such=such), less.format(such=such))
        for name, shared, more, less in TRAITS
        for own in [data["traits"].get(name, {})]
        for measure, such in [(shared or _own(own), own.get("such", ""))]
        if measure
    ]
    return SurfaceLanguage(tuple(features), frozenset(data["function"].split()), (low, high), data.get("elides", False))


def _own(trait: Mapping[str, Any]) -> Measure | None:
    """The measure of a language's own words and forms; None if it has none."""
    for key, made in (("words", _among), ("opens", _opens)):
        if key in trait:
            return made(frozenset(trait[key].split()))
    if "whole" in trait:
        return _matching(re.compile("|".join(trait["whole"])))
    for key in ("find", "cased"):
        if key in trait:
            return _pattern(re.compile(rf"\b(?:{'|'.join(trait[key])})\b"), cased=key == "cased")
    return None


def plain_text(text: str) -> str:
    """`text` with one form for each character (NFKC), straight apostrophes and single spaces."""
    straight = unicodedata.normalize("NFKC", text).replace("\u2019", "'").replace("\u2018", "'")
    return re.sub(r"\s+", " ", straight)


def words(text: str) -> tuple[str, ...]:
    """The words and numbers of `text`, in lower case; a contraction is one word."""
    return tuple(re.findall(r"\w+(?:'\w+)*", plain_text(text).lower()))


def sentences_of(text: str) -> tuple[str, ...]:
    """The sentences of `text` that contain a word; a line break also ends one."""
    return tuple(part for part in re.split(r"(?<=[.!?])\s+|\n+", text) if words(part))


def _rate(count: int, text: Text) -> float:
    return 100.0 * count / max(1, len(text.words))


def _pattern(pattern: re.Pattern[str], cased: bool = False) -> Measure:
    return lambda text: _rate(len(pattern.findall(text.cased if cased else text.plain)), text)


def _matching(pattern: re.Pattern[str]) -> Measure:
    return lambda text: _rate(sum(bool(pattern.fullmatch(word)) for word in text.words), text)


def _among(listed: Collection[str]) -> Measure:
    # `we'll` counts as `we`
    return lambda text: _rate(sum(word.partition("'")[0] in listed for word in text.words), text)


def _opens(listed: Collection[str]) -> Measure:
    return lambda text: float(bool(text.words) and text.words[0].partition("'")[0] in listed)


def _sentence_length(text: Text) -> float:
    return math.log(max(1, len(text.words)) / max(1, len(text.sentences)))


def _clipped(text: Text) -> float:
    return sum(len(words(part)) < CLIPPED for part in text.sentences) / max(1, len(text.sentences))


def _word_length(text: Text) -> float:
    return sum(map(len, text.words)) / max(1, len(text.words))


def _variety(text: Text) -> float:
    starts = range(max(1, len(text.words) - WINDOW + 1))
    windows = [text.words[start : start + WINDOW] for start in starts]
    return sum(len(set(window)) / max(1, len(window)) for window in windows) / len(windows)


def _symbols(text: Text) -> float:
    return _rate(sum(unicodedata.category(char) == "So" for char in text.plain), text)


# Surface features only: sentence embeddings encode the topic. If topic and label are confounded in the references,
# MiniLM's AUC is .36, below chance; that of 24 surface features was 1.00.
#: Name, measure (None: the language's own), words for high and for low values, with an example of the language.
TRAITS: tuple[tuple[str, Measure | None, str, str], ...] = (
    ("sentence length", _sentence_length, "long sentences", "short sentences"),
    ("clipped sentences", _clipped, "clipped sentences of a word or three", "no short, punchy sentence"),
    ("contractions", None, "many contractions", "few contractions such as {such}"),
    ("uncontracted", None, "uncontracted forms such as {such}", "no form left uncontracted"),
    ("you", None, "{such} very often", "{such} seldom or never"),
    ("formal address", None, "{such} for the reader", "no {such} for the reader"),
    ("we", None, "{such} very often", "{such} seldom or never"),
    ("I", None, "{such} very often", "{such} seldom or never"),
    ("exclamation marks", _pattern(re.compile("!")), "exclamation marks", "no exclamation marks"),
    ("question marks", _pattern(re.compile(r"\?")), "questions", "no questions"),
    ("hedges", None, "hedges such as {such}", "no hedges"),
    ("apology", None, "apologies", "no apology"),
    ("filler", None, "stock phrases such as {such}", "no courtesy phrases"),
    ("enthusiasm", None, "gushing words such as {such}", "little enthusiasm"),
    ("intensifiers", None, "words that lay it on, such as {such}", "nothing laid on thick"),
    ("chattiness", None, "slang such as {such}", "no slang"),
    ("passive", None, "passive verbs", "few passive verbs"),
    ("formal nouns", None, "formal nouns in {such}", "few formal nouns"),
    ("linkers", None, "official words such as {such}", "no official words"),
    ("commas", _pattern(re.compile(",")), "many commas", "few commas"),
    ("heavy punctuation", _pattern(HEAVY), "colons, semicolons, brackets or dashes", "only light punctuation"),
    ("word length", _word_length, "long words", "very short words"),
    ("variety", _variety, "hardly a word used twice", "the same words over and over"),
    ("direct opening", None, "{such} to start", "no {such} to start"),
    ("polite opening", None, "a formula or greeting as the opening", "no opening formula"),
    ("articles", None, "many articles", "dropped articles, as in a telegram"),
    ("function words", lambda text: text.function_share, "many small words", "few small words"),
    ("symbols", _symbols, "emoji or symbols", "no emoji"),
)


LETTERS = (2, 4)  # shortest and longest run, within a word or at its edge
WEIGHT = 10.0  # length of a text's n-gram vector, relative to traits in standard deviations
SEEN = 4_000  # characters of a text; no reply is longer, and scoring must end


def prepared(text: str) -> str:
    """`text` normalized, in lower case, with all digits equal: a price is no habit."""
    return re.sub(r"\d", "0", plain_text(text[:SEEN]).lower())


class CharNgrams:
    """TF-IDF of the letter runs that occur in at least two of `texts`; each text becomes a sparse vector."""

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
