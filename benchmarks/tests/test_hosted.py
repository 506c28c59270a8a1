"""The benchmark of hosted models: one of each part, and what breaks its promises."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks import hosted
from benchmarks.hosted_faults import ENDINGS, KINDS
from benchmarks.hosted_report import Found, broken, report
from tunegate.harness.models.served import http_client


@pytest.fixture
def found(monkeypatch) -> Found:
    monkeypatch.setattr(http_client, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(http_client, "LONGEST_PAUSE", 0.1)
    [kind] = [each for each in KINDS if each.name == "a reset before any byte"]
    [ending] = [each for each in ENDINGS if each.name == "401"]
    limits = [hosted.limit("-", 50, 20), hosted.limit("1200", 50, 20, 1200)]
    return Found([hosted.fail([kind], kind.name, 0.3, 40)], [hosted.end(ending, 40)], limits, [hosted.ask("GPT-5")])


def test_what_is_kept_is_told_and_what_is_not_breaks_a_promise(found):
    assert list(broken(found)) == []
    said = report(found, "made so")
    assert "a reset before any byte | " in said
    assert "| 401 | " in said
    assert "| GPT-5 | 10 | standard fields but " in said

    [run], [ended], [model] = found.runs, found.ends, found.asked
    worse = Found(
        [replace(run, right=39, sent=run.sent + 20, twice=1)],
        [replace(ended, is_clear=False, kept=ended.finished - 1, right=39)],
        [found.limits[0], replace(found.limits[1], refused=9, right=19)],
        [replace(model, probes=12)],
    )
    assert len(list(broken(worse))) == 3 + 3 + 2 + 1
