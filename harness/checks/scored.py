"""Scores that another tool gave: nothing is run or scored here, and a case passes as its runner says.

What is read is a statement: who scored what question by which metric, and the scores. `results/scored_outputs.py`
makes it of the runner's result file. No other text passes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from tunegate.harness.checks.base import Check, CheckKind, Finding, Outcome
from tunegate.harness.core.authoring.document import Document, Where
from tunegate.harness.core.authoring.validation import mapping_schema
from tunegate.harness.core.errors import AuthoringError, Unreadable
from tunegate.harness.core.files import digest, file_digest

RUNNERS = ("promptfoo", "deepeval", "inspect_ai", "lm-evaluation-harness")
UNKNOWN = "unknown"  # the version, where a runner's file does not say it
PASS = "pass"  # noqa: S105  (a metric)
OPTIONS = mapping_schema(
    {
        "from": {"enum": [*RUNNERS], "description": "the tool that scores"},
        "version": {
            "type": "string", "minLength": 1,
            "description": f"the tool's version as in its result file, {UNKNOWN} if that has none",
        },
        "metric": {"type": "string", "minLength": 1, "description": "a metric from 0 to 1; without it, pass"},
        "files": {
            "type": "array", "minItems": 1, "uniqueItems": True,
            "items": {"type": "string", "minLength": 1, "description": "the path of a file that decides a score"},
            "description": "files that assertions name, such as a script; their content is part of the questions",
        },
    },
    ["from", "version"],
)  # fmt: skip
QUESTION = {
    "type": "string", "pattern": "^[0-9a-f]{64}$",
    "description": "the digest of what is asked and of what scores it, as tunegate import writes it",
}  # fmt: skip
EXPECT = mapping_schema({"question": QUESTION}, ["question"])


@dataclass(frozen=True)
class Statement:
    """What a runner says of one case: a score and whether it passed for each of its rows, and the first output."""

    runner: str
    version: str
    metric: str
    question: str
    scores: tuple[float, ...]
    passed: tuple[bool, ...]
    reason: str = ""
    output: str | None = None

    def write(self) -> str:
        """Its form in records."""
        return json.dumps(asdict(self), ensure_ascii=False, sort_keys=True)


def read_statement(text: Any) -> Statement | None:
    """Read what `Statement.write` wrote; None of any other text."""
    try:
        raw = json.loads(text)
        found = Statement(**{**raw, "scores": tuple(raw["scores"]), "passed": tuple(raw["passed"])})
        given = [*map(_is_score, found.scores), *(isinstance(each, bool) for each in found.passed)]
    except (TypeError, ValueError, KeyError, RecursionError):
        return None
    return found if given and all(given) and len(found.scores) == len(found.passed) else None


def _is_score(value: Any) -> bool:
    return isinstance(value, float) and math.isfinite(value) and 0 <= value <= 1


@dataclass(frozen=True)
class ScoredCheck(Check):
    """Takes the scores of one runner in one version, by one metric; `files` are digests by name."""

    runner: str
    version: str
    metric: str = PASS
    files: tuple[tuple[str, str], ...] = ()

    @property
    def references(self) -> str:
        """Who scores, and with what."""
        return digest([self.runner, self.version, self.metric, *map(list, self.files)])

    def __call__(self, output: Any, expect: Mapping[str, str], prompt: str) -> Outcome:  # noqa: ARG002
        """Take the mean of the scores that the runner gave to this question; any other text has 0."""
        found = read_statement(output)
        if found is None:
            return Outcome(0.0, (Finding("scored", f"no score of {self.runner}"),))
        if wrong := next(self._others(found, expect), None):
            return Outcome(0.0, (Finding("scored", wrong),))
        passed = all(found.passed)
        findings = (Finding(self.metric, str(found.reason)),) if found.reason and not passed else ()
        return Outcome(fmean(found.scores), findings, passed=passed)

    def _others(self, found: Statement, expect: Mapping[str, str]) -> Iterator[str]:
        for name, wanted in (
            ("runner", self.runner), ("version", self.version), ("metric", self.metric),
            ("question", (expect or {}).get("question")),
        ):  # fmt: skip
            if getattr(found, name) != wanted:
                yield f"the score is of another {name}"


def load(options: Mapping[str, Any], document: Document, where: Where) -> ScoredCheck:
    """Make the check from the options of a fixture file; AuthoringError names a file that is missing."""
    files = tuple(
        (name, _digest(document, name, (*where, "files", place))) for place, name in enumerate(options.get("files", ()))
    )
    return ScoredCheck(options["from"], options["version"], options.get("metric", PASS), files)


def _digest(document: Document, name: str, where: Where) -> str:
    path = document.path.parent / Path(name)
    try:
        if path.is_file():
            return file_digest(path)
    except (OSError, ValueError, Unreadable):
        pass
    raise AuthoringError([document.problem(where, "a file, by its path from this file", repr(name))])


KIND = CheckKind(
    kind="pass/fail", options=OPTIONS, expect=EXPECT, load=load, version=1, needs_expect=True, by_runner=True,
    ignores=("prompt", "generate", "shots", "tools", "context"),
)  # fmt: skip
