"""Words of languages that are written without spaces."""

from __future__ import annotations

import sys
import time

import pytest

from tunegate.harness.checks.text.phrases import Phrases, phrase_book
from tunegate.harness.checks.text.reading import read
from tunegate.harness.checks.text.segmentation import check_segmenter, word_edges
from tunegate.harness.core.errors import CouldNotRun


def test_places_are_those_of_characters():
    assert word_edges("\U0001f525锅炉坏了", "zh-Hant") >= {0, 1, 3, 5}
    assert word_edges("my boiler", "en") is None


def test_without_icu_the_languages_that_need_it_are_refused(monkeypatch):
    monkeypatch.setitem(sys.modules, "icu4py.breakers", None)
    check_segmenter("en")
    with pytest.raises(CouldNotRun, match=r"expected icu4py, found none; run: pip install 'tunegate\[segmentation\]'"):
        check_segmenter("zh")


def test_hostile_texts_take_bounded_time():
    for text in ["京都" * 10_000, "ก" * 20_000, "し" * 20_000, "\ud800" * 20_000, "a\x00京" * 6_000]:
        started = time.process_time()
        phrases = Phrases(["京都", "し"], phrase_book(["京都", "し"], "ja"))

        assert list(phrases.find(read(text, "ja"))) is not None
        assert time.process_time() - started < 20
