"""A model in vLLM: the weights are local, the server is the user's own, and the run starts and ends it.

All adapters of a run are on one server, each under a name with its digest. Requests go there in token ids, as to any
other server (server.py); the model is identified by digests, as a local model is (huggingface.py).
"""

from __future__ import annotations

import json
import secrets
import shlex
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from tunegate.harness.cases.model import Decoding
from tunegate.harness.checks.base import Can
from tunegate.harness.core.errors import CouldNotRun, Refused, show_path
from tunegate.harness.core.progress import Watch
from tunegate.harness.core.reading import MOST_SETTINGS, read_object
from tunegate.harness.models.adapters import CONFIG, adapter_digest, check_base, copy_as_digested
from tunegate.harness.models.api import Completion, Fingerprint, Opened, Request, fingerprint_names
from tunegate.harness.models.backends import OPENAI, VLLM
from tunegate.harness.models.identity import identify
from tunegate.harness.models.memory import stored_dtype
from tunegate.harness.models.model_options import AUTO, CPU, ModelOptions
from tunegate.harness.models.probe import PROBE
from tunegate.harness.models.prompts import CONSTRAINED
from tunegate.harness.models.resolve import ENDS, loaded_weights, resolve
from tunegate.harness.models.served.dialect import Dialect
from tunegate.harness.models.served.http_client import TRIES, Flaw, HttpClient
from tunegate.harness.models.served.responses import finish_of, tokens_read, tokens_written
from tunegate.harness.models.served.server import Server
from tunegate.harness.models.served.structured_outputs import LLGUIDANCE, fields_of
from tunegate.harness.models.served.vllm_process import ARGUMENTS, VllmProcess, find_installation, further_arguments
from tunegate.harness.models.tokenizer import load_tokenizer
from tunegate.harness.models.tool_format import ToolFormat, format_of
from tunegate.harness.models.tool_replies import read_raw
from tunegate.harness.models.whole_model import is_whole_model

RANK_SIZES = (8, 16, 32, 64, 128, 256, 320, 512)  # those of vLLM's kernels
LONGEST = 8192  # tokens of prompt and output, unless the model's context is shorter or the user sets it
MOST_AT_ONCE = 8  # adapters that the server keeps ready; others wait in the machine's memory
HEAD = "lm_head"
WITH_TOKENS = {"return_token_ids": True}
SET_BY = ("dtype", "chat-template", "tool-format", "max-model-len")
BESIDE, INDEX = {".json", ".jinja", ".model", ".txt", ".tiktoken"}, ".index.json"  # of the files beside the weights


