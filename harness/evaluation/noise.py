"""What an engine does by itself: the same model asked the same again, and the cases that come out otherwise.

A greedy answer follows from the weights, but also from the order in which numbers are summed: of a batch of another
shape, on another machine, on a server that batches as requests come, or in a short dtype the likeliest token may be
another one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from tunegate.harness.cases.model import Unit
from tunegate.harness.core.progress import Watch
from tunegate.harness.evaluation.record import Noise, Record, Result
from tunegate.harness.evaluation.scoring import evaluate
from tunegate.harness.models.api import Completion, Fingerprint, Model, Request

TOLERANCE = 1e-3  # of continuous scores, absolute below 1: a batch of another shape adds in another order


def measure_noise(units: Sequence[Unit], model: Model, record: Record, watch: Watch) -> dict[str, Noise]:
    """Ask a model again what it is asked once, in another order and in batches of another shape; by unit.

    Args:
        units: all that the record was asked; of sampled units nothing is measured, for those vary as they should.
        model: who answered, past every cache.
        record: what came back the first time; where it holds several greedy answers a case, these are compared.
        watch: shows the progress.

    Raises:
        CouldNotRun: the model cannot answer.
    """
    steady = [unit for unit in units if not unit.of and not _is_sampled(unit)]
    twice = {unit.key for unit in run_twice(steady, record)}
    once = [unit for unit in steady if unit.key not in twice]
    again = evaluate(once, _OtherBatches(model), watch, partial=True).by_unit if once else {}
    return {unit.key: compare_outputs(record.of_unit(unit.key), again.get(unit.key, {})) for unit in steady}


def run_twice(units: Sequence[Unit], record: Record) -> list[Unit]:
    """The units of which a record holds several greedy answers a case: what varies shows without asking again."""
    return [
        unit for unit in units
        if not _is_sampled(unit) and any(each.repeats for each in record.of_unit(unit.key).values())
    ]  # fmt: skip


def is_same_outcome(one: Result, other: Result) -> bool:
    """Whether two answers came to the same; a continuous score within `TOLERANCE`."""
    if one.score is None or other.score is None or one.passed is not other.passed:
        return one.score is other.score and one.passed is other.passed
    return math.isclose(one.score, other.score, rel_tol=TOLERANCE, abs_tol=TOLERANCE)


def _is_sampled(unit: Unit) -> bool:
    return unit.check_kind.asks == "generate" and any(case.decoding.temperature for case in unit.cases)


def compare_outputs(first: Mapping[str, Result], again: Mapping[str, Result]) -> Noise:
    """What differs between the answers to each case and its repeats, those without a score aside; by case id."""
    outputs = {
        case: [*(each.repeats or (each,)), *([again[case]] if case in again else [])] for case, each in first.items()
    }
    scored = {case: each for case, each in outputs.items() if all(one.score is not None for one in each)}
    others = [case for case, (one, *rest) in scored.items() if not all(_is_same_output(one, each) for each in rest)]
    flips = [case for case, (one, *rest) in scored.items() if not all(is_same_outcome(one, each) for each in rest)]
    return Noise(len(scored), len(others), tuple(flips))


def _is_same_output(one: Result, other: Result) -> bool:
    """The same text; of likelihoods, the same within the tolerance."""
    if one.output is not None or not one.logprobs:
        return one.output == other.output
    return is_same_outcome(one, other)


class _OtherBatches:
    """A model that is asked everything once more: a repeat is asked in batches of its own."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self.can = model.can

    @property
    def fingerprint(self) -> Fingerprint:
        """That of the model."""
        return self._model.fingerprint

    def complete(self, requests: Sequence[Request]) -> Iterator[Completion]:
        """Answer as the next repeat of each, from the last to the first."""
        again = [replace(request, repeat=request.repeat + 1) for request in reversed(requests)]
        for completion in self._model.complete(again):
            yield replace(completion, repeat=completion.repeat - 1)
