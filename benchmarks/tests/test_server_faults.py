"""The benchmark of faults: what it counts as right, unscored and wrong, and what breaks its promise."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks import server_faults
from benchmarks.server_faults import ALL, Found, broken, fail, report

BY_NAME = {kind.name: kind for kind in ALL}


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    monkeypatch.setattr(server_faults.http_client, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(server_faults.http_client, "LONGEST_PAUSE", 0.05)


def test_no_two_kinds_have_one_name():
    assert len(BY_NAME) == len(ALL) > 110


def test_an_empty_output_is_right_after_a_second_try_and_else_unscored():
    kind = BY_NAME['"", finish stop']
    first, every = fail(kind, False, 2), fail(kind, True, 2)
    assert (first.right, first.unscored, first.wrong, first.asked) == (2, 0, 0, 2.0)
    assert (every.right, every.unscored, every.wrong) == (0, 2, 0)
    assert list(broken(Found([first], [every]))) == []
    assert "| the first try | 1 | 0 | 0 | 0 |" in report(Found([first], [every]), "made")


def test_a_wrong_score_breaks_the_promise_unless_nobody_can_see_it():
    unseen = fail(BY_NAME["cut, finish stop"], False, 2)
    assert unseen.wrong == 2
    assert list(broken(Found([unseen], [unseen]))) == []
    assert len(list(broken(Found([replace(unseen, kind="other")], [])))) == 1
