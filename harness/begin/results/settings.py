"""What two result files are held to: margins, targets and minimum scores, from options and from a small YAML file."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from tunegate.harness.begin.results.directions import HIGHER, LOWER, Better
from tunegate.harness.cases.policy import DEFAULT_COLLAPSE, DEFAULT_MARGIN, Policy, UnitPolicy
from tunegate.harness.checks.base import Kind
from tunegate.harness.core.authoring.document import Document
from tunegate.harness.core.authoring.validation import did_you_mean, validate
from tunegate.harness.core.authoring.yaml_reader import read_yaml
from tunegate.harness.core.errors import AuthoringError, Problem, UsageError
from tunegate.harness.core.escaping import shown

T = TypeVar("T")
_ABOVE_0 = {"type": "number", "exclusiveMinimum": 0}
_SHARE = {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}
_BETTER = {"enum": [HIGHER, LOWER]}
_NAMES = {"type": "array", "items": {"type": "string"}, "uniqueItems": True}
#: A policy file. `margin` holds for every metric with scores from 0 to 1; a metric without bounds needs its own.
SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "margin": {**_SHARE, "description": "a share above 0 and below 1: .05 is five points"},
        "margins": {"type": "object", "additionalProperties": _ABOVE_0, "description": "a margin for each metric"},
        "targets": {**_NAMES, "description": "a list of metrics that have to improve"},
        "minimum": {
            "type": "object", "additionalProperties": {"type": "number", "minimum": 0, "maximum": 1},
            "description": "a minimum score for each metric, from 0 to 1",
        },
        "collapse": {"type": "object", "additionalProperties": _SHARE, "description": "a share for each metric"},
        "better": {
            "type": "object", "additionalProperties": _BETTER,
            "description": "higher or lower for each metric of which neither its file nor its name says it",
        },
    },
}  # fmt: skip
_BY_METRIC = ("margins", "minimum", "collapse", "better")


@dataclass(frozen=True)
class Settings:
    """What metrics are held to, by name. `margin` is that of metrics from 0 to 1 without one of their own.

    `better` says of metrics whether more or less of them is better, whatever their file or name says.
    """

    margin: float = DEFAULT_MARGIN
    margins: Mapping[str, float] = field(default_factory=dict)
    targets: frozenset[str] = frozenset()
    minimum: Mapping[str, float] = field(default_factory=dict)
    collapse: Mapping[str, float] = field(default_factory=dict)
    better: Mapping[str, Better] = field(default_factory=dict)
    document: Document | None = None
    options: tuple[str, ...] = ()

    @property
    def named(self) -> frozenset[str]:
        """The metrics that something is said of."""
        return frozenset((*self.margins, *self.targets, *self.minimum, *self.collapse, *self.better))

    def policy(self, kinds: Mapping[str, Kind]) -> Policy:
        """The policy of a task whose units have these names and kinds."""
        return Policy({name: self._of(name, kind) for name, kind in kinds.items()}, declared=True)

    def _of(self, name: str, kind: Kind) -> UnitPolicy:
        margin = self.margins.get(name, self.margin if kind == "pass/fail" else None)
        return UnitPolicy(
            "target" if name in self.targets else "guard", margin, minimum_score=self.minimum.get(name),
            collapse=self.collapse.get(name, DEFAULT_COLLAPSE),
        )  # fmt: skip

    def check(self, kinds: Mapping[str, Kind], lower: Collection[str], known: Collection[str]) -> None:
        """Hold the settings against the metrics of the files: `known` are all of them, `kinds` those that are compared.

        Raises:
            UsageError: an option names no metric, or says of it what cannot be.
            AuthoringError: the policy file does, with the lines.
        """
        for option, _, name in (each.partition(" ") for each in self.options):
            if name not in known:
                hint = did_you_mean(name, known)
                found = f"{option}: expected a metric of the files ({_some(known)}), found {shown(name)}"
                raise UsageError(found + (f"; {hint}" if hint else ""))
        if problems := list(self._problems(kinds, lower, known)):
            raise AuthoringError(problems)
        for name, kind in kinds.items():
            if kind == "pass/fail" and self.margins.get(name, 0) >= 1:
                found = f"{self.margins[name]:g}"
                raise UsageError(f"--margin {shown(name)}: expected a share below 1, found {found}; .05 is five points")

    def _problems(self, kinds: Mapping[str, Kind], lower: Collection[str], known: Collection[str]) -> Iterator[Problem]:
        document = self.document
        if document is None:
            return
        for key in (*_BY_METRIC, "targets"):
            for place, name in _named(document, key):
                if name not in known:
                    where, hint = (key, place), did_you_mean(name, known)
                    yield document.problem(where, f"a metric of the files ({_some(known)})", repr(name), hint)
        for name, value in (document.data.get("margins") or {}).items():
            if kinds.get(name) == "pass/fail" and value >= 1:
                expected = f"a share below 1, for {name} has scores from 0 to 1"
                yield document.problem(("margins", name), expected, f"{value:g}", ".05 is five points")
        for name in document.data.get("minimum") or {}:
            if kinds.get(name) == "continuous" or name in lower:
                found = "one without bounds" if kinds.get(name) == "continuous" else "one of which less is better"
                yield document.problem(("minimum", name), "a metric with scores from 0 to 1", found)


def _named(document: Document, key: str) -> Iterator[tuple[str | int, str]]:
    """The metrics that a key of the policy file names, each with its place there."""
    value = document.data.get(key) or ()
    yield from enumerate(value) if isinstance(value, list) else ((name, name) for name in value)


def _some(known: Collection[str]) -> str:
    names = [shown(name) for name in known]
    return ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")


def read_compare_settings(policy: Path | None, margins: Sequence[str], better: Sequence[str]) -> Settings:
    """What a policy file and options say; where both speak of a metric, the option counts.

    Args:
        policy: the YAML file, if there is one.
        margins: values of `--margin`: `.05` for all metrics from 0 to 1, `METRIC=.03` for one.
        better: values of `--better`: `METRIC=higher` or `METRIC=lower`.

    Raises:
        UsageError: a margin or a direction is none, or there are several for one metric.
        AuthoringError: mistakes in the file, with their lines.
    """
    found = _from_file(policy) if policy else Settings()
    named = _once("--margin", map(_split, margins))
    known = _once("--better", map(_direction, better))
    options = (*(f"--margin {name}" for name in named if name), *(f"--better {name}" for name in known))
    return replace(
        found, margin=named.pop("", found.margin), margins={**found.margins, **named},
        better={**found.better, **known}, options=options,
    )  # fmt: skip


def _once(option: str, given: Iterable[tuple[str, T]]) -> dict[str, T]:
    """What an option says of each metric; UsageError if it says several things of one."""
    pairs = list(given)
    if twice := [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]:
        raise UsageError(f"{option}: expected one for each metric, found several for {_some(twice) or 'all of them'}")
    return dict(pairs)


def _from_file(path: Path) -> Settings:
    document = read_yaml(path)
    if problems := validate(document, SCHEMA):
        raise AuthoringError(problems)
    data = document.data
    return Settings(
        float(data.get("margin", DEFAULT_MARGIN)), data.get("margins", {}), frozenset(data.get("targets", ())),
        data.get("minimum", {}), data.get("collapse", {}), data.get("better", {}), document,
    )  # fmt: skip


def _direction(text: str) -> tuple[str, Better]:
    """The metric and the direction of an option."""
    name, _, value = text.rpartition("=")
    if not name or value not in (HIGHER, LOWER):
        raise UsageError(f"--better: expected METRIC={HIGHER} or METRIC={LOWER}, found {shown(text)}")
    return name, HIGHER if value == HIGHER else LOWER


def _split(text: str) -> tuple[str, float]:
    """The metric, empty for all, and the margin of an option."""
    name, _, value = text.rpartition("=")
    try:
        margin = float(value)
    except ValueError:
        margin = math.nan
    if not (margin > 0 and math.isfinite(margin)):
        expected = "--margin: expected a number above 0, or METRIC=NUMBER"
        raise UsageError(f"{expected}, found {shown(text)}; .05 is five points")
    if not name and margin >= 1:
        raise UsageError(f"--margin: expected a share below 1, found {shown(text)}; .05 is five points")
    return name, margin
