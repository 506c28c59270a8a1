"""Test runs of deepeval: `test_run_*.json` and `.latest_run_full.json`, with the metrics of every test case.

`pass` is what deepeval says of the whole test case. A metric that ended with an error has no score, and then `pass` has
none, either.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tunegate.harness.begin.results.directions import is_amount
from tunegate.harness.begin.results.samples import (
    MOST_REASON,
    ResultFile,
    ScoredSample,
    brief,
    groups_of,
    mapping_at,
    question_of,
    score_of,
    text_of,
)
from tunegate.harness.core.errors import Unreadable

TOOL = "deepeval"
A_FILE = "a test run of deepeval"
PASS = "pass"  # noqa: S105  (a metric)
HELD_TO = ("threshold", "strictMode", "evaluationModel")  # of a metric: what it holds a test case to, and who says so
KINDS = ("testCases", "conversationalTestCases")


def is_run(value: Any) -> bool:
    """Whether a JSON value is a test run."""
    return (
        isinstance(value, dict)
        and any(isinstance(value.get(kind), list) for kind in KINDS)
        and bool({"metricsScores", "testPassed", "runDuration"} & value.keys())
    )


def read_run(path: Path, value: Mapping[str, Any]) -> ResultFile:
    """Read a test run, which `value` holds.

    Raises:
        Unreadable: a test case is none.
    """
    cases = [each for kind in KINDS for each in _list(value, kind)]
    for number, case in enumerate(cases, start=1):
        if not isinstance(case, dict) or "name" not in case:
            raise Unreadable(path, f"{A_FILE} whose test cases have a name", f"{brief(case)} as number {number}")
    samples = [_sample(case) for case in cases]
    by_place = _is_ambiguous(samples)
    if by_place:
        samples = [replace(each, id=str(place)) for place, each in enumerate(samples)]
    metrics = list(dict.fromkeys(name for sample in samples for name in sample.scores))
    below = _passes_below(cases)
    return ResultFile(
        path, TOOL, tuple(samples), task=text_of(value.get("testFile") or "", 200),
        lower={name: "it passes below its threshold" for name, is_lower in below.items() if is_lower},
        higher={PASS: "as deepeval says"}
        | {name: "it passes above its threshold" for name, is_lower in below.items() if not is_lower},
        amounts=frozenset(filter(is_amount, metrics)), derived=(PASS,), by_place=by_place,
        notes=("several test cases of one name: they are paired by their place",) if by_place else (),
    )  # fmt: skip


def _list(value: Mapping[str, Any], key: str) -> list[Any]:
    """The list at a key; an empty one where something other stands there."""
    found = value.get(key)
    return found if isinstance(found, list) else []


def _is_ambiguous(samples: Sequence[ScoredSample]) -> bool:
    """Whether test cases of one name ask different questions, so that names are no ids."""
    asked: dict[str, set[str]] = {}
    for sample in samples:
        asked.setdefault(sample.id, set()).add(sample.question)
    return any(len(questions) > 1 for questions in asked.values())


def _sample(case: Mapping[str, Any]) -> ScoredSample:
    metrics = _metrics(case)
    scores = {name: score_of(each.get("score")) for name, each in metrics.items()}
    failed = any(each.get("error") for each in metrics.values())
    success = case.get("success")
    asked, expected = _asked(case)
    return ScoredSample(
        text_of(case["name"]), scores | {PASS: None if failed or not isinstance(success, bool) else float(success)},
        question_of(asked, expected), text_of(asked), text_of(expected), _output(case),
        passed={name: each["success"] for name, each in metrics.items() if isinstance(each.get("success"), bool)},
        reasons={name: text_of(each.get("error") or each.get("reason"), MOST_REASON)
                 for name, each in metrics.items() if not each.get("success")},
        groups=groups_of(question_of(asked, case.get("context"))),
        scorer=question_of({name: {key: each.get(key) for key in HELD_TO} for name, each in metrics.items()}),
    )  # fmt: skip


def _metrics(case: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The metrics of a test case by name; of several of one name the later ones have a number."""
    seen: Counter[str] = Counter()
    found: dict[str, Mapping[str, Any]] = {}
    for each in (each for each in _list(case, "metricsData") if isinstance(each, dict)):
        name = text_of(each.get("name"), 200) or "metric"
        name = f"metric {name}" if name == PASS else name
        seen[name] += 1
        found[f"{name} {seen[name]}" if seen[name] > 1 else name] = each
    return found


def _asked(case: Mapping[str, Any]) -> tuple[Any, Any]:
    """What a test case asks and expects; of a conversation its scenario and what its user says."""
    if "input" in case:
        return case["input"], case.get("expectedOutput")
    said = [mapping_at(each).get("content") for each in _list(case, "turns") if mapping_at(each).get("role") == "user"]
    return case.get("scenario") or said, case.get("expectedOutcome")


def _output(case: Mapping[str, Any]) -> str | None:
    if "input" in case:
        return text_of(case["actualOutput"]) if case.get("actualOutput") is not None else None
    return text_of([each.get("content") for each in _list(case, "turns") if isinstance(each, dict)])


def _passes_below(cases: Sequence[Mapping[str, Any]]) -> dict[str, bool]:
    """Whether a metric passes below its threshold and fails above it, or always the other way round."""
    found: dict[str, set[bool]] = {}
    for case in cases:
        for name, each in _metrics(case).items():
            score, threshold = score_of(each.get("score")), score_of(each.get("threshold"))
            success = each.get("success")
            if score is not None and threshold is not None and score != threshold and isinstance(success, bool):
                found.setdefault(name, set()).add(success == (score < threshold))
    return {name: below.pop() for name, below in found.items() if len(below) == 1}
