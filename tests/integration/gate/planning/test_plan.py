"""`tunegate plan` as a process."""

from __future__ import annotations

from tests.integration.test_imports import loaded
from tests.unit.gate.planning.test_plan import desk  # noqa: F401  (a fixture)


def test_the_command_loads_nothing_heavy(desk):  # noqa: F811
    code = "from tunegate.harness.cli.main import app; app(['plan'], standalone_mode=False)"

    assert loaded(code, folder=desk) == []
