"""Which kind of check scores which suite: the one place where a suite's name meets its code.

A kind of check is named after its suite, or `suite/measure` where a suite measures several things: a fixture file then
says `check: {measure: ...}`. A unit has one kind. Beside those that ship there are a project's own: in the Python file
that `checks` of its `[tool.tunegate]` names, as `CHECKS = {"name": CheckKind(...)}`, and in installed packages, as
entry points of the group `tunegate.checks`.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from tunegate.harness.checks import cost, loglikelihood, short_answer
from tunegate.harness.checks.base import CheckKind
from tunegate.harness.checks.isolated import IsolatedChecks
from tunegate.harness.checks.own import load_own
from tunegate.harness.checks.schema import check as schema
from tunegate.harness.checks.vocabulary import check as vocabulary
from tunegate.harness.checks.voice import check as voice
from tunegate.harness.core.errors import Refused, show_path
from tunegate.harness.core.project import PROJECT, find_root, project_table

GROUP = "tunegate.checks"
CHECKS: dict[str, CheckKind] = {
    "schema": schema.KIND,
    "voice": voice.KIND,
    "vocabulary": vocabulary.KIND,
    "vocabulary/pairs": loglikelihood.PAIRS,
    "cost": cost.KIND,
    "retention/passages": loglikelihood.PASSAGES,
    "retention/questions": short_answer.KIND,
}
_load: ContextVar[Callable[[Path], Mapping[str, CheckKind]]] = ContextVar("load", default=load_own)
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*(/[A-Za-z][A-Za-z0-9_-]*)?")


class Kinds:
    """The kinds of check that fixtures may name; that of an installed package is loaded when one does."""

    def __init__(self, own: Mapping[str, CheckKind], installed: Mapping[str, EntryPoint]) -> None:
        self._known, self._installed = {**CHECKS, **own}, installed

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
            self._known[name] = _loaded(self._installed[name])
        return self._known[name]

    @property
    def suites(self) -> tuple[str, ...]:
        """The suites, by name."""
        return tuple(dict.fromkeys(name.partition("/")[0] for name in self))

    def measures(self, suite: str) -> list[str]:
        """What a suite measures; an empty name is what it measures where a fixture file names nothing."""
        return [name.partition("/")[2] for name in self if name.partition("/")[0] == suite]


def kind_name(suite: str, measure: str = "") -> str:
    """The name of a kind of check."""
    return f"{suite}/{measure}" if measure else suite


def shipped_kinds() -> Kinds:
    """Those that ship, alone."""
    return Kinds({}, {})


@contextmanager
def isolating_checks() -> Iterator[None]:
    """Load what files of a project hold in processes of their own, as the gate does."""
    with IsolatedChecks() as checks:
        token = _load.set(checks.load)
        try:
            yield
        finally:
            _load.reset(token)


def own_file(cases: Path) -> Path | None:
    """The file with further kinds of check of the project that a folder of fixtures belongs to; None without one.

    Raises:
        Refused: pyproject.toml cannot be read.
    """
    root = find_root(Path(os.path.realpath(cases)))
    named = project_table(root).get("checks")
    return root / named if isinstance(named, str) else None  # anything else is told with the other settings


def project_kinds(cases: Path) -> Kinds:
    """Those that ship, those of installed packages, and those of the project that a folder of fixtures belongs to.

    Raises:
        AuthoringError: the project's own file is missing or cannot be used.
        Refused: pyproject.toml cannot be read, or two kinds have one name.
    """
    root, file = find_root(Path(os.path.realpath(cases))), own_file(cases)
    own = _load.get()(file) if file else {}
    installed = _installed()
    for name, source in [*((name, f"{show_path(root / PROJECT)}: checks") for name in own), *_sources(installed)]:
        if name in CHECKS or (name in own and name in installed):
            raise Refused(f"{source}: expected a kind of check of another name, found {name!r}, which is taken")
        if not _NAME.fullmatch(name):
            raise Refused(f"{source}: expected `suite` or `suite/measure`, found {name!r}")
    return Kinds(own, installed)


@functools.cache
def _installed() -> Mapping[str, EntryPoint]:
    """The entry points by name; they are looked for once, among all that is installed."""
    found: dict[str, EntryPoint] = {}
    for entry in entry_points(group=GROUP):
        other = found.setdefault(entry.name, entry)
        if other.value != entry.value:
            raise Refused(
                f"entry points {GROUP}: expected one {entry.name!r}, found {other.value} and {entry.value}; "
                "uninstall one of the packages"
            )
    return found


def _sources(installed: Mapping[str, EntryPoint]) -> Iterator[tuple[str, str]]:
    for name, entry in installed.items():
        yield name, f"entry point {entry.value} of {entry.dist.name if entry.dist else 'a package'}"


def _loaded(entry: EntryPoint) -> CheckKind:
    place = f"entry point {GROUP}: {entry.name} = {entry.value}"
    try:
        kind = entry.load()
    except Exception as error:  # whatever a stranger's module does when it is imported
        raise Refused(f"{place}: expected a CheckKind, found {type(error).__name__}: {error}") from error
    if not isinstance(kind, CheckKind):
        raise Refused(f"{place}: expected a CheckKind, found {type(kind).__name__}")
    return kind
