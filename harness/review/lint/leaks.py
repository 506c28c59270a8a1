"""Find cases in a prompt: pairs of an input and its expected output, verbatim, edited or reworded.

A prompt that holds them makes the evaluation of these cases worthless. Labels of a closed set say nothing without the
input, and a worked example that is no case is what a prompt is for.
"""

from __future__ import annotations

import codecs
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tunegate.harness.cases.conversation import joined
from tunegate.harness.cases.model import Case, Prompt, Unit
from tunegate.harness.checks.schema.alternatives import alternatives
from tunegate.harness.checks.text.traces import Passage, Rarity, Trace, plain_words, word_count
from tunegate.harness.core.errors import LintWarning
from tunegate.harness.core.formatting import listed
from tunegate.harness.rows.privacy.encodings import decodings

Words = tuple[str, ...]
Beside = Literal["reply", "values", "unknown"]  # what stands beside an input

# The limits were set on every second training row of the demo and 44 paraphrases of its fixtures;
# benchmarks/prompt_leaks.py measures them on other prompts. Honest worked examples reach 7 nats of evidence beside
# the labels that a case expects, 12 where its expectation does not say what the output is, and less than 3 beside a
# reply like the expected one.
SHORT = 4  # words; a shorter input stands in many prompts by chance, and counts only as a whole worked example,
MANY_SHORT, SHORT_NEAR = 5, 12  # or where so many stand there, each with its output within so many words after it
EDITED, EDITED_WORDS, EDITED_EVIDENCE = 0.75, 5, 6.0  # an input of which a part was replaced
REWORDED: Mapping[Beside, float] = {"reply": 6.0, "values": 10.0, "unknown": 18.0}
SEVERAL, EACH, PER_WORDS = 3, 0.6, 1_000  # three inputs (more in long prompts) are enough with less evidence for each
USUAL, PER_DOUBLING = 200, 2.5  # chance finds more among more cases: so much more evidence for each doubling
LONG, LONG_ALIKE = 8, 0.4  # words of a reply, which may be reworded too, and how much like it a text must be
SHARED = 3  # cases that expect a label
NEAR = 30  # words between an input and its output
ANSWERED = 0.6  # the share of the expected values that stand beside the input
_ESCAPE = re.compile(r"\\(?:[\\'\"abfnrtv]|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U000[0-9a-fA-F]{5}|[0-3]?[0-7]{1,2})")


@dataclass(frozen=True, slots=True)
class PromptLeak:
    """A case of which a prompt holds the input and the expected output: where, and how like it the text there is."""

    case: Case
    where: str
    trace: Trace
    beside: Beside
    short: bool = False  # a short input in a longer text

    @property
    def is_certain(self) -> bool:
        """Whether this one pair is enough: it stands there verbatim, or with some words replaced."""
        trace = self.trace
        edited = trace.alike >= EDITED and trace.words >= EDITED_WORDS and trace.evidence >= EDITED_EVIDENCE
        return trace.verbatim or edited

    def is_enough(self, more: float, share: float = 1.0) -> bool:
        """Whether it is certain, or its evidence reaches a share of the limit and so much more."""
        return self.is_certain or self.trace.evidence >= share * REWORDED[self.beside] + more


@dataclass(frozen=True, slots=True)
class _Text:
    """A part of a prompt; of a worked example, also its input."""

    where: str
    passage: Passage
    asked: Words = ()


def prompt_leaks(unit: Unit, more: Sequence[str] = ()) -> list[PromptLeak]:
    """The cases of a unit whose input and expected output stand in its prompt, each once.

    Args:
        unit: its prompt, its worked examples, and its cases' own prompts are searched.
        more: further texts that belong to the prompt, such as a chat template.
    """
    cases = [case for case in unit.cases if case.expect is not None and not unit.of]
    texts = list(prompt_texts(unit, more))
    if not texts or not cases:
        return []
    asked = {case.key: plain_words(case.text) for case in cases}
    rarity = Rarity.of([*asked.values()])
    vocabulary = {word for words in asked.values() for word in words}
    labels = _labels(unit, cases)
    passages = [each for where, text, shot in texts for each in _passages(where, text, shot, vocabulary, labels)]
    more_cases = math.log2(max(1.0, len(cases) / USUAL)) * PER_DOUBLING
    found = [
        best for case in cases
        if (best := _best(_pairs(unit, case, asked[case.key], passages, rarity, more_cases)))
    ]  # fmt: skip
    if sum(each.short for each in found) < MANY_SHORT:
        found = [each for each in found if not each.short]
    several = SEVERAL + sum(len(each.passage.words) for each in passages) // PER_WORDS
    return [each for each in found if len(found) >= several or each.is_enough(more_cases)]


