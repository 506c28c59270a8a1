"""Drawings of the page, as numbers for SVG: an interval with its margin, and a score over time."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tunegate.harness.core.formatting import change, difference, level, plain
from tunegate.harness.reporting.report import UnitHistory, UnitReport

MIDDLE, REACH = 100, 80  # in a drawing 200 wide: the position of zero, and its largest distance to an end
STEPS = (1.0, 2.0, 5.0)  # of a scale, times a power of ten
LEFT, WIDTH, TOP, HEIGHT = 6, 188, 6, 28  # of a line in a drawing 200 by 40


@dataclass(frozen=True, slots=True)
class IntervalDrawing:
    """Positions of the parts of an interval, in a width of 200, with its description.

    `ticks` are the positions and numbers of its scale.
    """

    low: float
    high: float
    point: float
    margin: float | None
    ticks: tuple[tuple[float, str], ...]
    label: str


@dataclass(frozen=True, slots=True)
class LineDrawing:
    """A score over time, in an area 200 by 40: points with a release flag, the ends, and the description.

    `most` and `least` are the scores at its top and bottom; equal if there is only one.
    """

    points: tuple[tuple[float, float, bool], ...]
    most: str
    least: str
    ends: str
    label: str

    @property
    def path(self) -> str:
        """The points in SVG polyline syntax."""
        return " ".join(f"{x},{y}" for x, y, _ in self.points)


def interval_drawing(unit: UnitReport) -> IntervalDrawing | None:
    """Return the interval of a unit's difference with zero and its margin; None if there is no interval.

    The scale is in points for pass/fail, otherwise in the score's own unit.
    """
    if unit.interval is None or unit.difference is None:
        return None
    ends = [*unit.interval, unit.difference, -(unit.margin or 0.0)]
    most = max(abs(end) for end in ends) or 1.0
    scale = REACH / most
    low, high, point, margin = (round(MIDDLE + scale * end, 1) for end in ends)
    said = f"difference {difference(unit.difference, unit.interval, unit.kind)}"
    if unit.margin is not None:
        said += f", margin {change(-unit.margin, unit.kind)}"
    return IntervalDrawing(low, high, point, None if unit.margin is None else margin, _ticks(most, unit.kind), said)


def _ticks(most: float, kind: str) -> tuple[tuple[float, str], ...]:
    """Return zero and a round number on each side of it, the largest one that is within the reach."""
    power = 10.0 ** math.floor(math.log10(most))
    step = max(each * power for each in STEPS if each * power <= most * (1 + 1e-9))
    shown = 100 * step if kind == "pass/fail" else step
    texts = (f"-{plain(shown)}", "0", f"+{plain(shown)}")
    return tuple(
        (round(MIDDLE + REACH * end / most, 1), text) for end, text in zip((-step, 0.0, step), texts, strict=True)
    )


def history_drawing(history: UnitHistory) -> LineDrawing | None:
    """Return the scores on the present questions, from lowest to highest; None for fewer than two."""
    known = [(each.mean, each) for each in history.entries if each.mean is not None and each.is_comparable]
    if len(known) < 2:
        return None
    least, most = (end(mean for mean, _ in known) for end in (min, max))
    points = tuple(
        (round(LEFT + WIDTH * number / (len(known) - 1), 1),
         round(TOP + HEIGHT * ((most - mean) / (most - least) if most > least else 0.5), 1),
         entry.event == "released")
        for number, (mean, entry) in enumerate(known)
    )  # fmt: skip
    said = [level(mean, history.kind) for mean, _ in known]
    top, bottom = level(most, history.kind), level(least, history.kind)
    return LineDrawing(points, top, bottom, f"{said[0]} → {said[-1]}", ", then ".join(said))
