"""Which of the inputs whose outputs differ get labels: a draw that no author can choose."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable


def draw_sample(snapshot: str, number: int, inputs: Iterable[str], size: int) -> list[str]:
    """Return `size` of the inputs, or all if there are fewer: those of the smallest SHA-256.

    It is the digest of the snapshot's, the number of the try, and the input's: no outputs take part, and the snapshot
    is fixed before the candidate is known. Another try draws another sample.

    Args:
        snapshot: the digest (hex) of the snapshot.
        number: the number of the try, from 1.
        inputs: the digests of the inputs with differing outputs.
        size: how many are labelled.
    """
    return sorted(inputs, key=lambda each: hashlib.sha256(f"{snapshot} {number} {each}".encode()).digest())[:size]
