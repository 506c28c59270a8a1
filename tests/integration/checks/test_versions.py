"""A check has a version, which is raised when its outcomes change: a changed outcome without one fails here.

After a change that is meant: raise the version of the kind, `make golden`, then read the file's diff.
"""

from __future__ import annotations

import json
import os
from dataclasses import replace

import pytest

from tests.support.outcomes import ASKED, outcomes, unraised
from tests.support.paths import GOLDEN, ROOT
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.checks.base import Outcome
from tunegate.harness.checks.registry import CHECKS

OUTCOMES = GOLDEN / "outcomes.json"


@pytest.mark.golden
def test_golden_outcomes_change_with_a_raised_version_only():
    now = {name: outcomes(CHECKS[name], asked) for name, asked in ASKED.items()}
    golden = json.loads(OUTCOMES.read_text()) if OUTCOMES.exists() else {}

    assert unraised(golden, now) == []  # also when they are written
    if os.environ.get("TUNEGATE_GOLDEN") == "write":
        lines = [f'"{name}": {json.dumps(each)}' for name, each in now.items()]
        OUTCOMES.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    assert json.loads(OUTCOMES.read_text()) == now


def test_every_kind_of_check_is_asked():
    assert ASKED.keys() == CHECKS.keys()


@pytest.mark.parametrize("name", ["schema", "vocabulary", "voice", "retention/questions"])
def test_the_outputs_tell_a_pass_from_a_miss(name):
    scores = {score for score, *_ in json.loads(OUTCOMES.read_text())[name]["outcomes"]}

    assert scores == {0.0, 1.0}


def test_a_changed_outcome_without_a_raised_version_is_told():
    kind, asked = CHECKS["retention/questions"], ASKED["retention/questions"]
    golden = {"retention/questions": outcomes(kind, asked)}

    def lenient(output, expect, prompt):
        return Outcome(1.0)

    class Lenient:
        references = kind.load({"measure": "questions"}, None, ()).references
        __call__ = staticmethod(lenient)

    changed = replace(kind, load=lambda *_: Lenient())

    now, raised = kind.version, kind.version + 1
    [told] = unraised(golden, {"retention/questions": outcomes(changed, asked)})
    said = f"retention/questions: expected version {raised}, since outcomes changed, found {now}; raise `version`"
    assert told.startswith(said)
    assert unraised(golden, {"retention/questions": outcomes(replace(changed, version=raised), asked)}) == []


def test_questions_hold_the_version():
    units = [unit for task in load_tasks(ROOT / "fixtures") for unit in task.units]

    assert {unit.questions["check version"] for unit in units} == {str(unit.check_kind.version) for unit in units}
