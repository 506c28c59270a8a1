"""Adapters on disk and in memory: their digest, and checks that they fit, load and act.

An adapter is a LoRA, or a whole model that stands for its base and the adapter together.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from tunegate.harness.cases.json_schemas import published_schema
from tunegate.harness.cases.rewarding import RewardingCheck, read_rewards
from tunegate.harness.core.errors import Refused, show_path
from tunegate.harness.core.extras import need
from tunegate.harness.core.files import digest, file_digest, is_as_stamped
from tunegate.harness.core.reading import MOST_SETTINGS, read_object
from tunegate.harness.models.identity import ModelFiles
from tunegate.harness.models.resolve import loaded_weights
from tunegate.harness.models.whole_model import is_whole_model, whole_model_digest, whole_model_files

if TYPE_CHECKING:
    import torch

Adopted = Literal["", "supported", "untested", "doubted", "unknown"]
#: What is said of an adapter that was trained elsewhere, by what its adoption found of its claimed training rows.
ADOPTED = {
    "supported": "Trained elsewhere: its training rows are a claim.",
    "untested": "Trained elsewhere: its training rows are a claim that could not be tested.",
    "doubted": "Trained elsewhere: its training rows are a claim, which is doubted.",
    "unknown": "Trained elsewhere: training data unknown: contamination not checked.",
}
REPEATED_GROUP = re.compile(r"\)\s*[*+{]")
WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
TRAINING = "training.json"
DROPPED = "dropped.jsonl"  # the rows that decontamination removed, if any
CURVES = "training.svg"  # the evaluation results, drawn over the steps
UNCHECKED = 1 << 26  # bytes of weights; smaller files are read without a check of their length
KEEPING = ("gaussian", "orthogonal", "eva", "lora_ga")  # initial weights that leave the base as it is
#: Keys of adapter_config.json that say where or when it was made, not what it does: with them in the digest the same
#: adapter would get another digest on the next machine, and after an upgrade of PEFT.
NOT_THE_ADAPTER = frozenset({"base_model_name_or_path", "revision", "inference_mode", "peft_version", "auto_mapping"})


def acting_files(folder: Path) -> list[str]:
    """The names of the files that determine how an adapter acts."""
    return whole_model_files(folder) if is_whole_model(folder) else [WEIGHTS, CONFIG]


def adapter_digest(folder: Path) -> str:
    """SHA-256 (hex) over an adapter's weights and the configuration that determines how they act.

    Raises Refused if the folder or a file is missing (the base is never used instead), CouldNotRun
    if the weights of a whole model are not safetensors files.
    """
    if is_whole_model(folder):
        for path in (path for path in loaded_weights(folder) if path.suffix == ".safetensors"):
            check_length(path)
        return whole_model_digest(folder)
    missing = [name for name in (CONFIG, WEIGHTS) if not (folder / name).is_file()]
    if missing:
        found = "a folder without it" if folder.is_dir() else "no such folder"
        raise Refused(
            f"adapter {folder}: expected {' and '.join(missing)}, found {found}; train it with tunegate train"
        )
    check_length(folder / WEIGHTS)
    config = read_object(folder / CONFIG, most=MOST_SETTINGS)
    deciding = {key: value for key, value in config.items() if key not in NOT_THE_ADAPTER}
    return digest([deciding, file_digest(folder / WEIGHTS)])


def check_length(weights: Path) -> None:
    """Refuse a large safetensors file whose length differs from its header, before all of it is read."""
    size = weights.stat().st_size
    if size <= UNCHECKED:
        return
    with weights.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        try:
            head = json.loads(file.read(min(length, MOST_SETTINGS)))
            end = max((each["data_offsets"][1] for name, each in head.items() if name != "__metadata__"), default=0)
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
            end = None
    if end is None or size != 8 + length + end:
        said = f"{8 + length + end:,} bytes, as its header says" if end is not None else "safetensors"
        raise Refused(f"{show_path(weights)}: expected {said}, found {size:,} bytes; train it again")


def adapter_digests(folders: Iterable[Path]) -> list[str | None]:
    """The digest of each adapter that is a folder; None for each `.ref` file."""
    return [adapter_digest(folder) if folder.is_dir() else None for folder in folders]


def training_record(folder: Path) -> dict[str, Any] | None:
    """The training record in an adapter's folder; None for adapters made elsewhere, Refused if edited."""
    path = folder / TRAINING
    if not path.is_file():
        return None
    found = read_object(path, "a training record", published_schema("training"))
    # a release relies on the trainer's checks, which this file records
    if not is_as_stamped(found):
        raise Refused(f"{path}: expected the training record as it was written, found it edited; train it again")
    return found


