"""How many cases of the demo flip by themselves: the embedded base asked again, in the same batches and in others.

    python benchmarks/noise.py --cases 40    # writes noise.md; three quarters of an hour on one busy core
    python benchmarks/noise.py --cases 6     # minutes

Exit code 1 if the same batches gave another answer in float32, on which the harness rests.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

sys.path.insert(0, str(Path(__file__).parent.parent))  # where `benchmarks` is, also for a script

from benchmarks.frame import RESULTS, ROOT, carry_out
from benchmarks.gate_markdown import table
from tunegate.harness.cases.loader import find_unit, load_tasks
from tunegate.harness.cases.model import Unit
from tunegate.harness.core.progress import Watch, quiet
from tunegate.harness.diagnosis.ladder import sample
from tunegate.harness.evaluation.noise import compare_answers
from tunegate.harness.evaluation.record import Noise
from tunegate.harness.evaluation.scoring import evaluate
from tunegate.harness.models.api import Completion, Request
from tunegate.harness.models.local.huggingface import Base, Local

UNITS = ("support/questions", "support/triage", "support/passages")
DTYPES = ("float32", "bfloat16")
SAME = "the same batches"
REPEATS = {SAME: 0, "halves of them": 1, "sixths of them": 5}
LIBRARIES = ("torch", "transformers")


@dataclass(frozen=True)
class Asked:
    """What asking a unit again came to, in one dtype and one shape of batches."""

    dtype: str
    unit: str
    shape: str
    passed: float | None
    noise: Noise


class Reshaped:
    """A model that is asked in batches of another shape."""

    def __init__(self, model: Local, repeat: int) -> None:
        self.fingerprint, self.can = model.fingerprint, model.can
        self._model, self._repeat = model, repeat

    def answer(self, requests: Sequence[Request]) -> Iterator[Completion]:
        """Answer as so many-th repeat."""
        for completion in self._model.answer([replace(request, repeat=self._repeat) for request in requests]):
            yield replace(completion, repeat=0)


def measure(cases: int, watch: Watch) -> list[Asked]:
    """Ask every unit in both dtypes: once, and again in each shape."""
    tasks, found = load_tasks(ROOT / "fixtures"), []
    units = [sample(find_unit(tasks, key), cases) for key in UNITS]
    with watch("Askings", len(DTYPES) * len(units) * (1 + len(REPEATS))) as done:
        for dtype in DTYPES:
            local = _opened(dtype)
            for unit in units:
                found += _asked(dtype, unit, local, done)
    return found


def _opened(dtype: str) -> Local:
    import torch

    base = Base("smollm2", quiet())
    base.with_adapter(None).to(getattr(torch, dtype))
    return Local("smollm2", quiet(), base=base)


def _asked(dtype: str, unit: Unit, local: Local, done: Watch) -> Iterator[Asked]:
    first = evaluate([unit], local, quiet(), partial=True)
    done(1)
    for shape, repeat in REPEATS.items():
        again = evaluate([unit], Reshaped(local, repeat), quiet(), partial=True)
        done(1)
        noise = compare_answers(first.of_unit(unit.key), again.of_unit(unit.key))
        yield Asked(dtype, unit.key, shape, first.units[unit.key].mean if unit.kind == "pass/fail" else None, noise)


def broken(found: Sequence[Asked]) -> Iterator[str]:
    """What should not be: an engine that is said to repeat itself and does not."""
    for each in found:
        if each.dtype == "float32" and each.shape == SAME and each.noise.other_outputs:
            yield f"{each.unit}: {each.noise.other_outputs} answers differ in the same batches in float32"


def report(found: Sequence[Asked], made: str) -> str:
    """The findings, the table and how it was made, in Markdown."""
    rows = [
        [
            each.dtype, each.unit, each.shape, "-" if each.passed is None else f"{100 * each.passed:.1f} %",
            f"{each.noise.other_outputs} of {each.noise.asked}", f"{len(each.noise.flips)} of {each.noise.asked}",
        ]
        for each in found
    ]  # fmt: skip
    findings = [f"- {dtype}: {_total(found, dtype, shape)}" for dtype in DTYPES for shape in REPEATS]
    return "\n".join([
        "# What flips by itself", "",
        "The base of the demo, asked twice, past every cache. An answer differs if its text does (of likelihoods: the",
        "score by more than a thousandth); a case flips if it passed once and failed once, or its score moved.", "",
        *findings, "",
        table(["dtype", "unit", "asked again in", "passes", "answers that differ", "cases that flip"], rows), "",
        "Of a unit of which the base passes nothing hardly a case can flip, however many answers differ: of a tuned",
        "model more do.", "",
        "## How", "", made, "",
    ])  # fmt: skip


def _total(found: Sequence[Asked], dtype: str, shape: str) -> str:
    those = [each.noise for each in found if (each.dtype, each.shape) == (dtype, shape)]
    asked = sum(each.asked for each in those)
    return (
        f"in {shape}, {sum(each.other_outputs for each in those)} of {asked} answers differ and "
        f"{sum(len(each.flips) for each in those)} cases flip"
    )


def main(
    cases: Annotated[int, typer.Option("--cases", help="Cases of a unit.", min=2)] = 40,
    out: Annotated[Path, typer.Option("--out", help="Where noise.md goes.", metavar="DIR")] = RESULTS,
) -> None:
    """Ask the embedded base again and again, write noise.md, and fail if the same batches answer otherwise."""
    carry_out(
        out / "noise.md", f"python benchmarks/noise.py --cases {cases}", LIBRARIES,
        lambda watch: measure(cases, watch), report, broken,
    )  # fmt: skip


if __name__ == "__main__":
    typer.run(main)
