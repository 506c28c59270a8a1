"""Collect fixture files as pytest's test files: each case is a test, followed by the gate and the decision.

Other YAML files are ignored: a file is collected if the command line names it, its task or the whole folder of
fixtures, or if the project configures Tunegate, by `[tool.tunegate]` or `--tg-cases`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tunegate.harness.core.errors import show_path
from tunegate.harness.models.options.settings import configured_cases
from tunegate.harness.models.options.table import OPTIONS
from tunegate.harness.session.pytest_plugin.options import find_project
from tunegate.harness.session.pytest_plugin.stash import HANDLE, NO_WORKERS, YAML, collected

if TYPE_CHECKING:
    from tunegate.harness.session.pytest_plugin.items import CaseItem, GateItem


class YamlFile(pytest.File):
    """A fixture file. A file without cases (task.yaml, a sealed one) has no items."""

    def collect(self) -> Iterator[YamlItem]:
        """Yield an item for each case, then the unit's gate and the task's decision if this is their last file."""
        if hasattr(self.config, "workerinput"):
            raise self.CollectError(NO_WORKERS)
        handles = collected(self.config, lambda state: state.file_items(self.path.parent.name, self.path.name))
        suites = {handle.unit.suite for handle in handles if handle.unit}
        for suite in suites:  # one, as a file holds one unit
            self.add_marker(pytest.mark.suite(suite))
        self.extra_keyword_matches |= suites
        for handle in handles:
            yield YamlItem.from_parent(self, name=handle.name, handle=handle)


class YamlItem(pytest.Item):
    """A case, a gate or a decision of a fixture file."""

    def __init__(self, *, handle: CaseItem | GateItem, **more: Any) -> None:
        super().__init__(**more)
        self.stash[HANDLE] = self.handle = handle
        # JUnit's usual format drops a test's own file and line, and keeps these
        self.user_properties += [("file", self.nodeid.partition("::")[0]), ("line", handle.line)]
        self.extra_keyword_matches.add(handle.id)  # so that `-k` matches <task>/<unit>, whatever the file's name

    def runtest(self) -> None:
        """Fail with the findings, or with the sentence of the verdict."""
        self.handle.check()

    def reportinfo(self) -> tuple[Path, int, str]:
        """Its place (lines from 0, as pytest counts), and the heading of its failure."""
        kind = f"{self.name} of " if self.name.startswith("@") else ""
        return self.path, self.handle.line - 1, f"{kind}{self.handle.id}"


@dataclass(frozen=True)
class Asked:
    """The fixture files that a run collects: those below `paths`, which are the folder `cases` or in it."""

    cases: Path
    paths: frozenset[Path]

    def holds(self, file: Path) -> bool:
        """Whether a file is collected, by its place: in a task, or beside the tasks, where the loader refuses it."""
        task, cases = file.parent, file.parent.parent
        if self.paths.isdisjoint((file, task, cases)):
            return False
        return any(folder == self.cases or _real(folder) == _real(self.cases) for folder in (cases, task))


ASKED: pytest.StashKey[Asked] = pytest.StashKey()


def collect_yaml(path: Path, parent: pytest.Collector) -> YamlFile | None:
    """The collector of a fixture file that the run collects; None for any other file."""
    return YamlFile.from_parent(parent, path=path) if _asked(parent.config).holds(path) else None


def names_fixtures(config: pytest.Config) -> bool:
    """Whether pytest's arguments lead to fixture files that the run collects; reads the folders."""
    asked = _asked(config)
    near = [file for path in asked.paths for file in (path, *path.glob("*"), *path.glob("*/*"))]
    files = [file for file in near if file.suffix.lower() in YAML and asked.holds(file)]
    return any(_leads_to(file, path, config) for path in _arguments(config) for file in files)


def where_files_lie(config: pytest.Config) -> str:
    """Where a run looks for fixture files, for a hint."""
    cases = show_path(_asked(config).cases)
    return f"fixture files are {cases}/<task>/*.yaml; use --tg-cases DIR for another folder"


def not_found_hints(config: pytest.Config) -> Iterator[str]:
    """Hints for an argument that pytest did not find."""
    files = [path for path in _arguments(config) if path.suffix.lower() in YAML]
    if any(path.is_file() and not _asked(config).holds(path) for path in files):
        yield f"tunegate: {where_files_lie(config)}"
    if not config.option.tg_against and any("::@" in argument for argument in config.args):
        yield "tunegate: gates and decisions exist only under --tg-against"


def _leads_to(file: Path, path: Path, config: pytest.Config) -> bool:
    if not file.is_relative_to(path):
        return False
    closed = config.getini("norecursedirs")
    return not any(fnmatch(name, pattern) for name in file.relative_to(path).parts[:-1] for pattern in closed)


def _asked(config: pytest.Config) -> Asked:
    """The fixture files that a run collects, computed once."""
    if ASKED not in config.stash:
        here, given, root = config.invocation_params.dir, config.option.tg_cases, find_project(config)
        configured = here / given if given else configured_cases(root)
        cases = _absolute(configured or root / OPTIONS["cases"].default)
        # arguments of the command line: `testpaths`, or the current directory, names no fixture file
        typed = _arguments(config) if config.args_source is pytest.Config.ArgsSource.ARGS else []
        real = _real(cases)
        named = [path for path in typed if path.is_relative_to(cases) or _real(path).is_relative_to(real)]
        config.stash[ASKED] = Asked(cases, frozenset([*named, cases] if configured else named))
    return config.stash[ASKED]


def _arguments(config: pytest.Config) -> list[Path]:
    return [_absolute(config.invocation_params.dir / argument.partition("::")[0]) for argument in config.args]


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))  # noqa: PTH100  (like pytest: without dots, and without resolving links)


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))  # no error on circular links
