"""How a model is opened, beside its name; and the name of one that a server answers for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args
from urllib.parse import urlsplit

from tunegate.harness.core.errors import Refused, show_path

RungName = Literal["as-is", "constrained", "few-shot", "few-shot-constrained", "context", "steps"]
RUNGS: tuple[RungName, ...] = get_args(RungName)
AUTO = "auto"
NO_QUANTIZATION = "none"
NO_TEMPLATE = Path("none")  # of --tg-chat-template: plain text
SERVER = "openai:"
VLLM = "vllm:"
REPLAY = "replay:"
NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.+-]{0,62}[A-Za-z0-9_+-])?")  # of outputs; it names a folder
NAME_IS = "letters, digits, _ . + and -, at most 64, with a letter, digit or _ first and no dot last"
IN_FLIGHT = 32  # requests at a time: what a server with continuous batching takes together
DEADLINE = 600  # seconds
WORKERS, WORKER_CPUS, WORKER_GPUS = 2, 1, 0
CACHE_MEGABYTES = 1_000  # of answers that are kept: some hundred thousand


UNSAID = (AUTO, NO_QUANTIZATION, None, 0)
AZURE = (".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com")
DEPLOYMENTS = "/openai/deployments/"  # Azure's own way, under which each model has a name that its user chose
API_VERSION = re.compile(r"api-version=[\w.-]+")


@dataclass(frozen=True, slots=True)
class RayOptions:
    """On how many workers a local model is computed, with what each, and where: at an address, else started here."""

    workers: int = WORKERS
    cpus: int = WORKER_CPUS
    gpus: int = WORKER_GPUS
    address: str | None = None


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """How a model is opened.

    Attributes:
        device: where a local one is computed.
        dtype: in which precision a local one is computed.
        chat_template: a file whose template is taken instead of the model's own.
        tokenizer: the model whose tokenizer makes token ids of the prompts that a server is asked; without it the
            server is asked in chat messages.
        in_flight: requests that a server is asked at a time.
        deadline: seconds within which a server has to answer a request, all tries together.
        reasoning_effort: how much a hosted model is to reason, in its own words; without it, as much as it does.
        reasoning_tokens: what a hosted model may write before its answer, beside `max_new_tokens`.
        requests_per_minute: as many as a server is asked at most; without it, as many as it answers.
        tokens_per_minute: of prompts, and of what answers may take, as many as it is asked for at most.
        attention: by which implementation a local one computes its attention.
        quantization: to how many bits the weights of a local one are rounded when it is loaded.
        ray: where workers on Ray compute a local one; without it this process does.
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

    def given(self, *names: str) -> tuple[str, ...]:
        """Those of `names` that differ from the defaults, as pytest's options."""
        values = {name: getattr(self, name.replace("-", "_")) for name in names}
        said = {name: value for name, value in values.items() if value not in UNSAID}
        texts = {name: show_path(value) if isinstance(value, Path) else value for name, value in said.items()}
        return tuple(f"--tg-{name}={value}" for name, value in texts.items())


def template_from(folder: Path, given: str | Path) -> Path:
    """The file of a chat template, from a folder; or that there is to be none."""
    return NO_TEMPLATE if Path(given) == NO_TEMPLATE else folder / given


def is_server(model: str) -> bool:
    """Whether a server answers for the model of this name."""
    return model.startswith(SERVER)


def is_vllm(model: str) -> bool:
    """Whether a vLLM that the run starts answers for the model of this name."""
    return model.startswith(VLLM)


def vllm_model(model: str) -> str:
    """The model in `vllm:MODEL`: a folder, a Hub id, or the embedded one.

    Raises:
        Refused: nothing is named.
    """
    if not (name := model.removeprefix(VLLM)):
        raise Refused(f"--tg-model {VLLM}MODEL: expected a folder, a Hub id or smollm2, found nothing")
    return name


def split_server(model: str) -> tuple[str, str]:
    """The address and the model's name in `openai:URL#MODEL`; the address without a slash at the end of its path.

    Raises:
        Refused: it is no such name, or the address holds what is secret, or goes somewhere else each time.
    """
    url, _, name = model.removeprefix(SERVER).partition("#")
    try:
        parts = urlsplit(url)
        found = parts.scheme in ("http", "https") and bool(parts.hostname and name.strip()) and parts.port != 0
    except ValueError:  # half of an IPv6 address, or a port that is none
        found = False
    if not found or not name.isprintable():
        raise Refused(f"--tg-model {SERVER}URL#MODEL: expected such as {SERVER}http://localhost:8000/v1#my-model")
    versioned = not parts.query or API_VERSION.fullmatch(parts.query)
    if parts.username is not None or parts.password is not None or not versioned:
        # it is a name, which stands in records and messages
        raise Refused(
            f"--tg-model {SERVER}URL#MODEL: expected an address without a user, a password and a query other than "
            "api-version, found one; a key is read from the environment (docs/servers.md)"
        )
    base, mark, query = url.partition("?")
    return f"{base.rstrip('/')}{mark}{query}", name


def is_azure(url: str) -> bool:
    """Whether an address is of Azure: its key has a header of its own, and a model the name of its deployment."""
    parts = urlsplit(url)
    return str(parts.hostname).endswith(AZURE) or DEPLOYMENTS in parts.path or bool(API_VERSION.fullmatch(parts.query))


def split_replay(model: str) -> tuple[str, Path]:
    """The name and the file of `replay:NAME=FILE`; the name is empty in `replay:FILE`, whose file may hold a `=`."""
    given = model.removeprefix(REPLAY)
    name, _, path = given.partition("=")
    return (name, Path(path)) if path and NAME.fullmatch(name) else ("", Path(given))
