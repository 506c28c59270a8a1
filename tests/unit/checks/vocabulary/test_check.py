from __future__ import annotations

import json
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunegate.harness.checks.registry import CHECKS, shipped_kinds
from tunegate.harness.checks.text.reading import read
from tunegate.harness.checks.text.words import inflections
from tunegate.harness.checks.vocabulary import check as vocabulary
from tunegate.harness.checks.vocabulary.check import KIND, VocabularyCheck, load
from tunegate.harness.checks.vocabulary.terms import read_terms
from tunegate.harness.core.authoring.validation import validate
from tunegate.harness.core.authoring.yaml_reader import read_yaml
from tunegate.harness.core.errors import AuthoringError, CouldNotRun

TERMS = """\
version: 1
language: en
terms:
  - id: heat-pump
    preferred: heat pump
    banned: [heating unit, warm box]
  - id: top-up
    preferred: top up
    banned: [refill]
    forms: [topped up]
  - id: account
    preferred: customer account
    banned: [caf, slot, time slot]
wording:
  - id: gas
    text: "If you smell gas, don't light a flame: leave the building and call us."
  - id: right
    text: You can cancel within 14 days.
"""
GAS = "If you smell gas, don't light a flame: leave the building and call us."


@pytest.fixture
def make(tmp_path):
    """Load a check as a fixture file with `check: {terms: terms.yaml}` on line 2 would."""

    def build(text=TERMS, name="terms.yaml"):
        (tmp_path / "terms.yaml").write_text(text, "utf-8")
        path = tmp_path / "fixture.yaml"
        path.write_text(f"suite: vocabulary\ncheck: {{terms: {name}}}\n")
        document = read_yaml(path)
        return load(document.data["check"], document, ("check",))

    return build


def mistakes(make, *args):
    with pytest.raises(AuthoringError) as caught:
        make(*args)
    return list(caught.value.problems)


def only(preferred="boiler", banned=(), forms=(), language="en"):
    """A check with one term."""
    term = {"id": "t", "preferred": preferred, "banned": list(banned), "forms": list(forms)}
    return VocabularyCheck({"version": 1, "language": language, "terms": [term]})


def uses(output, **term):
    return only(**term)(output, {"terms": ["t"]}, "").rates["terms"]


def clean(output, *banned, language="en"):
    return only("zzz", banned, language=language)(output, {}, "").rates["clean"]


def test_rates_are_those_asked_for(make):
    check = make()

    everything = check(f"Your heat pump is fine. {GAS}", {"terms": ["heat-pump"], "wording": ["gas"]}, "")
    assert (everything.score, everything.findings) == (1.0, ())
    assert dict(everything.rates) == {"terms": True, "wording": True, "clean": True}
    assert dict(check("Fine.", {"wording": ["gas"]}, "").rates) == {"wording": False, "clean": True}
    assert dict(check("Fine.", {"terms": ["heat-pump"]}, "").rates) == {"terms": False, "clean": True}
    assert dict(check("A warm box.", None, "").rates) == {"clean": False}


def test_what_a_case_asks_for_does_not_depend_on_the_answer(make):
    check = make()

    for expect in (None, {"wording": ["gas"]}, {"terms": ["heat-pump"], "wording": ["gas"]}):
        assert check.parts(expect) == check("Fine.", expect, "").rates.keys()


def test_a_missing_term_is_named(make):
    outcome = make()("We will refil it.", {"terms": ["heat-pump", "top-up"]}, "")

    assert outcome.score == 0.0
    assert [str(finding) for finding in outcome.findings] == [
        'vocabulary.term: the output does not use the term "heat pump"',
        'vocabulary.term: the output does not use the term "top up"',
    ]


def test_every_term_of_the_file_bans_its_variants(make):
    outcome = make()("Your heat pump, not the Heating  Units, can be refilled.", {"terms": ["heat-pump"]}, "")

    assert dict(outcome.rates) == {"terms": True, "clean": False}
    assert outcome.score == 0.0
    first, second = [finding.message for finding in outcome.findings]
    assert first.startswith('"Heating Units" is banned, the term is "heat pump": "...')
    assert "not the Heating Units, can be" in first
    assert second.startswith('"refilled" is banned, the term is "top up"')


