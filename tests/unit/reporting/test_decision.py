"""What the gate decided, read again, and the report on it."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest

from tests.unit.reporting.test_report import judged
from tunegate.harness.checks.base import Finding
from tunegate.harness.core.errors import Refused, UsageError
from tunegate.harness.core.files import file_digest
from tunegate.harness.models.evaluation.sidecar import sidecar_path
from tunegate.harness.reporting.annotations import case_annotations
from tunegate.harness.reporting.decision import change_lines, of_artefact, read_inputs, with_gate_result
from tunegate.harness.reporting.report import RuleReport

ALTERED = "desk/triage: task.yaml is looser: margin 0.15 -> 0.5"
OLDER = {
    "rules": "the rules of main", "blocks": [], "adapter": None, "model": "tiny", "record": None, "digest": None,
    "partial": False, "verdicts": {}, "tasks": {},
}  # fmt: skip


def decision(tmp_path, record=None, name="decision.json", **more):
    """A file as `tunegate gate --decision` writes it."""
    of_record = [{
        "rules": "", "blocks": [], "adapter": None, "model": "tiny", "record": str(record.path),
        "digest": file_digest(record.path), "partial": False, "verdicts": {}, "tasks": {},
    }] if record else []  # fmt: skip
    data = {
        "passes": True, "refused": "", "modified": [], "added": [], "approve": "", "approved": False,
        "configuration": [], "untrue": [], "by_rules": of_record, "notes": [],
    } | more  # fmt: skip
    path = tmp_path / name
    path.write_text(json.dumps(data))
    return path


def report(*paths):
    return read_inputs(paths).report()


def test_a_decision_from_elsewhere_names_records_beside_it_alone(tmp_path):
    made = judged(tmp_path, "0" * 40, "1" * 40)
    path = decision(tmp_path, made)
    data = json.loads(path.read_text())
    moved = tmp_path / "moved"
    moved.mkdir()
    for each in (path, made.path, sidecar_path(made.path)):
        shutil.move(each, moved / each.name)

    assert read_inputs([moved / path.name], beside=True).report().outcome == "passed"

    secret = tmp_path / "secret.json"
    secret.write_text("token=abc")
    data["by_rules"][0] |= {"record": str(secret), "digest": file_digest(secret)}
    (moved / path.name).write_text(json.dumps(data))
    with pytest.raises(Refused, match=r"moved/secret\.json: expected a record.*, found nothing there") as refused:
        read_inputs([moved / path.name], beside=True)
    assert "token" not in str(refused.value)


@pytest.mark.parametrize("name", ["decision.json", "r.json", "r.cases.jsonl"])
def test_a_link_in_what_comes_from_elsewhere_is_refused(tmp_path, name):
    path = decision(tmp_path, judged(tmp_path, "0" * 40, "1" * 40))
    kept = tmp_path / name
    kept.rename(tmp_path / "elsewhere")
    kept.symlink_to(tmp_path / "elsewhere")

    with pytest.raises(Refused, match=rf"{name}: expected a file of the artefact itself, found a link"):
        read_inputs([path], beside=True)


@pytest.mark.parametrize("result", ["success", "failure"])
def test_a_decision_that_says_what_the_gates_job_did_is_shown(tmp_path, result):
    made = judged(tmp_path, "0" * 40, "1" * 40)
    passes = result == "success"
    found = report(decision(tmp_path, made, passes=passes, modified=[] if passes else [ALTERED]))

    assert with_gate_result(found, result) == found
    assert with_gate_result(found, "") == found


@pytest.mark.parametrize(("result", "says"), [
    ("failure", "passed"), ("cancelled", "passed"), ("skipped", "passed"), ("success", "blocked"),
])  # fmt: skip
def test_nothing_is_shown_of_a_decision_that_says_otherwise_than_the_gates_job(tmp_path, result, says):
    made = judged(tmp_path, "0" * 40, "1" * 40)
    passes = says == "passed"
    path = decision(tmp_path, made, passes=passes, modified=[] if passes else [ALTERED], notes=["forged"])

    found = with_gate_result(report(path), result)

    assert (found.outcome, found.candidates, found.notes) == ("refused", (), ())
    assert found.verdict == (
        f"The gate's job ended with {result}, but its decision says {says}. The job decides: read its log."
    )
    assert found.rules == RuleReport()


@pytest.mark.parametrize("result", ["success", "failure"])
def test_what_cannot_be_read_is_said_where_the_job_is_known(tmp_path, result):
    path = tmp_path / "decision.json"
    path.write_text("{")

    found = of_artefact([path], result)

    assert found.outcome == "refused"
    assert found.verdict == (
        f"The gate's job ended with {result}, and its files cannot be read. The job decides: read its log."
    )
    assert "decision.json" in found.rules.refused
    with pytest.raises(Refused):
        of_artefact([path], "")


def test_another_result_is_a_usage_error(tmp_path):
    found = report(decision(tmp_path, judged(tmp_path, "0" * 40, "1" * 40)))

    with pytest.raises(UsageError, match="--gate-result: expected success, failure, cancelled or skipped, found 'ok'"):
        with_gate_result(found, "ok")


def test_what_passes_is_said_in_the_words_of_its_record(tmp_path):
    made = judged(tmp_path, "0" * 40, "1" * 40)
    found = report(decision(tmp_path, made))
    assert (found.outcome, found.verdict) == ("passed", made.tasks["desk"].reason)


def test_altered_rules_block_whatever_the_record_says(tmp_path):
    made = judged(tmp_path, "0" * 40, "1" * 40)
    found = report(decision(tmp_path, made, passes=False, modified=[ALTERED], approve="7816ee245021"))
    assert found.outcome == "blocked"
    assert found.verdict.startswith("Blocked by 1 unapproved rule change. Release: ")
    assert found.rules.modified == (ALTERED,)


def test_the_older_rules_block_too(tmp_path):
    made = judged(tmp_path, "0" * 40, "1" * 40)
    path = decision(tmp_path, made, passes=False)
    data = json.loads(path.read_text())
    data["by_rules"].insert(0, {**OLDER, "blocks": ["desk/triage", "desk"]})
    path.write_text(json.dumps(data))
    found = report(path)
    assert found.outcome == "blocked"
    assert found.verdict.startswith("Blocked by the rules of main: desk/triage, desk. ")
    assert found.rules.by_rules == ("by the rules of main: blocked by desk/triage, desk",)


def test_a_task_without_a_decision_blocks_whatever_its_units_say(tmp_path):
    made = judged(tmp_path, "0" * 40, "1" * 40)
    path = decision(tmp_path, made, passes=False)
    data = json.loads(path.read_text())
    data["by_rules"][0]["blocks"] = ["other"]
    path.write_text(json.dumps(data))
    found = report(path)
    assert found.outcome == "blocked"
    assert found.verdict.startswith("Blocked by other. ")


def test_what_could_not_be_judged_never_passes(tmp_path):
    found = report(decision(tmp_path, passes=False, refused="no baseline to compare with"))
    assert (found.outcome, found.candidates) == ("refused", ())
    assert found.verdict == "Refused: no baseline to compare with."
    assert list(case_annotations(found)) == [
        f"::error title=tunegate::{found.verdict}%0Ano baseline to compare with",
    ]


def test_several_decisions_are_one_report(tmp_path):
    made = judged(tmp_path, "0" * 40, "1" * 40)
    paths = [decision(tmp_path, made), decision(tmp_path, name="other.json", passes=False, modified=[ALTERED])]
    found = report(*paths)
    assert (found.outcome, len(found.candidates), found.rules.modified) == ("blocked", 1, (ALTERED,))


def test_what_is_no_decision_is_refused(tmp_path):
    for text, said in [
        ("[]", "found a list, not an object"),
        (
            '{"by_rules": 1}',
            r"expected a decision, as tunegate gate --decision writes it, found .*'passes' is a required",
        ),
        ("{}", "expected a record"),
    ]:
        (tmp_path / "x.json").write_text(text)
        with pytest.raises(Refused, match=said):
            read_inputs([tmp_path / "x.json"])


def test_a_decision_that_contradicts_itself_is_refused(tmp_path):
    for more, why in [
        ({"refused": "no baseline"}, "was refused"),
        ({"modified": [ALTERED]}, "has unapproved rule changes"),
        ({"by_rules": []}, "evaluated nothing"),
        ({"by_rules": [{**OLDER, "blocks": ["desk/triage", "desk"]}]}, "is blocked by desk/triage, desk"),
    ]:
        path = decision(tmp_path, judged(tmp_path, "0" * 40, "1" * 40), **more)
        with pytest.raises(
            Refused, match=f"expected a decision that agrees with itself, found one that passes and {why}"
        ):
            read_inputs([path])


def test_another_record_than_was_decided_on_is_refused(tmp_path):
    path = decision(tmp_path, made := judged(tmp_path, "1" * 40, "0" * 40), passes=False)
    replace(judged(tmp_path, "0" * 40, "1" * 40), created="later").write(made.path)
    with pytest.raises(Refused, match=r"expected the record that .*decision\.json decided on, found another"):
        read_inputs([path])


def test_records_and_decisions_are_not_mixed(tmp_path):
    made = judged(tmp_path, "0" * 40, "1" * 40)
    with pytest.raises(Refused, match="name only records or only decisions"):
        read_inputs([decision(tmp_path, made), made.path])


def test_the_changes_are_lines():
    assert list(change_lines(["a", "b"], ["c"], approved=False)) == [
        "2 rule changes; they block until a reviewer approves them", "  a", "  b",
        "1 addition, blocking nothing", "  c",
    ]  # fmt: skip
    assert list(change_lines(["a"], [], approved=True)) == ["1 rule change; approved", "  a"]
    assert list(change_lines([], [], approved=False)) == []


def test_regressed_cases_are_annotated_as_many_as_github_shows(tmp_path):
    made = judged(tmp_path, "1" * 40, "0" * 12 + "1" * 28)
    lines = list(case_annotations(report(decision(tmp_path, made, passes=False))))
    assert len(lines) == 11
    assert lines[0] == f"::error title=tunegate::{made.tasks['desk'].reason.replace('%', '%25')}"
    assert lines[1].startswith("::error file=")
    assert "title=desk/triage/c001 regressed (critical)%3A tiny::before: " in lines[1]
    assert lines[-1] == "::notice title=tunegate::3 more regressed cases"


def test_an_annotation_is_no_longer_than_somebody_reads(tmp_path):
    long = Finding("own", "x" * 10_000_000, source="refs/a.json:7")
    candidate = report(judged(tmp_path, "1" * 40, "0" * 12 + "1" * 28).path).candidates[0]
    cases = tuple(replace(each, findings=(long,)) for each in candidate.cases)
    found = replace(report(tmp_path / "r.json"), candidates=(replace(candidate, cases=cases),))
    assert max(map(len, case_annotations(found))) < 5_000


def test_where_nothing_blocks_annotations_are_no_errors(tmp_path):
    made = judged(tmp_path, "1" * 40, "1" * 38 + "00", trained=())
    lines = list(case_annotations(report(made.path)))
    assert [line.partition(" ")[0] for line in lines] in (["::notice", "::warning", "::warning"], ["::error"] * 3)
