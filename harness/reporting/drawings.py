"""Drawings of the page, as numbers for SVG: an interval with its margin, and a score over time."""

from __future__ import annotations

from dataclasses import dataclass

from tunegate.harness.core.formatting import change, difference, level
from tunegate.harness.reporting.report import UnitHistory, UnitReport

MIDDLE, REACH = 100, 94  # in a drawing 200 wide: the position of zero, and its largest distance to an end
LEFT, WIDTH, TOP, HEIGHT = 6, 188, 6, 28  # of a line in a drawing 200 by 40


@dataclass(frozen=True, slots=True)
class IntervalDrawing:
    """Positions of the parts of an interval, in a width of 200, and its description."""

    low: float
    high: float
    point: float
    margin: float | None
    label: str


@dataclass(frozen=True, slots=True)
class LineDrawing:
    """A score over time, in an area 200 by 40: points with a release flag, the ends, and the description."""

    points: tuple[tuple[float, float, bool], ...]
    ends: str
    label: str

    @property
    def path(self) -> str:
        """The points in SVG polyline syntax."""
        return " ".join(f"{x},{y}" for x, y, _ in self.points)


def interval_drawing(unit: UnitReport) -> IntervalDrawing | None:
    """Return the interval of a unit's difference with zero and its margin; None if there is no interval."""
    if unit.interval is None or unit.difference is None:
        return None
    ends = [*unit.interval, unit.difference, -(unit.margin or 0.0)]
    scale = REACH / (max(abs(end) for end in ends) or 1.0)
    low, high, point, margin = (round(MIDDLE + scale * end, 1) for end in ends)
    said = f"difference {difference(unit.difference, unit.interval, unit.kind)}"
    if unit.margin is not None:
        said += f", margin {change(-unit.margin, unit.kind)}"
    return IntervalDrawing(low, high, point, None if unit.margin is None else margin, said)


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
    return LineDrawing(points, f"{said[0]} → {said[-1]}", ", then ".join(said))
