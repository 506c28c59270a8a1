"""Scores for TensorBoard, as TensorBoard itself reads them."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest

from tests.unit.reporting.test_html import report
from tunegate.harness.core.errors import CouldNotRun, Refused
from tunegate.harness.reporting.report import Report
from tunegate.harness.reporting.tensorboard import write_scalars


def made_at(*times: str, name: str = "tuned") -> Report:
    """A report with a candidate for each time."""
    one = report(text="desk/triage")
    each = [replace(one.candidates[0], name=name, provenance={"made": time}) for time in times]
    return replace(one, candidates=tuple(each))


def scalars(folder) -> dict[str, list[tuple[int, float]]]:
    """What TensorBoard shows of a run."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    read = EventAccumulator(str(folder)).Reload()
    return {
        tag: [(event.step, round(float(event.tensor_proto.float_val[0]), 3)) for event in read.Tensors(tag)]
        for tag in read.Tags()["tensors"]
    }


def test_records_of_a_candidate_become_a_line(tmp_path):
    write_scalars(tmp_path, made_at("2026-11-02T10:00:00+00:00"))
    write_scalars(tmp_path, made_at("2026-11-02T11:00:00+00:00"))
    assert scalars(tmp_path / "tuned") == {
        "score/desk/triage": [(1793613600, 0.8), (1793617200, 0.8)],
        "difference/desk/triage": [(1793613600, -0.2), (1793617200, -0.2)],
    }


@pytest.mark.parametrize(("name", "folder"), [("../../etc", "_.._etc"), ("..", "_"), ("a b\n<c>", "a_b__c_")])
def test_a_name_leads_nowhere_else(tmp_path, name, folder):
    write_scalars(tmp_path / "runs", made_at("2026-11-02T10:00:00+00:00", name=name))
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]
    assert [path.name for path in (tmp_path / "runs").iterdir()] == [folder]


@pytest.mark.parametrize("made", ["", "yesterday", "9" * 40])
def test_a_record_without_a_time_is_refused_before_anything_is_written(tmp_path, made):
    with pytest.raises(Refused, match="expected the time of its record"):
        write_scalars(tmp_path / "runs", made_at("2026-11-02T10:00:00+00:00", made))
    assert not (tmp_path / "runs").exists()


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(CouldNotRun, match="it cannot be written"):
        write_scalars(tmp_path / "runs", made_at("2026-11-02T10:00:00+00:00"))


def test_without_tensorboard_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard.summary", None)
    with pytest.raises(CouldNotRun, match=r"run: pip install 'tunegate\[tensorboard\]'"):
        write_scalars(tmp_path, made_at("2026-11-02T10:00:00+00:00"))