def claim_of(folder: Path) -> Adopted:
    """What its adoption found of an adapter's claimed rows, a key of `ADOPTED`; empty if Tunegate trained it."""
    return cast("Adopted", (training_record(folder) or {}).get("adoption", {}).get("claim", ""))


def base_name(record: Mapping[str, Any]) -> str:
    """The name of the base in a training record: as the recipe names it, or as it was declared at the adoption."""
    return str((record.get("adoption") or record["recipe"])["model"])


def rewarding_checks(folder: Path) -> tuple[RewardingCheck, ...]:
    """The checks that an adapter was rewarded by, from its training record."""
    return read_rewards((training_record(folder) or {}).get("rewards", ()))


def check_base(folder: Path, base: ModelFiles, found: str = "") -> None:
    """Refuse an adapter whose training record names another base than `base`.

    A whole model needs that record, with its digest, if that was `found`.
    """
    record = training_record(folder)
    if is_whole_model(folder):
        _check_whole_model(folder, record, found)
    trained = record["model"] if record else {}
    how = "it was adopted for" if record and "adoption" in record else "it was trained on"
    for part in ("base", "tokenizer", "template"):
        # PEFT loads an adapter on any base of the same shape, without a warning: only digests show the difference
        if part in trained and trained[part] != getattr(base, part):
            raise Refused(
                f"adapter {folder}: expected the {part} {how} ({trained[part][:8]}), "
                f"found {getattr(base, part)[:8]} in {base.name}; name the right model with --tg-model"
            )


def _check_whole_model(folder: Path, record: Mapping[str, Any] | None, found: str) -> None:
    # unlike a LoRA, it loads without its base: nothing but the record shows what it was adopted for
    if record is None:
        raise Refused(
            f"{show_path(folder)}: expected an adapter, or a whole model that was adopted for its base, found one "
            f"without {TRAINING}; run: tunegate adopt {show_path(folder)} --model BASE"
        )
    if found and record["adapter"] != found:
        raise Refused(
            f"{show_path(folder)}: expected the weights and settings that its {TRAINING} describes "
            f"({record['adapter'][:8]}), found {found[:8]}: they changed; restore them, or adopt it again"
        )


def check_named_base(folder: Path, model: str) -> None:
    """Refuse a configuration that makes a loader use another base than `model`, or custom code.

    The digest of an adapter ignores these keys, but a server follows them.
    """
    config = read_object(folder / CONFIG, most=MOST_SETTINGS)
    for key, expected in (("base_model_name_or_path", model), ("revision", None), ("auto_mapping", None)):
        if (found := config.get(key)) != expected:
            raise Refused(
                f"{show_path(folder / CONFIG)}: {key}: expected {json.dumps(expected)}, as the training wrote it, "
                f"found {json.dumps(found)}, which loaders follow; restore it, or train it again"
            )


def check_base_kept(config: Mapping[str, Any], place: str) -> None:
    """Refuse a LoRA that alters the base's own weights when it is loaded: the base would not be the recorded one."""
    begins = config.get("init_lora_weights")
    if isinstance(begins, str) and begins not in KEEPING:
        raise Refused(
            f"{place}: {CONFIG}: init_lora_weights: expected true, false or {', '.join(KEEPING)}, found {begins!r}, "
            "which alters the base's weights; convert it (PEFT: path_initial_model_for_weight_conversion)"
        )
    if config.get("layer_replication"):
        raise Refused(f"{place}: {CONFIG}: layer_replication: expected none, found layers that the base does not have")


def copy_as_digested(folder: Path, copy: Path, expected: str | None) -> None:
    """Copy an adapter to a new folder that no other process writes to; Refused if it changed since it was digested."""
    copy.mkdir(parents=True)
    try:
        for name in (CONFIG, WEIGHTS):
            shutil.copyfile(folder / name, copy / name)
    except OSError as error:
        raise Refused(f"adapter {folder}: expected {CONFIG} and {WEIGHTS}, found {error.strerror or error}") from error
    if expected and adapter_digest(copy) != expected:
        raise Refused(f"adapter {folder}: expected digest {expected[:8]}, found that it changed meanwhile")


