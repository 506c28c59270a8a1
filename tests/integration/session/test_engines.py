"""A baseline of one engine and a run on another: what the user is told."""

from __future__ import annotations

import json

import pytest

from tests.support.project import Project


@pytest.fixture
def recorded(project: Project, tiny_model) -> Project:
    """Two cases recorded as the tiny model answers them in float32."""
    project.unit(["one", "two"])
    project.model = f"--tg-model={tiny_model}"
    assert project.run(project.model, "--tg-record").ret == 0
    return project


def test_a_baseline_in_another_precision_is_refused_with_how_to_run_as_it_was(recorded):
    result = recorded.run(recorded.model, "--tg-against=baseline", "--tg-dtype=bfloat16")

    assert result.ret == 4
    [line] = [line for line in result.outlines + result.errlines if "desk/triage: the baseline (" in line]
    _, _, told = line.partition("was recorded with ")
    assert told.startswith(
        "dtype float32 (now bfloat16); run as it was, with --tg-dtype=float32, or record it again: pytest "
    )
    assert f"{recorded.model} --tg-dtype=bfloat16 -k desk/triage" in told
    again = recorded.run(recorded.model, "--tg-against=baseline", "--tg-dtype=float32")
    assert again.ret == 1, "judged: two cases are few"


def test_a_standing_precision_is_that_of_a_run_and_the_command_line_wins(recorded):
    pyproject = recorded.path / "pyproject.toml"
    pyproject.write_text(pyproject.read_text() + '[tool.tunegate]\ndtype = "bfloat16"\n')

    assert recorded.run(recorded.model, "--tg-against=baseline").ret == 4
    assert recorded.run(recorded.model, "--tg-against=baseline", "--tg-dtype=float32", "--tg-out=r.json").ret == 1
    assert json.loads((recorded.path / "r.json").read_text())["fingerprint"]["engine"]["dtype"] == "float32"


def test_a_precision_that_is_none_is_refused_by_name(recorded):
    result = recorded.run(recorded.model, "--tg-dtype=float8")

    assert result.ret == 4
    assert "invalid choice: 'float8'" in result.stderr.str()
