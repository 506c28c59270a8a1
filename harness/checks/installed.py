"""Kinds of check from installed packages: entry points of the group `tunegate.checks`."""

from __future__ import annotations

from importlib.metadata import EntryPoint

from tunegate.harness.checks.base import CheckKind
from tunegate.harness.checks.declared import declared_kind
from tunegate.harness.core.entry_points import entry_place, module_file
from tunegate.harness.core.errors import Refused

GROUP = "tunegate.checks"


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
