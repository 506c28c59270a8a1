"""The rows of the commands: imported when they are looked up, and some may not be there."""

from __future__ import annotations

import typer.main
from typer.testing import CliRunner

from tunegate.harness.cli.main import COMMANDS, CommandRow, app

GROUP = typer.main.get_command(app)
GONE = CommandRow("harness.nowhere:train", "Train.", "tunegate train")


def test_a_row_that_is_not_there_is_listed_and_answers_in_a_line(monkeypatch):
    monkeypatch.setitem(COMMANDS, "train", GONE)

    assert "\n  train     " in CliRunner().invoke(app, ["--help"]).stdout
    for line in (["train", "recipe.yaml"], ["train", "-h"]):
        done = CliRunner().invoke(app, line)
        assert (done.exit_code, done.stdout) == (3, "")
        assert done.stderr == (
            "expected tunegate.harness.nowhere, found none: this installation has only a part of tunegate; install all "
            "of it\n"
        )


def test_completion_leaves_out_a_row_that_is_not_there(monkeypatch):
    monkeypatch.setitem(COMMANDS, "train", GONE)
    names = [
        each.value for each in GROUP.shell_complete(GROUP.make_context("tunegate", [], resilient_parsing=True), "tr")
    ]

    assert names == ["traffic"]


def test_a_name_that_is_nearly_a_commands_is_answered_with_it():
    done = CliRunner().invoke(app, ["rekord"])

    assert done.exit_code == 2
    assert "Did you mean 'record'" in done.stderr
