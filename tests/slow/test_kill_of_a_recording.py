"""A recording on the embedded model that is killed: the next run records the same bytes."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.e2e.test_real_model import Place, fill, place, wait_for  # noqa: F401  (fixtures)

pytestmark = pytest.mark.real


def test_kill_during_record_and_the_next_run_records_the_same_bytes(place: Place, tmp_path: Path) -> None:  # noqa: F811
    shared, place = place, fill(tmp_path / "place")  # after the shared one, which converted the model
    cache = tmp_path / "cache"  # its own generations, the session's converted model
    cache.mkdir()
    (cache / "models").symlink_to(Path(os.environ["TUNEGATE_CACHE"]) / "models")
    own = {**os.environ, "TUNEGATE_CACHE": str(cache)}
    process = subprocess.Popen(
        place.command("pytest", "suites/", "--tg-record"), cwd=place.path, stdout=subprocess.DEVNULL, env=own
    )
    wait_for(lambda: (cache / "generations.sqlite").exists(), process)
    time.sleep(4)  # into the first batch
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not list(place.path.glob("baselines/**/*.json"))
    assert not list(place.path.glob(".tunegate/runs/*.json"))
    again = subprocess.run(
        place.command("pytest", "suites/", "--tg-record"), cwd=place.path, capture_output=True, text=True, env=own
    )
    assert again.returncode == 0, again.stdout
    [one], [other] = (each.path.glob("baselines/*/support/triage.json") for each in (shared, place))
    assert one.read_bytes() == other.read_bytes()  # generated twice, with nothing in common but the model
