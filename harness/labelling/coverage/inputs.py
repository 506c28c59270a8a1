"""The inputs of a snapshot, each different one once, and the sentence embeddings of inputs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tunegate.harness.cases.conversation import Written, joined, read_input
from tunegate.harness.cases.snapshot import TrafficInput, parse_traffic
from tunegate.harness.checks.embeddings import embed
from tunegate.harness.core.progress import Watch
from tunegate.harness.labelling.coverage.near import Integers, Vectors
from tunegate.harness.rows.privacy.detectors import find_private

TAIL = 1_000  # characters of a conversation that are embedded: MiniLM reads 256 tokens, and its end says what is asked
BATCH = 256
SEED = 20_261_130


@dataclass(frozen=True)
class SeenInput:
    """One input of a snapshot, and the number of its requests.

    `private` is whether it holds a secret or personal data: it is then counted and never shown.
    """

    input: TrafficInput
    requests: int
    private: bool = False

    @property
    def text(self) -> str:
        """Its text, with its context."""
        return self.input.text


def read_seen(path: Path) -> list[SeenInput]:
    """Read a snapshot or a file of inputs; equal ones count together.

    Raises:
        AuthoringError: lists the mistakes of all lines.
    """
    return [SeenInput(each, count) for each, count in Counter(each for _, each in parse_traffic(path)).items()]


def drawn(inputs: Sequence[SeenInput], most: int, watch: Watch) -> list[SeenInput]:
    """Draw at most `most` inputs, the same ones every time, and find those with secrets or personal data.

    Raises:
        CouldNotRun: the detectors' libraries are not installed.
    """
    chosen = np.random.default_rng(SEED).permutation(len(inputs))[:most]
    kept = []
    with watch("Looking for secrets and personal data", len(chosen)) as done:
        for at in sorted(chosen.tolist()):
            each = inputs[at]
            kept.append(replace(each, private=bool(find_private(each.text))))
            done(1)
    return kept


def embed_texts(texts: Sequence[str], watch: Watch) -> Vectors:
    """Embed n texts: n unit vectors.

    Raises:
        CouldNotRun: the embedding model is not installed.
    """
    rows = [embed([])]
    with watch("Embedding inputs", len(texts)) as done:
        for start in range(0, len(texts), BATCH):
            rows.append(embed(texts[start : start + BATCH]))
            done(len(rows[-1]))
    return np.concatenate(rows)


def compared_text(written: Written) -> str:
    """The text of an input that is embedded: of a conversation, its end."""
    text = joined(*read_input(written))
    return text if isinstance(written, str) else text[-TAIL:]


def group_numbers(names: Sequence[object]) -> Integers:
    """Number equal names alike."""
    numbers: dict[object, int] = {}
    return np.array([numbers.setdefault(name, len(numbers)) for name in names])
