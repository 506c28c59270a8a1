"""Whole worlds: fixtures, two records and the shipped gate's verdicts on them, held against those expected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np

from benchmarks.gate_rule import MARGIN, Floats
from tunegate.harness.cases.model import Case, Decoding, Prompt, Task, Unit
from tunegate.harness.cases.policy import DEFAULT_COLLAPSE, PartPolicy, Policy, Together, UnitPolicy
from tunegate.harness.checks.base import Kind, Outcome
from tunegate.harness.checks.registry import CHECKS
from tunegate.harness.core.authoring.document import Document, Where
from tunegate.harness.core.errors import Problem
from tunegate.harness.gate import rule as gate
from tunegate.harness.gate.pairing import PairedScores, pair
from tunegate.harness.models.evaluation.record import Record, Result
from tunegate.harness.models.evaluation.scoring import summarize
from tunegate.harness.models.evaluation.verdict import Verdict

TASK = "desk"
FINGERPRINT = {"subject": {"rung": "as-is"}, "engine": {}, "names": {"model": "simulated"}}


class Mismatch(Exception):
    """The shipped gate and the computation of the benchmark disagree on a world."""


@dataclass(frozen=True)
class UnitWorld:
    """A unit's scores, base and tuned, a number a case; `slices` names the cases of each tag by their places.

    `last` are those of a last release, where there is one; `parts` those of the parts of its pass rule, base and tuned,
    which are gated by the same margin. A unit with an `opening`, from 1, is sealed. The rest is as task.yaml has it.
    """

    before: Floats
    after: Floats
    kind: Kind = "pass/fail"
    margin: float = MARGIN
    slices: Mapping[str, frozenset[int]] = field(default_factory=dict)
    last: Floats | None = None
    parts: Mapping[str, tuple[Floats, Floats]] = field(default_factory=dict)
    collapse: float = DEFAULT_COLLAPSE
    target_score: float | None = None
    minimum_score: float | None = None
    opening: int = 0


@dataclass(frozen=True)
class World:
    """Units that are judged together; the first is the target. The others may be held `together`, by one margin."""

    units: tuple[UnitWorld, ...]
    together: float | None = None


def passfail_unit(d: Floats, random: np.random.Generator) -> UnitWorld:
    """Scores that differ by `d`: -1 regressed, 1 was fixed; four in five of the others pass, before and after."""
    steady = (random.random(len(d)) < 0.8).astype(float)
    before = np.select([d < 0, d > 0], [1.0, 0.0], steady)
    return UnitWorld(before, before + d)


def decided(world: World) -> Record:
    """What the shipped gate makes of a world."""
    task, tuned, references = built(world)
    return gate.compare([task], tuned, references, [TASK])


def paired(world: World) -> PairedScores:
    """The first unit of a world beside its baseline, as the shipped gate pairs them."""
    task, tuned, references = built(world)
    return pair(task.units[0], task.policy, tuned, "baseline", references["baseline"], aimed=True)


def built(world: World) -> tuple[Task, Record, dict[str, Record]]:
    """The task of a world, the candidate's record and the references by name."""
    units = tuple(_unit(place, each) for place, each in enumerate(world.units))
    policies = {
        unit.name: UnitPolicy(
            role="guard" if place else "target",
            margin=each.margin,
            target_score=each.target_score,
            minimum_score=each.minimum_score,
            collapse=each.collapse,
            reason="a benchmark",
            parts={name: PartPolicy(each.margin) for name in each.parts},
        )
        for place, (unit, each) in enumerate(zip(units, world.units, strict=True))
    }
    base, tuned = (
        _record(units, scores, [{name: rows[side] for name, rows in each.parts.items()} for each in world.units])
        for side, scores in enumerate(([each.before for each in world.units], [each.after for each in world.units]))
    )
    last = [each.last for each in world.units if each.last is not None]
    references = {"baseline": base} | ({"last release": _record(units, last)} if last else {})
    sealed_evaluations = {unit.key: each.opening for unit, each in zip(units, world.units, strict=True) if each.opening}
    tuned = replace(tuned, sealed_evaluations=sealed_evaluations, sealed=bool(sealed_evaluations))
    weights = {unit.name: 1.0 for unit in units[1:]}
    group = Together(weights, world.together, "a benchmark") if world.together else None
    return Task(TASK, units, Policy(policies, declared=True, together=group)), tuned, references


