"""The benchmark of tables of others: how rows are read, and what counts as given away."""

from __future__ import annotations

import subprocess

from benchmarks.public_sets import INPUT, Files, by_intent, tagged
from benchmarks.tables import given_away
from tests.support.paths import ROOT


def repository(folder, files):
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")
    names = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
    for command in (("init", "-q"), ("add", "."), (*names, "commit", "-qm", "a")):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return Files(folder, "HEAD")


def test_tags_become_a_value_for_each_slot(tmp_path):
    parts = {"seq.in": "to new york by noon\n", "seq.out": "O B-to I-to O B-time\n", "label": "flight\n"}
    empty = {f"data/air/{part}/{name}": "" for part in ("valid", "test") for name in parts}
    files = repository(tmp_path, empty | {f"data/air/train/{name}": text for name, text in parts.items()})

    assert [*tagged(files, "air")] == [
        {INPUT: "to new york by noon", "intent": "flight", "to": "new york", "time": "noon"}
    ]


def test_pieces_become_lists_of_values(tmp_path):
    text = '{"Rate": [{"data": [{"text": "rate "}, {"text": "it", "entity": "what"}, {"text": " 5", "entity": "n"}]}]}'
    files = repository(tmp_path, {"2017-06-custom-intent-engines/Rate/train_Rate_full.json": text})

    [row] = by_intent(files)
    assert row == {INPUT: "rate it 5", "output": {"intent": "Rate", "slots": {"what": ["it"], "n": ["5"]}}}


def test_a_value_of_one_row_that_the_prompt_lists_is_given_away():
    rows = [{INPUT: "a", "town": "Aber", "team": "x"}, {INPUT: "b", "town": "Brad", "team": "x"}]

    assert given_away(rows, '{"town": text, "team": "x"}') == 0
    assert given_away(rows, '{"town": "Aber"|"Brad", "team": "x"}') == 2


def test_the_committed_result_accepts_the_rest_and_gives_nothing_away():
    lines = [
        line for line in (ROOT / "benchmarks/results/tables.md").read_text("utf-8").splitlines() if line[:2] == "| "
    ]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]

    assert len(cells) == 4
    assert all(float(each[6]) >= 99 and each[7:] == ["0", "0"] for each in cells)
