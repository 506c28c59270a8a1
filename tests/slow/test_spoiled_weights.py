"""Weights of an adapter that were spoiled, on the embedded model."""

from __future__ import annotations

import json

import pytest

from tests.e2e.test_real_model import Place, copied, edit_weights, place  # noqa: F401  (fixtures)

pytestmark = pytest.mark.real


def test_scaled_up_weights_are_blocked_and_never_released(copied: Place) -> None:  # noqa: F811
    edit_weights(copied.path / "adapter", lambda name, weight: weight * 40)
    done = copied.evaluate("--tg-adapter=adapter", "--tg-against=baseline", "--tg-out=bad.json")
    assert done.returncode == 1, done.stdout
    assert json.loads((copied.path / "bad.json").read_text())["tasks"]["support"]["decision"] == "block"
    refused = copied.run("tunegate", "release", "adapter", "--run=bad.json")
    assert refused.returncode == 4
    assert not (copied.path / "adapter/release.json").exists()
