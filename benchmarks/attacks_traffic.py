"""Attempts on labelled traffic: forged and edited labels, paths in YAML, and hostile text in traffic and labels.

The candidate is wrong on a fifth of the inputs, and the labels of the branch say so.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any

from benchmarks.attack_world import GATE, HOSTILE, Attempt, Change, World

LABELS, UNIT = "fixtures/desk/production.labels.jsonl", "fixtures/desk/production.yaml"


def _labels(edit: Callable[[dict[str, Any]], dict[str, Any]], keep: bool = False) -> Change:
    """Every label that says wrong, edited; with `keep` beside what it was."""

    def change(world: World) -> None:
        old = world.read(LABELS)
        wrong = [each for line in old.splitlines() if not (each := json.loads(line))["right"]]
        right = [line for line in old.splitlines() if json.loads(line)["right"]]
        kept = old.splitlines() if keep else right
        world.write(LABELS, "".join(f"{line}\n" for line in (*kept, *(json.dumps(edit(each)) for each in wrong))))

    return change


def _unit(**more: Any) -> Change:
    def change(world: World) -> None:
        world.edit(UNIT, lambda data: data.update(more))

    return change


def _other_snapshot(world: World) -> None:
    """Names a snapshot of its own, on which the candidate is right, and brings it where this world keeps them."""
    text = json.dumps({"input": "message 1"}, separators=(",", ":")) + "\n"
    sha = sha256(text.encode()).hexdigest()
    world.write(f"traffic/{sha}.jsonl", text)
    world.edit(UNIT, lambda data: data.update(traffic=f"sha256:{sha}"))


def _linked_labels(world: World) -> None:
    (world.home / LABELS).unlink()
    (world.home / LABELS).symlink_to("/proc/self/environ")


def _broken_labels(world: World) -> None:
    world.write(LABELS, world.read(LABELS) + HOSTILE + "\n")


def _of(what: str, change: Change, command: tuple[str, ...] = GATE) -> Attempt:
    return Attempt(what, change, command, world="traffic", environment={"TUNEGATE_TRAFFIC": "traffic"})


ATTEMPTS: Mapping[str, Attempt] = {
    "labels-edited": _of("Labels that say wrong now say right", _labels(lambda each: each | {"right": True})),
    "labels-forged": _of(
        "Labels of a person of its own settle those that say wrong, as adjudications",
        _labels(lambda each: each | {"right": True, "by": "boss", "adjudicates": True}, keep=True),
    ),
    "labels-withdrawn": _of("Labels that say wrong are withdrawn", _labels(lambda each: each | {"right": None}, True)),
    "labels-fewer": _of("A smaller sample", _unit(labels={"file": "production.labels.jsonl", "sample": 10})),
    "labels-other-file": _of("Another file of labels", _unit(labels={"file": "mine.jsonl", "sample": 40})),
    "labels-linked": _of("The file of labels is a link to the environment of the process", _linked_labels),
    "labels-hostile": _of("A line of labels holds commands of the workflow and of the terminal", _broken_labels),
    "traffic-path": _of("The unit names a file of the machine as its traffic", _unit(traffic="/proc/self/environ")),
    "traffic-climbs": _of("The digest of the traffic climbs folders", _unit(traffic="sha256:../../etc/passwd")),
    "traffic-other": _of("The unit names another snapshot, which the change brings", _other_snapshot),
    "traffic-hostile": _of("Inputs hold commands and markup, and the candidate is wrong", lambda _: None),
}