class VllmBase:
    """A model in a folder, and one server for it and for every registered adapter.

    The server starts at the first request, and again after another adapter is registered.
    """

    def __init__(self, name: str, watch: Watch, options: ModelOptions | None = None) -> None:
        self.options = options or ModelOptions()
        self.installation = find_installation()
        self.arguments = further_arguments()
        if self._has_length and self.options.max_model_len:
            raise Refused(f"--tg-max-model-len: expected it once, found --max-model-len in {ARGUMENTS}, too; drop one")
        self.name = VLLM.weights(name)
        self.folder = resolve(self.name, watch)
        self.model = identify(self.name, self.folder, self.options.chat_template, self.options.tool_format)
        self.watch = watch
        self._adapters: dict[str, Path] = {}
        self._process: VllmProcess | None = None
        self._copies: tempfile.TemporaryDirectory[str] | None = None
        self._proven: set[str] = set()
        # unique to this start: another server on its port does not know the name
        self._served = f"tg-{self.model.base[:16]}-{secrets.token_hex(4)}"

    @cached_property
    def engine(self) -> dict[str, str]:
        """What may change a score without a change of model: versions, precision, device, length, user's arguments."""
        found = self.installation
        more = {"arguments": shlex.join(self.arguments)} if self.arguments else {}
        more |= {} if self._has_length else {"max_model_len": str(self._length)}
        return {
            "backend": "vllm", "vllm": found.version, "dtype": self._dtype, "device": found.device,
            "prompt": "token ids", **more,
        }  # fmt: skip

    @cached_property
    def _dtype(self) -> str:
        asked = self.options.dtype  # by default vLLM would halve the precision of float32 weights
        return stored_dtype(loaded_weights(self.folder)) if asked == AUTO else asked

    @property
    def has_adapters(self) -> bool:
        """Whether it serves adapters beside the base."""
        return bool(self._adapters)

    @property
    def _has_length(self) -> bool:
        """Whether the user's arguments set the maximum length."""
        return any(each.startswith("--max-model-len") for each in self.arguments)

    @cached_property
    def _length(self) -> int:
        if self.options.max_model_len:
            return self.options.max_model_len
        config = read_object(self.folder / "config.json", most=MOST_SETTINGS)
        found = config.get("max_position_embeddings") or config.get("text_config", {}).get("max_position_embeddings")
        return min(int(found or LONGEST), LONGEST)

    @cached_property
    def ends(self) -> list[int]:
        """The tokens that end an output, as for a local model: those of the model, and the tokenizer's own."""
        found = None
        for name in ("generation_config.json", "config.json"):
            if found is None and (self.folder / name).is_file():
                found = read_object(self.folder / name, most=MOST_SETTINGS).get(ENDS)
        own = self.tokenizer.eos_token_id
        return sorted({end for end in [*(found if isinstance(found, list) else [found]), own] if end is not None})

    @cached_property
    def tokenizer(self) -> Any:
        """The model's own tokenizer, with the chat template of the options."""
        return load_tokenizer(self.folder, self.options.chat_template, self.options.tool_format)

    @cached_property
    def tool_format(self) -> ToolFormat:
        """How the tokenizer shows tools, and how calls are read."""
        return format_of(self.tokenizer)

    def read(self, request: Request, completion: Completion) -> Completion:
        """A completion, whose raw text, if it has one, is read as a message with calls."""
        return read_raw(completion, request, self.tokenizer, self.tool_format) if completion.raw else completion

    def register(self, adapter: Path, sha: str) -> None:
        """Add an adapter that the server is to serve; Refused if it has another base, or is a whole model."""
        check_base(adapter, self.model, sha)
        if is_whole_model(adapter):
            raise Refused(f"{show_path(adapter)}: expected a LoRA, which vLLM serves beside its base, found a whole "
                          "model; evaluate it without vllm:")  # fmt: skip
        if sha not in self._adapters:
            self.stop()  # it loads adapters when it starts
            self._adapters[sha] = adapter

    def check_texts(self, adapter: Path) -> None:
        """Refuse an adapter for which the server's log-probabilities of given texts are wrong."""
        targets = read_object(adapter / CONFIG, most=MOST_SETTINGS).get("target_modules")
        if self.installation.device != CPU and HEAD in str(targets):
            raise Refused(
                f"{show_path(adapter / CONFIG)}: target_modules: {HEAD} is trained, which vLLM leaves out of the "
                "log-probabilities of given texts on an accelerator (vllm-project/vllm#51594); leave such units out, "
                "or evaluate it without vllm:"
            )

    def client(self, sha: str | None) -> Server:
        """The client for the base, or for the adapter with a digest, which is proven to act first.

        Raises CouldNotRun if the server did not start, or ended, Refused if it serves another model
        or ignores the adapter.
        """
        if self._process is None or self._process.has_ended:
            self._start()
        if sha and sha not in self._proven:
            self._prove_acting(sha)
        return self._client(_served_as(sha) if sha else self._served)

    def why(self, error: CouldNotRun) -> CouldNotRun:
        """The error of a request, with the server's log if it ended meanwhile."""
        if self._process is None or not self._process.has_ended:
            return error
        return CouldNotRun(f"vLLM ended during a request ({error}); {self._process.last_words()}")

    def stop(self) -> None:
        """End the server, if it runs."""
        if self._process:
            self._process.stop()
        if self._copies:
            self._copies.cleanup()
        self._process = self._copies = None
        self._proven.clear()

    def _client(self, name: str) -> Server:
        url = self._process.url if self._process else "http://127.0.0.1/v1"
        return _Client(f"{OPENAI.prefix}{url}#{name}", self)

    def _start(self) -> None:
        self.stop()
        self._copies = tempfile.TemporaryDirectory(prefix="tunegate-")
        folder, modules = Path(self._copies.name), []
        for sha, adapter in self._adapters.items():
            copy_as_digested(adapter, folder / sha, sha)
            modules.append(f"{_served_as(sha)}={folder / sha}")
        served = [self._served, *map(_served_as, self._adapters)]
        command = self._command(self._digested(folder / "model"), modules)
        self._process = VllmProcess(self.installation.python, command, served, self.watch)

    def _digested(self, into: Path) -> Path:
        """A folder with only the digested weights: vLLM loads every weights file that it finds."""
        into.mkdir()
        others = [path for path in self.folder.iterdir() if path.suffix in BESIDE and not path.name.endswith(INDEX)]
        for path in dict.fromkeys([*loaded_weights(self.folder), *others]):
            (into / path.name).symlink_to(path.resolve())
        return into

    def _command(self, folder: Path, modules: Sequence[str]) -> list[str]:
        lora = []
        if modules:
            count = str(min(len(modules), MOST_AT_ONCE))
            rank = str(max(_rank(adapter) for adapter in self._adapters.values()))
            lora = ["--enable-lora", "--max-loras", count, "--max-cpu-loras", str(len(modules))]
            lora += ["--max-lora-rank", rank, "--lora-modules", *modules]
        length = [] if self._has_length else ["--max-model-len", str(self._length)]
        return [
            *self.arguments, "--model", str(folder), "--served-model-name", self._served, "--dtype", self._dtype,
            *length, "--load-format", "safetensors", "--config-format", "hf", "--generation-config", "vllm",
            "--disable-uvicorn-access-log", "--structured-outputs-config", json.dumps({"backend": "guidance"}), *lora,
        ]  # fmt: skip

    def _prove_acting(self, sha: str) -> None:
        """Refuse an adapter that does not change the server's log-probabilities: it is missing or not used."""
        base, again, tuned = (self._probed(name) for name in (self._served, self._served, _served_as(sha)))
        # on an accelerator the order of sums varies, so the base may differ from itself
        if _apart(base, tuned) <= _apart(base, again):
            raise Refused(
                f"adapter {show_path(self._adapters[sha])}: not acting: behind vLLM the log-probabilities of a probe "
                "are the base's; the server ignores it, or its weights are all zero"
            )
        self._proven.add(sha)

    def _probed(self, name: str) -> tuple[float, ...]:
        request = Request("the probe", (), Decoding(max_new_tokens=1), texts=(PROBE,))
        [found] = self._client(name).complete([request])
        return found.logprobs[0]


