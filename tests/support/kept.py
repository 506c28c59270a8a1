"""Where the tests keep what is costly to make."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep generations and models of the tests out of the user's cache; CI may keep the converted model."""
    if "TUNEGATE_TEST_CACHE" in os.environ:
        os.environ["TUNEGATE_CACHE"] = os.environ["TUNEGATE_TEST_CACHE"]
    else:
        os.environ["TUNEGATE_CACHE"] = str(tmp_path_factory.mktemp("cache"))
