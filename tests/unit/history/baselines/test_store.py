"""Recorded baselines: stable files that say what changed, and refuse what they were not recorded for."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.support.records import ENGINE, LOCAL, record, save, write_desk, write_policy
from tests.support.units import write_unit
from tunegate.harness.cases.loader import find_unit, load_tasks
from tunegate.harness.checks.base import Finding
from tunegate.harness.core.errors import Refused
from tunegate.harness.core.files import file_digest
from tunegate.harness.history.baselines.diff import engine_differences
from tunegate.harness.history.baselines.matching import check_vanished, how_to_record, matching
from tunegate.harness.history.baselines.recording import write_baselines
from tunegate.harness.history.baselines.store import as_reference, baseline_path, digests, read_baseline, state
from tunegate.harness.models.api import Fingerprint
from tunegate.harness.models.evaluation.record import Result

T, SLUG = "desk/triage", LOCAL["model"]
SUBJECT = LOCAL | {"adapter": None}


@pytest.fixture
def home(tmp_path):
    """A folder of fixtures with one unit of three cases, and a folder of baselines beside it."""
    write_desk(tmp_path / "fixtures", 3)
    return tmp_path


def read_units(home):
    return [unit for task in load_tasks(home / "fixtures") for unit in task.units]


def made(home, scores="101", **more):
    """A record of the unit as `scores` say."""
    return record(load_tasks(home / "fixtures"), {T: scores}, **more)


def write(home, made):
    return save(home / "baselines", made, read_units(home))


def file_of(home, unit=T, released=False):
    return baseline_path(home / "baselines", SLUG, unit, released)


def match(home, subject=SUBJECT, engine=ENGINE, **more):
    return matching(home / "baselines", read_units(home), Fingerprint(subject, engine), **more)


def test_a_baseline_is_one_file_a_unit_and_one_line_a_case(home):
    write_desk(home / "fixtures", 2, "replies")
    both = record(load_tasks(home / "fixtures"), {T: "101", "desk/replies": "11"})
    told = write(home, both)
    assert sorted(path.relative_to(home).as_posix() for path in (home / "baselines").rglob("*/desk/*.json")) == [
        f"baselines/{SLUG}/desk/replies.json",
        f"baselines/{SLUG}/desk/triage.json",
    ]
    assert any(line.startswith("desk/triage: recorded 3 cases, mean 0.667 (") for line in told)
    lines = [line for line in file_of(home).read_text().splitlines() if '"output"' in line]
    assert [line.split(":")[0].strip() for line in lines] == ['"c000"', '"c001"', '"c002"']


def test_recording_the_same_again_leaves_every_byte(home):
    write(home, made(home, created="2026-01-01T00:00:00"))
    before = file_of(home).read_bytes()
    stamp = file_of(home).stat().st_mtime_ns
    told = write(home, made(home, created="2026-02-02T00:00:00", adapter=None))
    assert told[0].startswith("desk/triage: unchanged (")
    assert (file_of(home).read_bytes(), file_of(home).stat().st_mtime_ns) == (before, stamp)


def test_the_order_in_which_things_were_scored_leaves_no_trace(home):
    first = made(home)
    rates = {"adherence": True, "exact": False}
    cases = {key: replace(result, rates=rates) for key, result in first.cases.items()}
    write(home, replace(first, cases=cases))
    before = file_of(home).read_bytes()
    turned = {key: replace(cases[key], rates=dict(reversed(rates.items()))) for key in reversed(cases)}
    write(home, replace(first, cases=turned))
    assert file_of(home).read_bytes() == before


def test_it_holds_outputs_but_no_inputs_times_or_names(home):
    write(home, made(home, created="2026-01-01T00:00:00", path=home / "x.json"))
    text = file_of(home).read_text()
    assert "no idea" in text
    for secret in ("message c000", "2026-01", str(home), '"names"'):
        assert secret not in text
    assert text.isascii()


def test_what_was_written_is_read(home):
    one = Result(
        False, 0.0, (Finding("expect", "found \u00e4", "$.a"),), {"exact": False}, "x \u2028", 3, 4, "length", "g1"
    )
    cases = {
        f"{T}/c000": one,
        f"{T}/c001": replace(one, passed=True, score=1.0),
        f"{T}/c002": Result(True, 1.0, output=""),
    }
    recorded = replace(made(home), cases=cases)
    write(home, recorded)
    baseline = read_baseline(file_of(home), T)
    assert as_reference([baseline]).cases == cases
    assert (baseline.subject, baseline.engine, baseline.summary) == (SUBJECT, ENGINE, recorded.units[T])
    assert digests([baseline]) == {T: file_digest(file_of(home))}


def test_recorded_outputs_can_be_used_again_by_their_digest(home):
    one = Result(True, 1.0, output="yes", tokens_in=3, tokens_out=1, finish="length", generation="g0")
    unknown = Result(True, 1.0, output="yes")
    repeats = Result(True, 1.0, repeats=(replace(one, generation="g1"), replace(one, generation="g2", finish=None)))
    cases = {f"{T}/c000": one, f"{T}/c001": unknown, f"{T}/c002": repeats}
    write(home, replace(made(home), cases=cases))
    answers = read_baseline(file_of(home), T).completions
    assert sorted(answers) == ["g0", "g1", "g2"]
    assert (answers["g0"].output, answers["g0"].tokens_in, answers["g0"].finish) == ("yes", 3, "length")
    assert answers["g2"].finish is None


# what an update says


def test_an_update_says_what_moved(home):
    write(home, made(home, "100"))
    cases = {key: replace(result, output="other") for key, result in made(home, "101").cases.items()}
    (told,) = write(home, replace(made(home, "101"), cases=cases))
    assert told.startswith("desk/triage: updated: mean 0.333 -> 0.667 (")


def test_an_update_of_outputs_alone_says_so(home):
    write(home, made(home))
    cases = {key: replace(result, output="other") for key, result in made(home).cases.items()}
    (told,) = write(home, replace(made(home), cases=cases))
    assert told.startswith("desk/triage: updated: outputs only (")


def test_loosened_rules_are_told_first_and_tightened_ones_too(home):
    write(home, made(home, "000"))
    looser = {key: replace(result, passed=True, score=1.0) for key, result in made(home, "000").cases.items()}
    changed = replace(made(home, "111"), cases=looser, questions={T: made(home).questions[T] | {"references": "x"}})
    (told,) = write(home, changed)
    assert told.startswith(
        "desk/triage: updated: loosened rules: the same output now scores higher in c000, c001, c002; "
        "other references; mean 0.000 -> 1.000 ("
    )
    (told,) = write(home, made(home, "000"))
    assert "updated: tightened rules: the same output now scores lower in c000, c001, c002; other references;" in told


def test_an_update_says_which_cases_came_and_went(home):
    write(home, made(home))
    write_unit(home / "fixtures", ["c000", "c001", "new"])
    (told,) = write(home, made(home))
    assert "updated: other cases (+new, -c002)" in told


def test_an_update_says_who_answered_and_by_what_means(home):
    write(home, made(home))
    other = {"subject": SUBJECT | {"template": "e"}, "engine": ENGINE | {"torch": "2.14"}}
    (told,) = write(home, made(home, fingerprint=other))
    assert "updated: another chat template; torch 2.13 -> 2.14 (" in told


def test_a_damaged_file_is_written_anew(home):
    write(home, made(home))
    file_of(home).write_text("<<<<<<< HEAD\n")
    (told,) = write(home, made(home))
    assert told.startswith("desk/triage: recorded 3 cases")
    assert match(home)


# what a baseline refuses


def test_the_same_subject_and_questions_match_whatever_the_adapter(home):
    write(home, made(home))
    (found,) = match(home, SUBJECT | {"adapter": "a" * 64})
    assert found.unit == T


def test_another_subject_is_refused_by_part(home):
    for part, told in [
        ("base", "another base weights"),
        ("tokenizer", "another tokenizer"),
        ("template", "another chat template"),
        ("rung", "another rung"),
    ]:
        write(home, made(home))
        with pytest.raises(
            Refused, match=rf"desk/triage: the baseline \(.*triage\.json\) was recorded with {told}; record"
        ):
            match(home, SUBJECT | {part: "x"})


def test_another_engine_is_refused_with_both_values(home):
    write(home, made(home))
    with pytest.raises(Refused, match=r"recorded with planner None \(now 2\), torch 2\.13 \(now 2\.14\); record"):
        match(home, engine=ENGINE | {"torch": "2.14", "planner": "2"})


def test_another_engine_matches_where_any_will_do_but_nothing_else(home):
    write(home, made(home))
    other = ENGINE | {"dtype": "bfloat16"}
    [found] = match(home, engine=other, any_engine=True)
    assert found.engine == ENGINE
    with pytest.raises(Refused, match=r"recorded with another chat template, dtype float32 \(now bfloat16\); run as"):
        match(home, SUBJECT | {"template": "e"}, other, any_engine=True)


def test_of_another_backend_only_what_both_have_is_told():
    served = {"backend": "vllm", "vllm": "0.32", "dtype": "bfloat16", "device": "cpu"}
    assert engine_differences(ENGINE, served) == ["backend transformers (now vllm)", "dtype float32 (now bfloat16)"]


def test_what_is_not_asked_again_is_told_once(home):
    write(home, made(home))
    with pytest.raises(Refused) as error:
        match(home, engine={"backend": "openai", "sampling": "standard fields"})
    assert str(error.value).endswith(
        "the base of a served model, or of outputs from a file, cannot be re-run on this engine"
    )


def test_other_questions_are_refused_by_part(home):
    write(home, made(home))
    write_desk(home / "fixtures", 3, check={"schema": {"type": "object"}})
    with pytest.raises(Refused, match="was recorded with other checks, other references; record it again"):
        match(home)


@pytest.mark.parametrize(
    "more",
    [
        {"prompt": {"system": "Sort it."}},
        {"generate": {"max_new_tokens": 5}},
        {"shots": [{"input": "x", "output": "y"}]},
    ],
)
def test_another_prompt_or_decoding_is_no_other_question(home, more):
    write(home, made(home))
    write_desk(home / "fixtures", 3, **more)
    assert [each.unit for each in match(home)] == [T]


@pytest.mark.parametrize(("ids", "told"), [
    (["c000", "c001", "c002", "c003"], r"\(\+c003\)"),
    (["c000", "c001"], r"\(-c002\)"),
    (["c000", "c001", "renamed"], r"\(\+renamed, -c002\)"),
    (["n1", "n2", "n3", "n4"], r"\(\+n1, \+n2, \+n3 and 4 more\)"),
])  # fmt: skip
def test_other_cases_are_refused_by_name(home, ids, told):
    write(home, made(home))
    write_unit(home / "fixtures", ids)
    with pytest.raises(Refused, match=f"other cases {told}"):
        match(home)


def test_a_missing_baseline_says_how_to_record_it(home):
    with pytest.raises(Refused, match=r"desk/triage: expected a baseline at .*triage\.json, found none; record it: "):
        match(home)


def test_only_another_models_baseline_is_named(home):
    write(home, made(home))
    with pytest.raises(Refused, match=rf"this model \(small-99999999\), found one of another only \({SLUG}\)"):
        match(home, SUBJECT | {"model": "small-99999999"})


def test_every_unit_that_does_not_match_is_named_at_once(home):
    write_desk(home / "fixtures", 2, "replies")
    with pytest.raises(Refused) as error:
        match(home)
    assert [line.split(":")[0].strip() for line in str(error.value).splitlines()[1:]] == ["desk/replies", "desk/triage"]


DAMAGES = {
    "cut off": lambda text: text[: len(text) // 2],
    "empty": lambda text: "",
    "a list": lambda text: "[]",
    "cases a list": lambda text: json.dumps(json.loads(text) | {"cases": []}),
    "a score of text": lambda text: text.replace('"score": 1.0', '"score": "1.0"', 1),
    "a case twice": lambda text: text.replace('  "c001"', '  "c000"', 1),
    "no engine": lambda text: json.dumps({key: value for key, value in json.loads(text).items() if key != "engine"}),
    "a newer version": lambda text: text.replace('"schema_version": 1', '"schema_version": 2'),
}


def test_a_damaged_file_is_refused_by_name(home):
    for damage in DAMAGES.values():
        write(home, made(home))
        file_of(home).write_text(damage(file_of(home).read_text()))
        with pytest.raises(Refused, match=r"desk/triage: expected a baseline at .*triage\.json, found a damaged file"):
            match(home)


def test_another_units_file_is_refused(home):
    write(home, made(home))
    file_of(home).rename(file_of(home, "desk/replies"))
    with pytest.raises(Refused, match=r"desk/replies: expected its baseline at .*, found that of 'desk/triage'"):
        read_baseline(file_of(home, "desk/replies"), "desk/replies")


def test_a_baseline_whose_unit_vanished_is_refused(home):
    write_desk(home / "fixtures", 2, "replies")
    write(home, record(load_tasks(home / "fixtures"), {T: "101", "desk/replies": "11"}))
    check_vanished(home / "baselines", SLUG, load_tasks(home / "fixtures"))
    (file_of(home).parent / "diagnosis.json").write_text("{}")
    (home / "fixtures" / "desk" / "replies.yaml").unlink()
    with pytest.raises(
        Refused, match=r"desk/replies \(.*replies\.json\)\nrestore the unit, or retire it with a reason"
    ) as error:
        check_vanished(home / "baselines", SLUG, load_tasks(home / "fixtures"))
    assert "diagnosis" not in str(error.value)


def test_a_release_whose_unit_vanished_is_refused_too(home):
    save(home / "baselines", made(home), read_units(home), released=True)
    check_vanished(home / "baselines", SLUG, load_tasks(home / "fixtures"))
    write_desk(home / "fixtures", 3, "renamed")
    (home / "fixtures" / "desk" / "triage.yaml").unlink()
    with pytest.raises(Refused, match=r"desk/triage \(.*triage\.released\.json\)"):
        check_vanished(home / "baselines", SLUG, load_tasks(home / "fixtures"))


# how to record


@pytest.mark.parametrize(("subject", "model", "command"), [
    ({}, None, "pytest fixtures/ --tg-record -k desk/triage"),
    ({}, "smollm2", "pytest fixtures/ --tg-record -k desk/triage"),
    ({"rung": "as-is"}, "my model/", "pytest fixtures/ --tg-record '--tg-model=my model/' -k desk/triage"),
    ({"rung": "few-shot"}, None, "pytest fixtures/ --tg-record --tg-rung=few-shot -k desk/triage"),
])  # fmt: skip
def test_the_command_asks_for_that_unit_of_that_model_on_that_rung(home, subject, model, command):
    (unit,) = read_units(home)
    assert how_to_record(unit, Fingerprint(subject, {}), model) == command.replace("fixtures", f"{home}/fixtures")


def test_a_task_that_k_cannot_name_is_recorded_with_the_rest(home):
    write_desk(home / "fixtures", 3, task="front desk")
    unit = find_unit(load_tasks(home / "fixtures"), "front desk/triage")
    assert how_to_record(unit, Fingerprint({}, {})) == f"pytest {home}/fixtures/ --tg-record"


def test_what_another_writer_wrote_meanwhile_is_not_lost(home):
    write_desk(home / "fixtures", 3, "replies")
    both = record(load_tasks(home / "fixtures"), {T: "101", "desk/replies": "110"})
    began = state(home / "baselines", SLUG, read_units(home))
    save(home / "baselines", made(home, "001"), [find_unit(load_tasks(home / "fixtures"), T)])
    theirs = file_of(home).read_bytes()
    with pytest.raises(Refused, match=r"another run changed .*desk/triage\.json meanwhile"):
        write_baselines(home / "baselines", SLUG, both, read_units(home), began)
    assert file_of(home).read_bytes() == theirs
    assert not file_of(home, "desk/replies").exists()


def test_a_file_that_was_deleted_meanwhile_is_not_brought_back(home):
    write(home, made(home))
    began = state(home / "baselines", SLUG, read_units(home))
    file_of(home).unlink()
    with pytest.raises(Refused, match="another run changed"):
        write_baselines(home / "baselines", SLUG, made(home, "001"), read_units(home), began)


def test_two_writers_of_the_same_text_agree(home):
    began = state(home / "baselines", SLUG, read_units(home))
    write(home, made(home))
    (told,) = write_baselines(home / "baselines", SLUG, made(home), read_units(home), began)
    assert told.startswith("desk/triage: unchanged (")


# what it was held to


def test_a_looser_task_yaml_is_the_first_thing_an_update_tells(home):
    write(home, made(home, "101"))
    write_policy(home / "fixtures", triage={"margin": 0.2, "minimum_score": 0.5})
    loosened = "loosened task.yaml: margin 0.05 -> 0.2"
    tightened = "tightened task.yaml: minimum_score none -> 0.5"
    (told,) = write(home, made(home, "111"))
    assert told.startswith(f"desk/triage: updated: {loosened}; {tightened}; mean 0.667 -> 1.000 (")


# edits by hand


@pytest.mark.parametrize("edit", [
    lambda data: data["cases"]["c001"].update(passed=True, score=1.0),
    lambda data: data["cases"]["c001"].update(output="better"),
    lambda data: data["summary"].update(mean=0.1),
    lambda data: data["policy"].update(margin=0.5),
    lambda data: data["questions"].update(checks="0" * 64),
])  # fmt: skip
def test_a_baseline_that_was_edited_is_refused_and_not_used_again(home, edit):
    write(home, made(home))
    data = json.loads(file_of(home).read_text())
    edit(data)
    file_of(home).write_text(json.dumps(data))
    with pytest.raises(Refused, match=r"desk/triage: expected the baseline at .* as it was recorded, found it edited"):
        read_baseline(file_of(home), T)


def test_white_space_and_line_ends_are_no_edit(home):
    write(home, made(home))
    file_of(home).write_bytes(file_of(home).read_bytes().replace(b"\n", b"\r\n"))
    assert read_baseline(file_of(home), T).summary.n == 3
