"""The benchmark of form: addresses divided, an adapter on the tiny model, and what the report says."""

from __future__ import annotations

import pytest

from benchmarks import adherence
from benchmarks.adherence import (
    ADHERENCE,
    BASE,
    BEFORE,
    BOTH,
    EXACT,
    SHOTS,
    TUNED,
    Answers,
    Measured,
    divide,
    measure,
    report,
)
from benchmarks.foreign_data import Example
from tunegate.harness.core.progress import quiet

ADDRESSES = [Example(f"{number} Mill Lane", {"number": str(number), "street": "Mill Lane"}) for number in range(40)]


def test_no_address_stands_on_two_sides():
    parts = divide([*ADDRESSES, *ADDRESSES], 10, 20)

    assert [len(part) for part in parts] == [10, 20, SHOTS]
    assert len({each.text for part in parts for each in part}) == 30 + SHOTS
    with pytest.raises(ValueError, match="expected 44 different addresses, found 40"):
        divide(ADDRESSES, 20, 20)


def test_the_report_says_what_is_proven():
    before = Answers({ADHERENCE: [1.0] * 380 + [0.0] * 20, EXACT: [0.0] * 400}, 400)
    after = Answers({ADHERENCE: [1.0] * 400, EXACT: [1.0] * 100 + [0.0] * 300}, 100)
    text = report(Measured({**dict.fromkeys(BASE, before), TUNED: after, BOTH: after}, 460, 2), "made so")

    assert "95.0 % with worked examples, 100.0 % by the adapter, constrained, at least 99.3 %: +5.0 points [" in text
    assert "Exactness, tuned: +25.0 points [" in text
    assert "for 25% of the prompt" in text
    assert "| with worked examples | 95.0 % |" in text


def test_the_base_and_an_adapter_are_asked_the_same_cases(tiny_model, monkeypatch):
    monkeypatch.setattr(adherence, "addresses", lambda folder: ADDRESSES)
    monkeypatch.setattr(adherence, "OPTIM", {**adherence.OPTIM, "max_length": 4096})  # its tokens are bytes

    found = measure(str(tiny_model), 3, 8, 1, quiet())

    assert {len(each.rates[rate]) for each in found.answers.values() for rate in (ADHERENCE, EXACT)} == {3}
    assert found.answers[TUNED].tokens < found.answers[BEFORE].tokens
    assert [*found.answers] == [*BASE, TUNED, BOTH]
