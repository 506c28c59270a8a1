"""Find units that cannot decide: too few cases, too wide a margin, nothing to lose, spent sealed cases."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from tunegate.harness.cases.file import POLICY
from tunegate.harness.cases.model import Task, Unit
from tunegate.harness.core.authoring.yaml_reader import read_yaml
from tunegate.harness.core.errors import LintWarning
from tunegate.harness.core.formatting import change, percent
from tunegate.harness.gate.planning.evaluations import is_spent, worth
from tunegate.harness.gate.planning.history import model_folders, past_of
from tunegate.harness.gate.planning.plan import Plan, plan_units
from tunegate.harness.gate.planning.remedies import remedies, which_is_short, why_never
from tunegate.harness.history.ledger.evaluations import evaluations_made
from tunegate.harness.history.ledger.store import read_ledger
from tunegate.harness.review.lint.honest import refusals
from tunegate.harness.statistics.power import POWER

LARGE = 0.2  # a change of one case in five, large for any task
SHARE_PAYS = 100  # cases; with fewer, the mean share is less often shown to hold than the pass rate
NARROWER = 0.9  # of a margin; a smaller reduction is not worth a warning


def undecidable(root: Path, tasks: Sequence[Task], baselines: Path) -> Iterator[LintWarning]:
    """Warn about undecidable units: about their cases on line 1 of their file, about margins in task.yaml.

    Raises:
        Refused: a damaged baseline, or an incomplete ledger.
    """
    folders = model_folders(baselines, tasks)
    sealed = [unit for task in tasks for unit in task.units if unit.sealed]
    made = evaluations_made(read_ledger(baselines), sealed) if sealed else {}
    past = past_of(folders[0] if len(folders) == 1 else None)
    policies = {task.name: task.policy for task in tasks}
    plans = plan_units(tasks, past)
    short = {each.unit.task for each in plans if _is_short(each)}
    yield from refusals(root, tasks, plans, short)
    for each in plans:
        if each.margin is None:
            continue
        unit, declared = each.unit, policies[each.unit.task].of(each.unit.name, each.unit.kind)
        cases = unit.cases[0].path
        if unit.sealed and (spent := _spent(each, made[unit.key])):
            yield LintWarning(cases, 1, f"{unit.key}: {spent}")
        if few := _too_few(each):  # more cases also fix the other warnings
            yield LintWarning(cases, 1, f"{unit.key}: {few}")
            continue
        if unit.sealed and not declared.target_score and (little := _shows_little(each)):
            yield LintWarning(cases, 1, f"{unit.key}: {little}")
        if each.n < SHARE_PAYS and any(asked.get("score") == "share" for asked in unit.asked.values()):
            text = f"with {each.n} cases `score: share` gets the verdict held less often than pass or fail; it pays "
            yield LintWarning(cases, 1, f"{unit.key}: {text}from about 200 cases on")
        if not declared.parts and (text := _lets_pass(each)):  # a unit that passes nothing may still guard its parts
            place = _declared_at(root, unit) if policies[unit.task].declared else (cases, 1)
            yield LintWarning(*place, f"{unit.key}: {text}")


def _declared_at(root: Path, unit: Unit) -> tuple[Path, int]:
    """The place in task.yaml of a unit's policy."""
    path = root / unit.task / POLICY
    return path, read_yaml(path).line(("units", unit.name, "margin"))


def _is_short(each: Plan) -> bool:
    """Whether a target gets the warning about too few cases."""
    if each.role != "target" or each.margin is None:
        return False
    return bool(_too_few(each) or (each.unit.sealed and _shows_little(each)))


