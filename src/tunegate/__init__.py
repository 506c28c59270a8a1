"""Tunegate: an evaluation-first regression harness for fine-tuning.

What a script and the author of a kind of check need; all else is internal and may change. Names load when they are
first used: the installed pytest plugin imports this package in every repository, and must cost nothing there.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tunegate.harness.cases.loader import load_tasks
    from tunegate.harness.cases.model import Case, Task, Unit
    from tunegate.harness.checks.base import Check, CheckKind, Finding, Outcome
    from tunegate.harness.core.authoring.document import Document, Where
    from tunegate.harness.core.errors import (
        AuthoringError,
        CouldNotRun,
        LintWarning,
        Problem,
        Refused,
        TunegateError,
        UsageError,
    )
    from tunegate.harness.gate.rule import compare
    from tunegate.harness.imports.model import AskedPrompt, ForeignFile, Imported, ImportedCase, Importer, Tally
    from tunegate.harness.models.api import Completion, Fingerprint, Model, Opened, Request
    from tunegate.harness.models.evaluation.record import Record, read_record
    from tunegate.harness.models.evaluation.scoring import evaluate
    from tunegate.harness.models.model_options import ModelOptions
    from tunegate.trainers.data.reward import reward

_HOMES = {
    "harness.core.authoring.document": ("Document", "Where"),
    "harness.cases.loader": ("load_tasks",),
    "harness.cases.model": ("Case", "Task", "Unit"),
    "harness.checks.base": ("Check", "CheckKind", "Finding", "Outcome"),
    "harness.core.errors": (
        "AuthoringError", "CouldNotRun", "LintWarning", "Problem", "Refused", "TunegateError", "UsageError",
    ),
    "harness.models.evaluation.record": ("Record", "read_record"),
    "harness.models.evaluation.scoring": ("evaluate",),
    "harness.gate.rule": ("compare",),
    "harness.imports.model": ("AskedPrompt", "ForeignFile", "Imported", "ImportedCase", "Importer", "Tally"),
    "harness.models.api": ("Completion", "Fingerprint", "Model", "Opened", "Request"),
    "harness.models.model_options": ("ModelOptions",),
    "trainers.data.reward": ("reward",),
}  # fmt: skip
_HOME = {name: f"tunegate.{module}" for module, names in _HOMES.items() for name in names}

__all__ = [
    "AskedPrompt",
    "AuthoringError",
    "Case",
    "Check",
    "CheckKind",
    "Completion",
    "CouldNotRun",
    "Document",
    "Finding",
    "Fingerprint",
    "ForeignFile",
    "Imported",
    "ImportedCase",
    "Importer",
    "LintWarning",
    "Model",
    "ModelOptions",
    "Opened",
    "Outcome",
    "Problem",
    "Record",
    "Refused",
    "Request",
    "Tally",
    "Task",
    "TunegateError",
    "Unit",
    "UsageError",
    "Where",
    "__version__",
    "compare",
    "evaluate",
    "load_tasks",
    "read_record",
    "reward",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Load a public name from its home.

    Raises:
        AttributeError: there is no such public name.
    """
    if name == "__version__":
        try:
            return version("tunegate")
        except PackageNotFoundError:
            return "0+uninstalled"  # a clone whose dependencies alone are installed
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'tunegate' has no public name {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    """The public names."""
    return __all__
