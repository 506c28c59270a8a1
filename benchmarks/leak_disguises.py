"""Leaks where and how nobody looks: across sides, over turns, encoded, with letters exchanged, and in bulk."""

from __future__ import annotations

import base64
import codecs
import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from benchmarks.leak_rows import NO_OUTPUT, Planted, by_hand, demo_tasks
from tunegate.harness.cases.model import Case, Task
from tunegate.trainers.data.examples import Example
from tunegate.trainers.decontamination.normalize import wording

EACH = 12  # rows of each kind
LEAST = 8  # words: a fixture of fewer cannot be divided over turns
BULK = 29  # near copies of one fixture
ASK, SHORT = "Please file this for me.", "Noted."
_LOOK_ALIKES = str.maketrans(
    "aceopxyAEOPCTXKMHB",
    "\u0430\u0441\u0435\u043e\u0440\u0445\u0443\u0410\u0415\u041e\u0420\u0421\u0422\u0425\u041a\u041c\u041d\u0412",
)
_FULL_WIDTH = {code: code + 0xFEE0 for code in range(0x21, 0x7F)}


def _row(*turns: tuple[str, str], output: str = NO_OUTPUT, rejected: str | None = None) -> Example:
    text = "\n".join(said for _, said in turns)
    return Example(turns, text, output, "disguised.jsonl", 1, rejected=rejected)


def _asked(text: str) -> Example:
    return _row(("user", text))


def _halves(text: str) -> tuple[str, str]:
    words = text.split()
    return " ".join(words[: len(words) // 2]), " ".join(words[len(words) // 2 :])


def _over_turns(text: str) -> Example:
    first, second = _halves(text)
    return _row(("user", first), ("assistant", "Go on."), ("user", second), output=SHORT)


def _over_input_and_answer(text: str) -> Example:
    first, second = _halves(text)
    return _row(("user", first), output=second)


#: What is made of a fixture's input.
OF_INPUTS: Mapping[str, Callable[[str], Example]] = {
    "input in an answer": lambda text: _row(("user", ASK), output=f"They wrote: {text}"),
    "input inside a JSON answer": lambda text: _row(("user", ASK), output=json.dumps({"team": "mail", "note": text})),
    "input in a rejected answer": lambda text: _row(("user", ASK), output=SHORT, rejected=text),
    "input in an earlier answer": lambda text: _row(
        ("user", ASK), ("assistant", text), ("user", "Thanks."), output=SHORT
    ),
    "input over two turns": _over_turns,
    "input over input and answer": _over_input_and_answer,
    "base64": lambda text: _asked(f"Decode: {base64.b64encode(text.encode()).decode()}"),
    "hexadecimal": lambda text: _row(("user", ASK), output=text.encode().hex(" ")),
    "rot13": lambda text: _asked(codecs.encode(text, "rot13")),
    "letters spaced": lambda text: _asked(" ".join(text)),
    "letters reversed": lambda text: _asked(text[::-1]),
    "characters without width": lambda text: _asked("\u200b".join(text)),
    "look-alikes": lambda text: _asked(text.translate(_LOOK_ALIKES)),
    "full width": lambda text: _asked(text.translate(_FULL_WIDTH)),
}


def disguised() -> list[Planted]:
    """`EACH` rows of each kind, of fixtures of the demo, each row another; translations are written by hand."""
    rng = random.Random(11)  # noqa: S311
    cases = [case for task in demo_tasks() for unit in task.units if not unit.of for case in unit.cases]
    long = [case for case in cases if len(wording(case.input).plain) >= LEAST]
    answers = [(case, text) for case in cases for text in _long_answers(case.expect)]
    made = [
        (kind, case.key, hide(case.input))
        for kind, hide in OF_INPUTS.items()
        for case in rng.sample(long, EACH)
    ]  # fmt: skip
    made += [("answer in an input", case.key, _asked(f"They sent: {text}")) for case, text in rng.sample(answers, EACH)]
    made += [("translation", each["case"], _asked(each["translation"])) for each in by_hand("translations")]
    return [Planted(kind, case, replace(row, line=line)) for line, (kind, case, row) in enumerate(made, 1)]


def _long_answers(expect: Any) -> Iterator[str]:
    values = expect.values() if isinstance(expect, dict) else ()
    yield from (text for text in values if isinstance(text, str) and len(text.split()) >= LEAST)


def in_bulk(fixtures: int) -> tuple[list[Example], list[Task]]:
    """Near copies of a fixture, many times, where a task has one fixture or two that are near copies themselves."""
    task = demo_tasks()[0]
    unit = task.units[0]
    cases: Sequence[Case] = [
        replace(unit.cases[0], id=f"c{at}", input=f"{unit.cases[0].input} Ticket {at}.") for at in range(fixtures)
    ]
    rows = [_asked(f"{unit.cases[0].input} Ticket {at}.") for at in range(100, 100 + BULK)]
    held_out = replace(task, units=(replace(unit, cases=tuple(cases)),))
    return [replace(row, line=line) for line, row in enumerate(rows, 1)], [held_out]
