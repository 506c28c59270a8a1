"""Which of the inputs whose outputs differ get labels: a draw that no author can choose."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from tunegate.harness.statistics.label_strata import allocate_labels


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


def draw_from_strata(snapshot: str, number: int, strata: Mapping[str, int], size: int) -> list[str]:
    """Return `size` of the inputs, in proportion from the strata: of each those that `draw_sample` draws.

    `strata` maps the digest of each input with differing outputs to its stratum; see `allocate_labels`.
    """
    inside = {name: [each for each, of in strata.items() if of == name] for name in sorted(set(strata.values()))}
    parts = allocate_labels([len(each) for each in inside.values()], size)
    drawn = [draw_sample(snapshot, number, each, part) for each, part in zip(inside.values(), parts, strict=True)]
    return [each for of_one in drawn for each in of_one]
