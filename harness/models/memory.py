"""The memory that a model needs, from the headers of its weights, and how much is free. Does not import torch."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tunegate.harness.core.errors import CouldNotRun, show_path
from tunegate.harness.core.extras import need

FLOAT32 = "float32"
#: As a safetensors file names them. Weights of any other type are computed in float32.
STORED = {"F32": FLOAT32, "BF16": "bfloat16", "F16": "float16"}
BYTES = {"float32": 4, "float16": 2, "bfloat16": 2, "8bit": 1, "4bit": 0.5}  # of a number
NOT_QUANTIZED = ("embed", "lm_head")  # bitsandbytes leaves them as they are
CONTROL_GROUP = Path("/sys/fs/cgroup")  # of a container, whose limit may be below the machine's memory


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A tensor in a file of weights; `dtype` as safetensors names it."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """The number of its values."""
        return math.prod(self.shape)


def stored_tensors(weights: Iterable[Path]) -> Iterator[StoredTensor]:
    """Yield the tensors of safetensors files (CouldNotRun if damaged) from their headers; skip other files."""
    safetensors = need("safetensors")
    for path in (path for path in weights if path.suffix == ".safetensors"):  # their index may be among them
        try:
            with safetensors.safe_open(path, "np") as file:
                for name in file.keys():  # noqa: SIM118  (it is not a mapping)
                    tensor = file.get_slice(name)
                    yield StoredTensor(name, tensor.get_dtype(), tuple(tensor.get_shape()))
        except (OSError, safetensors.SafetensorError) as error:
            raise CouldNotRun(
                f"{show_path(path)}: expected a model that transformers can load, found: {error}"
            ) from error


def stored_dtype(weights: Iterable[Path]) -> str:
    """The type of most weights; float32 if torch does not multiply that type. CouldNotRun if a file is damaged."""
    numbers = Counter[str]()
    for tensor in stored_tensors(weights):
        numbers[tensor.dtype] += tensor.size
    return STORED.get(numbers.most_common(1)[0][0], FLOAT32) if numbers else FLOAT32


def free_memory() -> int:
    """Bytes of memory that this process may still take: of the machine, or of its container if that has less."""
    free = int(need("psutil").virtual_memory().available)
    try:
        most, used, *stat = (
            (CONTROL_GROUP / name).read_text("ascii") for name in ("memory.max", "memory.current", "memory.stat")
        )
        files = int(dict(line.split() for line in stat[0].splitlines())["inactive_file"])
        return min(free, int(most) - int(used) + files)
    except (OSError, ValueError, KeyError):  # no container, or one without a limit ("max")
        return free


def check_memory(
    what: str, parts: Sequence[tuple[float, str]], remedy: str, free: int | None = None, where: str = ""
) -> None:
    """Raise CouldNotRun, with what needs less (`remedy`), if `what` does not fit into the free memory.

    `parts` are bytes and what they hold, `free` the bytes free (by default on this machine) `where`
    the model goes.
    """
    wanted, free = sum(size for size, _ in parts), free_memory() if free is None else free
    if wanted > free:
        holds = ", ".join(f"{gigabytes(size)} {name}" for size, name in parts if size)
        memory = f"free memory on {where}" if where else "free memory"
        raise CouldNotRun(
            f"{what}: expected {gigabytes(wanted)} GB of {memory} ({holds}), found {gigabytes(free)} GB; {remedy}"
        )


def loaded_size(weights: Iterable[Path], dtype: str, bits: str) -> float:
    """Bytes of a model's weights in memory; `bits` of a quantized weight, `8bit` or `4bit`, or none."""
    return sum(
        each.size * BYTES[dtype if bits not in BYTES or any(part in each.name for part in NOT_QUANTIZED) else bits]
        for each in stored_tensors(weights)
    )


def check_loading(
    folder: Path, weights: Sequence[Path], dtype: str, bits: str = "", free: int | None = None, where: str = ""
) -> None:
    """Raise CouldNotRun if a model's weights do not fit into the free memory; see `loaded_size` and `check_memory`."""
    billions = sum(each.size for each in stored_tensors(weights)) / 1e9
    less = "use --dtype bfloat16, which takes half, " if dtype == "float32" and bits not in BYTES else "use "
    kind = bits if bits in BYTES else dtype
    check_memory(
        show_path(folder), [(loaded_size(weights, dtype, bits), f"of weights, {billions:.2f} billion in {kind}")],
        f"{less}a smaller model, or a server (docs/servers.md)", free, where,
    )  # fmt: skip


def gigabytes(size: float) -> str:
    """Bytes as GB, with the digits that tell small ones apart."""
    return f"{size / 1e9:,.1f}" if size >= 1e8 else f"{size / 1e9:,.3f}"
