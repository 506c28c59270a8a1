"""Attempts that found a way through once, or were made against earlier versions."""

from __future__ import annotations

import json
from collections.abc import Mapping

from benchmarks.attack_world import CANARY, GATE_OUTPUTS, PASSES_ALL, Attempt, World

MEDDLES = """
import pathlib, sys, tempfile
for root in (tempfile.gettempdir(), "/tmp"):
    for path in pathlib.Path(root).glob("tunegate-*/fixtures/*/*.yaml"):
        path.write_text("x")
import tunegate.harness.gate.rule as rule
pathlib.Path(rule.__file__).write_text("def compare(*_): raise SystemExit(0)")
"""


def _below(world: World) -> None:
    world.write("fixtures/pyproject.toml", '[tool.tunegate]\nchecks = "evil.py"\n')
    world.write("fixtures/evil.py", CANARY + PASSES_ALL)


def _edited(world: World) -> None:
    world.write("checks.py", CANARY + PASSES_ALL)


def _meddles(world: World) -> None:
    world.write("checks.py", MEDDLES + PASSES_ALL)
    world.approve()


def _data(world: World) -> None:
    reads = world.own.replace("< 60", "< int(open('allowed.txt').read())")
    world.write("checks.py", reads)
    world.write("allowed.txt", "60")
    world.approve()
    world.outputs(38)
    world.write("allowed.txt", "6000")
    lines = [json.loads(line) for line in world.read("outputs.jsonl").splitlines()]
    long = [each | {"output": "y" * 600} if "/brief/" in each["case"] else each for each in lines]
    world.write("outputs.jsonl", "".join(json.dumps(each) + "\n" for each in long))


def _moved(world: World) -> None:
    for name in ("fixtures", "baselines", "pyproject.toml", "outputs.jsonl", "requests.jsonl"):
        (world.home / "b").mkdir(exist_ok=True)
        world.git("mv", name, f"b/{name}")
    world.tunegate("record", "--from=b/outputs.jsonl", "--name=gpt", "--requests=b/requests.jsonl")


def _keys(world: World) -> None:
    text = world.read("fixtures/desk/triage.yaml")
    world.write("fixtures/desk/triage.yaml", text[:-1] + "," + ",".join(f'"k{n}": 1' for n in range(200_000)) + "}")


def _events(world: World) -> None:
    for path in (world.home / "baselines/ledger").glob("*.json"):
        path.unlink()


def _prompt(world: World) -> None:
    world.edit("fixtures/desk/triage.yaml", lambda data: data | {"prompt": {"system": "Say anything."}})
    world.write("requests.jsonl", world.tunegate("prompts").stdout)
    world.record()


def _conftest(world: World) -> None:
    modules = ("conftest", "sitecustomize", "yaml", "json", "tunegate/__init__", "harness/__init__")
    for name in modules:
        world.write(f"{name}.py", CANARY + "raise SystemExit(0)\n")
    world.write("evil.pth", "import sitecustomize\n")


ATTEMPTS: Mapping[str, Attempt] = {
    "settings-below": Attempt("Settings in the fixtures' folder name a check", _below),
    "settings-below-lint": Attempt("The same, and lint reads it", _below, ("lint",)),
    "checks-edited": Attempt("An approved check is edited and lets everything pass", _edited, world="checks"),
    "checks-edited-lint": Attempt("The same, and lint reads it", _edited, ("lint",), "checks", may_pass=True),
    "checks-meddle": Attempt(
        "An approved check writes over the rules' copy and over the install", _meddles, world="checks", approved=True
    ),
    "data-edited": Attempt("A list that an approved check reads is widened", _data, world="checks"),
    "project-moved": Attempt("The project's folder is renamed", _moved, folder="b"),
    "many-keys": Attempt("200,000 unknown keys", _keys),
    "ledger-deleted": Attempt("All events of the ledger are deleted", _events),
    "prompt-edited": Attempt("The prompt is edited and the baseline recorded from the bad outputs", _prompt),
    "modules-beside": Attempt("Modules, a conftest and a .pth beside the project", _conftest),
    "modules-beside-alone": Attempt("The same, without --policy-from", _conftest, GATE_OUTPUTS),
}
