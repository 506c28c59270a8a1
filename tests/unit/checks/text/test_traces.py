from __future__ import annotations

import pytest

from tunegate.harness.checks.text.traces import Passage, Rarity, plain_words, word_count

TEXT = plain_words("my boiler hums like a choir from five in the morning")
OTHERS = [plain_words(f"the boiler is in the room of tenant {name}") for name in ("Ada", "Bo", "Cy", "Di", "Ed")]
RARITY = Rarity.of([TEXT, *OTHERS])


def traces(passage):
    return Passage(plain_words(passage)).traces(TEXT, RARITY)


def test_a_verbatim_text_is_found_wherever_and_however_often_it_stands():
    found = traces("First: MY boiler hums, like a choir from five in the morning. **My boiler** hums like a choir from "
                   "five in the morning!")  # fmt: skip
    assert [(each.start, each.end) for each in found if each.verbatim] == [(1, 12), (12, 23)]


def test_the_likest_part_comes_first_and_parts_do_not_overlap():
    found = traces("the boiler is old. a choir hums from five like my morning. a boiler hums in the cellar")
    assert [each.alike for each in found] == sorted((each.alike for each in found), reverse=True)
    assert all(one.end <= two.start or two.end <= one.start for one in found for two in found if one is not two)
    assert found[0].alike > 0.7
    assert not found[0].verbatim


def test_rare_words_weigh_more_than_common_ones_and_than_short_ones():
    assert RARITY("choir") > RARITY("boile") > 0
    assert RARITY("choir") > RARITY("a")
    assert RARITY("never") > RARITY("choir")


@pytest.mark.parametrize(("text", "count"), [("two words", 2), ("本の延長", 2), ("", 0), ("延長 please", 2)])
def test_two_characters_count_as_a_word_where_no_spaces_separate_words(text, count):
    assert word_count(plain_words(text)) == count


def test_nothing_is_like_a_text_without_words():
    assert Passage(()).traces(TEXT, RARITY) == []
    assert Passage(TEXT).traces((), RARITY) == []
