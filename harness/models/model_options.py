"""Options that decide how a model is opened, and the names of models behind a server."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args
from urllib.parse import urlsplit

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
DEVICE = re.compile(r"auto|cpu|mps|cuda(?::(0|[1-9][0-9]?))?")  # with the number of one GPU
DEVICE_IS = "auto, cpu, cuda, cuda:N or mps"
NO_QUANTIZATION = "none"
NO_TEMPLATE = Path("none")  # value of --tg-chat-template for plain text
SERVER = "openai:"
VLLM = "vllm:"
REPLAY = "replay:"
PYTHON = "python:"
NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.+-]{0,62}[A-Za-z0-9_+-])?")  # of outputs; it names a folder
NAME_IS = "letters, digits, _ . + and -, at most 64, with a letter, digit or _ first and no dot last"
IN_FLIGHT = 32  # concurrent requests: what a server with continuous batching takes together
DEADLINE = 600  # seconds
WORKERS, WORKER_CPUS, WORKER_GPUS = 2, 1, 0
CACHE_MEGABYTES = 1_000  # of cached outputs: some hundred thousand


UNSAID = (AUTO, NO_QUANTIZATION, None, 0)
AZURE = (".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com")
DEPLOYMENTS = "/openai/deployments/"  # Azure's own path, under which each model has a name that its user chose
API_VERSION = re.compile(r"api-version=[\w.-]+")


@dataclass(frozen=True, slots=True)
class RayOptions:
    """The Ray workers of a local model: their number, the CPUs and GPUs of each, and the cluster, if not a new one."""

    workers: int = WORKERS
    cpus: int = WORKER_CPUS
    gpus: int = WORKER_GPUS
    address: str | None = None


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """Options that decide how a model is opened; most are described by their options (harness/options/table.py).

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
    reasoning_effort: str | None = None
    reasoning_tokens: int = 0
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    attention: str = AUTO
    quantization: str = NO_QUANTIZATION
    ray: RayOptions | None = None
    code: Path | None = None
    max_model_len: int | None = None

    def __post_init__(self) -> None:
        """Refuse a device that cannot be; whether it is there shows when a model is placed."""
        if not DEVICE.fullmatch(self.device):
            raise Refused(f"--tg-device: expected {DEVICE_IS}, found {shown(self.device)}")

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


def is_server(model: str) -> bool:
    """Whether the model of this name is behind a server."""
    return model.startswith(SERVER)


def is_vllm(model: str) -> bool:
    """Whether the model of this name runs in a vLLM that the run starts."""
    return model.startswith(VLLM)


def is_python(model: str) -> bool:
    """Whether the model of this name is a function of the user's."""
    return model.startswith(PYTHON)


def is_opaque(model: str) -> bool:
    """Whether the weights of this model are not visible here: its outputs may change under the same name."""
    return is_server(model) or is_python(model)


def check_has_weights(model: str) -> None:
    """Refuse a function of the user's where weights are trained, released or compared."""
    if is_python(model):
        raise Refused(
            f"model {shown(model)}: expected a model with weights, found a function, which is evaluated and gated, but "
            "never trained or released; name a folder, a Hub id or smollm2"
        )


def split_python(model: str) -> tuple[str, str]:
    """The source and function of `python:FILE.py:FUNCTION` or `python:MODULE:FUNCTION`; Refused otherwise."""
    source, _, function = model.removeprefix(PYTHON).rpartition(":")
    is_named = is_python_file(source) or all(part.isidentifier() for part in source.split("."))
    if not is_named or not function.isidentifier() or not source.isprintable():
        raise Refused(
            f"--tg-model {PYTHON}FILE.py:FUNCTION: expected a file or an installed module, and a function in it, such "
            f"as {PYTHON}bot.py:reply, found {shown(model)}"
        )
    return source, function


def is_python_file(source: str) -> bool:
    """Whether the source of a `python:` model is a file, not a module."""
    return source.endswith(".py")


def vllm_model(model: str) -> str:
    """The model in `vllm:MODEL`: a folder, a Hub id, or the embedded one; Refused if nothing is named."""
    if not (name := model.removeprefix(VLLM)):
        raise Refused(f"--tg-model {VLLM}MODEL: expected a folder, a Hub id or smollm2, found nothing")
    return name


def split_server(model: str) -> tuple[str, str]:
    """The address, without a slash at the end of its path, and the model's name in `openai:URL#MODEL`.

    Refused if it is not of this form, or the address holds a secret or a query other than api-version.
    """
    url, _, name = model.removeprefix(SERVER).partition("#")
    try:
        parts = urlsplit(url)
        found = parts.scheme in ("http", "https") and bool(parts.hostname and name.strip()) and parts.port != 0
    except ValueError:  # an incomplete IPv6 address, or an invalid port
        found = False
    if not found or not name.isprintable():
        raise Refused(
            f"--tg-model {SERVER}URL#MODEL: expected a name such as {SERVER}http://localhost:8000/v1#my-model"
        )
    versioned = not parts.query or API_VERSION.fullmatch(parts.query)
    if parts.username is not None or parts.password is not None or not versioned:
        # the address is part of the model's name, which appears in records and messages
        raise Refused(
            f"--tg-model {SERVER}URL#MODEL: expected an address without a user, a password and a query other than "
            "api-version, found one; a key is read from the environment (docs/servers.md)"
        )
    base, mark, query = url.partition("?")
    return f"{base.rstrip('/')}{mark}{query}", name


def is_azure(url: str) -> bool:
    """Whether an address is Azure's: its key has a header of its own, and its models are named by deployment."""
    parts = urlsplit(url)
    return str(parts.hostname).endswith(AZURE) or DEPLOYMENTS in parts.path or bool(API_VERSION.fullmatch(parts.query))


def split_replay(model: str) -> tuple[str, Path]:
    """The name and the file of `replay:NAME=FILE`; the name is empty in `replay:FILE`, whose file may hold a `=`."""
    given = model.removeprefix(REPLAY)
    name, _, path = given.partition("=")
    return (name, Path(path)) if path and NAME.fullmatch(name) else ("", Path(given))
