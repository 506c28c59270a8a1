"""The benchmark of near rows: who is compared with whom."""

from __future__ import annotations

import numpy as np

from benchmarks.near_rows import effect_from, intents_of, read_part
from tests.support.paths import ROOT


def test_the_parts_hold_the_chosen_intents_in_the_order_of_the_file(tmp_path):
    file = tmp_path / "train.csv"
    lines = [f"text {at},{label}" for at, label in enumerate("abcdefgabcdefg")]
    file.write_text("text,category\n" + "\n".join(lines))

    part = read_part(file, intents_of(file))

    assert [*map(str, part.labels)] == ["a", "g", "a", "g"]
    assert part.first(1).texts == ["text 0", "text 6"]


def test_a_case_is_compared_with_itself_over_draws_with_and_without_a_near_row():
    nearest = np.array([[0.9, 0.5, 0.9], [0.5, 0.9, 0.9]], dtype=np.float32)
    right = np.array([[1, 1, 1], [0, 1, 0]], dtype=np.float32)  # the third case has a near row in every draw

    least, share, compared, points, whole = effect_from(0.86, right, nearest)

    assert (least, share, compared, whole) == ("0.86", "66.7 %", "2", "+16.7")
    assert points.startswith("+50.0")


def test_the_committed_result_says_what_is_dropped_and_that_nobody_reads_it():
    text = (ROOT / "benchmarks/results/near_rows.md").read_text("utf-8")

    assert "| the first 20 of each intent | 240 | 27 | 79 | 134 | 0 |" in text
