"""What installed packages bring: entry points of a group, found once, and described without importing anything."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path

from tunegate.harness.core.errors import Refused


@functools.cache
def entries_of(group: str) -> Mapping[str, EntryPoint]:
    """The entry points of a group by name; installed packages are searched once.

    Raises:
        Refused: two packages provide the same name.
    """
    found: dict[str, EntryPoint] = {}
    for entry in entry_points(group=group):
        other = found.setdefault(entry.name, entry)
        if other.value != entry.value:
            raise Refused(
                f"entry points {group}: expected one {entry.name!r}, found {other.value} and {entry.value}; "
                "uninstall one of the packages"
            )
    return found


def module_file(entry: EntryPoint) -> Path | None:
    """The source file of an entry point's module, found as an import would; None if there is none."""
    top, *inner = entry.module.split(".")
    spec = find_spec(top)  # without a dot in the name, nothing is imported
    places = [Path(each) for each in spec.submodule_search_locations or ()] if spec else []
    if not inner and spec and spec.origin:
        return Path(spec.origin) if spec.origin.endswith(".py") else None
    for folder in (each.joinpath(*inner) for each in places):
        for path in (folder.with_suffix(".py"), folder / "__init__.py"):
            if path.is_file():
                return path
    return None


def distribution(entry: EntryPoint) -> str:
    """The package that provides an entry point, with its version."""
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else "an unnamed package"


def entry_place(entry: EntryPoint) -> str:
    """The entry point as shown in messages."""
    return f"entry point {entry.group}: {entry.name} = {entry.value}"
