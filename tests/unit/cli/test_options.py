"""The options of the commands."""

from __future__ import annotations

import inspect
from pathlib import Path

from tunegate.harness.cli.options import opens_model
from tunegate.harness.models.model_options import ModelOptions


def test_a_command_gets_the_options_of_its_model_as_one():
    @opens_model("served")
    def command(adapter: Path, *, opened: ModelOptions) -> None:
        got.append((adapter, opened))

    got: list[tuple[Path, ModelOptions]] = []
    taken = inspect.signature(command).parameters

    assert list(taken) == ["adapter", "tokenizer", "in_flight", "deadline", "stall", "max_model_len"]
    command(adapter=Path("a"), tokenizer="t", in_flight=2, deadline=5, stall=2, max_model_len=None)
    assert got == [(Path("a"), ModelOptions(tokenizer="t", in_flight=2, deadline=5, stall=2))]
