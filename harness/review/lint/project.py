"""What a run of the whole project would refuse, or pass over: its options, and the outputs that it keeps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from tunegate.harness.begin.results.scored_outputs import has_scores
from tunegate.harness.cases.model import Task
from tunegate.harness.core.errors import AuthoringError, LintWarning
from tunegate.harness.core.progress import Watch
from tunegate.harness.gate.planning.history import model_folders
from tunegate.harness.history.baselines.matching import vanished_units
from tunegate.harness.models.backends import REPLAY
from tunegate.harness.models.options.run import Options, standing_options
from tunegate.harness.models.replay import leftover_outputs, read_replay
from tunegate.harness.review.lint.rules import Lint, lint_fixtures
from tunegate.harness.review.lint.term_forms import proposed_forms


def lint_project(root: Path, path: Path | None, cases: Path, baselines: Path, watch: Watch | None = None) -> Lint:
    """Check a project as pytest reads it: its settings, its fixtures, or the part in `path`, and its outputs.

    Args:
        root: the folder of the settings.
        path: a task's folder or a file; None checks all of `cases`.
        cases: the folder of fixtures.
        baselines: the folder of baselines.
        watch: shows progress.

    Raises:
        Refused: the settings contradict one another, there are no fixtures, or a baseline is damaged.
    """
    options = standing_options(root)
    options.check()
    found = lint_fixtures(path or cases, baselines, watch)
    found = replace(found, proposals=tuple(proposed_forms(found.tasks, root)))
    if found.mistakes or path or cases != options.cases:
        return found
    vanished = replace(found, warnings=tuple(sorted([*found.warnings, *_vanished(baselines, found.tasks)])))
    return _with_outputs(vanished, options) if options.replays else vanished


def _vanished(baselines: Path, tasks: Sequence[Task]) -> Iterator[LintWarning]:
    """Warn about baselines of deleted units, which the gate refuses."""
    for folder in model_folders(baselines, tasks):
        for unit, path in vanished_units(folder, tasks).items():
            text = f"the unit {unit} is gone, and the gate refuses its baseline"
            yield LintWarning(path, 1, f"{text}; restore it, or retire it: tunegate retire {unit} --reason TEXT")


def _with_outputs(found: Lint, options: Options) -> Lint:
    """The results with those of the outputs that the settings name, if they are there."""
    name, path = REPLAY.split(options.model)
    if not path.is_file():
        return found
    if has_scores(path, [unit for task in found.tasks for unit in task.units]):
        return found
    try:
        outputs = read_replay(path, _known(found.tasks), name, options.rung, skips_unknown=True)
    except AuthoringError as error:
        return Lint(mistakes=tuple(error.problems))
    left = [LintWarning(path, 1, leftover_outputs(outputs))] if outputs.unknown else []
    return replace(found, warnings=tuple(sorted([*found.warnings, *left])))


def _known(tasks: Sequence[Task]) -> dict[str, int]:
    """By case the number of texts whose likelihood it asks for."""
    units = [unit for task in tasks for unit in task.units if not unit.of]
    return {case.key: len(unit.texts(case)) for unit in units for case in unit.cases}
