"""The same 96 requests through each engine: seconds, tokens per second, and how many outputs are the same.

    python benchmarks/engines.py                          # this process, in float32 and bfloat16
    python benchmarks/engines.py --vllm                   # and by vLLM: that of `make vllm` or TUNEGATE_VLLM_PYTHON
    python benchmarks/engines.py --model MODEL --adapter ADAPTER --dtype bfloat16    # what an adapter costs

Each engine answers two requests before its time is taken, and then all of them three times (the best counts). Written
down before: in the same type this process takes at most 1.3 times as long as vLLM, and with an adapter at most 1.3
times as long as without it; in float32 both give the same outputs. Writes results/engines.md.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

sys.path.insert(0, str(Path(__file__).parent.parent))  # where `benchmarks` is, also for a script

from benchmarks.frame import RESULTS, ROOT, carry_out
from benchmarks.gate_markdown import table
from tunegate.harness.cases.loader import find_unit, load_tasks
from tunegate.harness.core.progress import Watch, quiet
from tunegate.harness.models.api import Model, Request
from tunegate.harness.models.local.huggingface import Local
from tunegate.harness.models.model_options import ModelOptions
from tunegate.harness.models.prompts import requests
from tunegate.harness.models.served.vllm import Vllm
from tunegate.harness.release.diagnosis.ladder import sample

UNITS = ("support/triage", "support/orders", "support/replies", "support/wording")
LIBRARIES = ("tunegate", "torch", "transformers", "peft")
CASES, TIMES, MOST = 24, 3, 1.3


@dataclass(frozen=True)
class Timed:
    """One engine: the seconds of its best time, the tokens of prompts and outputs, and the outputs by key."""

    seconds: float
    tokens: int
    outputs: Mapping[str, str | None]

    def same(self, other: Timed) -> int:
        """How many outputs the other engine gives as well."""
        return sum(output == other.outputs[key] for key, output in self.outputs.items())


def timed(model: Model, asked: Sequence[Request]) -> Timed:
    """The best of several times."""
    list(model.complete(asked[:2]))
    return min((_once(model, asked) for _ in range(TIMES)), key=lambda each: each.seconds)


def _once(model: Model, asked: Sequence[Request]) -> Timed:
    start = time.perf_counter()
    found = list(model.complete(asked))
    seconds = time.perf_counter() - start
    tokens = sum((each.tokens_in or 0) + (each.tokens_out or 0) for each in found)
    return Timed(seconds, tokens, {each.key: each.output for each in found})


def measure(
    name: str, adapter: Path | None, dtypes: Sequence[str], vllm: bool, watch: Watch
) -> dict[str, Timed]:  # fmt: skip
    """Ask each engine the same."""
    tasks = load_tasks(ROOT / "fixtures")
    asked = list(requests([sample(find_unit(tasks, key), CASES) for key in UNITS]))
    found = {}
    for engine, model in _engines(name, adapter, dtypes, vllm):
        with watch(engine):
            found[engine] = timed(model, asked)
    return found


def _engines(name: str, adapter: Path | None, dtypes: Sequence[str], vllm: bool) -> Iterator[tuple[str, Model]]:
    for dtype in dtypes:
        options = ModelOptions(dtype=dtype)
        base = Local(name, quiet(), options=options)
        yield f"tunegate, {dtype}", base
        if adapter:
            yield f"tunegate, {dtype}, adapter", Local(name, quiet(), adapter, base=base.base)
        if vllm:
            served = Vllm(name, quiet(), options=options)
            yield f"vllm, {dtype}", served
            served.base.stop()


def report(found: Mapping[str, Timed], made: str) -> str:
    """The result as Markdown."""
    first = next(iter(found.values()))
    rows = [
        [
            engine, f"{each.seconds:.1f}", f"{each.seconds / first.seconds:.2f}", f"{each.tokens / each.seconds:.0f}",
            f"{first.same(each)} of {len(first.outputs)}",
        ]
        for engine, each in found.items()
    ]  # fmt: skip
    head = ["engine", "seconds", "times the first's", "tokens per second", "outputs as the first's"]
    asked = f"{len(first.outputs)} requests of {', '.join(UNITS)}; the best of {TIMES} times."
    return f"# Engines\n\n{asked}\n\n{table(head, rows)}\n\n{made}\n"


def broken(found: Mapping[str, Timed]) -> Iterator[str]:
    """What was written down before and does not hold."""
    for engine, each in found.items():
        for other in (engine.replace("tunegate", "vllm"), engine.removesuffix(", adapter")):
            if other != engine and other in found and each.seconds > MOST * found[other].seconds:
                yield f"{engine} takes {each.seconds / found[other].seconds:.2f} times as long as {other}"
    ours, served = found.get("tunegate, float32"), found.get("vllm, float32")
    if ours and served and ours.same(served) < len(ours.outputs):
        yield f"in float32 vLLM gives {len(ours.outputs) - ours.same(served)} other outputs"


def main(
    model: Annotated[str, typer.Option("--model", help="smollm2 (embedded), a folder or a GGUF file.")] = "smollm2",
    adapter: Annotated[Path | None, typer.Option("--adapter", help="An adapter of it, asked too.")] = None,
    dtype: Annotated[str, typer.Option("--dtype", help="One type only.")] = "",
    vllm: Annotated[bool, typer.Option("--vllm", help="Ask vLLM too.")] = False,
    out: Annotated[Path, typer.Option("--out", help="Where engines.md goes.", metavar="DIR")] = RESULTS,
) -> None:
    """See the module."""
    named = {"--model": Path(model).name, "--adapter": adapter and "ADAPTER", "--dtype": dtype}
    options = [f"{name} {value}" for name, value in named.items() if value] + ["--vllm"] * vllm
    carry_out(
        out / "engines.md", " ".join(["python benchmarks/engines.py", *options]), LIBRARIES,
        lambda watch: measure(model, adapter, [dtype] if dtype else ["float32", "bfloat16"], vllm, watch),
        report, broken,
    )  # fmt: skip


if __name__ == "__main__":
    main.__doc__ = __doc__
    typer.run(main)
