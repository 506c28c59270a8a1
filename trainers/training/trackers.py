"""Where a training's losses are logged, too: transformers' own integrations, kept on this machine by default."""

from __future__ import annotations

import os
import time
from typing import Any

from tunegate.trainers.config.recipe import Recipe

#: Usage statistics of the libraries; the user's environment may turn them on.
NO_TELEMETRY = {"MLFLOW_DISABLE_TELEMETRY": "true", "GRADIO_ANALYTICS_ENABLED": "False"}


def tracking(recipe: Recipe) -> dict[str, Any]:
    """The arguments of a trainer for `report_to`; where a tracker logs to is for its own environment variables."""
    if not recipe.report_to:
        return {"report_to": "none"}
    for name, value in NO_TELEMETRY.items():
        os.environ.setdefault(name, value)
    return {
        "report_to": list(recipe.report_to), "run_name": recipe.output.name, "project": recipe.task,
        "trackio_static_space_id": False,  # otherwise a project of Trackio's on the hub would be published
    }  # fmt: skip


def place_tensorboard(trainer: Any, recipe: Recipe) -> None:
    """Let TensorBoard's files outlive the work folder of the training: `runs/` beside the adapter's folder."""
    if "tensorboard" not in recipe.report_to:
        return
    from transformers.integrations import TensorBoardCallback

    name = f"{recipe.output.name}-{time.strftime('%Y%m%d-%H%M%S')}"
    for each in trainer.callback_handler.callbacks:
        if isinstance(each, TensorBoardCallback) and each.logging_dir is None:
            each.logging_dir = str(recipe.output.parent / "runs" / name)
