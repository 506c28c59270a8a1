"""Whatever a model answers ends as a finding, within a second and 200 MB: measured in a process of its own each."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.support.hostile import KINDS
from tests.support.paths import ROOT

SECONDS = 1.0  # of processor time: other work on the machine stretches the wall clock
MB = 200  # the whole process, interpreter and libraries included


@pytest.fixture(scope="module")
def measured():
    run = subprocess.run(
        [sys.executable, "-m", "tests.support.hostile"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    results = [json.loads(line) for line in run.stdout.splitlines()]
    return {result["name"]: result for result in results}


def is_bounded(result: dict) -> bool:
    said = [finding for findings in result.get("said", ()) for finding in findings]
    return (
        "error" not in result
        and (result["cpu"] < SECONDS and result["mb"] < MB)
        and set(result["scores"]) == {0.0}
        and all(result["said"])
        and all(finding.isprintable() and len(finding) < 500 for finding in said)
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_hostile_output_is_a_finding_within_bounds(measured, kind):
    of_kind = [result for name, result in measured.items() if name.startswith(f"{kind}: ")]

    assert len(of_kind) >= 7
    assert [result for result in of_kind if not is_bounded(result)] == []


def test_an_output_that_never_ends_would_be_seen():
    endless = "lambda name: lambda: [each for each in iter(int, 1) if each]"
    code = f"from tests.support import hostile; hostile.MOST_SECONDS = 1; hostile.KINDS = {{'x': ({endless}, [])}}"
    code += "; print(hostile.measured('x: y')['error'])"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert "ended with status" in run.stdout
