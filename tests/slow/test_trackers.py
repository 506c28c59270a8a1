"""A training's losses where MLflow keeps them: written by a real training, read back by MLflow's own client."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.training import RECIPE, Place

MLFLOW = ("mlflow-skinny==3.17.2",)


@pytest.fixture
def mlflow(kept, monkeypatch) -> None:
    """MLflow, from a folder of its own behind all others where it is not installed."""

    def install(folder: Path) -> None:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--target", folder, *MLFLOW]
        subprocess.run(pip, check=True)

    if importlib.util.find_spec("mlflow") is None:
        monkeypatch.setattr(sys, "path", [*sys.path, str(kept("mlflow", install))])


@pytest.mark.filterwarnings("ignore")  # of the libraries that it uses
def test_the_losses_are_read_back_by_its_own_client(recorded, mlflow, tmp_path, monkeypatch):
    """They lie on this machine: no address is set, and none is asked."""
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_DISABLE_TELEMETRY"):
        monkeypatch.delenv(name, raising=False)
    place: Place = recorded.copy_to(tmp_path / "place")
    place.recipe(report_to=["mlflow"], optim={**RECIPE["optim"], "epochs": 1})
    monkeypatch.chdir(place.path)
    done = place.train()
    assert done.exit_code == 0, done.output

    import mlflow
    from mlflow.entities import ViewType

    assert mlflow.get_tracking_uri().startswith(("sqlite:", "file:"))
    client = mlflow.MlflowClient()
    [run] = client.search_runs([each.experiment_id for each in client.search_experiments(ViewType.ALL)])
    assert (run.info.run_name, run.info.status) == ("adapter", "FINISHED")
    losses = [each.value for each in client.get_metric_history(run.info.run_id, "loss")]
    training = json.loads((place.path / "adapter/training.json").read_text())
    assert len(losses) == 6
    assert sum(losses[-2:]) / 2 == pytest.approx(training["training"]["last_loss"], abs=1e-3)
    assert run.data.params["learning_rate"] == "0.05"
    assert "Ticket" not in json.dumps(run.data.params), "rows are none of its parameters"
