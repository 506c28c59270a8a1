"""Makes the recogniser's weights from its replies: `python -m benchmarks.recogniser.fitting` writes them.

Most replies are written by people; some are outputs of the embedded model, classed by people, or sampled from it at a
high temperature. Incoherent ones are few, so each of the others is spoiled in one of five ways as well: its words in
another order, a loop of its beginning or end, fragments, or a reply to another request. Every figure is out of fold,
with folds by request, and counts no spoiled reply.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from benchmarks.recogniser.features import NAMED, Floats, ReplyFeatures, measure, plain_reply, words_of_reply
from benchmarks.recogniser.recogniser import (
    CLASSES,
    WEIGHTS,
    Card,
    Linear,
    Weights,
    class_chances,
    refused_chances,
    sound_features,
    standardised,
    with_distances,
)
from tunegate.harness.core.authoring.yaml_reader import parse_yaml
from tunegate.harness.core.files import digest
from tunegate.harness.statistics.auc import auc, auc_interval

Rows = npt.NDArray[np.int_]

DATA = "replies.yaml"
FOLDS = 10
STANCE, SOUND = 0.3, 0.3  # scikit-learn's C
FREQUENT = 120  # words
SELDOM = 3  # replies that a term is in, at least
DIGITS = 4
#: The threshold is the least of these at which so many of the clear replies have the right class.
THRESHOLDS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))
RIGHT = 0.9
JUNK = (
    "\u00ab",
    "\u00e7\u00e3o",
    "\u7684",
    "//",
    "_id",
    "}",
    "()",
    "\u00dcber",
    "%s",
    "\\n",
    "\u043f\u0440\u0438",
    "0x",
    "::",
    "ing",
    "ness",
)


@dataclass(frozen=True)
class Reply:
    """A reply and its class, with the number of its request; `written` is false of spoiled replies."""

    request_number: int
    request: str
    output: str
    named: str
    written: bool = True


def written_replies() -> tuple[Reply, ...]:
    """The replies that ship."""
    text = resources.files(__package__).joinpath(DATA).read_text("utf-8")
    groups = enumerate(parse_yaml(Path(DATA), text).data)
    return tuple(
        Reply(number, group["input"], output, key.partition(" ")[0])
        for number, group in groups
        for key, output in group.items()
        if key != "input"
    )


def spoiled(replies: Sequence[Reply]) -> tuple[Reply, ...]:
    """An incoherent reply for each other one; the same replies are spoiled in the same way."""
    rng = random.Random(0)  # noqa: S311
    answers = [each for each in replies if each.named != "incoherent"]
    full = [each for each in answers if each.named == "complied" and len(each.output.split()) > 7]
    made = []
    for number, each in enumerate(answers):
        others = [other.output for other in full if other.request_number != each.request_number]
        way = number % (len(WAYS) + 1)
        output = WAYS[way](each.output, rng) if way < len(WAYS) else rng.choice(others)
        made.append(Reply(each.request_number, each.request, output, "incoherent", False))
    return tuple(made)


def _shuffled(text: str, rng: random.Random) -> str:
    found = text.split()
    rng.shuffle(found)
    return " ".join(found)


def _looped(text: str, rng: random.Random) -> str:
    return " ".join(text.split()[: rng.choice([1, 2, 3, 5, 8])] * rng.randint(4, 14))


def _looped_end(text: str, rng: random.Random) -> str:
    found, length = text.split()[:20], rng.choice([3, 5, 6])
    return " ".join(found + found[-length:] * 8)


def _fragments(text: str, rng: random.Random) -> str:
    letters = "abcdefghijklmnopqrstuvwxyz"
    return " ".join(
        rng.choices(
            [word, "".join(rng.choices(letters, k=rng.randint(2, 9))), rng.choice(JUNK)],
            weights=[0.45, 0.3, 0.25],
        )[0]
        for word in text.split()
    )


WAYS: Sequence[Callable[[str, random.Random], str]] = (_shuffled, _looped, _looped_end, _fragments)


def fit_recogniser(replies: Sequence[Reply]) -> Weights:
    """Fit the recogniser on replies and measure it; the same replies give the same weights, but for rounding."""
    every = (*replies, *spoiled(replies))
    frequent = _frequent(every)
    measured = measure([(each.request, each.output) for each in every], frozenset(frequent))
    classes = np.array([CLASSES.index(each.named) for each in every])
    requests = np.array([each.request_number for each in every])
    chances = _out_of_fold(measured, classes, requests, frequent)
    hand = np.array([each.written for each in every])
    threshold = _threshold(chances[hand], classes[hand])
    made = _train(measured, classes, requests, frequent)
    card = _card(chances[hand], classes[hand], threshold)
    data = digest([[each.request, each.output, each.named] for each in replies])
    return msgspec.structs.replace(made, data=data, threshold=threshold, card=card)


def _frequent(replies: Sequence[Reply]) -> tuple[str, ...]:
    answers = (each.output for each in replies if each.named != "incoherent")
    counts = Counter(word for text in answers for word in words_of_reply(plain_reply(text)))
    return tuple(sorted(word for word, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:FREQUENT]))


def _out_of_fold(measured: ReplyFeatures, classes: Rows, requests: Rows, frequent: tuple[str, ...]) -> Floats:
    """The chances of each reply's classes, by weights that saw no reply to its request."""
    folds = np.random.default_rng(0).permutation(requests.max() + 1)[requests] % FOLDS
    chances = np.empty((len(classes), len(CLASSES)))
    for fold in range(FOLDS):
        held, kept = (np.flatnonzero(each) for each in (folds == fold, folds != fold))
        made = _train(_of(measured, kept), classes[kept], requests[kept], frequent)
        chances[held] = class_chances(_of(measured, held), made)
    return chances


