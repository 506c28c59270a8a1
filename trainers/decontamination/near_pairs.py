"""Two texts that come near to each other, shown side by side: shortened round the longest part that both have."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher

from tunegate.trainers.decontamination.normalize import normalise

AROUND = 14  # words shown on each side of the common part


def side_by_side(row: str, held: str) -> tuple[str, str]:
    """Both texts, on one line each, their longest common part between »«."""
    left, right = row.split(), held.split()
    matcher = SequenceMatcher(None, [normalise(word) for word in left], [normalise(word) for word in right], False)
    common = matcher.find_longest_match()
    return _shown(left, common.a, common.size), _shown(right, common.b, common.size)


def _shown(words: Sequence[str], start: int, size: int) -> str:
    end = start + size
    before, after = words[max(0, start - AROUND) : start], words[end : end + AROUND]
    middle = words[start:end]
    if len(middle) > 2 * AROUND:
        middle = [*middle[:AROUND], "...", *middle[-AROUND:]]
    parts = ["..."] if start > AROUND else []
    parts += before
    parts += [f"»{' '.join(middle)}«"] if middle else []
    parts += after
    parts += ["..."] if end + AROUND < len(words) else []
    return " ".join(parts)
