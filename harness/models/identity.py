"""What identifies a base model: digests of all that it is loaded from, and of what its tokenizer and template do.

Nothing here lists what counts: what is known not to count is left out.
"""

from __future__ import annotations

import os
from collections.abc import Container, Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from tunegate.harness.core.errors import Refused, TunegateError
from tunegate.harness.core.files import digest, file_digest, write_json
from tunegate.harness.core.reading import MOST_SETTINGS, read_object
from tunegate.harness.models.conversion import cache_folder, check_converted, gguf_digest, gguf_file
from tunegate.harness.models.probe import rendered, saved_state, spoken
from tunegate.harness.models.reasoning import thinking_tags
from tunegate.harness.models.resolve import MORE_TEMPLATES, loaded_weights, not_loaded, short_name, template_text
from tunegate.harness.models.tokenizer import read_tokenizer

MODEL_CONFIG, GENERATION = "config.json", "generation_config.json"
#: Keys of config.json that name the writer of the file, not the model. Every other key counts.
NOT_THE_MODEL = frozenset({"transformers_version", "_name_or_path", "_model_name_or_path", "torch_dtype", "dtype"})
#: Keys of generation_config.json that name its writer, or change no output. Every other key counts.
NOT_DECODING = frozenset({
    "_from_model_config", "transformers_version", "bos_token_id", "pad_token_id", "use_cache", "output_attentions",
    "output_hidden_states",
})  # fmt: skip
#: Files of a model's folder that are no part of it: notes, pictures, weights that `loaded_weights` does not name, and
#: what trainers and Tunegate write. Every other file counts.
NOT_READ = frozenset({
    "LICENSE", "NOTICE", "converted.json", "dropped.jsonl", "export.json", "parity.json", "record.json", "release.json",
    "trainer_state.json", "training.json",
})  # fmt: skip
KINDS_NOT_READ = frozenset({
    ".bin", ".gguf", ".h5", ".jpg", ".md", ".msgpack", ".onnx", ".pdf", ".png", ".pt", ".pth", ".safetensors", ".sig",
    ".svg",
})  # fmt: skip
SETTINGS = (MODEL_CONFIG, "tokenizer_config.json", "special_tokens_map.json")  # they may name further files
#: What reads tokenizers and templates: another version may read the same files otherwise.
READERS = ("transformers", "tokenizers", "jinja2", "sentencepiece", "tiktoken", "mistral-common", "protobuf")
RECIPE = 1  # of the cached digests: raise it when `probe` digests more or less


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


@dataclass(frozen=True, slots=True)
class TokenizerFiles:
    """The digests (SHA-256, hex) of a tokenizer and its chat template."""

    tokenizer: str
    template: str


def identify(name: str, folder: Path, template: Path | None = None, tool_format: str | None = None) -> ModelFiles:
    """Digest the model in `folder`: its weights and configuration, and its tokenizer and chat template as loaded.

    The weights and configuration of a GGUF file are known by the file's own digest, whatever read
    it. `template` is a file whose chat template replaces the model's own, and `tool_format` a name of TRL's.

    Raises:
        Refused: the folder holds an adapter, which would be loaded, too, or brings custom code.
        CouldNotRun: its weights are no safetensors, or transformers cannot load its tokenizer.
    """
    if (folder / "adapter_config.json").exists():
        raise Refused(
            f"{folder}: expected a base model, found an adapter in its folder (adapter_config.json), which would be "
            "loaded silently; move it to a folder of its own"
        )
    gguf = gguf_file(name)
    if gguf:
        check_converted(folder)
    base = gguf_digest(gguf) if gguf else base_digest(folder)
    return ModelFiles(short_name(name), base, **asdict(tokenizer_files(folder, template, tool_format)))


def base_digest(folder: Path) -> str:
    """SHA-256 (hex) over the weights that are loaded from a folder, its configuration and its settings of decoding."""
    settings = _without(folder / MODEL_CONFIG, NOT_THE_MODEL), _without(folder / GENERATION, NOT_DECODING)
    return digest([*settings, digests_of(folder, loaded_weights(folder))])


