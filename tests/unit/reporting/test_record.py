"""Records as people read them, in a hundred columns."""

from __future__ import annotations

import io
from dataclasses import replace
from itertools import pairwise

import pytest

from tests.support.records import record, write_desk, write_policy
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.checks.base import Finding
from tunegate.harness.core.printing import Printer
from tunegate.harness.gate import rule as gate
from tunegate.harness.models.evaluation.record import Record, Result
from tunegate.harness.reporting.record import case_failure, print_record, print_side_by_side

T = "desk/triage"


def shown(record: Record, width: int = 100) -> list[str]:
    """The lines that a console of that width prints."""
    console = Printer(file=io.StringIO(), width=width)
    print_record(console, record)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def table_of(record: Record, width: int = 100) -> list[str]:
    """The lines of the table alone, which stands between the sentences and what to do next."""
    lines = shown(record, width)
    first = lines.index("") + 1
    return lines[first : lines.index("", first)]


@pytest.fixture
def tasks(tmp_path):
    write_desk(tmp_path, 100)
    write_desk(tmp_path, 60, "first-contact-replies")
    write_policy(tmp_path, triage={"role": "target"}, **{"first-contact-replies": {"margin": 0.12}})
    return load_tasks(tmp_path)


@pytest.fixture
def gated(tasks):
    """A record with one unit improved and one inconclusive."""
    replies = "desk/first-contact-replies"
    base = record(tasks, {T: "0" * 100, replies: "1" * 60})
    tuned = record(tasks, {T: "1" * 90 + "0" * 10, replies: "1" * 57 + "0" * 3}, adapter="a" * 64)
    rates = {"adherence": 1.0, "exact": 0.9}
    units = tuned.units | {T: replace(tuned.units[T], rates=rates)}
    bases = base.units | {T: replace(base.units[T], rates={"adherence": 0.0, "exact": 0.0})}
    return gate.compare(tasks, replace(tuned, units=units), {"baseline": replace(base, units=bases)}, ["desk"])


HEADS = "regressed/ unit role cases before now difference [90 %] fixed verdict"


def test_a_gated_record_is_a_table_in_which_each_unit_stands_whole(gated):
    table = table_of(gated)
    assert table[0] == "tiny against baseline"
    assert " ".join(" ".join(table[1:3]).split()) == HEADS
    assert [" ".join(line.split()) for line in table[4:]] == [
        "desk/first-contact-replies guard 60 100.0 % 95.0 % -5.0 [-12.3, +0.1] 3/0 inconclusive",
        "desk/triage target 100 0.0 % 90.0 % +90.0 [+83.7, +94.1] 0/90 improved",
    ]


@pytest.mark.parametrize("width", [40, 100])
def test_small_prices_push_no_unit_out_of_the_table(gated, width):
    verdict = replace(
        gated.verdicts[T], kind="continuous", base=-3.332e-5, mean=-2.808e-5, difference=5.244e-6,
        interval=(3.884e-6, 6.353e-6),
    )  # fmt: skip
    table = table_of(replace(gated, verdicts={**gated.verdicts, T: verdict}), width)

    assert [line.split()[0] for line in table if line.startswith("desk")] == [
        "desk/first-contact-replies", "desk/triage",
    ]  # fmt: skip
    below = next(after for line, after in pairwise(table) if line.startswith("desk/triage"))
    assert below.strip() == "[+0.00000388, +0.00000635]"


def test_several_records_stand_side_by_side(tasks, gated):
    base = record(tasks, {T: "0" * 100, "desk/first-contact-replies": "1" * 60})
    few = record(tasks, {T: "0" * 50 + "1" * 50})
    few = replace(few, fingerprint={**few.fingerprint, "subject": {**few.fingerprint["subject"], "rung": "few-shot"}})
    asked = {T: {**few.questions[T], "prompt": "another"}}
    console = Printer(file=io.StringIO(), width=80)

    print_side_by_side(console, [base, few, gated, replace(few, questions=asked)])

    lines = [" ".join(line.split()) for line in console.file.getvalue().splitlines()]
    assert lines[1] == "unit cases tiny tiny (few-shot) tiny tiny (few-shot)"
    assert "desk/triage 100 0.0 % 50.0 % 90.0 % improved other questions" in lines
    assert "desk/first-contact-replies 60 100.0 % - 95.0 % inconclusive -" in lines
    assert f"tiny: desk: {gated.tasks['desk'].reason}" in lines


def test_a_narrow_terminal_loses_nothing(gated):
    assert shown(gated, width=40) == shown(gated, width=100)


