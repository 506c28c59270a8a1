"""What stays unloaded until a model is needed, and the contract of imports, in processes of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tests.support.units import write_outputs, write_unit
from tests.unit.test_imports import HEAVY


def loaded(code: str, *args: str, folder: Path) -> list[str]:
    """The heavy libraries that are loaded after `code` ran in a process of its own."""
    told = f"import sys\n{code}\nprint('LOADED', *[name for name in {HEAVY} if name in sys.modules])"
    run = subprocess.run(
        [sys.executable, "-c", told, *args], cwd=folder, capture_output=True, text=True, check=False
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout.rpartition("LOADED")[2].split()


def test_the_check_for_heavy_libraries_sees_one(tmp_path):
    assert "sklearn" in loaded("import sklearn", folder=tmp_path)


def test_the_plugin_loads_nothing_heavy(tmp_path):
    assert loaded("import tunegate.harness.session.pytest_plugin.plugin", folder=tmp_path) == []


def test_lint_loads_nothing_heavy(tmp_path):
    code = "from tunegate.harness.cli.main import app; app(['lint', sys.argv[1]], standalone_mode=False)"

    assert loaded(code, str(ROOT / "fixtures"), folder=tmp_path) == []


def test_scoring_outputs_made_elsewhere_loads_nothing_heavy(tmp_path):
    write_unit(tmp_path / "fixtures", ["a"])
    write_outputs(tmp_path / "out.jsonl", {"desk/triage/a": '{"product": "boiler"}'})
    shutil.copytree(ROOT / "suites", tmp_path / "suites")
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    code = "import pytest; assert pytest.main(['suites/test_schema.py', '--tg-model=replay:out.jsonl']) == 0"

    assert loaded(code, folder=tmp_path) == []
    assert len(list((tmp_path / ".tunegate" / "runs").glob("*.json"))) == 1


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A copy of the package with its contract."""
    shutil.copytree(
        ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__")
    )  # links become folders
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def contract(house: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(house / "src")}
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]
    return subprocess.run(command, cwd=house, env=environment, capture_output=True, text=True, check=False)


def test_packages_import_only_downwards(house):
    assert contract(house).returncode == 0, contract(house).stdout


@pytest.mark.parametrize(
    ("room", "upward"),
    [
        ("harness/core/files.py", "tunegate.harness.gate.rule"),
        ("harness/checks/cost.py", "tunegate.harness.checks.short_answer"),
        ("trainers/config/recipe.py", "tunegate.trainers.training.loop"),
        ("harness/cli/main.py", "tunegate.trainers.commands"),
        ("harness/session/run.py", "tunegate.harness.release.diagnosis.diagnosis"),
        ("harness/models/api.py", "tunegate.harness.models.local.huggingface"),
        ("harness/models/served/server.py", "tunegate.harness.models.local.loglikelihood"),
    ],
)
def test_a_planted_upward_import_breaks_the_contract(house, room, upward):
    with (house / "src" / "tunegate" / room).open("a") as file:
        file.write(f"\n\ndef planted() -> None:\n    import {upward}\n")

    broken = contract(house)

    assert broken.returncode == 1
    assert f"-> {upward}" in " ".join(broken.stdout.split())
