"""The served models that `parity.py` compares: the damaged with the causes that are right, and the healthy."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from unittest.mock import patch

import httpx2

from tests.support.converter import install_converter, write_lora
from tests.support.fault_server import Handler, serving
from tests.support.served import change_weights, two_bits, write_template
from tunegate.harness.core.progress import quiet
from tunegate.harness.core.reading import read_object
from tunegate.harness.models.adapters import CONFIG
from tunegate.harness.models.adapters import WEIGHTS as ADAPTER
from tunegate.harness.models.local.huggingface import Base
from tunegate.harness.models.model_options import GgufType
from tunegate.harness.models.resolve import TEMPLATE, resolve
from tunegate.harness.models.served import llama_cpp
from tunegate.harness.models.served.vllm_process import VllmProcess, find_installation
from tunegate.harness.release.export import merge_adapter
from tunegate.harness.release.gguf import find_tools, make_gguf

MODEL, TUNED, EARLIER, HALVED, PERMUTED = "smollm2", "tuned", "earlier", "halved", "permuted"
LAYER = "model.layers.15."
SHORT, ROOM = 128, 1024  # tokens: fewer than a prompt has with its output, and enough
Change = Callable[[Path], object]


class Artefact(NamedTuple):
    """A served model, the causes that are right for it (`one or other`; empty: it is healthy), its number of cases.

    A cause is one of docs/parity.md or, where the command ends with an error, a word of that error.
    """

    name: str
    causes: str = ""
    cases: int = 40


Made = Iterator[tuple[Artefact, str | Path]]  # and how --model names it


def settings(file: str, **values: Any) -> Change:
    """Set values in a JSON file of a folder."""
    return lambda folder: (folder / file).write_text(json.dumps(read_object(folder / file) | values), "utf-8")


def cut_merges(folder: Path) -> None:
    """Leave out the later half of a tokenizer's merges."""
    model = read_object(folder / "tokenizer.json")["model"]
    half = model["merges"][: len(model["merges"]) // 2]
    settings("tokenizer.json", model=model | {"merges": half})(folder)


def cut_template(folder: Path) -> None:
    """Leave out the line break before an output."""
    write_template(folder, "assistant\n' }}", "assistant' }}")


#: Of the merged folder. These causes, and those below, were written before anything was measured; `adapter-scaled` was
#: none of the command's then. Rounding that the gate may hold is no damage, so that the rounded ones are coarse.
FOLDERS: tuple[tuple[Any, ...], ...] = (
    (Artefact("a layer of zeros", "wrong-weights"),
     partial(change_weights, change=lambda name, each: each * 0 if name.startswith(LAYER) else each)),
    (Artefact("2 bits per weight", "quantised"), partial(change_weights, change=two_bits)),
    (Artefact("rope_theta 10,000", "config"),
     settings("config.json", rope_parameters={"rope_theta": 10_000.0, "rope_type": "default"})),
    (Artefact("a sliding window of 32 tokens", "config"),
     settings("config.json", model_type="mistral", architectures=["MistralForCausalLM"], sliding_window=32)),
    (Artefact("embeddings not tied", "config or wrong-weights"), settings("config.json", tie_word_embeddings=False)),
    (Artefact("a context of 1,024 tokens", "config"), settings("config.json", max_position_embeddings=1024)),
    (Artefact("a repetition penalty in generation_config.json", "config or sampling"),
     settings("generation_config.json", repetition_penalty=1.3)),
    (Artefact("no chat template", "template"), lambda folder: (folder / TEMPLATE).unlink()),
    (Artefact("another end-of-turn token", "end-of-turn"), settings("config.json", eos_token_id=0),
     settings("generation_config.json", eos_token_id=0),
     settings("tokenizer_config.json", eos_token="<|endoftext|>")),  # noqa: S106  (a token of text)
    (Artefact("half of the tokenizer's merges", "tokenizer"), cut_merges),
    (Artefact("merged, float32", cases=4),),
    (Artefact("merged, float32", cases=120),),
    (Artefact("merged, bfloat16", cases=12),
     partial(change_weights, change=lambda _, each: each.bfloat16()), settings("config.json", dtype="bfloat16")),
)  # fmt: skip
ADAPTERS = {
    HALVED: Artefact("the adapter at half its alpha", "adapter-scaled or wrong-weights"),
    PERMUTED: Artefact("the rows of lora_B permuted", "another-adapter"),
    EARLIER: Artefact("the earlier adapter", "another-adapter"),
}
FILES: tuple[tuple[Any, ...], ...] = (
    (Artefact("a line break missing in the template", "template"), cut_template),
    (Artefact("rms_norm_eps 1e-6 in the metadata", "config"), settings("config.json", rms_norm_eps=1e-6)),
    *((Artefact("F16", cases=cases),) for cases in (12, 40, 120)),
)
#: Of a llama.cpp server, in Python. Without a temperature among its samplers it has none to take from requests.
SETTINGS = {
    "params.sampling.samplers = 'top_k;top_p'": Artefact("a server that samples", "sampling"),
    "params.antiprompt = [':']": Artefact("a server that stops at a colon", "stop-strings"),
}
OVER_NETWORK = {
    TUNED: Artefact("LoRA, over the network", cases=12),
    MODEL: Artefact("the base, by its name", "adapter-not-applied"),
    EARLIER: Artefact("the earlier LoRA", "other-weights or another-adapter"),
    HALVED: Artefact("LoRA at half its alpha", "other-weights or adapter-scaled"),
}
#: Without a seed: a vLLM on a CPU ends when it samples with one ("CPU Generator does not use offset").
GATEWAYS: tuple[tuple[Artefact, Mapping[str, float | None]], ...] = (
    (Artefact("a gateway that sets temperature 1", "sampling"), {"temperature": 1.0, "seed": None}),
    (Artefact("a gateway that sets a repetition penalty", "sampling or unexplained"), {"repetition_penalty": 1.3}),
)


class Workshop:
    """Makes artefacts of the trained adapters, one at a time; each lasts until the next one."""

    def __init__(self, work: Path) -> None:
        self.work, self.adapters, self.base = work, work / "adapters", resolve(MODEL)
        alpha = read_object(self.adapters / TUNED / CONFIG)["lora_alpha"]
        shutil.rmtree(work / "merged", ignore_errors=True)
        self.tuned = merged(self.adapters / TUNED, work / "merged")
        for name in (HALVED, PERMUTED):
            shutil.rmtree(self.adapters / name, ignore_errors=True)
            shutil.copytree(self.adapters / TUNED, self.adapters / name)
        settings(CONFIG, lora_alpha=alpha // 2)(self.adapters / HALVED)
        change_weights(self.adapters / PERMUTED, lambda name, each: each.flip(0) if "lora_B" in name else each, ADAPTER)

    def folders(self) -> Made:
        """Model folders."""
        for artefact, *changes in FOLDERS:
            with self._folder(*changes) as folder:
                yield artefact, folder
        for adapter, artefact in ADAPTERS.items():
            with self._merged(adapter) as folder:
                yield artefact, folder

    def files(self) -> Made:
        """GGUF files, and servers of llama.cpp."""
        if not (converter := self.work / "converter").exists():
            install_converter(converter)
        os.environ["PATH"] = f"{converter}{os.pathsep}{os.environ['PATH']}"
        with self._file(self.base) as base:
            yield Artefact("the base", "adapter-not-applied"), base
            lora = write_lora(self.adapters / TUNED, self.base, self.work / "lora.gguf")
            half = Artefact("LoRA at half scale, on its base", "other-weights or adapter-scaled")
            for scale, artefact in ((1.0, Artefact("LoRA, on its base")), (0.5, half)):
                given = f"params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo({str(lora)!r}, {scale})]"
                with on_llama_cpp(base, given) as server:
                    yield artefact, server
        with self._merged(EARLIER) as folder, self._file(folder) as file:
            yield ADAPTERS[EARLIER], file
        for artefact, *changes in FILES:
            with self._folder(*changes) as folder, self._file(folder) as file:
                yield artefact, file
        context = settings("config.json", max_position_embeddings=SHORT)  # a server has at least 256 tokens, but for it
        with self._folder(context) as folder, self._file(folder) as file, on_llama_cpp(file, "pass") as server:
            yield Artefact(f"a server with a context of {SHORT} tokens", "context"), server
        with self._file(self.tuned, "Q2_K") as file:
            yield Artefact("Q2_K", "quantised"), file
        with self._file(self.tuned) as file:
            for setting, artefact in SETTINGS.items():
                with on_llama_cpp(file, setting) as server:
                    yield artefact, server

    def servers(self) -> Made:
        """What vLLM serves: started by the command itself, and asked over the network."""
        yield Artefact("LoRA, on its base", cases=4), f"vllm:{MODEL}"
        yield Artefact("merged"), f"vllm:{self.tuned}"
        with self._merged(EARLIER) as folder:
            yield Artefact("the earlier adapter, merged", "another-adapter"), f"vllm:{folder}"
        with self._on_vllm() as address:
            for name, artefact in OVER_NETWORK.items():
                yield artefact, f"openai:{address}/v1#{name}"
            for artefact, changes in GATEWAYS:
                with serving(partial(pass_on, address, changes)) as gateway:
                    yield artefact, f"openai:{gateway.address}/v1#{TUNED}"
        with self._on_vllm(room=SHORT) as address:
            yield Artefact(f"--max-model-len {SHORT}", "context"), f"openai:{address}/v1#{TUNED}"
        with self._folder(cut_template) as folder, self._on_vllm(f"--chat-template={folder / TEMPLATE}") as address:
            yield FILES[0][0], f"openai:{address}/v1#{TUNED}"

    @contextmanager
    def _folder(self, *changes: Change) -> Iterator[Path]:
        """A changed copy of the base with the adapter merged into it."""
        with TemporaryDirectory(dir=self.work) as place:
            shutil.copytree(self.tuned, place, dirs_exist_ok=True)
            for change in changes:
                change(Path(place))
            yield Path(place)

    @contextmanager
    def _merged(self, adapter: str) -> Iterator[Path]:
        with TemporaryDirectory(dir=self.work) as place:
            yield merged(self.adapters / adapter, Path(place) / adapter)

    @contextmanager
    def _file(self, folder: Path, kind: GgufType = "F16") -> Iterator[Path]:
        with TemporaryDirectory(dir=self.work) as place:
            yield make_gguf(find_tools(kind), folder, Path(place) / "model.gguf", quiet())

    @contextmanager
    def _on_vllm(self, *arguments: str, room: int = ROOM) -> Iterator[str]:
        """The address of a vLLM with the base and adapters, by their names."""
        names = [name for name in OVER_NETWORK if name != MODEL]
        command = [
            "--model", str(self.base), "--served-model-name", MODEL, "--dtype", "float32", "--enable-lora",
            "--max-lora-rank", "16", "--max-loras", "1", "--max-cpu-loras", str(len(names)),
            "--max-model-len", str(room), *arguments, "--lora-modules",
            *(f"{name}={self.adapters / name}" for name in names),
        ]  # fmt: skip
        process = VllmProcess(find_installation().python, command, [MODEL, *names], quiet())
        try:
            yield process.url.removesuffix("/v1")
        finally:
            process.stop()


def merged(adapter: Path, folder: Path) -> Path:
    """A new folder of the base with an adapter merged into it."""
    folder.mkdir()
    merge_adapter(Base(MODEL, quiet()), adapter, folder)
    return folder


@contextmanager
def on_llama_cpp(file: Path, setting: str) -> Iterator[str]:
    """A llama.cpp server with a setting of its own, as `--model` names it."""
    program = llama_cpp.PROGRAM.replace("server = ", f"{setting}\nserver = ")
    with patch.object(llama_cpp, "PROGRAM", program), llama_cpp.serving_gguf(file, ROOM, quiet()) as name:
        yield name


def pass_on(address: str, changes: Mapping[str, float | None], handler: Handler, body: Mapping[str, Any]) -> None:
    """A gateway: send a request on to a server, changed where it asks for an output; return its response."""
    more = changes if "max_tokens" in body and not body.get("echo") else {}
    found = httpx2.post(f"{address}{handler.path}", json={**body, **more}, timeout=600, trust_env=False)
    handler.send(found.content, found.status_code)
