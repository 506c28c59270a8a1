"""Model names to local folders, and the digests that identify the model in a folder. Does not import torch."""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tunegate.harness.core.errors import CouldNotRun, Refused, TunegateError, Unreadable, show_path
from tunegate.harness.core.extras import lacking_of, need
from tunegate.harness.core.files import digest, file_digest
from tunegate.harness.core.formatting import listed
from tunegate.harness.core.progress import Watch, quiet
from tunegate.harness.core.reading import MOST_BYTES, MOST_SETTINGS, read_object, read_text
from tunegate.harness.models.conversion import (
    EMBEDDED,
    GGUF,
    check_converted,
    convert_embedded,
    convert_gguf,
    gguf_digest,
    gguf_file,
    library_said,
)
from tunegate.harness.models.model_options import NO_TEMPLATE, REPLAY, check_has_weights

#: Keys of config.json that name the writer of the file, not the model.
NOT_THE_MODEL = frozenset({"transformers_version", "_name_or_path", "_model_name_or_path", "torch_dtype", "dtype"})
MOST_LAYERS = 10_000
RESTORE = "copy the model again from its source"  # how to fix a damaged one
#: Which of them a tokenizer has depends on its kind; each shapes tokens.
TOKENIZER_FILES = (
    "tokenizer.json", "tokenizer.model", "vocab.json", "merges.txt", "added_tokens.json", "special_tokens_map.json",
    "vocab.txt", "spiece.model", "sentencepiece.bpe.model", "tekken.json", "qwen.tiktoken", "tiktoken.model",
)  # fmt: skip
#: The files of a model on the Hub; safetensors only, since other weights are pickles, which `identify` does not digest.
MODEL_PATTERNS = ("*.json", "*.safetensors", "*.jinja", "*.model", "*.txt")
WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
ENDS = "eos_token_id"
TEMPLATE = "chat_template.jinja"
MORE_TEMPLATES = "additional_chat_templates"  # a folder; one named `default` is used instead
#: The template for `--tg-chat-template none`: the texts of the turns, each followed by an empty line.
PLAIN = "{% for m in messages %}{{ m.content }}\n\n{% endfor %}"
TOKENS = ("bos_token", "eos_token", "pad_token", "unk_token")
TOKENIZER_KEYS = (*TOKENS, "add_bos_token", "add_eos_token", "add_prefix_space")
#: Keys that count if they are set; which of them are written out depends on the version of transformers.
MORE_TOKENIZER_KEYS = (
    "additional_special_tokens", "extra_special_tokens", "added_tokens_decoder", "do_lower_case", "strip_accents",
    "legacy", "split_special_tokens", "sp_model_kwargs", "clean_up_tokenization_spaces",
)  # fmt: skip
FILE_ONLY = ("", "TokenizersBackend", "PreTrainedTokenizer")  # classes that follow tokenizer.json exactly


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """The identity of a base model: digests (SHA-256, hex) of weights, tokenizer and chat template."""

    name: str
    base: str
    tokenizer: str
    template: str

    @property
    def slug(self) -> str:
        """The name of its folder of baselines: `<model>-<digest8>`."""
        return f"{self.name}-{digest([self.base, self.tokenizer, self.template])[:8]}"

    def subject(self, adapter: str | None, rung: str) -> dict[str, str | None]:
        """The subject of a fingerprint: this model, with or without an adapter, and the prompting strategy."""
        return {
            "model": self.slug, "base": self.base, "tokenizer": self.tokenizer, "template": self.template,
            "adapter": adapter, "rung": rung,
        }  # fmt: skip

    def as_dict(self) -> dict[str, str]:
        """The three digests and the name, as stored in records."""
        return asdict(self)


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
    if name.startswith(REPLAY):
        raise Refused(
            f"--model {name}: expected a model that generates, found recorded outputs; name a model, such as "
            "--model=smollm2, or a folder"
        )
    check_has_weights(name)
    if name in EMBEDDED:
        return convert_embedded(name, watch or quiet())
    if gguf := gguf_file(name):
        return convert_gguf(gguf, watch or quiet())
    folder = Path(name).expanduser()
    wanted = ("config.json",) if weights else ("config.json", "tokenizer_config.json")
    if any((folder / file).is_file() for file in wanted):
        return folder
    if folder.exists() or name.startswith((".", "/", "~")) or name.count("/") != 1:
        found = f"a folder without {wanted[-1]}" if folder.exists() else "nothing there"
        raise CouldNotRun(
            f"model {name!r}: expected one of {', '.join(EMBEDDED)}, a folder with a {wanted[-1]}, a GGUF file, or a "
            f"Hub id (owner/name); found {found}"
        )
    return _from_hub(name, weights)


