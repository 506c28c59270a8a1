"""A whole model in an adapter's place: a full fine-tune or a merged folder, adopted for the base it was tuned from.

It stands for base and adapter together, beside a copy of the base's tokenizer, so that the folder can be served.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tunegate.harness.core.files import digest
from tunegate.harness.core.reading import MOST_SETTINGS, read_object
from tunegate.harness.models.resolve import ENDS, TEMPLATE, TOKENIZER_FILES, identify, loaded_weights

MODEL_CONFIG, GENERATION = "config.json", "generation_config.json"
#: Keys of generation_config.json that name its writer, that change no output, or that `identify` digests.
NOT_DECODING = frozenset({
    ENDS, "_from_model_config", "transformers_version", "bos_token_id", "pad_token_id", "use_cache",
    "output_attentions", "output_hidden_states",
})  # fmt: skip
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
    """SHA-256 (hex) over what `identify` digests of a model: weights and settings, tokenizer, chat template.

    Its further settings of decoding, which servers follow, count too.
    """
    found, decoding = identify(folder.name, folder), _decoding(folder)
    return digest([found.base, found.tokenizer, found.template, *([decoding] if decoding else [])])


def _decoding(folder: Path) -> dict[str, Any]:
    path = folder / GENERATION
    found = read_object(path, most=MOST_SETTINGS) if path.is_file() else {}
    return {key: value for key, value in found.items() if key not in NOT_DECODING and value is not None}
