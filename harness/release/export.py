"""Merge an adapter into a model folder or a GGUF file, and compare the result with the evaluated model."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from tunegate.harness.core.errors import CouldNotRun, Refused, TunegateError, show_path
from tunegate.harness.core.extras import need
from tunegate.harness.core.files import (
    file_digest,
    is_as_stamped,
    stamped,
    working_folder,
    write_atomically,
    write_json,
)
from tunegate.harness.core.progress import Watch
from tunegate.harness.core.reading import MOST_SETTINGS, read_object
from tunegate.harness.models.adapters import adapter_digest
from tunegate.harness.models.conversion import GGUF
from tunegate.harness.models.identity import GENERATION
from tunegate.harness.models.local.huggingface import Base
from tunegate.harness.models.local.placement import has_device
from tunegate.harness.models.model_options import AUTO, GgufType, ModelOptions
from tunegate.harness.models.resolve import MORE_TEMPLATES, TEMPLATE
from tunegate.harness.models.whole_model import files_beside, is_whole_model
from tunegate.harness.release.gguf import find_tools, make_gguf
from tunegate.harness.release.modelfile import modelfile
from tunegate.harness.release.parity.parity import Parity, compare_served
from tunegate.harness.release.parity.scored_adapter import ScoredAdapter

MARKER = "export.json"


def export_adapter(
    scored: ScoredAdapter, output: Path, gguf: GgufType | None, baselines: Path, watch: Watch, runs: Path
) -> Parity:  # fmt: skip
    """Merge an adapter into a model folder, or a GGUF file of the type `gguf`, and compare it with the evaluated model.

    `output` must not exist, or be an export to replace. It is written only if it matches the
    evaluated model, a GGUF file with a Modelfile. `runs` gets the record of the exported model's
    outputs.

    Raises:
        Refused: the output exists and is not an export.
        CouldNotRun: the model does not fit in memory, or a program for the file is missing or fails.
    """
    tools = find_tools(gguf) if gguf else None
    _check_output(output, gguf)
    with working_folder(output, "exporting") as work:
        folder = work / output.stem
        folder.mkdir()
        with watch(f"Merging {scored.adapter.name} into {scored.base.model.name}"):
            merge_adapter(scored.base, scored.adapter, folder)
        scored.base.forget()
        made = make_gguf(tools, folder, work / output.name, watch) if tools else folder
        # merging, converting and quantising round weights, so every case is evaluated again on the result
        done = compare_served(scored, str(made), _means(scored, gguf), baselines, watch, runs)
        if done.is_shown:
            if gguf:
                write_atomically(work / _modelfile(output).name, modelfile(scored, output, adds_begin(made)))
            _put(made, output, gguf, {
                "schema_version": 1, "adapter": adapter_digest(scored.adapter), "weights": done.digest,
                "verdicts": {unit: each.verdict for unit, each in done.record.verdicts.items()},
                **({"gguf": gguf} if gguf else {}),
            })  # fmt: skip
    return done


def merge_adapter(base: Base, adapter: Path, folder: Path) -> None:
    """Write the base with the adapter merged into it, float32, as a standard model folder."""
    try:
        base.merged(adapter).save_pretrained(folder)
    except (RuntimeError, ValueError, MemoryError, OSError) as error:
        raise CouldNotRun(f"{show_path(adapter)}: merging failed: {error}") from error
    source = adapter if is_whole_model(adapter) else base.folder
    for name in (*files_beside(source), GENERATION):  # merging writes the others
        if (source / name).is_file() and not name.startswith(MORE_TEMPLATES):
            shutil.copy(source / name, folder / name)
    (folder / TEMPLATE).write_text(base.tokenizer.get_chat_template(), "utf-8", newline="\n")


def adds_begin(file: Path) -> bool:
    """Whether llama.cpp begins a text with this GGUF file's first token by itself."""
    fields = need("gguf").GGUFReader(file).fields
    said = fields.get("tokenizer.ggml.add_bos_token")
    if said is not None:
        return bool(said.contents())
    return str(fields["tokenizer.ggml.model"].contents()) == "llama"  # its default, by the kind of tokenizer


def _means(scored: ScoredAdapter, gguf: GgufType | None) -> ModelOptions:
    """The device, if it is here, and the dtype of the evaluation for a merged folder; llama.cpp has its own."""
    engine = {} if gguf else scored.record.fingerprint["engine"]
    device = engine.get("device", AUTO)  # a vLLM may use a name that torch does not, such as rocm
    return ModelOptions(device if has_device(device) else AUTO, engine.get("dtype", AUTO))


def _marker(output: Path, gguf: GgufType | None) -> Path:
    return output.with_name(f"{output.name}.{MARKER}") if gguf else output / MARKER


def _modelfile(output: Path) -> Path:
    """Where the Modelfile of a GGUF file lies."""
    return output.with_name(f"{output.name}.Modelfile")


def _check_output(output: Path, gguf: GgufType | None) -> None:
    if gguf and output.suffix != GGUF:
        raise Refused(f"{show_path(output)}: expected the name of a file that ends in {GGUF}, for --gguf {gguf}")
    empty = not output.exists() or (output.is_dir() and not any(output.iterdir()))
    if (not empty or (gguf and _modelfile(output).exists())) and not _is_export(output, gguf):
        raise Refused(
            f"{show_path(output)}: expected nothing there, or an export to replace, found other files: its "
            f"{_marker(output, gguf).name} is missing, or does not list its files as they are; move it away, or choose "
            "another path"
        )


def _is_export(output: Path, gguf: GgufType | None) -> bool:
    try:
        marker = read_object(_marker(output, gguf), most=MOST_SETTINGS)
    except TunegateError:
        return False
    return is_as_stamped(marker) and marker.get("files") == _digests(output)


def _digests(made: Path) -> dict[str, str]:
    """The digest of each file; empty for other kinds, which no export contains."""
    files = [made, _modelfile(made)]
    paths = [path for path in made.iterdir() if path.name != MARKER] if made.is_dir() else files
    return {path.name: file_digest(path) if path.is_file() else "" for path in paths}


def _put(made: Path, output: Path, gguf: GgufType | None, marker: dict[str, Any]) -> None:
    """Move the result to its place; its marker is written before.

    The old export is moved away first, so that a kill leaves no mixture.
    """
    _check_output(output, gguf)  # again, since merging takes long
    if output.exists():
        os.replace(output, made.with_name(f"{made.name}.replaced"))
    write_json(_marker(output, gguf) if gguf else made / MARKER, stamped(marker | {"files": _digests(made)}))
    if gguf:
        os.replace(_modelfile(made), _modelfile(output))
    os.replace(made, output)
