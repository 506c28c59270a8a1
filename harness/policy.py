"""What `task.yaml` declares: targets, guards, margins, floors, looks, candidates, prices, each with its reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from harness.checks.cost import Prices, read_prices
from harness.checks.outcome import Kind
from harness.document import Document
from harness.errors import AuthoringError, Problem
from harness.shape import check_shape, did_you_mean
from harness.yamlfile import read_yaml

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
    prices: Prices | None = None

    def of(self, unit: str, kind: Kind) -> UnitPolicy:
        """The policy of a unit by its name; a continuous unit is ungated until task.yaml declares a margin."""
        undeclared = UnitPolicy(margin=DEFAULT_MARGIN if kind == "pass/fail" else None)
        return self.units.get(unit, undeclared)

    def as_dict(self, unit: str, kind: Kind, sealed: bool = False) -> dict[str, Any]:
        """What a unit is held to, without the reasons, as records and baselines keep it."""
        held = asdict(self.of(unit, kind))
        del held["reason"]
        return held | {"looks": self.looks, "candidates": self.candidates, "sealed": sealed}

    @property
    def share(self) -> int:
        """What every error level is divided by: looks times candidates."""
        return self.looks * self.candidates

    @property
    def targets(self) -> tuple[str, ...]:
        """The names of the target units."""
        return tuple(name for name, unit in self.units.items() if unit.role == "target")


def _lower(old: float | None, new: float | None) -> bool:
    return old is not None and (new is None or new < old)


# By term: whether a change lets more pass. A reach is one more way to succeed, a look less is a higher level, and a
# sealed unit need not be held.
LOOSER: Mapping[str, Callable[[Any, Any], bool]] = {
    "role": lambda old, new: (old, new) == ("target", "guard"),
    "margin": lambda old, new: old is not None and (new is None or new > old),
    "reach": lambda old, new: new is not None and (old is None or new < old),
    "floor": _lower,
    "lower": lambda old, new: (old, new) == ("block", "allow"),
    "looks": _lower,
    "candidates": _lower,
    "sealed": lambda old, new: new and not old,
}


def policy_changes(old: Mapping[str, Any], new: Mapping[str, Any], looser: bool) -> list[str]:
    """The terms of a unit that became looser (or those that became stricter), in words: `margin 0.05 -> 0.1`."""
    return [
        f"{name} {_term(old.get(name))} -> {_term(new.get(name))}"
        for name, is_looser in LOOSER.items()
        if old.get(name) != new.get(name) and is_looser(old.get(name), new.get(name)) == looser
    ]


def _term(value: Any) -> str:
    return "none" if value is None else str(value).lower()


def read_policy(path: Path, shape: Mapping[str, Any], units: Mapping[str, Kind], complete: bool = True) -> Policy:
    """Read a `task.yaml` for a task with these units (name to kind); not `complete`: there may be others.

    Raises:
        AuthoringError: every mistake in the file.
    """
    document = read_yaml(path)
    problems = check_shape(document, shape)
    if complete:
        problems += _unknown_units(document, units)
    if problems:
        raise AuthoringError(problems)
    data = document.data
    problems = list(_not_rates(document, units))
    if problems:
        raise AuthoringError(problems)
    return Policy(
        units={name: _unit(values, units[name]) for name, values in data["units"].items() if name in units},
        looks=data.get("looks", {}).get("value", 1),
        candidates=data.get("candidates", {}).get("value", 1),
        declared=True,
        prices=read_prices(data["prices"]) if "prices" in data else None,
    )


def _unit(values: Mapping[str, Any], kind: Kind) -> UnitPolicy:
    margin = DEFAULT_MARGIN if kind == "pass/fail" else None
    return UnitPolicy(**{"margin": margin, **values})


def _not_rates(document: Document, units: Mapping[str, Kind]) -> Iterator[Problem]:
    for name, values in document.data["units"].items():
        for key in ("reach", "floor"):
            if key in values and units.get(name) == "continuous":
                expected = f"no {key}, which is a share of cases passed: {name} is continuous"
                yield document.problem(("units", name, key), expected, str(values[key]), "declare a margin instead")


def _unknown_units(document: Document, units: Mapping[str, Kind]) -> Iterator[Problem]:
    named = document.data.get("units") if isinstance(document.data, dict) else None
    for name in named if isinstance(named, dict) else ():
        if isinstance(name, str) and name not in units:
            expected = f"a unit of this task ({', '.join(units)})"
            yield document.problem(("units", name), expected, repr(name), did_you_mean(name, units))
