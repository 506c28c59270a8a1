"""Workflow commands of GitHub Actions, which shows them beside the lines of a pull request.

They are described in GitHub's "Workflow commands for GitHub Actions".
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from tunegate.harness.core.errors import show_path
from tunegate.harness.core.escaping import shown_lines

Level = Literal["error", "warning", "notice"]


def workflow_command(level: Level, file: Path | None, line: int, title: str, text: str) -> str:
    """One command: `::error file=..,line=..,title=..::..`, or without a place."""
    place = f"file={_property(_in_workspace(file))},line={max(line, 1)}," if file else ""
    return f"::{level} {place}title={_property(title)}::{_data(text)}"


def _in_workspace(file: Path) -> str:
    """A path as GitHub wants it: from the root of the checkout, also where the command ran below it."""
    path = Path(os.path.realpath(file))  # which takes links that lead in a circle
    root = Path(os.environ.get("GITHUB_WORKSPACE") or Path.cwd()).resolve()
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else show_path(file)


def _data(text: str) -> str:
    # % first, or the escapes of the others would be escaped again
    return shown_lines(text).replace("%", "%25").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
