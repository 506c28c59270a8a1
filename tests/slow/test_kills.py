"""A recording and a training on the embedded model that are killed: the next run ends as if nothing had been."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.test_real_model import RECIPE, Place, copied, fill, place  # noqa: F401  (fixtures)
from tests.support.forked import Started, run_program, start_program

pytestmark = pytest.mark.real


def kill_when(process: Started, condition: Callable[[], bool], later: float = 0) -> None:
    while not condition():
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    time.sleep(later)
    process.kill()
    process.communicate()


def test_kill_during_record_and_the_next_run_records_the_same_bytes(place: Place, tmp_path: Path) -> None:  # noqa: F811
    shared, place = place, fill(tmp_path / "place")  # after the shared one, which converted the model
    cache = tmp_path / "cache"  # its own generations, the session's converted model
    cache.mkdir()
    (cache / "models").symlink_to(Path(os.environ["TUNEGATE_CACHE"]) / "models")
    record = ("pytest", "suites/", "--tg-record")
    process = start_program(*record, folder=place.path, TUNEGATE_CACHE=str(cache))
    kill_when(process, (cache / "generations.sqlite").exists, later=4)  # into the first batch
    assert not list(place.path.glob("baselines/**/*.json"))
    assert not list(place.path.glob(".tunegate/runs/*.json"))
    again = run_program(*record, folder=place.path, TUNEGATE_CACHE=str(cache))
    assert again.returncode == 0, again.stdout
    [one], [other] = (each.path.glob("baselines/*/support/triage.json") for each in (shared, place))
    assert one.read_bytes() == other.read_bytes()  # generated twice, with nothing in common but the model


def test_kill_during_training_and_the_next_run_completes(copied: Place) -> None:  # noqa: F811
    shutil.rmtree(copied.path / "adapter")
    recipe = copied.path / "recipe.yaml"
    recipe.write_text(RECIPE.replace("epochs: 1", "epochs: 0.5, checkpoint_steps: 1"))
    process = start_program("tunegate", "train", "recipe.yaml", folder=copied.path)
    kill_when(process, lambda: (copied.path / ".adapter.training/checkpoint-1/complete.json").exists())
    assert not (copied.path / "adapter").exists()
    refused = copied.evaluate("--tg-adapter=adapter", "--tg-against=baseline")
    assert refused.returncode == 4
    assert "adapter" in refused.stderr
    again = copied.train()
    assert again.returncode == 0, again.stderr
    assert json.loads((copied.path / "adapter/training.json").read_text())["training"]["resumed_at"] >= 1
    assert not (copied.path / ".adapter.training").exists()
