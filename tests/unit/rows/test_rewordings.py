"""Rows made from cases, on vectors that are drawn: the words do not matter to it."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from tunegate.harness.rows.rewordings import LEAST, find_reworded

TOPICS = 12


def drawn(number: int, seed: int) -> np.ndarray:
    """Vectors of texts about some topics."""
    random = np.random.default_rng(seed)
    topics = np.random.default_rng(99).normal(size=(TOPICS, 16))
    return normed(topics[random.integers(TOPICS, size=number)] + 0.8 * random.normal(size=(number, 16)))


def normed(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def reworded(vectors: np.ndarray, seed: int) -> np.ndarray:
    return normed(vectors + 0.12 * np.random.default_rng(seed).normal(size=vectors.shape))


def found(cases: np.ndarray, rows: np.ndarray) -> list:
    vectors = {f"case {at}": each for at, each in enumerate(cases)} | {
        f"row {at}": each for at, each in enumerate(rows)
    }
    unit = SimpleNamespace(
        key="desk/asked", sealed=False, cases=[SimpleNamespace(text=f"case {at}", key=at) for at in range(len(cases))]
    )
    lines = [SimpleNamespace(input=f"row {at}", unit="asked", file="rows", line=at) for at in range(len(rows))]
    return list(find_reworded(lines, [unit], vectors, {}))


@pytest.mark.parametrize("rows", [30, 100, 400, 1500])
@pytest.mark.parametrize("seed", range(8))
def test_rows_that_know_no_case_are_not_named(rows, seed):
    assert found(drawn(100, seed), drawn(rows, 1000 + seed)) == []


@pytest.mark.parametrize("each", [1, 3])  # rewordings of a case
@pytest.mark.parametrize("others", [0, 100, 300])
@pytest.mark.parametrize("seed", range(3))
def test_rows_made_from_cases_are_named_with_their_cases(each, others, seed):
    cases = drawn(100, seed)
    rows = np.concatenate([*(reworded(cases, seed + at) for at in range(each)), drawn(others, 1000 + seed)])

    [unit] = found(cases, rows)

    assert unit.nearer > 90
    assert len({near.eval_text.case.key for near in unit.pairs}) == unit.nearer
    assert f"for {unit.nearer} of 100 cases the nearest text is a row" in str(unit)


def test_rewordings_among_many_other_rows_lead_over_the_next():
    cases = drawn(100, 1)
    assert found(cases, np.concatenate([reworded(cases, 1), drawn(3000, 2)]))


def test_texts_that_are_all_alike_say_nothing():
    assert found(np.ones((40, 4), np.float32) / 2, np.ones((60, 4), np.float32) / 2) == []


def test_few_cases_or_rows_say_nothing():
    cases = drawn(LEAST - 1, 1)
    assert found(cases, reworded(cases, 1)) == []
