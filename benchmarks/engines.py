"""The same requests of the demo through several engines: seconds, tokens a second, and how many outputs are the same.

    python benchmarks/engines.py                                    # 24 cases of each of four units; writes engines.md
    python benchmarks/engines.py --cases 4                          # minutes
    python benchmarks/engines.py --vllm --adapter adapters/triage --gguf F16=model.gguf --lm-eval PYTHON
    python benchmarks/engines.py --model ./model-of-8B --device cuda --vllm --out DIR    # another model, on a GPU

Exit code 1 if an output in float32 is another one than in batches that are kept until their longest answer is finished,
or if vLLM answers with an adapter as without it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

sys.path.insert(0, str(Path(__file__).parent.parent))  # where `benchmarks` is, also for a script

from benchmarks.frame import RESULTS, ROOT, carry_out
from benchmarks.gate_markdown import table
from tunegate.harness.cases.loader import find_unit, load_tasks
from tunegate.harness.core.progress import Watch, quiet
from tunegate.harness.diagnosis.ladder import sample
from tunegate.harness.models.api import Model, Request
from tunegate.harness.models.local.batching import TOKEN_BUDGET
from tunegate.harness.models.local.huggingface import Local
from tunegate.harness.models.model_options import ModelOptions
from tunegate.harness.models.prompts import requests
from tunegate.harness.models.served.llama_cpp import serving_gguf
from tunegate.harness.models.served.server import Server
from tunegate.harness.models.served.vllm import Vllm
from tunegate.harness.models.tokenizer import render_prompt

UNITS = ("support/triage", "support/orders", "support/replies", "support/wording")
FIXED = "batches kept to their end, float32"
LIBRARIES = ("tunegate", "torch", "transformers")
PASS = (4, 512)  # rows and tokens of the pass that shows what the machine can do
SLOTS, ROOM = 32, 1024  # of llama.cpp: answers at a time, and the tokens of one with its prompt
PRECISIONS = ("float32", "bfloat16")
LM_EVAL = Path(__file__).with_name("engines_lm_eval.py")


@dataclass(frozen=True)
class Timed:
    """What one engine made of all requests."""

    engine: str
    seconds: float
    tokens: int
    outputs: Mapping[str, str | None]


@dataclass(frozen=True)
class Found:
    """All engines, and the tokens a second that one long pass reads in float32: what products of matrices allow.

    `adapters` are pairs of the same adapter's answers, of this process and of vLLM, all on one server.
    """

    ceiling: float
    timed: list[Timed] = field(default_factory=list)
    adapters: list[tuple[Timed, Timed]] = field(default_factory=list)


@dataclass(frozen=True)
class Asked:
    """The model and where it is computed; and what is asked beside Tunegate's own engine.

    Whether vLLM is, with which adapters; GGUF files by name; a Python that has lm-eval.
    """

    model: str = "smollm2"
    device: str = "auto"
    vllm: bool = False
    adapters: Sequence[Path] = ()
    gguf: Mapping[str, str] = field(default_factory=dict)
    lm_eval: Path | None = None

    def local(self, dtype: str, adapter: Path | None = None) -> Local:
        """The model in this process."""
        return Local(self.model, quiet(), adapter, options=ModelOptions(device=self.device, dtype=dtype))

    def by_vllm(self, dtype: str) -> Vllm:
        """The model by vLLM."""
        return Vllm(self.model, quiet(), options=ModelOptions(dtype=dtype))


def kept_to_their_end(local: Local, asked: Sequence[Request]) -> Iterator[tuple[str, str, int]]:
    """Answers by the library, in batches of one decoding, longest first: key, output and tokens."""
    import torch

    tokenizer, model = local.tokenizer, local.base.with_adapter(None)
    rows = {each: tokenizer(render_prompt(tokenizer, each), add_special_tokens=False).input_ids for each in asked}
    waiting = sorted(asked, key=lambda each: (str(each.decoding), str(each.messages[:-1]), -len(rows[each])))
    while waiting:
        first = waiting[0]
        most = max(1, TOKEN_BUDGET // (len(rows[first]) + first.decoding.max_new_tokens))
        alike = [
            each for each in waiting if (each.decoding, each.messages[:-1]) == (first.decoding, first.messages[:-1])
        ]
        batch, waiting = alike[:most], [each for each in waiting if each not in alike[:most]]
        inputs = tokenizer.pad({"input_ids": [rows[each] for each in batch]}, return_tensors="pt").to(model.device)
        with torch.inference_mode():
            found = model.generate(**inputs, max_new_tokens=first.decoding.max_new_tokens, do_sample=False)
        for each, answer in zip(batch, found[:, inputs["input_ids"].shape[1] :].tolist(), strict=True):
            ends = [place + 1 for place, token in enumerate(answer) if token in model.generation_config.eos_token_id]
            answer = answer[: min(ends, default=len(answer))]
            yield each.key, tokenizer.decode(answer, skip_special_tokens=True), len(rows[each]) + len(answer)


def timed(engine: str, answers: Iterator[tuple[str, str | None, int]]) -> Timed:
    """Exhaust the answers."""
    start = time.perf_counter()
    found = list(answers)
    seconds = time.perf_counter() - start
    return Timed(engine, seconds, sum(tokens for _, _, tokens in found), {key: output for key, output, _ in found})


def answers(model: Model, asked: Sequence[Request]) -> Iterator[tuple[str, str | None, int]]:
    """Those of a model: key, output and tokens."""
    for each in model.answer(asked):
        yield each.key, each.output, (each.tokens_in or 0) + (each.tokens_out or 0)


def reading_speed(model: Any) -> float:
    """Tokens a second of the best of three passes that read and write nothing."""
    import torch

    ids = torch.randint(100, 10_000, PASS, device=model.device)
    best = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        with torch.inference_mode():
            model(input_ids=ids, use_cache=False, logits_to_keep=1).logits.cpu()  # an accelerator is waited for
        best = min(best, time.perf_counter() - start)
    return ids.numel() / best


def measure(cases: int, named: Asked, watch: Watch) -> Found:
    """Ask every engine the same, after a warm start of each."""
    tasks = load_tasks(ROOT / "fixtures")
    asked = list(requests([sample(find_unit(tasks, key), cases) for key in UNITS]))
    local = named.local("float32")
    plain = local.base.with_adapter(None)
    found = Found(reading_speed(plain))
    list(kept_to_their_end(local, asked[:2]))
    with watch("Engines", 3 + 2 * named.vllm + len(named.gguf) + bool(named.lm_eval)) as done:
        for each in engines(local, asked, named):
            found.timed.append(each)
            done(1)
    if named.vllm:
        found.adapters.extend(with_adapters(asked, named))
    return found


def engines(local: Local, asked: Sequence[Request], named: Asked) -> Iterator[Timed]:
    """Each engine's answers, the fixed batches first."""
    yield timed(FIXED, kept_to_their_end(local, asked))
    for dtype in PRECISIONS:
        yield warm(f"Tunegate, {dtype}", named.local(dtype), asked)
    for dtype in PRECISIONS if named.vllm else ():
        vllm = named.by_vllm(dtype)
        yield warm(f"vLLM, {dtype}", vllm, asked)
        vllm.base.stop()
    for name, file in named.gguf.items():
        with serving_gguf(Path(file), ROOM, quiet(), SLOTS) as address:
            yield warm(f"llama.cpp, {name}", Server(address, quiet(), ModelOptions(tokenizer=named.model)), asked)
    if named.lm_eval:
        yield by_lm_eval(named.lm_eval, local, asked)


