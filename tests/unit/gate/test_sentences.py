"""The gate's sentences, as a reviewer reads them: every scenario below is judged and compared with a golden file.

After a change that is meant: `make golden`, then read the file's diff.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from string import ascii_lowercase
from typing import Any

import pytest

from tests.support.paths import GOLDEN
from tests.support.records import CaseKeys, record, write_desk, write_policy
from tests.support.traffic import write_traffic
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.cases.snapshot import VARIABLE, TrafficInput, write_snapshot
from tunegate.harness.cases.traffic.labels import Label
from tunegate.harness.checks.registry import CHECKS
from tunegate.harness.core.files import canonical
from tunegate.harness.gate import rule as gate
from tunegate.harness.models.evaluation.record import Record
from tunegate.harness.models.evaluation.run_facts import EngineChange, RunAgain
from tunegate.harness.reporting.headline import candidate_head
from tunegate.harness.reporting.report import candidate_report

REAL = json.loads((GOLDEN / "real_runs.json").read_text())
SEALING = {"role": "target", "seals": "triage"}
TARGET = {"role": "target"}


@dataclass(frozen=True)
class Unit:
    """A unit of a scenario: what the base, the candidate and perhaps the last release scored, one mark a case."""

    base: Any
    tuned: Any
    last: Any = None
    policy: dict[str, Any] | None = None
    case_keys: CaseKeys | None = None
    more: dict[str, Any] | None = None
    topics: int = 0  # of traffic with labels: how many topics the inputs have


def moved(n: int, regressed: int = 0, fixed: int = 0, failing: int = 0) -> tuple[str, str]:
    """A base's and a tuned row: so many regressed, so many fixed, so many fail in both, the others pass in both."""
    rest = "1" * (n - regressed - fixed - failing)
    return "1" * regressed + "0" * (fixed + failing) + rest, "0" * regressed + "1" * fixed + "0" * failing + rest


def in_one_topic(n: int, regressed: int, fixed: int = 0) -> tuple[str, str]:
    """The same of labelled traffic: what regressed is of the first of six or twelve topics, what is fixed of all."""
    base, tuned = ["1"] * n, ["1"] * n
    for number in range(regressed):
        tuned[12 * number] = "0"
    for number in range(fixed):
        base[13 * number + 1] = "0"
    return "".join(base), "".join(tuned)


def real(base: str, tuned: str, last: str | None = None) -> dict[str, Unit]:
    """The demo's three units, as real adapters answered them."""
    return {
        name: Unit(runs[base], runs[tuned], runs[last] if last else None, TARGET | {"margin": margin})
        for (name, runs), margin in zip(list(REAL.items())[1:], (0.1, 0.15, 0.15), strict=True)
    }


def one(rows: Sequence[Any], **more: Any) -> dict[str, Unit]:
    """The unit `triage` alone."""
    return {"triage": Unit(rows[0], rows[1], **more)}


def some(key: str, indices: Sequence[int], value: Any) -> CaseKeys:
    """Gives a few cases a further key."""
    return lambda index: {key: value} if index in indices else {}


def channel(index: int) -> dict[str, Any]:
    return {"tags": {"channel": "sms" if index < 10 else "email", "language": "en"}}