def test_the_verdict_stands_first_then_sentences_and_rates_one_a_line(gated):
    lines = shown(gated)
    assert lines[: lines.index("")] == [
        "tiny: Blocked: desk/first-contact-replies inconclusive: the loss may be up to 12.3 points (margin 12.0); "
        "the baseline 100.0 %, this change 95.0 %. Next: add cases: about 63 cases in total would settle it.",
        f"desk/first-contact-replies: {gated.verdicts['desk/first-contact-replies'].reason}",
        *(
            line
            for case in ("c057", "c058", "c059")
            for line in (
                f"  regressed: desk/first-contact-replies/{case}",
                '    before: {"product": "boiler"}',
                "    now:    no idea",
                "    - json.syntax: the output does not begin with JSON but with 'no idea'",
            )
        ),
        f"desk/triage: {gated.verdicts[T].reason}",
        "desk/first-contact-replies: adherence 95.0 %, exact 95.0 % of 60 (baseline: 100.0 %, 100.0 %)",
        "desk/triage: adherence 100.0 %, exact 90.0 % of 100 (baseline: 0.0 %, 0.0 %)",
    ]
    assert "desk: Blocked" not in "\n".join(lines), "the first line has said it"


def test_where_inconclusive_only_warns_nothing_says_blocked(gated):
    lines = shown(replace(gated, inconclusive="warn"))
    assert lines[0] == (
        "tiny: Not proven: desk/first-contact-replies (100.0 % -> 95.0 %) inconclusive, which only warns here "
        "(exit code 0) but "
        "allows no release. Next: add cases: tunegate plan says how many."
    )
    assert not any("Blocked" in line for line in lines)


def test_a_case_that_was_shown_before_is_not_shown_again(gated):
    console = Printer(file=io.StringIO(), width=100)
    print_record(console, gated, without={"desk/first-contact-replies/c057", "desk/first-contact-replies/c058"})
    regressed = [line for line in console.file.getvalue().splitlines() if "regressed: " in line]
    assert regressed == ["  regressed: desk/first-contact-replies/c059"]


def test_beyond_three_regressed_cases_it_says_where_the_rest_are_and_critical_ones_come_first(tmp_path):
    write_desk(tmp_path, 100, case_keys=lambda index: {"critical": index == 4})
    tasks = load_tasks(tmp_path)
    base = record(tasks, {T: "1" * 100})
    long = replace(record(tasks, {T: "0" * 5 + "1" * 95}), path=tmp_path / "r.json")
    tuned = replace(
        long, cases={key: replace(each, output="so\nvery " * 60, findings=()) for key, each in long.cases.items()}
    )
    lines = shown(gate.compare(tasks, tuned, {"baseline": base}, []))
    above = lines[: lines.index("")]
    regressed_cases = [line for line in above if line.startswith("  ") and "before" not in line]
    assert regressed_cases[0] == f"  regressed: {T}/c004 (critical)"
    assert regressed_cases[1].startswith("    now:    so very so very")
    assert regressed_cases[1].endswith("... (479 characters)")
    assert [line.split("/")[-1] for line in regressed_cases[2::2][:2]] == ["c000", "c001"]
    assert regressed_cases[-1] == "  and 2 more"
    assert lines[-1] == f"next: tunegate view {tmp_path / 'r.json'} shows every case beside its reference"


def test_the_cases_of_a_sealed_unit_that_regressed_are_not_shown(tmp_path):
    write_desk(tmp_path, 100, sealed=True)
    tasks = load_tasks(tmp_path)
    base, tuned = record(tasks, {T: "1" * 100}, sealed=True), record(tasks, {T: "0" * 9 + "1" * 91}, sealed=True)
    lines = shown(gate.compare(tasks, tuned, {"baseline": base}, []))
    assert any("9 regressed, 0 fixed" in line for line in lines)
    assert not any("c00" in line for line in lines)


def test_a_record_alone_shows_scores_rates_and_tokens(tasks):
    alone = record(tasks, {T: "1" * 90 + "0" * 10})
    summary = replace(alone.units[T], rates={"adherence": 1.0, "exact": 0.9}, tokens=(61.2, 38.4), unscored=2)
    lines = table_of(replace(alone, units={T: summary}))
    assert max(map(len, lines)) <= 100
    assert " ".join(lines[3].split()) == (
        "desk/triage 100 (2 unscored) 90.0 % 82.6 to 94.5 % adherence 100 %, exact 90 % 61/38"
    )


