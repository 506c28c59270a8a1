"""The adapter that a training goes on from: which one it is, what it was trained on, and that it is still the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunegate.harness.core.errors import Refused, show_path
from tunegate.harness.models.adapters import TRAINING, adapter_digest, check_base, load_adapter, training_record
from tunegate.harness.models.resolve import ModelFiles

if TYPE_CHECKING:
    import torch

INHERITED = ("adapter", "recipe", "rows", "memorization", "start")  # of its record: what the new adapter has learnt too


@dataclass(frozen=True, slots=True)
class Start:
    """An adapter on the disk, and its training record as it was when the recipe was read."""

    folder: Path
    record: Mapping[str, Any] = field(repr=False)

    @property
    def digest(self) -> str:
        """Which adapter it is."""
        return str(self.record["adapter"])

    @property
    def lora(self) -> dict[str, Any]:
        """Its shape, which is kept, under the recipe's names."""
        return dict(self.record["recipe"]["lora"])

    def history(self, base: ModelFiles) -> dict[str, Any]:
        """What it was itself trained from, for the new training record.

        Raises:
            Refused: it was trained on another base.
        """
        check_base(self.folder, base)
        return {name: self.record.get(name) for name in INHERITED}

    def attach_to(self, model: Any, probe: torch.Tensor) -> Any:
        """The base with it active, trainable, proven to have loaded and to act.

        Raises:
            Refused: it does not fit, load or act, or is another than when the recipe was read.
        """
        # again: between the reading of the recipe and the training lie the guards, which take minutes
        _check_same(self.folder, self.digest, adapter_digest(self.folder))
        tuned = load_adapter(model, self.folder, probe, trainable=True)
        # it names the base as --model does; PEFT would look for that on a hub whenever a checkpoint is saved
        tuned.peft_config["default"].base_model_name_or_path = model.name_or_path
        return tuned


def read_start(folder: Path) -> Start:
    """The adapter in a folder.

    Raises:
        Refused: there is none, or nobody knows on which rows it was trained.
    """
    digest = adapter_digest(folder)  # first: a missing folder has no record either
    record = training_record(folder)
    if record is None:
        raise Refused(
            f"start: {show_path(folder)}: expected {TRAINING}, found none: on which rows it was trained is not known, "
            "so nothing would be held out; train it with tunegate train"
        )
    _check_same(folder, str(record["adapter"]), digest)
    return Start(folder, record)


def _check_same(folder: Path, expected: str, found: str) -> None:
    if found != expected:
        raise Refused(
            f"start: {show_path(folder)}: expected the adapter that its {TRAINING} describes ({expected[:8]}), found "
            f"{found[:8]}; train it again"
        )
