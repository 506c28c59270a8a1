"""Logs of inspect_ai: `.eval` (a ZIP file) and JSON, with the scores of every sample and epoch.

Scores are numbers as `inspect_ai.scorer.value_to_float` makes them: C, P, I and N are 1, .5, 0 and 0. What it would
turn into 0 with a warning has no score here, and NaN, with which inspect_ai marks a sample as unscored, has none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tunegate.harness.begin.results.directions import is_lower_better
from tunegate.harness.begin.results.foreign_json import parse_file
from tunegate.harness.begin.results.samples import (
    MOST_REASON,
    ResultFile,
    ScoredSample,
    brief,
    groups_of,
    id_text,
    is_scalar,
    mapping_at,
    question_of,
    score_of,
    text_of,
)
from tunegate.harness.begin.results.zipped import open_zip
from tunegate.harness.core.errors import Unreadable

TOOL = "inspect_ai"
A_LOG = "a log of inspect_ai"
HEADER, START, SAMPLES = "header.json", "_journal/start.json", "samples/"
LETTERS = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0}
WORDS = {"yes": 1.0, "true": 1.0, "no": 0.0, "false": 0.0}
ATTACHMENT = "attachment://"
#: What a sample asks beside its input: two with other choices, or in another sandbox, are two questions.
BESIDE = ("files", "setup", "sandbox")


def is_log(value: Any) -> bool:
    """Whether a JSON value is a log."""
    return isinstance(value, dict) and {"status", "eval"} <= value.keys() and isinstance(value["eval"], dict)


def read_zipped_log(path: Path) -> ResultFile:
    """Read a `.eval` log.

    Raises:
        Unreadable: it is cut off or damaged, not of a finished evaluation, or no log of inspect_ai.
    """
    with open_zip(path, A_LOG) as archive:
        if HEADER not in archive.names:
            if START in archive.names:
                found = f"one of an evaluation that has not ended (it has no {HEADER})"
                raise Unreadable(
                    path, f"{A_LOG} with the status success", found, "wait for it, or run inspect eval-retry"
                )
            raise Unreadable(path, A_LOG, f"a ZIP file without {HEADER}")
        header = parse_file(path, archive.read(HEADER), f"{A_LOG}, its {HEADER}")
        names = [name for name in archive.names if name.startswith(SAMPLES) and name.endswith(".json")]
        samples = (parse_file(path, archive.read(name), f"{A_LOG}, its {name}") for name in names)
        return _log(path, header, samples)


def read_log(path: Path, value: Mapping[str, Any]) -> ResultFile:
    """Read a log in JSON, which `value` holds.

    Raises:
        Unreadable: it is not of a finished evaluation, or its samples are none.
    """
    samples = value.get("samples")
    return _log(path, value, iter(samples if isinstance(samples, list) else ()))


def _log(path: Path, header: Any, samples: Iterator[Any]) -> ResultFile:
    if not is_log(header):
        raise Unreadable(path, A_LOG, "a header without `status` and `eval`")
    if header["status"] != "success":
        found = f"the status {brief(header['status'])}"
        raise Unreadable(path, f"{A_LOG} with the status success", found, "run inspect eval-retry, and name its log")
    spec = header["eval"]
    reader = _Samples(path, question_of(spec.get("scorers"), spec.get("model_roles")))
    made = [reader.sample(each) for each in samples]
    _check_count(path, header, len(made))
    return ResultFile(
        path, TOOL, tuple(made), text_of(mapping_at(spec, "packages").get(TOOL)),
        text_of(spec.get("task"), 200), text_of(spec.get("model"), 200), text_of(spec.get("created"), 40),
        higher=reader.graded(), left_out=reader.left_out(made),
    )  # fmt: skip


def _check_count(path: Path, header: Mapping[str, Any], found: int) -> None:
    """See that the samples are all there.

    Raises:
        Unreadable: there are none, or fewer than the header counts.
    """
    total = mapping_at(header, "results").get("total_samples")
    if not found:
        raise Unreadable(path, f"{A_LOG} with its samples", "none", "run inspect eval without --no-log-samples")
    if isinstance(total, int) and found < total:
        raise Unreadable(path, f"{A_LOG} with the {total:,} samples that its header counts", f"{found:,}")


class _Samples:
    """Makes samples of what a log holds, and remembers what it could not use."""

    def __init__(self, path: Path, scorer: str = "") -> None:
        self._path, self._scorer = path, scorer
        self._unread: dict[str, str] = {}
        self._letters: set[str] = set()

    def sample(self, raw: Any) -> ScoredSample:
        """One sample of one epoch."""
        if not isinstance(raw, dict) or "id" not in raw or not isinstance(raw.get("scores") or {}, dict):
            raise Unreadable(self._path, f"{A_LOG} whose samples have an id and scores", brief(raw))
        given: dict[str, Any] = raw.get("scores") or {}
        scores: dict[str, float | None] = {}
        reasons: dict[str, str] = {}
        for scorer, score in given.items():
            for name, part in _parts(scorer, mapping_at(score).get("value")):
                scores[name] = None if raw.get("invalidation") else self._number(name, part)
                if scores[name] != 1:
                    reasons[name] = text_of(mapping_at(score).get("explanation"), MOST_REASON)
        if raw.get("error") and not scores:
            reasons[""] = text_of(mapping_at(raw["error"]).get("message") or raw["error"], MOST_REASON)
        asked = _messages(raw.get("input"), raw.get("attachments"))
        return ScoredSample(
            id_text(raw["id"]), scores, question_of(asked, raw.get("choices"), raw.get("target")),
            text_of(asked), text_of(raw.get("target")), _output(raw.get("output")), reasons=reasons,
            groups=groups_of(question_of(asked, _choices(raw), *(raw.get(each) for each in BESIDE))),
            scorer=self._scorer,
        )  # fmt: skip

    def _number(self, name: str, value: Any) -> float | None:
        number = value_of(value)
        if isinstance(value, str) and value in LETTERS:
            self._letters.add(name)
        if number is None and not is_scalar(value):
            self._unread.setdefault(name, brief(value, 40))
        return number

    def graded(self) -> dict[str, str]:
        """The metrics that say C for correct, unless their names say that less is better."""
        return {name: "C is correct" for name in self._letters if not is_lower_better(name)}

    def left_out(self, samples: Sequence[ScoredSample]) -> dict[str, str]:
        """The metrics of which no sample has a number, with a value that is none."""
        scored = {name for sample in samples for name, score in sample.scores.items() if score is not None}
        return {name: f"its values are no numbers ({value})" for name, value in self._unread.items()
                if name not in scored}  # fmt: skip


def _choices(raw: Mapping[str, Any]) -> Any:
    """The choices, in an order of their own: shuffled ones are the same question."""
    given = raw.get("choices")
    return sorted(map(id_text, given)) if isinstance(given, list) else given


def _parts(scorer: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The metrics of a scorer: one, or one for each key of a dict and each place of a list."""
    if isinstance(value, dict):
        yield from ((f"{scorer}.{key}", part) for key, part in value.items())
    elif isinstance(value, list):
        yield from ((f"{scorer}.{place}", part) for place, part in enumerate(value))
    else:
        yield scorer, value


def value_of(value: Any) -> float | None:
    """A score as inspect_ai's `value_to_float` reads it; None where it would warn and take 0."""
    if isinstance(value, str):
        known = LETTERS.get(value, WORDS.get(value.lower()))
        return score_of(value) if known is None else known
    return score_of(value)


def _messages(value: Any, attachments: Any) -> Any:
    """An input without what differs from run to run: the ids of its messages."""
    if isinstance(value, str) and value.startswith(ATTACHMENT):
        return mapping_at(attachments).get(value.removeprefix(ATTACHMENT), value)
    if not isinstance(value, list):
        return value
    kept = ("role", "content", "tool_calls", "tool_call_id")
    return [{key: each[key] for key in kept if key in each} if isinstance(each, dict) else each for each in value]


def _output(value: Any) -> str | None:
    if not isinstance(value, dict):
        return None
    if isinstance(value.get("completion"), str):
        return text_of(value["completion"])
    choices = value.get("choices")
    message = mapping_at(choices[0], "message") if isinstance(choices, list) and choices else {}
    return text_of(message.get("content")) if message else None
