"""What others wrote is text wherever it is shown: no control sequence, no command, no markup, and nothing unseen."""

from __future__ import annotations

import json
import sys

import regex
from hypothesis import given
from hypothesis import strategies as st

from tunegate.harness.core.escaping import shown, shown_in_json, shown_in_markdown, shown_lines

ANY = st.text(st.characters(exclude_categories=()), max_size=30)
# by Unicode's own properties: controls, halves of pairs, separators, what is ignorable, what turns text round
UNSEEN = regex.compile(r"[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\p{Bidi_Control}]")


def is_command(line: str) -> bool:
    """Whether GitHub's runner takes a line for a command, in either of its forms."""
    return line.lstrip().startswith("::") or "##[" in line


def test_everything_that_cannot_be_seen_is_written_as_an_escape():
    unseen = [chr(code) for code in range(sys.maxunicode + 1) if UNSEEN.match(chr(code))]
    assert len(unseen) > 6000
    assert [f"{ord(each):04x}" for each in unseen if shown(each) == each] == []


def test_a_text_in_a_line():
    for text, seen in [
        ("caf\u00e9 \u4f60\u597d \U0001f600 a\u00a0b", "caf\u00e9 \u4f60\u597d \U0001f600 a\u00a0b"),
        ("a\x1b[31mred", r"a\x1b[31mred"),
        ("\x1b]8;;http://x\x07link", r"\x1b]8;;http://x\x07link"),
        ("user\u202etxt.exe", r"user\u202etxt.exe"),
        ("a\u200bb\ufeff", r"a\u200bb\ufeff"),
        ("tag \U000e0041", r"tag \U000e0041"),
        ("half \ud83d", r"half \ud83d"),
        ("two\nlines\r\tand a tab", r"two\nlines\r\tand a tab"),
        ("::error::forged", r"\::error::forged"),
        (" \u00a0 ::error::indented", " \u00a0 \\::error::indented"),
        ("##[group]old", r"#\#[group]old"),
        ("told ###[error]late", r"told ##\#[error]late"),
        ("##vso[task.complete]", r"#\#vso[task.complete]"),
        ("std::vector, ## [a link]", "std::vector, ## [a link]"),
    ]:
        assert shown(text) == seen


def test_a_text_of_several_lines_keeps_its_line_breaks_and_no_command():
    text = "first\n::error::second\n\t::warning::third\r::notice::fourth\u2028::fifth"
    assert shown_lines(text) == ("first\n\\::error::second\n\t\\::warning::third\\r::notice::fourth\\u2028::fifth")


@given(ANY)
def test_no_text_stays_a_command_and_to_escape_twice_is_to_escape_once(text):
    for escape in (shown, shown_lines):
        once = escape(text)
        assert not any(is_command(line) for line in once.split("\n"))
        assert escape(once) == once
        once.encode("utf-8")
    assert "\n" not in shown(text)


@given(st.recursive(ANY, lambda inner: st.lists(inner) | st.dictionaries(ANY, inner), max_leaves=5))
def test_json_keeps_its_value_and_holds_no_command(value):
    text = shown_in_json(json.dumps(["##[group]", value], indent=1))
    assert json.loads(text) == json.loads(json.dumps(["##[group]", value]))
    assert not any(is_command(line) for line in text.split("\n"))


def test_a_text_in_markdown():
    for text, seen in [
        ("a_b c_03, 97.5 %", "a_b c_03, 97.5 %"),
        ("<script>alert(1)</script> & more", "&lt;script&gt;alert(1)&lt;/script&gt; &amp; more"),
        ("a | b", "a &verbar; b"),
        ("![x](http://y) [z](w)", r"!\[x\](http://y) \[z\](w)"),
        ("`code` *bold* _it_ \\", r"\`code\` \*bold\* \_it\_ \\"),
        ("one\n\n# two", "one # two"),
        ("\u202eback", r"\u202eback"),
    ]:
        assert shown_in_markdown(text).replace("\\\\u", "\\u") == seen
