"""Parts that the core works without: each is named MODULE:NAME, in a row of a seam, and imported when it is used."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def load_part(place: str) -> Any:
    """Import what MODULE:NAME names; ModuleNotFoundError where this installation lacks it (`extras.lacking_of`)."""
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)


def find_part(place: str) -> Any:
    """As `load_part`, but None where this installation lacks the module."""
    try:
        return load_part(place)
    except ModuleNotFoundError as error:
        if error.name and f"{place.partition(':')[0]}.".startswith(f"{error.name}."):
            return None
        raise