def _from_hub(name: str, weights: bool) -> Path:
    snapshot_download = need("huggingface_hub").snapshot_download
    try:
        patterns = [each for each in MODEL_PATTERNS if weights or each != "*.safetensors"]
        return Path(snapshot_download(name, allow_patterns=patterns))
    except Exception as error:  # the hub client raises many kinds of errors; all mean the same to the user
        raise CouldNotRun(f"model {name!r}: no such folder, and the hub did not deliver it: {error}") from error


def identify(name: str, folder: Path, template: Path | None = None) -> ModelFiles:
    """Digest the model in `folder`: the weights that are loaded, its configuration, its tokenizer, its chat template.

    The weights and configuration of a GGUF file are known by the file's own digest, whatever read
    it. `template` is a file whose chat template replaces the model's own. Refused if the folder
    holds an adapter, which would be loaded, too.
    """
    if (folder / "adapter_config.json").exists():
        raise Refused(
            f"{folder}: expected a base model, found an adapter in its folder (adapter_config.json), which would be "
            "loaded silently; move it to a folder of its own"
        )
    gguf = gguf_file(name)
    if gguf:
        check_converted(folder)
    base = gguf_digest(gguf) if gguf else _base_digest(folder)
    return ModelFiles(short_name(name), base, tokenizer_digest(folder), template_digest(folder, template))


def _base_digest(folder: Path) -> str:
    config = {key: value for key, value in _json(folder / "config.json").items() if key not in NOT_THE_MODEL}
    ends = _json(folder / "generation_config.json").get(ENDS)
    if ends is not None:
        config[ENDS] = ends  # the only key of that file that affects outputs: it overrides config.json
    return digest([config, _digests(loaded_weights(folder))])


def tokenizer_digest(folder: Path) -> str:
    """Digest of everything in a model's folder that shapes tokens."""
    # Only the keys that shape tokens count. The others name versions, and the template has its own digest.
    settings = _json(folder / "tokenizer_config.json")
    more = {key: settings[key] for key in MORE_TOKENIZER_KEYS if settings.get(key)}
    # a custom class may split and normalise differently; fast and slow ones give the same tokens
    kind = str(settings.get("tokenizer_class") or "").removesuffix("Fast")
    more |= {} if kind in FILE_ONLY else {"tokenizer_class": kind}
    files = _digests(folder / file for file in TOKENIZER_FILES if (folder / file).is_file())
    named = {key: _token(settings.get(key)) for key in TOKENIZER_KEYS}
    return digest([files, named, *([more] if more else [])])


def template_digest(folder: Path, given: Path | None = None) -> str:
    """Digest of the chat template in `given`, otherwise of the model's own."""
    preferred = (folder / MORE_TEMPLATES / "default.jinja", folder / TEMPLATE)  # as by transformers
    template = given or next((path for path in preferred if path.is_file()), None)
    if template:
        return digest(template_text(template))
    return digest(_json(folder / "tokenizer_config.json").get("chat_template"))


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


def _token(value: Any) -> Any:
    return value.get("content") if isinstance(value, dict) else value


def _digests(paths: Iterable[Path]) -> list[list[str]]:
    return [[path.name, file_digest(path)] for path in paths]


def _json(path: Path) -> dict[str, Any]:
    return read_object(path, most=MOST_SETTINGS) if path.is_file() else {}
