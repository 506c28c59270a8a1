"""Records on engines that vary: a true one passes, whatever its noise, and one that is too low does not."""

from __future__ import annotations

import random

import pytest

from tests.support.records import LOCAL, record, units_of, write_desk
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.history.baselines.recording import write_baselines
from tunegate.harness.history.baselines.store import state
from tunegate.harness.history.ledger.ledger import Event
from tunegate.harness.history.ledger.store import append, read_ledger
from tunegate.harness.models.evaluation.record import Result
from tunegate.harness.review.change.brought import ABOVE, BELOW, brought_records, is_more_than_noise, odd_runs
from tunegate.harness.review.change.rules import RuleChanges

DRAWS = 200


def runs(chances: list[float], draw: random.Random, lowered: int = 0) -> list[tuple[Result, ...]]:
    """Three runs of each case, of which the first fails the last `lowered` cases."""
    found = [[float(draw.random() < chance) for _ in range(3)] for chance in chances]
    for each in found[len(found) - lowered :]:
        each[0] = 0.0
    return [tuple(Result(score == 1.0, score) for score in each) for each in found]


def is_refused(cases: list[tuple[Result, ...]]) -> bool:
    sides = ((-1, BELOW), (1, ABOVE))
    return any(is_more_than_noise((odd := odd_runs(sign, cases))[0], sum(odd), level) for sign, level in sides)


@pytest.mark.parametrize("flips", [0.02, 0.1])
@pytest.mark.parametrize("n", [50, 200, 400])
def test_a_true_record_is_refused_in_at_most_a_twentieth_of_all_cases(n, flips):
    draw = random.Random(n)
    unstable = round(2 * n * flips)  # cases that pass half of the time: any two runs differ on half of them
    chances = [0.5] * unstable + [1.0] * (n - unstable)
    refused = sum(is_refused(runs(chances, draw)) for _ in range(DRAWS))
    assert refused <= 0.05 * DRAWS + 2 * (DRAWS * 0.05 * 0.95) ** 0.5


@pytest.mark.parametrize(("n", "lowered"), [(50, 4), (100, 6), (200, 10), (400, 16)])
def test_a_record_that_is_lower_is_refused_also_beside_flips(n, lowered):
    draw = random.Random(n)
    chances = [0.5] * round(0.04 * n) + [1.0] * (n - round(0.04 * n))
    refused = sum(is_refused(runs(chances, draw, lowered)) for _ in range(DRAWS))
    assert refused > 0.6 * DRAWS


def test_three_cases_are_too_many_where_nothing_flips_and_two_are_not():
    assert [is_refused(runs([1.0] * 100, random.Random(0), lowered)) for lowered in range(5)] == [
        False, False, False, True, True,
    ]  # fmt: skip


def test_a_part_that_is_lower_counts_where_the_score_is_the_same():
    right, wrong = (Result(False, 0.0, rates={"form": is_right}) for is_right in (True, False))
    assert odd_runs(-1, [(wrong, right, right)] * 4) == [4, 0, 0]
    assert odd_runs(1, [(wrong, right, right)] * 4) == [0, 0, 0]


def test_graded_scores_count_case_by_case():
    cases = [tuple(Result(None, score) for score in scores) for scores in ((0.5, 0.7, 0.8), (0.9, 0.7, 0.8))]
    assert (odd_runs(-1, cases), odd_runs(1, cases)) == ([1, 1, 0], [1, 0, 1])


def test_a_record_is_found_also_where_the_same_change_releases_an_adapter_on_it(tmp_path):
    write_desk(tmp_path / "fixtures", 20)
    root, slug, tasks = tmp_path / "baselines", LOCAL["model"], load_tasks(tmp_path / "fixtures")
    units = list(units_of(tasks).values())
    made = record(tasks, {"desk/triage": "1" * 20})
    write_baselines(root, slug, made, units, state(root, slug, units), serves=True)
    append(root, Event("released", "desk", LOCAL | {"adapter": "a" * 64}, {"desk/triage": "c" * 64}))
    [event] = [each for each in read_ledger(root).events.values() if each.kind == "serves"]

    [found], lost = brought_records(root, RuleChanges((), (), "", event.files))

    assert (found.digest, lost) == (event.files["desk/triage"], [])
