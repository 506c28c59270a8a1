"""How long a call takes, of a base and of a tuned model: side by side in one session, nothing cached, for information.

Batches hide what one caller waits, and a machine is slower at some hours than at others. So prompts are asked one at a
time, each of both models in turn, and which goes first alternates. Nothing that gates rests on it.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tunegate.harness.cases.model import Unit
from tunegate.harness.core.errors import CouldNotRun, Refused
from tunegate.harness.core.progress import Watch
from tunegate.harness.models.api import Completion, Model, Request
from tunegate.harness.models.model_options import RungName
from tunegate.harness.models.prompts import requests
from tunegate.harness.statistics.ratio import ratio

SAMPLE = 20  # cases
SEED = 20_260_101  # of the sample: another run times the same cases
WARM_UP = 2  # calls of each model that do not count
Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Speed:
    """How one model answered the sample; `tokens_per_s` are those that came out, over the whole time of the calls."""

    median_s: float
    p95_s: float
    tokens_out: int
    tokens_per_s: float


def time_calls(
    units: Sequence[Unit],
    base: Model,
    tuned: Model,
    rung: RungName,
    watch: Watch,
    clock: Clock = time.perf_counter,
) -> dict[str, Any]:
    """Time both models on a sample of the cases of `units`; what comes back is as it stands in a record.

    Args:
        units: the units that are scored; those that generate nothing have no calls.
        base: the model without the adapter, not wrapped in a cache.
        tuned: the model with it, likewise.
        rung: how both are prompted.
        watch: shows the progress.
        clock: seconds.

    Raises:
        Refused: no case among them is answered by generating.
        CouldNotRun: a model gave no answer.
    """
    calls = [request for request in requests(units, rung) if not request.texts]
    if not calls:
        raise Refused("--tg-timing: expected cases that are answered by generating, found none among those selected")
    # sorted, so that the order of the files does not decide which cases are timed
    sample = random.Random(SEED).sample(sorted(calls, key=lambda call: call.key), min(SAMPLE, len(calls)))  # noqa: S311
    warm_up, models = sample[:WARM_UP], {"base": base, "tuned": tuned}
    _ask(models, warm_up, "Warming up base and adapter", watch, clock)
    taken = _ask(models, sample, "Timing base and adapter, one prompt at a time", watch, clock)
    before, now = ([seconds for seconds, _ in taken[name]] for name in ("base", "tuned"))
    found = ratio(before, now)
    return {
        "sample": len(sample), "of": len(calls), "seed": SEED, "warm_up": len(warm_up),
        "cases": [call.key for call in sample],
        **{name: asdict(_speed(calls)) for name, calls in taken.items()},
        "ratio": found.as_dict() if found else None,
    }  # fmt: skip


def _ask(
    models: Mapping[str, Model], calls: Sequence[Request], step: str, watch: Watch, clock: Clock
) -> dict[str, list[tuple[float, int]]]:
    """Seconds and tokens out of each call, by model; they take turns, and in who goes first as well."""
    taken: dict[str, list[tuple[float, int]]] = {name: [] for name in models}
    with watch(step, len(models) * len(calls)) as done:
        for turn, call in enumerate(calls):
            for name in sorted(models, reverse=bool(turn % 2)):
                completion, seconds = _timed(models[name], call, clock)
                taken[name].append((seconds, completion.tokens_out or 0))
                done(1)
    return taken


def _timed(model: Model, call: Request, clock: Clock) -> tuple[Completion, float]:
    start = clock()
    completions = list(model.complete([call]))
    seconds = clock() - start
    if len(completions) != 1 or not completions[0].is_given:
        raise CouldNotRun(f"--tg-timing: expected an answer to {call.key}, found none")
    return completions[0], seconds


def _speed(calls: Sequence[tuple[float, int]]) -> Speed:
    seconds, tokens = [each for each, _ in calls], sum(each for _, each in calls)
    total = sum(seconds)
    median, p95 = np.quantile(seconds, [0.5, 0.95]).tolist()
    return Speed(median, p95, tokens, tokens / total if total else 0.0)


def render_timing(timing: Mapping[str, Any]) -> list[str]:
    """What was measured, in lines for people."""
    how = (
        f"timing, for information only: {timing['sample']} of {timing['of']} cases (seed {timing['seed']}), one prompt "
        f"at a time, base and tuned in turn, nothing cached, after {timing['warm_up']} calls of each to warm up"
    )
    speeds = [
        f"  {name}: median {timing[name]['median_s']:.3g} s a call, 95 % within {timing[name]['p95_s']:.3g} s, "
        f"{timing[name]['tokens_per_s']:.3g} tokens/s"
        for name in ("base", "tuned")
    ]
    return [how, *speeds, *([f"  {_share(timing['ratio'])}"] if timing["ratio"] else [])]


def _share(found: Mapping[str, Any]) -> str:
    bounds = found["interval"]
    interval = f" [95 %: {', '.join(f'{100 * bound:.0f}' for bound in bounds)}]" if bounds else ""
    return f"a call of the tuned model takes {100 * found['estimate']:.0f} % of the base's time on average{interval}"