def warm(engine: str, model: Model, asked: Sequence[Request]) -> Timed:
    """Its answers, after two that are not timed."""
    list(model.answer(asked[:2]))
    return timed(engine, answers(model, asked))


def with_adapters(asked: Sequence[Request], named: Asked) -> Iterator[tuple[Timed, Timed]]:
    """Each adapter's answers in this process and by one vLLM server that has all of them, both in float32."""
    alone = [warm(f"{each.name}, Tunegate", named.local("float32", each), asked) for each in named.adapters]
    first = named.by_vllm("float32")
    served = [Vllm(named.model, quiet(), each, base=first.base) for each in named.adapters]
    for ours, adapter, model in zip(alone, named.adapters, served, strict=True):
        yield ours, warm(f"{adapter.name}, vLLM", model, asked)
    first.base.stop()


def by_lm_eval(python: Path, local: Local, asked: Sequence[Request]) -> Timed:
    """Those of lm-evaluation-harness, in an environment of its own; the seconds are those of answering alone."""
    rows = [
        {"key": each.key, "prompt": render_prompt(local.tokenizer, each), "new": each.decoding.max_new_tokens}
        for each in asked
    ]
    with tempfile.TemporaryDirectory() as folder:
        given, found = Path(folder, "asked.json"), Path(folder, "found.json")
        given.write_text(json.dumps(rows), "utf-8")
        subprocess.run([python, LM_EVAL, given, found, local.base.folder], check=True, stdout=subprocess.DEVNULL)
        told = json.loads(found.read_text("utf-8"))
    outputs = told["outputs"]
    texts = [row["prompt"] + outputs[row["key"]] for row in rows]
    tokens = sum(len(ids) for ids in local.tokenizer(texts, add_special_tokens=False).input_ids)
    return Timed("lm-evaluation-harness, float32", told["seconds"], tokens, outputs)


