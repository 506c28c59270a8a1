"""What the commands share."""

from __future__ import annotations

from pathlib import Path

from tunegate.harness.cli.common import Attention, Device, model_options
from tunegate.harness.models.model_options import ModelOptions


def test_a_command_opens_models_as_its_parameters_say_by_name():
    given = {"adapter": Path("a"), "device": Device.cpu, "attention": Attention.eager, "tokenizer": "t", "deadline": 5}
    opened = model_options(given)
    assert opened == ModelOptions(device="cpu", attention="eager", tokenizer="t", deadline=5)
    assert type(opened.device) is str
