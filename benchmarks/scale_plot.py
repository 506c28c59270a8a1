"""The figure of `scale.py`: processor time by the number of cases, of the commands and of the gate's stages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

Points = Sequence[tuple[int, float]]  # cases, seconds


def draw(commands: Mapping[str, Points], stages: Mapping[str, Points], path: Path) -> None:
    """Draw both on logarithmic scales: what grows in step with the cases is a straight line of slope one."""
    with mpl.rc_context({"font.size": 9, "svg.hashsalt": "scale", "svg.fonttype": "none"}):
        figure = Figure(figsize=(9.2, 4.2), layout="constrained")
        left, right = figure.subplots(1, 2, sharex=True)
        _panel(left, "commands", commands)
        _panel(right, "the gate alone, by stage", stages)
        left.set_ylabel("seconds of processor time")
        figure.savefig(path, metadata={"Date": None})


def _panel(axes: Axes, title: str, lines: Mapping[str, Points]) -> None:
    for place, (name, points) in enumerate(lines.items()):
        color = mpl.colormaps["viridis"](place / max(len(lines), 2))
        axes.plot(*zip(*points, strict=True), marker="o", ms=3, c=color, label=name)
    axes.set(title=title, xscale="log", yscale="log", xlabel="cases")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#e6e6e6", linewidth=0.6)
    axes.legend(frameon=False, fontsize=8)
