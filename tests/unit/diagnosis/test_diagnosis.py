from __future__ import annotations

import io

import pytest
from rich.console import Console
from typer.testing import CliRunner

from tests.support.records import write_desk
from tests.support.units import write_unit
from tunegate.harness.baselines.lookup import check_vanished
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.cli.main import app
from tunegate.harness.core.errors import Refused
from tunegate.harness.core.progress import quiet
from tunegate.harness.diagnosis.diagnosis import (
    Diagnosis,
    Recommendation,
    diagnose_task,
    read_diagnosis,
    write_diagnosis,
)
from tunegate.harness.diagnosis.recommendation import RungResult
from tunegate.harness.diagnosis.render import print_diagnosis

FOUND = Diagnosis(
    "desk", {"model": "tiny-12345678", "base": "b" * 64, "rung": "as-is"}, {"backend": "transformers"}, None, 40, 0,
    questions={"desk/triage": {"inputs": "x"}},
    units={
        "desk/triage": Recommendation("fine-tune for cost", "Fine-tune for cost: ...", 0.9, (
            RungResult("as-is", 40, 0.0, 0.0, 60.0),
            RungResult("few-shot", 40, 0.95, 1.0, 330.0, 0.95, (0.8, 0.99), better=True, cut=3),
        )),
        "desk/facts": Recommendation("retrieval", "Retrieval: ...", 0.9, (RungResult("as-is", 40, 0.1, 0.1, None),)),
    },
    unpromptable=("desk/passages",),
)  # fmt: skip


def test_written_and_read_again(tmp_path):
    path = write_diagnosis(tmp_path, FOUND)
    assert path == tmp_path / "tiny-12345678/desk/diagnosis.json"
    assert read_diagnosis(path) == FOUND
    before = path.read_bytes()
    write_diagnosis(tmp_path, FOUND)
    assert path.read_bytes() == before


def test_only_a_fine_tune_is_no_cheaper_remedy():
    assert list(FOUND.cheaper) == ["desk/facts"]


def test_a_file_that_is_not_as_it_was_written(tmp_path):
    for spoil, says in [
        (lambda path: path.unlink(), "expected a diagnosis at .*, found none; run: tunegate diagnose"),
        (lambda path: path.write_text("{}"), "expected a diagnosis, found"),
        (lambda path: path.write_text("[1]"), "expected a diagnosis, found"),
        (lambda path: path.write_text(path.read_text().replace('"retrieval"', '"prompt"')), "found it edited"),
    ]:
        path = write_diagnosis(tmp_path, FOUND)
        spoil(path)
        with pytest.raises(Refused, match=says):
            read_diagnosis(path)


def test_it_is_no_baseline_of_a_vanished_unit(tmp_path):
    write_diagnosis(tmp_path / "baselines", FOUND)
    check_vanished(tmp_path / "baselines", "tiny-12345678", ())


def test_shown():
    console = Console(file=io.StringIO(), width=80)
    print_diagnosis(console, FOUND)
    lines = [line.rstrip() for line in console.file.getvalue().splitlines()]
    assert lines[3] == "desk/triage"
    assert lines[4].split() == ["as-is", "40", "0.0", "%", "0.0", "%", "60", "1.0"]
    assert lines[5].split() == ["few-shot", "40", "100.0", "%", "95.0", "%", "+95.0", "[+80.0,", "+99.0]", "330", "5.5"]
    assert "desk/facts: Retrieval: ..." in lines
    assert "Not diagnosed, since no prompt changes them: desk/passages." in lines


def test_an_unknown_task(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_desk(tmp_path / "fixtures", 2)
    done = CliRunner().invoke(app, ["diagnose", "dask"])
    assert done.exit_code == 4
    assert "task 'dask': expected one of desk; did you mean 'desk'?" in done.stderr


def test_nothing_to_diagnose(tmp_path):
    write_unit(tmp_path, ["one"], sealed=True)
    [task] = load_tasks(tmp_path)
    with pytest.raises(Refused, match="desk: expected a unit that generates and is not sealed, found none"):
        diagnose_task(task, "smollm2", None, quiet())
