"""The adapter to adopt: a LoRA of PEFT or a whole model, in a folder, behind a `.ref` file or on the Hub.

It is copied, never edited.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tunegate.harness.core.authoring.columnar import hub_name
from tunegate.harness.core.errors import Refused, UsageError, show_path
from tunegate.harness.core.extras import need
from tunegate.harness.core.files import write_json
from tunegate.harness.core.formatting import listed
from tunegate.harness.core.progress import Watch
from tunegate.harness.core.reading import MOST_SETTINGS, read_object
from tunegate.harness.models.adapter_reference import HUB, adapter_folder, copy_from_hub
from tunegate.harness.models.adapters import (
    CONFIG,
    WEIGHTS,
    acting_files,
    adapter_digest,
    check_base_kept,
    training_record,
)
from tunegate.harness.models.identity import MODEL_CONFIG, ModelFiles
from tunegate.harness.models.resolve import own_templates
from tunegate.harness.models.whole_model import is_whole_model

LORA = "LORA"
LORA_KEYS = ("r", "lora_alpha", "lora_dropout", "target_modules", "use_rslora", "use_dora")  # for the record


@dataclass(frozen=True)
class Given:
    """The adapter as it was given: where it comes from, its configuration, and the chat template beside it.

    `templates` are the chat templates in its folder. `is_whole`: it is a whole model.
    """

    origin: str
    config: Mapping[str, Any] = field(repr=False)
    templates: Sequence[str] = ()
    is_whole: bool = False

    @property
    def named_base(self) -> str | None:
        """The base that its configuration names."""
        return self.config.get("_name_or_path" if self.is_whole else "base_model_name_or_path")

    @property
    def lora(self) -> dict[str, Any]:
        """Its rank, scale and modules, for the record."""
        if self.is_whole:
            return {}
        known = {key: self.config[key] for key in LORA_KEYS if self.config.get(key) is not None}
        modules = known.get("target_modules")
        return known | ({"target_modules": sorted(modules)} if isinstance(modules, list) else {})

    def notes(self, model: str, base: ModelFiles, template: str) -> Iterator[str]:
        """Yield what a reader has to know of an adapter that is adopted for the base `model`, with its `template`."""
        if self.is_whole:
            yield "it is a whole model, a full fine-tune or a merged folder"
        if self.named_base != model:
            named = f"names {self.named_base} as its base" if self.named_base else "names no base"
            file = MODEL_CONFIG if self.is_whole else CONFIG
            yield f"its {file} {named}; it is adopted for {model} (weights {base.base[:12]}), which was declared"
        if self.templates and template not in self.templates:
            yield (
                "the chat template in its folder is not that of the base, which the suites use; to use it, record the "
                "baseline and adopt with --chat-template"
            )


def copy_given(adapter: Path, into: Path, watch: Watch) -> Given:
    """Copy the files that make an adapter into an empty folder; the original is only read.

    It is a folder, a `.ref` file, or `hub:OWNER/NAME@REVISION`. The copied configuration of a LoRA
    names no base.

    Raises:
        UsageError: the name on the Hub has no revision.
        Refused: it is no LoRA of PEFT and no whole model, or one that Tunegate trained.
        CouldNotRun: the Hub does not deliver it, PEFT is not installed, or a whole model's weights are no safetensors.
    """
    if name := hub_name(adapter):
        owned, _, revision = name.removeprefix(HUB).partition("@")
        if not revision:
            raise UsageError(
                f"{name}: expected a revision, since a name may change its content: {HUB}OWNER/NAME@REVISION"
            )
        commit = copy_from_hub(f"{owned}@{revision}", into)
        source, origin = into, f"{HUB}{owned}@{commit}"
    else:
        source, origin = adapter_folder(adapter, watch), show_path(adapter)
    is_whole = is_whole_model(source)
    config = read_object(source / MODEL_CONFIG, most=MOST_SETTINGS) if is_whole else _read(source, origin)
    _check_untrained(source, origin)
    for file in acting_files(source) if source != into else ():
        (into / file).parent.mkdir(exist_ok=True)
        shutil.copyfile(source / file, into / file)
    if not is_whole:
        # PEFT and servers follow these keys: the declared base stands in their place once it is known
        write_json(into / CONFIG, {**config, "base_model_name_or_path": None, "revision": None, "auto_mapping": None})
    return Given(origin, config, own_templates(source), is_whole)


def name_base(folder: Path, model: str) -> None:
    """Write the declared base into a copied adapter's configuration; its digest leaves the name out."""
    config = read_object(folder / CONFIG, most=MOST_SETTINGS)
    write_json(folder / CONFIG, config | {"base_model_name_or_path": model})


def _read(folder: Path, origin: str) -> dict[str, Any]:
    """The configuration of a LoRA that this PEFT knows whole."""
    if not (folder / CONFIG).is_file() or not (folder / WEIGHTS).is_file():
        raise Refused(
            f"{origin}: expected a LoRA of PEFT ({CONFIG} and {WEIGHTS}) or a "
            f"whole model ({MODEL_CONFIG} and its weights), found {_found(folder)}"
        )
    adapter_digest(folder)  # whole, and readable
    config = read_object(folder / CONFIG, most=MOST_SETTINGS)
    if config.get("peft_type") != LORA:
        raise Refused(
            f"{origin}: {CONFIG}: peft_type: expected {LORA}, found {config.get('peft_type')}: merge it into its base, "
            "and adopt the merged folder"
        )
    check_base_kept(config, origin)
    peft = need("peft")
    unknown = sorted(key for key, value in config.items() if value and key not in peft.LoraConfig.__dataclass_fields__)
    if unknown:
        raise Refused(
            f"{origin}: {CONFIG}: expected keys that PEFT {peft.__version__} knows, found {listed(unknown)} too, which "
            "it would leave out; pip install -U peft"
        )
    return config


def _found(folder: Path) -> str:
    if not folder.is_dir():
        return "no such folder"
    names = sorted(path.name for path in folder.iterdir())
    if pickles := [name for name in names if name.startswith("adapter_model") and name != WEIGHTS]:
        return f"{listed(pickles)}, which may run code when loaded; save the adapter as safetensors"
    if steps := [name for name in names if name.startswith("checkpoint-")]:
        return f"a folder of checkpoints; name the one that you mean: {listed(steps)}"
    return f"a folder without {CONFIG if CONFIG not in names else WEIGHTS}"


def _check_untrained(folder: Path, origin: str) -> None:
    record = training_record(folder)
    if record and "adoption" not in record:
        raise Refused(
            f"{origin}: expected an adapter that was trained elsewhere, found one of tunegate train, with its training "
            "record; evaluate and release it as it is"
        )