class _Client(Server):
    """A client of the run's own server: its dialect is known, and it gets no key; an empty output is the model's."""

    lack: Flaw = staticmethod(lambda _: "")

    def __init__(self, name: str, base: VllmBase) -> None:
        # the folder's tokenizer, since prompts are sent in token ids
        options = replace(base.options, tokenizer=str(base.folder), device=AUTO, dtype=AUTO)
        super().__init__(name, base.watch, options)
        self._base = base

    @cached_property
    def tokenizer(self) -> Any:
        return self._base.tokenizer

    @property
    def _dialect(self) -> Dialect:
        return Dialect()

    async def _generate(self, dialect: Dialect, way: str, client: HttpClient, request: Request) -> Completion:
        """With tools, the tokens of an output are read here: the server's own parser takes no part."""
        if not request.tools:
            return await super()._generate(dialect, way, client, request)
        found = await self._asked(client, request, dialect, {**fields_of(request, way), **WITH_TOKENS})
        [choice], usage = found["choices"], found.get("usage") or {}
        finish, ids = finish_of(choice, with_tools=False), choice.get("token_ids")
        if not finish or not isinstance(ids, list) or not ids or not all(type(each) is int for each in ids):
            raise CouldNotRun(f"{request.key}: expected the tokens of an output (token_ids), found none from vLLM")
        completion = Completion(
            key=request.key, output=None, tokens_in=tokens_read(usage), tokens_out=tokens_written(usage),
            finish=finish, repeat=request.repeat, raw=self.tokenizer.decode(ids),
        )  # fmt: skip
        return self._base.read(request, completion)

    def _settings(self, request: Request) -> dict[str, Any]:
        return {**super()._settings(request), "stop_token_ids": self._base.ends}

    @property
    def _way(self) -> str:
        return LLGUIDANCE

    @property
    def _texts_in_flight(self) -> int:
        # with a LoRA, vLLM counts requests where it should count tokens (vllm-project/vllm#16668): on a CPU two
        # requests in one step crash it; one at a time is safe
        is_beside_lora = self._base.has_adapters and self._base.installation.device == CPU
        return 1 if is_beside_lora else self._base.options.in_flight

    def _client(self, tries: int = TRIES) -> HttpClient:
        return HttpClient(self.url, self._base.options, with_key=False, tries=tries)


