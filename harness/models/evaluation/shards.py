"""Shards: the cases of a run, divided among machines that do not communicate."""

from __future__ import annotations

import heapq
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from tunegate.harness.cases.model import Case, Unit
from tunegate.harness.core.errors import Refused
from tunegate.harness.models.model_options import RungName
from tunegate.harness.models.prompts import requests

SHARD = re.compile(r"([1-9]\d{0,3})/([1-9]\d{0,3})")


@dataclass(frozen=True, slots=True, order=True)
class Shard:
    """The `number`-th of `count` shards, from 1."""

    number: int
    count: int

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


def parse_shard(text: str) -> Shard:
    """Parse a shard such as `3/8`; Refused in any other form."""
    found = SHARD.fullmatch(text)
    shard = Shard(*map(int, found.groups())) if found else None
    if shard is None or shard.number > shard.count:
        raise Refused(f"--tg-shard: expected a shard and the number of shards, such as 3/8, found {text!r}")
    return shard


def divide(units: Sequence[Unit], count: int, rung: RungName = "as-is", repeats: int = 1) -> list[dict[str, set[str]]]:
    """Return the ids of the cases of each shard, by unit key: the same on every machine with the same cases.

    Cases that the gate evaluates together stay in one shard: those of a group, those with the same
    question, all outputs of a case, and the units derived from it. The shards are balanced by the
    tokens that their cases may take. Refused if one would have no case.
    """
    together = _together(units)
    if count > len(together):
        raise Refused(
            f"--tg-shard: expected at most {len(together)} shards, one per group of cases that stay together, found "
            f"{count}"
        )
    work: Counter[str] = Counter()
    for request in requests(units, rung, repeats):
        work[request.key] += max(request.work, 1)
    # largest first, each to the shard with the least work; ties by name, so that the order of the cases does not matter
    sized = sorted((-sum(work[case.key] for case in each), min(case.key for case in each), each) for each in together)
    loads = [(0, number) for number in range(count)]
    shards: list[dict[str, set[str]]] = [{} for _ in loads]
    for size, _, cases in sized:
        load, number = loads[0]
        heapq.heapreplace(loads, (load - size, number))
        for case in cases:
            shards[number].setdefault(case.unit, set()).add(case.id)
    return shards


def _together(units: Sequence[Unit]) -> list[list[Case]]:
    """Return the groups of cases that stay in one shard; derived cases stay with their source."""
    sources = {case.key: (unit.key, case.observation) for unit in units if not unit.of for case in unit.cases}
    found: dict[tuple[str, tuple[str | None, ...]], list[Case]] = {}
    for unit in units:
        for case in unit.cases:
            found.setdefault(sources[f"{unit.of or unit.key}/{case.id}"], []).append(case)
    return list(found.values())
