"""Compare the settings of an artefact's architecture with those of the evaluated model, by name."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunegate.harness.checks.base import Finding
from tunegate.harness.core.errors import CouldNotRun, show_path
from tunegate.harness.core.escaping import shown
from tunegate.harness.core.extras import need
from tunegate.harness.core.reading import MOST_SETTINGS, read_object
from tunegate.harness.models.conversion import GGUF
from tunegate.harness.models.identity import GENERATION
from tunegate.harness.models.model_options import NO_TEMPLATE
from tunegate.harness.models.resolve import ENDS
from tunegate.harness.models.tokenizer import load_tokenizer
from tunegate.harness.release.parity.stored_weights import UNREADABLE

if TYPE_CHECKING:
    from transformers import PretrainedConfig

#: Settings of an architecture that change no output, or that are compared elsewhere.
HARMLESS = {
    "bos_token_id", "eos_token_id", "pad_token_id", "initializer_range", "pretraining_tp", "use_cache",
    "vocab_size",
}  # fmt: skip
SHARED = ("model_type", "tie_word_embeddings")  # of every architecture
#: What a GGUF file calls them, after the name of its architecture.
IN_GGUF = {
    "rope_parameters.rope_theta": "rope.freq_base", "rms_norm_eps": "attention.layer_norm_rms_epsilon",
    "layer_norm_eps": "attention.layer_norm_epsilon", "sliding_window": "attention.sliding_window",
    "num_attention_heads": "attention.head_count", "num_key_value_heads": "attention.head_count_kv",
    "num_hidden_layers": "block_count", "max_position_embeddings": "context_length",
}  # fmt: skip
CONTEXT = "max_position_embeddings"  # a longer one changes no output
#: Settings of generation_config.json that servers apply to greedy outputs, and the values that change none. The base's
#: own are not compared with the evaluation, which does without them.
DECODING = {
    "repetition_penalty": 1.0, "no_repeat_ngram_size": 0, "min_length": 0, "min_new_tokens": 0, "num_beams": 1,
    "bad_words_ids": None, "suppress_tokens": None, "begin_suppress_tokens": None, "forced_eos_token_id": None,
    "forced_bos_token_id": None, "sequence_bias": None, "stop_strings": None, "exponential_decay_length_penalty": None,
    "guidance_scale": 1.0, "encoder_repetition_penalty": 1.0, "encoder_no_repeat_ngram_size": 0,
    "watermarking_config": None,
}  # fmt: skip
MOST = "max_new_tokens"  # some servers cut every output there
CLOSE = 1e-4  # relative: a GGUF file stores float32


def config_findings(evaluated: PretrainedConfig, base: Path, artefact: Path) -> list[Finding]:
    """The findings on settings that differ from those of the evaluated model: one, which names each with both values.

    `evaluated` are the settings of the adapter merged into its base; `base` is the folder of this.

    Raises:
        CouldNotRun: the artefact's settings cannot be read.
    """
    expected = _settings(evaluated)
    if artefact.suffix == GGUF:
        found = {name: value for name, value in _of_gguf(artefact).items() if name in expected}
    else:
        found = {**dict.fromkeys(expected), **_settings(architecture_of(artefact)), **_decoding(artefact)}
        expected |= _decoding(base)
    wrong = [
        _differs(name, value, expected.get(name))
        for name, value in sorted(found.items())
        if not _same(expected.get(name), value) and not _is_longer(name, expected.get(name), value)
    ]  # fmt: skip
    return [Finding("config", "; ".join(wrong))] if wrong else []


def length_findings(evaluated: Collection[int], longest: int, source: Path, artefact: Path) -> Iterator[Finding]:
    """The findings on what ends the outputs of a folder: one on a lost end, one on a limit that cuts them.

    `evaluated` are the tokens that ended the evaluated outputs, which had up to `longest` tokens; `source` is the
    folder of that model.

    Raises:
        CouldNotRun: the settings or the tokenizer cannot be read.
    """
    before, found = _generation(source), _generation(artefact)
    if _lost_ends(set(evaluated), _ends(source, before), _ends(artefact, found), artefact):
        yield Finding("end-of-turn", _differs(ENDS, sorted(_ends(artefact, found)), sorted(evaluated)))
    most = found.get(MOST)
    if isinstance(most, int) and most < longest and most != before.get(MOST):
        yield Finding("config", _differs(MOST, most, longest))


def _lost_ends(evaluated: set[int], before: set[int], found: set[int], artefact: Path) -> set[int]:
    """The ends of outputs that an artefact lacks.

    Its tokenizer has to have those that the evaluated model, too, leaves to the tokenizer, and all if it names none.
    """
    lost = evaluated - found
    left = lost - before if found else lost
    return lost - (left & {load_tokenizer(artefact, NO_TEMPLATE).eos_token_id}) if left else lost


def architecture_of(folder: Path) -> PretrainedConfig:
    """Read the settings of a model folder's architecture, its config.json.

    Raises:
        CouldNotRun: it cannot be read.
    """
    try:
        return need("transformers").AutoConfig.from_pretrained(folder)
    except (OSError, ValueError, KeyError) as error:
        raise CouldNotRun(f"{show_path(folder)}: expected a readable config.json, found: {error}") from error


def _settings(config: PretrainedConfig) -> dict[str, Any]:
    """The settings that the architecture defines, with its defaults; a nested one as `outer.inner`."""
    own = type(config)().to_dict().keys() - need("transformers").PretrainedConfig().to_dict().keys() - HARMLESS
    return dict(_flat({name: each for name, each in config.to_dict().items() if name in {*own, *SHARED}}))


def _decoding(folder: Path) -> dict[str, Any]:
    """The settings of `DECODING` that a folder has."""
    found = _generation(folder)
    return {name: found[name] for name, neutral in DECODING.items() if found.get(name) not in (None, neutral)}


def _generation(folder: Path) -> dict[str, Any]:
    """The content of a folder's generation_config.json; empty if there is none."""
    path = folder / GENERATION
    return read_object(path, most=MOST_SETTINGS) if path.is_file() else {}


