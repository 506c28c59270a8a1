"""Kinds of check of installed packages, by entry points of the group `tunegate.checks`."""

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
    """The entry points by name; they are looked for once, among all that is installed.

    Raises:
        Refused: two packages bring one name.
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
    """The kind of check of an entry point; its package is imported.

    Raises:
        Refused: it cannot be loaded, or is no kind of check.
    """
    try:
        kind = entry.load()
    except Exception as error:  # whatever a stranger's module does when it is imported
        raise Refused(f"{entry_place(entry)}: expected a CheckKind, found {type(error).__name__}: {error}") from error
    if not isinstance(kind, CheckKind):
        raise Refused(f"{entry_place(entry)}: expected a CheckKind, found {type(kind).__name__}")
    return kind


def declared_entry(entry: EntryPoint) -> CheckKind:
    """The kind of check that an entry point's module declares; nothing is imported.

    Raises:
        Refused: the module is not found.
        AuthoringError: it does not declare it.
    """
    path = module_file(entry)
    if path is None:
        raise Refused(f"{entry_place(entry)}: expected a module of Python, found none; install the package again")
    return declared_kind(path, entry.attr)


def module_file(entry: EntryPoint) -> Path | None:
    """The source of an entry point's module, looked for as an import would; None where there is none."""
    top, *inner = entry.module.split(".")
    spec = find_spec(top)  # of a name without a dot: nothing is imported
    places = [Path(each) for each in spec.submodule_search_locations or ()] if spec else []
    if not inner and spec and spec.origin:
        return Path(spec.origin) if spec.origin.endswith(".py") else None
    for folder in (each.joinpath(*inner) for each in places):
        for path in (folder.with_suffix(".py"), folder / "__init__.py"):
            if path.is_file():
                return path
    return None


def distribution(entry: EntryPoint) -> str:
    """The package that brings an entry point, and its version."""
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else "a package of no name"


def entry_place(entry: EntryPoint) -> str:
    """An entry point, for messages."""
    return f"entry point {GROUP}: {entry.name} = {entry.value}"
