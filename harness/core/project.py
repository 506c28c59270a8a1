"""A project's own settings: the nearest pyproject.toml with a `[tool.tunegate]` table."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from tunegate.harness.core.errors import Refused, Unreadable, show_path
from tunegate.harness.core.reading import MOST_SETTINGS, read_text

PROJECT = "pyproject.toml"


def find_root(start: Path) -> Path:
    """The project: the nearest folder from `start` upward whose pyproject.toml has `[tool.tunegate]`, else `start`."""
    return next((folder for folder in (start, *start.parents) if is_project(folder)), start)


def project_table(root: Path) -> dict[str, Any]:
    """The `[tool.tunegate]` table of `root`'s pyproject.toml, as it stands; empty where there is none.

    Raises:
        Refused: not TOML, or no table.
    """
    path = root / PROJECT
    table = _tools(path).get("tunegate", {})
    if not isinstance(table, dict):
        raise Refused(f"{show_path(path)}: expected a table [tool.tunegate], found {table!r}")
    return table


def is_project(folder: Path) -> bool:
    """Whether its pyproject.toml has a `[tool.tunegate]` table, or cannot be read."""
    try:
        return "tunegate" in _tools(folder / PROJECT)
    except Refused:
        return True  # it cannot be read, and whoever reads the settings says why


def _tools(path: Path) -> dict[str, Any]:
    """The tools' tables of a pyproject.toml; none where there is no such file."""
    try:
        tools = tomllib.loads(read_text(path, "TOML", MOST_SETTINGS)).get("tool", {})
    except Unreadable as error:
        if error.is_missing and not path.is_symlink():  # a link to nothing was meant to lead somewhere
            return {}
        raise
    except (ValueError, RecursionError) as error:
        raise Refused(f"{show_path(path)}: expected TOML, found {error}") from error
    return tools if isinstance(tools, dict) else {}
