"""A project of any size for `scale.py`: fixtures, a policy, outputs of two models, the suites, and a bare test file."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TASK, UNITS = "desk", ("faults", "visits", "billing", "advice", "orders")
FILE_CASES = 1_000  # of a fixture file, at most; larger units go on in further files
MISSED, REGRESSED, FIXED = 0.10, 0.016, 0.15  # of all answers before; of the good and of the bad ones, after
PRODUCTS = ("boiler", "heat_pump", "thermostat", "radiator", "account")
KINDS, URGENCIES, CHANNELS = ("fault", "visit", "change"), ("urgent", "soon", "routine"), ("email", "sms", "chat")
SCHEMA = {
    "type": "object",
    "properties": {
        "product": {"enum": list(PRODUCTS)},
        "request": {
            "type": "object",
            "properties": {"kind": {"enum": list(KINDS)}, "urgency": {"enum": list(URGENCIES)}},
            "required": ["kind", "urgency"],
            "additionalProperties": False,
        },
        "callback": {"type": "boolean"},
    },
    "required": ["product", "request", "callback"],
    "additionalProperties": False,
}
SENTENCES = (
    "It has been like this since Tuesday, and the engineer who came said that it would settle by itself.",
    "My neighbour has the same one and hers works; she thinks it's the valve under the stairs.",
    "I'd rather have an answer in writing, because I am at work until six and can't pick up the phone.",
    "Could somebody tell me what it costs before anybody drives out here?",
    "We moved in last month and found none of the papers, only a sticker that says 2019.",
    "no idea what the number on the little screen means, it just blinks",
    "The last invoice says that this is covered: please look at page two.",
    "Thank you for sorting out the other thing so quickly.",
)
HEAD = """\
version: 1
suite: schema
unit: {unit}
prompt:
  system: 'Sort the customer message. Reply with JSON only: {{"product": ..., "request": {{...}}, "callback": ...}}'
  template: "{{input}}"
check: {{schema: refs/message.schema.json, extract: strict}}
generate: {{max_new_tokens: 56}}
shots:
  - input: "What does the yearly visit cost? No hurry."
    output: '{{"product": "boiler", "request": {{"kind": "visit", "urgency": "routine"}}, "callback": false}}'
  - input: "Water under the radiator in the hall, please ring me."
    output: '{{"product": "radiator", "request": {{"kind": "fault", "urgency": "urgent"}}, "callback": true}}'
cases:
"""
CASE = """\
  - id: {id}
    input: >-
      Hello, this is about the {product} at number {number}, reference {id}.
{sentences}
    expect: {{product: {product}, request: {{kind: {kind}, urgency: {urgency}}}, callback: {callback}}}
    tags: {{channel: {channel}, product: {product}}}
"""
PLAIN = """\
import pytest

@pytest.mark.parametrize("case", [f"{task}/{{unit}}/{{unit}}-{{i:06}}" for unit in {units!r} for i in range({each})])
def test_case(case):
    assert case
"""


def write_project(home: Path, n: int) -> None:
    """Write a project of `n` cases (a multiple of five) into `home`: the same bytes for the same `n`."""
    each = n // len(UNITS)
    folder = home / "fixtures" / TASK
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "message.schema.json").write_text(json.dumps(SCHEMA, indent=1))
    policy = {unit: {"role": "guard", "margin": 0.1, "reason": "a benchmark"} for unit in UNITS}
    (folder / "task.yaml").write_text(json.dumps({"version": 1, "units": policy}))
    with (home / "before.jsonl").open("w") as before, (home / "after.jsonl").open("w") as after:
        for unit in UNITS:
            dice = random.Random(unit)  # noqa: S311  (sizes and choices of a benchmark)
            for start in range(0, each, FILE_CASES):
                ids = [f"{unit}-{index:06}" for index in range(start, min(start + FILE_CASES, each))]
                cases = list(_cases(ids, dice))
                text = HEAD.format(unit=unit) + "".join(text for text, _ in cases)
                (folder / f"{unit}-{start // FILE_CASES + 1:03}.yaml").write_text(text)
                for case, (_, expect) in zip(ids, cases, strict=True):
                    missed, moved = dice.random() < MISSED, dice.random()
                    flipped = moved < (FIXED if missed else REGRESSED)
                    before.write(_line(f"{TASK}/{unit}/{case}", expect, missed))
                    after.write(_line(f"{TASK}/{unit}/{case}", expect, missed is not flipped))
    (home / "pyproject.toml").write_text("[tool.pytest.ini_options]\naddopts = ['--strict-markers']\n")
    shutil.copytree(Path(__file__).parent.parent / "suites", home / "suites", ignore=shutil.ignore_patterns("__*"))
    (home / "test_bare.py").write_text(PLAIN.format(task=TASK, units=UNITS, each=each))


def _cases(ids: list[str], dice: random.Random) -> Iterator[tuple[str, dict[str, Any]]]:
    for index, case in enumerate(ids):
        product, kind, urgency = dice.choice(PRODUCTS), dice.choice(KINDS), dice.choice(URGENCIES)
        callback = dice.random() < 0.5
        text = CASE.format(
            id=case, number=dice.randrange(200), product=product, kind=kind, urgency=urgency,
            callback=str(callback).lower(), channel=dice.choice(CHANNELS),
            sentences="\n".join(f"      {line}" for line in dice.sample(SENTENCES, dice.randint(1, 3))),
        )  # fmt: skip
        text += f"    group: talk{index // 2}\n" if index % 10 < 4 else ""  # two cases of one conversation
        yield text, {"product": product, "request": {"kind": kind, "urgency": urgency}, "callback": callback}


def _line(case: str, expect: dict[str, Any], missed: bool) -> str:
    output = json.dumps(expect) if not missed else f"Here is the JSON: {json.dumps(expect)}"
    return json.dumps({"case": case, "output": output, "tokens_in": 118, "tokens_out": 31}) + "\n"
