"""Inputs of traffic are held out from rows like those of fixtures."""

from __future__ import annotations

from tests.support.traffic import write_traffic
from tests.support.units import write_unit
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.cases.snapshot import TrafficInput, traffic_in, write_snapshot
from tunegate.harness.rows.texts import eval_texts


def test_the_inputs_of_traffic_are_compared_with_rows(tmp_path):
    with traffic_in(tmp_path / "traffic"):
        sha = write_snapshot([TrafficInput("the boiler leaks"), TrafficInput("no heat", context="the order of May")])
        write_traffic(tmp_path / "fixtures", sha, "production", labels={"file": "a.jsonl", "sample": 10})
        write_unit(tmp_path / "fixtures", ["a"])

        found = {(each.text, each.case.unit) for each in eval_texts(load_tasks(tmp_path / "fixtures"))}

    production = {text for text, unit in found if unit == "desk/production"}
    assert production == {"the boiler leaks", "no heat", "the order of May"}
    assert ("message a", "desk/triage") in found
