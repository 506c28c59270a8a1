from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunegate.harness.checks.schema.formats import FORMATS, INTEGERS, MAX_TEXT, conforms

LONG = [
    "a" * MAX_TEXT, "a." * 1000, "xn--" + "a" * 59, ("xn--" + "a" * 59 + ".") * 30, "\u0375" * 63, "\u05d0" * 63 + ".1",
    "\u200d" * 63, "ab@" * 600, '"' + "\\" * 1990 + '"@b', "http://" + ":" * 1900, "http://[" + ":" * 1900 + "]",
    "{a," * 600, "P" + "1Y" * 900, "/~0" * 600, "%41" * 600, "::" * 900, "1" * MAX_TEXT, "2020-01-01T" + "0" * 1900,
]  # fmt: skip

GOOD = [
    ("date", "2024-02-29"),
    ("iri-reference", "//\u0192/\xe9?\ue000"),
    ("iri-reference", ""),
    ("uri", "http://a/b?c#d"),
    ("uri", "urn:x:y"),
    ("uri", "mailto:a@b"),
    ("uri", "http://[::1]:80/"),
    ("uri", "http://a:b@c"),
    ("uri", "file:///x"),
    ("uri", "a:"),
    ("uri", "http://[v1.a]/"),
    ("uri", "tel:+1-816"),
    ("uri", "ldap://[2001:db8::7]/c=GB?objectClass?one"),
    ("uri-reference", ""),
    ("uri-reference", "/a"),
    ("uri-reference", "//a"),
    ("uri-reference", "?x"),
    ("uri-reference", "#f"),
    ("uri-reference", "a/b:c"),
    ("uri-reference", ".."),
    ("iri", "http://\u0192\xf8\xf8.com/?\u2202\xe9\u0153=\u03c0\xeex#\u03c0\xee\xfcx"),
    ("iri", "http://\xe9/"),
    ("email", "a@b"),
    ("email", '"x y"@b.c'),
    ("email", '"a\\"b"@c'),
    ("email", "a@[127.0.0.1]"),
    ("email", "a@[IPv6:::1]"),
    ("email", "te~st@example.com"),
    ("email", "a-b+c@d-e.f"),
    ("idn-email", "\xe9@\xe9.fr"),
    ("idn-email", "\uc2e4\ub840@\uc2e4\ub840.\ud14c\uc2a4\ud2b8"),
    ("idn-email", "joe@example.com"),
    ("idn-email", "user@cafe\u0301.com"),
    ("hostname", "a"),
    ("hostname", "a.b-c.d"),
    ("hostname", "xn--4gbwdl.xn--wgbh1c"),
    ("hostname", "ab--cd"),
    ("hostname", "1.2"),
    ("idn-hostname", "\uc2e4\ub840.\ud14c\uc2a4\ud2b8"),
    ("idn-hostname", "a.b"),
    ("idn-hostname", "a.\u05d0"),
    ("idn-hostname", "0a.b"),
    ("idn-hostname", "fa\xdf.de"),
    ("idn-hostname", "a\u3002b"),
    ("date-time", "1963-06-19T08:30:06.28Z"),
    ("date-time", "1998-12-31T23:59:60Z"),
    ("date-time", "1998-12-31t15:59:60.123-08:00"),
    ("duration", "P1Y"),
    ("duration", "P1W"),
    ("duration", "PT1H"),
    ("duration", "P1DT1M"),
    ("duration", "P1Y2M3DT4H5M6S"),
    ("duration", "PT36H"),
    ("duration", "P0D"),
    ("json-pointer", ""),
    ("json-pointer", "/"),
    ("json-pointer", "/a~0~1"),
    ("relative-json-pointer", "0"),
    ("relative-json-pointer", "1/a"),
    ("relative-json-pointer", "10#"),
    ("relative-json-pointer", "0#"),
    ("uri-template", ""),
    ("uri-template", "http://x/{a:1}{?b*,c}"),
    ("uri-template", "{+a}"),
    ("uuid", "2EB8AA08-aa98-11ea-b4aa-73b441d16380"),
    ("ipv4", "127.0.0.1"),
    ("ipv4", "255.0.0.9"),
    ("ipv6", "::"),
    ("ipv6", "::1"),
    ("ipv6", "::ffff:1.2.3.4"),
    ("time", "08:30:06Z"),
    ("time", "23:59:60Z"),
    ("time", "01:29:60+01:30"),
    ("time", "00:29:60-23:30"),
    ("regex", "^a$"),
]
BAD = [
    ("date", "2023-02-29"),
    ("date", "20240229"),
    ("iri-reference", "/\ue000"),
    ("iri-reference", "a b"),
    ("uri", "//a/b"),
    ("uri", "/a"),
    ("uri", "a b:"),
    ("uri", "http://a b"),
    ("uri", "http://a:8x/"),
    ("uri", "1a:b"),
    ("uri", ":a"),
    ("uri", "http://[::1"),
    ("uri", "http://[zz]/"),
    ("uri", "http://\xe9/"),
    ("uri", "http://a/%zz"),
    ("uri", "bar,baz:x"),
    ("uri", "\\a"),
    ("uri", "http://[::1]x/"),
    ("uri", "http://a^/"),
    ("uri", "http://a/#a#b"),
    ("uri-reference", "a b"),
    ("uri-reference", "\\\\x"),
    ("uri-reference", "#ff\\"),
    ("uri-reference", "1:b/:"),
    ("iri", "http://\xe9 \xe9/"),
    ("iri", "/\xe9"),
    ("iri", "http://2001:0db8:85a3:0000:0000:8a2e:0370:7334 "),
    ("email", "@"),
    ("email", "a"),
    ("email", "a@"),
    ("email", "a b@c"),
    ("email", "a..b@c"),
    ("email", "a@-b"),
    ("email", "a@[127.0.0.300]"),
    ("email", "a@b@c"),
    ("email", "\xe9@b"),
    ("email", "a@[x]"),
    ("idn-email", "2962"),
    ("idn-email", "a@b c"),
    ("hostname", ""),
    ("hostname", "."),
    ("hostname", "a."),
    ("hostname", "-a"),
    ("hostname", "a-"),
    ("hostname", "a_b"),
    ("hostname", "xn--X"),
    ("hostname", "\xe9"),
    ("hostname", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
    ("hostname", "XN--aa---o47jg78q"),
    ("hostname", "a\n"),
    ("idn-hostname", ""),
    ("idn-hostname", "0a.\u05d0"),
    ("idn-hostname", "cafe\u0301.com"),
    ("idn-hostname", "."),
    ("idn-hostname", "a."),
    ("idn-hostname", "\u302e\uc2e4\ub840.\ud14c\uc2a4\ud2b8"),
    ("idn-hostname", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
    ("idn-hostname", "-a"),
    ("idn-hostname", "\u0375S"),
    ("idn-hostname", "l\xb7a"),
    ("date-time", "1998-12-31T23:58:60Z"),
    ("date-time", "1990-02-31T15:59:59Z"),
    ("date-time", "1990-01-01T24:00:00Z"),
    ("date-time", "1990-01-01 00:00:00Z"),
    ("date-time", "1990-01-01T00:00:00+24:00"),
    ("date-time", "1963-06-1\u09eaT00:00:00Z"),
    ("date-time", "2020-01-01T00:00:00"),
    ("duration", "P"),
    ("duration", "PT"),
    ("duration", "P1YT"),
    ("duration", "1Y"),
    ("duration", "P1Y1W"),
    ("duration", "PT1D"),
    ("duration", "P2D1Y"),
    ("duration", "P1"),
    ("duration", "P1Y2D"),
    ("duration", "PT1H1S"),
    ("duration", "P\u09e7Y"),
    ("json-pointer", "a"),
    ("json-pointer", "/~"),
    ("json-pointer", "/~2"),
    ("json-pointer", "#/a"),
    ("relative-json-pointer", ""),
    ("relative-json-pointer", "/a"),
    ("relative-json-pointer", "01"),
    ("relative-json-pointer", "-1/a"),
    ("relative-json-pointer", "0##"),
    ("relative-json-pointer", "1a"),
    ("relative-json-pointer", "+1/a"),
    ("relative-json-pointer", "0/~2"),
    ("uri-template", "{"),
    ("uri-template", "{}"),
    ("uri-template", "{a"),
    ("uri-template", "http://x/{a:1}/{b"),
    ("uri-template", "<"),
    ("uri-template", "{ a}"),
    ("uuid", "2eb8aa08-aa98-11ea-b4aa-73b441d1638"),
    ("uuid", "2eb8aa08aa9811eab4aa73b441d16380"),
    ("ipv4", "127.0.0"),
    ("ipv4", "127.0.0.01"),
    ("ipv4", "1\u09e87.0.0.1"),
    ("ipv4", "256.1.1.1"),
    ("ipv4", "0x7f.1.1.1"),
    ("ipv6", "fe80::1%eth0"),
    ("ipv6", "::1/64"),
    ("ipv6", "12345::"),
    ("ipv6", ":2:3:4:5:6:7:8"),
    ("ipv6", "::1 "),
    ("time", "22:59:60Z"),
    ("time", "08:30:06"),
    ("time", "08:30:06+00"),
    ("time", "24:00:00Z"),
    ("regex", "("),
    ("regex", "\\Z"),
]


@pytest.mark.parametrize(("name", "text"), GOOD)
def test_good_texts_conform(name, text):
    assert conforms(name, text)


@pytest.mark.parametrize(("name", "text"), BAD)
def test_bad_texts_do_not(name, text):
    assert not conforms(name, text)


def test_every_format_is_tried_both_ways():
    assert {name for name, _ in GOOD} == {name for name, _ in BAD} == set(FORMATS)


@pytest.mark.parametrize("name", FORMATS)
def test_long_texts_take_no_time(name):
    started = time.process_time()

    assert not conforms(name, "x" * (MAX_TEXT + 1))
    for text in LONG:
        conforms(name, text)

    assert time.process_time() - started < 1


@given(st.sampled_from(sorted(FORMATS)), st.text(alphabet=st.characters(codec=None), max_size=20))
def test_any_text_is_checked_without_an_exception(name, text):
    assert conforms(name, text) in {True, False}


@pytest.mark.parametrize("name", INTEGERS)
def test_a_width_of_whole_numbers_is_held_at_both_ends(name):
    bits, unsigned = int(name.removeprefix("u").removeprefix("int")), name.startswith("u")
    low, high = (0, 2**bits - 1) if unsigned else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)

    assert conforms(name, low)
    assert conforms(name, high)
    assert conforms(name, 1.0)
    assert not conforms(name, low - 1)
    assert not conforms(name, high + 1)
    assert not conforms(name, 1.5)
    assert not conforms(name, 1e300)


def test_a_format_says_nothing_of_values_of_another_kind():
    assert conforms("int32", "text")
    assert conforms("int32", True)
    assert conforms("date", 5)
    assert conforms("no such format", "text")
