"""The options of the commands."""

from __future__ import annotations

import inspect
from pathlib import Path

from tunegate.harness.cli.options import opens_model
from tunegate.harness.models.model_options import ModelOptions


def test_a_command_gets_the_options_of_its_model_as_one():
    @opens_model("device", "chat-template", "deadline")
    def command(adapter: Path, *, opened: ModelOptions) -> None:
        got.append((adapter, opened))

    got: list[tuple[Path, ModelOptions]] = []
    taken = inspect.signature(command).parameters

    assert list(taken) == ["adapter", "device", "chat_template", "deadline"]
    command(adapter=Path("a"), device="cpu", chat_template=Path("t"), deadline=5)
    assert got == [(Path("a"), ModelOptions(device="cpu", chat_template=Path("t"), deadline=5))]
