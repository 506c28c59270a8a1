"""What a record says of its run, beside results and verdicts: what it was compared with, what ran again, how long."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tunegate.harness.core.typed import OPTIONAL, Amount, Count, Digest, Number
from tunegate.harness.statistics.ratio import Ratio


@dataclass(frozen=True, slots=True)
class ShortConfiguration:
    """The configuration of a unit: the digest of its prompt with worked examples, and its decoding."""

    prompt: Digest
    decoding: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Reference:
    """What a record was compared with: its model, its configurations by unit, and when it was recorded, if known.

    `compared_as` is its name in `tunegate compare`.
    """

    subject: Mapping[str, str | None]
    configurations: Mapping[str, ShortConfiguration]
    created: str
    compared_as: str = field(default="", metadata=OPTIONAL)


@dataclass(frozen=True, slots=True)
class RescoredUnit:
    """The `cases` of a unit that other versions scored before (`why`), and the ids of those whose score `changed`."""

    why: str
    cases: Count
    changed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EngineChange:
    """What another engine changes of a unit: of so many `cases` the other outputs, and the ids of changed scores.

    Attributes:
        cases: those scored on both engines.
        lost, gained: the cases that score lower, or higher, on this engine.
    """

    cases: Count
    other_outputs: Count
    lost: tuple[str, ...]
    gained: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RunAgain:
    """A reference that was re-run on this engine: the `engine` of its recording, and the changes by unit."""

    engine: Mapping[str, str]
    units: Mapping[str, EngineChange]


@dataclass(frozen=True, slots=True)
class Speed:
    """The speed of one model on a sample of calls; `tokens_per_s` are output tokens over the total time.

    Attributes:
        median_s: seconds per call.
        p95_s: seconds within which 95 % of the calls returned.
        tokens_out: of all calls together.
    """

    median_s: Amount
    p95_s: Amount
    tokens_out: Count
    tokens_per_s: Amount


@dataclass(frozen=True, slots=True)
class Timing:
    """The time of calls to the tuned model, and perhaps to its base, for information only.

    Attributes:
        sample: the cases that were timed, out of so many (`of`), drawn by `seed`; their keys are `cases`.
        warm_up: preceding calls of each model, not counted.
        ratio: mean seconds per call, tuned over base.
    """

    sample: Number
    of: Number
    seed: int
    warm_up: Count
    cases: tuple[str, ...]
    tuned: Speed
    base: Speed | None = field(default=None, metadata=OPTIONAL)
    ratio: Ratio | None = None
