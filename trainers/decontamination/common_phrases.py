"""Text that very many rows share, such as a system prompt or a template: sharing it says nothing of a leak."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from tunegate.trainers.decontamination.normalize import FACT, PHRASE, Wording, wording

SHARE = 0.02  # of the rows
LEAST = 5  # rows
PARTICULAR = 2  # fixtures: a phrase of so few tells which fixture a row repeats, however often it does


def boilerplate(rows: Iterable[Sequence[str]], held: Sequence[Wording]) -> dict[str, int]:
    """The phrases (masked, five words) that very many rows share and that point at no fixture: by how many rows.

    Args:
        rows: the texts of each row.
        held: the held-out texts.
    """
    hashes, count = [], 0
    for texts in rows:
        count += 1
        runs = {run for text in texts for run in wording(text).masked_runs if run.count(FACT) < PHRASE - 1}
        hashes.append(np.fromiter(map(hash, runs), dtype=np.int64))
    many = max(LEAST, math.ceil(SHARE * count))
    values, numbers = np.unique(np.concatenate([*hashes, np.empty(0, np.int64)]), return_counts=True)
    pointing = _particular(held)
    shared = zip(values[numbers >= many].tolist(), numbers[numbers >= many].tolist(), strict=True)
    frequent = {value: number for value, number in shared if value not in pointing}
    return {phrase: frequent[hash(phrase)] for phrase in _spelt(rows, frequent)}


def _particular(held: Sequence[Wording]) -> set[int]:
    """The phrases that at most two held-out texts hold, unless that is half of them."""
    runs = [hash(run) for text in held for run in set(text.masked_runs)]
    values, numbers = np.unique(np.array(runs, dtype=np.int64), return_counts=True)
    return set(values[(numbers <= PARTICULAR) & (2 * numbers < len(held))].tolist())


def _spelt(rows: Iterable[Sequence[str]], hashes: Iterable[int]) -> Iterable[str]:
    """The phrases behind the hashes, which take a tenth of the memory while there are millions."""
    missing = set(hashes)
    for texts in rows if missing else ():
        for text in texts:
            for run in wording(text).masked_runs:
                if hash(run) in missing:
                    missing.discard(hash(run))
                    yield run
        if not missing:
            return
