"""Attempts by candidates: prompts, decoding and models that are worse, and records or events that hide it.

Each change makes the prompt worse, so that an honest gate blocks, and then hides it; or it writes the answers into the
prompt. The hosted model is right as often as its prompt deserves, and where the prompt says the answer.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from benchmarks.attack_world import Attempt, World
from tests.support.fault_server import Handler, reply
from tests.support.gated import GOOD
from tests.support.prompted import CASES, IN_SERVICE, REWORDED, RIGHT, WORSE
from tests.support.prompted import act as honest
from tunegate.harness.core.files import stamped
from tunegate.harness.history.ledger.ledger import Event
from tunegate.harness.history.ledger.store import LEDGER, append, event_path, read_ledger

GATE = ("gate", "--policy-from=origin/main", "--decision=decision.json", "--out=record.json")
UNIT = "fixtures/desk/triage.yaml"
LATE = range(1000, 1100)  # tickets that an earlier change added


def act(handler: Handler, body: dict[str, Any]) -> None:
    """The model, which also says what its prompt says of a ticket."""
    texts = {each["role"]: each["content"] for each in body["messages"]}
    if f"{texts['user']}: {GOOD}" in texts.get("system", "").splitlines():
        handler.send(json.dumps(reply(body, GOOD, model=body["model"])))
    else:
        honest(handler, body)


def _worse(world: World) -> None:
    world.edit(UNIT, lambda data: data.update(prompt={"system": WORSE}))


def _then(hide: Callable[[World], object]) -> Callable[[World], None]:
    def change(world: World) -> None:
        _worse(world)
        hide(world)

    return change


def _record(world: World) -> None:
    world.tunegate("record")


def _forged_record(world: World) -> None:
    """Its record says that all cases pass, with digests that fit, in the ledger as well."""
    root = world.home / "baselines"
    known = set(read_ledger(root).events)
    _record(world)
    path = next(root.glob("*/desk/triage.json"))
    data = json.loads(path.read_text())
    old = data.pop("digest")
    for result in data["cases"].values():
        result.update(passed=True, score=1.0, findings=[], output=GOOD)
    data["summary"].update(mean=1.0)
    made = stamped(data)
    path.write_text(json.dumps(made, indent=1))
    brought = [event for event in read_ledger(root).in_order if event.digest not in known]
    for event in brought:
        event_path(root, event.digest).unlink()
    for event in brought:
        files = {unit: made["digest"] if sha == old else sha for unit, sha in event.files.items()}
        append(root, replace(event, files=files))


def _forged_beside(world: World) -> None:
    """A second record of the very configuration in service fails a case in twenty more; an event serves it."""
    root = world.home / "baselines"
    data = json.loads(next(root.glob("*/desk/triage.json")).read_text())
    del data["digest"]
    for result in [*data["cases"].values()][::20]:
        result.update(passed=False, score=0.0, output="{}")
    data["summary"].update(mean=statistics.fmean(result["score"] for result in data["cases"].values()))
    made = stamped(data)
    kept = root / LEDGER / "outputs" / f"{made['digest']}.json"
    kept.parent.mkdir(exist_ok=True)
    kept.write_text(json.dumps(made, indent=1))
    append(root, Event("serves", "desk", made["subject"], {"desk/triage": made["digest"]}))


def _record_as(most: int, but: set[int]) -> Callable[[World], None]:
    """A harmless change, recorded while the model is right on other cases: all digests and scores of the record fit."""

    def change(world: World) -> None:
        world.edit(UNIT, lambda data: data.update(prompt={"system": REWORDED}))
        _record_while(world, REWORDED, (most, but))

    return change


def _record_while(world: World, text: str, right: tuple[int, set[int]]) -> None:
    """Record the prompt that stands, `text`, while the model is right on other cases than the gate finds."""
    honest = RIGHT[text]
    RIGHT[text] = right
    try:
        world.tunegate("record", "--fresh")  # other attempts have outputs of this prompt in the cache
    finally:
        RIGHT[text] = honest


def _outputs_of_older_check(world: World) -> None:
    """Twenty outputs become wrong ones under the scores that the gate finds, said to be those of an older check."""
    root = world.home / "baselines"
    world.edit(UNIT, lambda data: data.update(prompt={"system": REWORDED}))
    _record(world)
    path = next(root.glob("*/desk/triage.json"))
    data = json.loads(path.read_text())
    del data["digest"]
    for result in [*data["cases"].values()][20:40]:
        result.update(output="{}")
    data["scorer"] = dict.fromkeys(data["scorer"], "0") or {"jsonschema": "0"}
    made = stamped(data)
    path.write_text(json.dumps(made, indent=1))
    for kind in ("recorded", "serves"):
        append(root, Event(kind, "desk", made["subject"], {"desk/triage": made["digest"]}))


def _no_ledger(world: World) -> None:
    for event in world.home.glob("baselines/ledger/*.json"):
        event.unlink()


def _no_anchor(world: World) -> None:
    _record(world)
    for kept in world.home.glob("baselines/ledger/outputs/*.json"):
        kept.unlink()


def _other_host(world: World) -> None:
    path = world.home / "pyproject.toml"
    path.write_text(path.read_text().replace("127.0.0.1", "localhost"))


def _smaller_model_recorded(world: World) -> None:
    """The project's model becomes a smaller one, and its record goes in service."""
    path = world.home / "pyproject.toml"
    path.write_text(path.read_text().replace("#tuned", "#small"))
    _record(world)


