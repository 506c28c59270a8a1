"""The Markdown face, as GitHub would read it: what others wrote is text."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from markdown_it import MarkdownIt

from tests.support.hostile_page import HOSTILE
from tests.unit.reporting.test_html import UNIT, Page, case, report
from tunegate.harness.core.errors import UsageError
from tunegate.harness.reporting.markdown import MOST_CHARACTERS, escaped, markdown_report, quoted
from tunegate.harness.reporting.report import Report, RuleReport, with_addresses

READER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


def elements(text: str) -> list[str]:
    """The elements that a page would have of it."""
    return [name for name, _ in Page(READER.render(text)).elements]


def test_the_verdict_is_the_first_line_then_altered_rules_then_numbers():
    text = markdown_report(report(case("yes"), text="said"))
    assert text.splitlines()[0] == "### ❌ said"
    assert text.index("Rule changes: they block") < text.index("| unit | role |") < text.index("<details>")


def test_a_unit_is_a_row_with_its_interval_and_margin():
    text = markdown_report(Report("passed", (), RuleReport(), report().candidates))
    assert (
        "| said | guard | 40 | 100.0 % | 80.0 % | -20.0 \\[-35.0, -10.0\\] | 15.0 | 8 / 0 | **regressed** |"
    ) in text.replace("tuned", "said")


def test_the_worst_three_are_folded_with_the_command_that_asks_again():
    text = markdown_report(report(*(case(name) for name in "abcd")))
    assert "<details><summary>4 regressed, 3 of them here</summary>" in text
    assert "```text\npytest tuned fixtures/desk/a.yaml::a\n```" in text
    assert "desk/triage/d" not in text
    assert "```text\npytest tuned fixtures/\n```" in text


def test_the_worst_cases_lead_to_themselves_on_the_page_where_it_is_known():
    found = with_addresses(report(case("a (b)")), "https://pages.example/o/r/7/report.html", {})
    link = "[on the page](https://pages.example/o/r/7/report.html#case=desk%2Ftriage%2Fa+%28b%29)"
    assert f"**desk/triage/a (b)** (critical), {link}, fixtures/desk/a (b).yaml:7\n" in markdown_report(found)
    assert "on the page" not in markdown_report(report(case("a")))


def test_an_address_that_no_link_can_lead_to_is_refused():
    for page in [
        "javascript:alert(1)", "https://a.example/x) [y](z", "https://a.example/#x", "/page",
    ]:  # fmt: skip
        with pytest.raises(UsageError, match="--page: expected an address"):
            with_addresses(report(), page, {})


def test_what_others_wrote_is_text_wherever_it_stands():
    # the very elements that a harmless report has, of as many lines
    for text in HOSTILE:
        plain = "line\n" * text.count("\n") + "line"
        hostile, harmless = (
            with_addresses(report(case(each), text=each), "https://pages.example/report.html", {})
            for each in (text, plain)
        )
        assert elements(markdown_report(hostile)) == elements(markdown_report(harmless))


def test_github_finds_no_mention_reference_or_address_in_it():
    for text in HOSTILE:
        page = Page(READER.render(f"{escaped(text)}\n"))
        pieces = [piece for found in page.texts.values() for piece in found]
        active = r"@\w|#\d|https?://|www\.|GH-\d|\$\w|:[a-z0-9_+-]+:"
        assert not any(re.search(active, piece, re.IGNORECASE) for piece in pieces)


@pytest.mark.parametrize("text", ["loan | fine", "&#124; &amp;", "a_b *c* #1 @d $e", "<b> `f` [g](h)"])
def test_what_github_shows_is_the_text(text):
    page = Page(READER.render(f"{escaped(text)}\n"))
    assert "".join(piece for found in page.texts.values() for piece in found).strip() == text


def test_no_line_of_it_is_a_command_of_the_log_that_it_is_printed_in():
    for text in [*HOSTILE, "a\n::error::b", "a\r::add-mask::b"]:
        printed = markdown_report(report(case(text), text=text))
        assert not re.search(r"^\s*::|#(?=#\w*\[)", printed, re.MULTILINE)


def test_a_quote_holds_all_of_a_text():
    for text in HOSTILE:
        assert elements(f"{quoted(text)}\n\nafter") == ["pre", "code", "p"]


def test_a_report_that_is_too_long_for_a_comment_says_the_verdict_and_the_rules():
    one = report(case("yes"))
    many = replace(one.candidates[0], units=tuple(replace(UNIT, key=f"desk/{n}") for n in range(2000)))
    text = markdown_report(replace(one, candidates=(many,), rules=RuleReport(("x" * 9000,) * 100)))
    assert len(text) < MOST_CHARACTERS
    assert text.splitlines()[0] == "### ❌ tuned"
    assert "- and 60 more" in text
    assert text.endswith("The tables are too long for a comment: see the page.")
