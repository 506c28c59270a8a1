"""A whole model in an adapter's place: a full fine-tune or a merged folder, adopted for the base it was tuned from.

It stands for base and adapter together, beside a copy of the base's tokenizer, so that the folder can be served.
"""

from __future__ import annotations

from pathlib import Path

from tunegate.harness.core.files import digest
from tunegate.harness.models.identity import GENERATION, MODEL_CONFIG, base_digest, counted_files, digests_of
from tunegate.harness.models.resolve import loaded_weights


def is_whole_model(folder: Path) -> bool:
    """Whether a folder holds a whole model, not an adapter."""
    return (folder / MODEL_CONFIG).is_file() and not (folder / "adapter_config.json").exists()


def whole_model_files(folder: Path) -> list[str]:
    """The names of its files: weights, settings and all that are not known to be no part of a model."""
    settings = [name for name in (MODEL_CONFIG, GENERATION) if (folder / name).is_file()]
    return [*(path.name for path in loaded_weights(folder)), *settings, *files_beside(folder)]


def files_beside(folder: Path) -> list[str]:
    """The files of a model's folder beside its weights and settings: those of its tokenizer, and its chat template."""
    found = (path.relative_to(folder).as_posix() for path in counted_files(folder))
    return [name for name in found if name not in (MODEL_CONFIG, GENERATION) and not name.endswith(".index.json")]


def whole_model_digest(folder: Path) -> str:
    """SHA-256 (hex) over its weights and settings, and the bytes of all files beside them, which servers follow."""
    return digest([base_digest(folder), digests_of(folder, (folder / name for name in files_beside(folder)))])
