"""The project's settings: the nearest pyproject.toml with a `[tool.tunegate]` table."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import Any

from tunegate.harness.core.errors import Refused, Unreadable, show_path
from tunegate.harness.core.reading import read_text

PROJECT = "pyproject.toml"
MOST_OF_PROJECT = 1 << 19  # bytes; larger files take seconds to parse
MOST_SHOWN = 200  # characters of the found value
#: More dotted keys than any real file: Python's parser takes quadratic time for them.
_DEEP = re.compile(r"""(?<![\w"'-])(?:[\w"'-]++[ \t]*+\.[ \t]*+){200}""")


def find_root(start: Path) -> Path:
    """Return the nearest folder from `start` upward whose pyproject.toml has `[tool.tunegate]`, otherwise `start`."""
    return next((folder for folder in (start, *start.parents) if is_project(folder)), start)


def project_of(cases: Path) -> Path:
    """Return the project of a folder of cases: the current directory's if it contains them, otherwise the one above.

    Settings in the folder itself or below are not the project's: see `check_one_root`.
    """
    here, there = find_root(Path.cwd()), Path(os.path.realpath(cases))
    return here if there.is_relative_to(os.path.realpath(here)) and is_project(here) else find_root(there.parent)


def check_one_root(root: Path, cases: Path) -> None:
    """Refuse settings below the project, between it and its cases or among them."""
    home, there = Path(os.path.realpath(root)), Path(os.path.realpath(cases))
    above = [each for each in (there, *there.parents) if each.is_relative_to(home)]
    inside = sorted(each for each in there.iterdir() if each.is_dir()) if there.is_dir() else []
    for folder in (*reversed(above), *inside):
        table = _tools(folder / PROJECT).get("tunegate") if folder != home else None
        if table:
            key = next(iter(table)) if isinstance(table, dict) else "tunegate"
            raise Refused(
                f"{show_path(folder / PROJECT)}:{_line_of(folder / PROJECT, key)}: [tool.tunegate] {key}: expected the "
                f"project's settings only in {show_path(home / PROJECT)}, found some below it; move them there, or "
                "delete them"
            )


def _line_of(path: Path, key: str) -> int:
    """Return the first line of a TOML file that sets a key; 1 if there is none."""
    lines = read_text(path, "TOML", MOST_OF_PROJECT).splitlines()
    pattern = re.compile(rf"\b{re.escape(key)}\b[^=#]*=|\[.*\b{re.escape(key)}\b.*\]")
    return next((number for number, line in enumerate(lines, 1) if pattern.search(line)), 1)


def project_table(root: Path) -> dict[str, Any]:
    """Return the `[tool.tunegate]` table of `root`'s pyproject.toml; empty if there is none."""
    path = root / PROJECT
    table = _tools(path).get("tunegate", {})
    if not isinstance(table, dict):
        raise Refused(f"{show_path(path)}: expected a table [tool.tunegate], found {repr(table)[:MOST_SHOWN]}")
    return table


def is_project(folder: Path) -> bool:
    """Return whether the folder's pyproject.toml has a `[tool.tunegate]` table or is unreadable."""
    try:
        return "tunegate" in _tools(folder / PROJECT)
    except Refused:
        return True  # unreadable; reading the settings reports why


def _tools(path: Path) -> dict[str, Any]:
    """Return the tools' tables of a pyproject.toml; empty if there is no file."""
    try:
        text = read_text(path, "TOML", MOST_OF_PROJECT)
        if deep := _DEEP.search(text):
            line = text.count("\n", 0, deep.start()) + 1
            raise Refused(f"{show_path(path)}:{line}: expected TOML, found a key of 200 parts or more; shorten it")
        tools = tomllib.loads(text).get("tool", {})
    except Unreadable as error:
        if error.is_missing and not path.is_symlink():  # a broken link is a mistake
            return {}
        raise
    except (ValueError, RecursionError) as error:
        raise Refused(f"{show_path(path)}: expected TOML, found {str(error)[:MOST_SHOWN]}") from error
    return tools if isinstance(tools, dict) else {}
