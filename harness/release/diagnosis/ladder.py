"""The ladder: a sample of the cases with each prompting strategy that they support, cheapest first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from tunegate.harness.cases.model import Unit
from tunegate.harness.checks.base import constraint_of_check
from tunegate.harness.core.files import digest
from tunegate.harness.core.progress import Watch
from tunegate.harness.history.baselines.diagnosed import LARGER
from tunegate.harness.models.api import Model, Unconstrainable
from tunegate.harness.models.evaluation.record import Record
from tunegate.harness.models.evaluation.scoring import evaluate
from tunegate.harness.models.model_options import RUNGS
from tunegate.harness.models.prompts import CONSTRAINED, WITH_SHOTS
from tunegate.harness.release.diagnosis.optimised import OPTIMISED

LADDER = (*RUNGS[:2], OPTIMISED, *RUNGS[2:], LARGER)  # an optimised prompt has no worked examples
SAMPLE = 40  # cases per unit
SEED = 0


def sample(unit: Unit, n: int = SAMPLE, seed: int = SEED) -> Unit:
    """Return the unit with about `n` of its cases, in the same ratio of hits and misses, the same for every model.

    Cases are chosen by a digest of the question, so that an added case displaces at most one; groups stay together.
    """
    digests = {case.id: digest([seed, case.observation]) for case in unit.cases}
    # by value, not by position, so that a group, whose cases share a mark, stays together
    last = sorted(digests.values())[min(n, len(digests)) - 1]
    return replace(unit, cases=tuple(case for case in unit.cases if digests[case.id] <= last))


def promptable(units: Iterable[Unit]) -> list[Unit]:
    """Return the units whose score shows what a prompt changes: generating, pass/fail, not sealed, not by labels."""
    return [
        unit
        for unit in units
        if unit.check_kind.asks == "generate" and unit.kind == "pass/fail" and not (unit.sealed or unit.labels)
    ]


def offers(unit: Unit, rung: str) -> bool:
    """Return whether a unit supports a strategy: worked examples, a schema, or a passage missing from the prompt."""
    if rung in WITH_SHOTS and not unit.shots:
        return False
    if rung in CONSTRAINED:
        return any(constraint_of_check(case.check) for case in unit.cases)
    if rung == "context":
        return all(case.context and "{context}" not in case.prompt.template for case in unit.cases)
    return True


def run_ladder(
    units: Sequence[Unit], models: Mapping[str, Callable[[], Model]], watch: Watch
) -> tuple[dict[str, Record], dict[str, str]]:
    """Score the sampled units with each prompting strategy that they support.

    `models` opens the model of each strategy, cheapest first; only one is alive at a time. Return a record for each
    supported strategy, partial, so that it cannot be released; and for each unit whose outputs cannot be constrained to
    its schema, the reason.
    """
    records, unconstrainable = {}, dict[str, str]()
    for rung, model in models.items():
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
    """Return the reason why a unit's outputs cannot be constrained to its schemas."""
    held = dict.fromkeys(found for case in unit.cases if (found := constraint_of_check(case.check)))
    return "; ".join(f"{each.file}: {why}" for each in held if (why := error.why(each)))
