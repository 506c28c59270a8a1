"""The adapter that a training continues from: its identity, its training data, and a check that it is unchanged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunegate.harness.core.errors import Refused, show_path
from tunegate.harness.models.adapters import TRAINING, adapter_digest, check_base, load_adapter, training_record
from tunegate.harness.models.identity import ModelFiles

if TYPE_CHECKING:
    import torch

INHERITED = ("adapter", "task", "recipe", "rows", "memorization", "start")  # keys of its record, for the new one


@dataclass(frozen=True, slots=True)
class Start:
    """An adapter on disk, and its training record at the time the recipe was read."""

    folder: Path
    record: Mapping[str, Any] = field(repr=False)

    @property
    def digest(self) -> str:
        """The adapter's digest."""
        return str(self.record["adapter"])

    @property
    def lora(self) -> dict[str, Any]:
        """The adapter's shape, under the recipe's names; the training keeps it."""
        return dict(self.record["recipe"]["lora"])

    def history(self, base: ModelFiles) -> dict[str, Any]:
        """The parent's own training, for the new training record.

        Raises:
            Refused: the adapter was trained on another base.
        """
        check_base(self.folder, base)
        return {name: self.record.get(name) for name in INHERITED}

    def attach_to(self, model: Any, probe: torch.Tensor) -> Any:
        """Return the base with the adapter active and trainable, after checking that it loaded and has an effect.

        Raises:
            Refused: the adapter does not fit, does not load, has no effect, or changed since the recipe was read.
        """
        # checked again: the checks before the training take minutes
        _check_same(self.folder, self.digest, adapter_digest(self.folder))
        tuned = load_adapter(model, self.folder, probe, trainable=True)
        # The adapter names the base as --model does; PEFT would look that name up on a hub at every checkpoint.
        tuned.peft_config["default"].base_model_name_or_path = model.name_or_path
        return tuned


def read_start(folder: Path) -> Start:
    """Read the adapter in a folder.

    Raises:
        Refused: the folder holds no adapter, or its training rows are unknown.
    """
    digest = adapter_digest(folder)  # first, so that a missing folder is reported as such
    record = training_record(folder)
    if record is None:
        raise Refused(
            f"start: {show_path(folder)}: expected {TRAINING}, found none: its training rows are unknown, "
            "so no case is known to be held out; train it with tunegate train"
        )
    if "adoption" in record:
        raise Refused(
            f"start: {show_path(folder)}: expected an adapter that tunegate train wrote, found one trained elsewhere: "
            "its rows are only claimed, so the new one could not be shown as trained by Tunegate; train from the base"
        )
    _check_same(folder, str(record["adapter"]), digest)
    return Start(folder, record)


def _check_same(folder: Path, expected: str, found: str) -> None:
    if found != expected:
        raise Refused(
            f"start: {show_path(folder)}: expected the adapter that its {TRAINING} describes ({expected[:8]}), found "
            f"{found[:8]}; train it again"
        )
