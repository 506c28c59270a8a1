"""The memory that a model needs is known before it is loaded; what does not fit is refused."""

from __future__ import annotations

from types import SimpleNamespace

import psutil
import pytest

from tests.support.tiny import write_gguf
from tunegate.harness.core.errors import CouldNotRun
from tunegate.harness.core.progress import quiet
from tunegate.harness.models import memory
from tunegate.harness.models.local.huggingface import load_base
from tunegate.harness.models.local.placement import Placement
from tunegate.harness.models.memory import check_loading, free_memory, stored_tensors
from tunegate.harness.models.resolve import loaded_weights, resolve


@pytest.fixture
def has_free(monkeypatch, tmp_path):
    """Sets the memory that the machine has free, and what its container allows."""
    monkeypatch.setattr(memory, "CONTROL_GROUP", tmp_path)

    def has(free: int, **container: str) -> None:
        monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=free))
        for name, text in container.items():
            (tmp_path / f"memory.{name}").write_text(text)

    return has


def test_the_weights_are_counted_without_loading_them(tiny_model):
    counted = sum(each.size for each in stored_tensors(loaded_weights(tiny_model)))

    assert counted == sum(weight.numel() for weight in load_base(tiny_model).parameters())


@pytest.mark.parametrize(("dtype", "size", "less"), [
    ("float32", 4, r"use --dtype bfloat16, which takes half, a smaller model, or a server"),
    ("bfloat16", 2, r"use a smaller model, or a server"),
])  # fmt: skip
def test_a_model_that_does_not_fit_is_refused_before_it_is_loaded(has_free, tiny_model, dtype, size, less):
    needs = size * sum(each.size for each in stored_tensors(loaded_weights(tiny_model)))

    has_free(needs)
    check_loading(tiny_model, loaded_weights(tiny_model), dtype)
    has_free(needs - 1)
    with pytest.raises(
        CouldNotRun, match=rf": expected \S+ GB of free memory \(\S+ of weights, .*\), found .*; {less}"
    ):
        load_base(tiny_model, Placement(dtype=dtype))


def test_a_gguf_file_that_does_not_fit_is_refused_before_it_is_unpacked(has_free, tmp_path, tiny_model, monkeypatch):
    monkeypatch.setenv("TUNEGATE_CACHE", str(tmp_path / "cache"))
    write_gguf(tmp_path / "m.gguf", tiny_model, "Q8_0")
    has_free(1000)

    with pytest.raises(CouldNotRun, match=r"converting \S*m\.gguf: .* \(\S+ of weights in bfloat16, \S+ to unpack"):
        resolve(str(tmp_path / "m.gguf"), quiet())
    assert not [each for each in (tmp_path / "cache/models").iterdir() if each.is_dir()]


STAT = "anon 500\ninactive_file 100\n"


@pytest.mark.parametrize(("container", "free"), [
    ({}, 9000),
    ({"max": "2000", "current": "700", "stat": STAT}, 1400),
    ({"max": "99000", "current": "700", "stat": STAT}, 9000),
    ({"max": "max\n", "current": "700", "stat": STAT}, 9000),
    ({"max": "2000"}, 9000),
], ids=["no-container", "less", "more", "unlimited", "unknown"])  # fmt: skip
def test_a_container_may_have_less_than_its_machine(has_free, container, free):
    has_free(9000, **container)

    assert free_memory() == free
