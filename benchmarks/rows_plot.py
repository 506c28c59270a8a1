"""The figure of `rows.py`: right answers, and what was kept, by the number of rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

Point = tuple[str, int, float, Mapping[str, float]]  # in what way, rows, share that is right, means of general units


def draw(points: Sequence[Point], path: Path) -> None:
    """Draw a line for each way of training."""
    kept = list(points[0][3])
    with mpl.rc_context({"font.size": 9, "svg.hashsalt": "rows", "svg.fonttype": "none"}):
        figure = Figure(figsize=(10.2, 3.6), layout="constrained")
        first, *others = figure.subplots(1, 1 + len(kept), sharex=True)
        _panel(first, "right answers", [(way, rows, right) for way, rows, right, _ in points])
        for axes, name in zip(others, kept, strict=True):
            _panel(axes, f"kept: {name}", [(way, rows, means[name]) for way, rows, _, means in points])
        first.legend(frameon=False, fontsize=8)
        figure.savefig(path, metadata={"Date": None})


def _panel(axes: Axes, title: str, points: Sequence[tuple[str, int, float]]) -> None:
    ways = list(dict.fromkeys(way for way, _, _ in points))
    for place, way in enumerate(ways):
        line = [(rows, score) for each, rows, score in points if each == way]
        axes.plot(*zip(*line, strict=True), marker="o", ms=3, c=mpl.colormaps["viridis"](place / len(ways)), label=way)
    sizes = sorted({rows for _, rows, _ in points})
    axes.set(title=title, xscale="log", xlabel="rows")
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.minorticks_off()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#e6e6e6", linewidth=0.6)
