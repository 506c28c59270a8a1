"""Check fixtures without a model: mistakes, and valid but suspicious entries."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tunegate.harness.cases.file import POLICY
from tunegate.harness.cases.loader import is_fixture_file, load_tasks
from tunegate.harness.cases.model import Case, Task, Unit
from tunegate.harness.cases.policy import DEFAULT_MARGIN
from tunegate.harness.checks.base import HasWarnings
from tunegate.harness.checks.voice.check import Voice
from tunegate.harness.core.authoring.yaml_reader import read_yaml
from tunegate.harness.core.errors import AuthoringError, LintWarning, Problem, Refused, most_of_each_kind, show_path
from tunegate.harness.core.formatting import quantity
from tunegate.harness.core.progress import Watch
from tunegate.harness.reporting.workflow_commands import workflow_command
from tunegate.harness.review.lint.expectations import missing_expectations, missing_keys, odd_expectations
from tunegate.harness.review.lint.families import undeclared_families
from tunegate.harness.review.lint.given_values import given_values
from tunegate.harness.review.lint.leaks import leak_warnings
from tunegate.harness.review.lint.sizes import undecidable
from tunegate.harness.review.lint.term_forms import FormsProposal
from tunegate.harness.review.lint.tool_cases import unasked_tools

TITLE = "tunegate lint"  # of annotations
_NOTES = {".md", ".txt"}
_COPIES = (".bak", ".orig", ".old", ".rej", "~")


def unused_files(folder: Path, task: Task) -> Iterator[LintWarning]:
    """Files below a task's folder that no fixture file names, except notes and hidden files."""
    read = {os.path.realpath(path) for path in [*_named(folder, task), folder / POLICY]}
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        hidden = any(part.startswith((".", "_")) for part in inside.parts)
        if hidden or not path.is_file() or path.suffix.lower() in _NOTES or os.path.realpath(path) in read:
            continue
        if len(inside.parts) > 1 or not is_fixture_file(path):
            yield LintWarning(path, 1, f"nothing reads this file; {_advice(path, folder)}")


def _named(folder: Path, task: Task) -> Iterator[Path]:
    """The files that checks name, relative to the folder, and those of labels."""
    yield from (path for unit in task.units if unit.labels for path in unit.labels.files)
    yield from (path for unit in task.units for path in unit.tool_files)
    asked = (options for unit in task.units for options in unit.asked.values())
    named = {value for options in asked for value in options.values() if isinstance(value, str)}
    yield from (folder / value for value in named)


def _advice(path: Path, folder: Path) -> str:
    if path.name.endswith(_COPIES):
        return "delete the copy"
    if is_fixture_file(path) and _holds_cases(path):
        return f"fixture files stand in {show_path(folder)} itself: move it there"
    return "name it in a check, or delete it"


def _holds_cases(path: Path) -> bool:
    try:
        data = read_yaml(path).data
    except AuthoringError:
        return False
    return isinstance(data, dict) and "suite" in data


def annotation(found: Problem | LintWarning) -> str:
    """The command of GitHub Actions for a mistake or a warning."""
    if isinstance(found, LintWarning):
        return workflow_command("warning", found.file, found.line, TITLE, found.text)
    more = f" (and {found.more:,} more of this kind)" if found.more else ""
    return workflow_command("error", found.file, found.line, TITLE, str(found).removeprefix(f"{found.place}: ") + more)


@dataclass(frozen=True)
class Lint:
    """The results. With a mistake nothing can run; `tasks` is then empty, and warnings and proposals are skipped."""

    tasks: tuple[Task, ...] = ()
    mistakes: tuple[Problem, ...] = ()
    warnings: tuple[LintWarning, ...] = ()
    proposals: tuple[FormsProposal, ...] = ()

    @property
    def units(self) -> list[str]:
        """One line per unit."""
        return [_counted(unit) for task in self.tasks for unit in task.units]

    def as_dict(self) -> dict[str, Any]:
        """The results as JSON data."""
        units = [unit for task in self.tasks for unit in task.units]
        return {
            "mistakes": [_as_dict(each) for each in self.mistakes],
            "warnings": [_as_dict(each) for each in self.warnings],
            "proposals": [_as_dict(each) for each in self.proposals],
            "units": [{"unit": unit.key, "suite": unit.suite, "cases": len(unit.cases)} for unit in units],
        }

    @property
    def summary(self) -> str:
        """One line with what was read and what was found."""
        count = sum(1 + each.more for each in self.mistakes)
        found = [quantity(count, "mistake")] if self.mistakes else ["no mistakes"]
        found += [quantity(len(self.warnings), "warning")] if self.warnings else []
        units = [unit for task in self.tasks for unit in task.units]
        cases = sum(len(unit.cases) for unit in units if not unit.of)
        read = [quantity(len(self.tasks), "task"), quantity(len(units), "unit"), quantity(cases, "case")]
        return f"{', '.join(read)}: {', '.join(found)}" if self.tasks else ", ".join(found)


def _as_dict(found: Problem | LintWarning | FormsProposal) -> dict[str, Any]:
    data = {**asdict(found), "file": show_path(found.file)}
    return {key: value for key, value in data.items() if key != "more" or value}


