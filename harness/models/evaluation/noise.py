"""The noise of an engine: the same model re-run on the same cases, and the cases whose result differs.

A greedy output depends on the weights, but also on the order in which numbers are summed: in a batch of another shape,
on another machine, on a server with dynamic batching, or in a short dtype another token may be the likeliest.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from tunegate.harness.cases.model import Unit
from tunegate.harness.core.progress import Watch
from tunegate.harness.models.api import Completion, Fingerprint, Model, Request
from tunegate.harness.models.evaluation.record import Noise, Record, Result
from tunegate.harness.models.evaluation.scoring import evaluate

TOLERANCE = 1e-3  # of continuous scores, absolute below 1: a batch of another shape sums in another order


def measure_noise(units: Sequence[Unit], model: Model, record: Record, watch: Watch) -> dict[str, Noise]:
    """Re-run a model, without a cache, in another order and in batches of another shape; return the noise by unit.

    Sampled units are skipped, as they are meant to vary. If `record`, the first run, has several
    greedy outputs per case, these are compared instead.
    """
    steady = [unit for unit in units if not unit.of and not _is_sampled(unit)]
    twice = {unit.key for unit in run_twice(steady, record)}
    once = [unit for unit in steady if unit.key not in twice]
    again = evaluate(once, _OtherBatches(model), watch, partial=True, what="again").by_unit if once else {}
    return {unit.key: compare_outputs(record.of_unit(unit.key), again.get(unit.key, {})) for unit in steady}


def run_twice(units: Sequence[Unit], record: Record) -> list[Unit]:
    """Return the units with several greedy outputs per case in a record, which need no re-run."""
    return [
        unit for unit in units
        if not _is_sampled(unit) and any(each.repeats for each in record.of_unit(unit.key).values())
    ]  # fmt: skip


def is_same_outcome(one: Result, other: Result) -> bool:
    """Whether two outputs have the same score, within `TOLERANCE` if continuous."""
    if one.score is None or other.score is None or one.passed is not other.passed:
        return one.score is other.score and one.passed is other.passed
    return math.isclose(one.score, other.score, rel_tol=TOLERANCE, abs_tol=TOLERANCE)


def _is_sampled(unit: Unit) -> bool:
    return unit.check_kind.asks == "generate" and any(case.decoding.temperature for case in unit.cases)


def compare_outputs(first: Mapping[str, Result], again: Mapping[str, Result]) -> Noise:
    """Compare the outputs of each scored case with its repeats."""
    outputs = {
        case: [*(each.repeats or (each,)), *([again[case]] if case in again else [])] for case, each in first.items()
    }
    scored = {case: each for case, each in outputs.items() if all(one.score is not None for one in each)}
    others = [case for case, (one, *rest) in scored.items() if not all(_is_same_output(one, each) for each in rest)]
    flips = [case for case, (one, *rest) in scored.items() if not all(is_same_outcome(one, each) for each in rest)]
    return Noise(len(scored), len(others), tuple(flips))


def _is_same_output(one: Result, other: Result) -> bool:
    """Whether the texts are the same, or the likelihoods within the tolerance."""
    if one.output is not None or not one.logprobs:
        return one.output == other.output
    return is_same_outcome(one, other)


class _OtherBatches:
    """A model that runs each request as its next repeat, so that it is batched separately."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self.can = model.can

    @property
    def fingerprint(self) -> Fingerprint:
        """The model's fingerprint."""
        return self._model.fingerprint

    def complete(self, requests: Sequence[Request]) -> Iterator[Completion]:
        """Complete the next repeat of each request, in reverse order."""
        again = [replace(request, repeat=request.repeat + 1) for request in reversed(requests)]
        for completion in self._model.complete(again):
            yield replace(completion, repeat=completion.repeat - 1)
