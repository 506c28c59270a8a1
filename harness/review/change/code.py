"""The code of own checks and models: what of it counts as a rule, and what must stay as it is while it runs."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from importlib.metadata import EntryPoint
from pathlib import Path

from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.cases.model import Task
from tunegate.harness.checks.imports import imported_files, imports_digest
from tunegate.harness.checks.installed import GROUP
from tunegate.harness.checks.registry import declared_checks, kind_name, own_file
from tunegate.harness.checks.unchanged import Snapshot, importing_unchanged
from tunegate.harness.core.entry_points import distribution, entries_of, module_file
from tunegate.harness.core.errors import Refused, show_path
from tunegate.harness.core.files import digest
from tunegate.harness.core.project import PROJECT
from tunegate.harness.history.ledger.store import LEDGER
from tunegate.harness.models.backends import PYTHON, InstalledBackend, backend_of, is_python_file
from tunegate.harness.models.evaluation.runs import RUNS
from tunegate.harness.models.options.run import Options
from tunegate.harness.models.python_model import find_code

HEAVY = ("torch", "transformers", "peft")  # what a local model is computed with


def code_of_checks(root: Path, tasks: Sequence[Task]) -> dict[str, str]:
    """The digests of the code of own checks, by where it comes from: the project's file, and packages that are named.

    Raises:
        Refused: a package lies in the project, where a change can edit it.
    """
    file, found = own_file(root), {}
    if file:
        found[os.path.relpath(file, root)] = imports_digest(file)
    named = {kind_name(unit.suite, unit.measure) for task in tasks for unit in task.units if unit.own_kind}
    for entry in (each for name, each in entries_of(GROUP).items() if name in named):
        path = module_file(entry)
        if path and Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root)):
            raise Refused(
                f"{show_path(path)}: expected the check {entry.name!r} of an installed package, found one that is "
                "installed from this project, so that a change edits it; name the file by `checks`, or install a wheel"
            )
        found |= _of_package(entry)
    return found


def _of_package(entry: EntryPoint) -> dict[str, str]:
    """What identifies the code of an installed package: its version."""
    return {f"{distribution(entry)}, {entry.name} = {entry.value}": digest([distribution(entry), entry.value])}


def file_of_model(model: str, root: Path) -> Path | None:
    """The file of a `python:` model in the project at `root`, from there; None if the model has none in it.

    Raises:
        Refused: it is a link, or the module of a package that is installed from this project.
    """
    code = backend_of(model).code(model)
    if code is None:
        return None
    source, _ = code
    path = Path(source).absolute() if is_python_file(source) else find_code(model).file
    home, real = Path(os.path.realpath(root)), Path(os.path.realpath(path))
    named = next((each for each in (root, home) if path.is_relative_to(each)), None)
    if named is None and not real.is_relative_to(home):
        return None
    if not is_python_file(source) or named is None or real != home / path.relative_to(named):
        raise Refused(
            f"{show_path(path)}: expected the model in a file of this project without links, or in a package that is "
            "installed from a wheel, found a link or a package that a change edits; name the file itself"
        )
    return path.relative_to(named)


def code_of_model(model: str, root: Path, home: Path) -> dict[str, str]:
    """The digest of the code that a model brings, by its name; a file's as it lies in `home`, a tree of the project.

    Raises:
        Refused: see `file_of_model`.
    """
    backend = backend_of(model)
    if isinstance(backend, InstalledBackend):
        return _of_package(backend.entry)
    code = backend.code(model)
    if code is None:
        return {}
    file = file_of_model(model, root)
    if file is None:
        return {model: find_code(model).digest}
    found, (_, function) = home / file, code
    return {f"{PYTHON.prefix}{file.as_posix()}:{function}": imports_digest(found)} if found.is_file() else {}


def runs_code(options: Options) -> bool:
    """Whether code of the project runs where the rules of a work tree decide: its model's, or that of its checks."""
    if isinstance(options.backend, InstalledBackend) or options.backend.code(options.model):
        return True
    if not (own_file(options.root) or entries_of(GROUP)):
        return False
    with declared_checks(), suppress(Refused):  # the reader of the fixtures reports what is wrong with them
        return bool(code_of_checks(options.root, load_tasks(options.cases, project=options.root)))
    return False


@contextmanager
def holding_unchanged(runs: Sequence[Options], trees: Sequence[Path], runs_own_code: bool) -> Iterator[None]:
    """Hold what decides to what it is now, where own code runs meanwhile: the install, the rules, and their trees.

    Raises:
        Refused: a file changed.
    """
    if not runs_own_code:
        yield
        return
    for name in HEAVY if runs[0].is_local else ():
        with suppress(ImportError):  # its user reports how to install it
            import_module(name)  # now: its own libraries are loaded by other means than an import
    read, growing = list(trees), []
    for run in runs:
        read += [run.cases, run.baselines, run.root / PROJECT, *(path for _, path in run.reads)]
        read += [path for path in (own_file(run.root), run.opened.chat_template) if path]
        read += imported_files(find_code(run.model, run.opened.code).file) if run.backend.code(run.model) else ()
        growing += [run.baselines / LEDGER, run.root / RUNS.parts[0]]
    kept = Snapshot(read, growing)
    with importing_unchanged():
        yield
    kept.check()
