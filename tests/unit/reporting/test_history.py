"""The history of a unit: by the ledger, with the scores that are still here, and never in the way of the page."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.records import record, save, units_of, write_desk
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.history.ledger.evaluations import case_events
from tunegate.harness.history.ledger.store import append, event_path, read_ledger
from tunegate.harness.reporting.drawings import history_drawing
from tunegate.harness.reporting.history import with_history
from tunegate.harness.reporting.report import HistoryEntry, UnitHistory, report_of

T = "desk/triage"


class Desk:
    """A folder with a task, its baselines, their ledger, and the runs that are kept."""

    def __init__(self, root, n=4):
        write_desk(root / "fixtures", n)
        self.tasks = load_tasks(root / "fixtures")
        self.units = list(units_of(self.tasks).values())
        self.baselines, self.runs = root / "baselines", root / "runs"

    def save(self, scores, **more):
        released = more.pop("released", False)
        save(self.baselines, record(self.tasks, {T: scores}, **more), self.units, released)

    def run(self, name, scores, adapter):
        """A run of an adapter, as the ledger is told of it."""
        made = replace(record(self.tasks, {T: scores}, adapter), created=name).write(self.runs / f"{name}.json")
        for event in case_events("run", made.run_by, self.units, made.as_dict()["digest"]):
            append(self.baselines, event)
        return made

    def history(self, *records):
        return with_history(report_of(records), records, self.baselines, self.runs)


@pytest.fixture
def desk(tmp_path) -> Desk:
    return Desk(tmp_path)


def test_it_tells_what_was_recorded_run_and_released_and_what_is_shown(desk):
    desk.save("0000")
    desk.run("1", "0001", "a" * 64)
    desk.save("0011", adapter="a" * 64, released=True)
    made = desk.run("2", "0111", "b" * 64)
    [found] = desk.history(made).history
    assert (found.key, found.kind) == (T, "pass/fail")
    assert [(each.event, each.model, each.mean) for each in found.entries] == [
        ("baseline recorded", "tiny-12345678", 0.0),
        ("run", "adapter aaaaaaaa on tiny-12345678", 0.25),
        ("released", "adapter aaaaaaaa on tiny-12345678", 0.5),
        ("run", "adapter bbbbbbbb on tiny-12345678", 0.75),
    ]


def test_what_the_ledger_does_not_know_is_shown_last(desk):
    desk.save("0000")
    [found] = desk.history(record(desk.tasks, {T: "1111"})).history
    assert [(each.event, each.mean) for each in found.entries] == [("baseline recorded", 0.0), ("shown here", 1.0)]


def test_a_score_whose_file_is_gone_or_edited_is_left_out(desk):
    desk.save("0000")
    desk.run("1", "0001", "a" * 64)
    path = desk.runs / "1.json"
    for spoil in (lambda: path.write_text(path.read_text().replace("0.25", "0.75")), path.unlink):
        spoil()
        [found] = desk.history(record(desk.tasks, {T: "1111"})).history
        assert [each.mean for each in found.entries] == [0.0, None, 1.0]


def test_answers_to_other_questions_are_no_part_of_the_line(desk, tmp_path):
    desk.save("0000")
    later = Desk(tmp_path, 5)
    [found] = later.history(record(later.tasks, {T: "11111"})).history
    assert [each.is_comparable for each in found.entries] == [False, True]
    assert history_drawing(found) is None


def test_one_event_is_no_history(desk):
    assert desk.history(record(desk.tasks, {T: "1111"})).history == ()


def test_a_ledger_that_is_not_whole_leaves_a_note(desk):
    desk.save("0000")
    desk.run("1", "0001", "a" * 64)
    event_path(desk.baselines, read_ledger(desk.baselines).in_order[0].digest).unlink()
    found = desk.history(record(desk.tasks, {T: "1111"}))
    assert found.history == ()
    assert found.notes[0].startswith("no history: the ledger is not whole:\n")


def test_a_line_goes_from_the_lowest_to_the_highest_score_and_marks_releases():
    events = (("baseline recorded", 0.2), ("run", None), ("released", 0.6), ("run", 0.4))
    entries = tuple(HistoryEntry("", event, "m", mean, True) for event, mean in events)
    drawn = history_drawing(UnitHistory(T, "pass/fail", entries))
    assert drawn.points == ((6.0, 34.0, False), (100.0, 6.0, True), (194.0, 20.0, False))
    assert drawn.ends == "20.0 % → 40.0 %"
    assert drawn.label == "20.0 %, then 60.0 %, then 40.0 %"
    assert drawn.path == "6.0,34.0 100.0,6.0 194.0,20.0"
