"""docs/adopt.md: its whole run, on the embedded model."""

from __future__ import annotations

import pytest

from tests.e2e.test_guides import follow, home  # noqa: F401  (a fixture)


@pytest.mark.real
def test_what_the_guide_shows_is_what_comes(tmp_path, home):  # noqa: F811
    (tmp_path / "project").mkdir()

    assert follow("adopt.md", tmp_path / "project", home) == 3
