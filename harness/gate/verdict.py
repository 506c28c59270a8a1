"""What the gate says of one unit: the verdict, the numbers it rests on and the cases that moved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tunegate.harness.checks.base import Kind

Verdict = Literal["regressed", "inconclusive", "held", "cannot fall", "improved", "ungated"]


PartialRate = tuple[float, int]  # a rate, and the cases that it is one of


@dataclass(frozen=True, slots=True)
class PartVerdict:
    """A part of a unit's pass rule beside the reference: its rate among the `n` cases that ask for it.

    `label` is what sentences call it, and `named` what task.yaml does. Without a `margin` it is not gated. `difference`
    is that of its `observations`, and `interval` that of the difference, at the level of its unit; `p_worse` is that
    of worse, before it is corrected. What `fell` blocks. A part that is `whole` is all that passes a case. `base_only`
    and `mean_only` are what each record says by itself, where an answer of the other one brings some of the cases in.
    """

    name: str
    label: str
    n: int
    base: float
    mean: float
    margin: float | None = None
    interval: tuple[float, float] | None = None
    p_worse: float | None = None
    declared: str = ""
    fell: bool = False
    named: str = ""
    observations: int = 0
    difference: float = 0.0
    whole: bool = False
    base_only: PartialRate | None = None
    mean_only: PartialRate | None = None

    def as_dict(self) -> dict[str, Any]:
        """As it stands in a record."""
        return {name: _plain(getattr(self, name)) for name in self.__dataclass_fields__}


@dataclass(frozen=True, slots=True)
class NeverRight:
    """A value of a field that `n` cases expect and no answer has right; the reference has it right in `base` of them.

    `value` is JSON, and empty where the unit is sealed: it would tell what its cases expect.
    """

    field: str
    value: str
    n: int
    base: int

    def as_dict(self) -> dict[str, Any]:
        """As it stands in a record."""
        return {"field": self.field, "value": self.value, "n": self.n, "base": self.base}


@dataclass(frozen=True)
class UnitVerdict:
    """What the gate makes of one unit against one reference. Differences are tuned minus base, in the score's own unit.

    `interval` is that of the difference, each end one-sided at the `level` that judged; `p_worse` is that of worse,
    before it is corrected for the number of `tests` made together. `declared` is the reason that task.yaml gives.
    `base` and `mean` are means over the observations, of which groups make fewer than there are cases. `critical`
    names the critical cases that regressed, `already_failing` those the reference failed, `unstable` those of which
    one answer failed and it takes two; `by_themselves` flip where the base is asked twice, and of them the critical
    ones are `disarmed`; `before` holds what the reference answered to the regressed cases, unless the unit is sealed.
    `worse_slices` fell, `skipped` tags are no slices. `lower` says that it is worse beyond chance, `gained` that a
    guard, looked at alone, is better. A guard `cannot fall` where its reference passes nothing. An open unit is
    `proven_by` the sealed one that was judged with it. `parts` are those of its pass rule, and `never_right` the values
    of its fields that are never answered right.
    """

    unit: str
    reference: str
    verdict: Verdict
    reason: str
    role: str
    kind: Kind
    n: int
    base: float | None
    mean: float | None
    observations: int = 0
    difference: float | None = None
    interval: tuple[float, float] | None = None
    level: float | None = None
    p_worse: float | None = None
    tests: int = 0
    declared: str = ""
    margin: float | None = None
    regressed_cases: tuple[str, ...] = ()
    fixed_cases: tuple[str, ...] = ()
    critical: tuple[str, ...] = ()
    already_failing: tuple[str, ...] = ()
    unstable: tuple[str, ...] = ()
    disarmed: tuple[str, ...] = ()
    by_themselves: tuple[str, ...] = ()
    before: Mapping[str, str | None] = field(default_factory=dict)
    worse_slices: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    winsorised: int = 0
    span: float | None = None
    bounded: bool = True
    collapsed: int = 0
    collapse_bound: float | None = None
    target_score: float | None = None
    score_bound: float | None = None
    reached: bool = False
    lower: bool = False
    gained: bool = False
    sealed: bool = False
    proven_by: str = ""
    blocks: bool = False
    base_rates: Mapping[str, float] = field(default_factory=dict)
    topics: str = ""
    effective: float | None = None
    together: tuple[str, ...] = ()
    parts: tuple[PartVerdict, ...] = ()
    never_right: tuple[NeverRight, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """As it stands in a record."""
        raw = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "unit"}
        return {key: _plain(value) for key, value in raw.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, PartVerdict | NeverRight):
        return value.as_dict()
    return [_plain(each) for each in value] if isinstance(value, tuple) else value
