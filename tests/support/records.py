"""Records built by hand: fixtures with as many cases as a test needs, and results as a row of ones and zeros."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.support.units import write_unit
from tunegate.harness.cases.model import Case, Task, Unit
from tunegate.harness.core.files import stamped
from tunegate.harness.history.baselines.recording import write_baselines
from tunegate.harness.history.baselines.store import state
from tunegate.harness.history.ledger.journal import undo_cut_off
from tunegate.harness.models.api import Completion, Fingerprint
from tunegate.harness.models.evaluation.record import Record, Result, results_of
from tunegate.harness.models.evaluation.scoring import score_completion, summarize
from tunegate.harness.models.replay import Replay

LOCAL = {"model": "tiny-12345678", "base": "b" * 64, "tokenizer": "c" * 64, "template": "d" * 64, "rung": "as-is"}
ENGINE = {"backend": "transformers", "torch": "2.13", "dtype": "float32", "device": "cpu"}

CaseKeys = Callable[[int], dict[str, Any]]
Scores = str | Sequence[Any]


def write_desk(root: Path, n: int, name: str = "triage", case_keys: CaseKeys | None = None, **more: Any) -> Path:
    """A unit of `n` cases (c000, c001, ...), each with the further keys that `case_keys` gives it; None is no key."""
    more_of = case_keys or (lambda index: {})
    ids = [f"c{index:03}" for index in range(n)]
    cases = [
        {"id": case, "input": f"message {case}", "expect": {"product": "boiler"}} | more_of(index)
        for index, case in enumerate(ids)
    ]
    cases = [{key: value for key, value in case.items() if value is not None} for case in cases]
    return write_unit(root, ids, name, cases=cases, **more)


def write_policy(root: Path, task: str = "desk", **units: dict[str, Any]) -> Path:
    """A task.yaml; each unit guards unless it says otherwise."""
    path = root / task / "task.yaml"
    policy = {name: {"role": "guard", "reason": "a test"} | unit for name, unit in units.items()}
    path.write_text(json.dumps({"version": 1, "units": policy}))
    return path


def units_of(tasks: Sequence[Task]) -> dict[str, Unit]:
    return {unit.key: unit for task in tasks for unit in task.units}


def record(tasks: Sequence[Task], scores: dict[str, Scores], adapter: str | None = None, **more: Any) -> Record:
    """What a model scored, a unit's cases in order: `1` passed, `0` failed, `-` unscored; or numbers, or repeats.

    Passed and failed come with an output that scores so, and with what the check finds in it.
    """
    units = {key: unit for key, unit in units_of(tasks).items() if key in scores}
    for key, unit in units.items():
        assert len(unit.cases) == len(scores[key]), f"{key} has {len(unit.cases)} cases"
    results = {
        key: [_result(score, unit, case) for score, case in zip(scores[key], unit.cases, strict=True)]
        for key, unit in units.items()
    }
    summaries = {key: summarize(unit, results[key]) for key, unit in units.items()}
    made = Record(
        partial=False,
        fingerprint={"subject": LOCAL | {"adapter": adapter}, "engine": ENGINE, "names": {"model": "tiny"}},
        questions={key: unit.questions for key, unit in units.items()},
        configurations={key: unit.configuration.as_dict() for key, unit in units.items()},
        cases={
            case.key: one for key, unit in units.items() for case, one in zip(unit.cases, results[key], strict=True)
        },
        units=summaries,
        scorers={key: unit.check_kind.scorer for key, unit in units.items()},
        policies={unit: policy for task in tasks for unit, policy in task.policies.items() if unit in summaries},
    )
    return replace(made, **more)


def answering(made: Record) -> Replay:
    """A model that answers what a record holds, as if it were the one that gave it."""
    who = made.fingerprint
    answers = {(key, repeat): each.as_completion(key, repeat) for key, repeat, each in results_of(made)}
    return Replay(answers, Fingerprint(who["subject"], who["engine"], who["names"]))


def save(root: Path, made: Record, units: Sequence[Unit], released: bool = False) -> list[str]:
    """Write baseline files (or those of a release) as the only writer."""
    slug = str(made.fingerprint["subject"]["model"])
    undo_cut_off(root)  # as every command that records does
    adapter = root.parent / "adapter" if released else None
    return write_baselines(root, slug, made, units, state(root, slug, units, released), adapter)


def training_record(**more: Any) -> dict[str, Any]:
    """A training record with all that is read of one, for a task called desk."""
    return {
        "schema_version": 1,
        "task": "desk",
        "adapter": "a" * 64,
        "model": {key: LOCAL[key] for key in ("base", "tokenizer", "template")} | {"name": "tiny"},
        "recipe": {
            "model": "tiny", "method": "sft", "seed": 1,
            "lora": {"r": 16, "target": "all-linear"}, "optim": {"lr": 1e-3, "epochs": 1},
        },
        "rows": [{"file": "rows.jsonl", "rows": 40}, {"file": "more.jsonl", "rows": 2}],
        "grading": {"trained": 42},
        "validation": {"rows": 0},
        "diagnosis": {"digest": "d" * 64, "remedies": {}, "against": [], "override": None},
        "memorization": {"rows": 40, "asked": 40, "memorized": [], "secrets": [], "tried": 0, "leaked": []},
    } | more  # fmt: skip


def stamp(path: Path, data: dict[str, Any]) -> None:
    """Write an edited record, baseline or manifest as if it had been written so, digest and all."""
    rest = {key: value for key, value in data.items() if key != "digest"}
    path.write_text(json.dumps(stamped(rest)))


def _result(score: Any, unit: Unit, case: Case) -> Result:
    if isinstance(score, tuple):  # repeats
        each = tuple(_result(one, unit, case) for one in score)
        return Result(all(one.passed for one in each), sum(one.score or 0 for one in each) / len(each), repeats=each)
    if score == "-":
        return Result(None, None)
    if isinstance(score, float):
        return Result(None, score, output="...")
    passed = score in {"1", 1}
    output = '{"product": "boiler"}' if passed else "no idea"
    scored = score_completion(case, Completion(case.key, output), "as-is", unit.kind)
    # with the findings that the check has; where it does not see it so, what the test says
    return scored if scored.passed is passed else Result(passed, float(passed), output=output)
