"""The same requests of the demo through several engines: seconds, tokens a second, and how many outputs are the same.

    python benchmarks/engines.py                                    # 24 cases of each of four units; writes engines.md
    python benchmarks/engines.py --cases 4                          # minutes
    python benchmarks/engines.py --server vLLM=openai:http://localhost:8000/v1#smollm2    # beside a server that runs

Exit code 1 if an output in float32 is another one than in batches that are kept until their longest answer is finished.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

sys.path.insert(0, str(Path(__file__).parent.parent))  # where `benchmarks` is, also for a script

from benchmarks.frame import RESULTS, ROOT, carry_out
from benchmarks.gate_markdown import table
from tunegate.harness.core.progress import Watch, quiet
from tunegate.harness.diagnosis.ladder import sample
from tunegate.harness.fixtures.loader import find_unit, load_tasks
from tunegate.harness.models.api import Model, Request
from tunegate.harness.models.batching import TOKEN_BUDGET
from tunegate.harness.models.huggingface import Local
from tunegate.harness.models.model_options import ModelOptions
from tunegate.harness.models.prompts import requests
from tunegate.harness.models.server import Server
from tunegate.harness.models.tokenizer import render_prompt

UNITS = ("support/triage", "support/orders", "support/replies", "support/wording")
MODEL, FIXED = "smollm2", "batches kept to their end, float32"
LIBRARIES = ("tunegate", "torch", "transformers")
PASS = (4, 512)  # rows and tokens of the pass that shows what the machine can do


@dataclass(frozen=True)
class Timed:
    """What one engine made of all requests."""

    engine: str
    seconds: float
    tokens: int
    outputs: Mapping[str, str | None]


@dataclass(frozen=True)
class Found:
    """All engines, and the tokens a second that one long pass reads in float32: what products of matrices allow."""

    timed: list[Timed]
    ceiling: float


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
        inputs = tokenizer.pad({"input_ids": [rows[each] for each in batch]}, return_tensors="pt")
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

    ids = torch.randint(100, 10_000, PASS)
    best = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        with torch.inference_mode():
            model(input_ids=ids, use_cache=False, logits_to_keep=1)
        best = min(best, time.perf_counter() - start)
    return ids.numel() / best


def measure(cases: int, servers: Mapping[str, str], watch: Watch) -> Found:
    """Ask every engine the same, after a warm start of each."""
    tasks, found = load_tasks(ROOT / "fixtures"), []
    asked = list(requests([sample(find_unit(tasks, key), cases) for key in UNITS]))
    local = Local(MODEL, quiet())
    with watch("Engines", 3 + len(servers)) as done:
        ceiling = reading_speed(local.base.with_adapter(None))
        list(kept_to_their_end(local, asked[:2]))
        found.append(timed(FIXED, kept_to_their_end(local, asked)))
        done(1)
        for dtype in ("float32", "bfloat16"):
            model = Local(MODEL, quiet(), options=ModelOptions(dtype=dtype))
            list(model.answer(asked[:2]))
            found.append(timed(f"Tunegate, {dtype}", answers(model, asked)))
            done(1)
        for name, address in servers.items():
            server = Server(address, quiet())
            list(server.answer(asked[:2]))
            found.append(timed(name, answers(server, asked)))
            done(1)
    return Found(found, ceiling)


def same(one: Timed, other: Timed) -> int:
    """How many outputs are the same."""
    return sum(one.outputs[key] == other.outputs.get(key) for key in one.outputs)


def broken(found: Found) -> Iterator[str]:
    """An output that changed with the batches."""
    first, ours = found.timed[:2]
    if same(first, ours) < len(first.outputs):
        yield f"{len(first.outputs) - same(first, ours)} outputs in float32 are others"


def report(found: Found, made: str) -> str:
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
    return "\n\n".join([
        "# Engines",
        f"- In float32 Tunegate answers {len(first.outputs)} requests {first.seconds / ours.seconds:.2f} times as fast "
        f"as batches that are kept until their longest answer is finished; {same(first, ours)} outputs are the same.",
        f"{len(first.outputs)} requests of {', '.join(UNITS)}, {first.tokens} tokens, asked of the embedded model "
        f"without an adapter. *Of what can be read*: beside one pass over {PASS[0]} rows of {PASS[1]} tokens in "
        f"float32, {found.ceiling:.0f} tokens a second, which is what the machine's products of matrices allow.",
        table(["engine", "s", "times as fast", "tokens a second", "of what can be read", "same outputs"], rows),
        made,
    ]) + "\n"  # fmt: skip


def main(
    cases: Annotated[int, typer.Option("--cases", help="Cases of a unit.", min=2)] = 24,
    server: Annotated[list[str] | None, typer.Option("--server", help="Ask it too.", metavar="NAME=openai:…")] = None,
    out: Annotated[Path, typer.Option("--out", help="Where engines.md goes.", metavar="DIR")] = RESULTS,
) -> None:
    """Ask the embedded model through each engine, write engines.md, and fail if float32 answers otherwise."""
    servers = dict(each.partition("=")[::2] for each in server or ())
    more = "".join(f" --server {name}=openai:…" for name in servers)
    command = f"python benchmarks/engines.py --cases {cases}{more}"
    carry_out(
        out / "engines.md", command, LIBRARIES, lambda watch: measure(cases, servers, watch), report, broken
    )  # fmt: skip


if __name__ == "__main__":
    typer.run(main)
