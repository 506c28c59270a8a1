"""The rows of the leak benchmark: copies of fixtures in six kinds, innocent rows, and what they are wrapped in."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tunegate.harness.authoring.yaml_reader import read_yaml
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.cases.model import Case, Task
from tunegate.trainers.data.examples import Example, read_examples

ROOT = Path(__file__).parent.parent
TEXTS = Path(__file__).parent / "leak_texts"
DERIVED = 100  # of each kind that is made from fixtures by code
BY_HAND = {"paraphrase": "paraphrases", "paraphrase, fresh": "fresh_paraphrases"}  # fresh: no limit was moved for them
KINDS = ("exact", "white space and case", "edited numbers and names", *BY_HAND, "same answer, other question")
NO_OUTPUT = "{}"
SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
SYSTEM = (TEXTS / "system.txt").read_text("utf-8").strip()
TEMPLATE = (TEXTS / "template.txt").read_text("utf-8").strip()


@dataclass(frozen=True)
class Planted:
    """A row that repeats a fixture, and how."""

    kind: str
    case: str
    row: Example


@dataclass(frozen=True)
class Innocents:
    """Rows that repeat no fixture of these tasks."""

    name: str
    rows: Sequence[Example]
    tasks: Sequence[Task]


def demo_tasks() -> tuple[Task, ...]:
    """The demo's fixtures."""
    return load_tasks(ROOT / "fixtures")


def by_hand(name: str) -> list[dict[str, str]]:
    """The entries of a file of texts written by hand."""
    return list(read_yaml(TEXTS / f"{name}.yaml").data["texts"])


def tasks_as_they_were() -> list[Task]:
    """The demo's fixtures with those that were said again by hand as they stood then: fixtures are rewritten."""
    asked = {each["case"]: each["fixture"] for name in BY_HAND.values() for each in by_hand(name)}
    said = {each["case"]: each["answer"] for each in by_hand("same_answers")}
    return [
        _mapped(task, lambda case: _as_it_was(case, asked.get(case.key), said.get(case.key))) for task in demo_tasks()
    ]


def _mapped(task: Task, change: Callable[[Case], Case]) -> Task:
    units = (replace(unit, cases=tuple(map(change, unit.cases))) for unit in task.units)
    return replace(task, units=tuple(units))


def _as_it_was(case: Case, asked: str | None, said: str | None) -> Case:
    expect: Any = case.expect
    if said:
        key = "says" if "says" in expect else "preferred"
        expect = {**expect, key: said}
    return replace(case, input=asked or case.input, expect=expect)


def leaks() -> list[Planted]:
    """Every planted row; those derived by code come from fixtures of all units, those by hand from their files."""
    rng = random.Random(5)  # noqa: S311
    cases = [case for task in demo_tasks() for unit in task.units if not unit.of for case in unit.cases]
    planted = [
        *(("exact", case.key, case.input, NO_OUTPUT) for case in rng.sample(cases, DERIVED)),
        *(("white space and case", case.key, respaced(case.input, rng), NO_OUTPUT)
          for case in rng.sample(cases, DERIVED)),
        *(("edited numbers and names", case.key, text, NO_OUTPUT) for case, text in _edits(cases, rng)),
        *((kind, each["case"], each["paraphrase"], NO_OUTPUT)
          for kind, name in BY_HAND.items() for each in by_hand(name)),
        *(("same answer, other question", each["case"], each["question"], each["answer"])
          for each in by_hand("same_answers")),
    ]  # fmt: skip
    return [
        Planted(kind, case, _row(text, output, "planted.jsonl", line))
        for line, (kind, case, text, output) in enumerate(planted, start=1)
    ]


def respaced(text: str, rng: random.Random) -> str:
    """A text in other case, with other white space and punctuation marks."""
    cases: Sequence[Callable[[str], str]] = (str.upper, str.lower, str.title, str.swapcase)
    words = rng.choice(cases)(text).split()
    spaces = rng.choices([" ", "  ", "\n", "\t", "\N{NO-BREAK SPACE}", " - "], [6, 2, 1, 1, 1, 1], k=len(words))
    return "".join(f"{word}{space}" for word, space in zip(words, spaces, strict=True)) + rng.choice(["", "!", " ..."])


