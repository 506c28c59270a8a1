"""The ladder: a stated sample of the cases on every rung that their fixtures offer, cheapest first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from tunegate.harness.cases.model import Unit
from tunegate.harness.checks.base import HasConstraint
from tunegate.harness.core.files import digest
from tunegate.harness.core.progress import Watch
from tunegate.harness.evaluation.record import Record
from tunegate.harness.evaluation.scoring import evaluate
from tunegate.harness.models.api import Model, Unconstrainable
from tunegate.harness.models.model_options import RUNGS
from tunegate.harness.models.prompts import CONSTRAINED, WITH_SHOTS

LARGER = "larger"  # a rung of its own: another model, asked as the first one is
LADDER = (*RUNGS, LARGER)
SAMPLE = 40  # cases of a unit
SEED = 0


def sample(unit: Unit, n: int = SAMPLE, seed: int = SEED) -> Unit:
    """The unit with about `n` of its cases: hits and misses alike, the same ones for every model.

    Chosen by a digest of the question, so that an added case displaces one at most; cases of one group stay together.
    """
    digests = {case.id: digest([seed, case.observation]) for case in unit.cases}
    # by value and not by place, so that all cases of a group, which share a mark, stay
    last = sorted(digests.values())[min(n, len(digests)) - 1]
    return replace(unit, cases=tuple(case for case in unit.cases if digests[case.id] <= last))


def promptable(units: Iterable[Unit]) -> list[Unit]:
    """The units that a prompt can change: those that generate, pass or fail, and are not sealed."""
    return [
        unit for unit in units if unit.check_kind.asks == "generate" and unit.kind == "pass/fail" and not unit.sealed
    ]


def offers(unit: Unit, rung: str) -> bool:
    """Whether a unit has what a rung needs: worked examples, a schema, or a passage that the prompt lacks."""
    if rung in WITH_SHOTS and not unit.shots:
        return False
    if rung in CONSTRAINED:
        return any(isinstance(case.check, HasConstraint) for case in unit.cases)
    if rung == "context":
        return all(case.context and "{context}" not in case.prompt.template for case in unit.cases)
    return True


def run_ladder(
    units: Sequence[Unit], rungs: Mapping[str, Callable[[], Model]], watch: Watch
) -> tuple[dict[str, Record], dict[str, str]]:
    """Score the units on each rung that they offer.

    Args:
        units: what to ask, sampled already.
        rungs: makes the model of each rung, cheapest first; one at a time is alive.
        watch: shows the progress.

    Returns:
        A record for each rung that some unit offers, partial, so that nothing can be released on it; and why answers to
        a unit cannot be held to its schema, where they cannot.
    """
    records, unconstrainable = {}, dict[str, str]()
    for rung, model in rungs.items():
        offered = [unit for unit in units if offers(unit, rung)]
        while offered := [unit for unit in offered if rung not in CONSTRAINED or unit.key not in unconstrainable]:
            try:
                records[rung] = evaluate(offered, model(), watch, partial=True)
                break
            except Unconstrainable as error:
                found = {unit.key: why for unit in offered if (why := _why_not(unit, error))}
                if not found:
                    raise
                unconstrainable |= found
    return records, unconstrainable


def _why_not(unit: Unit, error: Unconstrainable) -> str:
    """Why answers to a unit cannot be held to its schemas, as far as an error says."""
    held = dict.fromkeys(case.check.constraint for case in unit.cases if isinstance(case.check, HasConstraint))
    return "; ".join(f"{each.file}: {why}" for each in held if (why := error.why(each)))
