"""Every format is asserted in every draft; what the library reads otherwise has examples of its own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunegate.harness.checks.schema.dialects import DRAFTS
from tunegate.harness.checks.schema.formats import FORMATS, INTEGERS, MAX_TEXT
from tunegate.harness.checks.schema.validator import violations

EXAMPLES = {  # good, bad
    "date": ("2024-02-29", "2023-02-29"),
    "date-time": ("1998-12-31T23:59:60Z", "1998-12-31T23:58:60Z"),
    "duration": ("P1Y2M3DT4H5M6S", "P1Y1W"),
    "email": ('"x y"@b.c', "a..b@c"),
    "hostname": ("r3---sn.example.com", "xn--X"),
    "idn-email": ("\xe9@\xe9.fr", "2962"),
    "idn-hostname": ("\uc2e4\ub840.\ud14c\uc2a4\ud2b8", "cafe\u0301.com"),
    "ipv4": ("127.0.0.1", "127.0.0.01"),
    "ipv6": ("::ffff:1.2.3.4", "fe80::1%eth0"),
    "iri": ("http://\xe9/", "/\xe9"),
    "iri-reference": ("//\u0192/\xe9?\ue000", "/\ue000"),
    "json-pointer": ("/a~0~1", "/~2"),
    "regex": ("^a$", "("),
    "relative-json-pointer": ("10#", "01"),
    "time": ("01:29:60+01:30", "22:59:60Z"),
    "uri": ("http://[v1.a]/", "http://a/%zz"),
    "uri-reference": ("a/b:c", "\\\\x"),
    "uri-template": ("http://x/{a:1}{?b*,c}", "{ a}"),
    "uuid": ("2EB8AA08-aa98-11ea-b4aa-73b441d16380", "2eb8aa08aa9811eab4aa73b441d16380"),
}
OLDEST = next(iter(DRAFTS))
BEYOND = [(low, high) for low, high in [(-129, 128), (-32769, 32768), (-(2**31) - 1, 2**31), (-(2**63) - 1, 2**63)]]
BEYOND += [(-1, 2**bits) for bits in (8, 16, 32, 64)]


def conforms(name, value, draft=OLDEST):
    return not list(violations({"$schema": draft, "format": name}, value))


@pytest.mark.parametrize("draft", DRAFTS)
@pytest.mark.parametrize("name", FORMATS)
def test_a_format_is_asserted_in_every_draft(draft, name):
    good, bad = EXAMPLES[name]

    assert conforms(name, good, draft)
    assert not conforms(name, bad, draft)
    assert not conforms(name, good + "x" * MAX_TEXT, draft)
    assert conforms(name, 5, draft)


@given(st.sampled_from(sorted(FORMATS)), st.text(alphabet=st.characters(codec=None), max_size=20))
def test_any_text_is_checked_without_an_exception(name, text):
    assert conforms(name, text) in {True, False}


@pytest.mark.parametrize(("name", "beyond"), [*zip(INTEGERS, BEYOND, strict=True)])
def test_a_width_of_whole_numbers_is_held_at_both_ends(name, beyond):
    low, high = beyond

    assert [conforms(name, value) for value in (low, low + 1, high - 1, high)] == [False, True, True, False]
    assert [conforms(name, value) for value in (1.0, 1.5, 1e300, "text", True)] == [True, False, False, True, True]


def test_what_breaks_a_width_is_said_of_its_format():
    (finding,) = violations({"properties": {"a": {"format": "int8"}}}, {"a": 300})

    assert str(finding) == "schema.format at a: 300 is not a valid int8"
    assert conforms("no such format", "text")