def lint_fixtures(path: Path, baselines: Path = Path("baselines"), watch: Watch | None = None) -> Lint:
    """Check a folder of tasks, the folder of one task, or one file in it.

    Flip rates and pass rates come from `baselines` if it holds those of one model.

    Raises:
        Refused: there are no fixtures, or a baseline is damaged.
    """
    root, only, file = _scope(path)
    try:
        tasks = load_tasks(root, only, watch)
    except AuthoringError as error:
        mistakes = _of_file(error.problems, file)
        if not mistakes:  # mistakes in other files of the task may affect this one
            raise
        return Lint(mistakes=mistakes)
    aims = any(task.policy.targets for task in tasks)
    warnings = {warning for task in tasks for warning in _warnings(root / task.name, task, aims)}
    warnings |= set(undecidable(root, tasks, baselines))
    kept = sorted(warning for warning in warnings if file is None or _is_same(warning.file, file))
    return Lint(tasks, warnings=tuple(kept))


def _of_file(problems: Iterable[Problem], file: Path | None) -> tuple[Problem, ...]:
    """The mistakes of one file, or of all; at most the displayed number per kind and file."""
    few = most_of_each_kind(problems)
    return tuple(each for each in few if file is None or _is_same(each.file, file))


def _is_same(one: Path, other: Path) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)


def _scope(path: Path) -> tuple[Path, str, Path | None]:
    """The folder of tasks, the only task (empty: all), and the only file (None: all)."""
    if path.is_file():
        above = [folder for folder in path.resolve().parents if (folder / POLICY).exists()]
        task = above[0] if above else path.resolve().parent
        return task.parent, task.name, path
    if path.is_dir() and any(is_fixture_file(each) for each in path.iterdir()) and not _holds_tasks(path):
        return path.resolve().parent, path.resolve().name, None
    return path, "", None


def _holds_tasks(folder: Path) -> bool:
    """Whether the folder has task folders, so that a fixture file in it is misplaced."""
    return not (folder / POLICY).exists() and any(
        is_fixture_file(file) for inner in folder.iterdir() if inner.is_dir() and inner.name != "refs"
        for file in inner.iterdir()
    )  # fmt: skip


def _counted(unit: Unit) -> str:
    critical = sum(case.critical for case in unit.cases)
    more = (f", {critical} critical" if critical else "") + (", sealed" if unit.sealed else "")
    more += (", traffic" if unit.traffic else "") + (f", {unit.labels.sample} labels a try" if unit.labels else "")
    return f"{unit.key}: {quantity(len(unit.cases), f'{unit.suite} case')}{more}"


def _warnings(folder: Path, task: Task, aims: bool) -> Iterator[LintWarning]:
    """Warn about one task; `aims` says whether any task has a target."""
    yield from unused_files(folder, task)
    yield from _policy(folder / POLICY, task, aims)
    for unit in task.units:
        for check in {id(case.check): case.check for case in unit.cases}.values():
            yield from check.warnings if isinstance(check, HasWarnings) else ()
        if unit.of or unit.traffic:  # its cases were not written by people
            continue
        yield from _repeated(unit)
        yield from undeclared_families(unit)
        yield from odd_expectations(unit)
        yield from missing_expectations(unit)
        yield from missing_keys(unit)
        yield from leak_warnings(unit)
        yield from given_values(unit)
        yield from unasked_tools(unit)
        if unit.name in task.policy.targets and unit.check_kind.asks == "generate" and not (unit.shots or unit.sealed):
            text = "a target without shots: worked examples cannot be tried in place of training"
            yield LintWarning(unit.cases[0].path, 1, f"{unit.key}: {text}")


def _policy(path: Path, task: Task, aims: bool) -> Iterator[LintWarning]:
    """Warn about what task.yaml leaves undeclared."""
    if not task.policy.declared:
        text = "no task.yaml, so every unit is a guard and nothing can be released"
        yield LintWarning(task.units[0].cases[0].path, 1, f"{task.name}: {text}")
        return
    document = read_yaml(path)
    if not aims:
        text = "no unit is a target, so nothing has to improve and no fine-tune can show its gain"
        yield LintWarning(path, document.line(("units",)), text)
    for unit in task.units:
        line = document.line(("units", unit.name))
        if unit.name not in task.policy.units:
            usual = f"guards with a margin of {100 * DEFAULT_MARGIN:g} points"
            held = usual if unit.kind == "pass/fail" else "is not gated, which blocks a release"
            yield LintWarning(path, line, f"{unit.key} is not named here, so it {held}; name it, with the reason")
        elif (policy := task.policy.of(unit.name, unit.kind)).margin is None and not policy.ungated:
            text = "has no margin, which blocks a release; declare one, or `ungated: true` with a `reason`"
            yield LintWarning(path, line, f"{unit.key} {text}")


def _repeated(unit: Unit) -> Iterator[LintWarning]:
    """Cases with the same question, which count as one; groups declare this on purpose."""
    first: dict[tuple[str | None, ...], Case] = {}
    for case in unit.cases:
        other = first.setdefault(case.observation, case)
        if other is not case and not case.group:
            text = f"{case.key} repeats the question of {other.id} (line {other.line}), so they count as one case"
            yield LintWarning(case.path, case.line, text)


def report_cards(tasks: tuple[Task, ...]) -> Iterator[str]:
    """Report how well each unit's voice metric performs on its own references; fitting needs scikit-learn.

    Raises:
        Refused: a metric is not measurable; raised after all report cards.
    """
    wrong = []
    for unit in (unit for task in tasks for unit in task.units):
        for check in {id(case.check): case.check for case in unit.cases}.values():
            if isinstance(check, Voice):
                yield f"{unit.key}: {check.report_card}"
                wrong += [] if check.report_card.accepted else [unit.key]
                if content := check.content_card:
                    yield f"{unit.key}: content: {'accepted' if content.accepted else 'not measurable'} ({content})"
                    wrong += [] if content.accepted else [unit.key]
    if wrong:
        raise Refused(f"the voice of {', '.join(dict.fromkeys(wrong))} is not measurable: a run would be refused")