def _answers_in_prompt(world: World) -> None:
    lines = [f"ticket {number}: {GOOD}" for number in range(CASES)]
    world.edit(UNIT, lambda data: data.update(prompt={"system": "\n".join([IN_SERVICE, *lines])}))


def _answers_in_examples(world: World) -> None:
    def edit(data: dict[str, Any]) -> None:
        data.update(prompt={"system": WORSE})
        data["shots"] = [{"input": each["input"], "output": json.dumps(each["expect"])} for each in data["cases"]]

    world.edit(UNIT, edit)


def _prompts_of_cases(world: World) -> None:
    """Cases that the worse prompt gets wrong keep the good one, as their own."""

    def edit(data: dict[str, Any]) -> None:
        data.update(prompt={"system": WORSE})
        for case in data["cases"][91:]:
            case["prompt"] = {"system": IN_SERVICE}

    world.edit(UNIT, edit)


def _second_file(world: World) -> None:
    """The cases that the worse prompt gets wrong move to a second file of the unit, with the good prompt."""
    data = json.loads(world.read(UNIT))
    first = {**data, "prompt": {"system": WORSE}, "cases": data["cases"][:91]}
    world.write(UNIT, json.dumps(first))
    world.write("fixtures/desk/triage-more.yaml", json.dumps({**data, "cases": data["cases"][91:]}))


def _hot_and_worse(world: World) -> None:
    world.edit(UNIT, lambda data: data["generate"].update(temperature=1.0, seed=3))
    _record(world)


def _losing(world: World, count: int, added: int) -> None:
    """A prompt that gets so many of the cases wrong that pass, and easy cases more; both are recorded."""
    text = f"{IN_SERVICE} Not the first {count}."
    cases = [{"id": f"e{count}-{n}", "input": f"easy {n} of {count}: 0", "expect": {"product": "boiler"}}
             for n in range(added)]  # fmt: skip

    def edit(data: dict[str, Any]) -> None:
        data.update(prompt={"system": text})
        data["cases"].extend(cases)

    RIGHT[text] = (110, set(range(1, count + 1)))
    world.edit(UNIT, edit)
    _record(world)


def _ten_merges(world: World, lose: Callable[[World, int, int], None]) -> None:
    """Ten merges that each lose more cases than what is in service; the gate is asked about the last one.

    `lose` gets the number of merges and the step. A merge that the gate stops is none.
    """
    merged = 0
    for step in range(1, 11):
        world.git("clean", "-fdq")
        world.git("checkout", "-q", "-f", "-B", "change", "origin/main")
        lose(world, merged + 1, step)
        world.git("add", "-A")
        world.git("commit", "-qm", "change")
        if step < 10 and world.tunegate(*GATE[:2]).returncode == 0:
            world.git("push", "-q", "origin", "change:main")
            world.git("fetch", "-q")
            merged += 1


def _late_prompt(world: World, lost: int) -> str:
    """A prompt that gets so many of the late cases wrong, and every other one as what is in service."""
    text = f"{IN_SERVICE} Not the first {lost} of the late."
    RIGHT[text] = (2000, {*range(110, CASES), *LATE[:lost]})
    world.edit(UNIT, lambda data: data.update(prompt={"system": text}))
    return text