def test_regular_inflections_count():
    for seen in [
        "boiler", "Boiler", "BOILERS", "boiler's", "boilers\u2019", "boilered", "(boiler)",
        "boiler.",
    ]:  # fmt: skip
        assert uses(f"The {seen} here")
        assert not clean(f"The {seen} here", "boiler")


def test_inflections_of_english_words():
    for word, forms in [
        ("supply", ["supplies", "supplied", "supplying", "supply's"]),
        ("valve", ["valves", "valved", "valving"]),
        ("switch", ["switches", "switched", "switching"]),
        ("stop", ["stops", "stopped", "stopping"]),
        ("day", ["days", "day's"]),
        ("boss", ["bosses", "boss'"]),
        ("PCB", ["PCBs"]),
        ("24/7", ["24/7's"]),
    ]:
        assert set(forms) <= set(inflections(word))
        for form in forms:
            assert uses(f"x {form}, y", preferred=word)


def test_irregular_spellings_are_not_invented():
    for word in ["day", "valve", "boiler"]:
        wrong = {"day": "daies", "valve": "valveed", "boiler": "boileres"}[word]

        assert wrong not in inflections(word)


def test_parts_of_other_words_are_not_the_word():
    for output, banned in [
        ("a caf\u00e9", "caf"),
        ("a cafe\u0301", "caf"),
        ("re-slot it", "slot"),
        ("slot-like", "slot"),
        ("slots2", "slot"),
        ("an e-mail", "mail"),
        ("Gro\u00dfboiler", "boiler"),
        ("\u043f\u0440\u0438boiler", "boiler"),
        ("time and slot", "time slot"),
        ("x", "y"),
    ]:
        assert clean(output, banned)


def test_banned_words_are_seen_however_written():
    for output, banned in [
        ("caf\u00e9s", "cafe\u0301"),
        ("CAFE\u0301", "caf\u00e9"),
        ("\u010cERPADLO", "\u010derpadlo"),
        ("a time\n   slot", "time slot"),
        ("a time\u00a0slot", "time slot"),
        ("a time-slot", "time slot"),
        ("a follow\u2011up call", "follow-up call"),
        ("boiler- and heating", "boiler"),
        ("the boiler\u2014ours", "boiler"),
        ("slot/visit", "slot"),
        ("Your <visit slot> is free.", "visit slot"),
        ("_slot_".replace("_", "*"), "slot"),
        ("it is c++.", "C++"),
        ("what's it", "what\u2019s"),
    ]:
        assert not clean(output, banned)


def test_listed_forms_count():
    assert not uses("we flushed it through", preferred="powerflush")
    assert uses("we flushed it through", preferred="powerflush", forms=["flushed it through"])


def test_a_term_is_seen_as_its_language_writes_it():
    for language, term, output in [
        ("en-GB", "boiler", "both boilers"),
        ("en", "top up", "we topped it up, then topped up the rest"),
        ("de-AT", "Wartung", "ein Wartungsvertrag"),
        ("ja", "ボイラー", "お客様のボイラーは正常です"),
    ]:
        assert uses(output, preferred=term, language=language)
        assert not clean(output, term, language=language)


def test_another_word_of_the_language_is_not_the_term():
    for language, term, output in [
        ("ja", "パン", "パンフレット"),
        ("en", "saw", "we see it"),
        ("en", "heating gas", "to heat gas"),
        ("ru", "сор", "the cop"),
        ("az", "sıkıldım", "SİKİLDİM"),
    ]:
        assert clean(output, term, language=language)


def test_what_a_reader_does_not_see_hides_no_term():
    for output in [
        "bo\u200bi\u00adler", "ｂｏｉｌｅｒ", "bоiler", "**boi**ler", "b<b>oi</b>ler", "boi&shy;ler",
        "_boiler_", "[boiler](a)",
    ]:  # fmt: skip
        assert not clean(f"Your {output} is fine.", "boiler")


