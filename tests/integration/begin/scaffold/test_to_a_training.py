"""From a table to a training: what `init --rows` writes is recorded, diagnosed and trained on without an edit."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.forked import run_program

TEAMS = ("billing", "repairs", "sales")
WORDS = (
    "tap", "boiler", "lift", "window", "door", "heater", "shower", "pipe", "lamp", "bell", "fan", "oven", "sink",
    "attic", "garden", "stairs", "gate", "cellar",
)  # fmt: skip


def mail(folder: Path) -> None:
    """A table whose rows are not near copies of one another."""
    rows = []
    for number in range(90):
        mine = [WORDS[(number * step + step) % len(WORDS)] for step in (1, 5, 7, 11)]
        rows.append(f"{mine[0]} {number}a {mine[1]} {number}b {mine[2]} {number}c {mine[3]},{TEAMS[number % 3]}\n")
    (folder / "mail.csv").write_text("text,team\n" + "".join(rows))


def test_each_command_follows_without_an_edit(tmp_path, tiny_model):
    mail(tmp_path)
    columns = ("--from", "mail.csv", "--input", "text", "--expect", "team", "--limit", "12")
    for command in (
        ("tunegate", "init", "desk", *columns, "--rows", "40", "--model", str(tiny_model)),
        ("tunegate", "lint"),
        ("pytest", "--tg-record"),
        ("tunegate", "diagnose", "desk", "--sample", "10"),
        ("tunegate", "train", "recipes/desk.yaml", "--dry-run"),
    ):
        done = run_program(*command, folder=tmp_path)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"

    assert "dry run: nothing was trained" in done.stdout + done.stderr
    [found] = tmp_path.glob("baselines/*/desk/diagnosis.json")
    assert json.loads(found.read_text())["units"]["desk/schema"]["remedy"].startswith("fine-tune")