def _ends(folder: Path, generation: Mapping[str, Any]) -> set[int]:
    """The tokens that end outputs by a folder's settings; its generation_config.json goes first."""
    found = generation.get(ENDS)
    if found is None:
        found = getattr(architecture_of(folder).get_text_config(), ENDS, None)
    return {each for each in (found if isinstance(found, list) else [found]) if isinstance(each, int)}


def _differs(name: str, found: Any, expected: Any) -> str:
    return f"{shown(name)} is {shown(str(found))} where {shown(str(expected))} was evaluated"


def _flat(settings: Mapping[str, Any], outer: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{outer}{name}.")
        elif "dropout" not in name:
            yield f"{outer}{name}", value


def _of_gguf(file: Path) -> dict[str, Any]:
    """The settings of `IN_GGUF` that a GGUF file holds."""
    try:
        fields = need("gguf").GGUFReader(file).fields
        kind = fields["general.architecture"].contents()
        known = {name: fields.get(f"{kind}.{key}") for name, key in IN_GGUF.items()}
        return {name: each.contents() for name, each in known.items() if each is not None}
    except UNREADABLE as error:
        raise CouldNotRun(f"{show_path(file)}: expected a GGUF file of a language model, found: {error!r}") from error


def _is_longer(name: str, expected: Any, found: Any) -> bool:
    is_context = name.rpartition(".")[2] == CONTEXT and isinstance(expected, int) and isinstance(found, int)
    return is_context and found > expected


def _same(one: Any, other: Any) -> bool:
    numbers = [isinstance(each, int | float) and not isinstance(each, bool) for each in (one, other)]
    return math.isclose(one, other, rel_tol=CLOSE) if all(numbers) else bool(one == other)
