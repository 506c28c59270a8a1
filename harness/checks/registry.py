"""The registry that maps suites to kinds of check.

A kind of check is named after its suite, or `suite/measure` if a suite has several measures; a fixture file then
says `check: {measure: ...}`. A unit has one kind. Besides the built-in kinds, a project can define its own in the
Python file that `checks` of its `[tool.tunegate]` names, as `CHECKS = {"name": CheckKind(...)}`, and installed packages
can provide kinds as entry points of the group `tunegate.checks`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import NamedTuple

from tunegate.harness.checks import cost, loglikelihood, rubric, scored, short_answer
from tunegate.harness.checks.base import CheckKind
from tunegate.harness.checks.declared import declared_kinds
from tunegate.harness.checks.installed import GROUP, declared_entry, load_entry
from tunegate.harness.checks.isolated import IsolatedChecks
from tunegate.harness.checks.own import load_own
from tunegate.harness.checks.refusal import check as refusal
from tunegate.harness.checks.schema import check as schema
from tunegate.harness.checks.tools import check as tools
from tunegate.harness.checks.vocabulary import check as vocabulary
from tunegate.harness.checks.voice import check as voice
from tunegate.harness.core.entry_points import distribution, entries_of
from tunegate.harness.core.errors import Refused, show_path
from tunegate.harness.core.project import PROJECT, check_one_root, project_of, project_table

CHECKS: dict[str, CheckKind] = {
    "schema": schema.KIND,
    "tools": tools.KIND,
    "voice": voice.KIND,
    "vocabulary": vocabulary.KIND,
    "vocabulary/pairs": loglikelihood.PAIRS,
    "refusal": refusal.KIND,
    "rubric": rubric.KIND,
    "cost": cost.KIND,
    "retention/passages": loglikelihood.PASSAGES,
    "retention/questions": short_answer.KIND,
    "scored": scored.KIND,
}
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*(/[A-Za-z][A-Za-z0-9_-]*)?")


class _Loader(NamedTuple):
    """How external kinds of check are loaded for a project's folder: of a file in it, and of an installed package."""

    own: Callable[[Path, Path], Mapping[str, CheckKind]]
    installed: Callable[[EntryPoint, Path], CheckKind]


_IN_PROCESS = _Loader(lambda path, _: load_own(path), lambda entry, _: load_entry(entry))
_DECLARED = _Loader(lambda path, _: declared_kinds(path), lambda entry, _: declared_entry(entry))
_loader = ContextVar("loader", default=_IN_PROCESS)


class Kinds:
    """The kinds of check that fixtures may name; those of installed packages are loaded on first use."""

    def __init__(
        self,
        own: Mapping[str, CheckKind],
        installed: Mapping[str, EntryPoint],
        load: Callable[[EntryPoint], CheckKind] = load_entry,
    ) -> None:
        self._known, self._installed, self._load = {**CHECKS, **own}, installed, load

    def __contains__(self, name: str) -> bool:
        return name in self._known or name in self._installed

    def __iter__(self) -> Iterator[str]:
        return iter([*self._known, *self._installed])

    def __getitem__(self, name: str) -> CheckKind:
        """The kind of check called `name`.

        Raises:
            Refused: it comes from a package and cannot be loaded.
        """
        if name not in self._known:
            self._known[name] = self._load(self._installed[name])
        return self._known[name]

    @property
    def suites(self) -> tuple[str, ...]:
        """The names of the suites."""
        return tuple(dict.fromkeys(name.partition("/")[0] for name in self))

    def measures(self, suite: str) -> list[str]:
        """The measures of a suite; an empty name is the default measure."""
        return [name.partition("/")[2] for name in self if name.partition("/")[0] == suite]


def kind_name(suite: str, measure: str = "") -> str:
    """The name of a kind of check."""
    return f"{suite}/{measure}" if measure else suite


def shipped_kinds() -> Kinds:
    """The built-in kinds only."""
    return Kinds({}, {})


@contextmanager
def isolating_checks() -> Iterator[IsolatedChecks]:
    """Run external kinds of check in sandboxed processes, as the gate does."""
    with IsolatedChecks() as checks, _loading(_Loader(checks.own, checks.installed)):
        yield checks


def declared_checks() -> AbstractContextManager[None]:
    """Read the declarations of external kinds of check without running their code."""
    return _loading(_DECLARED)


@contextmanager
def _loading(loader: _Loader) -> Iterator[None]:
    token = _loader.set(loader)
    try:
        yield
    finally:
        _loader.reset(token)


def own_file(root: Path) -> Path | None:
    """The project's file of further kinds of check; None if it names none.

    Raises:
        Refused: pyproject.toml cannot be read.
    """
    named = project_table(root).get("checks")  # other types than text are reported with the other settings
    return root / os.path.normpath(named) if isinstance(named, str) else None


def project_kinds(cases: Path, root: Path | None = None) -> Kinds:
    """The kinds for a folder of fixtures: built-in, from installed packages, and from its project.

    `root` is the project's folder; by default as `project_of` finds it.

    Raises:
        AuthoringError: the project's own file is missing or cannot be used.
        Refused: pyproject.toml cannot be read, one below the project sets a rule, or a name is taken.
    """
    home, loader = root or project_of(cases), _loader.get()
    check_one_root(home, cases)
    file = own_file(home)
    own = loader.own(file, home) if file else {}
    installed = entries_of(GROUP)
    sources = [(name, f"{show_path(home / PROJECT)}: checks") for name in own]
    sources += [(name, f"entry point {each.value} of {distribution(each)}") for name, each in installed.items()]
    for name, source in sources:
        if name in CHECKS or (name in own and name in installed):
            raise Refused(f"{source}: expected a kind of check of another name, found {name!r}, which is taken")
        if not _NAME.fullmatch(name):
            raise Refused(f"{source}: expected `suite` or `suite/measure`, found {name!r}")
    return Kinds(own, installed, lambda entry: loader.installed(entry, home))
