"""A large file of weights is as long as its head says, before all of it is read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tunegate.harness.core.errors import Refused
from tunegate.harness.models.adapters import UNCHECKED, check_length


def weights(path: Path, end: int, size: int, head: str = "") -> Path:
    """A sparse file of `size` bytes whose head says that its tensors end at `end`."""
    text = (
        head or json.dumps({"__metadata__": {}, "a": {"dtype": "F32", "shape": [1], "data_offsets": [0, end]}})
    ).encode()
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(size or 8 + len(text) + end)
    return path


def test_one_that_is_as_long_as_it_says(tmp_path):
    check_length(weights(tmp_path / "w", UNCHECKED, 0))


@pytest.mark.parametrize("size", [2 * UNCHECKED, 4 << 40])
def test_one_that_is_longer(tmp_path, size):
    with pytest.raises(Refused, match=rf"w: expected [\d,]+ bytes, as its header says, found {size:,} bytes"):
        check_length(weights(tmp_path / "w", UNCHECKED, size))


@pytest.mark.parametrize("head", ["[]", "{", "[" * 5000, '{"a": 1}', '{"a": {"data_offsets": []}}', "null"])
def test_one_whose_head_is_none(tmp_path, head):
    with pytest.raises(Refused, match="expected safetensors, found"):
        check_length(weights(tmp_path / "w", 0, 2 * UNCHECKED, head))


def test_a_small_one_is_read_at_once(tmp_path):
    check_length(weights(tmp_path / "w", 10, 5000))