def test_an_address_uses_no_term():
    for output in ["a@boiler.com", "https://x.example/boiler", "[it](boiler)", '<a href="boiler">']:
        assert clean(f"See {output} for it.", "boiler")


def test_a_banned_variant_is_shown_as_the_answer_has_it():
    (finding,) = only("zzz", ["boiler"])("Your **boi**l\u200ber hums.", {}, "").findings

    assert finding.message == (
        '"boi**l\\u200ber" is banned, the term is "zzz": "...Your **boi**l\\u200ber hums...."'
    )  # fmt: skip


def test_a_mention_is_banned_unless_the_file_allows_it():
    term = {"id": "t", "preferred": "heat pump", "banned": ["boiler"]}
    strict, lenient = (
        VocabularyCheck({"version": 1, "language": "en", "terms": [{**term, "mentions": mentions}]})
        for mentions in ("banned", "allowed")
    )
    for said, used in {
        'It is no "boiler".': False, "Not a boiler, a heat pump.": False, "Not only a boiler.": True,
        "No, the boiler.": True, 'That "boiler" is a boiler.': True,
    }.items():  # fmt: skip
        assert not strict(said, None, "").rates["clean"]
        assert lenient(said, None, "").rates["clean"] is not used, said


def test_each_banned_form_is_told_once():
    findings = only("zzz", ["slot"])("slot Slot slots " * 1000, {}, "").findings

    assert [finding.message.split()[0] for finding in findings] == ['"slot"', '"slots"']


def test_wording_may_differ_in_white_space_and_quotes(make):
    for output in [
        GAS, f"Hello. {GAS} Bye.", f"({GAS})", GAS.replace(" ", "\n  "), GAS.replace(" ", "\u00a0"),
        GAS.replace("'", "\u2019"), GAS.replace("smell", "sm\u00adell\u200b"), f"\u201c{GAS}\u201d",
        f"_{GAS}_", f"__{GAS}__", f"___{GAS}___", f"**{GAS}**",
    ]:  # fmt: skip
        assert make()(output, {"wording": ["gas"]}, "").rates["wording"]


def test_wording_may_not_differ_otherwise(make):
    for output in [
        GAS.lower(), GAS.replace("don't", "do not"), GAS.replace(":", ";"),
        GAS.replace("flame: leave", "flame:leave"), GAS.replace("building", "**building**"),
        GAS.replace("a", "\u0430"), GAS.replace("fl", "\ufb02"), GAS[:-1], "xIf" + GAS[2:], "",
        f"x_{GAS}", f"{GAS}_x", f"{GAS}\u0301",
    ]:  # fmt: skip
        outcome = make()(output, {"wording": ["gas"]}, "")

        assert outcome.rates["wording"] is False
        assert outcome.score == 0.0


def test_a_finding_says_where_the_wording_was_left(make):
    left = make()("If you smell gas, don't light a match and wait.", {"wording": ["gas"]}, "").findings[0].message
    missing = make()("Hello.", {"wording": ["gas"]}, "").findings[0].message

    assert left == (
        "'gas' must appear word for word: after \"If you smell gas, don't light a\" "
        'the output has "match and wait." instead of "flame: leave the building and call"'
    )
    assert missing == f"'gas' must appear word for word: \"{GAS}\" is missing"


