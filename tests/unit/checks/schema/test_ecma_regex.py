from __future__ import annotations

import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunegate.harness.checks.schema.ecma_regex import MAX_PATTERN, NotAPattern, compiled


@pytest.mark.parametrize(
    ("pattern", "found", "not_found"),
    [
        (r"^\d$", "1", "\u0661"),
        (r"^\D$", "\u0661", "1"),
        (r"^\w$", "a", "\xe9"),
        (r"^\W$", "\xe9", "_"),
        (r"^\s$", "\ufeff", "\x85"),
        (r"^\S$", "\x85", "\u2003"),
        (r"\bb\b", "\xe9b", "ab"),
        (r"a\Bb", "ab", "a b"),
        ("^a$", "a", "a\n"),
        ("^.$", "\x85", "\u2028"),
        (r"^\p{L}+$", "\xe9t\xe9", "1"),
        (r"^[\p{L}-]$", "-", "1"),
        (r"^\P{Script=Greek}$", "a", "\u03b1"),
        (r"^\u{1F600}$", "\U0001f600", "\U0001f601"),
        (r"^\ud83d\ude00$", "\U0001f600", "\U0001f601"),
        ("^[\\ud83d\\ude00-\\ud83d\\ude02]$", "\U0001f601", "\U0001f603"),
        (r"^\x41\u0042\cA\0$", "AB\x01\0", "AB"),
        (r"^\/\-\@\.$", "/-@.", "/-@x"),
        (r"^[\w-.]$", "-", "/"),
        ("^[a-z&&[b]]$", "&]", "b"),
        (r"^[^\D]$", "1", "a"),
        (r"^[\b]$", "\b", "b"),
        (r"^[]|x$", "x", "y"),
        ("^[^]$", "\n", ""),
        ("^a{e}]$", "a{e}]", "a]"),
        ("^a{2,3}?$", "aa", "a"),
        ("^.{0,1000000}$", "aa", "a\n"),
        ("^(?:ab?){9999}$", "a" * 9_999, "a" * 9_998),
        (r"^(a)|b\1$", "b", "c"),
        (r"^(?:(a)|b)\1$", "aa", "ba"),
        (r"^(?<x>a|b)\k<x>$", "bb", "ba"),
        (r"\k<x>(?<x>a)", "a", "b"),
        ("(?<!a)b(?=c)(?!cd)", "xbc", "abc"),
        ("(?<=\\d{2})b", "12b", "1b"),
    ],
)
def test_a_pattern_means_what_ecmascript_means(pattern, found, not_found):
    assert compiled(pattern).search(found)
    assert not compiled(pattern).search(not_found)


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        (r"a\Z", r"\Z, which ECMA-262 does not have; write $"),
        (r"\Aa", r"\A, which ECMA-262 does not have; write ^"),
        (r"\a", r"\a, which ECMA-262 does not have"),
        (r"\08", r"\0, which ECMA-262 does not have"),
        ("a\\", "a \\ at the end"),
        ("[\\", "a \\ at the end"),
        ("(?P<a>b)", "(?P<, a group that ECMA-262 does not have"),
        ("(?>a)", "(?>a, a group"),
        ("(?i)a", "(?i), a group"),
        ("(?#x)", "(?#x, a group"),
        ("a++", "nothing to repeat before +"),
        ("a{2}{3}", "nothing to repeat before {3}"),
        ("^*", "nothing to repeat before *"),
        ("(?<=a)*", "nothing to repeat before *"),
        ("a|*", "nothing to repeat before *"),
        ("a{3,2}", "{3,2}, from more to fewer"),
        ("[b-a]", "a range in [ ] that runs backwards"),
        ("(", "a ( without its )"),
        (")", "a ) without its ("),
        ("[a", "a [ without its ]"),
        (r"(a)\2", r"\2, but there is no such group"),
        (r"\k<a>", r"\k<a>, but there is no such group"),
        ("(?<a>b)(?<a>c)", "two groups of one name"),
        (r"\u{110000}", r"\u{110000}, beyond all characters"),
        (r"\p{Nonsense}", "unknown property"),
        ("(" * 900 + ")" * 900, "groups within groups without end"),
        ("a" * (MAX_PATTERN + 1), "more than 2,000 characters"),
        ("(?:a?){9999}" * 3, "repeats of more than 20,000 characters"),
        ("(?:(?:a{9999}){9999}){9999}", "repeats of more than 20,000 characters"),
    ],
    ids=lambda text: text[:20],
)
def test_what_is_no_pattern_is_refused_with_the_reason(pattern, why):
    with pytest.raises(NotAPattern, match=re.escape(why)):
        compiled(pattern)


@given(
    st.text(alphabet="ab01[](){}^$.*+?|\\-,:=!<>duwsbkpPLx/", max_size=12), st.text(alphabet="ab01[]-{}", max_size=6)
)
def test_any_text_is_a_pattern_or_is_refused(pattern, text):
    with suppress(NotAPattern):
        compiled(pattern).search(text, timeout=1)


@given(st.text(min_size=1, max_size=8))
def test_an_escaped_text_matches_itself_alone(text):
    escaped = "".join(char if char.isalnum() or char == "_" else f"\\u{{{ord(char):x}}}" for char in text)

    assert compiled(f"^{escaped}$").search(text)
    assert not compiled(f"^{escaped}$").search(text + "\n")
