"""What the gate says of one unit: the verdict, the numbers it rests on and the cases that moved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Verdict = Literal["regressed", "inconclusive", "held", "improved", "ungated"]


@dataclass(frozen=True)
class Judged:
    """What the gate makes of one unit against one reference. Differences are tuned minus base, in points of score."""

    unit: str
    reference: str
    verdict: Verdict
    reason: str
    role: str
    n: int
    base: float | None
    mean: float | None
    difference: float | None = None
    interval: tuple[float, float] | None = None
    margin: float | None = None
    broke: tuple[str, ...] = ()
    fixed: tuple[str, ...] = ()
    critical: tuple[str, ...] = ()
    unarmed: tuple[str, ...] = ()
    worse_slices: tuple[str, ...] = ()
    reached: bool = False
    lower: bool = False
    blocks: bool = False

    def as_dict(self) -> dict[str, Any]:
        """As it stands in a record."""
        raw = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "unit"}
        return {key: list(value) if isinstance(value, tuple) else value for key, value in raw.items()}
