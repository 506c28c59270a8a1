"""A user's project, and pytest run in it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tests.support.units import write_outputs, write_unit

INI = """
[tool.pytest.ini_options]
addopts = ["--strict-markers", "--strict-config", "-p", "no:hypothesispytest"]
xfail_strict = true
filterwarnings = [
  "error",
  # the tests run pytest inside pytest, where the plugin is imported already
  "ignore:Module already imported so cannot be rewritten:pytest.PytestAssertRewriteWarning",
  "ignore::DeprecationWarning:torch.*",
]
"""


class Project:
    """A user's project in a folder of its own: the shipped suites, fixtures to be written, and pytest to be run."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self.pytester = pytester
        self.path = pytester.path
        self.fixtures = pytester.path / "fixtures"
        (self.path / "pyproject.toml").write_text(INI)
        suites = ROOT / "suites"
        shutil.copytree(suites, self.path / "suites", ignore=shutil.ignore_patterns("__pycache__"))

    def unit(self, ids: list[str], name: str = "triage", **more: object) -> Path:
        """A unit of the task `desk`; see `write_unit`."""
        return write_unit(self.fixtures, ids, name, **more)

    def policy(self, **units: dict[str, object]) -> None:
        """The task's policy: every unit named, each with a reason."""
        declared = {name: {"reason": "a test"} | unit for name, unit in units.items()}
        (self.fixtures / "desk" / "task.yaml").write_text(json.dumps({"version": 1, "units": declared}))

    def run(self, *arguments: str | Path) -> pytest.RunResult:
        """`pytest suites/` with more arguments."""
        return self.pytester.runpytest("suites/", *arguments)

    def replay(self, outputs: dict[str, str | None], *arguments: str | Path) -> pytest.RunResult:
        """`pytest suites/` on outputs made elsewhere."""
        write_outputs(self.path / "outputs.jsonl", outputs)
        return self.run("--tg-model=replay:outputs.jsonl", *arguments)

    def record(self, path: str | Path = "record.json") -> dict:
        """A record that a run wrote."""
        return json.loads((self.path / path).read_text())

    def runs(self) -> list[Path]:
        """Every record that was kept."""
        return sorted((self.path / ".tunegate" / "runs").glob("*.json"))


@pytest.fixture
def project(pytester: pytest.Pytester) -> Project:
    """A user's project with the suites and no fixtures yet."""
    return Project(pytester)
