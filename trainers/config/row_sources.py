"""What a recipe may say of its rows: the names of their forms, and whether they are a data set of the Hub."""

from __future__ import annotations

from pathlib import Path

from tunegate.harness.authoring.columnar import HUB

AUTO, OWN, CHAT = "auto", "tunegate", "chat"
FORM_NAMES = (
    AUTO, OWN, CHAT, "prompt-completion", "preference", "kto", "openai-preference", "sharegpt", "alpaca",
)  # fmt: skip


def hub_name(path: Path) -> str:
    """The name of a data set of the Hub that stands in place of a file of rows; empty for a file."""
    name = path.as_posix()
    return name if name.startswith(HUB) else ""
