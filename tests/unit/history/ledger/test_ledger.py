"""The ledger's laws: events are known by what they say, two ledgers merge to their union, what is gone is missed."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.records import ENGINE, LOCAL, write_desk
from tests.support.units import write_unit
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.cases.model import Unit
from tunegate.harness.core.errors import Refused
from tunegate.harness.history.ledger.evaluations import (
    case_digest,
    case_events,
    evaluation_numbers,
    evaluations_made,
    known_by,
    sealed_evaluations,
)
from tunegate.harness.history.ledger.ledger import Event
from tunegate.harness.history.ledger.store import LEDGER, append, event_path, read_ledger, write_event
from tunegate.harness.models.api import Fingerprint
from tunegate.harness.reporting.ledger import ledger_lines

FIRST, SECOND, THIRD = (LOCAL | {"adapter": letter * 64} for letter in "abc")
OTHER_BASE = LOCAL | {"model": "next-87654321", "base": "f" * 64, "adapter": "a" * 64}
T = "desk/triage"


def released(subject, sha="1"):
    return Event("released", "desk", subject, {T: sha * 64})


def opened(subject, *cases):
    return Event("opened", "desk", subject, cases={T: tuple(case * 16 for case in cases)})


def withdrawn(subject):
    return Event("withdrawn", "desk", subject, reason="a test")


def tell(root: Path, *events: Event) -> Path:
    for event in events:
        append(root, event)
    return root


def merge(one: Path, other: Path, into: Path) -> Path:
    """What git makes of two branches: every file of both."""
    for root in (one, other):
        shutil.copytree(root, into, dirs_exist_ok=True)
    return into


def served(root: Path) -> list[str]:
    return [event.subject["adapter"][0] for event in read_ledger(root).last_release("desk")]


# --- one event


def test_an_event_is_a_file_named_by_what_it_says_and_names_the_one_before(tmp_path):
    tell(tmp_path, released(FIRST), opened(SECOND, "a"))
    before, after = read_ledger(tmp_path).in_order
    assert after.after == (before.digest,)
    assert read_ledger(tmp_path).heads == (after.digest,)
    written = json.loads(event_path(tmp_path, after.digest).read_text())
    assert written["cases"] == {T: ["a" * 16]}
    assert written.keys() == {"schema_version", "kind", "task", "subject", "when", "after", "cases"}  # and no host


def test_there_is_a_ledger_before_the_first_event(tmp_path):
    assert read_ledger(tmp_path).heads == ()
    assert read_ledger(tmp_path).last_release("desk") == []


@pytest.mark.parametrize(("spoil", "said"), [
    (lambda text: text.replace("a" * 64, "b" * 64), "expected an event as it was written, found it edited"),
    (lambda text: text[: len(text) // 2], "expected an event of the ledger, found"),
    (lambda text: "[]", r"found \$: \[\] is not of type 'object'"),
    (lambda text: text.replace("released", "praised"), "'praised' is not one of"),
    (lambda text: text.replace('"after"', '"task": "desk", "after"'), "the key 'task' twice"),
    (lambda text: "[" * 100_000, "found more than 100 levels of nesting"),
])  # fmt: skip
def test_an_event_that_is_not_what_was_written_is_refused_with_its_file(tmp_path, spoil, said):
    tell(tmp_path, released(FIRST))
    [path] = (tmp_path / LEDGER).glob("*.json")
    path.write_text(spoil(path.read_text()))
    with pytest.raises(Refused, match=rf"{path.name}: .*{said}.*git checkout COMMIT --|{said}.*git checkout"):
        read_ledger(tmp_path)


def test_line_ends_are_no_edit(tmp_path):
    tell(tmp_path, released(FIRST))
    [path] = (tmp_path / LEDGER).glob("*.json")
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert served(tmp_path) == ["a"]


# --- what is said once


@pytest.mark.parametrize(("events", "files"), [
    ([opened(FIRST, "a"), opened(FIRST, "a")], 1),
    ([opened(FIRST, "a", "b"), opened(FIRST, "b")], 1),
    ([opened(FIRST, "a"), opened(FIRST, "a", "b")], 2),
    ([opened(FIRST, "a"), opened(OTHER_BASE, "a")], 2),
    ([released(FIRST), released(FIRST)], 1),
    ([released(FIRST, "1"), released(FIRST, "2")], 2),
    ([released(FIRST), released(SECOND), released(FIRST)], 3),
    ([released(FIRST), withdrawn(FIRST), withdrawn(FIRST)], 2),
])  # fmt: skip
def test_what_is_known_is_not_told_again(tmp_path, events, files):
    tell(tmp_path, *events)
    assert len(list((tmp_path / LEDGER).glob("*.json"))) == files


def test_the_last_baseline_of_a_unit_is_the_one_recorded_last(tmp_path):
    def recorded(sha, unit=T, model=LOCAL):
        return Event("recorded", "desk", model, {unit: sha * 64})

    tell(tmp_path, recorded("1"), recorded("2"), recorded("3", "desk/replies"), recorded("4", model=OTHER_BASE))
    ledger = read_ledger(tmp_path)
    assert ledger.recorded(T, LOCAL["model"]) == {"2" * 64}
    assert ledger.recorded(T, OTHER_BASE["model"]) == {"4" * 64}
    assert ledger.recorded("desk/wording", LOCAL["model"]) == set()
    tell(tmp_path, recorded("1"))
    assert read_ledger(tmp_path).recorded(T, LOCAL["model"]) == {"1" * 64}


# --- releases


@pytest.mark.parametrize(("events", "last"), [
    ([released(FIRST)], ["a"]),
    ([released(FIRST), released(SECOND)], ["b"]),
    ([released(FIRST), released(OTHER_BASE)], ["a"]),
    ([released(FIRST), released(SECOND), withdrawn(SECOND)], ["a"]),
    ([released(FIRST), released(SECOND), withdrawn(FIRST)], ["b"]),
    ([released(FIRST), released(SECOND), released(THIRD), withdrawn(SECOND), withdrawn(THIRD)], ["a"]),
    ([released(FIRST, "1"), released(FIRST, "2"), withdrawn(FIRST)], []),
])  # fmt: skip
def test_the_last_release_is_the_newest_that_was_not_withdrawn(tmp_path, events, last):
    assert served(tell(tmp_path, *events)) == last


def test_a_release_on_another_base_follows_the_one_before(tmp_path):
    tell(tmp_path, released(FIRST), released(OTHER_BASE))
    [last] = read_ledger(tmp_path).last_release("desk")
    assert last.subject["model"] == "next-87654321"


def test_two_releases_that_do_not_know_of_each_other_are_refused_until_one_is_withdrawn(tmp_path):
    base = tell(tmp_path / "base", opened(FIRST, "a"))
    one, other = (Path(shutil.copytree(base, tmp_path / name)) for name in ("one", "other"))
    merged = merge(tell(one, released(FIRST)), tell(other, released(SECOND)), tmp_path / "merged")
    with pytest.raises(Refused, match=r"desk: expected one last release, found several .*adapter aaaaaaaa on .* and"):
        served(merged)
    assert served(tell(merged, withdrawn(FIRST))) == ["b"]


@pytest.mark.parametrize("kind", ["serves", "retired"])
def test_after_a_merge_the_later_event_counts_not_that_of_the_longer_branch(tmp_path, kind, monkeypatch):
    def at(day: int, root: Path, *events: Event) -> Path:
        clock = SimpleNamespace(now=lambda _: datetime(2026, 12, day, tzinfo=UTC))
        with monkeypatch.context() as patch:
            patch.setattr("tunegate.harness.history.ledger.store.datetime", clock)
            return tell(root, *events)

    base = at(1, tmp_path / "base", released(FIRST))
    one, other = (Path(shutil.copytree(base, tmp_path / name)) for name in ("one", "other"))
    at(2, one, *(opened(SECOND, case) for case in "abc"), Event("serves", "desk", SECOND, {T: "2" * 64}))
    at(2, one, released(SECOND, "2"))
    at(20, other, Event(kind, "desk", LOCAL, {T: "3" * 64}, reason="a test"))
    ledger = read_ledger(merge(one, other, tmp_path / "merged"))
    assert [event.when[:10] for event in ledger.in_order] == sorted(event.when[:10] for event in ledger.in_order)
    later = ledger.in_service(T) if kind == "serves" else ledger.retirement(T)
    assert later == ledger.in_order[-1]
    assert later.kind == kind


# --- openings


def test_openings_count_the_models_that_answered_a_case(tmp_path):
    judged = Event("run", "desk", SECOND, cases={T: ("b" * 16,)})
    elsewhere = Event("opened", "front", FIRST, cases={"front/triage": ("a" * 16,)})
    tell(tmp_path, opened(FIRST, "a", "b"), opened(SECOND, "a"), opened(FIRST, "a"), judged, elsewhere)
    assert sealed_evaluations(read_ledger(tmp_path), "desk") == {"a" * 16: 2, "b" * 16: 2}


def test_the_lines_tell_how_often_sealed_cases_were_evaluated_and_by_how_many_configurations(tmp_path):
    other_prompt = replace(opened(FIRST, "a"), configurations={T: "1" * 16})
    tell(tmp_path, opened(FIRST, "a"), replace(opened(FIRST, "a"), engine=ENGINE), other_prompt)
    ledger = read_ledger(tmp_path)
    *_, task, summary = ledger_lines(ledger, ledger.in_order)
    said = "sealed cases evaluated 3 times, a case with at most 2 configurations"  # another engine is no configuration
    assert (task, summary) == (f"desk: no release; {said}", "3 events, 1 head; none is missing")


def test_a_case_is_known_by_what_it_asks_and_expects(tmp_path):
    write_unit(tmp_path, ["a", "b"])
    [task] = load_tasks(tmp_path)
    case, other = task.units[0].cases
    again = replace(case, id="renamed", input="  Message\u00a0A ", tags={"new": "tag"}, critical=True)
    assert case_digest(again) == case_digest(case)
    changed = [other, replace(case, expect={"product": "radiator"}), replace(case, context="more")]
    assert len({case_digest(each) for each in [case, *changed]}) == 4
    [event] = case_events("opened", Fingerprint(FIRST, ENGINE), task.units)
    assert event.cases == {T: tuple(sorted([*known_by(case), *known_by(other)]))}


def test_a_case_that_was_asked_is_known_again_by_its_name_though_its_text_was_edited(tmp_path):
    write_unit(tmp_path / "fixtures", ["a", "b"])
    [task] = load_tasks(tmp_path / "fixtures")
    [unit], third = task.units, {**FIRST, "adapter": "3" * 64}
    tell(tmp_path, *case_events("opened", Fingerprint(FIRST, ENGINE), [unit]))
    edited = replace(unit, cases=tuple(replace(case, input=f"{case.input}!") for case in unit.cases))
    new = replace(unit, cases=tuple(replace(case, id=f"new-{case.id}") for case in edited.cases))
    ledger, model = read_ledger(tmp_path), Fingerprint(third, ENGINE)
    assert [evaluation_numbers(ledger, [each], model)[T] for each in (unit, edited, new)] == [2, 2, 1]


# --- laws

told = st.lists(
    st.one_of(
        st.sampled_from([released(each, sha) for each in (FIRST, SECOND, OTHER_BASE) for sha in "12"]),
        st.sampled_from([opened(each, *cases) for each in (FIRST, SECOND) for cases in ("a", "ab", "c")]),
        st.sampled_from([withdrawn(FIRST), withdrawn(SECOND)]),
    ),
    max_size=5,
)


@given(told, told, told)
def test_the_union_of_two_clones_is_a_ledger_whatever_the_order(common, mine, theirs):
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        base = tell(home / "base", opened(THIRD, "d"), *common)
        one, other = (Path(shutil.copytree(base, home / name)) for name in ("one", "other"))
        tell(one, *mine)
        tell(other, *theirs)
        left, right = merge(one, other, home / "left"), merge(other, one, home / "right")
        merged = read_ledger(left)
        assert merged == read_ledger(right)
        assert merged.events.keys() == read_ledger(one).events.keys() | read_ledger(other).events.keys()
        for clone in (one, other):  # nothing is counted less than it was, and no order changes
            known = read_ledger(clone)
            assert [event for event in merged.in_order if event.digest in known.events] == known.in_order
            before = sealed_evaluations(read_ledger(clone), "desk")
            assert (
                before.items()
                <= {key: min(n, before.get(key, 0)) for key, n in sealed_evaluations(merged, "desk").items()}.items()
            )
        tell(left, opened(LOCAL | {"adapter": "e" * 64}, "e"))
        assert len(read_ledger(left).heads) == 1


@given(told, st.randoms(use_true_random=False))
def test_an_event_that_is_gone_is_missed_unless_none_came_after(events, random):
    with tempfile.TemporaryDirectory() as folder:
        root = tell(Path(folder), opened(THIRD, "d"), *events, opened(THIRD, "e"))
        ledger = read_ledger(root)
        gone = random.choice(sorted(ledger.events))
        event_path(root, gone).unlink()
        if gone in ledger.heads:
            assert read_ledger(root).events.keys() == ledger.events.keys() - {gone}
        else:
            with pytest.raises(Refused, match=f"{gone}.json: expected the event before .*history was lost"):
                read_ledger(root)


# --- openings by number


def test_the_how_manyth_model_is_asked_counts_by_the_most_worn_case(tmp_path):
    write_desk(tmp_path / "fixtures", 3)
    [task] = load_tasks(tmp_path / "fixtures")
    [unit] = task.units
    first, second, third = (LOCAL | {"adapter": letter * 64} for letter in "abc")
    one = replace(unit, cases=unit.cases[:1])

    def number(subject: dict[str, Any], of: Unit = unit) -> int:
        return evaluation_numbers(read_ledger(tmp_path), [of], Fingerprint(subject, ENGINE))[unit.key]

    assert number(first) == 1
    asked = [Fingerprint(each, ENGINE) for each in (first, second)]
    for event in [*case_events("run", asked[0], task.units), *case_events("opened", asked[1], [one])]:
        append(tmp_path, event)
    assert [number(each) for each in (first, second, third)] == [1, 2, 3]  # the first case was asked of two
    assert number(third, replace(unit, cases=unit.cases[1:])) == 2
    renamed = replace(unit.cases[0], id="other", input=unit.cases[0].input.upper() + " ")
    assert number(third, replace(unit, cases=(renamed,))) == 3


def test_the_same_adapter_on_another_engine_or_rung_looks_at_sealed_cases_anew(tmp_path):
    write_desk(tmp_path / "fixtures", 3)
    write_desk(tmp_path / "fixtures", 3, "final", sealed=True)
    [task] = load_tasks(tmp_path / "fixtures")
    first = Fingerprint(FIRST, ENGINE)
    others = [Fingerprint(FIRST, ENGINE | {"dtype": "bfloat16"}), Fingerprint(FIRST | {"rung": "few-shot"}, ENGINE)]
    tell(tmp_path, *case_events("opened", first, task.units))
    found = [evaluation_numbers(read_ledger(tmp_path), task.units, each) for each in (first, *others)]
    assert [each["desk/final"] for each in found] == [1, 2, 2]
    assert [each[T] for each in found] == [1, 1, 2], "open cases count configurations, on whatever engine"
    again = [case_events("opened", each, task.units)[0] for each in (first, others[0], others[0])]
    assert [append(tmp_path, each) for each in again] == [False, True, False]
    assert evaluation_numbers(read_ledger(tmp_path), task.units, others[1])["desk/final"] == 3


def two_prompts(tmp_path: Path, **more: Any) -> tuple[Unit, ...]:
    """Two units with the same cases and different prompts."""
    for name in ("long", "short"):
        cases = [{"id": f"c{n}", "input": f"same text {n}", "expect": {"product": "boiler"}} for n in range(3)]
        write_unit(tmp_path / "fixtures", [], name, cases=cases, prompt={"system": name}, **more)
    [task] = load_tasks(tmp_path / "fixtures")
    return task.units


def asked_of(units: Iterable[Unit], subject: dict[str, Any]) -> list[Event]:
    return case_events("run", Fingerprint(subject, ENGINE), units)


def numbers(root: Path, units: Iterable[Unit], subject: dict[str, Any]) -> list[int]:
    return [*evaluation_numbers(read_ledger(root), units, Fingerprint(subject, ENGINE)).values()]


@pytest.mark.parametrize("more", [{}, {"sealed": True}])
def test_one_run_of_two_prompts_on_the_same_cases_is_one_evaluation(tmp_path, more):
    units = two_prompts(tmp_path, **more)
    for place, subject in enumerate((FIRST, SECOND, THIRD), 1):
        assert numbers(tmp_path, units, subject) == [place, place]
        tell(tmp_path, *asked_of(units, subject))
        assert numbers(tmp_path, units, subject) == [place, place]
        assert set(evaluations_made(read_ledger(tmp_path), units).values()) == {place}


def test_the_better_of_two_prompts_that_one_run_compared_was_chosen(tmp_path):
    units = two_prompts(tmp_path)
    tell(tmp_path, *asked_of(units, FIRST))
    assert [numbers(tmp_path, [unit], FIRST) for unit in units] == [[1], [2]]
    assert [numbers(tmp_path, [unit], SECOND) for unit in units] == [[3], [3]]


def test_runs_of_one_prompt_each_on_the_same_cases_are_counted_singly(tmp_path):
    units = long, short = two_prompts(tmp_path)
    tell(tmp_path, *asked_of([long], FIRST), *asked_of([short], FIRST), *asked_of([long], SECOND))
    assert numbers(tmp_path, units, FIRST) == [1, 2]
    assert numbers(tmp_path, units, SECOND) == [3, 4]
    for place in range(4, 7):  # one prompt stays, and the other is tried again and again
        prompt = replace(short.configuration.prompt, system=f"Try {place}")
        tried = [long, replace(short, configuration=replace(short.configuration, prompt=prompt))]
        assert numbers(tmp_path, tried, FIRST) == [1, place]
        tell(tmp_path, *asked_of(tried, FIRST))
    assert numbers(tmp_path, units, THIRD) == [7, 7]


def test_a_withdrawal_that_knows_of_no_release_takes_none_back(tmp_path):
    released = Event("released", "desk", {"adapter": "a" * 64}, files={"desk/t": "b" * 64})
    append(tmp_path, released)
    append(tmp_path, Event("recorded", "desk", {"model": "x"}, files={"desk/t": "c" * 64}))
    forged = Event("withdrawn", "desk", {"adapter": "a" * 64}, reason="No.", when="2099-01-01T00:00:00+00:00")
    write_event(tmp_path, forged)
    assert read_ledger(tmp_path).last_release("desk")
    append(tmp_path, replace(forged, reason="Yes."))
    assert not read_ledger(tmp_path).last_release("desk")
