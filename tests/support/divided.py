"""A small task of the demo's messages and passages for the embedded model, whose runs are divided and joined again."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tests.support.paths import ROOT
from tests.support.records import write_desk
from tunegate.harness.core.progress import Watch, quiet
from tunegate.harness.models.evaluation.noise import TOLERANCE
from tunegate.harness.models.options.run import Options
from tunegate.harness.session.run import Session

VARIES = {"created", "digest"}  # from one run to the next


def write_divisible(root: Path, messages: int = 12, passages: int = 4) -> Path:
    """Messages to be sorted, what the answers cost, and passages whose likelihood is asked for; returns the folder."""
    triage, retained = (
        yaml.safe_load((ROOT / "fixtures" / "support" / f"{name}.yaml").read_text("utf-8"))["cases"]
        for name in ("triage", "passages")
    )
    inputs = [case["input"] for case in triage]
    fixtures = root / "fixtures"
    write_desk(fixtures, messages, case_keys=lambda index: {"input": inputs[index]}, generate={"max_new_tokens": 12})
    files: dict[str, dict[str, Any]] = {
        "passages": {"suite": "retention", "unit": "passages", "check": {"measure": "passages"},
                     "cases": [{key: case[key] for key in ("id", "input")} for case in retained[:passages]]},
        "cost": {"suite": "cost", "unit": "triage-cost", "of": "triage"},
        "task": {
            "about": "A desk.",
            "units": {name: {"role": "guard", "margin": 0.9, "reason": "a test"}
                      for name in ("triage", "passages", "triage-cost")},
            "prices": {"currency": "USD", "input_per_million": 1, "output_per_million": 2, "reason": "a test"},
        },
    }  # fmt: skip
    for name, data in files.items():
        (fixtures / "desk" / f"{name}.yaml").write_text(json.dumps({"version": 1, **data}))
    return fixtures


def executed(options: Options, watch: Watch | None = None) -> Session:
    """A run of all units."""
    session = Session(options)
    session.selection.select([], session.selection.units())
    session.execute(watch or quiet())
    return session


def differing(one: Path, other: Path) -> list[str]:
    """Where two records differ, but for times; log-probabilities within what another batch makes of them."""
    return list(_differing(json.loads(one.read_text()), json.loads(other.read_text())))


def _differing(one: Any, other: Any, where: str = "") -> Iterator[str]:
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted({*one, *other} - (set() if where else VARIES)):
            yield from _differing(one.get(key), other.get(key), f"{where}/{key}")
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for index, pair in enumerate(zip(one, other, strict=True)):
            yield from _differing(*pair, f"{where}/{index}")
    elif isinstance(one, float) and isinstance(other, float) and "/passages/" in f"{where}/":
        if not math.isclose(one, other, abs_tol=TOLERANCE):
            yield f"{where}: {one} and {other}"
    elif one != other:
        yield f"{where}: {one} and {other}"