def prompt_texts(unit: Unit, more: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """Each text of the prompt with its place; of a worked example, also its input."""
    prompts: dict[Prompt, str] = {unit.configuration.prompt: ""}
    for case in unit.cases:
        if case.own:
            prompts.setdefault(case.prompt, f" of {case.id}")
    for prompt, of in prompts.items():
        yield from ((f"system prompt{of}", text, "") for text in (prompt.system,) if text)
        plain = prompt.template.replace("{input}", "\n").replace("{context}", "\n")
        yield from ((f"template{of}", text, "") for text in (plain,) if text.strip())
    for number, shot in enumerate(unit.shots, start=1):
        text = joined(shot.earlier, shot.input)
        yield f"worked example {number}", f"{text}\n{shot.output}", text
    for text in more:
        yield from (("chat template", each, "") for each in dict.fromkeys((text, _unescaped(text))))


def _unescaped(text: str) -> str:
    """A chat template with the characters that the escapes in its strings stand for."""
    return _ESCAPE.sub(lambda found: codecs.decode(found[0], "unicode_escape"), text)


def _labels(unit: Unit, cases: Sequence[Case]) -> list[Words]:
    """Expected values of several words that several cases share: a prompt names them, and inputs have their words."""
    times = Counter(words for case in cases for words in {each for one in expected_values(unit, case) for each in one})
    return [words for words, count in times.items() if count >= SHARED and 1 < len(words) < LONG]


def _passages(where: str, text: str, asked: str, vocabulary: set[str], labels: Sequence[Words]) -> Iterator[_Text]:
    for each in (text, *decodings(text, vocabulary)):
        yield _Text(where, Passage(plain_words(each), labels), plain_words(asked) if asked else ())


def _pairs(
    unit: Unit, case: Case, asked: Words, texts: Sequence[_Text], rarity: Rarity, more: float
) -> Iterator[PromptLeak]:
    """The places where the case's input stands with its expected output beside it."""
    values = expected_values(unit, case)
    for text in texts:
        if word_count(asked) < SHORT:
            yield from _short_pairs(case, asked, text, values, rarity)
            continue
        wide = NEAR + sum(max(map(len, options)) for options in values)
        for trace in text.passage.traces(asked, rarity, EDITED_EVIDENCE * EACH):
            if not (trace.verbatim or trace.evidence >= EACH * min(REWORDED.values())):
                continue
            # facts, from which a case follows, belong in a prompt: a fact is no question with its output after it
            knows = unit.check_kind.knowledge
            spans = [(trace.end, trace.end + wide)] if knows or trace.verbatim else []
            if not knows:  # what an edited input says itself may be cut off with its output
                spans.append((trace.start - wide, trace.start if trace.verbatim else trace.end + wide))
            sides = (_beside(values, text.passage, *span, rarity) for span in spans)
            beside: Beside | None = next(filter(None, sides), None)
            found = PromptLeak(case, text.where, trace, beside) if beside else None
            is_question = text.asked or not knows or (found and found.is_certain)
            if found and is_question and found.is_enough(more, EACH):
                yield found


def _best(found: Iterator[PromptLeak]) -> PromptLeak | None:
    return max(found, key=lambda each: (each.is_certain, each.trace.evidence), default=None)


def _short_pairs(
    case: Case, asked: Words, text: _Text, values: Sequence[Sequence[Words]], rarity: Rarity
) -> Iterator[PromptLeak]:
    """The places of a short input: a whole worked example, or a text that goes on with the expected output."""
    if asked == text.asked:
        if beside := _beside(values, text.passage, len(asked), len(text.passage.words), rarity):
            whole = Trace(0, len(asked), 1.0, 0.0, len(asked), verbatim=True)
            yield PromptLeak(case, text.where, whole, beside)
        return
    for place in text.passage.places(asked):
        end = place + len(asked)
        beside = _beside(values, text.passage, end, end + SHORT_NEAR, rarity)
        if beside and beside != "unknown":
            there = Trace(place, end, 1.0, 0.0, len(asked), verbatim=True)
            yield PromptLeak(case, text.where, there, beside, short=True)
            return


def expected_values(unit: Unit, case: Case) -> list[list[Words]]:
    """The expected values, each with its alternatives; empty where an expectation names rules, and no output."""
    if unit.suite == "vocabulary" and unit.check_kind.asks == "generate":
        return []
    return [
        found
        for options in _scalars(case.expect)
        if (found := [words for each in options if (words := plain_words(each))])
    ]


def _scalars(expect: Any) -> Iterator[list[str]]:
    if options := alternatives(expect):
        yield [text for each in options for texts in _scalars(each) for text in texts]
    elif isinstance(expect, Mapping):
        for each in expect.values():
            yield from _scalars(each)
    elif isinstance(expect, list) and any(isinstance(each, Mapping | list) for each in expect):
        for each in expect:
            yield from _scalars(each)
    elif isinstance(expect, list):
        yield [text for each in expect for texts in _scalars(each) for text in texts]
    elif isinstance(expect, bool):
        yield ["true", "yes"] if expect else ["false", "no"]
    elif expect is not None:
        yield [str(expect)]


def _beside(values: Sequence[Sequence[Words]], passage: Passage, start: int, end: int, rarity: Rarity) -> Beside | None:
    """What of an expected output stands between two places: most of its values, or of long ones one, also reworded."""
    start, end = max(0, start), min(len(passage.words), end)
    if long := [words for options in values for words in options if len(words) >= LONG]:
        near = Passage(passage.words[start:end])
        is_near = any(each.alike >= LONG_ALIKE for words in long for each in near.traces(words, rarity))
        return "reply" if is_near else None
    stand = [any(_stands(words, passage, start, end) for words in options) for options in values]
    return "unknown" if not stand else "values" if sum(stand) >= ANSWERED * len(stand) else None


def _stands(words: Words, passage: Passage, start: int, end: int) -> bool:
    return next(passage.places(words, start, end), None) is not None


def leak_line(unit: Unit, found: Sequence[PromptLeak]) -> str:
    """What stands in a unit's prompt, in one line that shows no text of a case."""
    ids = [each.case.id for each in found]
    places = ", ".join(dict.fromkeys(each.where for each in found))
    count = f"{len(ids)} of {len(unit.cases)} cases ({listed(ids)})"
    return f"{unit.key}: its prompt ({places}) holds the input and the expected output of {count}"


def leak_warnings(unit: Unit) -> Iterator[LintWarning]:
    """Warn about cases that stand in a unit's prompt with their expected outputs."""
    if found := prompt_leaks(unit):
        text = "so it is not tested on them; take them out of the prompt, or out of the cases"
        yield LintWarning(unit.cases[0].path, 1, f"{leak_line(unit, found)}, {text}")
