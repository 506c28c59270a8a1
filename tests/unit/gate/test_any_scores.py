"""Whatever was scored is decided: lattices, groups, repeats, ties, single cases, and margins at the edge."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.laws import examples
from tests.support.records import record, write_desk
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.cases.model import Task, Unit
from tunegate.harness.cases.policy import PartPolicy, Policy, Together, UnitPolicy
from tunegate.harness.checks.registry import CHECKS
from tunegate.harness.gate import rule as gate

NAMES = ("triage", "orders", "replies")
VERDICTS = {"regressed", "inconclusive", "held", "cannot fall", "improved", "ungated"}
EDGES = st.sampled_from([1e-6, 0.05, 1 / 6, 1 / 3, 0.5, 2 / 3, 0.999])
SHARES = st.sampled_from([0.0, 0.1, 1 / 6, 0.25, 1 / 3, 0.5, 2 / 3, 0.75, 5 / 6, 0.9, 1.0])
ROUGH = st.sampled_from([-1e9, -40.0, -1.0, -0.1, -1e-9, 0.0, 1e-12, 0.3, 7.0, 1e9])

few = examples(5, 300)  # each asks how many cases would settle a unit, which takes a good part of a second


@cache
def desk() -> tuple[Unit, ...]:
    with TemporaryDirectory() as folder:
        for name in NAMES:
            write_desk(Path(folder), 24, name)
        (task,) = load_tasks(Path(folder))
    return task.units


@st.composite
def worlds(draw: st.DrawFn, scores: st.SearchStrategy[Any]) -> tuple[Task, dict[str, Any], dict[str, Any]]:
    """A task of one to three units, some of their cases in groups or of one question, and both sides' scores."""
    units, policies, before, after = [], {}, {}, {}
    for unit in desk()[: draw(st.integers(1, 3))]:
        n = draw(st.integers(1, 24))
        groups = draw(st.lists(st.sampled_from([None, "a", "b", "c"]), min_size=n, max_size=n))
        inputs = draw(st.lists(st.integers(0, 40), min_size=n, max_size=n))
        cases = [
            replace(case, group=group, input=f"message {text}", critical=draw(st.booleans()) and not group)
            for case, group, text in zip(unit.cases, groups, inputs, strict=False)
        ]
        units.append(replace(unit, cases=tuple(cases)))
        before[unit.key] = draw(st.lists(scores, min_size=n, max_size=n))
        same = draw(st.booleans())
        after[unit.key] = before[unit.key] if same else draw(st.lists(scores, min_size=n, max_size=n))
        policies[unit.name] = UnitPolicy(
            role=draw(st.sampled_from(["target", "guard"])),
            margin=draw(EDGES),
            lower=draw(st.sampled_from(["allow", "block"])),
            collapse=draw(st.sampled_from([0.02, 0.5])),
        )
    return Task("desk", tuple(units), Policy(policies, declared=True)), before, after


def sound(task: Task, before: dict[str, Any], after: dict[str, Any]) -> None:
    judged = gate.compare([task], record([task], after), {"baseline": record([task], before)}, ["desk"])
    assert judged.tasks["desk"].decision in {"release", "block", "unproven"}
    for each in judged.verdicts.values():
        assert each.verdict in VERDICTS
        if each.interval is not None:
            low, high = each.interval
            assert low <= high
            assert math.isfinite(low + high + each.difference)
            holds = low > -each.margin * (1 - 1e-9)
            assert each.verdict not in {"held", "improved"} or holds or each.together
            assert not (each.verdict == "improved" and each.difference <= 0)
            # what is held or improved never stands beside a mean that was seen to lose more than the margin
            lost = each.kind == "continuous" and each.difference < -each.margin * (1 + 1e-9)
            assert not (lost and each.verdict in {"held", "improved"})


@few
@given(worlds(SHARES))
def test_shares_of_a_score(world):
    sound(*world)


@few
@given(worlds(st.tuples(st.integers(0, 1), st.integers(0, 1), st.integers(0, 1))))
def test_repeats(world):
    sound(*world)


@few
@given(worlds(st.sampled_from("01")), st.data())
def test_pass_and_fail_under_every_term(world, data):
    task, before, after = world
    terms = {
        name: replace(
            policy,
            target_score=data.draw(st.sampled_from([None, 0.0, 0.5, 1.0])),
            minimum_score=data.draw(st.sampled_from([None, 0.0, 0.5, 1.0])),
            parts={"exact": PartPolicy(data.draw(EDGES))} if data.draw(st.booleans()) else {},
        )
        for name, policy in task.policy.units.items()
    }
    guards = [name for name, policy in terms.items() if policy.role == "guard"]
    weights = {name: data.draw(st.sampled_from([0.01, 1.0, 50.0])) for name in guards}
    together = Together(weights, data.draw(EDGES)) if len(guards) > 1 and data.draw(st.booleans()) else None
    sound(replace(task, policy=Policy(terms, declared=True, together=together)), before, after)


@few
@given(worlds(ROUGH))
def test_scores_without_a_bound(world):
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(CHECKS, "schema", replace(CHECKS["schema"], kind="continuous"))
        sound(*world)
