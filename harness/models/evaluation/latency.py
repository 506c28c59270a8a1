"""The time of a call to a base and to a tuned model, measured in one session without caching, for information only.

Batches hide the latency of a single call, and the speed of a machine varies over the day. Prompts are therefore run one
at a time, on both models in turn, alternating which goes first. No decision depends on it.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from tunegate.harness.cases.model import Unit
from tunegate.harness.core.errors import CouldNotRun, Refused
from tunegate.harness.core.formatting import plain
from tunegate.harness.core.progress import Watch
from tunegate.harness.models.api import Completion, Model, Request
from tunegate.harness.models.evaluation.run_facts import Speed, Timing
from tunegate.harness.models.model_options import RungName
from tunegate.harness.models.prompts import requests
from tunegate.harness.statistics.ratio import Ratio, ratio

SAMPLE = 20  # cases
SEED = 20_260_101  # of the sample, fixed so that another run times the same cases
WARM_UP = 2  # uncounted calls to each model
Clock = Callable[[], float]


def time_calls(
    units: Sequence[Unit],
    models: Mapping[str, Model],
    rung: RungName,
    watch: Watch,
    clock: Clock = time.perf_counter,
) -> Timing:
    """Time models on a sample of the cases of `units`.

    `models` are `tuned`, and perhaps `base`, without the adapter; both without a cache. `clock` returns
    seconds. Raises Refused if no case generates an output, CouldNotRun if a model gave none.
    """
    calls = [request for request in requests(units, rung) if not request.texts]
    if not calls:
        raise Refused("--tg-timing: expected cases that generate an output, found none among those selected")
    # sorted, so that the sample does not depend on the order of the files
    sample = random.Random(SEED).sample(sorted(calls, key=lambda call: call.key), min(SAMPLE, len(calls)))  # noqa: S311
    warm_up = sample[:WARM_UP]
    _ask(models, warm_up, "Warming up", watch, clock)
    taken = _ask(models, sample, "Timing, one prompt at a time", watch, clock)
    seconds = {name: [each for each, _ in calls] for name, calls in taken.items()}
    return Timing(
        len(sample), len(calls), SEED, len(warm_up),
        cases=tuple(call.key for call in sample),
        tuned=_speed(taken["tuned"]),
        base=_speed(taken["base"]) if "base" in taken else None,
        ratio=ratio(seconds["base"], seconds["tuned"]) if "base" in taken else None,
    )  # fmt: skip


def _ask(
    models: Mapping[str, Model], calls: Sequence[Request], step: str, watch: Watch, clock: Clock
) -> dict[str, list[tuple[float, int]]]:
    """Return the seconds and output tokens of each call, by model; the models take turns and alternate the start."""
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
        raise CouldNotRun(f"--tg-timing: expected an output for {call.key}, found none")
    return completions[0], seconds


def _speed(calls: Sequence[tuple[float, int]]) -> Speed:
    seconds, tokens = [each for each, _ in calls], sum(each for _, each in calls)
    total = sum(seconds)
    median, p95 = np.quantile(seconds, [0.5, 0.95]).tolist()
    return Speed(median, p95, tokens, tokens / total if total else 0.0)


def render_timing(timing: Timing) -> list[str]:
    """Return the measurement as lines of text."""
    how = (
        f"timing, for information only: {timing.sample} of {timing.of} cases (seed {timing.seed}), one prompt "
        f"at a time, models in turn, nothing cached, after {timing.warm_up} warm-up calls to each"
    )
    speeds = [
        f"  {name}: median {plain(each.median_s, 3)} s per call, 95 % within {plain(each.p95_s, 3)} s, "
        f"{plain(each.tokens_per_s, 3)} tokens/s"
        for name, each in (("base", timing.base), ("tuned", timing.tuned))
        if each
    ]
    return [how, *speeds, *([f"  {_share(timing.ratio)}"] if timing.ratio else [])]


def _share(found: Ratio) -> str:
    bounds = found.interval
    interval = f" [95 %: {', '.join(f'{100 * bound:.0f}' for bound in bounds)}]" if bounds else ""
    return f"a call of the tuned model takes {100 * found.estimate:.0f} % of the base's time on average{interval}"
