"""Search for similar pairs: all texts of all rows compared with all texts of the fixtures, in blocks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from heapq import nlargest
from itertools import groupby

import numpy as np

from tunegate.harness.cases.model import Task
from tunegate.harness.checks.embeddings import embed
from tunegate.harness.core.files import digest
from tunegate.harness.core.progress import Advance, Watch, quiet
from tunegate.harness.rows.examples import Example
from tunegate.harness.rows.normalize import Wording, wording
from tunegate.harness.rows.overlap import EvalTexts, Matrix
from tunegate.harness.rows.privacy.encodings import decodings
from tunegate.harness.rows.rewordings import LEAST, Reworded, find_reworded, stripped
from tunegate.harness.rows.slots import Slots
from tunegate.harness.rows.texts import (
    SIDES,
    EvalText,
    ExampleText,
    HeldRow,
    Side,
    common_phrases,
    eval_texts,
    example_texts,
    held_texts,
    prompt_templates,
)
from tunegate.harness.rows.thresholds import (
    MOST_LIKENESS,
    REFUSE,
    REVIEW,
    TRANSLATION,
    Near,
    Pairs,
    Values,
    decided_by,
    may_be_near,
    nearest_first,
)
from tunegate.harness.rows.translations import Embed, embed_multilingual, embedded, translations

BLOCK = 1024  # texts per block, which determines memory use
MOST_SIMILAR = 5  # pairs kept for the record
SAMPLE = 200  # rows that are compared with all others


@dataclass(frozen=True)
class Comparison:
    """The result of comparing rows with fixtures: pairs beyond a threshold, the most similar pairs, and counts.

    `other_slots` counts pairs that share a sentence and none of the values in it; they are beyond no threshold.
    `reworded` are the units whose cases the rows were made from, as it looks.
    """

    rows: int
    example_texts: int
    fixture_texts: int
    common_phrases: int
    pairs: tuple[Near, ...]
    nearest: tuple[Near, ...]
    other_slots: int = 0
    reworded: tuple[Reworded, ...] = ()

    def threshold(self, name: str) -> list[Near]:
        """The pairs beyond a threshold, most similar first."""
        return [near for near in self.pairs if near.threshold == name]


def search(
    rows: Sequence[Example],
    tasks: Sequence[Task],
    watch: Watch,
    vectors: Embed = embed,
    multilingual: Embed = embed_multilingual,
) -> Comparison:
    """Compare all texts of the rows, including their decoded forms, with all texts of the cases of all tasks.

    `vectors` embeds texts in one language, `multilingual` in several.
    """
    every, templates = eval_texts(tasks), prompt_templates(tasks)
    spelt = [wording(each.text) for each in every]
    words = {word for each in spelt for word in each.plain}
    plain = [each for row in rows for each in example_texts(row, templates)]
    decoded = ([each, *(replace(each, text=more) for more in decodings(each.text, words))] for each in plain)
    texts = [text for each in decoded for text in each]
    common = common_phrases(_by_row(texts), spelt)
    vectors = _Remembering(vectors)
    made = _find_reworded(rows, tasks, common, vectors, watch)
    near = [*_compared(texts, every, common, watch, vectors)]
    for side in SIDES:
        asked, against = [each for each in texts if each.side == side], [each for each in every if each.side == side]
        if asked and against:
            near += _translated(asked, against, common, watch, multilingual)
    found: dict[tuple[object, ...], Near] = {}
    for each in nearest_first(near):
        found.setdefault(each.pair, each)
    nearest = nlargest(MOST_SIMILAR, found.values(), key=lambda each: each.values["likeness"])
    beyond = [each for each in found.values() if each.threshold != "clear"]
    slots = Slots(case for task in tasks for unit in task.units for case in unit.cases)
    pairs = [each for each in beyond if not slots.differ(each)]
    known = {each.pair for each in pairs}
    more = [each for unit in made for each in unit.pairs if each.pair not in known]
    return Comparison(
        len(rows), len(texts), len(every), len(common), tuple(nearest_first([*pairs, *more])), tuple(nearest),
        len(beyond) - len(pairs), tuple(made),
    )  # fmt: skip


def near_among(rows: Sequence[Example], tasks: Sequence[Task], watch: Watch, vectors: Embed = embed) -> float:
    """The share of the rows that come near another row, or repeat it, by the limits for cases; of `SAMPLE` rows.

    Where it is high, what people ask is alike, and a case that rows come near is no sign of a leak.
    """
    held = sorted(rows, key=lambda row: digest([row.messages, row.output]))[:SAMPLE]
    every, templates = [text for row in held for text in held_texts(row)], prompt_templates(tasks)
    texts = [text for row in rows for text in example_texts(row, templates)]
    common = common_phrases(_by_row(texts), [wording(each.text) for each in every])
    slots = Slots(map(HeldRow, held))
    near = {
        each.eval_text.case.key
        for each in _compared(texts, every, common, watch, _Remembering(vectors))
        if each.threshold != "clear" and f"{each.row.file}:{each.row.line}" != each.eval_text.case.key
        and not slots.differ(each)
    }  # fmt: skip
    return round(len(near) / len({each.case.key for each in every}), 2)


def _compared(
    texts: Sequence[ExampleText], every: Sequence[EvalText], common: Mapping[str, int], watch: Watch, vectors: Embed
) -> Iterator[Near]:
    """The pairs in one language, by side, since word frequencies of inputs do not apply to outputs."""
    for side in SIDES:
        against = [each for each in every if each.side == side]
        if texts and against:
            yield from _near(texts, against, common, watch, vectors)


class _Remembering:
    """Embeds each text once."""

    def __init__(self, embed: Embed) -> None:
        self._embed, self.known = embed, dict[str, Matrix]()

    def __call__(self, texts: Sequence[str]) -> Matrix:
        missing = [text for text in dict.fromkeys(texts) if text not in self.known]
        if missing:
            self.known |= zip(missing, self._embed(missing), strict=True)
        return np.stack([self.known[text] for text in texts])


def _find_reworded(
    rows: Sequence[Example], tasks: Sequence[Task], common: Mapping[str, int], vectors: _Remembering, watch: Watch
) -> list[Reworded]:
    """The units whose cases rows reword; nothing is embedded where there are too few of either."""
    units = [unit for task in tasks for unit in task.units if unit.suite != "cost" and len(unit.cases) >= LEAST]
    if len(rows) < LEAST or not units:
        return []
    asked = [row.input for row in rows] + [case.text for unit in units for case in unit.cases]
    embedded(sorted({stripped(text, common) for text in asked}, key=len), vectors, watch)
    return list(find_reworded(rows, units, vectors.known, common))


def _by_row(texts: Iterable[ExampleText]) -> list[list[str]]:
    return [
        [each.text for each in group] for _, group in groupby(texts, key=lambda each: (each.row.file, each.row.line))
    ]


def _near(
    texts: Sequence[ExampleText],
    against: Sequence[EvalText],
    common: Mapping[str, int],
    watch: Watch,
    vectors: Embed,
) -> list[Near]:
    """The pairs with one side of the fixtures beyond a threshold, and the most similar of the others."""
    spelt = [wording(each.text) for each in against]
    stripped = [each.without(common) for each in spelt]
    side = against[0].side
    with watch(f"Comparing {len(texts)} texts of rows with {len(against)} {side}s of fixtures", len(texts)) as done:
        pairs = _candidates(texts, spelt, stripped, common, side, done)
    left = {at: wording(texts[at].text).without(common).text for at in np.unique(pairs.rows[pairs.same_side]).tolist()}
    pairs = replace(pairs, cosine=_cosines(pairs, left, [each.text for each in stripped], watch, vectors))
    pairs = replace(pairs, limit=_limits(against, spelt, stripped, common, watch, vectors)[pairs.eval_texts])
    wanted = np.flatnonzero(pairs.refused | pairs.reviewed)
    nearest = np.argsort(-pairs.likeness, kind="stable")[:MOST_SIMILAR]
    return [
        Near(texts[pairs.rows[at]], against[pairs.eval_texts[at]], *decided_by(pairs, at), pairs.values(at))
        for at in dict.fromkeys([*wanted.tolist(), *nearest.tolist()])
    ]


def _translated(
    texts: Sequence[ExampleText],
    against: Sequence[EvalText],
    common: Mapping[str, int],
    watch: Watch,
    multilingual: Embed,
) -> Iterator[Near]:
    """The pairs of a row's text and the text of a case that it may be a translation of."""
    asked, held = ([wording(each.text).without(common).text for each in side] for side in (texts, against))
    for each in translations(asked, held, [text.case.key for text in against], watch, multilingual):
        found = {"cosine": each.cosine, "likeness": each.likeness, "limit": each.limit}
        values = dict.fromkeys(REFUSE, 0.0) | found
        yield Near(texts[each.row], against[each.eval_text], "review", TRANSLATION, each.likeness, values)


