"""Every text of every row held against every text of the fixtures, in blocks: the pairs that come near."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from heapq import nlargest
from itertools import groupby

import numpy as np

from tunegate.harness.core.progress import Advance, Watch
from tunegate.harness.embeddings import embed
from tunegate.harness.fixtures.model import Task
from tunegate.trainers.data.examples import Example
from tunegate.trainers.decontamination.normalize import Wording, wording
from tunegate.trainers.decontamination.overlap import EvalTexts, Matrix
from tunegate.trainers.decontamination.texts import (
    SIDES,
    EvalText,
    Side,
    common_phrases,
    eval_texts,
    example_texts,
    prompt_templates,
)
from tunegate.trainers.decontamination.thresholds import Near, Pairs, Values, decided_by, may_be_near, nearest_first

BLOCK = 1024  # texts at once: what decides the memory
BATCH = 128  # texts embedded between two steps of the bar
NEAREST = 5  # pairs kept for the record
Embed = Callable[[Sequence[str]], Matrix]


@dataclass(frozen=True)
class Comparison:
    """What came near when rows were held against fixtures: pairs beyond a threshold, the nearest ones, and counts."""

    rows: int
    example_texts: int
    fixture_texts: int
    common_phrases: int
    pairs: tuple[Near, ...]
    nearest: tuple[Near, ...]

    def threshold(self, name: str) -> list[Near]:
        """The pairs beyond a threshold, the nearest first."""
        return [near for near in self.pairs if near.threshold == name]


def search(rows: Sequence[Example], tasks: Sequence[Task], watch: Watch, vectors: Embed = embed) -> Comparison:
    """Hold every text of the rows against every text of the cases, inputs and outputs apart."""
    every, templates = eval_texts(tasks), prompt_templates(tasks)
    texts = [(row, side, text) for row in rows for side, each in example_texts(row, templates).items() for text in each]
    common = common_phrases(_by_row(texts), [wording(each.text) for each in every])
    near: list[Near] = []
    for side in SIDES:
        mine = [(row, text) for row, its, text in texts if its == side]
        against = [each for each in every if each.side == side]
        if mine and against:
            near += _near(mine, against, common, watch, vectors)
    found: dict[tuple[object, ...], Near] = {}
    for each in nearest_first(near):
        found.setdefault(each.pair, each)
    nearest = nlargest(NEAREST, found.values(), key=lambda each: each.values["likeness"])
    beyond = tuple(each for each in found.values() if each.threshold != "clear")
    return Comparison(len(rows), len(texts), len(every), len(common), beyond, tuple(nearest))


def _by_row(texts: Iterable[tuple[Example, Side, str]]) -> list[list[str]]:
    return [[text for _, _, text in each] for _, each in groupby(texts, key=lambda each: (each[0].file, each[0].line))]


def _near(
    texts: Sequence[tuple[Example, str]],
    against: Sequence[EvalText],
    common: Mapping[str, int],
    watch: Watch,
    vectors: Embed,
) -> Iterator[Near]:
    """The pairs of one side beyond a threshold, and the nearest of the others."""
    spelt = [wording(each.text) for each in against]
    stripped = [each.without(common) for each in spelt]
    title = f"Holding {len(texts)} {against[0].side}s of rows against {len(against)} of the fixtures"
    with watch(title, len(texts)) as done:
        pairs = _candidates([text for _, text in texts], spelt, stripped, common, done)
    left = {at: wording(texts[at][1]).without(common).text for at in np.unique(pairs.rows).tolist()}
    pairs = replace(pairs, cosine=_cosines(pairs, left, [each.text for each in stripped], watch, vectors))
    wanted = np.flatnonzero(pairs.refused | pairs.reviewed)
    for at in dict.fromkeys([*wanted.tolist(), *np.argsort(-pairs.likeness, kind="stable")[:NEAREST].tolist()]):
        row, text = texts[pairs.rows[at]]
        yield Near(row, against[pairs.eval_texts[at]], text, *decided_by(pairs, at), pairs.values(at))


def _candidates(
    texts: Sequence[str],
    spelt: Sequence[Wording],
    stripped: Sequence[Wording],
    common: Mapping[str, int],
    done: Advance,
) -> Pairs:
    """The pairs that may be near, in blocks, so that memory does not grow with the rows; no cosines yet."""
    measured, equals = EvalTexts(stripped), defaultdict(set)
    for at, each in enumerate(zip(spelt, stripped, strict=True)):
        for form in each:
            equals[form.key].add(at)
    blocks = []
    for start in range(0, len(texts), BLOCK):
        # equal is looked for with the common phrases as well, as a text may be made of them alone
        whole = [wording(text) for text in texts[start : start + BLOCK]]
        short = [each.without(common) for each in whole]
        equal = np.zeros((len(whole), len(spelt)), dtype=bool)
        for at, forms in enumerate(zip(whole, short, strict=True)):
            for key in {form.key for form in forms} - {None}:
                equal[at, list(equals.get(key, ()))] = True
        scores = measured.scores(short)
        row, text = np.nonzero(may_be_near(equal, scores))
        values = (each[row, text] for each in (equal, scores.coverage, scores.letters, scores.words))
        blocks.append((row + start, text, *values, np.zeros(len(row), dtype=np.float32)))
        done(len(whole))
    return Pairs(*(np.concatenate(each) for each in zip(*blocks, strict=True)))


def _cosines(pairs: Pairs, rows: Mapping[int, str], against: Sequence[str], watch: Watch, vectors: Embed) -> Values:
    """The cosine of each pair's embeddings, each different text embedded once, texts of like length together."""
    if not len(pairs.rows):
        return pairs.cosine
    lefts, rights = [rows[at] for at in pairs.rows.tolist()], [against[at] for at in pairs.eval_texts.tolist()]
    different = sorted({*lefts, *rights}, key=lambda text: (len(text), text))
    place = {text: at for at, text in enumerate(different)}
    blocks = []
    with watch(f"Comparing what {len(different)} texts mean", len(different)) as done:
        for start in range(0, len(different), BATCH):
            blocks.append(vectors(different[start : start + BATCH]))
            done(len(blocks[-1]))
    table = np.concatenate(blocks)
    products = table[[place[text] for text in lefts]] * table[[place[text] for text in rights]]
    cosines: Values = np.clip(products.sum(axis=1, dtype=np.float32), 0, 1)
    return cosines
