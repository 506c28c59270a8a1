"""A second run: what is known is not asked for again, and what answers is not even loaded."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tests.support.units import write_unit

# told by the process itself: pytest inside pytest has all of it loaded
CONFTEST = """
import json, sys
from pathlib import Path

def pytest_unconfigure():
    loaded = [name for name in ("torch", "transformers", "peft") if name in sys.modules]
    Path("loaded.json").write_text(json.dumps(loaded))
"""


@pytest.fixture
def desk(tmp_path, tiny_model):
    write_unit(tmp_path / "fixtures", [f"c{number}" for number in range(6)])
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "pyproject.toml").write_text(f'[tool.tunegate]\nmodel = "{tiny_model}"\n')

    def run(*options: str) -> tuple[list[str], dict[str, str]]:
        """What was loaded, and the answers of a run."""
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "fixtures/", "--tg-out=record.json", "-p", "no:cacheprovider", *options],
            cwd=tmp_path, capture_output=True, text=True,
            env={**os.environ, "TUNEGATE_CACHE": str(tmp_path / "cache"), "PYTHONPATH": str(ROOT / "src")},
        )  # fmt: skip
        assert done.returncode in (0, 1), done.stdout + done.stderr
        record = json.loads((tmp_path / "record.json").read_text())
        loaded = json.loads((tmp_path / "loaded.json").read_text())
        return loaded, {key: each["output"] for key, each in record["cases"].items()}

    return tmp_path, run


def edit(home: Path, old: str, new: str) -> None:
    path = home / "fixtures/desk/triage.yaml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def stored(home: Path) -> int:
    from contextlib import closing

    from tunegate.harness.models.cache import Store

    with closing(Store(home / "cache/generations.sqlite")) as store:
        return store.kept().outputs


def test_an_unchanged_second_run_loads_no_torch_and_asks_nobody(desk):
    home, run = desk
    cold, first = run()
    warm, second = run()

    assert ("torch" in cold, warm) == (True, [])
    assert second == first
    assert stored(home) == 6


def test_one_changed_case_asks_for_that_case_only(desk):
    home, run = desk
    _, first = run()
    edit(home, "message c3", "another message")
    loaded, second = run()

    assert "torch" in loaded
    assert stored(home) == 7
    assert {key for key in first if first[key] != second[key]} <= {"desk/triage/c3"}
