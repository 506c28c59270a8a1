"""General questions with short outputs: does the output contain an accepted one?"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import regex

from tunegate.harness.checks.base import Check, CheckKind, Finding, Outcome
from tunegate.harness.core.authoring.document import Document, Where, show_value
from tunegate.harness.core.authoring.validation import mapping_schema

MAX_CHARS = 4_000  # checked before normalization, which takes quadratic time on endless marks
MOST_WORDS = 40  # a longer output could pass by listing everything
SHOWN = 60
# the minus sign, the dash typed for it, the hyphen that NFKC makes of one that does not break, the slash of a half
SIGNS = str.maketrans("\u2212\u2013\u2010\u2044", "---/")
WORD = r"[\w\p{M}]"
NUMBER = regex.compile(r"\p{Sc}?\d")
UNSIGNED = rf"(?<!(?<!{WORD}|\d )-\p{{Sc}}?)"  # behind a word or a number a hyphen is no sign: covid-6, 5-6, 5 -6
WHOLE = rf"(?<!(?<!{WORD}|\.)\.)"  # behind a word or a dot a dot is no decimal point: .5, but not is.5 or ...5
JOINTS = "[.,:'/^]"  # between two digits they make one number: 6.5, 1,203, 12:30, 1'203, 1/2, 2^10
LAST_GROUP, FIRST_GROUP = regex.compile(r"\d{3}(?!\d)"), regex.compile(r"(?<!\d)\d{1,3}$")  # 1 203, but not 2024 203
OPTIONS = mapping_schema({"measure": {"const": "questions", "description": "what the cases measure"}}, ["measure"])
ACCEPTED = {
    "type": "array",
    "minItems": 1,
    "uniqueItems": True,
    "items": {"type": "string", "pattern": r"\w", "description": "a short text with a letter or a digit"},
    "description": "a list of accepted outputs",
}
EXPECT = mapping_schema({"answer": ACCEPTED}, ["answer"])


@dataclass(frozen=True)
class QuestionCheck(Check):
    """Scores a short output against the accepted ones."""

    def __call__(self, output: str, expect: Mapping[str, Sequence[str]] | None, prompt: str) -> Outcome:  # noqa: ARG002
        """Score one output: it must be short and contain an accepted output as separate words."""
        if len(output) > MAX_CHARS:
            return Outcome(0.0, (Finding("length", f"{len(output):,} characters; at most {MAX_CHARS:,} are allowed"),))
        found, counted = _plain(output), expect["answer"] if expect else ()
        words = len(found.split())
        if words > MOST_WORDS:
            return Outcome(0.0, (Finding("length", f"{words} words; at most {MOST_WORDS} are allowed"),))
        if expect is None or any(_stands_in(_plain(completion), found) for completion in counted):
            return Outcome(1.0)
        wanted = " or ".join(show_value(completion) for completion in counted)
        return Outcome(0.0, (Finding("answer", f"expected {wanted}, found {show_value(output.strip()[:SHOWN])}"),))

    def canonical_output(self, output: str) -> str:
        """The output without case, white space and a final full stop."""
        return _plain(output[:MAX_CHARS]).rstrip(".!")


def _plain(text: str) -> str:
    """`text` without case, with straight quotes, plain hyphens and slashes, and single spaces."""
    plain = unicodedata.normalize("NFKC", text).casefold().replace("\u2019", "'").translate(SIGNS)
    return " ".join(plain.split())


def _stands_in(output: str, text: str) -> bool:
    """Whether `output` occurs in `text` as separate words; 6 does not occur in 6.5 or -6, nor 203 in 1,203 or 1 203."""
    before, after = f"(?<!{WORD})", f"(?!{WORD})"
    before += rf"(?<!\d{JOINTS}){WHOLE}{UNSIGNED}" if NUMBER.match(output) else ""
    before += r"(?<!\b\d{1,3} )" if LAST_GROUP.match(output) else ""
    after += rf"(?!{JOINTS}\d)" if output[-1].isdigit() else ""
    after += r"(?! \d{3}(?!\d))" if FIRST_GROUP.search(output) else ""
    return bool(regex.search(before + regex.escape(output) + after, text))


def _expect_of(_: QuestionCheck, output: str) -> dict[str, list[str]] | None:
    """The output without a final full stop, as an `expect`."""
    short = output.strip().rstrip(".!")
    return {"answer": [short]} if regex.search(r"\w", short) else None


def load(options: Mapping[str, Any], document: Document, where: Where) -> QuestionCheck:  # noqa: ARG001
    """Create the check; it has no references."""
    return QuestionCheck()


KIND = CheckKind(
    kind="pass/fail",
    options=OPTIONS,
    expect=EXPECT,
    load=load,
    version=3,
    libraries=("regex",),
    needs_expect=True,
    knowledge=True,
    by_expect="the accepted outputs",
    expect_of=_expect_of,
)