class Vllm(Opened):
    """A base model in vLLM, with at most one adapter. Several may share a `base`, and with it one server."""

    can: frozenset[Can] = frozenset({"generate", "loglik", "tools"})

    def __init__(
        self,
        name: str,
        watch: Watch,
        adapter: Path | None = None,
        rung: str = "as-is",
        base: VllmBase | None = None,
        options: ModelOptions | None = None,
    ) -> None:
        self._digest = adapter_digest(adapter) if adapter else None
        self._adapter, self._rung = adapter, rung
        self.base = base or VllmBase(name, watch, options)
        if adapter and self._digest:
            self.base.register(adapter, self._digest)

    @property
    def folder(self) -> Path:
        """The folder of the base."""
        return self.base.folder

    def stop(self) -> None:
        """End the server."""
        self.base.stop()

    @property
    def tokenizer(self) -> Any:
        """The tokenizer of prompts and outputs."""
        return self.base.tokenizer

    @cached_property
    def fingerprint(self) -> Fingerprint:
        """The subject is the same as for a local model with the same files; the engine is vLLM's."""
        subject = self.base.model.subject(self._digest, self._rung)
        names = fingerprint_names(f"{VLLM.prefix}{self.base.name}", self._adapter, self.base.options.given(*SET_BY))
        more = {"constraint": LLGUIDANCE} if self._rung in CONSTRAINED else {}
        return Fingerprint(subject, self.base.engine | more, names)

    def read(self, request: Request, completion: Completion) -> Completion:
        """See `VllmBase.read`."""
        return self.base.read(request, completion)

    def complete(self, requests: Sequence[Request]) -> Iterator[Completion]:
        """Yield completions as the server responds, many at a time; raises what `client` does.

        Refused if there are tools, which the tokenizer does not show.
        """
        if any(request.tools for request in requests):
            _ = self.base.tool_format  # before the server starts
        if self._adapter and any(request.texts for request in requests):
            self.base.check_texts(self._adapter)
        try:
            yield from self.base.client(self._digest).complete(requests)
        except Refused:
            raise
        except CouldNotRun as error:
            raise self.base.why(error) from error


def _apart(one: Sequence[float], other: Sequence[float]) -> float:
    """The largest difference between two lists of log-probabilities, in nats."""
    return max(abs(a - b) for a, b in zip(one, other, strict=True))


def _served_as(sha: str) -> str:
    return f"tg-{sha}"


def _rank(adapter: Path) -> int:
    """The smallest of vLLM's ranks that fits an adapter."""
    config = read_object(adapter / CONFIG, most=MOST_SETTINGS)
    if config.get("use_dora"):
        raise Refused(
            f"{show_path(adapter / CONFIG)}: use_dora: expected a LoRA, which vLLM serves beside its base, found DoRA, "
            "which it does not: evaluate it without vllm:, and serve what tunegate export merges"
        )
    named = [config.get("r"), *dict(config.get("rank_pattern") or {}).values()]
    with suppress(TypeError):
        if found := next((rank for rank in RANK_SIZES if rank >= max(named)), None):
            return found
    where = show_path(adapter / CONFIG)
    raise Refused(f"{where}: r: expected a rank up to {RANK_SIZES[-1]}, which vLLM serves, found {named}")
