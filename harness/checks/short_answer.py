"""General questions with short answers: does the answer hold one of those that count as right?"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import regex

from tunegate.harness.authoring.document import Document, Where, show_value
from tunegate.harness.checks.base import CheckKind, Finding, Outcome
from tunegate.harness.core.errors import Problem

MAX_CHARS = 4_000  # before Unicode's normal form is asked for: it takes a square of time on marks without end
MOST_WORDS = 40  # a longer answer could hold the right one by listing everything
SHOWN = 60
OPTIONS = {
    "type": "object",
    "additionalProperties": False,
    "required": ["measure"],
    "properties": {"measure": {"const": "questions", "description": "what the cases measure"}},
}
EXPECT = {
    "type": "object",
    "additionalProperties": False,
    "required": ["answer"],
    "properties": {
        "answer": {
            "type": "array",
            "minItems": 1,
            "uniqueItems": True,
            "items": {"type": "string", "pattern": r"\w", "description": "a short answer, with a letter or a digit"},
            "description": "a list of the answers that count as right",
        }
    },
}


@dataclass(frozen=True)
class QuestionCheck:
    """Scores a short answer by what counts as right."""

    @property
    def references(self) -> str:
        """Nothing beside the case decides an outcome."""
        return ""

    def __call__(self, output: str, expect: Mapping[str, Sequence[str]] | None, prompt: str) -> Outcome:  # noqa: ARG002
        """Score one output: it is short, and one of the answers expected stands in it as words of their own."""
        if len(output) > MAX_CHARS:
            return Outcome(0.0, (Finding("length", f"{len(output):,} characters; {MAX_CHARS:,} are read at most"),))
        found, counted = _plain(output), expect["answer"] if expect else ()
        words = len(found.split())
        if words > MOST_WORDS:
            return Outcome(0.0, (Finding("length", f"{words} words; a short answer has {MOST_WORDS} at most"),))
        if expect is None or any(_stands_in(_plain(completion), found) for completion in counted):
            return Outcome(1.0)
        wanted = " or ".join(show_value(completion) for completion in counted)
        return Outcome(0.0, (Finding("answer", f"expected {wanted}, found {show_value(output.strip()[:SHOWN])}"),))

    def expect_problems(self, expect: Any, document: Document, where: Where) -> list[Problem]:  # noqa: ARG002
        """Nothing: the schema of an `expect` says all."""
        return []


def _plain(text: str) -> str:
    """`text` without case, without the difference between typographic and plain quotes, with single spaces."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().replace("\u2019", "'").split())


def _stands_in(output: str, text: str) -> bool:
    """Whether `output` stands in `text` as words of its own; 6 does not stand in 6.5, nor 203 in 1,203."""
    before, after = r"(?<![\w\p{M}])", r"(?![\w\p{M}])"
    before += r"(?<!\d[.,:])" if output[0].isdigit() else ""
    after += r"(?![.,:]\d)" if output[-1].isdigit() else ""
    return bool(regex.search(before + regex.escape(output) + after, text))


def _expect_of(_: QuestionCheck, output: str) -> dict[str, list[str]] | None:
    """The answer itself, without the full stop of a sentence."""
    short = output.strip().rstrip(".!")
    return {"answer": [short]} if regex.search(r"\w", short) else None


def load(options: Mapping[str, Any], document: Document, where: Where) -> QuestionCheck:  # noqa: ARG001
    """There is nothing to read."""
    return QuestionCheck()


KIND = CheckKind(
    kind="pass/fail",
    options=OPTIONS,
    expect=EXPECT,
    load=load,
    version=1,
    libraries=("regex",),
    needs_expect=True,
    knowledge=True,
    by_expect="which answer is right",
    expect_of=_expect_of,
)
