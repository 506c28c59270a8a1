"""What is compared with what, in a line each."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.records import record, write_desk
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.models.evaluation.compared import compared_with
from tunegate.harness.models.evaluation.record import Record, read_record
from tunegate.harness.reporting.compared import columns, compared_sides, side_name

T = "desk/triage"


@pytest.fixture
def base(tmp_path) -> Record:
    write_desk(tmp_path, 4)
    return replace(record(load_tasks(tmp_path), {T: "1111"}), created="2026-11-28T10:00:00+00:00")


def with_prompt(run: Record, **parts: object) -> Record:
    return replace(run, configurations={T: {**run.configurations[T], **parts}})


def lines(base: Record, change: Record) -> list[str]:
    change = replace(change, references=compared_with({"baseline": base}), created="2026-11-29T11:30:00+00:00")
    return [f"{each.name}: {each.configuration}" for each in compared_sides(change)]


def digest_in(line: str) -> str:
    return line.partition("prompt ")[2][:8]


def test_each_side_has_its_model_prompt_and_date(base):
    before, now = lines(base, with_prompt(base, system="Sort."))
    assert before.startswith("in service: tiny-12345678, prompt ")
    assert before.endswith(", recorded 2026-11-28 10:00 UTC")
    assert now.startswith("this change: tiny-12345678, prompt ")
    assert now.endswith(", evaluated 2026-11-29 11:30 UTC")
    assert digest_in(before) != digest_in(now)


def test_another_temperature_is_no_other_prompt(base):
    hot = with_prompt(base, decoding={**base.configurations[T]["decoding"], "temperature": 0.5})
    before, now = lines(base, hot)
    assert digest_in(before) == digest_in(now)
    assert ", temperature 0.5, " in now
    assert "temperature" not in before


def test_units_of_one_side_only_do_not_count(base):
    more = replace(base, configurations={**base.configurations, "desk/new": {"template": "x", "decoding": {}}})
    before, now = lines(base, more)
    assert digest_in(before) == digest_in(now)


def test_many_prompts_have_one_digest(base):
    many = {f"desk/u{number}": {"template": str(number), "decoding": {}} for number in range(5)}
    [before, _] = lines(replace(base, configurations=many), replace(base, configurations=many))
    assert ", 5 prompts " in before


def test_a_record_keeps_what_it_was_compared_with(base, tmp_path):
    held = replace(base, references=compared_with({"baseline": base})).write(tmp_path / "r.json")
    assert read_record(tmp_path / "r.json").references == held.references
    assert compared_sides(base) == ()


@pytest.mark.parametrize(("reference", "adapter", "name"), [
    ("baseline", None, "in service"), ("baseline", "a" * 64, "the baseline"), ("last release", "a" * 64, "in service"),
    ("last release of desk", None, "in service"), ("anchor", None, "the anchor"), ("record", None, "the record"),
    ("", None, "before"),
])  # fmt: skip
def test_the_baseline_of_an_adapter_is_not_what_is_in_service(base, reference, adapter, name):
    subject = {**base.fingerprint["subject"], "adapter": adapter}
    assert side_name(replace(base, fingerprint={**base.fingerprint, "subject": subject}), reference) == name


def test_the_columns_name_what_is_in_service_only_where_all_units_are_compared_with_it():
    assert columns(["in service"] * 2) == ("in service", "this change")
    assert columns(["in service", "the anchor"]) == ("before", "now")
    assert columns([]) == ("before", "now")
    assert columns(["house"], "terse") == ("house", "terse")
