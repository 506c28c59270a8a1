"""The user's own configuration, which no repository can write: `config.toml` in the user's configuration folder."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from platformdirs import user_config_path

from tunegate.harness.core.errors import Refused, show_path
from tunegate.harness.core.reading import read_text


def user_settings_file() -> Path:
    """Its path."""
    return user_config_path("tunegate") / "config.toml"


def user_setting(name: str) -> Any:
    """A value of the user's configuration; None if it is not set, Refused if the file is not TOML."""
    path = user_settings_file()
    if not path.is_file():
        return None
    try:
        return tomllib.loads(read_text(path, "TOML")).get(name)
    except ValueError as error:
        raise Refused(f"{show_path(path)}: expected TOML, found {error}") from error
