"""The derivation of each verdict: the tests, their levels and p values, and the margin with its reason."""

from __future__ import annotations

from collections.abc import Iterator

from tunegate.harness.core.escaping import shown
from tunegate.harness.core.formatting import change, listed, percent, points
from tunegate.harness.gate.families import LEVEL, SLICE_LEVEL
from tunegate.harness.models.evaluation.record import Record
from tunegate.harness.models.evaluation.verdict import UnitVerdict


def why_lines(record: Record) -> Iterator[str]:
    """Yield a paragraph per unit of a compared record; nothing for other records."""
    for unit, verdict in record.verdicts.items():
        yield f"{unit}, against the {verdict.reference}: {verdict.verdict}"
        yield from (f"  {line}" for line in _about(verdict, record.sealed_evaluations.get(unit)))


def _test_of(verdict: UnitVerdict) -> str:
    if verdict.labelled:
        return "of all inputs, from the share of outputs that differ and the labels of a sample of them"
    return "score test; for pass/fail Tango's, for other scores also the signed root of the likelihood ratio"


def _about_span(verdict: UnitVerdict) -> Iterator[str]:
    """Yield the span of a case, for a continuous score."""
    if verdict.span is None:
        return
    most = change(verdict.span, verdict.kind, signed=False)
    if verdict.bounded:
        yield f"a case counts up to {most}: no two calls differ by more"
        return
    yield (
        f"a case counts up to {most}; {verdict.collapsed} fell by that or more, and at most "
        f"{percent(verdict.collapse_bound)} of such cases do (Clopper-Pearson, one-sided at {verdict.level:.3g})"
    )


def _about(verdict: UnitVerdict, evaluation: int | None) -> Iterator[str]:
    unit = " points" if verdict.kind == "pass/fail" else ""
    if verdict.margin is not None:
        reason = f": {shown(verdict.declared)}" if verdict.declared else ", the default"
        yield f"margin {change(verdict.margin, verdict.kind, signed=False)}{unit}{reason}"
    if verdict.interval is None or verdict.margin is None:
        yield "no test: it was not compared, or lacks a margin or labels"
        return
    low, high = (change(bound, verdict.kind) for bound in verdict.interval)
    excluded = "excluded" if verdict.interval[0] > -verdict.margin else "not excluded"
    yield (
        f"held: the difference lies from {low} to {high}{unit}, each end one-sided at {verdict.level:.3g} "
        f"({_test_of(verdict)}): a loss of the margin is {excluded}"
    )
    yield from _about_span(verdict)
    if verdict.together:
        yield f"held together with {listed(verdict.together)}: the mean of their losses decides, not this one"
    if verdict.target_score is not None:
        reached = "shown" if verdict.reached else "not shown"
        yield f"target score {percent(verdict.target_score)}: {reached} (Wilson's bound), required besides the gain"
    yield (
        f"worse: p = {verdict.p_worse:.3g}, the larger of the sign-flip test (for pass/fail McNemar's mid-p) and "
        f"the score test; with {verdict.tests - 1} other tests of all units and references "
        f"(Tarone-Holm at {LEVEL}): {'significant' if verdict.lower else 'not significant'}"
    )
    if verdict.worse_slices:
        slices = verdict.worse_slices
        fell = str(len(slices)) if verdict.sealed else listed([shown(each) for each in slices])
        yield f"slices: {fell} fell (exact p, Tarone-Holm at {SLICE_LEVEL})"
    if lost := [shown(f"{each.field} {each.value}".rstrip()) for each in verdict.never_right if each.lost]:
        yield f"values: {listed(lost)} lost (exact p, Tarone-Holm at {SLICE_LEVEL})"
    for part in verdict.parts:
        if part.margin is not None and part.interval is not None:
            low, high = (points(bound) for bound in part.interval)
            yield (
                f"part {shown(part.name)}: margin {points(part.margin, signed=False)} points: "
                f"{shown(part.declared)}; the difference lies from {low} to {high} points, "
                f"p = {part.p_worse:.3g} within those tests: {'it fell' if part.fell else 'not shown to fall'}"
            )
    if verdict.critical:
        yield "critical cases are outside the levels: one regression is enough"
    if evaluation:
        use = f"sealed: all evaluations together may err by {LEVEL}" if verdict.sealed else "open: it guides tuning"
        yield f"its cases were evaluated for {evaluation - 1} other configurations before; it is {use}"
