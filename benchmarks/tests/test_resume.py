"""The benchmark of resuming, on the tiny model with one kill."""

from __future__ import annotations

import pytest

from benchmarks.resume import Failed, Kill, Outcome, measure, report, write_project
from tunegate.harness.core.progress import quiet


def test_a_kill_on_the_tiny_model(tmp_path, tiny_model):
    write_project(tmp_path, str(tiny_model), kills=1)

    found = measure(tmp_path, str(tiny_model), 1, quiet())

    (kill,) = found.kills
    assert found.equal
    assert found.steps == 10
    assert (kill.began, kill.left) == (0, found.resumed)
    assert found.checkpoint > 0


def test_a_command_that_fails_ends_the_run(tmp_path, tiny_model):
    write_project(tmp_path, str(tiny_model), kills=1)
    (tmp_path / "fixtures/support/triage.yaml").write_text("version: 2")

    with pytest.raises(Failed, match=r"--tg-record ended with 4:\n(.|\n)*triage\.yaml"):
        measure(tmp_path, str(tiny_model), 1, quiet())


def test_the_report_says_what_differs():
    outcome = Outcome(40, [Kill(0, 3, True, 9.0), Kill(3, 6, False, 8.0)], 6, False, "ab" * 32, 58_000_000)

    said = report(outcome, "smollm2", 90.0)

    assert "- 2 kills (SIGKILL) of a training of 40 steps on `smollm2`; the last run went on at step 6." in said
    assert "The adapter is DIFFERENT" in said
    assert "| 1 | 0 | 3 | yes | 9 |" in said
    assert "- 1 of them fell while a checkpoint was written" in said