def same(one: Timed, other: Timed) -> int:
    """How many outputs are the same."""
    return sum(one.outputs[key] == other.outputs.get(key) for key in one.outputs)


def broken(found: Found) -> Iterator[str]:
    """An output that changed with the batches."""
    first, ours = found.timed[:2]
    if same(first, ours) < len(first.outputs):
        yield f"{len(first.outputs) - same(first, ours)} outputs in float32 are others"
    for _, served in found.adapters:
        if same(first, served) == len(first.outputs):
            yield f"{served.engine} answers as without it"


def report(found: Found, model: str, made: str) -> str:
    """The report in Markdown."""
    first = found.timed[0]
    rows = [
        [
            each.engine, f"{each.seconds:.1f}", f"{first.seconds / each.seconds:.2f}",
            f"{each.tokens / each.seconds:.0f}", f"{100 * each.tokens / each.seconds / found.ceiling:.0f} %",
            f"{same(first, each)} of {len(first.outputs)}",
        ]
        for each in found.timed
    ]  # fmt: skip
    ours = found.timed[1]
    pairs = [
        [served.engine.partition(",")[0], *(f"{same(each, served)} of {len(each.outputs)}" for each in (first, alone))]
        for alone, served in found.adapters
    ]
    adapters = [
        "## Adapters on one vLLM server",
        "In float32; *as the base*: outputs that are those without an adapter; *the same in both*: here and by vLLM.",
        table(["adapter", "as the base", "the same in both"], pairs),
    ] if pairs else []  # fmt: skip
    return "\n\n".join([
        "# Engines",
        f"- In float32 Tunegate answers {len(first.outputs)} requests {first.seconds / ours.seconds:.2f} times as fast "
        f"as batches that are kept until their longest answer is finished; {same(first, ours)} outputs are the same.",
        f"{len(first.outputs)} requests of {', '.join(UNITS)}, {first.tokens} tokens, asked of {model} without an "
        f"adapter. *Of what can be read*: beside one pass over {PASS[0]} rows of {PASS[1]} tokens in "
        f"float32, {found.ceiling:.0f} tokens a second, which is what the machine's products of matrices allow.",
        table(["engine", "s", "times as fast", "tokens a second", "of what can be read", "same outputs"], rows),
        *adapters,
        made,
    ]) + "\n"  # fmt: skip


def main(
    model: Annotated[str, typer.Option("--model", help="smollm2 (embedded), a folder or a Hub id.")] = "smollm2",
    device: Annotated[str, typer.Option("--device", help="Where it is computed: auto, cpu, cuda, mps.")] = "auto",
    cases: Annotated[int, typer.Option("--cases", help="Cases of a unit.", min=2)] = 24,
    vllm: Annotated[bool, typer.Option("--vllm", help="Ask vLLM too: that of TUNEGATE_VLLM_PYTHON.")] = False,
    adapter: Annotated[list[Path] | None, typer.Option("--adapter", help="Ask it, here and by vLLM.")] = None,
    gguf: Annotated[list[str] | None, typer.Option("--gguf", help="Ask llama.cpp too.", metavar="NAME=FILE")] = None,
    lm_eval: Annotated[Path | None, typer.Option("--lm-eval", help="A Python that has it.", metavar="PYTHON")] = None,
    out: Annotated[Path, typer.Option("--out", help="Where engines.md goes.", metavar="DIR")] = RESULTS,
) -> None:
    """Ask a model through each engine, write engines.md, and fail if float32 answers otherwise."""
    files = dict(each.partition("=")[::2] for each in gguf or ())
    named = Asked(model, device, vllm, adapter or (), files, lm_eval)
    more = [f"--adapter {each.name}" for each in adapter or ()] + [f"--gguf {name}=FILE" for name in files]
    more = ["--vllm"] * vllm + more + ["--lm-eval PYTHON"] * bool(lm_eval)
    command = " ".join([f"python benchmarks/engines.py --model {model} --device {device} --cases", str(cases), *more])
    carry_out(
        out / "engines.md", command, LIBRARIES, lambda watch: measure(cases, named, watch),
        lambda found, made: report(found, model, made), broken,
    )  # fmt: skip


if __name__ == "__main__":
    typer.run(main)
