"""Which texts are compared: a case's input, context and long answers with a row's turns and long answers.

Every one of a case with every one of a row: a leak may put an answer into an input, or an input into an answer.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from tunegate.harness.cases.conversation import ASSISTANT, USER
from tunegate.harness.cases.model import Case, Prompt, Task, Unit
from tunegate.trainers.data.examples import Example
from tunegate.trainers.decontamination.normalize import FACT, PHRASE, Wording, normalise, wording

Side = Literal["input", "output"]
LONG = 8  # words; shorter answers may come from a closed set, which every row shares with the fixtures
SIDES: tuple[Side, ...] = ("input", "output")
CLOSED = 3  # cases: an answer or a passage that so many share is no single case's


@dataclass(frozen=True, slots=True)
class EvalText:
    """A text of a case that no row may repeat; that of a sealed one is shown to nobody."""

    text: str
    case: Case
    side: Side
    sealed: bool = False


def eval_texts(tasks: Iterable[Task]) -> list[EvalText]:
    """Every input once, of a conversation all turns joined, and what else is particular to a case.

    That is its context, its long answers, the long turns of a conversation, the texts whose likelihood is asked for.
    """
    inputs: dict[tuple[Side, str], EvalText] = {}
    others: dict[tuple[Side, str], list[EvalText]] = defaultdict(list)
    for unit in sorted((unit for task in tasks for unit in task.units), key=lambda unit: unit.suite == "cost"):
        for case in unit.cases:
            inputs.setdefault(("input", normalise(case.text)), EvalText(case.text, case, "input", unit.sealed))
            for each in _others(unit, case):
                others[each.side, normalise(each.text)].append(each)
    # never so with inputs: an input that many cases share is a fixture all the same
    few = {key: each for key, each in others.items() if len({one.case.key for one in each}) < CLOSED}
    return [*inputs.values(), *(each[0] for key, each in few.items() if key not in inputs)]


def _others(unit: Unit, case: Case) -> Iterator[EvalText]:
    if case.context:
        yield EvalText(case.context, case, "input", unit.sealed)
    for role, text in case.turns if case.earlier else ():
        if _is_long(text):  # a short one, `yes please`, is no single case's
            yield EvalText(text, case, "input" if role == USER else "output", unit.sealed)
    for text in dict.fromkeys([*_strings(case.expect), *unit.texts(case)]):
        if _is_long(text):
            yield EvalText(text, case, "output", unit.sealed)


@dataclass(frozen=True, slots=True)
class ExampleText:
    """A text of a row: of what is asked, of what is answered, or, without a side, of several turns."""

    text: str
    row: Example
    side: Side | None


def example_texts(row: Example, prompts: Iterable[Prompt]) -> list[ExampleText]:
    """The texts of a row, each once, without the templates that the suites wrap round an input."""
    # A template that all share makes texts alike that are not: unrelated ones then reach a coverage of .62.
    turns = [(role, text if role == ASSISTANT else _unwrapped(text, prompts)) for role, text in row.messages]
    whole = row.input if row.unit else _joined(turns, USER, ASSISTANT)
    asked = [whole, *(text for role, text in turns if role != ASSISTANT)]
    # a rejected answer is trained on as well: dpo moves away from it, and so shows it
    said = [row.output, row.rejected or "", *(text for role, text in turns if role == ASSISTANT)]
    outputs = [text for completion in said for text in _answers(completion) if _is_long(text)]
    found = {text: ExampleText(text, row, None) for text in _across_turns(turns, row.output)}
    found |= {text: ExampleText(text, row, "output") for text in outputs}
    found |= {text: ExampleText(text, row, "input") for text in asked if text}
    return list(found.values())


def _across_turns(turns: Sequence[tuple[str, str]], output: str) -> Iterator[str]:
    """What stands in several turns, joined: all that the user says, all that is answered, and both."""
    every = [*turns, (ASSISTANT, output)]
    for roles in ((USER,), (ASSISTANT,), (USER, ASSISTANT)):
        if sum(role in roles for role, _ in every) > 1:
            yield _joined(every, *roles)


def _joined(turns: Iterable[tuple[str, str]], *roles: str) -> str:
    return "\n".join(text for role, text in turns if role in roles)


def prompt_templates(tasks: Iterable[Task]) -> list[Prompt]:
    """Every prompt of the tasks, the longest template first."""
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


def _answers(output: str) -> Iterator[str]:
    """The texts of an answer: itself, or the strings inside a JSON one."""
    try:
        value = json.loads(output) if output.lstrip().startswith(("{", "[")) else output
    except (ValueError, RecursionError):
        value = output
    yield from _strings(value)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)


def _is_long(text: str) -> bool:
    return len(text.split()) >= LONG


# A phrase that so many rows share is a template's or a system prompt's: left in, it makes innocent rows leaks.
SHARE = 0.02  # of the rows
LEAST = 5  # rows
PARTICULAR = 2  # fixtures: a phrase of so few tells which fixture a row repeats, however often it does


def common_phrases(rows: Iterable[Sequence[str]], eval_texts: Sequence[Wording]) -> dict[str, int]:
    """The phrases (masked, five words) that very many rows share and that point at no fixture: by how many rows.

    Args:
        rows: the texts of each row.
        eval_texts: the held-out texts.
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
    """The phrases that at most two held-out texts hold."""
    runs = [hash(run) for text in eval_texts for run in set(text.masked_runs)]
    values, numbers = np.unique(np.array(runs, dtype=np.int64), return_counts=True)
    return set(values[numbers <= PARTICULAR].tolist())


def _spelt(rows: Iterable[Sequence[str]], hashes: Iterable[int]) -> Iterable[str]:
    """The phrases behind the hashes, which take a tenth of the memory while there are millions."""
    missing = set(hashes)
    for texts in rows if missing else ():
        for text in texts:
            for run in wording(text).masked_runs:
                if hash(run) in missing:
                    missing.discard(hash(run))
                    yield run
        if not missing:
            return
