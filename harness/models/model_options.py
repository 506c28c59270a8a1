"""Options that decide how a model is opened."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from tunegate.harness.core.errors import Refused, show_path
from tunegate.harness.core.escaping import shown

RungName = Literal["as-is", "constrained", "few-shot", "few-shot-constrained", "context", "steps"]
RUNGS: tuple[RungName, ...] = get_args(RungName)
#: Types of GGUF files that llama.cpp quantises to without data of its own.
GgufType = Literal[
    "F16", "Q8_0", "Q6_K", "Q5_K_M", "Q5_K_S", "Q5_0", "Q4_K_M", "Q4_K_S", "Q4_0", "Q3_K_L", "Q3_K_M", "Q3_K_S", "Q2_K"
]
GGUF_TYPES: tuple[GgufType, ...] = get_args(GgufType)
AUTO = "auto"
CPU = "cpu"
DEVICE = re.compile(r"auto|cpu|mps|cuda(?::(0|[1-9][0-9]?))?")  # with the number of one GPU
DEVICE_IS = "auto, cpu, cuda, cuda:N or mps"
NO_QUANTIZATION = "none"
NO_TEMPLATE = Path("none")  # value of --tg-chat-template for plain text
IN_FLIGHT = 32  # concurrent requests: what a server with continuous batching takes together
DEADLINE = 600  # seconds
STALL = 300  # seconds; a server says nothing until a whole output is written
WORKERS, WORKER_CPUS, WORKER_GPUS = 2, 1, 0
CACHE_MEGABYTES = 1_000  # of cached outputs: some hundred thousand

UNSAID = (AUTO, NO_QUANTIZATION, None, 0)


@dataclass(frozen=True, slots=True)
class RayOptions:
    """The Ray workers of a local model: their number, the CPUs and GPUs of each, and the cluster, if not a new one."""

    workers: int = WORKERS
    cpus: int = WORKER_CPUS
    gpus: int = WORKER_GPUS
    address: str | None = None


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """Options that decide how a model is opened; most are described by their options (harness/models/options/table.py).

    `ray` are the workers of a local model (None: this process), `code` a copy of the file of a
    `python:` model, which runs in its place. Without a `tokenizer`, a server gets chat messages.
    None is no limit, and the default of others.
    """

    device: str = AUTO
    dtype: str = AUTO
    chat_template: Path | None = None
    tokenizer: str | None = None
    in_flight: int = IN_FLIGHT
    deadline: int = DEADLINE
    stall: int = STALL
    reasoning_effort: str | None = None
    reasoning_tokens: int = 0
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    attention: str = AUTO
    quantization: str = NO_QUANTIZATION
    ray: RayOptions | None = None
    code: Path | None = None
    max_model_len: int | None = None
    tool_format: str | None = None

    def __post_init__(self) -> None:
        """Refuse a device that cannot be; whether it is there shows when a model is placed."""
        if not DEVICE.fullmatch(self.device):
            raise Refused(f"--tg-device: expected {DEVICE_IS}, found {shown(self.device)}")
        if self.tool_format and self.chat_template:
            raise Refused("--tg-tool-format: expected it without --tg-chat-template, since it is a chat template, too")

    @property
    def gpu(self) -> int | None:
        """The number of the GPU that is asked for; None: any."""
        found = DEVICE.fullmatch(self.device)
        return int(found[1]) if found and found[1] else None

    def given(self, *names: str) -> tuple[str, ...]:
        """Those of `names` that differ from the defaults, as options of pytest."""
        values = {name: getattr(self, name.replace("-", "_")) for name in names}
        said = {name: value for name, value in values.items() if value not in UNSAID}
        texts = {name: show_path(value) if isinstance(value, Path) else value for name, value in said.items()}
        return tuple(f"--tg-{name}={value}" for name, value in texts.items())


def template_from(folder: Path, given: str | Path) -> Path:
    """The file of a chat template, relative to a folder; or the value for plain text."""
    return NO_TEMPLATE if Path(given) == NO_TEMPLATE else folder / given
