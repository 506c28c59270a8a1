"""What a recipe may say of its rows: the names of their forms, and data sets of the Hub."""

from __future__ import annotations

import re
from pathlib import Path

AUTO, OWN, CHAT = "auto", "tunegate", "chat"
FORM_NAMES = (
    AUTO, OWN, CHAT, "prompt-completion", "preference", "kto", "openai-preference", "sharegpt", "alpaca",
)  # fmt: skip
HUB_FORM = "hub:OWNER/NAME@REVISION or hub:OWNER/NAME@REVISION#SPLIT"
HUB_NAME = re.compile(r"hub:(?P<name>[\w.-]+/[\w.-]+)@(?P<revision>[\w./-]+)(?:#(?P<split>[\w.-]+))?")


def hub_name(path: Path) -> str:
    """The name of a data set of the Hub that stands in place of a file of rows; empty for a file."""
    name = path.as_posix()
    return name if name.startswith("hub:") else ""
