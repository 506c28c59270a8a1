"""A project's own kinds of check, loaded from its Python file as a module."""

from __future__ import annotations

import functools
import sys
import traceback
from collections.abc import Mapping
from importlib.abc import PathEntryFinder
from importlib.machinery import EXTENSION_SUFFIXES, SOURCE_SUFFIXES, ExtensionFileLoader, FileFinder
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from tunegate.harness.checks.base import CheckKind
from tunegate.harness.checks.declared import EXPECTED, NAME
from tunegate.harness.checks.unchanged import SourceOnly
from tunegate.harness.core.errors import AuthoringError, Problem


def load_own(path: Path) -> Mapping[str, CheckKind]:
    """The kinds of check in a file of the project, by name.

    Raises:
        AuthoringError: no such file, loading fails, or it has no `CHECKS` of that shape.
    """
    if not path.is_file():
        raise AuthoringError([Problem(path, 0, "", "a Python file with kinds of check", "nothing there")])
    found = getattr(load_module(path), NAME, None)
    if not isinstance(found, dict):
        raise AuthoringError([Problem(path, 1, "", EXPECTED, f"no {NAME}" if found is None else type(found).__name__)])
    wrong = [
        Problem(path, 1, f"{NAME}[{name!r}]", "a CheckKind under a name that is text", type(kind).__name__)
        for name, kind in found.items()
        if not (isinstance(name, str) and isinstance(kind, CheckKind))
    ]
    if wrong:
        raise AuthoringError(wrong)
    return found


def load_module(path: Path) -> ModuleType:
    """A Python file of the project or of a user, loaded as a module.

    Raises:
        AuthoringError: loading fails.
    """
    return _module(path.resolve(), path.stat().st_mtime_ns)


def loading_source(folder: Path) -> None:
    """From now on, import modules in a folder and below from source, never from bytecode.

    Reviewers read the source of a check; Python would run a matching file of `__pycache__` in its place.
    """
    loaders = (SourceOnly, SOURCE_SUFFIXES), (ExtensionFileLoader, EXTENSION_SUFFIXES)
    finder = FileFinder.path_hook(*loaders)

    def hook(path: str) -> PathEntryFinder:
        if not Path(path).is_relative_to(folder):
            raise ImportError
        return finder(path)

    sys.path_hooks.insert(0, hook)
    sys.path_importer_cache.clear()


@functools.cache
def _module(path: Path, changed: int) -> ModuleType:  # noqa: ARG001  (a changed file is loaded again)
    # named by path: two projects in one process may each have a checks.py
    name = f"tunegate.checks of {path}"
    spec = spec_from_file_location(name, path, loader=SourceOnly(name, str(path)) if path.suffix == ".py" else None)
    if spec is None or spec.loader is None:
        raise AuthoringError([Problem(path, 0, "", "a Python file (*.py)", path.name)])
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))  # last: neighbours can be imported but shadow nothing
    module = module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look up their module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        problem = Problem(path, _line(error, path), "", "Python that can be loaded", _said(error))
        raise AuthoringError([problem]) from error
    return module


def _line(error: BaseException, path: Path) -> int:
    """The last line of the file in the traceback, or the line of a syntax error."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return error.lineno or 1
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return lines[-1] or 1 if lines else 1


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error.msg if isinstance(error, SyntaxError) else error}"
