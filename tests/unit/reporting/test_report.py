"""The report that every face is made from."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.records import record, units_of, write_desk, write_policy
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.core.files import text_digest
from tunegate.harness.gate import rule as gate
from tunegate.harness.models.evaluation.sidecar import CaseContext, case_contexts, sidecar_path, sidecar_text
from tunegate.harness.reporting.report import candidate_report, node_id, report_of
from tunegate.harness.reporting.slices import driver, patterns_of

T = "desk/triage"


def tagged(index: int) -> dict:
    return {"tags": {"channel": "sms" if index < 10 else "mail"}, "critical": index == 1}


def judged(tmp_path, before: str, now: str, trained=("desk",), **more):
    """A record with its sidecar, as a run keeps them."""
    write_desk(tmp_path / "fixtures", len(now), case_keys=tagged, **more)
    write_policy(tmp_path / "fixtures", triage={"role": "target"})
    tasks = load_tasks(tmp_path / "fixtures")
    sealed = bool(more.get("sealed"))
    base, tuned = (record(tasks, {T: scores}, sealed=sealed) for scores in (before, now))
    text = sidecar_text(dict(case_contexts(units_of(tasks).values(), "as-is", {"baseline": base}, tuned.cases)))
    made = gate.compare(tasks, replace(tuned, sidecar=text_digest(text)), {"baseline": base}, trained)
    sidecar_path(tmp_path / "r.json").write_text(text)
    return made.write(tmp_path / "r.json")


def test_the_verdict_is_that_of_the_gate(tmp_path):
    made = judged(tmp_path, "1" * 40, "0" * 8 + "1" * 32)
    found = report_of([made])
    assert (found.outcome, found.verdict) == ("blocked", made.tasks["desk"].reason)
    assert found.candidates[0].units[0].reason == made.verdicts[T].reason


def test_cases_are_told_with_what_they_asked_regressed_and_critical_ones_first(tmp_path):
    report = candidate_report(judged(tmp_path, "1" * 39 + "0", "0" * 8 + "1" * 32))
    states = [(case.key, case.state) for case in report.cases]
    assert states[:2] == [(f"{T}/c001", "regressed"), (f"{T}/c000", "regressed")]
    assert (f"{T}/c039", "fixed") in states
    first = report.cases[0]
    assert (first.previous, first.now, first.critical) == ('{"product": "boiler"}', "no idea", True)
    assert first.context.prompt == (("user", "message c001"),)
    assert node_id(first) == f"{first.context.file}::c001"


def test_without_a_sidecar_it_says_what_the_record_says(tmp_path):
    made = judged(tmp_path, "1" * 40, "0" * 8 + "1" * 32)
    sidecar_path(made.path).unlink()
    case = candidate_report(made).cases[0]
    assert (case.previous, case.context, node_id(case)) == ('{"product": "boiler"}', None, "")


def test_a_sealed_case_is_told_by_its_id_alone(tmp_path):
    report = candidate_report(judged(tmp_path, "1" * 40, "0" * 8 + "1" * 32, sealed=True))
    assert {(case.now, case.context, case.findings, case.previous) for case in report.cases} == {(None, None, (), None)}
    assert report.worst == ()
    assert sum(case.state == "regressed" for case in report.cases) == 8


def test_what_the_regressed_cases_share_is_told(tmp_path):
    unit = candidate_report(judged(tmp_path, "1" * 40, "0" * 8 + "1" * 32)).units[0]
    assert unit.driver == (
        "8 of 8 regressed cases are channel=sms, as are 10 of all 40; 8 of 8 have the finding json.syntax: the output "
        "does not begin with JSON but with ..."
    )
    assert [(each.tag, each.n, each.base, each.mean, each.regressed) for each in unit.slices] == [
        ("channel=sms", 10, 1.0, 0.2, 8), ("channel=mail", 30, 1.0, 1.0, 0),
    ]  # fmt: skip


def test_a_finding_alone_says_whose_it_is(tmp_path):
    made = judged(tmp_path, "1" * 40, "1" * 10 + "0" * 30)
    found = candidate_report(replace(made, sidecar="")).units[0]
    assert found.driver == ""  # without the sidecar nothing is known of the cases
    tagged_alike = [("regressed", 0.0, CaseContext("f.yaml", 1)) for _ in range(4)]
    assert driver(tagged_alike, {"json.syntax": 3}) == '3 of 4 regressed cases have the finding "json.syntax".'


def test_what_varies_from_case_to_case_is_no_part_of_a_pattern():
    for text, pattern in [
        (
            "json.syntax: the output ends, at line 1, column 48, before its JSON is complete",
            "json.syntax: the output ends before its JSON is complete",
        ),
        ("schema.expect at request.kind: expected 'fault', found 'billing'", "schema.expect at request.kind"),
        ("voice.length: 93 words, the longest is 88", "voice.length: N words, the longest is N"),
    ]:
        assert patterns_of([(text.partition(":")[0], text)]) == {text.partition(":")[0], pattern}


def test_of_what_all_have_the_finding_that_says_most_is_told():
    cases = [("regressed", 0.0, CaseContext("f.yaml", 1)) for _ in range(4)]
    assert driver(cases, {"json.syntax": 4, "json.syntax: cut off": 4, "json.syntax: seldom": 1}) == (
        "4 of 4 regressed cases have the finding json.syntax: cut off."
    )
    assert driver(cases, {"json.syntax": 4, "json.syntax: cut off": 1}).endswith('have the finding "json.syntax".')


def test_records_of_one_name_are_told_apart_by_their_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    one = judged(tmp_path, "0" * 40, "1" * 40)
    other = judged(tmp_path, "0" * 40, "0" * 40).write(tmp_path / "s.json")
    assert [each.name for each in report_of([one, replace(other, sidecar="")]).candidates] == [
        "tiny (r.json)", "tiny (s.json)",
    ]  # fmt: skip


def test_two_regressed_cases_share_nothing_worth_telling(tmp_path):
    assert candidate_report(judged(tmp_path, "1" * 40, "00" + "1" * 38)).units[0].driver == ""


@pytest.mark.parametrize(("now", "outcome", "verdict"), [
    ("0" * 40, "blocked", "Blocked: tiny (r.json) (1 of 2)."),
    ("1" * 40, "passed", "Passed: all 2."),
])  # fmt: skip
def test_several_records_have_a_verdict_together(tmp_path, monkeypatch, now, outcome, verdict):
    monkeypatch.chdir(tmp_path)
    good, other = judged(tmp_path, "0" * 40, "1" * 40), judged(tmp_path, "0" * 40, now)
    found = report_of([good, other])
    assert (found.outcome, found.verdict) == (outcome, f"{verdict} No guard: nothing but the target was tested.")


def test_a_record_that_was_compared_with_nothing_has_no_verdict(tmp_path):
    write_desk(tmp_path, 4)
    found = report_of([record(load_tasks(tmp_path), {T: "1100"})])
    assert (found.outcome, found.verdict) == ("scored", "Scored: 4 cases of 1 unit, without a comparison.")


def test_it_names_what_was_judged_by_whole_digests(tmp_path):
    made = judged(tmp_path, "0" * 40, "1" * 40)
    found = candidate_report(made).provenance
    assert found["base"] == "b" * 64
    assert found["record's digest"] == made.as_dict()["digest"]
    assert found["cases"] == "open ones only"


def test_a_record_that_does_not_say_what_is_sealed_shows_nothing_where_sealed_cases_were_opened(tmp_path):
    made = judged(tmp_path, "1" * 40, "0" * 8 + "1" * 32)
    policies = {key: {"role": "guard", "margin": 0.1} for key in made.policies}
    verdicts = {key: replace(each, sealed=False) for key, each in made.verdicts.items()}
    report = candidate_report(replace(made, policies=policies, verdicts=verdicts, sealed=True))
    assert all(case.sealed and case.now is None for case in report.cases)


def test_a_target_that_only_has_to_hold_is_shown_as_a_target(tmp_path):
    made = judged(tmp_path, "1" * 40, "1" * 40, trained=("another",))
    assert made.verdicts[T].role == "guard"
    made = replace(made, policies={T: {"role": "target"}})
    assert candidate_report(made).units[0].role == "target"
