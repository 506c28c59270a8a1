"""What is read of a text, and where it stands in the original."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunegate.harness.checks.text.reading import read, signs, verbatim


def test_a_text_is_read_as_a_reader_sees_it():
    for written, seen in [
        ("plain words", "plain words"),
        ("  two\t spaces ", "two spaces"),
        ("a line\nand  \n\n\n another", "a line\nand\n\nanother"),
        ("**bo**ld, _leaning_, ~~gone~~, `code`", "bold, leaning, gone, code"),
        ("2 * 3 * 4, snake_case_name, a*b", "2 * 3 * 4, snake_case_name, a*b"),
        ("# Title\n> said\n- one\n- two", "Title\nsaid\n\none\n\ntwo"),
        ("a [link](https://x.example 'y') here", "a [link](https://x.example 'y') here"),
        ('a [link](https://x.example "y") and ![a picture](b.png)', "a link and a picture"),
        ("<p>one</p><p>two<br>three</p>", "one\n\ntwo\nthree"),
        ("a <b>b</b> < c &amp; d&#33; <!-- no --> e", "a b < c & d! e"),
        ("<!DOCTYPE html><?xml v?><my-tag x='y'>a</my-tag><o:p/><FONT color=red>b</FONT>", "ab"),
        ("Your <technician name>, <item>a</item>, <x/>", "Your <technician name>, a, <x/>"),
        ("\\*not emphasis\\*", "*not emphasis*"),
        ("z\u200bero, so\u00adft, \ufeffmark", "zero, soft, mark"),
        ("ｗｉｄｅ, ﬁne, cafe\u0301, ﾊﾞ", "wide, fine, café, バ"),
        ("bоіler", "boiler"),
        ("Его сор вынесли", "Его сор вынесли"),
        ("5 µm at Ω", "5 μm at Ω"),
        ("", ""),
    ]:
        assert read(written, "en").text == seen


def test_what_is_read_has_its_place_in_the_original():
    written = "Your **boi**l\u200ber: ﬁne."
    reading = read(written, "en")

    for seen, original in {"Your": "Your ", "boiler": "boi**l\u200ber", "fine": "ﬁne"}.items():
        start = reading.text.index(seen)
        span = slice(*reading.span(start, start + len(seen)))
        assert written[span].strip(" *") == original.strip()


@given(st.text())
def test_every_character_has_a_place_and_the_places_are_in_order(text):
    for reading in (read(text), read(text).folded, read(text, "tr").folded):
        assert len(reading.at) == len(reading.text) + 1
        assert list(reading.at) == sorted(reading.at)
        assert all(0 <= place <= len(text) for place in reading.at)


def test_case_follows_the_language():
    assert read("IŞIK İzmir", "tr").folded.text == "ışık izmir"
    assert read("STRASSE Straße", "de").folded.text == "strasse strasse"


def test_a_denial_stands_shortly_before_in_the_same_clause():
    for text, language, word, denied in [
        ("This is not a boiler.", "en", "boiler", True),
        ("It isn't a boiler.", "en", "boiler", True),
        ("Not only a boiler.", "en", "boiler", False),
        ("No, the boiler.", "en", "boiler", False),
        ("No word is too much about our fine boiler.", "en", "boiler", False),
        ("Das ist kein Kessel.", "de", "Kessel", True),
        ("Das ist kein Kessel.", "en", "Kessel", False),
        ("Ce n'est pas une chaudière.", "fr", "chaudière", True),
    ]:
        assert read(text, language).is_denied(text.index(word)) is denied


def test_a_word_between_quotation_marks_is_quoted():
    for text in [
        'the word "boiler" is', "the word “boiler” is", "das Wort „boiler“ ist",
        "le mot « boiler » est", "说“boiler”吧",
    ]:  # fmt: skip
        start = text.index("boiler")
        ((left, right),) = read(text).quoted

        assert left < start < start + len("boiler") < right


@pytest.mark.parametrize(
    "text", ['He said "come" and a boiler, "now".', "The tenants' boiler isn't the owners' boiler"]
)
def test_a_word_between_two_quotations_is_not(text):
    start = text.index("boiler")

    assert not any(left <= start < right for left, right in read(text).quoted)


def test_signs_keep_markup():
    assert signs("**no**\u200b！") == "**no**!"


def test_a_text_that_counts_word_for_word_may_differ_in_what_cannot_be_seen():
    assert verbatim("it\u2019s \u201cso\u201d\n  so\u00adft, cafe\u0301") == 'it\'s "so" soft, café'
    assert verbatim("**no** ﬁt аnd") == "**no** ﬁt аnd"


def test_hostile_texts_are_read_in_bounded_time():
    for text in [
        "*a" * 10_000, "<!--" * 5_000, "[a](" * 5_000, "a\u0301\u0316" * 6_000, "оа " * 6_000,
        '"a ' * 6_000, "a" + "\u0301" * 20_000, "> \n" * 6_000, "a@" * 10_000,
    ]:  # fmt: skip
        started = time.process_time()
        reading = read(text, "en")
        _ = reading.folded, reading.quoted, reading.addresses

        assert time.process_time() - started < 10
