"""A full fine-tune or a merged folder to adopt: proven to be its declared base with other weights."""

from __future__ import annotations

import shutil
import statistics
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from tunegate.harness.core.errors import Refused
from tunegate.harness.core.escaping import shown
from tunegate.harness.core.formatting import listed
from tunegate.harness.models.local.huggingface import Local, load_base, quiet_transformers
from tunegate.harness.models.memory import stored_dtype
from tunegate.harness.models.model_options import NO_QUANTIZATION, NO_TEMPLATE
from tunegate.harness.models.probe import PROBE
from tunegate.harness.models.resolve import MORE_TEMPLATES, TEMPLATE, loaded_weights, not_loaded, own_code
from tunegate.harness.models.tokenizer import load_tokenizer
from tunegate.harness.models.whole_model import files_beside
from tunegate.harness.release.parity.configs import architecture_of, config_findings

UNRELATED = 0.1  # a cosine
#: How the files of a tokenizer are called.
OF_TOKENIZER = ("tokenizer", "vocab", "spiece", "sentencepiece", "tekken", "tiktoken")


def load_whole_model(base: Local, folder: Path, texts: Iterable[str]) -> Any:
    """Load a whole model beside its declared base, prove that it was tuned from it, and give it the base's tokenizer.

    `folder` is a copy of the model's folder, as the files of its tokenizer are replaced. Both
    tokenizers must split `texts` into the same tokens. Within `disable_adapter()` the model gives
    way to the base, as one of PEFT does.

    Raises:
        Refused: tokenizer, settings, names or shapes of the weights are not the base's; or the weights are, or are
            another model's.
        CouldNotRun: it cannot be loaded.
    """
    if base.base.placement.quantization != NO_QUANTIZATION:
        raise Refused(f"--quantization: expected none for a whole model, found {base.base.placement.quantization}")
    if refused := own_code(folder):
        raise refused
    _check_tokenizer(base, folder, texts)
    _take_tokenizer(base, folder)
    if found := config_findings(architecture_of(base.folder), base.folder, folder):
        raise Refused(f"{folder.name}: expected the settings of {base.model.name}, found that {found[0].message}")
    _check_names(folder)
    tuned, plain = (load_base(each, base.base.placement) for each in (folder, base.folder))
    _check_tuned(base, folder, tuned, plain)
    _check_acting(base, folder, tuned, plain)
    tuned.disable_adapter = partial(_as_base, tuned, plain)
    return tuned


def _check_tokenizer(base: Local, folder: Path, texts: Iterable[str]) -> None:
    """Refuse a tokenizer with other tokens than the base's, which the suites use; its template may be another."""
    if not any(name.startswith(OF_TOKENIZER) for name in files_beside(folder)):
        return
    own, expected = load_tokenizer(folder, NO_TEMPLATE), base.tokenizer
    if differ := own.get_vocab().items() ^ expected.get_vocab().items():
        names = sorted({token for token, _ in differ})
        raise Refused(f"{folder.name}: expected the tokenizer of {base.model.name}, found one that differs in "
                      f"{shown(listed(names))}")  # fmt: skip
    for text in texts:
        if own(text, add_special_tokens=False).input_ids != expected(text, add_special_tokens=False).input_ids:
            raise Refused(f"{folder.name}: expected the tokenizer of {base.model.name}, found one that splits "
                          f"{shown(text[:60])!r} otherwise")  # fmt: skip


def _take_tokenizer(base: Local, folder: Path) -> None:
    """Put the base's tokenizer into the folder, with the template that is evaluated."""
    for name in files_beside(folder):
        (folder / name).unlink()
    for name in files_beside(base.folder):
        if not name.startswith(MORE_TEMPLATES):
            shutil.copyfile(base.folder / name, folder / name)
    (folder / TEMPLATE).write_text(base.tokenizer.get_chat_template(), "utf-8", newline="\n")


def _check_names(folder: Path) -> None:
    """Refuse a file that lacks weights, which transformers would make up, or has others, which it would leave out."""
    try:
        _, found = quiet_transformers().AutoModelForCausalLM.from_pretrained(
            folder, device_map="meta", output_loading_info=True, ignore_mismatched_sizes=True, local_files_only=True,
            use_safetensors=True, trust_remote_code=False,
        )  # fmt: skip
    except Exception as error:
        raise not_loaded(folder, "a model", error) from error
    for key, said in (("missing", "lacks"), ("unexpected", "has too"), ("mismatched", "has in another shape")):
        if names := sorted(str(each[0]) if isinstance(each, tuple) else each for each in found[f"{key}_keys"]):
            raise Refused(f"{folder.name}: expected the weights that its config.json describes, found a file that "
                          f"{said} {listed([shown(name) for name in names])}")  # fmt: skip


def _check_tuned(base: Local, folder: Path, tuned: Any, plain: Any) -> None:
    """Refuse weights that are the base's, another model's or not finite."""
    import torch

    mine, theirs = dict(tuned.named_parameters()), dict(plain.named_parameters())
    for name, weight in mine.items():
        if name not in theirs or weight.shape != theirs[name].shape:
            found = f"{tuple(weight.shape)} where it has {tuple(theirs[name].shape) if name in theirs else 'none'}"
            raise Refused(f"{folder.name}: expected the weights of {base.model.name}, found {name} of {found}")
        if not weight.isfinite().all():
            raise Refused(f"{folder.name}: expected finite weights, found NaN or infinity in {name}")
    types = [getattr(torch, stored_dtype(loaded_weights(each))) for each in (folder, base.folder)]
    shorter = min(types, key=lambda dtype: dtype.itemsize)  # the base, saved in a shorter type, is still the base
    if all(torch.equal(weight.to(shorter), theirs[name].to(shorter)) for name, weight in mine.items()):
        raise Refused(f"{folder.name}: expected other weights than those of {base.model.name}, found the same: nothing "
                      "was tuned")  # fmt: skip
    if (cosine := _median_cosine(mine, theirs)) < UNRELATED:
        raise Refused(f"{folder.name}: expected a fine-tune of {base.model.name}, found the weights of another model: "
                      f"their cosine with the base's is {cosine:.2f} in the median matrix; name its own base with "
                      "--model")  # fmt: skip


def _median_cosine(mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> float:
    """How alike the directions of the matrices are: 1 for the same, about 0 for two models trained apart."""
    from torch.nn.functional import cosine_similarity

    return statistics.median(
        float(cosine_similarity(weight.detach().flatten().float(), theirs[name].detach().flatten().float(), dim=0))
        for name, weight in mine.items() if weight.ndim == 2
    )  # fmt: skip


def _check_acting(base: Local, folder: Path, tuned: Any, plain: Any) -> None:
    import torch

    probe = base.tokenizer(PROBE, return_tensors="pt").input_ids.to(tuned.device)
    with torch.inference_mode():
        found, before = tuned(probe).logits, plain(probe).logits
    if not found.isfinite().all():
        raise Refused(f"{folder.name}: expected finite logits, found NaN or infinity: the weights are broken")
    if torch.equal(found, before):
        raise Refused(f"{folder.name}: not acting: its logits equal those of {base.model.name} on a probe")


@contextmanager
def _as_base(tuned: Any, plain: Any) -> Iterator[None]:
    _swap(tuned, plain)
    try:
        yield
    finally:
        _swap(tuned, plain)


def _swap(one: Any, other: Any) -> None:
    others = dict(other.named_parameters())
    for name, weight in one.named_parameters():
        weight.data, others[name].data = others[name].data, weight.data
