"""What is served, by its name: a model folder, a GGUF file, a server, or a vLLM that is started for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tunegate.harness.core.errors import CouldNotRun, Refused, show_path
from tunegate.harness.core.files import file_digest
from tunegate.harness.core.progress import Watch
from tunegate.harness.models.local.huggingface import Base, Local
from tunegate.harness.models.model_options import ModelOptions, is_server, is_vllm, vllm_model
from tunegate.harness.models.resolve import identify, resolve
from tunegate.harness.models.served.llama_cpp import GGUF, serving_gguf
from tunegate.harness.models.served.server import Server
from tunegate.harness.models.served.vllm import Vllm, VllmBase
from tunegate.harness.parity.scored_adapter import ScoredAdapter

FOLDER, GGUF_FILE, OVER_NETWORK, ON_VLLM = "folder", "gguf", "server", "vllm"
SPARE = 64  # tokens that a server may add to a prompt, which is then told
ServedModel = Local | Server | Vllm


@dataclass(frozen=True, slots=True)
class Served:
    """What is served: its name as it is told, its kind, and the digest of its weights where they are seen.

    `files` are those whose weights are compared: none of a server, nor where a vLLM serves the adapter itself.
    """

    name: str
    kind: str
    digest: str | None = None
    files: Path | None = None


def find_served(artefact: str, base: Base, options: ModelOptions, watch: Watch) -> Served:
    """What an artefact is, from its name.

    Args:
        artefact: a merged model folder, a GGUF file, `openai:URL#MODEL`, or `vllm:` with the adapter's base, on which
            it is served then, or with a merged folder.
        base: the adapter's.
        options: how it is opened.
        watch: shows what is made ready.

    Raises:
        CouldNotRun: it is none of them.
        Refused: a tokenizer is named for what has its own.
    """
    found = _find(artefact, base, watch)
    if options.tokenizer and found.kind in (FOLDER, ON_VLLM):
        raise Refused(
            f"--tokenizer {options.tokenizer}: expected a server or a GGUF file, which is asked in its token ids then; "
            f"found {artefact}, which is read by its own: leave it out"
        )
    return found


def _find(artefact: str, base: Base, watch: Watch) -> Served:
    if is_server(artefact):
        return Served(artefact, OVER_NETWORK)
    if is_vllm(artefact):
        folder = resolve(vllm_model(artefact), watch)
        digest = identify(folder.name, folder).base
        return Served(artefact, ON_VLLM, digest, None if digest == base.model.base else folder)
    path = Path(artefact)
    if path.suffix == GGUF and path.is_file():
        return Served(show_path(path), GGUF_FILE, file_digest(path), path)
    if (path / "config.json").is_file():
        return Served(show_path(path), FOLDER, identify(path.name, path).base, path)
    raise CouldNotRun(
        f"{artefact}: expected what is served: a merged model folder, a file that ends in {GGUF}, openai:URL#MODEL, or "
        "vllm:MODEL; found none of them"
    )


@contextmanager
def opened(served: Served, scored: ScoredAdapter, options: ModelOptions, watch: Watch) -> Iterator[ServedModel]:
    """What is served, to be asked; what was started for it ends afterwards.

    Raises:
        Refused: it cannot be asked.
        CouldNotRun: it did not start.
    """
    # with the template in its folder, whatever the adapter was judged with: that is what is served
    own = replace(options, chat_template=None)
    if served.kind == FOLDER:
        yield Local(str(served.files), watch, rung=scored.rung, options=own)
    elif served.kind == ON_VLLM:
        as_scored = replace(options, chat_template=scored.base.options.chat_template)
        base = VllmBase(served.name, watch, own if served.files else as_scored)
        try:
            yield Vllm(served.name, watch, None if served.files else scored.adapter, scored.rung, base)
        finally:
            base.stop()
    elif served.files:
        tokens = scored.prompts(scored.base.tokenizer)
        room = max((len(ids) + scored.asked[key].decoding.max_new_tokens for key, ids in tokens.items()), default=0)
        with serving_gguf(served.files, room + SPARE, watch) as name:
            yield Server(name, watch, options, scored.rung)
    else:
        yield Server(served.name, watch, options, scored.rung)
