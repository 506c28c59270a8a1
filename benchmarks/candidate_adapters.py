"""Adapters beside one that is in service: below it and better than the base, and equal ones on several units."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from benchmarks.candidate_worlds import Shape, answers, as_adapter, as_configuration, unit_of
from benchmarks.gate_worlds import TASK, World
from tunegate.harness.gate import rule as gate

BASE, SERVING, CANDIDATE, MARGIN = 0.6, 0.8, 0.75, 0.1
EQUAL = Shape(200, 0.04, 5)
EQUAL_MARGIN = 0.05
SEED = 20_261_132


@dataclass(frozen=True)
class Below:
    """An adapter between the base and the one in service; shares of `draws`.

    `seen_below` and `named` are shares of the released ones: scored below the one in service, and a decision that names
    that first.
    """

    shape: Shape
    released: float
    as_held_of_both: float
    seen_below: float
    named: float
    draws: int


@dataclass(frozen=True)
class Equal:
    """Adapters that equal the base and the one in service; shares of `draws` that nothing blocks."""

    of_base: float
    beside_service: float
    of_both: float
    draws: int


def below(shape: Shape, draws: int) -> Below:
    """Draw whole worlds of one target."""
    random = np.random.default_rng([SEED, shape.n, round(1e4 * shape.flip_rate)])
    released = held = seen_below = named = 0
    for _ in range(draws):
        skill = random.random(shape.n)
        base, serving, candidate = (
            answers(skill < rate, shape.flip_rate, random) for rate in (BASE, SERVING, CANDIDATE)
        )
        world = World((unit_of(candidate, base, MARGIN, serving),))
        held += not gate.blocked(as_configuration(world))
        decision = as_adapter(world).tasks[TASK]
        if decision.decision == "release":
            released += 1
            lower = candidate.sum() < serving.sum()
            seen_below += lower
            named += lower and decision.reason.startswith(f"Release: {TASK}/unit0 (-")
    return Below(shape, released / draws, held / draws, seen_below / max(released, 1), named / max(released, 1), draws)


def equal(draws: int) -> Equal:
    """Draw whole worlds of several units."""
    random = np.random.default_rng([SEED, EQUAL.units])
    found = np.zeros(3)
    for _ in range(draws):
        units = []
        for _ in range(EQUAL.units):
            steady = random.random(EQUAL.n) < SERVING
            base, serving, candidate = (answers(steady, EQUAL.flip_rate, random) for _ in range(3))
            units.append(unit_of(candidate, base, EQUAL_MARGIN, serving))
        both, one = World(tuple(units)), World(tuple(replace(each, last=None) for each in units))
        adapter = as_adapter(both)
        found += (
            not gate.blocked(as_configuration(one)),
            not any(each.blocks for each in adapter.verdicts.values()),
            not gate.blocked(as_configuration(both)),
        )
    return Equal(*(found / draws).tolist(), draws)
