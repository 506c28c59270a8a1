"""The verdicts of a unit beside several references, made into one, and the remarks on how it came about."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from tunegate.harness.cases.model import Task
from tunegate.harness.gate import messages
from tunegate.harness.models.evaluation.verdict import UnitVerdict

FEW_RUNS = 3  # of 3 candidates that lose the margin, one or more is held 12 % of the time; of 4, 15 %


def proven_by_another(task: Task, by_unit: Mapping[str, UnitVerdict]) -> Iterator[UnitVerdict]:
    """Yield the open units whose sealed counterparts were evaluated too: they must only not regress.

    If both had to hold, equal models would hardly ever be released: ten gates pass together .45 of the time, five .67
    (n = 200, margin 5, flip rate 4 %).
    """
    for unit in task.units:
        sealing = task.policy.of(unit.name, unit.kind).seals if unit.sealed and unit.key in by_unit else None
        if sealing and (facts := by_unit.get(f"{task.name}/{sealing}")):
            remarks = (*facts.remarks, messages.proven_by(unit.key))
            blocks = facts.blocks and not facts.is_unsettled
            yield replace(facts, proven_by=unit.key, blocks=blocks, remarks=remarks)


def combined(verdicts: Sequence[UnitVerdict]) -> UnitVerdict:
    """Return the worst verdict of a unit, the base's among equals; its remarks also name the other verdicts."""
    # Margins chain: compared with the last release only, each release could lose another margin against the base.
    worst = max(verdicts, key=_severity)
    others = [messages.beside(each) for each in verdicts if each is not worst]
    lowest = max(verdicts, key=lambda each: each.below_service)
    return replace(
        worst, remarks=(*worst.remarks, *others),
        below_service=lowest.below_service, is_below_shown=lowest.is_below_shown,
    )  # fmt: skip


def beside_service(verdict: UnitVerdict) -> UnitVerdict:
    """Return the verdict of an adapter against one in service: it blocks only if the adapter is shown to be worse.

    Were it to be held of both, 55 % of equal adapters would be released where so 69 % are (5 units, n = 200, margin 5,
    flip rate 4 %).
    """
    below, blocks = max(0.0, -(verdict.difference or 0.0)), verdict.blocks and not verdict.is_unsettled
    return replace(verdict, blocks=blocks, below_service=below, is_below_shown=verdict.lower)


def _severity(verdict: UnitVerdict) -> int:
    if not verdict.blocks:
        return 0
    if verdict.is_unsettled:  # it may only warn, and must not hide a verdict that blocks
        return 1
    return 3 if verdict.verdict == "regressed" else 2


def held_late(by_unit: Mapping[str, UnitVerdict], numbers: Mapping[str, int]) -> Iterator[UnitVerdict]:
    """Yield the open guards that are held at a late run of their cases, with a remark on what that is worth.

    `numbers` are the numbers of this run by unit, over all configurations. Nothing bounds the error of an open guard
    over many runs: each is tested at the full level.
    """
    for each in by_unit.values():
        number = numbers.get(each.unit, 1)
        is_open_guard = each.role == "guard" and not (each.sealed or each.proven_by or each.labelled)
        if is_open_guard and each.verdict == "held" and number > FEW_RUNS:
            yield replace(each, run=number, remarks=(*each.remarks, messages.at_late_run(number, each.level)))
