"""Shards: the cases of a run, divided among several machines that do not know each other."""

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
    """The shard that `3/8` names.

    Raises:
        Refused: it is none.
    """
    found = SHARD.fullmatch(text)
    shard = Shard(*map(int, found.groups())) if found else None
    if shard is None or shard.number > shard.count:
        raise Refused(f"--tg-shard: expected a shard and how many there are, such as 3/8, found {text!r}")
    return shard


def divide(units: Sequence[Unit], count: int, rung: RungName = "as-is", repeats: int = 1) -> list[dict[str, set[str]]]:
    """The ids of the cases of each shard, by unit key: the same on every machine that has these cases.

    What the gate looks at together stays together: the cases of a group, those that ask the same, all answers to a
    case, and what another unit makes of them. The shards are balanced by the tokens that their cases may take.

    Raises:
        Refused: there would be shards without a case, or a unit cannot be asked on this rung.
    """
    together = _together(units)
    if count > len(together):
        raise Refused(
            f"--tg-shard: expected at most {len(together)} shards, for so many groups of cases can be divided, found "
            f"{count}"
        )
    work: Counter[str] = Counter()
    for request in requests(units, rung, repeats):
        work[request.key] += max(request.work, 1)
    # the largest first, each to the shard with the least to do; by name where they are alike, so that no order counts
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
    """The cases that no division parts, those of derived units beside what they are derived from."""
    sources = {case.key: (unit.key, case.observation) for unit in units if not unit.of for case in unit.cases}
    found: dict[tuple[str, tuple[str | None, ...]], list[Case]] = {}
    for unit in units:
        for case in unit.cases:
            found.setdefault(sources[f"{unit.of or unit.key}/{case.id}"], []).append(case)
    return list(found.values())
