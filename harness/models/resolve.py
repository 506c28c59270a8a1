"""Model names to local folders, and the files in them. Does not import torch."""

from __future__ import annotations

import os
import re
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tunegate.harness.core.errors import CouldNotRun, Refused, TunegateError, Unreadable, show_path
from tunegate.harness.core.extras import lacking_of, need
from tunegate.harness.core.formatting import listed
from tunegate.harness.core.progress import Watch, quiet
from tunegate.harness.core.reading import MOST_BYTES, MOST_SETTINGS, read_object, read_text
from tunegate.harness.models.backends import backend_of, unknown_name
from tunegate.harness.models.conversion import (
    EMBEDDED,
    GGUF,
    convert_embedded,
    convert_gguf,
    gguf_file,
    library_said,
)
from tunegate.harness.models.model_options import NO_TEMPLATE

MOST_LAYERS = 10_000
RESTORE = "copy the model again from its source"  # how to fix a damaged one
HUB_ID = re.compile(r"[\w.-]+/(?!.*\.(?:jsonl|py)$)[\w.-]+")  # not the path of outputs or code in a folder
#: The files of a model on the Hub; safetensors only, since other weights are pickles, which `identify` does not digest.
MODEL_PATTERNS = ("*.json", "*.safetensors", "*.jinja", "*.model", "*.txt", "*.tiktoken")
WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
ENDS = "eos_token_id"
TEMPLATE = "chat_template.jinja"
MORE_TEMPLATES = "additional_chat_templates"  # a folder; one named `default` is used instead
#: The template for `--tg-chat-template none`: the texts of the turns, each followed by an empty line.
PLAIN = "{% for m in messages %}{{ m.content }}\n\n{% endfor %}"


def stay_offline() -> None:
    """Disable the hub libraries' telemetry, and tokenizer parallelism, unless the environment sets them."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def resolve(name: str, watch: Watch | None = None, weights: bool = True) -> Path:
    """The folder of a model name: `smollm2`, a folder, a GGUF file, or a Hub id; without `weights` for its tokenizer.

    Raises CouldNotRun if the package, folder or hub is not available, Refused if the name is that
    of recorded outputs or the packaged file is not the one this version expects.
    """
    stay_offline()
    backend_of(name).check_weights(name)
    if name in EMBEDDED:
        return convert_embedded(name, watch or quiet())
    if gguf := gguf_file(name):
        return convert_gguf(gguf, watch or quiet())
    folder = Path(name).expanduser()
    wanted = ("config.json",) if weights else ("config.json", "tokenizer_config.json")
    if any((folder / file).is_file() for file in wanted):
        return folder
    if folder.exists() or name.startswith((".", "/", "~")) or not HUB_ID.fullmatch(name):
        found = f"a folder without {wanted[-1]}" if folder.exists() else "nothing there"
        raise CouldNotRun(f"model {name!r}: {unknown_name(name, found, wanted[-1])}")
    return _from_hub(name, weights)


def _from_hub(name: str, weights: bool) -> Path:
    snapshot_download = need("huggingface_hub").snapshot_download
    try:
        patterns = [each for each in MODEL_PATTERNS if weights or each != "*.safetensors"]
        return Path(snapshot_download(name, allow_patterns=patterns))
    except Exception as error:  # the hub client raises many kinds of errors; all mean the same to the user
        raise CouldNotRun(f"model {name!r}: no such folder, and the hub did not deliver it: {error}") from error


def own_templates(folder: Path) -> list[str]:
    """The chat templates that transformers finds in a model folder; Unreadable if a file is damaged."""
    files = [folder / TEMPLATE, *sorted((folder / MORE_TEMPLATES).glob("*.jinja"))]
    if found := [template_text(path) for path in files if path.is_file()]:
        return found
    given = _json(folder / "tokenizer_config.json").get("chat_template")
    named = [each.get("template") if isinstance(each, dict) else each for each in _values(given)]
    return [each for each in named if isinstance(each, str)]


def _values(value: Any) -> list[Any]:
    return [*value.values()] if isinstance(value, dict) else value if isinstance(value, list) else [value]


def not_loaded(folder: Path, what: str, error: Exception) -> TunegateError:
    """The error for a folder from which a library could not load `what`; names the damaged file if one is found.

    Libraries raise any kind of error on a damaged file, and where an extra is missing.
    """
    if lacks := lacking_of(error):
        return lacks
    for path in sorted(folder.glob("*.json")):
        try:
            read_object(path, most=MOST_BYTES)
        except Unreadable as damaged:
            found = damaged.problem
            return Unreadable(path, found.expected, found.found, RESTORE, found.line)
    is_damage = not isinstance(error, MemoryError | ImportError) and "out of memory" not in str(error)
    hint = f"; {RESTORE}" if is_damage else ""
    return own_code(folder) or CouldNotRun(
        f"{show_path(folder)}: expected {what} that transformers can load, found: {library_said(error)}{hint}"
    )


def by_library(error: Exception) -> bool:
    """Whether an error was raised in a library's code, not in ours."""
    last = list(traceback.walk_tb(error.__traceback__))[-1:]
    return all(frame.f_globals.get("__name__", "").split(".")[0] != "tunegate" for frame, _ in last)


