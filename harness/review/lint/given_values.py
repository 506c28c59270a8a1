"""Find values that a schema or a prompt gives away: a list that was made from what the cases expect.

A label is expected by many cases, so that a list of labels says nothing about any of them. A value that a single case
expects is what that case asks for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import cast

from tunegate.harness.cases.model import Case, Unit
from tunegate.harness.checks.base import HasClosedValues
from tunegate.harness.checks.text.traces import Passage, plain_words
from tunegate.harness.core.errors import LintWarning
from tunegate.harness.core.formatting import listed
from tunegate.harness.review.lint.leaks import expected_values, prompt_texts

MANY = 12  # values: fewer may be labels of which a small suite has one case each
SHORTEST = 3  # letters; shorter words, and numbers, stand in many prompts


def given_values(unit: Unit) -> Iterator[LintWarning]:
    """Warn about lists of values, in a unit's schema and in its prompt, most of which a single case expects."""
    cases = [case for case in unit.cases if case.expect is not None]
    if not cases or unit.of or unit.check_kind.knowledge:
        return
    place, advice = cases[0].path, "which gives them away; take any text there, or write more cases of each value"
    for field, count in _of_schema(cases).items():
        what = f"{count} values of {field} that one case each expects"
        yield LintWarning(place, 1, f"{unit.key}: the schema lists {what}, {advice}")
    if found := _of_prompt(unit, cases):
        which = f"{len(found)} of {len(cases)} cases ({listed(found)})"
        yield LintWarning(place, 1, f"{unit.key}: the prompt lists values that only {which} expect, {advice}")


def _of_schema(cases: list[Case]) -> Mapping[str, int]:
    """By field with a closed set of values, how many of them a single case expects; only fields with too many."""
    has_any = {kind: issubclass(kind, HasClosedValues) for kind in {type(case.check) for case in cases}}
    counts: dict[str, Counter[str]] = {}
    for case in cases:
        closed = cast("HasClosedValues", case.check).closed_values(case.expect) if has_any[type(case.check)] else ()
        for field, value in {(field, value) for field, value, _ in closed}:
            counts.setdefault(field, Counter())[value] += 1
    return {field: single for field, values in counts.items() if (single := _single(values))}


def _single(values: Counter[str]) -> int:
    """How many values stand once; 0 where these are few, or fewer than the others."""
    single = sum(count == 1 for count in values.values())
    return single if single >= MANY and 2 * single > len(values) else 0


def _of_prompt(unit: Unit, cases: list[Case]) -> list[str]:
    """The cases of which the prompt holds an expected text that no other case expects; none where these are few."""
    texts = {case.id: set(_texts(unit, case)) for case in cases}
    counts = Counter(words for each in texts.values() for words in each)
    prompts = [Passage(plain_words(text)) for _, text, shot in prompt_texts(unit, ()) if not shot]
    listed_there = {
        words for words, count in counts.items()
        if count == 1 and any(next(prompt.places(words), None) is not None for prompt in prompts)
    }  # fmt: skip
    found = [case for case, each in texts.items() if each & listed_there]
    return found if len(found) >= MANY and 2 * len(found) > sum(map(bool, texts.values())) else []


def _texts(unit: Unit, case: Case) -> Iterator[tuple[str, ...]]:
    """The expected texts with a word of some letters."""
    for options in expected_values(unit, case):
        for words in options:
            if any(len(word) >= SHORTEST and word.isalpha() for word in words):
                yield words
