"""The sidecar of a record: what it adds, what it keeps to itself, and that it is the one the record names."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.support.records import record, units_of, write_desk
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.checks.base import Finding
from tunegate.harness.core.errors import Refused
from tunegate.harness.core.files import text_digest
from tunegate.harness.models.evaluation import sidecar
from tunegate.harness.models.evaluation.record import Result
from tunegate.harness.models.evaluation.sidecar import (
    Before,
    CaseContext,
    case_contexts,
    copy_with_sidecar,
    read_sidecar,
    sidecar_path,
    sidecar_text,
)

T = "desk/triage"


@pytest.fixture
def tasks(tmp_path):
    write_desk(tmp_path / "fixtures", 3, case_keys=lambda n: {"tags": {"channel": "sms"}, "critical": n == 1})
    return load_tasks(tmp_path / "fixtures")


def kept(tasks, path, references=None):
    """A record in a file, with its sidecar beside it."""
    made = record(tasks, {T: "110"})
    text = sidecar_text(dict(case_contexts(units_of(tasks).values(), "as-is", references or {}, made.cases)))
    sidecar_path(path).write_text(text)
    return replace(made, sidecar=text_digest(text)).write(path)


def test_it_holds_what_a_record_does_not_say(tasks, tmp_path):
    base = record(tasks, {T: "011"})
    found = read_sidecar(kept(tasks, tmp_path / "r.json", {"baseline": base}))
    assert list(found) == [f"{T}/c000", f"{T}/c001", f"{T}/c002"]
    case = found[f"{T}/c001"]
    assert case == CaseContext(
        file=case.file, line=case.line, expect={"product": "boiler"},
        prompt=(("user", "message c001"),), tags={"channel": "sms"}, critical=True,
        before={"baseline": Before(True, 1.0, '{"product": "boiler"}')},
    )  # fmt: skip
    assert case.file.endswith("fixtures/desk/triage.yaml")


def test_it_says_where_the_rules_are_written_that_findings_are_about(tasks, tmp_path):
    made = record(tasks, {T: "110"})
    wrong = Result(False, 0.0, (Finding("json", "none"), Finding("schema.enum", "no", source="refs/a.json:7")))
    repeated = Result(False, 0.5, repeats=(made.cases[f"{T}/c000"], wrong))
    cases = {f"{T}/c000": wrong, f"{T}/c001": repeated, f"{T}/c002": made.cases[f"{T}/c000"]}
    text = sidecar_text(dict(case_contexts(units_of(tasks).values(), "as-is", {}, cases)))
    sidecar_path(tmp_path / "r.json").write_text(text)

    found = read_sidecar(replace(made, sidecar=text_digest(text)).write(tmp_path / "r.json"))

    assert [case.sources for case in found.values()] == [("", "refs/a.json:7"), ("", "refs/a.json:7"), ()]


def test_it_holds_nothing_of_a_sealed_unit(tmp_path):
    write_desk(tmp_path, 3, sealed=True)
    assert not dict(case_contexts(units_of(load_tasks(tmp_path)).values(), "as-is", {}, {}))


def test_a_record_without_one_beside_it_has_no_more_to_say(tasks, tmp_path):
    made = kept(tasks, tmp_path / "r.json")
    sidecar_path(made.path).unlink()
    assert read_sidecar(made) == {}
    assert read_sidecar(record(tasks, {T: "110"})) == {}


def test_another_one_is_refused(tasks, tmp_path):
    made = kept(tasks, tmp_path / "r.json")
    path = sidecar_path(made.path)
    path.write_text(path.read_text().replace("message", "massage"))
    with pytest.raises(Refused, match="expected the sidecar that the record names, found another one; evaluate again"):
        read_sidecar(made)


@pytest.mark.parametrize(("line", "found"), [
    ("no JSON", "found a mistake in column 1"),
    ('{"case": "a", "file": "b", "line": "c", "expect": 1}', "'c' is not of type 'integer'"),
    ("[]", "is not of type 'object'"),
])  # fmt: skip
def test_one_that_no_run_wrote_is_refused_with_its_line(tasks, tmp_path, line, found):
    made = kept(tasks, tmp_path / "r.json")
    text = sidecar_path(made.path).read_text() + f"{line}\n"
    sidecar_path(made.path).write_text(text)
    with pytest.raises(Refused, match=rf"r.cases.jsonl:4: expected .*{found}"):
        read_sidecar(replace(made, sidecar=text_digest(text)))


def test_it_is_read_by_line_however_large_it_is(tasks, tmp_path, monkeypatch):
    made = kept(tasks, tmp_path / "r.json")
    lines = sidecar_path(made.path).read_text().splitlines(keepends=True)
    monkeypatch.setattr(sidecar, "MOST_BYTES", most := max(map(len, lines)))
    assert most < len("".join(lines))

    assert len(read_sidecar(made)) == len(lines)
    monkeypatch.setattr(sidecar, "MOST_BYTES", most - 2)
    with pytest.raises(Refused, match="expected one JSON object per line"):
        read_sidecar(made)


def test_each_line_is_json_in_ascii(tasks):
    text = sidecar_text(dict(case_contexts(units_of(tasks).values(), "as-is", {}, record(tasks, {T: "110"}).cases)))
    assert text.isascii()
    assert [json.loads(line)["case"] for line in text.splitlines()] == [f"{T}/c000", f"{T}/c001", f"{T}/c002"]


def test_a_conversation_stands_there_turn_by_turn(tmp_path):
    turns = [{"user": "It drips."}, {"assistant": "Where?"}, {"user": "Below."}]
    write_desk(tmp_path / "fixtures", 3, case_keys=lambda _: {"input": turns})

    case = read_sidecar(kept(load_tasks(tmp_path / "fixtures"), tmp_path / "r.json"))[f"{T}/c000"]

    assert case.prompt == (("user", "It drips."), ("assistant", "Where?"), ("user", "Below."))


def test_a_copy_lies_elsewhere_and_is_the_same_to_the_last_byte(tasks, tmp_path):
    made = kept(tasks, tmp_path / "r.json")
    copied = copy_with_sidecar(made, tmp_path / "out" / "again.json")
    assert copied.path == tmp_path / "out" / "again.json"
    for one, other in ((made.path, copied.path), (sidecar_path(made.path), sidecar_path(copied.path))):
        assert one.read_bytes() == other.read_bytes()
    assert read_sidecar(copied) == read_sidecar(made)
