"""Degeneration checks of the voice suite: what degenerate answers fail, however on-brand they sound."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from tunegate.harness.checks.base import Finding
from tunegate.harness.checks.voice.features import SurfaceLanguage, sentences_of, words

Gram = tuple[str, ...]
Grams = frozenset[Gram]

# The classifier was fitted to sound texts and may like these: one phrase again and again, a reference by heart. The
# limits spare on-brand texts: `load` refuses a reference that `degenerate` finds fault with.
WORDS = (6, 88)
LEAST_DISTINCT = 0.8  # of an answer's 3-word runs
MOST_COPIED = 0.5  # of an answer's 6-word runs, from any one reference text
MOST_ECHOED = 0.9  # of an answer's 3-word runs, from the prompt

# Of the length of what an answer had to say and of its sentences, as a geometric mean. By style alone half of the curt
# texts pass, for short plain sentences may be the voice; beside the same content in the brand's words they are heard.
LEAST_LENGTH = 0.7
# Of what is above the threshold of style, for the whole length missing: the shorter an answer, the surer it must sound.
SURER = 0.9


def degenerate(output: str, language: SurfaceLanguage) -> Iterator[Finding]:
    """Too short, too long, one phrase again and again, or words without sentences."""
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
    """Far fewer words, in far shorter sentences, than the brand takes to say the same."""
    mine, theirs, share = _length(output), _length(says), length_share(output, says)
    if share < LEAST_LENGTH:
        lengths = " beside ".join(f"{count:.0f} words in sentences of {mean:.1f}" for count, mean in (mine, theirs))
        yield Finding(
            "curt", f"{lengths} of what it had to say: {share:.0%} of its length, at least {LEAST_LENGTH:.0%}"
        )


def length_share(output: str, says: str) -> float:
    """The length of an answer and of its sentences beside those of what it had to say, as a geometric mean."""
    return math.sqrt(math.prod(_length(output)) / math.prod(_length(says)))


def _length(text: str) -> tuple[float, float]:
    """How many words, and how many to a sentence; at least one."""
    count = max(1, len(words(text)))
    return count, count / max(1, len(sentences_of(text)))


def echoed(output: str, prompt: str) -> Iterator[Finding]:
    """The prompt, said again."""
    share = _share(_runs(output, 3), frozenset(_runs(prompt, 3)))
    if share >= MOST_ECHOED:
        yield Finding("echo", f"{share:.0%} of its 3-word runs stand in the prompt, less than {MOST_ECHOED:.0%} may")


def known(texts: Mapping[str, str]) -> Mapping[str, Grams]:
    """The 6-word runs of named reference texts, for `copied`."""
    return {name: frozenset(_runs(text, 6)) for name, text in texts.items()}


def copied(output: str, references: Mapping[str, Grams]) -> Iterator[Finding]:
    """A reference text, said again: the most copied one is named."""
    runs = _runs(output, 6)
    shares = {name: _share(runs, grams) for name, grams in references.items()}
    name = max(shares, key=lambda name: shares[name])
    if shares[name] > MOST_COPIED:
        said = f"{shares[name]:.0%} of its 6-word runs stand in the reference {name!r}, at most {MOST_COPIED:.0%} may"
        yield Finding("copied", said)


def _runs(text: str, length: int) -> list[Gram]:
    found = words(text)
    return [found[start : start + length] for start in range(len(found) - length + 1)]


def _share(runs: Sequence[Gram], among: Grams) -> float:
    return sum(run in among for run in runs) / max(1, len(runs))
