"""What an adapter's reward has seen: a gain that only the rewarding check shows is no evidence."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from typing import cast

from tunegate.harness.cases.model import Case, Task, Unit
from tunegate.harness.cases.rewarding import lacks_evidence
from tunegate.harness.gate.families import SEED
from tunegate.harness.models.evaluation.record import Record
from tunegate.harness.models.model_options import RungName
from tunegate.harness.models.prompts import final
from tunegate.harness.statistics import paired as stats

OTHERS = 4  # cases whose expectations an output is scored with beside its own


def no_evidence(task: Task, units: Sequence[str], candidate: Record) -> dict[str, str]:
    """Return those of a task's `units` whose gain the candidate's reward has seen, each with the reason in words.

    A unit that is derived from another counts as that one does: a price says nothing of what was bought.
    """
    if not candidate.rewards:
        return {}
    known = {unit.key: unit for unit in task.units}
    reasons = {key: _why(known[known[key].of or key], candidate) for key in units}
    return {key: reason for key, reason in reasons.items() if reason}


def _why(unit: Unit, candidate: Record) -> str:
    if reason := lacks_evidence(unit, candidate.rewards):
        return reason
    if any(each.is_check_of(unit) for each in candidate.rewards) and not _fits(unit, candidate):
        return (
            f"its {unit.suite} check was the reward, and outputs meet the `expect` of other cases as often as their own"
        )
    return ""


def _fits(unit: Unit, candidate: Record) -> bool:
    """Whether outputs are shown to meet the expectations of their own cases better than those of other cases.

    Otherwise expectations are no labels: one output for every input meets them, or none of them decides anything.
    """
    d = list(_differences(unit, candidate))
    return bool(d) and sum(d) > 0 and stats.p_better(d, seed=SEED).p <= stats.LEVEL


def _differences(unit: Unit, candidate: Record) -> Iterator[float]:
    """Yield each case's score minus the mean score of its output with the expectations of other cases."""
    results, rung = candidate.of_unit(unit.key), cast("RungName", candidate.rung)
    for case, others in _with_others(unit):
        output = results[case.id].first.output
        if output is not None:
            seen = final(rung, output)
            prompt = "\n".join(filter(None, [case.text, case.context]))
            own, *theirs = (case.check(seen, each.expect, prompt).score for each in (case, *others))
            yield own - statistics.fmean(theirs)


def _with_others(unit: Unit) -> Iterator[tuple[Case, Sequence[Case]]]:
    """Yield each case with others of the same check, at even distances; without others it is left out."""
    alike: dict[str, list[Case]] = {}
    for case in unit.cases:
        alike.setdefault(case.check.references, []).append(case)
    for cases in alike.values():
        count = len(cases)
        steps = sorted({max(1, step * count // (OTHERS + 1)) for step in range(1, OTHERS + 1)}) if count > 1 else []
        for place, case in enumerate(cases if steps else ()):
            yield case, [cases[(place + step) % count] for step in steps]
