"""Models that differ by flips of their own, and what the shipped gate makes of them as configurations and adapters.

Of the cases 80 % pass steadily. Each model flips some by itself, so that two equal models differ in the flip rate. A
true loss takes cases that passed steadily.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from benchmarks.gate_worlds import Mismatch, UnitWorld, World, built
from tunegate.harness.cases.model import Unit
from tunegate.harness.gate import rule as gate
from tunegate.harness.models.evaluation.record import Record
from tunegate.harness.models.evaluation.scoring import summarize
from tunegate.harness.statistics.second_reference import own_flips

PASSING = 0.8
Flags = NDArray[np.bool_]


def answers(steady: Flags, flip_rate: float, random: np.random.Generator) -> Flags:
    """Which cases a model passes, with flips of its own."""
    return steady ^ (random.random(steady.shape) < own_flips(flip_rate))


def worse(steady: Flags, loss: float, flip_rate: float, random: np.random.Generator) -> Flags:
    """Which cases pass steadily after a true loss, a share of all cases, of which flips hide none."""
    share = loss / (1 - 2 * own_flips(flip_rate)) / np.maximum(steady.mean(axis=-1, keepdims=True), 1e-9)
    return steady & (random.random(steady.shape) >= share)


def as_configuration(world: World) -> Record:
    """What the shipped gate makes of a candidate without an adapter, beside what is in service and the anchor."""
    task, tuned, references = built(world)
    anchor = {"anchor": references["last release"]} if "last release" in references else {}
    return gate.compare([task], tuned, {"baseline": references["baseline"]} | anchor, [])


def as_adapter(world: World) -> Record:
    """What the shipped gate makes of an adapter, beside the base and the adapter in service."""
    task, tuned, references = built(world)
    subject = tuned.fingerprint["subject"] | {"adapter": "a" * 64}
    return gate.compare(
        [task], replace(tuned, fingerprint=tuned.fingerprint | {"subject": subject}), references, [task.name]
    )


def unit_of(candidate: Flags, first: Flags, margin: float, second: Flags | None = None) -> UnitWorld:
    """A unit as the gate sees it: the candidate beside one reference or two."""
    last = None if second is None else second.astype(float)
    return UnitWorld(first.astype(float), candidate.astype(float), margin=margin, last=last)


@cache
def is_held(n: int, margin: float, regressed: int, fixed: int) -> bool:
    """Whether the shipped gate lets a configuration pass that differs so from what is in service."""
    if regressed + fixed > n:
        return False
    rest = n - regressed - fixed
    passing = round(PASSING * rest)
    before = np.repeat([True, False, True, False], [regressed, fixed, passing, rest - passing])
    after = before ^ np.repeat([True, False], [regressed + fixed, rest])
    return not gate.blocked(as_configuration(World((unit_of(after, before, margin),))))


@cache
def most_regressed(n: int, margin: float, flips: int) -> int:
    """The most of so many flips that may have regressed, -1 if none may; asked of the gate, from one flip less on."""
    most = most_regressed(n, margin, flips - 1) + 1 if flips else 0
    while most >= 0 and not is_held(n, margin, most, flips - most):
        most -= 1
    return most


def passes(candidates: Flags, references: Sequence[Flags], margin: float) -> Flags:
    """Which of many candidates, one a row, pass beside every reference."""
    n, fine = candidates.shape[1], np.ones(len(candidates), dtype=bool)
    for reference in references:
        regressed, fixed = (reference & ~candidates).sum(1), (~reference & candidates).sum(1)
        pairs = zip(regressed.tolist(), fixed.tolist(), strict=True)
        fine &= np.array([lost <= most_regressed(n, margin, lost + won) for lost, won in pairs], dtype=bool)
    return fine


def check_whole(units: Sequence[tuple[Flags, Sequence[Flags]]], margin: float, found: Flags, what: str) -> None:
    """Hold whole worlds, a row of each unit, to what their units passed one by one.

    Raises:
        Mismatch: the shipped gate decides a world otherwise.
    """
    for row, expected in enumerate(found.tolist()):
        each = [unit_of(mine[row], *_references(refs, row, margin)) for mine, refs in units]
        if gate.blocked(as_configuration(World(tuple(each)))) == expected:
            raise Mismatch(f"{what}, world {row}: expected {'a pass' if expected else 'a block'} of the whole world")


def check_grown(candidates: Flags, references: Sequence[Flags], easy: int, margin: float, found: Flags) -> None:
    """Hold whole worlds, with easy cases that the anchor lacks, to what passes beside each reference by itself.

    `references` are what is in service, which has the easy cases, and the anchor.

    Raises:
        Mismatch: the shipped gate decides a world otherwise.
    """
    more = np.ones(easy, dtype=bool)
    for row, mine in enumerate(candidates):
        serving, first = (each[row] for each in references)
        world = World((unit_of(*(np.append(each, more) for each in (mine, serving)), margin, np.append(first, more)),))
        task, tuned, built_ones = built(world)
        anchor = built_ones["last release"]
        anchor = _first_cases(task.units[0], anchor, len(first)) if easy else anchor
        judged = gate.compare([task], tuned, {"baseline": built_ones["baseline"], "anchor": anchor}, [])
        if gate.blocked(judged) == found[row]:
            raise Mismatch(f"a growing unit, world {row}: expected {'a pass' if found[row] else 'a block'}")


def _first_cases(unit: Unit, record: Record, count: int) -> Record:
    """A record as the anchor of a unit that got more cases since."""
    part = unit.with_cases({case.id for case in unit.cases[:count]})
    results = {case.key: record.cases[case.key] for case in part.cases}
    return replace(
        record, cases=results, questions={unit.key: part.questions},
        shared={unit.key: frozenset(case.id for case in part.cases)},
        units={unit.key: summarize(part, list(results.values()))},
    )  # fmt: skip


def _references(references: Sequence[Flags], row: int, margin: float) -> tuple[Flags, float, Flags | None]:
    return references[0][row], margin, references[1][row] if len(references) > 1 else None


@dataclass(frozen=True)
class Shape:
    """So many units of n cases each, held to a margin each."""

    n: int
    flip_rate: float
    units: int

    def __str__(self) -> str:
        return f"{self.units} unit{'s' if self.units > 1 else ''}, n = {self.n}, flips {100 * self.flip_rate:g} %"
