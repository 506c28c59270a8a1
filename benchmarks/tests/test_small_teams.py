"""Small teams: what is proposed, drawn worlds by the shipped gate, and what breaks the run."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.small_teams import Found, Released, broken, proposed, released_of, report, truths


@pytest.fixture(scope="module")
def proposal():
    """What `plan` proposes at the usual flip rate."""
    return proposed(0.04)


def test_the_team_is_one_target_and_three_guards(proposal):
    assert (proposal.targets, len(proposal.guards), proposal.sealable) == (("target",), 3, 100)
    assert [(way.together, way.margin) for way in proposal.ways] == [(False, 0.13), (True, 0.055)]


@pytest.mark.parametrize("place", [0, 1])
def test_guards_that_collapse_are_not_released(proposal, place):
    assert released_of(proposal.ways[place], 0.04, (0.6, 0.0, 0.0), 5) == 0.0


def test_what_is_released_less_or_more_often_than_promised_breaks_the_run(proposal):
    way = proposal.ways[1]
    cells = [
        Released(0.04, way, what, losses, promised, way.released if what == "equal" else 0.01, 2_000)
        for what, losses, promised, _ in truths(way, 2_000)
    ]
    found = Found({0.04: replace(proposal, ways=(way,))}, cells)

    assert list(broken(found)) == []
    assert "| 4 | together | 5.5 | 82.7 | 82.7 (± 0.8)" in report(found, "made")
    wrong = [replace(cells[0], released=0.6), *cells[1:-1], replace(cells[-1], released=0.2)]
    assert list(broken(replace(found, cells=wrong))) == [
        "flips 4 %, guards together, equal: released 60.0 %, foretold 82.7 %",
        "flips 4 %, guards together, all lose the margin: released 20.0 %",
    ]
