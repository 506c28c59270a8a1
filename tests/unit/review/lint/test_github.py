from __future__ import annotations

from pathlib import Path

import pytest

from tunegate.harness.core.errors import LintWarning, Problem
from tunegate.harness.review.lint.rules import annotation


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.delenv("GITHUB_WORKSPACE", raising=False)
    monkeypatch.chdir(tmp_path)


def test_a_mistake_is_an_error_at_its_line():
    problem = Problem(Path("fixtures/desk/a.yaml"), 7, "cases[0].id", "a name", "'a b'", "write a-b")

    assert annotation(problem) == (
        "::error file=fixtures/desk/a.yaml,line=7,title=tunegate lint::"
        "cases[0].id: expected a name, found 'a b'; write a-b"
    )


def test_what_is_doubtful_is_a_warning():
    found = annotation(LintWarning(Path("a.yaml"), 1, "no shots"))
    assert found == "::warning file=a.yaml,line=1,title=tunegate lint::no shots"


def test_what_would_end_a_command_or_a_property_is_escaped():
    warning = LintWarning(Path("odd, 50%:\n.yaml"), 2, "5 % of a:b,c\r\nand more ::error::")

    assert annotation(warning) == (
        "::warning file=odd%2C 50%25%3A%0A.yaml,line=2,title=tunegate lint::5 %25 of a:b,c\\r%0Aand more ::error::"
    )


def test_a_path_starts_at_the_checkout_also_where_the_command_runs_below_it(tmp_path, monkeypatch):
    (tmp_path / "models").mkdir()
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path))
    monkeypatch.chdir(tmp_path / "models")

    assert "file=models/fixtures/a.yaml," in annotation(LintWarning(Path("fixtures/a.yaml"), 1, "x"))


def test_a_path_outside_the_checkout_stays_as_it_is():
    assert "file=/elsewhere/a.yaml," in annotation(LintWarning(Path("/elsewhere/a.yaml"), 1, "x"))
