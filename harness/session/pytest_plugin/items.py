"""Cases and gates as pytest items: the check of each test, its expected failures, and the summary."""

from __future__ import annotations

import gc
import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import pytest

from tunegate.harness.cases.loader import find_tasks
from tunegate.harness.cases.model import Case, Task, Unit
from tunegate.harness.core.escaping import shown, shown_lines
from tunegate.harness.core.printing import Printer
from tunegate.harness.core.progress import watch_on
from tunegate.harness.gate import rule as gate
from tunegate.harness.models.evaluation.record import Result
from tunegate.harness.reporting.leaderboard import MANY, SHOWN_ADAPTERS, print_leaderboard
from tunegate.harness.reporting.record import case_failure, print_record
from tunegate.harness.session.pytest_plugin.errors import ending
from tunegate.harness.session.pytest_plugin.options import read_options
from tunegate.harness.session.run import Session


@dataclass(frozen=True, eq=False)
class CaseItem:
    """One case of one candidate."""

    id: str
    state: State
    unit: Unit
    case: Case
    candidate: int

    @property
    def name(self) -> str:
        """Its name in the fixture file: the case's id."""
        return self.id.removeprefix(f"{self.unit.key}/")

    @property
    def line(self) -> int:
        """The line of its fixture file, from 1."""
        return self.case.line

    def location_below(self, root: Path) -> tuple[str, int]:
        """Its fixture file, relative to pytest's root, and its line as pytest counts, from 0."""
        return _relative(self.case.place.rpartition(":")[0], root), self.line - 1

    def check(self) -> None:
        """Fail with the findings if the output is unscored or did not pass."""
        with ending(self.state.config):
            result = self.result
            if result.score is None or result.passed is False:
                pytest.fail(shown_lines(case_failure(self.case, result, self.before)), pytrace=False)

    @property
    def result(self) -> Result:
        """The result of the candidate's output."""
        return self.state.session.records[self.candidate].cases[self.case.key]

    @property
    def before(self) -> Result | None:
        """The result of a reference's output, under --tg-against: the first that passed, or the first."""
        references = self.state.session.references[self.candidate].values()
        results = [reference.cases[self.case.key] for reference in references if self.case.key in reference.cases]
        return next((result for result in results if result.passed), results[0] if results else None)

    @property
    def headline(self) -> str:
        """Its place and why it failed, on one line, for a list of failures."""
        rules = ", ".join(dict.fromkeys(each.rule for each in self.result.missed.findings)) or "unscored"
        return shown(f"{self.case.key} ({self.case.place}): {rules}")

    @property
    def properties(self) -> Iterator[tuple[str, str]]:
        """The properties in JUnit's XML: the score, and each finding."""
        yield "score", "unscored" if self.result.score is None else f"{self.result.score:g}"
        yield from (("finding", shown(each.sourced)) for each in self.result.missed.findings)

    def exemption(self) -> str:
        """Why a failure of this case is expected; empty if it is not."""
        # a missing output is never expected: it is neither a miss nor a zero
        if self.result.score is None:
            return ""
        if self.state.session.options.record:
            return "missed; the baseline records it"
        if self.state.session.options.shard:
            return "missed; it counts where the shards are merged"
        if self.before is None:
            return ""
        if not self.before.passed:
            return "missed before, misses now"
        return "regressed, within the margin of its unit" if self._tolerated() else ""

    def _tolerated(self) -> bool:
        record = self.state.session.records[self.candidate]
        verdict = record.verdicts.get(self.unit.key)
        if verdict is None:  # part of the unit was not evaluated, so a regression counts
            return False
        if self.case.critical and self.case.id not in verdict.disarmed:
            return False
        soft = gate.exempted(record, self.state.session.options.inconclusive)
        return not gate.unit_blocked(self.unit.key, verdict, soft)


