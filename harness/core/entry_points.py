"""What installed packages bring: entry points of a group, found once, and described without importing anything."""

from __future__ import annotations

import functools
import os
import site
import sysconfig
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tunegate.harness.core.errors import Refused, show_path
from tunegate.harness.core.project import find_root


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


def load_here(entry: EntryPoint) -> Any:
    """Import what an entry point names, into this process.

    Raises:
        Refused: a change of the checkout at hand can edit it or its module, or it cannot be loaded.
    """
    place, path = entry_place(entry), module_file(entry)
    if path is None:
        raise Refused(f"{place}: expected a Python module, found none; reinstall the package")
    named_in = [Path(str(entry.dist.locate_file("")))] if entry.dist else []
    if editable := next((each for each in (path, *named_in) if _is_editable(each)), None):
        raise Refused(
            f"{place}: expected the code of an installed package, found {show_path(editable)}, which a change of this "
            "checkout edits; install a wheel of it"
        )
    try:
        return entry.load()
    except (Exception, SystemExit) as error:  # a third-party module can raise anything on import
        raise Refused(f"{place}: expected code that can be loaded, found {type(error).__name__}: {error}") from error


def _is_editable(path: Path) -> bool:
    """Whether a path lies in the checkout or project at hand, outside the interpreter's own folders."""
    here = Path.cwd()
    top = next((each for each in (here, *here.parents) if (each / ".git").exists()), find_root(here))
    # an environment in the checkout is the interpreter's, with all that runs anyway
    own = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), *site.getsitepackages()]
    real = Path(os.path.realpath(path))
    return real.is_relative_to(os.path.realpath(top)) and not any(
        real.is_relative_to(os.path.realpath(each)) for each in own
    )