def _limits(
    against: Sequence[EvalText],
    spelt: Sequence[Wording],
    stripped: Sequence[Wording],
    common: Mapping[str, int],
    watch: Watch,
    vectors: Embed,
) -> Values:
    """The review limit of each held-out text: its highest likeness to the texts of other cases."""
    with quiet()("", len(against)) as done:
        pairs = _candidates(against, spelt, stripped, common, against[0].side, done)
    keys = np.array([each.case.key for each in against])
    pairs = pairs.only(keys[pairs.rows] != keys[pairs.eval_texts])
    texts = [each.text for each in stripped]
    pairs = replace(pairs, cosine=_cosines(pairs, dict(enumerate(texts)), texts, watch, vectors))
    limits: Values = np.full(len(against), REVIEW["likeness"], dtype=np.float32)
    np.maximum.at(limits, pairs.eval_texts, np.minimum(pairs.likeness, MOST_LIKENESS))
    return limits


def _candidates(
    texts: Sequence[ExampleText] | Sequence[EvalText],
    spelt: Sequence[Wording],
    stripped: Sequence[Wording],
    common: Mapping[str, int],
    side: Side,
    done: Advance,
) -> Pairs:
    """The candidate pairs, without cosines and limits; in blocks, so that memory does not grow with the rows."""
    measured, equals = EvalTexts(stripped), defaultdict(set)
    for at, each in enumerate(zip(spelt, stripped, strict=True)):
        for form in each:
            equals[form.key].add(at)
    blocks = []
    for start in range(0, len(texts), BLOCK):
        block = texts[start : start + BLOCK]
        # equality is also checked with the common phrases, since a text may consist only of them
        whole = [wording(each.text) for each in block]
        short = [each.without(common) for each in whole]
        equal = np.zeros((len(whole), len(spelt)), dtype=bool)
        for at, forms in enumerate(zip(whole, short, strict=True)):
            for key in {form.key for form in forms} - {None}:
                equal[at, list(equals.get(key, ()))] = True
        scores = measured.scores(short)
        same_side = np.array([[each.side == side] * len(spelt) for each in block])
        row, text = np.nonzero(may_be_near(equal, scores, same_side))
        values = (each[row, text] for each in (equal, same_side, scores.coverage, scores.letters, scores.words))
        blocks.append((row + start, text, *values, *np.zeros((2, len(row)), dtype=np.float32)))
        done(len(whole))
    return Pairs(*(np.concatenate(each) for each in zip(*blocks, strict=True)))


def _cosines(pairs: Pairs, rows: Mapping[int, str], against: Sequence[str], watch: Watch, vectors: Embed) -> Values:
    """The cosine of each same-side pair; each distinct text is embedded once, in batches of similar length."""
    every, pairs = pairs, pairs.only(pairs.same_side)
    cosines = np.zeros(len(every.rows), dtype=np.float32)
    if not len(pairs.rows):
        return cosines
    lefts, rights = [rows[at] for at in pairs.rows.tolist()], [against[at] for at in pairs.eval_texts.tolist()]
    different = sorted({*lefts, *rights}, key=lambda text: (len(text), text))
    place = {text: at for at, text in enumerate(different)}
    table = embedded(different, vectors, watch)
    products = table[[place[text] for text in lefts]] * table[[place[text] for text in rights]]
    cosines[every.same_side] = np.clip(products.sum(axis=1, dtype=np.float32), 0, 1)
    return cosines