def check(world: World, expected: Sequence[Verdict | None], what: str, fallen: frozenset[str] = frozenset()) -> None:
    """Hold the shipped gate's verdicts, and the slices that block, against those expected.

    Where a verdict is None, anything but regressed is expected, and nothing of the slices or the decision.

    Raises:
        Mismatch: they differ; says which world.
    """
    found = decided(world)
    verdicts: list[str | None] = [each.verdict for each in found.verdicts.values()]
    if None in expected:
        verdicts = [each if each == "regressed" else None for each in verdicts]
    slices = {name for each in found.verdicts.values() for name in each.worse_slices}
    sound = all(each in {"held", "improved"} for each in expected) and expected[0] == "improved" and not fallen
    decision = "release" if sound else "block"
    pairs = {
        "verdicts": (list(expected), verdicts),
        "slices": (set(fallen), slices),
        "decision": (decision, found.tasks[TASK].decision),
    }
    for part, (mine, shipped) in list(pairs.items())[: 1 if None in expected else None]:
        if mine != shipped:
            raise Mismatch(f"{what}: expected the {part} {mine}, found {shipped} by tunegate.harness.gate.rule.compare")


class _SimulatedUnit(Unit):
    """A unit whose kind is the world's, so that continuous ones need no suite of their own."""

    @property
    def kind(self) -> Kind:
        return "continuous" if self.suite == "continuous" else "pass/fail"


@dataclass(frozen=True)
class _Unread:
    """The check of cases that are judged already."""

    references: str = ""

    def __call__(self, output: str, expect: object, prompt: str) -> Outcome:
        raise NotImplementedError("the scores of a simulated world are drawn, not judged")

    def expect_problems(self, expect: object, document: Document, where: Where) -> list[Problem]:  # noqa: ARG002
        return []


def _unit(place: int, world: UnitWorld) -> Unit:
    name = f"unit{place}"
    tags: list[dict[str, str]] = [{} for _ in world.before]
    for tag, members in world.slices.items():
        for index in members:
            tags[index][tag] = "yes"
    cases = tuple(_case(name, index, tuple(mine.items())) for index, mine in enumerate(tags))
    asked = {case.id: {} for case in cases}
    return _SimulatedUnit(
        TASK, name, world.kind, cases, asked=asked, sealed=bool(world.opening), own_kind=CHECKS["schema"]
    )


@cache
def _case(unit: str, index: int, tags: tuple[tuple[str, str], ...]) -> Case:
    return Case(
        f"c{index:03}", f"{TASK}/{unit}", f"case {index} of {unit}", _Unread(), Prompt(), Decoding(), tags=dict(tags)
    )


def _record(units: Sequence[Unit], scores: Sequence[Floats], parts: Sequence[Mapping[str, Floats]] = ()) -> Record:
    results = {
        unit.key: [_result(unit.kind, score) for score in mine.tolist()]
        for unit, mine in zip(units, scores, strict=True)
    }
    for unit, rows in zip(units, parts, strict=False):
        results[unit.key] = [
            replace(each, rates={name: bool(row[place]) for name, row in rows.items()})
            for place, each in enumerate(results[unit.key])
        ]
    return record_of(units, results)


def record_of(units: Sequence[Unit], results: Mapping[str, Sequence[Result]]) -> Record:
    """A record of these results, by unit."""
    return Record(
        partial=False,
        fingerprint=FINGERPRINT,
        questions={unit.key: {"cases": "drawn"} for unit in units},
        cases={case.key: result for unit in units for case, result in zip(unit.cases, results[unit.key], strict=True)},
        units={unit.key: summarize(unit, results[unit.key]) for unit in units},
    )


def _result(kind: Kind, score: float) -> Result:
    return Result(None if kind == "continuous" else score == 1.0, score)