SCENARIOS: dict[str, dict[str, Any]] = {
    "Real: a first adapter on the demo's units": {"units": real("base", "first")},
    "Real: the demo's adapter": {"units": real("base", "demo")},
    "Real: the demo's adapter, with the first one released": {"units": real("base", "demo", "first")},
    "Real: the first adapter, with the demo's released: better than the base, worse than the last release": {
        "units": real("base", "first", "demo"),
    },
    "Real: the base against itself": {"units": real("base", "base")},
    "A target improved": {"units": one(moved(120, regressed=2, fixed=40, failing=50), policy=TARGET)},
    "A target reached its declared level": {
        "units": one(moved(200, regressed=3, fixed=9), policy=TARGET | {"target_score": 0.95, "margin": 0.08}),
    },
    "A rise that chance explains": {"units": one(moved(200, regressed=2, fixed=5), policy=TARGET)},
    "Nothing moved on a guard": {"units": one(moved(200), policy={})},
    "A small drop, within the margin and within chance": {"units": one(moved(400, regressed=5, fixed=4))},
    "A small drop beyond chance, within the margin": {"units": one(moved(400, regressed=6))},
    "The same, where task.yaml lets a lower score block": {
        "units": one(moved(400, regressed=6), policy={"lower": "block"}),
    },
    "A clear drop": {"units": one(moved(200, regressed=24, fixed=3))},
    "One critical case regressed inside a green total": {
        "units": one(moved(400, regressed=1), case_keys=some("critical", [0, 9], True)),
    },
    "A critical case that the base failed already": {
        "units": one(moved(200, failing=1), case_keys=some("critical", [0], True)),
    },
    "Everything went wrong at once": {
        "units": one(moved(200, regressed=80), policy={"minimum_score": 0.8}, case_keys=some("critical", [0], True)),
    },
    "Below the minimum score, like the base": {"units": one(moved(200, failing=100), policy={"minimum_score": 0.8})},
    "Perhaps below the minimum score": {"units": one(moved(200, failing=42), policy={"minimum_score": 0.8})},
    "Too few cases": {"units": one(moved(40))},
    "Enough cases for an unchanged model, and a drop that is neither excluded nor shown": {
        "units": one(moved(400, regressed=24, fixed=14)),
    },
    "A slice collapsed inside a green total": {
        "units": one(("1" * 400, "0" * 8 + "1" * 392), case_keys=channel),
    },
    "Conversations count once": {
        "units": one(moved(240, regressed=2), case_keys=lambda index: {"group": f"t{index // 3}"}),
    },
    "Three answers a case": {
        "units": one(([("1", "1", "1")] * 100, [("1", "1", "0")] * 2 + [("1", "1", "1")] * 98)),
    },
    "A continuous score, with one wild case": {
        "units": one(([-3.0] * 100, [-30.0] + [-3.02] * 99), policy={"margin": 0.5}), "kind": "continuous",
    },
    "A continuous score without a declared margin": {
        "units": one(([-3.0] * 20, [-3.1] * 20)), "kind": "continuous",
    },
    "A case that was not answered": {"units": one(("1" * 100, "-" + "1" * 99))},
    "A target and two guards, one of them too small": {
        "units": one(moved(120, fixed=30), policy=TARGET)
        | {"tone": Unit(*moved(100, regressed=1)), "names": Unit(*moved(40))},
    },
    "A sealed unit that is not worse, on too few cases to be held": {
        "units": one(moved(30, fixed=9, failing=10), policy=TARGET | {"margin": 0.3})
        | {"final": Unit("1" * 40, "1" * 40, more={"sealed": True})},
        "sealed": True,
    },
    "A sealed unit that is worse": {
        "units": {"final": Unit(*moved(60, regressed=9), more={"sealed": True})}, "sealed": True,
    },
    "A sealed unit that nobody judged yet": {
        "units": one(moved(120, fixed=40), policy=TARGET) | {"final": Unit("1" * 20, None, more={"sealed": True})},
    },
    "A target that a sealed unit proves": {
        "units": one(moved(120, fixed=20, failing=20), policy=TARGET) | {
            "final": Unit(*moved(120, fixed=20, failing=20), policy=SEALING, more={"sealed": True}),
        }, "sealed": True,
    },
    "A target whose sealed unit shows no gain": {
        "units": one(moved(120, fixed=20, failing=20), policy=TARGET) | {
            "final": Unit(*moved(120, fixed=4, failing=20), policy=SEALING, more={"sealed": True}),
        }, "sealed": True,
    },
    "The third opening of the same sealed cases": {
        "units": {"final": Unit(*moved(200, regressed=3, fixed=2), more={"sealed": True})}, "sealed": True,
        "sealed_evaluations": {"desk/final": 3},
    },
    "A target whose cases another adapter was asked before": {
        "units": one(moved(120, fixed=40, failing=50), policy=TARGET), "sealed_evaluations": {"desk/triage": 2},
    },
    "A guard that is held at a late run of its cases": {
        "units": one(moved(200, regressed=3, fixed=2)), "sealed_evaluations": {"desk/triage": 7}, "trained": (),
    },
    "A guard whose base passes nothing": {"units": one(("0" * 100, "0" * 98 + "11"))},
    "A guard that gained": {"units": one(moved(200, fixed=15, failing=20))},
    "A loss beyond the margin": {"units": one(moved(200, regressed=40, fixed=2))},
    "Trained for a task without a target": {"units": one(moved(200)), "trained": ("desk",)},
    "A task that the adapter was not trained for": {"units": one(moved(200), policy=TARGET), "trained": ()},
    "No task.yaml": {"units": one(moved(200)), "declared": False},
    "Labelled traffic: losses in all topics": {
        "units": one(moved(600, regressed=24, fixed=24), topics=12, policy={}),
    },
    "Labelled traffic: as many losses, in one topic": {
        "units": one(in_one_topic(600, regressed=24, fixed=24), topics=12, policy={}),
    },
    "Labelled traffic: outputs hardly differ": {"units": one(moved(600, regressed=6), topics=12, policy={})},
    "Labelled traffic: outputs hardly differ, but if so in one topic": {
        "units": one(in_one_topic(240, regressed=5), topics=6, policy={}),
    },
    "A gain that only cases with a row near them show": {
        "units": one(moved(120, fixed=40, failing=50), policy=TARGET), "near": range(40),
    },
    "A gain that the other cases show, too": {
        "units": one(moved(120, regressed=2, fixed=40, failing=50), policy=TARGET), "near": range(20, 60),
    },
    "A loss that the gains of near cases hide": {
        "units": one(moved(200, regressed=20, fixed=30)), "near": range(20, 50),
    },
    "Nothing moved, and rows come near half of the cases": {"units": one(moved(400)), "near": range(0, 400, 2)},
    "Labelled traffic: losses on inputs that rows come near": {
        "units": one(moved(600, regressed=60), topics=12, policy={}), "near": range(60),
    },
    "Labelled traffic: gains on inputs that rows come near, losses elsewhere": {
        "units": one(moved(600, regressed=24, fixed=36), topics=12, policy={}), "near": range(24, 60),
    },
    "The same, if rows came near none": {"units": one(moved(600, regressed=24, fixed=36), topics=12, policy={})},
    "A baseline of another engine, asked again on this one": {
        "units": one(moved(200)),
        "engines": EngineChange(200, 31, ("c003", "c017"), ("c150",)),
    },
    "A baseline of another engine that moved nothing": {
        "units": one(moved(200)), "engines": EngineChange(200, 4, (), ()),
    },
}  # fmt: skip


