"""The example's committed baseline, asked again of the embedded model."""

from __future__ import annotations

import pytest

from tests.e2e.test_example import project  # noqa: F401  (fixtures)
from tests.e2e.test_guides import ask


@pytest.mark.real
def test_the_untuned_model_holds_its_own_baseline(project):  # noqa: F811
    done = ask(project, "pytest fixtures/returns/questions.yaml --tg-against=baseline")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "returns/questions: Held" in done.stdout