def _too_few(each: Plan) -> str:
    """Why an unchanged model would rarely or never be held; empty if it would be."""
    rests = ", although the unit is sealed and a release depends on it" if each.unit.sealed else ""
    enough = f"a margin of {_size(each, each.held_margin)}" if each.held_margin else "no margin"
    if each.unit.kind == "continuous" and (never := why_never(each)):
        return f"{never}{rests}; it takes {remedies(each)}"
    if each.group:  # it need not hold individually
        return ""
    if each.n < each.fewest:
        return (
            f"{each.n} cases cannot rule out a loss of {_size(each, each.margin)} unless the score rises{rests}; it "
            f"takes {each.fewest} if nothing changes, {each.needed} to do so reliably; these are enough for {enough}"
        )
    if each.chance is None or each.chance >= each.asked:
        return ""
    if each.unit.kind == "continuous":
        known = "assumed" if each.seen.is_assumed else "measured"
        which = f": {short}" if (short := which_is_short(each)) else ""
        return (
            f"with {each.n} cases an unchanged model is shown to lose less than {_size(each, each.margin)} only "
            f"{100 * each.chance:.0f} % of the time (at the {known} spread{which})"
            f"{rests}; it takes {remedies(each)}: see tunegate plan"
        )
    margin = _size(each, each.held_margin) if each.held_margin else "its own"
    rate = f"{percent(each.seen.spread)} flip rate"
    return (
        f"with {each.n} cases an unchanged model is shown to lose less than {_size(each, each.margin)} only "
        f"{100 * each.chance:.0f} % of the time (at {rate}){rests}; about {each.needed} cases would do, or a margin of "
        f"{margin}: see tunegate plan"
    )


def _spent(each: Plan, made: int) -> str:
    """The warning that another evaluation of the sealed cases is not worthwhile; empty if it is."""
    first, following = worth(each, 1), worth(each, made + 1)
    if not is_spent(each, made) or first is None or following is None:
        return ""
    gain = each.shown_gain if each.role == "target" else None
    what = f"a gain of {_size(each, gain)} is shown" if gain else "an unchanged model gets the verdict held"
    times = "once" if made == 1 else f"{made} times"
    return (
        f"its sealed cases are spent: they were evaluated {times}; at the next evaluation {what} "
        f"{100 * following:.0f} % of the time, at the first {100 * first:.0f} %; write new ones and unseal these"
    )


def _size(each: Plan, value: float | None) -> str:
    if each.unit.kind == "pass/fail":
        return f"{100 * (value or 0.0):.3g} points"
    return change(value, each.unit.kind, signed=False)


def _lets_pass(each: Plan) -> str:
    """The large loss, or loss of everything, that a guard lets pass; empty if there is none."""
    rate, margin = each.seen.rate, each.margin or 0.0
    if each.role != "guard" or each.unit.kind != "pass/fail" or not each.power:
        return ""
    if rate is not None and max(rate, each.seen.released_rate or 0.0) <= margin:
        if not rate:
            return (
                f"the baseline passes none of the {len(each.unit.cases)} cases of this guard, so it cannot fall and "
                "guards nothing; make it a target, or write cases that the model can pass"
            )
        return (
            f"the baseline passes only {percent(rate)} of this guard, which is within its margin of "
            f"{_size(each, margin)}, so losing all of it may not block; narrow the margin, make it a target, or write "
            "cases that the model can pass"
        )
    found = each.chances_of(-LARGE).regressed
    if found >= 0.5 or (rate or 1.0) < LARGE or not each.held_margin or each.held_margin > NARROWER * margin:
        return ""
    guess = ", assumed" if each.seen.is_assumed else ""
    return (
        f"{len(each.unit.cases)} cases with a margin of {_size(each, margin)} let a large loss pass: a true loss of "
        f"{100 * LARGE:g} points is called regressed only {100 * found:.0f} % of the time; the cases are enough for a "
        f"margin of {_size(each, each.held_margin)} (at {percent(each.seen.spread)} flip rate{guess})"
    )


def _shows_little(each: Plan) -> str:
    """Why a sealed target would rarely prove a common gain; empty if it would, or is not one."""
    if each.role != "target" or each.unit.kind != "pass/fail" or not each.power or each.power.widest_gain < LARGE:
        return ""
    shown = each.chances_of(LARGE).improved
    if shown >= POWER:
        return ""
    needed = each.power.cases_to_improve(each.margin or 0.0, LARGE)
    return (
        f"{each.n} sealed cases prove little: a true gain of {100 * LARGE:g} points is called improved "
        f"{100 * shown:.0f} % of the time; about {needed} cases would do"
    )
