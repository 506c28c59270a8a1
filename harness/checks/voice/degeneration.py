"""Degeneration checks of the voice suite: degenerate outputs fail, however on-brand they sound."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from tunegate.harness.checks.base import Finding
from tunegate.harness.checks.voice.features import SurfaceLanguage, sentences_of, words

Gram = tuple[str, ...]
Grams = frozenset[Gram]

# The classifier was fitted on sound texts and may accept endless repetition or a copied reference. The limits
# spare on-brand texts: `load` refuses references that `degenerate` finds fault with.
WORDS = (6, 88)
LEAST_DISTINCT = 0.8  # of an output's 3-word runs
MOST_COPIED = 0.5  # of an output's 6-word runs, from any single reference text
MOST_ECHOED = 0.9  # of an output's 3-word runs, from the prompt

# Of the length of the required content and of its sentences, as a geometric mean. By style only, half of the curt
# texts pass, because short plain sentences may be the voice; compared with the brand's own text they fail.
LEAST_LENGTH = 0.7
# Added share of the range above the style threshold if the whole length is missing: shorter outputs need higher scores.
SURER = 0.9


def degenerate(output: str, language: SurfaceLanguage) -> Iterator[Finding]:
    """Find texts that are too short, too long, repetitive, or without sentences."""
    found = words(output)
    if not WORDS[0] <= len(found) <= WORDS[1]:
        yield Finding("length", f"{len(found)} words, {WORDS[0]} to {WORDS[1]} are allowed")
    runs = _runs(output, 3)
    distinct = len(set(runs)) / max(1, len(runs))
    if runs and distinct < LEAST_DISTINCT:
        said = f"only {distinct:.0%} of its 3-word runs are different, {LEAST_DISTINCT:.0%} are needed"
        yield Finding("repetition", said)
    share, (low, high) = language.function_share(found), language.span
    if not low <= share <= high:
        said = f"{share:.0%} of its words are small ones such as 'the', {low:.0%} to {high:.0%} are allowed"
        yield Finding("no sentences", said)


def curt(output: str, says: str) -> Iterator[Finding]:
    """Find outputs with far fewer words, in far shorter sentences, than the brand uses for the same content."""
    mine, theirs, share = _length(output), _length(says), length_share(output, says)
    if share < LEAST_LENGTH:
        lengths = " vs. ".join(f"{count:.0f} words in sentences of {mean:.1f}" for count, mean in (mine, theirs))
        said = f"{lengths} in the required content: {share:.0%} of its length, at least {LEAST_LENGTH:.0%}"
        yield Finding("curt", said)


def length_share(output: str, says: str) -> float:
    """The length of an output and of its sentences relative to the required content, as a geometric mean."""
    return math.sqrt(math.prod(_length(output)) / math.prod(_length(says)))


def _length(text: str) -> tuple[float, float]:
    """The number of words, and the mean number per sentence; at least one."""
    count = max(1, len(words(text)))
    return count, count / max(1, len(sentences_of(text)))


def echoed(output: str, prompt: str) -> Iterator[Finding]:
    """Find a repetition of the prompt."""
    share = _share(_runs(output, 3), frozenset(_runs(prompt, 3)))
    if share >= MOST_ECHOED:
        yield Finding("echo", f"{share:.0%} of its 3-word runs are in the prompt, less than {MOST_ECHOED:.0%} may be")


def known(texts: Mapping[str, str]) -> Mapping[str, Grams]:
    """The 6-word runs of named reference texts, for `copied`."""
    return {name: frozenset(_runs(text, 6)) for name, text in texts.items()}


def copied(output: str, references: Mapping[str, Grams]) -> Iterator[Finding]:
    """Find a copy of a reference text; the most copied one is named."""
    runs = _runs(output, 6)
    shares = {name: _share(runs, grams) for name, grams in references.items()}
    name = max(shares, key=lambda name: shares[name])
    if shares[name] > MOST_COPIED:
        said = f"{shares[name]:.0%} of its 6-word runs are in the reference {name!r}, at most {MOST_COPIED:.0%} may be"
        yield Finding("copied", said)


def _runs(text: str, length: int) -> list[Gram]:
    found = words(text)
    return [found[start : start + length] for start in range(len(found) - length + 1)]


def _share(runs: Sequence[Gram], among: Grams) -> float:
    return sum(run in among for run in runs) / max(1, len(runs))
