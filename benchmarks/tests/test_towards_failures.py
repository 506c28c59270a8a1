"""The benchmark of rows written towards failed cases: which rows are taken, and which verdicts break a promise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks import towards_failures as towards
from benchmarks.towards_failures import Adapter, Found
from tunegate.harness.models.evaluation.verdict import NearScores, Proof, UnitVerdict

UNDECIDED = UnitVerdict(
    "desk/triage", "baseline", "held", (), "target", "pass/fail", 100, 0.5, 0.55,
    difference=0.05, interval=(-0.02, 0.12), level=0.04, margin=0.1,
)  # fmt: skip


def changes(n: int, better: int, worse: int = 0):
    return np.array([1.0] * better + [-1.0] * worse + [0.0] * (n - better - worse))


def adapter(kind: str = "towards", verdict: str = "held", others=None, **facts) -> Adapter:
    is_near, others = np.arange(100) < 30, changes(1000, 50) if others is None else others
    return Adapter(
        kind, 0, 60, 58, replace(UNDECIDED, verdict=verdict, **facts), changes(100, 8, 3), is_near, others,
        np.arange(1000) < 400,
    )  # fmt: skip


def found(*adapters: Adapter) -> Found:
    half = dict.fromkeys(("towards", "reworded"), (0.7, 0.4))
    return Found(np.arange(100) % 2.0, np.arange(1000) % 2.0, adapters, half, 1.0)


def test_each_failed_case_gets_its_nearest_texts_that_are_not_taken(monkeypatch):
    at = {"a": 0.0, "b": 0.1, "near both": 0.05, "near a": -0.1, "near b": 0.3, "far": 1.0, "farther": 1.2}
    monkeypatch.setattr(
        towards, "embed", lambda texts: np.array([[np.cos(at[each]), np.sin(at[each])] for each in texts])
    )
    monkeypatch.setattr(towards, "NEAREST", 2)
    pool = [(text, "topic") for text in list(at)[2:]]
    rows = towards.towards([("a", "x"), ("b", "x")], pool)
    assert [text for text, _ in rows] == ["near both", "near a", "near b", "far"]


def test_the_control_has_as_many_rows_and_a_reworded_case_keeps_its_topic(monkeypatch):
    monkeypatch.setattr(towards, "towards", lambda failed, pool: list(pool[:3]))
    failed, pool = [("play my song today", "play")], [(f"text {n}", "topic") for n in range(9)]
    rows = towards.written(failed, pool)
    assert len(set(rows["drawn"])) == 3
    assert rows["reworded"] == [("could you please track this day put on my", "play")]


def test_an_improved_without_a_gain_on_other_inputs_breaks_the_promise():
    gain, none = changes(1000, 100), changes(1000, 40, 38)
    honest = [adapter(verdict="improved", others=gain, interval=(0.0, 0.2))] * 6
    assert list(towards.broken(found(*honest))) == []
    [wrong] = towards.broken(found(*honest, adapter("reworded", "improved", none)))
    assert wrong == "reworded, seed 0: improved, but the truth is +0.2 [-1.6, +2.0]"


@pytest.mark.parametrize("hits", [3, 4])
def test_four_of_six_intervals_have_the_truth(hits):
    adapters = [adapter()] * hits + [adapter(interval=(0.06, 0.2))] * (6 - hits)
    assert list(towards.broken(found(*adapters))) == [
        "the interval on all cases has the truth for 3 of 6 honest adapters"
    ] * (hits == 3)


def test_the_report_marks_an_interval_without_the_truth():
    proof = Proof(60, 0.1, 0.01)
    near = NearScores(n=40, clean=60, near=(0.5, 0.6), others=(0.5, 0.55), gain=proof, hold=proof)
    text = towards.report(found(adapter(), adapter(interval=(0.06, 0.2), near=near)), "here")
    rows = [line for line in text.splitlines() if line.startswith("| towards")]
    assert rows[0].startswith("| towards | 0 | 58 of 60 | 30 of 100 | held | +5.0 [-2.0, +12.0] | as all cases |")
    assert "+5.0 [+6.0, +20.0] * | +10.0, at least +1.0 (n = 60) |" in rows[1]
    assert rows[2].startswith("| towards | 0 | 400 of 1000 | 50.0 % | 50.0 % |")
    assert rows[4].startswith("| towards | 0 |")
    assert rows[4].endswith("| 0.70 | 0.40 |")
