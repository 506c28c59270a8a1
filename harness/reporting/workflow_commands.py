"""GitHub Actions workflow commands, which appear beside the lines of a pull request.

See GitHub's "Workflow commands for GitHub Actions".
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from tunegate.harness.core.errors import show_path
from tunegate.harness.core.escaping import shown_lines

Level = Literal["error", "warning", "notice"]


def workflow_command(level: Level, file: Path | None, line: int, title: str, text: str) -> str:
    """Return one command: `::error file=..,line=..,title=..::..`, or without a place."""
    place = f"file={_property(_in_workspace(file))},line={max(line, 1)}," if file else ""
    return f"::{level} {place}title={_property(title)}::{_data(text)}"


def _in_workspace(file: Path) -> str:
    """Return a path from the root of the checkout, as GitHub requires, even if the command ran below it."""
    path = Path(os.path.realpath(file))  # tolerates circular links
    root = Path(os.environ.get("GITHUB_WORKSPACE") or Path.cwd()).resolve()
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else show_path(file)


def _data(text: str) -> str:
    # % first, since the other escapes contain it
    return shown_lines(text).replace("%", "%25").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