def _without(path: Path, left_out: frozenset[str]) -> dict[str, Any]:
    return {key: value for key, value in _json(path).items() if key not in left_out and value is not None}


def counted_files(folder: Path) -> list[Path]:
    """The files of a model's folder, but its weights: all that are not known to be no part of it."""
    found = [*folder.iterdir(), *(folder / MORE_TEMPLATES).glob("*")]
    return sorted(path for path in found if path.is_file() and not _is_not_read(path.name))


def _is_not_read(name: str) -> bool:
    return name in NOT_READ or name.startswith(".") or Path(name).suffix in KINDS_NOT_READ


def tokenizer_files(
    folder: Path, template: Path | None = None, tool_format: str | None = None
) -> TokenizerFiles:  # fmt: skip
    """Digest a folder's tokenizer and chat template, its own or that in `template`, as transformers loads them.

    A parser of calls is a part of the tokenizer, that of a named `tool_format`, too. What they do on a fixed page
    counts. Loading takes seconds, so the digests are cached by those of all files.

    Raises:
        Refused: it needs custom code.
        CouldNotRun: it cannot be loaded.
    """
    place = _place(folder, template, tool_format)
    if place and (known := _known(place)):
        return known
    found = _loaded(folder, template, tool_format)
    with suppress(OSError, TunegateError):  # a cache that cannot be written to
        if place:
            write_json(place, asdict(found))
    return found


def _loaded(folder: Path, template: Path | None, tool_format: str | None) -> TokenizerFiles:
    tokenizer = read_tokenizer(folder, template, tool_format)
    try:
        thinking = thinking_tags(folder)  # they decide which part of an output is scored
        own = digest([saved_state(tokenizer), spoken(tokenizer), *([thinking] if thinking else [])])
        return TokenizerFiles(own, digest([tokenizer.chat_template, rendered(tokenizer)]))
    except Exception as error:  # libraries raise any kind of error on a damaged file
        raise not_loaded(folder, "a tokenizer", error) from error


def _place(folder: Path, template: Path | None, tool_format: str | None) -> Path | None:
    """Where the digests are cached; None if a setting names a file whose content is in no key."""
    counted = counted_files(folder)
    if _names_others(folder, counted):
        return None
    names = sorted(path.name for path in folder.iterdir())  # what is there may decide what is loaded
    given = template_text(template) if template else None
    more = [tool_format, _version("trl")] if tool_format else []
    readers = [_version(name) for name in READERS]
    files = digests_of(folder, counted)
    key = digest([RECIPE, readers, str(folder.absolute()), names, files, str(template), given, *more])
    return cache_folder() / "identities" / f"{key}.json"


def _known(place: Path) -> TokenizerFiles | None:
    if not place.is_file():
        return None
    try:
        found = read_object(place, most=MOST_SETTINGS)
        return TokenizerFiles(str(found["tokenizer"]), str(found["template"]))
    except (Refused, KeyError):  # damaged: loaded again
        return None


def _names_others(folder: Path, counted: Container[Path]) -> bool:
    """Whether a setting names a file that exists and is not among those that count, as one outside of the folder."""
    texts = {text for name in SETTINGS for text in _texts(_json(folder / name))}
    # `Path.is_file` raises an error for a text that is too long for a name
    return any(os.path.isfile(folder / text) and folder / text not in counted for text in texts)  # noqa: PTH113


def _texts(value: Any) -> Iterator[str]:
    """The texts in nested mappings and lists."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _texts(each)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def digests_of(folder: Path, paths: Iterable[Path]) -> list[list[str]]:
    """The name in a folder and the SHA-256 (hex) of each of its files."""
    return [[path.relative_to(folder).as_posix(), file_digest(path)] for path in paths]


def _json(path: Path) -> dict[str, Any]:
    return read_object(path, most=MOST_SETTINGS) if path.is_file() else {}
