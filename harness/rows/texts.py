"""The texts that are compared: a case's input, context and long outputs with a row's turns and long outputs.

All texts of a case are compared with all texts of a row, since a leak may put an output into an input, or vice versa.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

import numpy as np

from tunegate.harness.cases.conversation import ASSISTANT, USER, WITH_CALLS, kind_of
from tunegate.harness.cases.model import Case, Prompt, Task, Unit
from tunegate.harness.checks.outputs.message import ARGUMENTS, CALLS
from tunegate.harness.rows.examples import Example, parsed_output
from tunegate.harness.rows.normalize import FACT, PHRASE, Wording, normalise, wording

Side = Literal["input", "output"]
LONG = 8  # words; shorter outputs may come from a closed set that rows share with the fixtures
SIDES: tuple[Side, ...] = ("input", "output")
EXPECTED = "calls"  # the key of the calls in an expectation
CLOSED = 3  # cases; an output or a passage shared by so many is not particular to one


class Held(Protocol):
    """What rows are compared with: a case, or another row."""

    @property
    def key(self) -> str:
        """Its name."""

    @property
    def place(self) -> str:
        """Its file and line."""

    @property
    def input(self) -> str:
        """Its input; of a conversation the last turn."""

    @property
    def text(self) -> str:
        """Its whole input."""

    @property
    def expect(self) -> Any:
        """What its output should be."""


@dataclass(frozen=True, slots=True)
class EvalText:
    """A text of a case that no row may repeat; the text of a sealed case is never shown.

    `same` are the cases of other units with the same input.
    """

    text: str
    case: Held
    side: Side
    sealed: bool = False
    same: tuple[Held, ...] = ()


@dataclass(frozen=True, slots=True)
class HeldRow:
    """A row as one that others are compared with."""

    row: Example

    @property
    def key(self) -> str:
        """Its file and line: the rows of one conversation are one."""
        return f"{self.row.file}:{self.row.line}"

    @property
    def place(self) -> str:
        """Its file and line."""
        return self.key

    @property
    def input(self) -> str:
        """Its input."""
        return self.row.input

    @property
    def text(self) -> str:
        """Its input."""
        return self.row.input

    @property
    def expect(self) -> Any:
        """Its output, read if it is JSON."""
        return parsed_output(self.row.output)


def held_texts(row: Example) -> Iterator[EvalText]:
    """The texts of a row that stand for those of a case: its input, and long texts of its output."""
    held = HeldRow(row)
    yield EvalText(row.input, held, "input")
    texts = dict.fromkeys([*_strings(held.expect), *_calls(held.expect)])
    yield from (EvalText(text, held, "output") for text in texts if _is_long(text))


def eval_texts(tasks: Iterable[Task]) -> list[EvalText]:
    """All inputs, each once, and all other texts particular to a case.

    The input of a conversation is all its turns, joined. The other texts are the context, long outputs, long turns of
    a conversation, and the texts whose likelihood is computed.
    """
    inputs: dict[tuple[Side, str], list[EvalText]] = defaultdict(list)
    others: dict[tuple[Side, str], list[EvalText]] = defaultdict(list)
    for unit in sorted((unit for task in tasks for unit in task.units), key=lambda unit: unit.suite == "cost"):
        for case in unit.cases:
            alike = inputs["input", normalise(case.text)]
            if unit.suite != "cost" or not alike:  # a cost is no score that a copy lends to
                alike.append(EvalText(case.text, case, "input", unit.sealed))
            for each in _others(unit, case):
                others[each.side, normalise(each.text)].append(each)
    # inputs are not filtered: an input that many cases share is still a fixture
    few = {key: each for key, each in others.items() if len({one.case.key for one in each}) < CLOSED}
    first = (replace(each[0], same=tuple(one.case for one in each[1:])) for each in inputs.values())
    return [*first, *(each[0] for key, each in few.items() if key not in inputs)]


def _others(unit: Unit, case: Case) -> Iterator[EvalText]:
    if case.context:
        yield EvalText(case.context, case, "input", unit.sealed)
    for role, turn in case.turns if case.earlier else ():
        value = parsed_output(turn) if role == WITH_CALLS else turn
        for text in (*_strings(value), *_calls(value)):
            if _is_long(text):  # a short one, such as `yes please`, is not particular to a case
                yield EvalText(text, case, "output" if kind_of(role) == ASSISTANT else "input", unit.sealed)
    for text in dict.fromkeys([*_strings(case.expect), *_calls(case.expect), *unit.texts(case)]):
        if _is_long(text):
            yield EvalText(text, case, "output", unit.sealed)


@dataclass(frozen=True, slots=True)
class ExampleText:
    """A text of a row: of its input, of its output, or, without a side, of several turns."""

    text: str
    row: Example
    side: Side | None


def example_texts(row: Example, prompts: Iterable[Prompt]) -> list[ExampleText]:
    """The texts of a row, each once, without the prompt templates of the suites."""
    # With a shared template, unrelated texts reach a coverage of .62.
    turns = [
        (kind_of(role), text if kind_of(role) == ASSISTANT else _unwrapped(text, prompts))
        for role, text in row.messages
    ]
    whole = row.input if row.unit else _joined(turns, USER, ASSISTANT)
    asked = [whole, *(text for role, text in turns if role != ASSISTANT)]
    # rejected outputs are training data as well: dpo moves away from them
    completions = [row.output, row.rejected or "", *(text for role, text in turns if role == ASSISTANT)]
    # of JSON the strings in it
    values = [parsed_output(text) if text.lstrip().startswith(("{", "[")) else text for text in completions]
    outputs = [text for value in values for text in (*_strings(value), *_calls(value)) if _is_long(text)]
    found = {text: ExampleText(text, row, None) for text in _across_turns(turns, row.output)}
    found |= {text: ExampleText(text, row, "output") for text in outputs}
    found |= {text: ExampleText(text, row, "input") for text in asked if text}
    return list(found.values())


def _across_turns(turns: Sequence[tuple[str, str]], output: str) -> Iterator[str]:
    """Joined turns: all user turns, all assistant turns, and both."""
    every = [*turns, (ASSISTANT, output)]
    for roles in ((USER,), (ASSISTANT,), (USER, ASSISTANT)):
        if sum(role in roles for role, _ in every) > 1:
            yield _joined(every, *roles)


def _joined(turns: Iterable[tuple[str, str]], *roles: str) -> str:
    return "\n".join(text for role, text in turns if role in roles)


def prompt_templates(tasks: Iterable[Task]) -> list[Prompt]:
    """All prompts of the tasks, longest template first."""
    found = {case.prompt for task in tasks for unit in task.units for case in unit.cases}
    return sorted(found, key=lambda prompt: (-len(prompt.template), prompt.template, prompt.system or ""))


def _unwrapped(text: str, prompts: Iterable[Prompt]) -> str:
    for prompt in prompts:
        if text == prompt.system:
            return ""
        before, _, after = prompt.template.partition("{input}")
        is_plain = "{context}" not in prompt.template and (before or after)
        if is_plain and len(text) > len(before + after) and text.startswith(before) and text.endswith(after):
            return text[len(before) : len(text) - len(after)]
    return text


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)


def _calls(value: Any) -> Iterator[str]:
    """The arguments of each call in a message or an expectation, as one text: each may be short."""
    calls = value.get(EXPECTED, value.get(CALLS)) if isinstance(value, dict) else None
    for call in calls if isinstance(calls, list) else ():
        if isinstance(call, dict) and isinstance(arguments := call.get(ARGUMENTS), dict):
            yield ", ".join(_scalars(dict(sorted(arguments.items()))))


def _scalars(value: Any) -> Iterator[str]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    if inner is None:
        yield str(value)
    for each in inner or ():
        yield from _scalars(each)


def _is_long(text: str) -> bool:
    return len(text.split()) >= LONG


# Phrases that so many rows share belong to a template or a system prompt; if kept, clean rows look like leaks.
SHARE = 0.02  # of the rows
LEAST = 5  # rows
PARTICULAR = 2  # fixtures; a phrase of so few identifies a fixture, however many rows share it


def common_phrases(rows: Iterable[Sequence[str]], eval_texts: Sequence[Wording]) -> dict[str, int]:
    """The masked five-word phrases that many rows share and that identify no fixture, with the number of rows.

    `rows` are the texts of each row, `eval_texts` the held-out ones.
    """
    hashes, count = [], 0
    for texts in rows:
        count += 1
        runs = {run for text in texts for run in wording(text).masked_runs if run.count(FACT) < PHRASE - 1}
        hashes.append(np.fromiter(map(hash, runs), dtype=np.int64))
    many = max(LEAST, math.ceil(SHARE * count))
    values, numbers = np.unique(np.concatenate([*hashes, np.empty(0, np.int64)]), return_counts=True)
    pointing = _particular(eval_texts)
    shared = zip(values[numbers >= many].tolist(), numbers[numbers >= many].tolist(), strict=True)
    frequent = {value: number for value, number in shared if value not in pointing}
    return {phrase: frequent[hash(phrase)] for phrase in _spelt(rows, frequent)}


def _particular(eval_texts: Sequence[Wording]) -> set[int]:
    """The hashes of phrases that occur in at most two held-out texts."""
    runs = [hash(run) for text in eval_texts for run in set(text.masked_runs)]
    values, numbers = np.unique(np.array(runs, dtype=np.int64), return_counts=True)
    return set(values[numbers <= PARTICULAR].tolist())


def _spelt(rows: Iterable[Sequence[str]], hashes: Iterable[int]) -> Iterable[str]:
    """The phrases for the hashes; hashes take a tenth of the memory while there are millions."""
    missing = set(hashes)
    for texts in rows if missing else ():
        for text in texts:
            for run in wording(text).masked_runs:
                if hash(run) in missing:
                    missing.discard(hash(run))
                    yield run
        if not missing:
            return