@dataclass(frozen=True, eq=False)
class GateItem:
    """One unit's verdict, or one task's decision, for one candidate."""

    # Gates are items of their cases' files: with a file of its own, `--lf` would repeat only a failed gate, for ever.

    id: str
    state: State
    suite: str  # the suite of the module that shows it; empty in a fixture file
    task: Task
    unit: Unit | None
    candidate: int

    @property
    def name(self) -> str:
        """Its name in the fixture file; no case can have such an id."""
        if self.unit:
            return "@gate" + self.id.removeprefix(self.unit.key)
        return "@decision" + self.id.removeprefix(self.task.name)

    @property
    def line(self) -> int:
        """The line of its fixture file: the first, since it is about the whole file."""
        return 1

    def check(self) -> None:
        """Fail with its sentence if the verdict or the decision blocks."""
        with ending(self.state.config):
            if why := "\n".join(self._why()):
                pytest.fail(shown_lines(why), pytrace=False)

    def _why(self) -> Iterator[str]:
        """The reasons why it blocks; none if it does not."""
        record = self.state.session.records[self.candidate]
        soft = gate.exempted(record, self.state.session.options.inconclusive)
        if self.unit:
            verdict = record.verdicts[self.unit.key]
            if gate.unit_blocked(self.unit.key, verdict, soft):
                yield f"{self.unit.key}: {verdict.reason}"
        elif gate.task_blocked(record.tasks[self.task.name], soft):
            yield f"{self.task.name}: {record.tasks[self.task.name].reason}"

    @property
    def headline(self) -> str:
        """Why it failed, in a word or two, for a list of failures."""
        record = self.state.session.records[self.candidate]
        return record.verdicts[self.unit.key].verdict if self.unit else "blocked"

    @property
    def properties(self) -> Iterator[tuple[str, str]]:
        """The properties in JUnit's XML: the verdict or the decision, and its sentence."""
        record = self.state.session.records[self.candidate]
        if self.unit:
            verdict = record.verdicts[self.unit.key]
            yield from (("verdict", verdict.verdict), ("reason", shown(verdict.reason)))
        else:
            decided = record.tasks[self.task.name]
            yield from (("decision", decided.decision), ("reason", shown(decided.reason)))

    def exemption(self) -> str:
        """Return no reason: a gate that blocks is never expected."""
        return ""


