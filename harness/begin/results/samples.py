"""What every reader makes of a result file: samples with an id, the scores that their tool gave, and what was asked."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from tunegate.harness.core.errors import show_path
from tunegate.harness.core.escaping import shown, whole
from tunegate.harness.core.files import digest
from tunegate.harness.core.formatting import listed

MOST_ID = 60  # characters of an id in a sentence
MOST_TEXT = 20_000  # characters of an input or an output that are kept
MOST_REASON = 2_000  # characters of what a scorer says of a sample
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")


@dataclass(frozen=True, slots=True)
class ScoredSample:
    """One scored sample. Samples of one id are repeats of one case.

    `scores` are by metric, None where the tool gave none. `passed` is what the tool itself says of a metric, where it
    has a threshold. `question` is a digest of what was asked and expected, empty where the file does not say. Samples
    that share one of `groups` are one observation: digests of what was asked, and names that a file gives.
    `reasons` are by metric, that of the whole sample by an empty name. `scorer` is a digest of all that scored it, such
    as the model that grades, empty where the file does not say.
    """

    id: str
    scores: Mapping[str, float | None]
    question: str = ""
    input: str = ""
    expected: str = ""
    output: str | None = None
    passed: Mapping[str, bool] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)
    groups: tuple[str, ...] = ()
    scorer: str = ""
    line: int = 1

    @property
    def whole_question(self) -> str:
        """A digest of what was asked and of what scored it, as far as the file says: not of the place in the file."""
        return question_of(self.question or self.id, self.scorer)


@dataclass(frozen=True)
class ResultFile:
    """What one file holds: the tool that wrote it, and its samples in their order.

    `lower` and `higher` are the metrics of which less or more is better by the tool's format or by what the file says,
    each with how that is known; of others the name decides, or an option. `amounts` have no bound, however
    small their values are. `derived` metrics may say what another one says. `left_out` are the metrics without a score
    for each sample, each with the reason; `only` has the ids of a metric that is not of every sample, as OLD says.
    `by_place` says that ids are places in a list. `made` is when, in ISO 8601.
    Of `columns`, the providers or prompts of one file, `column` was read; all of them where it is empty.
    """

    path: Path
    tool: str
    samples: tuple[ScoredSample, ...]
    version: str = ""
    task: str = ""
    model: str = ""
    made: str = ""
    lower: Mapping[str, str] = field(default_factory=dict)
    higher: Mapping[str, str] = field(default_factory=dict)
    amounts: frozenset[str] = frozenset()
    derived: tuple[str, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)
    only: Mapping[str, frozenset[str]] = field(default_factory=dict)
    by_place: bool = False
    column: str = ""
    columns: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @cached_property
    def name(self) -> str:
        """Its path as a person would type it, with the column in front."""
        return f"{shown(self.column)}={show_path(self.path)}" if self.column else show_path(self.path)

    @cached_property
    def metrics(self) -> tuple[str, ...]:
        """Its metrics, in the order in which they first appear."""
        return tuple(dict.fromkeys(name for sample in self.samples for name in sample.scores))

    @cached_property
    def by_id(self) -> dict[str, list[ScoredSample]]:
        """Its samples by id, those of one id in their order."""
        found: dict[str, list[ScoredSample]] = {}
        for sample in self.samples:
            found.setdefault(sample.id, []).append(sample)
        return found


def score_of(value: Any) -> float | None:
    """A score as a number: true and false are 1 and 0, a text is read; None for NaN, Infinity and anything other."""
    if isinstance(value, str):
        value = float(value) if _NUMBER.fullmatch(value.strip()) else None
    if not isinstance(value, bool | int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def is_scalar(value: Any) -> bool:
    """Whether a value can be the score of one sample, or stands where one is missing."""
    return value is None or isinstance(value, bool | int | float) or (isinstance(value, str) and not value.strip())


def text_of(value: Any, most: int = MOST_TEXT) -> str:
    """A value as text, of at most so many characters; half a character becomes the replacement character."""
    text = value if isinstance(value, str) else "" if value is None else _as_json(value)
    text = text if len(text) <= most else f"{text[:most]}... ({len(text):,} characters)"
    return whole(text)


def brief(value: Any, most: int = 60) -> str:
    """A value of a message: on one line, short, and harmless wherever it is shown."""
    return shown(text_of(value, most))


def question_of(*parts: Any) -> str:
    """A digest of what was asked and expected; empty where no part says anything."""
    return digest([id_text(part) for part in parts]) if any(part not in (None, "", [], {}) for part in parts) else ""


def groups_of(*asked: str) -> tuple[str, ...]:
    """What a sample shares with others of one observation: `asked` are digests, empty where nothing is known."""
    return tuple(dict.fromkeys(filter(None, asked)))


def some_ids(ids: Sequence[str]) -> str:
    """A few ids of a sentence, each on one line and of bounded length, and how many more there are."""
    return listed([shown(each if len(each) <= MOST_ID else f"{each[:MOST_ID]}...") or "''" for each in ids])


def id_text(value: Any) -> str:
    """An id as text: 1 and "1" are one id, 1 and "01" are two."""
    return value if isinstance(value, str) else _as_json(value)


def mapping_at(value: Any, *keys: str) -> Mapping[str, Any]:
    """The mapping at `keys` of a value; an empty one where there is none."""
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def _as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)