def own_code(folder: Path) -> Refused | None:
    """The error for a folder that brings custom code; None if it brings none."""
    if not any("auto_map" in _json(folder / name) for name in ("config.json", "tokenizer_config.json")):
        return None
    return Refused(
        f"{folder}: expected a model whose code is in transformers, found one with custom code (auto_map), which is "
        "never run here; try a newer transformers (pip install -U transformers), or serve it and name the server "
        "(docs/servers.md)"
    )


def template_text(given: Path) -> str:
    """The text of a chat template file, or the template for plain text."""
    if given == NO_TEMPLATE:
        return PLAIN
    return read_text(given, "a chat template", MOST_SETTINGS).removeprefix("\ufeff")  # as some editors write


def loaded_weights(folder: Path) -> list[Path]:
    """The safetensors files that transformers loads from a folder, an index first; CouldNotRun for others."""
    config = _json(folder / "config.json")
    named = str(config.get("transformers_weights") or "")
    first = folder / (named or (WEIGHTS if (folder / WEIGHTS).is_file() else INDEX))
    shards: list[Path] = []
    if first.name.endswith(".index.json"):
        by_tensor = _json(first).get("weight_map", {})
        shards = sorted(folder / str(name) for name in set(by_tensor.values())) if isinstance(by_tensor, dict) else []
    weights = shards or [first]
    if not all(path.suffix == ".safetensors" and path.parent == folder and path.is_file() for path in weights):
        pickles = listed(sorted(path.name for path in folder.glob("*.bin")))
        found = f"{pickles}, which may run code when loaded" if pickles else "none"
        raise CouldNotRun(
            f"{folder}: expected {named or f'{WEIGHTS}, or {INDEX} and its shards'}, found {found}; save the model as "
            "safetensors first"
        )
    return [first, *shards]


def check_layers(folder: Path) -> None:
    """Raise CouldNotRun for a configuration with an absurd number of layers, whose creation would not end."""
    for key, value in _numbers(_json(folder / "config.json")):
        if key.rstrip("s").endswith("layer") and value > MOST_LAYERS:
            place = f"{show_path(folder / 'config.json')}: {key}"
            raise CouldNotRun(f"{place}: expected at most {MOST_LAYERS:,} layers, found {value:,}; {RESTORE}")


def _numbers(value: Any) -> Iterator[tuple[str, float]]:
    """The numbers in nested mappings, each with its key."""
    for key, each in value.items() if isinstance(value, dict) else ():
        if isinstance(each, int | float):
            yield key, each
        yield from _numbers(each)


def short_name(name: str) -> str:
    """A model's name as a folder name: the last part of a path or Hub id, in safe characters."""
    last = name.rstrip("/").rsplit("/", 1)[-1].removesuffix(GGUF)
    return "".join(letter if letter.isalnum() or letter in "._-" else "-" for letter in last) or "model"


def _json(path: Path) -> dict[str, Any]:
    return read_object(path, most=MOST_SETTINGS) if path.is_file() else {}
