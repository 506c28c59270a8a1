"""The benchmark of distillation, on the tiny model."""

from __future__ import annotations

import pytest

from benchmarks import distil
from benchmarks.distil import Asked, Teacher, claim, measure, quantile_ratio, report
from tunegate.harness.core.progress import quiet


@pytest.fixture(autouse=True)
def long_rows(monkeypatch):
    monkeypatch.setattr(distil, "OPTIM", {**distil.OPTIM, "max_length": 4096})  # the tiny model's tokens are bytes


def test_all_four_answer_the_same_rows(tiny_model):
    found = measure(str(tiny_model), Teacher(), "triage", 10, 3, quiet())

    assert (found.teacher, found.rows, dict(found.dropped)) == ("replay:demo", (10, 10, 3), {})
    assert list(found.ways) == ["base", "base, with examples", "teacher", "tuned"]
    assert found.ways["teacher"].scores == [1.0, 1.0, 1.0]
    assert [len(each.seconds) for each in found.ways.values()] == [3, 3, 0, 3]
    said = report(found, 0.1, "made so.")
    assert "On 3 inputs that no training saw: no claim: quality is not held within 10 points." in said


def test_the_units_fixtures_are_asked_too_and_what_seals_them(tiny_model, monkeypatch):
    cases, distils = distil._cases, distil._distil
    monkeypatch.setattr(distil, "_cases", lambda *of: [*cases(*of)[:1], *cases(*of)[-1:]])  # an open and a sealed one
    monkeypatch.setattr(distil, "_distil", lambda place, task, _, *more: distils(place, task, distil.RECORDED, *more))

    found = measure(str(tiny_model), Teacher(str(tiny_model)), "triage", 10, 3, quiet(), fixtures=True)

    assert found.rows == (10, 10, 5)
    assert {len(each.scores) for each in found.ways.values()} == {5}


def test_a_claim_needs_both_quality_and_price():
    teacher = Asked([1.0] * 200, [], [2.0] * 200, [2.0] * 200)
    cheap, dear = ([price + 0.01 * (each % 2) for each in range(200)] for price in (0.5, 3.0))

    assert claim(teacher, Asked([1.0] * 200, [], cheap), 0.1) == "quality held, at 25 % of the price"
    assert claim(teacher, Asked([1.0] * 200, [], dear), 0.1) == "no claim: the price is not lower"
    assert claim(teacher, Asked([1.0] * 200), 0.1) == "no claim: the teacher's price is not known"
    assert claim(teacher, Asked([0.0] * 200, [], cheap), 0.1) == "no claim: quality is not held within 10 points"


def test_a_quantiles_interval_is_paired():
    seconds = [float(each) for each in range(1, 41)]

    assert quantile_ratio(seconds, [each / 2 for each in seconds], 0.95) == pytest.approx((0.5, 0.5, 0.5))