def _edits(cases: Sequence[Case], rng: random.Random) -> list[tuple[Case, str]]:
    """Fixtures in which every number, weekday and first name that can be told is another one, where there are two."""
    names = sorted({name for case in cases for name in re.findall(r"(?<=[a-z,] )[A-Z][a-z]{2,}\b", case.input)})
    edited = [(case, *edit(case.input, names, rng)) for case in cases]
    able = [(case, text) for case, text, number in edited if number >= 2]
    return rng.sample(able, DERIVED)


def edit(text: str, names: Sequence[str], rng: random.Random) -> tuple[str, int]:
    """A text with other numbers, weekdays and names, and how many were changed."""
    others = [name for name in names if name not in DAYS]
    changed = 0

    def change(found: re.Match[str]) -> str:
        nonlocal changed
        changed += 1
        word = found[0]
        if word[0].isdigit():
            return "".join(rng.choice([digit for digit in "123456789" if digit != each]) for each in word)
        pool = DAYS if word in DAYS else others
        return rng.choice([other for other in pool if other != word])

    pattern = rf"\d+|\b(?:{'|'.join([*DAYS, *map(re.escape, others)])})\b"
    return re.sub(pattern, change, text), changed


def innocent() -> Iterator[Innocents]:
    """Rows that repeat nothing: the demo's own, and fixtures held against every other kind of fixture."""
    tasks = demo_tasks()
    files = sorted((ROOT / "trainers/recipes/rows").glob("*.jsonl"))
    yield Innocents("the demo's training rows", read_examples(files, tasks[0]), tasks)
    for task in tasks:
        for unit in task.units:
            if not unit.of:
                rest = replace(task, units=tuple(each for each in task.units if each is not unit and not each.of))
                rows = [_row(case.input, NO_OUTPUT, f"{unit.name}.jsonl", at) for at, case in enumerate(unit.cases, 1)]
                yield Innocents("fixtures against all other kinds of fixture", rows, [rest])
    yield from _sentences(tasks[0])
    foreign = [
        _row(each["text"], NO_OUTPUT, "foreign.jsonl", at) for at, each in enumerate(by_hand("foreign_innocent"), 1)
    ]
    yield Innocents("messages in other languages", foreign, tasks)


def _sentences(task: Task) -> Iterator[Innocents]:
    """Every sentence of a passage against every other passage: half of them held out, then the other half."""
    unit = next(unit for unit in task.units if unit.name == "passages")
    for half in (0, 1):
        fixtures = replace(unit, cases=unit.cases[half::2])
        sentences = [sentence for case in unit.cases[1 - half :: 2] for sentence in SENTENCE.split(case.input)]
        rows = [
            _row(text, NO_OUTPUT, "sentences.jsonl", at) for at, text in enumerate(dict.fromkeys(sentences), 1) if text
        ]
        yield Innocents("sentences of passages against other passages", rows, [replace(task, units=(fixtures,))])


def _row(text: str, output: str, file: str, line: int) -> Example:
    return Example((("user", text),), text, output, file, line)


def wrap(rows: Sequence[Example], name: str) -> list[Example]:
    """The rows under the same long system prompt, in the same template, or as they are."""
    return [WRAPPINGS[name](row) for row in rows]


def _under_a_system_prompt(row: Example) -> Example:
    return replace(row, messages=(("system", SYSTEM), ("user", row.input)), unit=None)


def _in_a_template(row: Example) -> Example:
    return replace(row, messages=(("user", TEMPLATE.replace("{input}", row.input)),), unit=None)


WRAPPINGS: dict[str, Callable[[Example], Example]] = {
    "plain": lambda row: row,
    "under a system prompt": _under_a_system_prompt,
    "in a template": _in_a_template,
}
