"""A recording and a training on the embedded model that are killed: the next run ends as if nothing had been."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.e2e.test_real_model import CASES, RECIPE, Place, copied, fill, place  # noqa: F401  (fixtures)
from tests.support.forked import run_program, start_program

pytestmark = pytest.mark.real


KILLED = """
import os
import signal

from tunegate.harness.models.cache import Store

put = Store.put


def put_and_die(store, *given):
    put(store, *given)
    if store._written == 5:
        os.kill(os.getpid(), signal.SIGKILL)


Store.put = put_and_die
"""


def test_kill_during_record_and_the_next_run_records_the_same_bytes(place: Place, tmp_path: Path) -> None:  # noqa: F811
    shared, place = place, fill(tmp_path / "place")  # after the shared one, which converted the model
    cache = tmp_path / "cache"  # its own generations, the session's converted model
    cache.mkdir()
    (cache / "models").symlink_to(Path(os.environ["TUNEGATE_CACHE"]) / "models")
    record = ("pytest", "suites/", "--tg-record")
    (place.path / "conftest.py").write_text(KILLED)
    killed = run_program(*record, folder=place.path, TUNEGATE_CACHE=str(cache))
    assert killed.returncode == -signal.SIGKILL, killed.stdout
    assert not list(place.path.glob("baselines/**/*.json"))
    assert not list(place.path.glob(".tunegate/runs/*.json"))
    assert kept(cache) == 5
    (place.path / "conftest.py").unlink()
    again = run_program(*record, folder=place.path, TUNEGATE_CACHE=str(cache))
    assert again.returncode == 0, again.stdout
    [one], [other] = (each.path.glob("baselines/*/support/triage.json") for each in (shared, place))
    assert kept(cache) == CASES
    assert one.read_bytes() == other.read_bytes()  # generated twice, with nothing in common but the model


def kept(cache: Path) -> int:
    """How many outputs the cache keeps."""
    with closing(sqlite3.connect(cache / "generations.sqlite")) as store:
        return int(store.execute("SELECT count(*) FROM generations").fetchone()[0])


def test_kill_during_training_and_the_next_run_completes(copied: Place) -> None:  # noqa: F811
    shutil.rmtree(copied.path / "adapter")
    recipe = copied.path / "recipe.yaml"
    recipe.write_text(RECIPE.replace("epochs: 1", "epochs: 0.5, checkpoint_steps: 1"))
    process = start_program("tunegate", "train", "recipe.yaml", folder=copied.path)
    while not (copied.path / ".adapter.training/checkpoint-1/complete.json").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.kill()
    process.communicate()
    assert not (copied.path / "adapter").exists()
    refused = copied.evaluate("--tg-adapter=adapter", "--tg-against=baseline")
    assert refused.returncode == 4
    assert "adapter" in refused.stderr
    again = copied.train()
    assert again.returncode == 0, again.stderr
    assert json.loads((copied.path / "adapter/training.json").read_text())["training"]["resumed_at"] >= 1
    assert not (copied.path / ".adapter.training").exists()
