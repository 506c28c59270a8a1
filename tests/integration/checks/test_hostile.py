"""Whatever a model answers ends as a finding, within a second and 200 MB: measured in a process of its own each."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.support.hostile import NAMES
from tests.support.paths import ROOT

SECONDS = 1.0  # of processor time: other work on the machine stretches the wall clock
STRETCHED = 20.0  # of wall clock, all the same: nothing waits
MB = 200  # the whole process, interpreter and libraries included


@pytest.fixture(scope="module")
def measured():
    run = subprocess.run(
        [sys.executable, "-m", "tests.support.hostile"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    results = [json.loads(line) for line in run.stdout.splitlines()]
    return {result["name"]: result for result in results}


@pytest.mark.parametrize("name", NAMES)
def test_a_hostile_output_is_a_finding_within_bounds(measured, name):
    result = measured[name]

    assert result.get("error") is None
    assert result["cpu"] < SECONDS
    assert result["wall"] < STRETCHED
    assert result["mb"] < MB
    assert set(result["scores"]) == {0.0}
    for findings in result["said"]:
        assert findings
        assert all(finding.isprintable() and len(finding) < 500 for finding in findings)


def test_an_output_that_never_ends_would_be_seen():
    endless = "lambda name: lambda: [each for each in iter(int, 1) if each]"
    code = f"from tests.support import hostile; hostile.MOST_SECONDS = 1; hostile.KINDS = {{'x': ({endless}, [])}}"
    code += "; print(hostile.measured('x: y')['error'])"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert "ended with status" in run.stdout
