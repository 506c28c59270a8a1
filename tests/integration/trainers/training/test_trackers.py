"""Where losses are logged, too: off by default, on this machine, and no part of what decides an adapter."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from tests.support.training import RECIPE, Place
from tunegate.harness.core.errors import AuthoringError
from tunegate.trainers.config.recipe import read_recipe
from tunegate.trainers.training.trackers import tracking


@pytest.fixture
def place(recorded, tmp_path, monkeypatch) -> Place:
    found = recorded.copy_to(tmp_path / "place")
    monkeypatch.chdir(found.path)
    return found


def test_it_is_off_by_default(place):
    assert tracking(read_recipe(Path("recipe.yaml"))) == {"report_to": "none"}


def test_it_decides_nothing_about_the_adapter_and_turns_statistics_off(place, monkeypatch):
    before = read_recipe(Path("recipe.yaml"))
    place.recipe(report_to=["mlflow", "trackio"])
    after = read_recipe(Path("recipe.yaml"))
    assert after.deciding() == before.deciding()
    assert after.effective()["report_to"] == ["mlflow", "trackio"]
    monkeypatch.delenv("MLFLOW_DISABLE_TELEMETRY", raising=False)
    monkeypatch.setenv("GRADIO_ANALYTICS_ENABLED", "True")
    assert tracking(after) == {
        "report_to": ["mlflow", "trackio"], "run_name": "adapter", "project": "desk", "trackio_static_space_id": False,
    }  # fmt: skip
    import os

    assert (os.environ["MLFLOW_DISABLE_TELEMETRY"], os.environ["GRADIO_ANALYTICS_ENABLED"]) == ("true", "True")


@pytest.mark.parametrize("named", ["mlflow", [], ["wandb"], ["all"], ["mlflow", "mlflow"]])
def test_others_are_refused_with_their_line(place, named):
    place.recipe(report_to=named)
    with pytest.raises(AuthoringError, match=r"recipe\.yaml:1: report_to"):
        read_recipe(Path("recipe.yaml"))


def test_one_that_is_not_installed_is_named_before_anything_runs(place, monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == "mlflow" else real(name, *more)
    )
    place.recipe(report_to=["mlflow"])
    before = place.tree()
    done = place.train()
    assert done.exit_code == 3
    assert "expected mlflow, found none; run: pip install 'tunegate[mlflow]'" in done.output
    assert place.tree() == before


def test_tensorboards_files_lie_beside_the_adapter(place):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    place.recipe(report_to=["tensorboard"], optim={**RECIPE["optim"], "epochs": 1})
    done = place.train()
    assert done.exit_code == 0, done.output
    [folder] = Path("runs").iterdir()
    found = EventAccumulator(str(folder)).Reload()
    assert len(found.Scalars("train/loss")) == 6
