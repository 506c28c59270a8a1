"""The figure: what each rule says against the true change, one column a number of cases."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.gate_passfail import Curve
from benchmarks.gate_references import Twice
from benchmarks.gate_results import BOUND
from benchmarks.gate_rule import BOOTSTRAP, DROP, FLIP, OURS

ERROR, GRID, AXIS = "#c0504d", "#e6e6e6", "#999999"


class Style(NamedTuple):
    """How a rule's line looks."""

    color: str
    width: float
    dashes: str | tuple[int, tuple[float, ...]]


STYLES = {
    FLIP: Style("#b8860b", 1.5, (0, (1, 1.2))),
    DROP: Style(ERROR, 1.5, (0, (5, 2))),
    BOOTSTRAP: Style("#3f78d8", 1.5, (0, (5, 1.5, 1, 1.5))),
    OURS: Style("#111111", 2.4, "-"),
}


def draw(curves: Sequence[Curve], path: Path) -> None:
    """Draw P(held) above and P(regressed) below; the format is the path's."""
    with mpl.rc_context({"font.size": 9, "svg.hashsalt": "gate", "svg.fonttype": "none"}):
        figure = Figure(figsize=(2.35 * len(curves) + 0.9, 5.8), layout="constrained")
        grid = figure.subplots(2, len(curves), sharex=True, sharey=True, squeeze=False)
        for column, curve in enumerate(curves):
            grid[0, column].set_title(f"n = {curve.n}", fontsize=10, fontweight="bold")
            grid[1, column].set_xlabel("true change, margins")
            _panel(grid[0, column], curve, held=True)
            _panel(grid[1, column], curve, held=False)
        _words(grid[0, 0], "P(held)", "a loss of a\nmargin or more\nis called held", at=0.03)
        _words(grid[1, 0], "P(regressed)", "no loss, and\ncalled regressed", at=0.97)
        handles, labels = grid[0, 0].get_legend_handles_labels()
        figure.legend(handles[::-1], labels[::-1], loc="outside lower center", ncols=4, frameon=False)
        figure.suptitle(
            f"One pass/fail suite of n cases, flip rate {100 * curves[0].flip_rate:g} %, exact. "
            f"Shaded: an error more often than {100 * BOUND:g} %",
            fontsize=10,
        )
        figure.savefig(path, dpi=150, metadata={"Date": None} if path.suffix == ".svg" else None)


def draw_references(found: Sequence[Twice], path: Path) -> None:
    """Beside two references: any false alarm above, a drop found below, over the number of cases."""
    kinds = list(dict.fromkeys((each.family.units, each.family.alike) for each in found))
    rates = list(dict.fromkeys(each.family.flip_rate for each in found))
    with mpl.rc_context({"font.size": 9, "svg.hashsalt": "references", "svg.fonttype": "none"}):
        figure = Figure(figsize=(2.1 * len(kinds) + 0.9, 4.8), layout="constrained")
        grid = figure.subplots(2, len(kinds), sharex=True, sharey="row", squeeze=False)
        for column, kind in enumerate(kinds):
            for place, rate in enumerate(rates):
                wanted = (*kind, rate)
                mine = [e for e in found if (e.family.units, e.family.alike, e.family.flip_rate) == wanted]
                sizes, color = [each.family.n for each in mine], mpl.colormaps["viridis"](place / max(len(rates), 2))
                label = f"flip rate {100 * rate:g} %"
                grid[0, column].plot(
                    sizes, [100 * each.either for each in mine], marker="o", ms=3, c=color, label=label
                )
                grid[1, column].plot(sizes, [100 * each.found for each in mine], marker="o", ms=3, c=color)
            units, alike = kind
            name = f"{units} unit{'s' if units > 1 else ''}{', common flips' if alike else ''}"
            grid[0, column].set_title(name, fontsize=9)
            grid[0, column].axhline(100 * BOUND, color=ERROR, linewidth=1)
            grid[1, column].set_xlabel("cases a unit")
        grid[0, 0].set(ylabel="any false alarm, %", ylim=(0, 100 * BOUND + 2))
        grid[1, 0].set(ylabel="10 points found, %", ylim=(-2, 102))
        figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=4, frameon=False)
        figure.savefig(path, metadata={"Date": None})


def _panel(axes: Axes, curve: Curve, *, held: bool) -> None:
    first, last = min(curve.changes), max(curve.changes)
    wrong = (first, -1) if held else (0, last)
    axes.fill_between(wrong, 100 * BOUND, 102, color=ERROR, alpha=0.1, linewidth=0)
    for line in (-1, 0):
        axes.axvline(line, color=AXIS, linewidth=0.7)
    for name, style in STYLES.items():
        values = [100 * (each.holds if held else each.regressed) for each in curve.rates[name]]
        axes.plot(curve.changes, values, color=style.color, lw=style.width, ls=style.dashes, label=name)
    axes.set(xlim=(first, last), ylim=(-2, 102), xticks=(-2, -1, 0))
    axes.set_yticks((0, 25, 50, 75, 100), labels=("0", "25", "50", "75", "100 %"))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)


def _words(axes: Axes, label: str, wrong: str, *, at: float) -> None:
    """Name the row, and its shaded corner."""
    axes.set_ylabel(label)
    side = "left" if at < 0.5 else "right"
    axes.text(at, 0.98, wrong, transform=axes.transAxes, ha=side, va="top", fontsize=8, color=ERROR)