def load_as_digested(model: Any, folder: Path, probe: torch.Tensor, expected: str | None) -> Any:
    """Run `load_adapter` on a private copy, whose digest must be the `expected` one."""
    with tempfile.TemporaryDirectory(prefix="tunegate-") as made:
        copy = Path(made) / folder.resolve().name
        copy_as_digested(folder, copy, expected)
        try:
            return load_adapter(model, copy, probe)
        except Refused as error:
            raise Refused(str(error).replace(str(copy), str(folder))) from error


def load_adapter(model: Any, folder: Path, probe: torch.Tensor, trainable: bool = False) -> Any:
    """Load an adapter onto a base (a transformers causal language model), proven to be loaded and to act.

    `probe` holds token ids, shape (1, length), on which base and adapter must differ. `trainable` weights
    stay in float32, others get the type of the base's. Returns the PEFT model, in evaluation mode; Refused if
    the file does not fit the base or alters it, a weight differs from the file, or the logits do not change.
    """
    config = read_object(folder / CONFIG, most=MOST_SETTINGS)
    check_base_kept(config, f"adapter {folder}")
    _check_patterns(config, folder)
    _check_acts_everywhere(config, folder)
    peft, weights = need("peft"), _read_weights(folder)
    others = _unlike_the_base(model, weights)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PEFT warns of missing keys, which the proof below refuses
            # PEFT would keep the adapter in float32 on any base, and convert each activation there and back: servers
            # multiply it in the base's type, too. A training needs float32, or small steps would be rounded away.
            tuned = peft.PeftModel.from_pretrained(
                model, str(folder), is_trainable=trainable, autocast_adapter_dtype=trainable
            )
    except Exception as error:  # PEFT raises any kind of error on a damaged file
        raise _unfit(folder, error) from error
    # a trainable model comes back in training mode, where dropout would distort the proofs
    tuned.eval()
    try:
        _prove_base_kept(tuned, folder, others)
        _prove_loaded(tuned, folder, weights)
        _prove_acting(tuned, folder, probe)
    except Refused:
        raise
    except Exception as error:
        raise _unfit(folder, error) from error
    return tuned


def unload_adapter(tuned: Any) -> Any:
    """Return the base of a model of PEFT, as it was before `load_adapter`."""
    from peft.utils import ModulesToSaveWrapper

    for module in tuned.modules():
        if isinstance(module, ModulesToSaveWrapper):  # PEFT would leave the trained module in the base
            module.modules_to_save[module.active_adapter] = module.original_module
    return tuned.unload()


def untie(tuned: Any) -> None:
    """Give the output matrix values of its own, if it shares them with the input matrix and LoRA adapts one of them.

    Merged in place, the adapter's part would be in both.
    """
    from peft.tuners.lora import LoraLayer
    from torch.nn import Parameter

    model = tuned.get_base_model()
    matrices = model.get_input_embeddings(), model.get_output_embeddings()
    if not any(isinstance(each, LoraLayer) for each in matrices):
        return
    read, write = (getattr(each, "base_layer", each) for each in matrices)
    if write.weight is read.weight:
        write.weight = Parameter(write.weight.detach().clone(), requires_grad=False)
        model.config.tie_word_embeddings = model.config.get_text_config().tie_word_embeddings = False


def _unfit(folder: Path, error: Exception) -> Refused:
    said = f"{type(error).__name__}: {error}" if isinstance(error, (AttributeError, LookupError)) else error
    return Refused(f"adapter {folder}: expected one that fits this base; PEFT says: {said}; train it again")


def _check_patterns(config: Mapping[str, Any], folder: Path) -> None:
    """Refuse module names with a repeated group as pattern: PEFT matches them by `re`, which may take forever."""
    for key in ("target_modules", "exclude_modules", "rank_pattern", "alpha_pattern", "layers_pattern"):
        value = config.get(key) or ()
        if not isinstance(value, str | list | tuple | dict):
            found = f"{show_path(folder / CONFIG)}: {key}: expected names of modules, found {json.dumps(value)}"
            raise Refused(f"{found}; train it again")
        for pattern in [value] if isinstance(value, str) else value:
            if REPEATED_GROUP.search(str(pattern)):
                raise Refused(
                    f"adapter {folder}: {key}: expected a pattern without a repeated group, found {pattern!r}"
                )


