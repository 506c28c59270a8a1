"""Plots of a training's evaluations over its steps: the task's own score, loss, divergence from the base."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tunegate.harness.core.extras import need
from tunegate.harness.core.files import write_atomically

SIZE = (6.4, 5.6)  # inches
#: The plots, from top to bottom: the key of an evaluation, and the axis label.
CURVES_OF = {"score": "score", "loss": "validation loss", "kl": "KL from the base, nats per token"}


def draw_curves(path: Path, facts: Mapping[str, Any], most_kl: float | None) -> None:
    """Write an SVG of a training's evaluations, with the chosen step and the limit `most_kl` in nats per token.

    `facts` are those of the training record, with the evaluations.

    Raises:
        CouldNotRun: Matplotlib is not installed, or the file cannot be written.
    """
    from io import StringIO

    matplotlib = need("matplotlib")
    figure_of = need("matplotlib.figure").Figure
    found = facts["validation"]
    drawn = {key: axis for key, axis in CURVES_OF.items() if any(each[key] is not None for each in found)}
    if not drawn:
        return
    with matplotlib.rc_context({"svg.hashsalt": "tunegate", "font.size": 9}):  # reproducible bytes
        figure = figure_of(figsize=SIZE, layout="constrained")
        axes = figure.subplots(len(drawn), 1, sharex=True, squeeze=False)[:, 0]
        for axis, (key, name) in zip(axes, drawn.items(), strict=True):
            points = [(each["step"], each[key]) for each in found if each[key] is not None]
            axis.plot(*zip(*points, strict=True), marker="o", markersize=3)
            axis.axvline(facts["best_step"], linestyle=":", color="grey")
            axis.set_ylabel(name)
            if key == "kl" and most_kl is not None:
                axis.axhline(most_kl, linestyle="--", color="firebrick")
        axes[-1].set_xlabel(f"step; step {facts['best_step']} was chosen")
        text = StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None})
    write_atomically(path, text.getvalue())
