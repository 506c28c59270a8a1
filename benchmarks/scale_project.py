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
WORDS = """\
a about after again ago all already also always and another answer any anybody ask at away back bathroom because
bedroom before behind below bill boiler box bring building burning button by call can cannot ceiling cellar change
child cold corner cost could cupboard cupful damp day dial dog door down drip each early eight engineer evening every
except explain far father few find first five floor for four friend from front garden gauge get give glass good
grandmother ground gurgle half hall hand hard has have hear heat heating help her here hinge his hot hour house how
hum if in inside instead invoice is it job just keep key kitchen knob know lamp landlord last late leak left less
letter light like little living long look loose lot make many meter might minute moment Monday month more morning most
move much my name near needle neighbour never new next nine no noise not nothing now number of off office often oil
old on once one only open or other our out over page panel part pay people phone pipe place please pressure price pump
put quiet radiator rain rattle read really red repair ring room rust same sat saw say screen screw second see send
seven several she shelf shower since six small smell so some sometimes soon spare stairs steam still stop street
switch take tank tap tell ten tenant than thank that the their then there they thing think this three through time
today tomorrow top towel turn twice two under until up upstairs valve van very visit wait wall want warm was washing
water we week weekend went wet what when where which while whistle white who why window winter with without woman work
would write wrong yard year yellow yesterday you your
"""
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
            sentences="\n".join(f"      {_sentence(dice)}" for _ in range(dice.randint(1, 3))),
        )  # fmt: skip
        text += f"    group: talk{index // 2}\n" if index % 10 < 4 else ""  # two cases of one conversation
        yield text, {"product": product, "request": {"kind": kind, "urgency": urgency}, "callback": callback}


def _sentence(dice: random.Random) -> str:
    # of words and not of a few sentences, of which most messages would be near copies of others, as no suite's are
    return f"{' '.join(dice.choices(WORDS.split(), k=dice.randint(9, 20)))}.".capitalize()


def _line(case: str, expect: dict[str, Any], missed: bool) -> str:
    output = json.dumps(expect) if not missed else f"Here is the JSON: {json.dumps(expect)}"
    return json.dumps({"case": case, "output": output, "tokens_in": 118, "tokens_out": 31}) + "\n"