def _check_acts_everywhere(config: Mapping[str, Any], folder: Path) -> None:
    """Refuse an activated LoRA: it cannot be merged, and the proof that it acts does not hold its tokens."""
    if tokens := config.get("alora_invocation_tokens"):
        raise Refused(
            f"{show_path(folder / CONFIG)}: alora_invocation_tokens: expected none, found {json.dumps(tokens)}: it "
            "acts only after these tokens; train it again as a LoRA that acts on all"
        )


def _read_weights(folder: Path) -> dict[str, torch.Tensor]:
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        weights = load_file(folder / WEIGHTS)
    except SafetensorError as error:
        raise Refused(f"{folder / WEIGHTS}: expected safetensors, found a damaged file: {error}") from error
    types = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
    if odd := [name for name, weight in weights.items() if weight.dtype not in types]:
        found = str(weights[odd[0]].dtype).removeprefix("torch.")
        raise Refused(f"adapter {folder}: expected float32, float16 or bfloat16, found {found} in {odd[0]}")
    # a training that diverged leaves NaN, which loads like any other weight
    odd = [name for name, weight in weights.items() if not weight.isfinite().all()]
    if odd:
        raise Refused(f"adapter {folder}: expected finite weights, found NaN or infinity in {odd[0]}")
    return dict(weights)


def _unlike_the_base(model: Any, weights: Mapping[str, torch.Tensor]) -> set[str]:
    """The weights of an adapter's file that have the name of one of the base's own, and other values."""
    own = model.state_dict()
    names = {name: name.removeprefix("base_model.model.").replace(".base_layer.", ".") for name in weights}
    return {name for name, its in names.items() if its in own and not _is_loaded(weights[name], own[its])}


def _prove_base_kept(tuned: Any, folder: Path, others: Iterable[str]) -> None:
    # Trained biases and saved embeddings replace the base's, and stay when the adapter is unloaded. Modules that were
    # trained whole (modules_to_save) lie beside the base's, under longer names.
    if replaced := sorted(set(others) & set(tuned.state_dict())):
        raise Refused(
            f"adapter {folder}: expected the base's own weights, found other values for {replaced[0]}, which would "
            "alter the base, too; merge it into its base, and adopt the merged folder"
        )


def _prove_loaded(tuned: Any, folder: Path, wanted: Mapping[str, torch.Tensor]) -> None:
    from peft import get_peft_model_state_dict

    # "auto" would ask a hub whether the base's vocabulary was resized; the file shows whether it holds embeddings
    every = [get_peft_model_state_dict(tuned, save_embedding_layers=each) for each in (False, True)]
    loaded = next((each for each in every if set(each) == set(wanted)), every[0])
    # PEFT only warns of missing keys: with 56 of 56 missing, the output was the base's, without an error.
    if set(wanted) != set(loaded):
        odd = sorted(set(wanted) ^ set(loaded))
        raise Refused(f"adapter {folder}: expected every weight of the file in the model, {len(odd)} differ: {odd[0]}")
    for name, weight in wanted.items():
        if not _is_loaded(weight, loaded[name]):
            raise Refused(f"adapter {folder}: expected {name} as in the file, found other values after loading")


def _is_loaded(weight: torch.Tensor, into: torch.Tensor) -> bool:
    """Whether a weight of a file, converted to the type of one in the model, equals it."""
    import torch

    return torch.equal(weight.to(into.dtype), into.cpu())


def _prove_acting(tuned: Any, folder: Path, probe: torch.Tensor) -> None:
    import torch

    with torch.inference_mode():
        # LoRA's second matrix starts at zero: an adapter saved before its first step loads fully, and does nothing.
        with_adapter = tuned(probe).logits
        with tuned.disable_adapter():
            without = tuned(probe).logits
    if not torch.isfinite(with_adapter).all():
        raise Refused(f"adapter {folder}: expected finite logits, found NaN or infinity: the weights are broken")
    if torch.equal(with_adapter, without):
        raise Refused(
            f"adapter {folder}: not acting: its logits equal the base's on a probe; "
            "its weights are all zero, or it was saved before training; train it again"
        )