class State:
    """The plugin's state for one pytest run; raises all mistakes in the options and the fixtures."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.chosen = False
        self.failed: list[set[str]] = []  # by candidate, the cases that pytest shows as failures
        self.repeated: Sequence[pytest.Item] = ()  # items of fixture files that a suite's own module has too
        self._suites: tuple[str, ...] = ()
        # cases and records live as long as the run: garbage collection over them would take an eighth of its time
        gc.unfreeze()  # objects of an earlier run in this process
        self.session = Session(read_options(config))
        self.selection = self.session.selection
        self.selection.tasks  # noqa: B018  (read the fixtures now, so that collection reports every mistake)
        gc.freeze()

    def case_items(self, suite: str) -> list[CaseItem]:
        """The cases of a suite, for every candidate; a sealed unit has only its gate."""
        return [
            item
            for candidate in self._candidates
            for unit in self.selection.units(suite)
            for item in self._cases(unit, unit.cases, *candidate)
        ]

    def gate_items(self, suite: str) -> list[GateItem]:
        """A gate for every unit of a suite and a decision for every task with one, for every candidate."""
        return [
            self._gate(suite, task, unit, *candidate)
            for candidate in self._candidates
            if self.session.options.against
            for task in self.selection.tasks
            if (units := self.selection.units(suite, task.name))
            for unit in [*units, None]
        ]

    def file_items(self, task: str, file: str) -> list[CaseItem | GateItem]:
        """The cases of a fixture file, for every candidate, and the items of `_ends`."""
        if (task, file) not in self._files:  # task.yaml, a sealed file, or a folder that is not a task
            return []
        unit, cases = self._files[task, file]
        items: list[CaseItem | GateItem] = []
        for candidate in self._candidates:
            items += self._cases(unit, cases, *candidate)
        for candidate in self._candidates:
            items += self._ends(unit, file, *candidate)
        return items

    @cached_property
    def _files(self) -> dict[tuple[str, str], tuple[Unit, list[Case]]]:
        """By task and name, the content of each fixture file: its unit, and the unit's cases in it."""
        files: dict[tuple[str, str], tuple[Unit, list[Case]]] = {}
        for unit in self.selection.units():
            for case in unit.cases:
                files.setdefault((unit.task, case.file), (unit, []))[1].append(case)
        return files

    def _cases(self, unit: Unit, cases: Iterable[Case], suffix: str, candidate: int) -> Iterator[CaseItem]:
        # under the gate, a failing test of a sealed case would show its text
        if not (unit.sealed and self.session.options.against):
            yield from (CaseItem(f"{case.key}{suffix}", self, unit, case, candidate) for case in cases)

    def _ends(self, unit: Unit, file: str, suffix: str, candidate: int) -> Iterator[GateItem]:
        """The unit's gate in its last file, and the task's decision in the task's last file."""
        if not self.session.options.against or file != unit.cases[-1].file:
            return
        [task] = find_tasks(self.selection.tasks, [unit.task])
        yield self._gate("", task, unit, suffix, candidate)
        if file == max(each.cases[-1].file for each in self.selection.units(task=task.name)):
            yield self._gate("", task, None, suffix, candidate)

    def _gate(self, suite: str, task: Task, unit: Unit | None, suffix: str, candidate: int) -> GateItem:
        return GateItem(f"{unit.key if unit else task.name}{suffix}", self, suite, task, unit, candidate)

    @property
    def _candidates(self) -> list[tuple[str, int]]:
        """The suffix of each candidate's item names, and its number."""
        adapters = self.session.options.adapters
        suffixes = [f"@{shown(adapter.name)}" for adapter in adapters] if len(adapters) > 1 else [""]
        return [(suffix, number) for number, suffix in enumerate(suffixes)]

    def see(self, handles: Iterable[CaseItem | GateItem | None]) -> None:
        """Store the order of the collected suites: the last one of a task shows its decision."""
        self._suites = tuple(dict.fromkeys(handle.suite for handle in handles if isinstance(handle, GateItem)))

    def is_early(self, handle: CaseItem | GateItem | None) -> bool:
        """Whether this is a task's decision in a suite that is not the task's last."""
        if not isinstance(handle, GateItem) or handle.unit or not handle.suite:
            return False
        last = [suite for suite in self._suites if self.selection.units(suite, handle.task.name)][-1]
        return handle.suite != last

    def select(self, handles: Sequence[CaseItem | GateItem]) -> list[CaseItem | GateItem]:
        """Fix what will be evaluated, given the selected items; returns the items that then are not.

        Those are the cases of other shards, and the decisions that cannot be made.

        A gate evaluates its whole unit. A decision does the same for its task if no other item of
        the task is selected; beside other items it needs all units, since `-k voice` must not
        evaluate the schema unit too. --lf repeats what failed, so there every decision is repeated.
        """
        gates = [handle for handle in handles if isinstance(handle, GateItem)]
        decisions = [handle for handle in gates if not handle.unit]
        touched = {handle.unit.task for handle in handles if handle.unit}
        again = self.config.getoption("lf", False)
        whole = [handle.task.name for handle in decisions if again or handle.task.name not in touched]
        self.chosen = bool(handles)
        self.selection.select(
            cases=[handle.case for handle in handles if isinstance(handle, CaseItem)],
            whole=[handle.unit for handle in gates if handle.unit]
            + [unit for task in whole for unit in self.selection.units(task=task)],
        )
        elsewhere = [
            handle for handle in handles if isinstance(handle, CaseItem) and not self.selection.is_selected(handle.case)
        ]
        return [*elsewhere, *(handle for handle in decisions if not self.selection.is_decided(handle.task))]

    def execute(self) -> None:
        """Generate outputs, score and compare them, and write the record."""
        console = _console(self.config.pluginmanager.get_plugin("terminalreporter"))
        console.print()
        gc.freeze()  # the items
        self.session.execute(watch_on(console))
        self.failed = [set() for _ in self.session.records]
        gc.freeze()

    def _shown(self, candidate: int) -> Collection[str]:
        """The cases that pytest lists as failures."""
        option = self.config.option
        return () if option.no_summary or option.tbstyle == "no" else self.failed[candidate]

    def fail(self, handle: CaseItem | GateItem) -> None:
        """Store a case that pytest shows as a failure."""
        if isinstance(handle, CaseItem):
            self.failed[handle.candidate].add(handle.case.key)

    def summarize(self, reporter: Any) -> None:
        """Print the last lines of a run: a table for each candidate, partial units, and written files."""
        if not self.session.records:
            return
        console = _console(reporter)
        records = self.session.records
        for candidate, record in enumerate(records if len(records) <= MANY else ()):
            reporter.section("tunegate")
            contexts = self.session.contexts[candidate]
            print_record(console, record, without=self._shown(candidate), contexts=contexts)
        if len(records) > 1:
            reporter.section("leaderboard")
            print_leaderboard(console, records, self.session.base_folder, SHOWN_ADAPTERS)
        for line in [*_partial_lines(self.session), *self.session.notes]:
            console.print(line, highlight=False, soft_wrap=True, markup=False)


_relative = lru_cache(maxsize=64)(os.path.relpath)  # neighbouring cases share their file


def _partial_lines(session: Session) -> list[str]:
    if session.options.shard:
        return []  # a note says so
    units = session.records[0].units
    return [
        f"partial: {unit.key} was not evaluated as a whole ({units[unit.key].n if unit.key in units else 0} of "
        f"{len(unit.cases)} cases): no verdict"
        for unit in session.selection.partial
    ]


def _console(reporter: Any) -> Printer:
    writer = reporter._tw if reporter else None  # pytest's own writer reaches the real stdout
    wide = writer.fullwidth if writer else 80
    file = writer._file if writer else None
    return Printer(file=file, width=max(wide, 80), force_terminal=bool(writer and writer.hasmarkup))
