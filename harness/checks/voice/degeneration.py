"""Degeneration checks of the voice suite: what degenerate answers fail, however on-brand they sound."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tunegate.harness.checks.base import Finding
from tunegate.harness.checks.voice.features import function_share, words

Gram = tuple[str, ...]
Grams = frozenset[Gram]

# The classifier was fitted to sound texts and may like these: one phrase again and again, a reference by heart. The
# limits spare on-brand texts: `load` refuses a reference that `degenerate` finds fault with.
WORDS = (6, 88)
LEAST_DISTINCT = 0.8  # of an answer's 3-word runs
FUNCTION_SHARE = (0.2, 0.75)
MOST_COPIED = 0.5  # of an answer's 6-word runs, from any one reference text
MOST_ECHOED = 0.9  # of an answer's 3-word runs, from the prompt


def degenerate(output: str) -> Iterator[Finding]:
    """Too short, too long, one phrase again and again, or words without sentences."""
    found = words(output)
    if not WORDS[0] <= len(found) <= WORDS[1]:
        yield Finding("length", f"{len(found)} words, {WORDS[0]} to {WORDS[1]} are allowed")
    runs = _runs(output, 3)
    distinct = len(set(runs)) / max(1, len(runs))
    if runs and distinct < LEAST_DISTINCT:
        said = f"only {distinct:.0%} of its 3-word runs are different, {LEAST_DISTINCT:.0%} are needed"
        yield Finding("repetition", said)
    share, (low, high) = function_share(found), FUNCTION_SHARE
    if not low <= share <= high:
        said = f"{share:.0%} of its words are small ones such as 'the', {low:.0%} to {high:.0%} are allowed"
        yield Finding("no sentences", said)


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
