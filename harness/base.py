"""A base model in memory: digested once, loaded once, and worn with one adapter at a time."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

from harness.adapters import load_adapter
from harness.errors import CouldNotRun, Refused
from harness.extras import need
from harness.models import identify, resolve
from harness.progress import Watch

PROBE = "The quick brown fox jumps over the lazy dog and asks: what is the capital of France?"


class Base:
    """A model in a folder, digested once and loaded once for all subjects on it; it wears one adapter at a time."""

    def __init__(self, name: str, watch: Watch) -> None:
        self._watch = watch
        self.folder = resolve(name, watch)
        self.model = identify(name, self.folder)
        self._worn: Path | None = None
        self._dressed: Any = None

    @cached_property
    def tokenizer(self) -> Any:
        """Its tokenizer, padding on the left."""
        return load_tokenizer(self.folder)

    def wearing(self, adapter: Path | None) -> Any:
        """The model with this adapter and no other, proven to act; or bare.

        Raises:
            Refused: the adapter does not fit, load or act.
            CouldNotRun: the model cannot be loaded.
        """
        if self._dressed is None:
            with self._watch(f"Loading {self.model.name}"):
                self._dressed, self._worn = self._load(), None
        if adapter != self._worn:
            self._change(adapter)
        return self._dressed

    def _load(self) -> Any:
        model = load_base(self.folder)
        model.generation_config = _plain_generation(model.generation_config, self.tokenizer)
        return model

    def _change(self, adapter: Path | None) -> None:
        bare = self._dressed.unload() if self._worn else self._dressed
        self._dressed, self._worn = None, None  # an adapter that fails leaves its layers: then the base is loaded anew
        if adapter:
            with self._watch(f"Putting {adapter.name} on {self.model.name}"):
                probe = self.tokenizer(PROBE, return_tensors="pt").input_ids
                self._dressed = load_adapter(bare, adapter, probe)
        else:
            self._dressed = bare
        self._worn = adapter


def load_tokenizer(folder: Path) -> Any:
    """The tokenizer of a model folder, padding on the left.

    Raises:
        Refused: it has no chat template or no end token, so that nothing can be asked or nothing would end.
        CouldNotRun: the library is not installed, or cannot read it.
    """
    transformers = _transformers()
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, padding_side="left", local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise CouldNotRun(f"{folder}: expected a tokenizer that transformers can load, found: {error}") from error
    if tokenizer.chat_template is None:
        raise Refused(f"{folder}: expected a chat template, found none; the suites ask in chat messages")
    if tokenizer.eos_token_id is None:
        raise Refused(
            f"{folder}: expected a tokenizer with an end-of-turn token (eos), found none: no answer would end"
        )
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_base(folder: Path) -> Any:
    """The model of a folder in float32, in evaluation mode.

    Raises:
        CouldNotRun: the library is not installed, or cannot read it.
    """
    transformers = _transformers()
    import torch
    from safetensors import SafetensorError

    try:
        model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True)
    except (OSError, ValueError, RuntimeError, MemoryError, SafetensorError) as error:
        raise CouldNotRun(f"{folder}: expected a model that transformers can load, found: {error}") from error
    return model.eval()


def _transformers() -> Any:
    need("torch")  # without it transformers loads, and then has no models
    transformers = need("transformers")
    transformers.utils.logging.disable_progress_bar()  # its bars draw over ours
    return transformers


def _plain_generation(found: Any, tokenizer: Any) -> Any:
    """Where answers end, and nothing else: sampling or penalties that a model suggests are not the fixtures' decoding.

    The tokenizer's end token counts too, because it is the one that training teaches.
    """
    ends = found.eos_token_id if isinstance(found.eos_token_id, list) else [found.eos_token_id]
    every = {end for end in [*ends, tokenizer.eos_token_id] if end is not None}
    return type(found)(eos_token_id=sorted(every), pad_token_id=tokenizer.pad_token_id)
