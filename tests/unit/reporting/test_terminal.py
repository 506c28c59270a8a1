"""What a record looks like on a terminal, narrow and wide, with colour and without: golden files.

After a change that is meant: `make golden`, then look at the diff (`cat` shows the colours).
"""

from __future__ import annotations

import io
import os
from dataclasses import replace

import pytest

from tests.support.paths import GOLDEN
from tests.support.records import record, write_desk, write_policy
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.core.printing import Printer
from tunegate.harness.gate import rule as gate
from tunegate.harness.models.evaluation.record import Record
from tunegate.harness.reporting.record import print_record

TRIAGE, REPLIES = "desk/triage", "desk/first-contact-replies"


@pytest.fixture
def gated(tmp_path) -> Record:
    """One unit that is improved, and one that regressed in JSON fields, in words, and in a critical case."""
    write_desk(tmp_path, 100)
    write_desk(tmp_path, 60, "first-contact-replies", case_keys=lambda index: {"critical": index == 57})
    write_policy(tmp_path, triage={"role": "target"}, **{"first-contact-replies": {"margin": 0.12}})
    tasks = load_tasks(tmp_path)
    base = record(tasks, {TRIAGE: "0" * 100, REPLIES: "1" * 60})
    tuned = record(tasks, {TRIAGE: "1" * 90 + "0" * 10, REPLIES: "1" * 50 + "0" * 10})
    long = "We have looked at the boiler and will send somebody who knows it " * 3
    outputs = {
        f"{REPLIES}/c050": '{"product": "radiator", "urgent": true}',
        f"{REPLIES}/c051": f"{long}today. {long}",
    }
    cases = {key: replace(each, output=outputs.get(key, each.output)) for key, each in tuned.cases.items()}
    before = {**base.cases, f"{REPLIES}/c051": replace(base.cases[f"{REPLIES}/c051"], output=f"{long}now. {long}")}
    return gate.compare(tasks, replace(tuned, cases=cases), {"baseline": replace(base, cases=before)}, ["desk"])


@pytest.mark.golden
@pytest.mark.parametrize("colour", [False, True], ids=["plain", "colour"])
@pytest.mark.parametrize("width", [80, 200])
def test_a_terminal_shows_what_the_golden_file_does(gated, width, colour):
    console = Printer(
        file=io.StringIO(), width=width, force_terminal=colour, color_system="standard" if colour else None
    )

    print_record(console, gated)

    found, path = console.file.getvalue(), GOLDEN / "terminal" / f"{width}{'-colour' if colour else ''}.txt"
    if os.environ.get("TUNEGATE_GOLDEN") == "write":
        path.parent.mkdir(exist_ok=True)
        path.write_text(found)
    assert found == path.read_text()
