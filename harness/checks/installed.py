"""Kinds of check from installed packages: entry points of the group `tunegate.checks`."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path

from tunegate.harness.checks.base import CheckKind
from tunegate.harness.checks.declared import declared_kind
from tunegate.harness.core.errors import Refused

GROUP = "tunegate.checks"


@functools.cache
def installed_entries() -> Mapping[str, EntryPoint]:
    """The entry points by name; installed packages are searched once.

    Raises:
        Refused: two packages provide the same name.
    """
    found: dict[str, EntryPoint] = {}
    for entry in entry_points(group=GROUP):
        other = found.setdefault(entry.name, entry)
        if other.value != entry.value:
            raise Refused(
                f"entry points {GROUP}: expected one {entry.name!r}, found {other.value} and {entry.value}; "
                "uninstall one of the packages"
            )
    return found


def load_entry(entry: EntryPoint) -> CheckKind:
    """Import an entry point's package and return its kind of check.

    Raises:
        Refused: it cannot be loaded, or is not a kind of check.
    """
    try:
        kind = entry.load()
    except Exception as error:  # a third-party module can raise anything on import
        raise Refused(f"{entry_place(entry)}: expected a CheckKind, found {type(error).__name__}: {error}") from error
    if not isinstance(kind, CheckKind):
        raise Refused(f"{entry_place(entry)}: expected a CheckKind, found {type(kind).__name__}")
    return kind


def declared_entry(entry: EntryPoint) -> CheckKind:
    """The kind of check that an entry point's module declares, without importing it.

    Raises:
        Refused: the module is not found.
        AuthoringError: it does not declare the kind.
    """
    path = module_file(entry)
    if path is None:
        raise Refused(f"{entry_place(entry)}: expected a Python module, found none; reinstall the package")
    return declared_kind(path, entry.attr)


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
    return f"entry point {GROUP}: {entry.name} = {entry.value}"