def _add_late(world: World) -> None:
    more = [{"id": f"late{n}", "input": f"ticket {n}", "expect": {"product": "boiler"}} for n in LATE]
    world.edit(UNIT, lambda data: data["cases"].extend(more))


def _losing_late(world: World, count: int) -> None:
    _late_prompt(world, 3 * count)
    _record(world)


def _late_cases(world: World) -> None:
    _add_late(world)
    _losing_late(world, 0)
    world.approve()
    _ten_merges(world, lambda world, count, _: _losing_late(world, count))


def _low_and_replaced(world: World) -> None:
    _add_late(world)
    _record_while(world, _late_prompt(world, 1), (2000, {*range(110, CASES), *LATE[:40]}))
    _losing_late(world, 0)


def _easy_cases(world: World) -> None:
    _losing(world, 0, 600)
    world.approve()
    _losing(world, 20, 0)


def _easy_cases_at_once(world: World) -> None:
    _losing(world, 20, 600)


def _merged(world: World) -> None:
    """It is recorded and pushed to main before anybody asks the gate."""
    _worse(world)
    _record(world)
    world.approve()


def _second_parent(world: World) -> None:
    """It is merged, and the gate is asked beside the side that came in."""
    _worse(world)
    _record(world)
    world.commit()
    world.git("checkout", "-q", "-B", "merged", "origin/main")
    world.git("merge", "-q", "--no-ff", "-m", "merge", "change")


def _served(what: str, change: Callable[[World], Any]) -> Attempt:
    return Attempt(what, change, GATE, "served")


ATTEMPTS = {
    "prompt-worse": _served("The prompt is worse, and nothing else changes.", _worse),
    "prompt-worse-recorded": _served("The prompt is worse, and its own record comes with it.", _then(_record)),
    "prompt-worse-forged": _served("Its record says that every case passes.", _then(_forged_record)),
    "prompt-worse-no-ledger": _served("The ledger forgets what is in service.", _then(_no_ledger)),
    "prompt-worse-no-anchor": _served("The record of the anchor is deleted.", _then(_no_anchor)),
    "record-beside": _served("A worse record of the same prompt goes in service, for later.", _forged_beside),
    "record-lower": _served("A harmless change brings a record 5 points lower, for later.", _record_as(104, {7})),
    "record-higher": _served("A harmless change brings a record 5 points higher.", _record_as(116, {7})),
    "record-of-others": _served(
        "A harmless change brings a record with the same mean, and other cases right.", _record_as(116, {*range(7)})
    ),
    "record-older-check": _served("A record's outputs are worse than its scores, for later.", _outputs_of_older_check),
    "model-elsewhere": _served("The model is the same one under another address.", _other_host),
    "model-smaller": _served("A smaller model, recorded, goes in service.", _smaller_model_recorded),
    "prompt-holds-answers": _served("The prompt holds every case's answer.", _answers_in_prompt),
    "examples-hold-answers": _served("The worked examples are the cases.", _answers_in_examples),
    "cases-keep-the-prompt": _served("Cases that would fail keep the good prompt as their own.", _prompts_of_cases),
    "file-keeps-the-prompt": _served("They move to a second file that keeps it.", _second_file),
    "merges-add-a-case": _served(
        "Ten merges lose a case each, and each adds easy ones.", lambda world: _ten_merges(world, _losing)
    ),
    "late-cases": _served("Ten merges each lose three of the cases that an earlier one added.", _late_cases),
    "late-cases-low-record": _served(
        "Added cases come with a low record, which a true one replaces.", _low_and_replaced
    ),
    "easy-cases": _served("600 easy cases, merged before, dilute a loss of 20 in 120.", _easy_cases),
    "easy-cases-at-once": _served("600 easy cases come with that loss.", _easy_cases_at_once),
    "recorded-then-gated": Attempt(
        "The worse prompt is recorded before the gate runs.", _then(_record), GATE[:1], "served"
    ),
    "recorded-and-merged": _served("It is pushed to the branch that it is compared with.", _merged),
    "base-is-head": Attempt(
        "The base that is named is the change itself.", _merged, (GATE[0], "--policy-from=HEAD"), "served"
    ),
    "base-is-second-parent": Attempt(
        "The base that is named is the merged side.", _second_parent, (GATE[0], "--policy-from=HEAD^2"), "served"
    ),
    "decoding-hot": _served("The temperature is raised, and its record comes with it.", _hot_and_worse),
}
