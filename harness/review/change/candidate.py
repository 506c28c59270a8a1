"""The candidate of a change: how its configuration differs from the branch's.

A configuration is the model, its prompts and its decoding. An edited one is evaluated on the branch's questions,
against the branch's record.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from itertools import zip_longest
from typing import Any

from tunegate.harness.cases.model import Task, UnitConfiguration
from tunegate.harness.models.backends import backend_of
from tunegate.harness.reporting.edited import EditedPart

#: Settings of `[tool.tunegate]` that are part of the configuration; `model` is one if it stays of the same kind.
SETTINGS = ("model", "rung", "chat-template", "tool-format", "reasoning-effort")


def configuration_changes(
    old: Sequence[Task], new: Sequence[Task], before: Mapping[str, Any], now: Mapping[str, Any]
) -> Iterator[EditedPart]:
    """Yield the parts in which the tasks and settings of the branch (`old`, `before`) and the change's differ."""
    for name in SETTINGS:
        if before.get(name) != now.get(name) and is_of_same_kind(name, before.get(name), now.get(name)):
            yield EditedPart("", name, before.get(name) or "not set", now.get(name) or "not set")
    known = {unit.key: unit.configuration for task in old for unit in task.units}
    for unit in (unit for task in new for unit in task.units if unit.key in known and not unit.of):
        yield from edited_parts(unit.key, known[unit.key], unit.configuration)


def edited_parts(unit: str, old: UnitConfiguration, new: UnitConfiguration) -> Iterator[EditedPart]:
    """Yield the parts in which two configurations of a unit differ."""
    before, now = (_texts(each) for each in (old, new))
    for part in dict.fromkeys([*before, *now]):
        if before.get(part) != now.get(part):
            yield EditedPart(unit, part, before.get(part, ""), now.get(part, ""))
    yield from _example_changes(unit, *(_examples(each) for each in (old, new)))


def _texts(configuration: UnitConfiguration) -> dict[str, str]:
    """Return the parts of a configuration as texts, without the worked examples."""
    raw = configuration.as_dict()
    raw.pop("shots", None)
    raw |= {f"tool {tool.name}": json.dumps(tool.as_dict()["function"], indent=1) for tool in configuration.tools}
    if configuration.tools:
        raw["tools"] = ", ".join(tool.name for tool in configuration.tools)
    return raw | {name: json.dumps(value) for name, value in raw.pop("decoding").items()}


def _examples(configuration: UnitConfiguration) -> list[str]:
    shots = configuration.as_dict().get("shots", ())
    return [f"{_text(each['input'])}\n-> {each['output']}" for each in shots]


def _example_changes(unit: str, old: Sequence[str], new: Sequence[str]) -> Iterator[EditedPart]:
    """Yield a change for each worked example that is edited, added or removed; it has its number on its side."""
    for kind, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            continue
        for before, now in zip_longest(range(a, b), range(c, d)):
            if now is None:
                yield EditedPart(unit, f"worked example {before + 1}, removed", old[before], "")
            elif before is None:
                yield EditedPart(unit, f"worked example {now + 1}, added", "", new[now])
            else:
                yield EditedPart(unit, f"worked example {now + 1}", old[before], new[now])


def _text(written: Any) -> str:
    return written if isinstance(written, str) else json.dumps(written, ensure_ascii=False)


def is_of_same_kind(name: str, before: str | None, now: str | None) -> bool:
    """Whether an edited setting is a candidate's: another model that is run the same way, at the same address."""
    return name != "model" or place_of(before or "") == place_of(now or "")


def place_of(model: str) -> str:
    """Return what stays the same between two models that are run the same way, such as an address."""
    return backend_of(model).place(model)
