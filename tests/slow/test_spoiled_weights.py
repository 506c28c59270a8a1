"""Weights that were spoiled, on the embedded model: an adapter's, and those of a merged export."""

from __future__ import annotations

import json
import re
from pathlib import Path

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


def test_a_merged_export_answers_as_its_adapter_and_a_damaged_one_is_blocked(copied: Place) -> None:  # noqa: F811
    export = ("tunegate", "export", "adapter", "--run=gate.json", "--output=merged")
    done = copied.run(*export)
    assert done.returncode == 0, done.stdout + done.stderr
    same = re.search(r"(\d+) of 30 outputs are those of the adapter", done.stdout)
    assert same, done.stdout
    assert int(same[1]) >= 29  # merged, a sum is rounded once where it was twice: a near tie may tip
    weights = copied.path / "merged/model.safetensors"
    weights.write_bytes(damaged(weights))
    blocked = copied.run(*export, "--check")
    assert blocked.returncode == 1, blocked.stdout + blocked.stderr
    assert not (copied.path / "merged/export.json").exists()


def damaged(weights: Path) -> bytes:
    """One projection of one layer half as strong, as by a careless conversion."""
    from safetensors.torch import load, save

    loaded = load(weights.read_bytes())
    name = next(name for name in sorted(loaded) if "down_proj" in name)
    return save(loaded | {name: loaded[name] * 0.5}, {"format": "pt"})