@pytest.fixture
def judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Record]:
    """Judges a scenario."""
    monkeypatch.setenv(VARIABLE, str(tmp_path / "traffic"))

    def evaluate(
        name: str,
        units: dict[str, Unit],
        *,
        sealed_evaluations: dict[str, int] | None = None,
        trained: Sequence[str] = ("desk",),
        sealed: bool = False,
        declared: bool = True,
        kind: str = "pass/fail",
        engines: EngineChange | None = None,
        near: Sequence[int] = (),
    ) -> Record:
        monkeypatch.setitem(CHECKS, "schema", replace(CHECKS["schema"], kind=kind))
        root = tmp_path / str(len(list(tmp_path.iterdir())))
        for unit, each in units.items():
            if each.topics:
                write_labelled(root, len(each.base), each.topics)
            else:
                write_desk(root, len(each.base), unit, each.case_keys, **(each.more or {}))
        if declared:
            policies = {unit: each.policy or {} for unit, each in units.items()}
            write_policy(root, **policies)
        tasks = load_tasks(root)

        def scored(side: str) -> dict[str, Any]:
            return {f"desk/{unit}": row for unit, each in units.items() if (row := getattr(each, side)) is not None}

        references = {"baseline": record(tasks, scored("base"))}
        if last := scored("last"):
            references["last release"] = record(tasks, last)
        asked_again = {"baseline": RunAgain({}, {"desk/triage": engines})} if engines else {}
        ids = [case.id for case in tasks[0].units[0].cases]
        tuned = record(
            tasks, scored("tuned"), sealed=sealed, sealed_evaluations=sealed_evaluations or {}, engines=asked_again,
            near={"desk/triage": [ids[place] for place in near]} if near else {},
        )  # fmt: skip
        return gate.compare(tasks, tuned, references, list(trained))

    return evaluate


def write_labelled(root: Path, n: int, topics: int) -> None:
    """Labelled traffic with so many topics, in turn, each with words of its own; what passes is right."""
    words = [f"{letter * 3} {letter * 4}" for letter in ascii_lowercase[:topics]]
    inputs = [TrafficInput(f"{words[number % topics]} {number}") for number in range(n)]
    path = write_traffic(root, write_snapshot(inputs), labels={"file": "triage.labels.jsonl", "sample": 40})
    right = [Label(each.digest, canonical({"product": "boiler"}), True, "anna").line for each in inputs]
    (path.parent / "triage.labels.jsonl").write_text("".join(right))


def told(name: str, judged: Record) -> str:
    lines = [f"- {unit}: {verdict.reason}" for unit, verdict in judged.verdicts.items()]
    lines += [f"- **{task}: {decision.reason}**" for task, decision in judged.tasks.items()]
    report = candidate_report(judged, contexts={})
    first, rest = candidate_head(report, report.said)
    return "\n".join([f"## {name}", "", f"> {first}", *(f"> - {line}" for line in rest), "", *lines, ""])


@pytest.mark.golden
def test_the_sentences_are_those_of_the_golden_file(judged: Callable[..., Record]) -> None:
    found = "# What the gate says\n\n" + "\n".join(
        told(name, judged(name, **scenario)) for name, scenario in SCENARIOS.items()
    )
    path = GOLDEN / "sentences.md"
    if os.environ.get("TUNEGATE_GOLDEN") == "write":
        path.write_text(found)
    assert found == path.read_text()
