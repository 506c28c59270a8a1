"""What to do next: the step that the first line of a report ends with, by what decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tunegate.harness.core.formatting import quantity
from tunegate.harness.models.evaluation.remarks import Code, Remark
from tunegate.harness.reporting.report import RuleReport, UnitReport

READ = "read {cases}, then change the model or its prompt"
GO_ON = "nothing blocks, go on"
#: By the code of what decides; `{unit}` and `{cases}` are the unit and what can be read of it. What has no row here
#: says its own step, or that of each line below it.
STEPS: Mapping[Code, str] = {
    "critical-regression": READ, "significantly-worse": READ, "mean-lost": READ, "lower": READ,
    "slice-regression": READ, "value-lost": READ, "part-regression": READ, "collapse-not-excluded": READ,
    "form-lost": READ, "field-lost": READ, "stratum-lost": READ,
    "same-outputs": "read the prompt and one case of {unit}: its outputs hardly depend on the input",
    "below-minimum": "raise its score, or have a lower minimum_score in task.yaml approved",
    "minimum-not-shown": "raise its score, or add cases",
    "not-comparable": "complete what is missing, and run again",
    "ungated": "declare a margin in task.yaml",
    "no-gain": "improve it, show the gain on more cases, or declare it a guard",
    "no-target": "declare `role: target` in task.yaml for what has to improve",
    "incomplete-task": "run it on all cases",
    "refused": "mend what the lines below say, and run again",
    "untrue-records": "record these again with tunegate record",
    "candidates-block": "read the table of each",
    "no-evaluation": "name what to evaluate, and run again",
    "release": "release it with tunegate release",
    "passed": GO_ON, "no-target-needed": GO_ON,
    "only-warned": "add cases: tunegate plan says how many",
}  # fmt: skip
#: What of a decision is itself the next step.
ADVICE: Sequence[Code] = ("advice", "sealed-not-evaluated")


def next_step(code: Code, remarks: Sequence[Remark] = (), unit: UnitReport | None = None) -> str:
    """Return `Next: ...` for what decides; empty if nothing is to be done.

    Args:
        code: that of what decides.
        remarks: those that may have a step of their own: a cause's `step`, or an advice.
        unit: the unit that decides.
    """
    own = [each.step for each in remarks if each.code == code and each.step]
    own += [each.text.rstrip(".") for each in remarks if each.code in ADVICE and not unit]
    step = next(iter(own), "") or STEPS.get(code, "").format(unit=unit and unit.key, cases=unit and _cases(unit))
    return f"Next: {step[0].lower()}{step[1:]}." if step else ""


def approval_step(rules: RuleReport) -> str:
    """Return what to do about rule changes."""
    return (
        f"Next: a reviewer reads the rule changes and runs it with --approve={rules.approve}." if rules.approve else ""
    )


def _cases(unit: UnitReport) -> str:
    if unit.sealed:
        return "open cases of the same kind"
    if unit.regressed == 1:
        return "its regressed case"
    return f"its {quantity(unit.regressed, 'regressed case')}" if unit.regressed else "its outputs"
