"""A report as CSV: what a spreadsheet shows of each case, and what it must not take for a formula."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.reporting.test_report import judged
from tunegate.harness.reporting.case_table import COLUMNS, MARK, MOST_TEXT, case_table
from tunegate.harness.reporting.report import CandidateReport, CaseReport, Report, RuleReport, UnitReport, report_of

FORMULAS = "=+-@\uff1d\uff0b\uff0d\uff20"


def lines(report):
    text = case_table(report)
    assert text.startswith(MARK)
    return list(csv.DictReader(io.StringIO(text.removeprefix(MARK), newline="")))


def test_each_case_is_a_line_with_its_output_and_its_units_verdict(tmp_path):
    found = lines(report_of([judged(tmp_path, "1" * 40, "0" * 8 + "1" * 32)]))

    assert len(found) == 40
    first = found[0]
    assert tuple(first) == COLUMNS
    assert first["findings"].startswith("json.syntax: ")
    assert {key: value for key, value in first.items() if key != "findings"} == {
        "candidate": "tiny", "task": "desk", "unit": "triage", "case": "c001", "state": "regressed", "critical": "yes",
        "score": "0.0", "output": "no idea", "output before": '{"product": "boiler"}', "input": "message c001",
        "role": "target", "verdict": "regressed", "reference": "baseline", "blocks": "yes",
    }  # fmt: skip


def test_a_sealed_case_has_no_values(tmp_path):
    found = lines(report_of([judged(tmp_path, "1" * 40, "0" * 8 + "1" * 32, sealed=True)]))

    assert {(each["score"], each["output"], each["output before"], each["findings"], each["input"])
            for each in found} == {("", "", "", "", "")}  # fmt: skip


def one(output: str, score: float = -0.5):
    """A report on one case with this output."""
    unit = UnitReport("desk/triage", "pass/fail", 1, 0.0)
    case = CaseReport("desk/triage/c0", "desk/triage", "failed", score=score, now=output)
    candidate = CandidateReport(output, "scored", (), (unit,), (case,), {}, {}, "")
    return Report("scored", (), RuleReport(), (candidate,))


def test_a_number_stays_a_number():
    assert lines(one("fine"))[0]["score"] == "-0.5"


def test_a_long_output_is_cut():
    found = lines(one("x" * 40_000))[0]["output"]

    assert (len(found), found[-4:]) == (MOST_TEXT + 3, "x...")


@given(st.text(st.sampled_from(FORMULAS + " \t\r\n\x00'\",;a|") | st.characters(), max_size=8))
def test_no_text_can_become_a_formula_or_another_cell(text):
    found = lines(one(text))

    assert len(found) == 1
    assert tuple(found[0]) == COLUMNS
    for cell in (found[0]["output"], found[0]["candidate"]):
        assert cell.lstrip()[:1] not in {*FORMULAS}
        assert not set(cell) & {"\x00", "\r"}


def test_what_looks_like_a_formula_is_kept_behind_an_apostrophe():
    for text in ("=1+1", "+1", "-1", "@SUM(A1)", " =1", "\uff1d1"):
        assert lines(one(text))[0]["output"] == f"'{text}"
    for text in ("a=1", "1-1", "mail@home", ""):
        assert lines(one(text))[0]["output"] == text


def test_unknown_units_have_no_verdict():
    assert replace(one("x"), candidates=()).candidates == ()
    assert lines(one("x"))[0]["verdict"] == ""