def test_a_unit_of_which_nothing_is_right_shows_its_most_frequent_finding(tasks):
    wrong = record(tasks, {T: "0" * 100, "desk/first-contact-replies": "0" * 59 + "1"})
    finding = 'json.syntax: the output does not begin with JSON but with "Dear ..."'
    other = Result(0.0, False, (Finding("json.syntax", "the output is empty"),))
    cases = {key: Result(0.0, False, (Finding(*finding.split(": ", 1)),)) for key in wrong.cases}
    lines = shown(replace(wrong, cases=cases | {f"{T}/c000": other}))
    assert [line for line in lines if "nothing is right" in line] == [
        f"{T}: nothing is right. Most frequent finding, in 99 of 100 cases: {finding} (c001)"
    ]


@pytest.mark.parametrize(("wrong", "said"), [(51, True), (50, False)])
def test_a_finding_of_most_cases_is_shown_with_what_to_try(tasks, wrong, said):
    made = record(tasks, {T: "0" * wrong + "1" * (100 - wrong)})
    finding = Finding("json.block", "the output is a code block, not just JSON")
    cases = {key: each if each.passed else Result(0.0, False, (finding,)) for key, each in made.cases.items()}
    lines = shown(replace(made, cases=cases))
    line = f"{T}: 49.0 % right. Most frequent finding, in 51 of 100 cases: {finding} (c000)"
    assert (line in lines) == said
    then = "next: tunegate diagnose desk tries constrained decoding, worked examples and other remedies"
    assert (then in lines) == said


def test_a_change_that_cannot_be_diagnosed_is_not_sent_there(tasks):
    wrong = record(tasks, {T: "0" * 100})
    cases = {key: Result(0.0, False, (Finding("json.block", "a code block"),)) for key in wrong.cases}
    assert not [line for line in shown(replace(wrong, cases=cases, adapter="a")) if "diagnose" in line]


def test_the_findings_of_a_sealed_unit_of_which_nothing_is_right_stay_hidden(tasks):
    wrong = replace(record(tasks, {T: "0" * 100}), sealed=True, policies={})
    assert not [line for line in shown(wrong) if "finding" in line]


def test_a_kept_record_says_where(tasks, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    kept = record(tasks, {T: "1" * 100}).write(tmp_path / "out" / "record.json")
    assert shown(kept)[-1] == "record: out/record.json"


def test_brackets_in_names_are_names_not_markup(tasks):
    odd = record(
        tasks, {T: "1" * 100}, fingerprint={"subject": {}, "engine": {}, "names": {"adapter": "runs/[red]x[/red]"}}
    )
    assert table_of(odd)[0] == "runs/[red]x[/red]"


# a failed case


@pytest.fixture
def case(tasks):
    return next(unit for unit in tasks[0].units if unit.key == T).cases[0]


def test_a_failed_case_shows_where_it_stands_what_was_asked_what_came_and_what_is_wrong(case):
    result = Result(
        False, 0.0, (Finding("expect", "expected 'boiler', found 'radiator'", "$.product"),), output="line 1\nline 2"
    )
    text = case_failure(case, result, Result(True, 1.0, output="before it was right"))
    assert text.splitlines() == [
        f"desk/triage/c000 ({case.place})",
        "",
        "input:",
        "  message c000",
        "difference:",
        "  before: before it was right",
        "  now:    line 1 line 2",
        "findings:",
        "  - expect at $.product: expected 'boiler', found 'radiator'",
    ]


def test_the_turns_of_a_conversation_stand_below_one_another_with_who_says_them(case):
    talk = replace(case, earlier=(("user", "It drips."), ("assistant", "Where?\nSince when?")))

    assert case_failure(talk, Result(None, None), None).splitlines()[2:7] == [
        "input:", "  user: It drips.", "  assistant: Where?", "  Since when?", "  user: message c000",
    ]  # fmt: skip


def test_an_unscored_case_shows_that_nothing_came(case):
    assert "output:\n  (none: unscored)" in case_failure(case, Result(None, None), None)


def test_a_long_output_is_cut_with_its_length(case):
    assert f"  {'x' * 600}... (5000 characters)" in case_failure(case, Result(False, 0.0, output="x" * 5000), None)


def test_a_sampled_case_shows_the_first_answer_that_failed(case):
    right, wrong = Result(True, 1.0, output="right"), Result(False, 0.0, (Finding("json", "none"),), output="wrong")
    text = case_failure(case, Result(False, 0.5, repeats=(right, wrong)), None)
    assert "1 of 2 outputs failed; the first one:\noutput:\n  wrong\nfindings:\n  - json: none" in text