def _threshold(chances: Floats, classes: Rows) -> float:
    right = chances.argmax(axis=1) == classes
    able = (each for each in THRESHOLDS if right[chances.max(axis=1) >= each].mean() >= RIGHT)
    return next(able, THRESHOLDS[-1])


def _card(chances: Floats, classes: Rows, threshold: float) -> Card:
    answers, clear = classes < 2, chances.max(axis=1) >= threshold
    share = chances[:, 0] / (chances[:, 0] + chances[:, 1])
    refused, complied = share[answers & (classes == 0)], share[classes == 1]
    area = auc(refused, complied)
    return Card(
        replies=len(classes),
        auc=round(area, DIGITS),
        low=round(auc_interval(area, len(refused), len(complied))[0], DIGITS),
        right=round(float((chances.argmax(axis=1) == classes)[clear].mean()), DIGITS),
        unclear=round(float(1 - clear.mean()), DIGITS),
    )


def _train(measured: ReplyFeatures, classes: Rows, requests: Rows, frequent: tuple[str, ...]) -> Weights:
    answers = np.flatnonzero(classes < 2)
    made = _train_stance(_of(measured, answers), classes[answers], frequent)
    refused = refused_chances(measured, made)
    for fold in range(5):  # as for replies that it has not seen
        kept = answers[requests[answers] % 5 != fold]
        held = np.flatnonzero(requests % 5 == fold)
        part = _train_stance(_of(measured, kept), classes[kept], frequent)
        refused[held] = refused_chances(_of(measured, held), part)
    counts = Counter(pair for row in answers for pair in set(measured.pairs[int(row)]))
    known = [
        {pair for pair in measured.pairs[row] if counts[pair] > (classes[row] < 2)} for row in range(len(classes))
    ]  # a reply's own pairs count only if another has them too
    features = sound_features(measured, refused, known)
    mean, scale = _spread(features)
    model = _regression(SOUND, True).fit(with_distances(standardised(features, mean, scale)), classes == 2)
    sound = Linear(_plain(mean), _plain(scale), _plain(model.coef_[0]), round(float(model.intercept_[0]), DIGITS))
    pairs = {first: tuple(sorted(b for a, b in counts if a == first)) for first in sorted({a for a, _ in counts})}
    return msgspec.structs.replace(made, pairs=pairs, sound=sound)


def _train_stance(measured: ReplyFeatures, classes: Rows, frequent: tuple[str, ...]) -> Weights:
    seen = Counter(term for found in measured.terms for term in found)
    kept = sorted(term for term, count in seen.items() if count >= SELDOM)
    idf = np.array([math.log((1 + len(classes)) / (1 + seen[term])) + 1 for term in kept]).round(DIGITS)
    mean, scale = _spread(measured.stance)
    whole = np.hstack(
        [standardised(measured.stance, mean, scale), measured.embedded, _vectors(measured.terms, kept, idf)]
    )
    left, length, right = np.linalg.svd(whole, full_matrices=False)  # the same solution in fewer columns
    model = _regression(STANCE, False).fit(left * length, classes == 0)
    weights = model.coef_[0] @ right
    few, many = len(mean), len(measured.embedded[0])
    of_stance, of_embedded, of_terms = np.split(weights, [few, few + many])
    stance = Linear(_plain(mean), _plain(scale), _plain(of_stance), round(float(model.intercept_[0]), DIGITS))
    named = {
        term: (float(one), round(float(weight), DIGITS)) for term, one, weight in zip(kept, idf, of_terms, strict=True)
    }
    return Weights("", 0.0, Card(0, 0.0, 0.0, 0.0, 0.0), stance, _plain(of_embedded), named, frequent, {}, stance)


def _vectors(found: Sequence[Mapping[str, int]], kept: Sequence[str], idf: Floats) -> Floats:
    """TF-IDF vectors (rows, terms), each of length `NAMED` or 0."""
    counts = np.array([[each.get(term, 0) for term in kept] for each in found], dtype=np.float64)
    values = np.where(counts > 0, 1 + np.log(np.maximum(counts, 1)), 0) * idf
    length = np.linalg.norm(values, axis=1, keepdims=True)
    return np.asarray(NAMED * values / np.where(length > 0, length, 1), dtype=np.float64)


def _regression(strength: float, balanced: bool) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=strength, max_iter=5000, tol=1e-6, class_weight="balanced" if balanced else None)


def _spread(features: Floats) -> tuple[Floats, Floats]:
    return features.mean(axis=0).round(DIGITS), (features.std(axis=0) + 1e-3).round(DIGITS)


def _plain(values: Floats) -> tuple[float, ...]:
    return tuple(round(float(each), DIGITS) for each in values)


def _of(measured: ReplyFeatures, rows: Rows) -> ReplyFeatures:
    return ReplyFeatures(
        measured.stance[rows], measured.sound[rows], measured.near[rows], measured.embedded[rows],
        [measured.terms[row] for row in rows], [measured.pairs[row] for row in rows],
    )  # fmt: skip


def write_weights() -> None:
    """Write the weights beside this file."""
    made = msgspec.json.encode(fit_recogniser(written_replies()))
    Path(__file__).with_name(WEIGHTS).write_bytes(msgspec.json.format(made, indent=0) + b"\n")


if __name__ == "__main__":
    write_weights()
