"""A whole model in an adapter's place: a full fine-tune or a merged folder, adopted for the base it was tuned from.

It stands for base and adapter together, beside a copy of the base's tokenizer, so that the folder can be served.
"""

from __future__ import annotations

from pathlib import Path

from tunegate.harness.core.files import digest
from tunegate.harness.models.resolve import TEMPLATE, TOKENIZER_FILES, identify, loaded_weights

MODEL_CONFIG, GENERATION = "config.json", "generation_config.json"
#: The files of a tokenizer, its chat template included.
OF_TOKENIZER = ("tokenizer_config.json", TEMPLATE, *TOKENIZER_FILES)


def is_whole_model(folder: Path) -> bool:
    """Whether a folder holds a whole model, not an adapter."""
    return (folder / MODEL_CONFIG).is_file() and not (folder / "adapter_config.json").exists()


def whole_model_files(folder: Path) -> list[str]:
    """The names of its files: weights, settings and tokenizer; other files of the folder are not the model."""
    more = [name for name in (GENERATION, *OF_TOKENIZER) if (folder / name).is_file()]
    return [*(path.name for path in loaded_weights(folder)), MODEL_CONFIG, *more]


def whole_model_digest(folder: Path) -> str:
    """SHA-256 (hex) over what `identify` digests of a model: weights and settings, tokenizer, chat template."""
    found = identify(folder.name, folder)
    return digest([found.base, found.tokenizer, found.template])
