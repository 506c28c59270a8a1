"""Find policies that usually refuse an honest adapter: equal on every guard, better on the targets."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from tunegate.harness.cases.file import POLICY
from tunegate.harness.cases.model import Task
from tunegate.harness.core.errors import LintWarning
from tunegate.harness.core.formatting import listed
from tunegate.harness.gate.planning.amounts import in_points, often
from tunegate.harness.gate.planning.plan import Plan
from tunegate.harness.gate.planning.proposal import HONEST_GAIN, Margins, honest_release, smallest_margins

OFTEN = 0.5


def refusals(root: Path, tasks: Sequence[Task], plans: Sequence[Plan], short: Collection[str]) -> Iterator[LintWarning]:
    """Warn in task.yaml about tasks that release an honest adapter less than half of the time.

    Tasks that are `short` of cases are reported elsewhere and skipped if no margin would help.
    """
    for task in tasks:
        mine = [each for each in plans if each.unit.task == task.name]
        if {"target", "guard"} - {each.role for each in mine if each.unit.kind == "pass/fail"}:
            continue
        released = honest_release(task, mine)
        if released is None or released >= OFTEN:
            continue
        found = smallest_margins(task, mine)
        if found.shown >= OFTEN or task.name not in short:
            text = f"{task.name}: {_refused(mine, released)}; {_remedy(found)}: see tunegate plan"
            yield LintWarning(root / task.name / POLICY, 1, text)


def _refused(plans: Sequence[Plan], released: float) -> str:
    targets = [each.unit.name for each in plans if each.role == "target" and not each.unit.sealed]
    gain = f", {in_points(HONEST_GAIN)} better" + (f" on {listed(targets)}" if targets else "")
    return f"an honest adapter (equal on each guard{gain}) is released {often(released)}"


def _remedy(found: Margins) -> str:
    if found.shown < OFTEN:
        return f"the targets' cases show its gain {often(found.shown)}, whatever the margins; it takes more of them"
    ways = [
        f"a margin of {in_points(found.singly)} for each guard" if found.singly else "",
        f"one of {in_points(found.together)} for all guards together" if found.together else "",
    ]
    named = " or ".join(filter(None, ways))
    return f"{named} would release it {often(found.released)}" if named else "no margin would release it more often"
