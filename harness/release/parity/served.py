"""Find and start a served model by its name: a model folder, a GGUF file, a server, or a vLLM of the run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tunegate.harness.core.errors import CouldNotRun, Refused, show_path
from tunegate.harness.core.files import file_digest
from tunegate.harness.core.progress import Watch
from tunegate.harness.models.backends import OPENAI, VLLM, backend_of
from tunegate.harness.models.conversion import GGUF
from tunegate.harness.models.identity import base_digest
from tunegate.harness.models.local.huggingface import Base, Local
from tunegate.harness.models.model_options import ModelOptions
from tunegate.harness.models.resolve import TEMPLATE, resolve
from tunegate.harness.models.served.llama_cpp import serving_gguf
from tunegate.harness.models.served.server import Server
from tunegate.harness.models.served.vllm import Vllm, VllmBase
from tunegate.harness.models.tokenizer import NoTemplate, load_tokenizer
from tunegate.harness.release.parity.scored_adapter import ScoredAdapter

FOLDER, GGUF_FILE, OVER_NETWORK, ON_VLLM = "folder", "gguf", "server", "vllm"
SPARE = 64  # tokens that a server may add to a prompt; the comparison then reports them
ServedModel = Local | Server | Vllm


@dataclass(frozen=True, slots=True)
class Served:
    """A served model: its displayed name, its kind, and the digest of its weights where there are files.

    `files` are the weights to compare: None for a server, and where a vLLM serves the adapter itself.
    """

    name: str
    kind: str
    digest: str | None = None
    files: Path | None = None


def find_served(artefact: str, base: Base, options: ModelOptions, watch: Watch) -> Served:
    """Find an artefact by its name.

    It is a merged model folder, a GGUF file, `openai:URL#MODEL`, or `vllm:` with a merged folder or
    with the adapter's `base`, which then serves the adapter.

    Raises:
        CouldNotRun: the name is none of these.
        Refused: `--tokenizer` is given for an artefact that has its own, or a folder has no chat template.
    """
    found = _find(artefact, base, watch)
    if options.tokenizer and found.kind in (FOLDER, ON_VLLM):
        raise Refused(
            f"--tokenizer {options.tokenizer}: expected a server or a GGUF file, which then receives token ids; "
            f"found {artefact}, which has its own tokenizer: remove the option"
        )
    if found.files and found.kind in (FOLDER, ON_VLLM):
        _check_template(found.files)
    return found


def _check_template(folder: Path) -> None:
    try:
        load_tokenizer(folder)
    except NoTemplate as error:
        raise Refused(
            f"{show_path(folder)}: expected a chat template, found none: servers read it from the folder; copy that of "
            f"the evaluation into it as {TEMPLATE}"
        ) from error


def _find(artefact: str, base: Base, watch: Watch) -> Served:
    backend = backend_of(artefact)
    if backend is OPENAI:
        return Served(artefact, OVER_NETWORK)
    if backend is VLLM:
        folder = resolve(VLLM.weights(artefact), watch)
        digest = base_digest(folder)
        return Served(artefact, ON_VLLM, digest, None if digest == base.model.base else folder)
    path = Path(artefact)
    if path.suffix == GGUF and path.is_file():
        return Served(show_path(path), GGUF_FILE, file_digest(path), path)
    if (path / "config.json").is_file():
        return Served(show_path(path), FOLDER, base_digest(path), path)
    raise CouldNotRun(
        f"{artefact}: expected a merged model folder, a file that ends in {GGUF}, openai:URL#MODEL or vllm:MODEL, "
        "found none of these"
    )


@contextmanager
def opened(served: Served, scored: ScoredAdapter, options: ModelOptions, watch: Watch) -> Iterator[ServedModel]:
    """Load or start the served model; what was started is stopped on exit.

    Raises:
        Refused: it cannot be used.
        CouldNotRun: it did not start.
    """
    # with the template in its folder, not the one of the evaluation: that is what is served
    own = replace(options, chat_template=None, tool_format=None)
    if served.kind == FOLDER:
        yield Local(str(served.files), watch, rung=scored.rung, options=own)
    elif served.kind == ON_VLLM:
        given = scored.base.options
        as_scored = replace(options, chat_template=given.chat_template, tool_format=given.tool_format)
        base = VllmBase(served.name, watch, own if served.files else as_scored)
        try:
            yield Vllm(served.name, watch, None if served.files else scored.adapter, scored.rung, base)
        finally:
            base.stop()
    elif served.files:
        with serving_gguf(served.files, scored.longest + SPARE, watch) as name:
            yield Server(name, watch, options, scored.rung)
    else:
        yield Server(served.name, watch, options, scored.rung)
