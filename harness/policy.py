"""What `task.yaml` declares: targets, guards, margins, floors, looks and candidates, each with its reason."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from harness.checks.outcome import Kind
from harness.errors import AuthoringError, Problem
from harness.yamlfile import Document, check_shape, read_yaml

DEFAULT_MARGIN = 0.05


@dataclass(frozen=True, slots=True)
class UnitPolicy:
    """What the gate holds a unit to.

    `margin` is the loss that is tolerated, in points of the score (None: not gated); `reach` the level that counts as
    reached, `floor` the level below which a unit is regressed whatever its baseline, both in [0, 1].
    """

    role: Literal["target", "guard"] = "guard"
    margin: float | None = DEFAULT_MARGIN
    reach: float | None = None
    floor: float | None = None
    lower: Literal["allow", "block"] = "allow"
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Policy:
    """A task's policy. Without a task.yaml every unit guards and nothing can be released (`declared` is false)."""

    units: Mapping[str, UnitPolicy] = field(default_factory=dict)
    looks: int = 1
    candidates: int = 1
    declared: bool = False

    def of(self, unit: str, kind: Kind) -> UnitPolicy:
        """The policy of a unit by its name; a continuous unit is ungated until task.yaml declares a margin."""
        undeclared = UnitPolicy(margin=DEFAULT_MARGIN if kind == "pass/fail" else None)
        return self.units.get(unit, undeclared)

    @property
    def share(self) -> int:
        """What every error level is divided by: looks times candidates."""
        return self.looks * self.candidates

    @property
    def targets(self) -> tuple[str, ...]:
        """The names of the target units."""
        return tuple(name for name, unit in self.units.items() if unit.role == "target")


def read_policy(path: Path, shape: Mapping[str, Any], units: Mapping[str, Kind]) -> Policy:
    """Read a `task.yaml` for a task whose units (name to kind) are known.

    Raises:
        AuthoringError: every mistake in the file.
    """
    document = read_yaml(path)
    problems = check_shape(document, shape)
    if problems:
        raise AuthoringError(problems)
    data = document.data
    problems = [_unknown_unit(document, name, units) for name in data["units"] if name not in units]
    if problems:
        raise AuthoringError(problems)
    return Policy(
        units={name: _unit(values, units[name]) for name, values in data["units"].items()},
        looks=data.get("looks", {}).get("value", 1),
        candidates=data.get("candidates", {}).get("value", 1),
        declared=True,
    )


def _unit(values: Mapping[str, Any], kind: Kind) -> UnitPolicy:
    margin = DEFAULT_MARGIN if kind == "pass/fail" else None
    return UnitPolicy(**{"margin": margin, **values})


def _unknown_unit(document: Document, name: str, units: Mapping[str, Kind]) -> Problem:
    close = difflib.get_close_matches(name, units, n=1)
    hint = f"did you mean {close[0]!r}?" if close else ""
    return document.problem(("units", name), f"a unit of this task ({', '.join(units)})", repr(name), hint)
