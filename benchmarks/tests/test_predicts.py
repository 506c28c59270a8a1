"""The benchmark of the gate's predictions: how candidates are made, and which releases are false or missed."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from benchmarks.frame import Failed
from benchmarks.gate_worlds import UnitWorld, World, built
from benchmarks.predicts import (
    BLOCKS,
    LOSSES,
    REFERENCE,
    SOURCES,
    Candidate,
    Gated,
    Made,
    add_noise,
    broken,
    compared,
    draw,
    made_rows,
    passed,
    report,
    write_fixtures,
)
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.models.adapters import CONFIG, WEIGHTS
from tunegate.harness.models.evaluation.verdict import UnitVerdict
from tunegate.harness.statistics.paired import Bounds

ROWS = [(f"input {n}", "abcd"[n % 4]) for n in range(40)]


def test_rows_are_spoiled_as_a_candidate_says():
    assert made_rows(ROWS, Made(), "a", 1) == ROWS
    assert made_rows(ROWS, Made(rows=0.25), "a", 1) == ROWS[:10]
    wrong = made_rows(ROWS, Made(wrong=0.3), "a", 1)
    assert [text for text, _ in wrong] == [text for text, _ in ROWS]
    assert sum(new != old for new, old in zip(wrong, ROWS, strict=True)) == 12
    assert Counter(topic for _, topic in made_rows(ROWS, Made(without_topic=True), "a", 1)) == dict.fromkeys("bcd", 10)


def test_noise_is_in_standard_deviations_of_each_tensor(tmp_path):
    (tmp_path / REFERENCE).mkdir()
    old = {"a": np.random.default_rng(1).standard_normal((64, 64)).astype(np.float32) * 3}
    save_file(old, tmp_path / REFERENCE / WEIGHTS)
    (tmp_path / REFERENCE / CONFIG).write_text(json.dumps({"r": 2}))
    add_noise(tmp_path, "noisy", 0.5, 1)
    new = load_file(tmp_path / "noisy" / WEIGHTS)["a"]
    assert new.dtype == np.float32
    assert (new - old["a"]).std() == pytest.approx(1.5, rel=0.05)


def test_fixtures_are_units_of_the_blocks(tmp_path):
    write_fixtures(tmp_path / "desk", {"first": ROWS[:20], "second": ROWS[20:]}, ["second"])
    [task] = load_tasks(tmp_path)
    [unit] = task.units
    assert [case.tags["topic"] for case in unit.cases] == [topic for _, topic in ROWS[20:]]
    assert task.policy.of("second", "pass/fail").margin == 0.1


def found_of(false: int, missed: int) -> dict[str, list[Candidate]]:
    """A set whose bad candidate passes so many blocks, and whose good one does not pass so many."""

    def gates(truth: float, passing: int) -> list[Gated]:
        bounds = Bounds(truth - 0.02, truth + 0.02)
        return [
            Gated(*(("held", True) if n < passing else ("inconclusive", False)), truth, truth, bounds)
            for n in range(BLOCKS)
        ]

    candidates = [
        Candidate("bad", 0.6, 0.8, gates(-0.2, false), "a", -0.7),
        Candidate("good", 0.8, 0.8, gates(0.0, BLOCKS - missed), "b", -0.1),
    ]
    return {source.name: candidates for source in SOURCES}


def test_false_and_missed_releases_are_counted_by_the_truth(tmp_path):
    kept = found_of(0, 4)
    assert list(broken(kept)) == []
    assert passed(kept, LOSSES[0], 1)[:2] == (0, 2)
    assert passed(kept, LOSSES[-1], BLOCKS)[:2] == (2 * (BLOCKS - 4), 2 * BLOCKS)
    assert passed(kept, LOSSES[0], 1)[2].upper == pytest.approx(1 - 0.025 ** (1 / 2))  # no pass of two
    text = report(kept, "made")
    assert f"| bad | 60.0 % | -20.0 [-22.0, -18.0] | -20.0 | inconclusive | 0 of {BLOCKS} | a -70.0 |" in text
    assert "by half or more in 2 candidates; of their gates 0 passed" in text
    draw(kept, tmp_path / "picture.svg")
    assert "<svg" in (tmp_path / "picture.svg").read_text("utf-8")
    assert list(broken(found_of(4, 12)))[1:] == [
        f"8 of {2 * BLOCKS} gates of a loss beyond the margin pass, all blocks",
        f"8 of {2 * BLOCKS} gates of a loss within a quarter of the margin pass",
    ]


def test_the_truth_of_a_gate_leaves_its_own_block_out():
    one = np.ones(60)
    topic = {"topic": list(range(60))}
    worlds = [UnitWorld(one, np.where(np.arange(60) < lost, 0.0, 1.0), margin=0.1, slices=topic) for lost in (0, 30, 0)]
    task, tuned, references = built(World(tuple(worlds)))
    first = task.units[0].key
    held = UnitVerdict(first, "baseline", "held", (), "guard", "pass/fail", 60, 1.0, 1.0)
    said = replace(tuned, verdicts={first: held})
    found = compared("a-name", [task], [said], [references["baseline"]])
    assert [each.verdict for each in found.gates] == ["held", "regressed", "held"]
    assert [each.passed for each in found.gates] == [True, False, True]
    assert [each.estimate for each in found.gates] == [0.0, -0.5, 0.0]
    assert [each.truth for each in found.gates] == [-0.25, 0.0, -0.25]
    assert (found.right, found.reference, found.topic) == (pytest.approx(5 / 6), 1.0, "yes")
    with pytest.raises(Failed, match="a-name: expected the verdict held, found regressed by the command"):
        compared("a-name", [task], [replace(tuned, verdicts={first: replace(held, verdict="regressed")})], [said])