def test_a_finding_leads_to_the_entry_of_the_terms_file(make, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = ["", *TERMS.splitlines()]
    found = make()("We refill it.", {"terms": ["heat-pump"], "wording": ["gas"]}, "").findings
    led = [(each.rule, lines[int(each.source.removeprefix("terms.yaml:"))].strip()) for each in found]
    assert led == [
        ("vocabulary.term", "- id: heat-pump"), ("vocabulary.wording", "- id: gas"),
        ("vocabulary.banned", "- id: top-up"),
    ]  # fmt: skip


WORD = st.text(st.characters(max_codepoint=0x24F, categories=["Ll", "Lu"]), min_size=1, max_size=8)


@given(WORD, WORD)
def test_a_term_is_seen_between_spaces_in_any_case_and_form(word, other):
    check = only(word)
    for form in inflections(read(word).folded.text):
        assert check(f"{other} {form} {other}", {"terms": ["t"]}, "").rates["terms"]


@given(WORD)
def test_a_letter_more_in_front_is_another_word(word):
    assert not uses(f"\u00e9{word}", preferred=word)
    assert not uses(f"x-{word}", preferred=word)


@given(st.text())
def test_any_answer_is_scored_without_an_exception(output):
    outcome = VocabularyCheck(CHECK_DATA)(output, {"terms": ["t"], "wording": ["w"]}, "")

    assert (outcome.score == 1.0) == (not outcome.findings) == all(outcome.rates.values())


CHECK_DATA = {
    "version": 1, "language": "en", "terms": [{"id": "t", "preferred": "a b", "banned": ["c"]}],
    "wording": [{"id": "w", "text": "a 'b'"}],
}  # fmt: skip


@pytest.mark.parametrize(
    "output",
    ["slot " * 200_000, "time" + " " * 1_000_000 + "slot", "x" * 1_000_000, "a" + "\u0301\u0316" * 400_000,
     "If you smell gas, " * 50_000, "y" * 2_000_000],
    ids=lambda text: repr(text[:8]),
)  # fmt: skip
def test_hostile_answers_take_bounded_time(make, output):
    check = make()
    started = time.process_time()

    outcome = check(output, {"terms": ["heat-pump"], "wording": ["gas"]}, "")

    assert time.process_time() - started < 20
    assert outcome.score == 0.0
    assert all(len(str(finding)) < 400 for finding in outcome.findings)


def test_mistakes_in_a_terms_file_name_their_line(make):
    for old, new, line, where, expected, found in [
        ("language: en", "lang: en", 1, "", "the key 'language'", "only version"),
        ("language: en", "language: English", 2, "language", "a code such as en", "'English'"),
        ("version: 1", "version: 2", 1, "version", "1", "2"),
        ("id: top-up", "id: heat-pump", 7, "terms[1].id", "among the terms", "'heat-pump' again (first on line 4)"),
        ("id: right", "id: gas", 17, "wording[1].id", "among the wording", "'gas' again (first on line 15)"),
        ("banned: [refill]", "baned: [refill]", 9, "terms[1].baned", "one of the keys", "'baned'"),
        ("banned: [refill]", "banned: refill", 9, "terms[1].banned", "a list", "'refill'"),
        ("preferred: top up", 'preferred: " "', 8, "terms[1].preferred", "text that is not empty", "' '"),
        ("[refill]", '[refill, ""]', 9, "terms[1].banned[1]", "text that is not empty", "''"),
        ("text: You can cancel within 14 days.", 'text: ""', 18, "wording[1].text", "not empty", "''"),
        ("[refill]", "[Pump]", 9, "terms[1].banned[0]", "in no preferred term", "'Pump', part of the term 'heat-pump'"),
        ("[refill]", "[top]", 9, "terms[1].banned[0]", "in no preferred term", "the term 'top-up': 'top up'"),
        ("[refill]", "[topped]", 9, "terms[1].banned[0]", "in no preferred term", "'topped up'"),
        ("[refill]", "[light]", 9, "terms[1].banned[0]", "or wording", "the wording 'gas'"),
        ("[refill]", "[smelling, day]", 9, "terms[1].banned[1]", "or wording", "the wording 'right'"),
    ]:
        assert TERMS.count(old) == 1

        problem = mistakes(make, TERMS.replace(old, new))[0]

        assert problem.file.name == "terms.yaml"
        assert (problem.line, problem.where) == (line, where)
        assert expected in problem.expected
        assert found in problem.found


def test_all_mistakes_are_told_at_once(make):
    text = TERMS.replace("id: top-up", "id: heat-pump").replace("[refill]", "[pump, cancel]")

    assert [problem.line for problem in mistakes(make, text)] == [7, 9, 9]


def test_a_file_without_terms_and_wording_is_refused(make):
    (problem,) = mistakes(make, "version: 1\nlanguage: en\n")

    assert problem.expected == "a terms file with terms, wording or both"


def test_a_missing_file_is_told_where_it_is_named(make):
    (problem,) = mistakes(make, TERMS, "refs/none.yaml")

    assert (problem.file.name, problem.line, problem.where) == ("fixture.yaml", 2, "check.terms")
    assert problem.found.endswith("refs/none.yaml")


def test_unknown_ids_of_a_case_are_refused(make, tmp_path):
    path = tmp_path / "cases.yaml"
    path.write_text("expect:\n  terms:\n    - heat-pump\n    - heat-pumps\n  wording: [heat-pump]\n")
    document = read_yaml(path)

    first, second = make().expect_problems(document.data["expect"], document, ("expect",))

    assert (first.line, first.where, first.found) == (4, "expect.terms[1]", "'heat-pumps'")
    assert (first.expected, first.hint) == ("an id of the terms file's terms", "did you mean 'heat-pump'?")
    assert (second.line, second.where, second.found) == (5, "expect.wording[0]", "'heat-pump'")


@pytest.mark.parametrize(
    "expect", [{}, {"term": ["a"]}, {"terms": []}, {"terms": "a"}, {"terms": ["a", "a"]}, {"wording": [1]}]
)
def test_expect_is_closed(tmp_path, expect):
    path = tmp_path / "a.yaml"
    path.write_text("a: 1\n")

    assert validate(read_yaml(path), KIND.expect, ("expect",), expect)


def test_references_change_with_the_content_only(make):
    assert make().references == make("# a comment\n" + TERMS).references
    assert make().references != make(TERMS.replace("refill", "fill up")).references


def test_the_table_names_every_suite():
    kinds = shipped_kinds()
    assert kinds.suites == ("schema", "tools", "voice", "vocabulary", "refusal", "cost", "retention", "scored")
    assert CHECKS["vocabulary"] is vocabulary.KIND
    assert kinds.measures("vocabulary") == ["", "pairs"]
    assert kinds.measures("retention") == ["passages", "questions"]


def test_the_terms_and_the_wording_of_an_answer_are_what_others_are_held_against(make):
    check = make()

    expect = KIND.expect_of(check, f"Your heat pump was topped up. {GAS}")

    assert expect == {"terms": ["heat-pump", "top-up"], "wording": ["gas"]}
    assert check("The heat pump is new.", expect, "").score == 0.0
    assert check(f"We top up heat pumps. {GAS}", expect, "").score == 1.0
    assert KIND.expect_of(check, "We come on Tuesday.") == {}


def test_terms_of_a_language_without_spaces_need_icu(make, monkeypatch):
    terms = "version: 1\nlanguage: zh\nterms:\n  - {id: a, preferred: 锅炉, banned: [和服]}\n"
    assert make(terms)("我们的产品和服务", None, "").rates["clean"]
    assert not make(terms)("一件和服", None, "").rates["clean"]

    monkeypatch.setitem(sys.modules, "icu4py.breakers", None)
    with pytest.raises(CouldNotRun, match=r"pip install 'tunegate\[segmentation\]'"):
        make(terms)


@given(st.sets(st.integers(0, 40)))
def test_of_many_banned_variants_those_are_named_that_the_house_asks_for(tmp_path_factory, hits):
    terms = [{"id": f"t{n}", "preferred": f"{f'word{n}' if n in hits else 'pump'} part", "banned": [f"word{n}"]}
             for n in range(41)]  # fmt: skip
    path = tmp_path_factory.mktemp("terms") / "terms.yaml"
    path.write_text(json.dumps({"version": 1, "language": "en", "terms": terms}))
    try:
        read_terms(path)
        found = set()
    except AuthoringError as error:
        found = {int(problem.where.removeprefix("terms[").partition("]")[0]) for problem in error.problems}
    assert found == hits


def test_a_term_without_end_is_refused(make):
    [problem] = mistakes(make, f"version: 1\nlanguage: en\nterms: [{{id: a, preferred: {'x' * 1001}}}]\n")
    assert problem.expected == "the house's term, of at most 1,000 characters"
