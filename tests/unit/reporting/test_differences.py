"""What differs between two outputs, which no clipping may hide."""

from __future__ import annotations

import random
import time

from hypothesis import given
from hypothesis import strategies as st

from tunegate.harness.reporting.differences import Field, Piece, changed_fields, difference_lines, word_pieces


def test_texts_differ_by_word():
    assert word_pieces("Snow is white.", "Snow is grey.") == (
        Piece("same", "Snow is "), Piece("before", "white"), Piece("now", "grey"), Piece("same", "."),
    )  # fmt: skip


SENTENCES = st.lists(st.sampled_from(["One. ", "Two, and more? ", "a b c ", "\n", "x.y"]), max_size=400).map("".join)


@given(SENTENCES, SENTENCES)
def test_the_pieces_of_long_texts_do_too(before: str, now: str):
    test_the_pieces_of_each_side_make_up_its_text.hypothesis.inner_test(before, now)


@given(st.text(), st.text())
def test_the_pieces_of_each_side_make_up_its_text(before: str, now: str):
    pieces = word_pieces(before, now)
    for side, text in (("before", before), ("now", now)):
        assert "".join(piece.text for piece in pieces if piece.side in ("same", side)) == text


def test_long_texts_differ_as_a_whole_between_what_is_the_same():
    before, now = ("start " + " ".join(word for _ in range(3000)) + " end" for word in ("a", "b"))
    assert [piece.side for piece in word_pieces(before, now)] == ["same", "before", "now", "same"]


def test_two_far_edits_of_a_long_prompt_differ_by_word():
    rules = [f"{number}. Answer what is asked about matter {number}.\n" for number in range(200)]
    edited = [*rules[:3], "3. Answer what is asked about topic 3.\n", *rules[4:190], *rules[191:]]
    pieces = word_pieces("".join(rules), "".join(edited))
    assert [(piece.side, piece.text) for piece in pieces if piece.side != "same"] == [
        ("before", "matter"), ("now", "topic"), ("before", rules[190]),
    ]  # fmt: skip


def test_long_texts_without_sentences_differ_as_a_whole():
    before, now = (" ".join(f"{word}{n}" for n in range(600)) for word in ("a", "b"))
    assert [piece.side for piece in word_pieces(before, now)] == ["before", "now"]


def test_json_differs_by_field():
    before, now = '{"kind": "order", "items": [{"n": 1}], "gone": null}', '{"items": [{"n": 2}, {}], "kind": "order"}'
    assert changed_fields(before, now) == (
        Field("items[0].n", "1", "2"), Field("gone", "null", ""), Field("items[1]", "", "{}"),
    )  # fmt: skip


def test_a_side_that_is_no_json_has_no_fields():
    assert changed_fields('{"a": 1}', '{"a": 1') == ()
    assert changed_fields("1", "2") == ()
    assert changed_fields(None, '{"a": 1}') == ()


def test_a_difference_far_inside_a_long_text_is_shown():
    long = "the same words over and over " * 40
    assert list(difference_lines(f"{long}yes {long}", f"{long}no {long}")) == [
        "before: ... r and over the same words over and over yes the same words over and over the same w ...",
        "now:    ... r and over the same words over and over no the same words over and over the same w ...",
    ]


def test_fields_of_json_are_shown_with_both_sides():
    assert list(difference_lines('{"a": 1, "b": "x"}', '{"a": 2}')) == ["a: 1 -> 2", 'b: "x" -> (none)']


def test_many_fields_are_counted():
    before, now = ("{" + ", ".join(f'"k{n}": {n + more}' for n in range(10)) + "}" for more in (0, 1))
    assert list(difference_lines(before, now))[-1] == "and 2 more fields"


def test_no_answer_is_said_to_be_none():
    assert list(difference_lines(None, "yes")) == ["before: (none)", "now:    yes"]


def test_what_a_model_wrote_moves_no_cursor():
    assert next(difference_lines("a\x1b[2J", '{"\x1b": 1}')) == "before: a\\x1b[2J"


def test_the_longest_texts_that_are_compared_by_word_take_no_time():
    before, now = (" ".join(random.Random(seed).choice("ab") for _ in range(250)) for seed in (1, 2))
    start = time.process_time()
    word_pieces(before, now)
    assert time.process_time() - start < 10
