"""Cases and gates as pytest items: what each test checks, which failures are no news, what the summary shows."""

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
from tunegate.harness.evaluation.record import Result
from tunegate.harness.gate import rule as gate
from tunegate.harness.pytest_plugin.errors import ending
from tunegate.harness.pytest_plugin.options import read_options
from tunegate.harness.reporting.leaderboard import MANY, SHOWN_ADAPTERS, print_leaderboard
from tunegate.harness.reporting.record import case_failure, print_record
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
        """What it is called in its fixture file: the case's id."""
        return self.id.removeprefix(f"{self.unit.key}/")

    @property
    def line(self) -> int:
        """The line of its fixture file, from 1."""
        return self.case.line

    def location_below(self, root: Path) -> tuple[str, int]:
        """Its fixture file, from the root of pytest, and its line as pytest counts, from 0."""
        return _relative(self.case.place.rpartition(":")[0], root), self.line - 1

    def check(self) -> None:
        """Fail with the findings if the answer is unscored or did not pass."""
        with ending(self.state.config):
            result = self.result
            if result.score is None or result.passed is False:
                pytest.fail(shown_lines(case_failure(self.case, result, self.before)), pytrace=False)

    @property
    def result(self) -> Result:
        """What the candidate's answer came to."""
        return self.state.session.records[self.candidate].cases[self.case.key]

    @property
    def before(self) -> Result | None:
        """What a reference's answer came to, under --tg-against: one that passed, else the first."""
        references = self.state.session.references[self.candidate].values()
        results = [reference.cases[self.case.key] for reference in references if self.case.key in reference.cases]
        return next((result for result in results if result.passed), results[0] if results else None)

    @property
    def headline(self) -> str:
        """Where it stands and why it failed, on a line, for a list of failures."""
        rules = ", ".join(dict.fromkeys(each.rule for each in self.result.missed.findings)) or "unscored"
        return shown(f"{self.case.key} ({self.case.place}): {rules}")

    @property
    def properties(self) -> Iterator[tuple[str, str]]:
        """What a viewer of JUnit's XML shows beside it: the score, and each finding."""
        yield "score", "unscored" if self.result.score is None else f"{self.result.score:g}"
        yield from (("finding", shown(each.sourced)) for each in self.result.missed.findings)

    def exemption(self) -> str:
        """Why a failure of this case is no news: an expected failure; empty if it is."""
        # no answer is never expected: it is neither a miss nor a zero
        if self.result.score is None:
            return ""
        if self.state.session.options.record:
            return "missed; the baseline says so"
        if self.state.session.options.shard:
            return "missed; it counts where the shards are merged"
        if self.before is None:
            return ""
        if not self.before.passed:
            return "missed before, misses now"
        return "regressed, within what its unit may lose" if self._tolerated() else ""

    def _tolerated(self) -> bool:
        record = self.state.session.records[self.candidate]
        verdict = record.verdicts.get(self.unit.key)
        if verdict is None:  # not all of the unit was judged: then a break counts
            return False
        if self.case.critical and self.case.id not in verdict["disarmed"]:
            return False
        soft = gate.exempted(record, self.state.session.options.inconclusive)
        return not gate.unit_blocked(self.unit.key, verdict, soft)


@dataclass(frozen=True, eq=False)
class GateItem:
    """One unit's verdict, or one task's decision, for one candidate."""

    # Gates stand in the files of their cases: in a file of its own, a failed gate is all that `--lf` repeats, for ever.

    id: str
    state: State
    suite: str  # the suite whose module shows it; empty in a fixture file
    task: Task
    unit: Unit | None
    candidate: int

    @property
    def name(self) -> str:
        """What it is called in its fixture file; no case can have such an id."""
        if self.unit:
            return "@gate" + self.id.removeprefix(self.unit.key)
        return "@decision" + self.id.removeprefix(self.task.name)

    @property
    def line(self) -> int:
        """The line of its fixture file, from 1: the first, as it is the verdict on all of them."""
        return 1

    def check(self) -> None:
        """Fail if the verdict or the decision blocks, with its sentence."""
        with ending(self.state.config):
            if why := "\n".join(self._why()):
                pytest.fail(shown_lines(why), pytrace=False)

    def _why(self) -> Iterator[str]:
        """The lines that say why it blocks; none if it does not."""
        record = self.state.session.records[self.candidate]
        soft = gate.exempted(record, self.state.session.options.inconclusive)
        if self.unit:
            verdict = record.verdicts[self.unit.key]
            if gate.unit_blocked(self.unit.key, verdict, soft):
                yield f"{self.unit.key}: {verdict['reason']}"
        elif gate.task_blocked(record.tasks[self.task.name], soft):
            yield f"{self.task.name}: {record.tasks[self.task.name]['reason']}"

    @property
    def headline(self) -> str:
        """Why it failed, in a word or two, for a list of failures."""
        record = self.state.session.records[self.candidate]
        return str(record.verdicts[self.unit.key]["verdict"] if self.unit else "blocked")

    @property
    def properties(self) -> Iterator[tuple[str, str]]:
        """What a viewer of JUnit's XML shows beside it: the verdict or the decision, and its sentence."""
        record = self.state.session.records[self.candidate]
        said = record.verdicts[self.unit.key] if self.unit else record.tasks[self.task.name]
        name = "verdict" if self.unit else "decision"
        yield from ((name, str(said[name])), ("reason", shown(str(said["reason"]))))

    def exemption(self) -> str:
        """A gate that blocks is always news."""
        return ""


class State:
    """What the plugin keeps for one pytest run.

    Raises:
        TunegateError: options that cannot mean anything, or mistakes in the fixtures, all of them.
    """

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.chosen = False
        self.failed: list[set[str]] = []  # by candidate, the cases that pytest shows as failures
        self.repeated: Sequence[pytest.Item] = ()  # items of fixture files that a suite's own module has as well
        self._suites: tuple[str, ...] = ()
        # cases and records live as long as the run: to look for garbage among them would take an eighth of its time
        gc.unfreeze()  # those of an earlier run in this process
        self.session = Session(read_options(config))
        self.selection = self.session.selection
        self.selection.tasks  # noqa: B018  (read the fixtures now, so that every mistake shows at collection)
        gc.freeze()

    def case_items(self, suite: str) -> list[CaseItem]:
        """Every case of a suite, for every candidate; what is sealed shows no cases beside its gate."""
        return [
            item
            for candidate in self._candidates
            for unit in self.selection.units(suite)
            for item in self._cases(unit, unit.cases, *candidate)
        ]

    def gate_items(self, suite: str) -> list[GateItem]:
        """A gate for every unit of a suite and for every task that has one, for every candidate."""
        return [
            self._gate(suite, task, unit, *candidate)
            for candidate in self._candidates
            if self.session.options.against
            for task in self.selection.tasks
            if (units := self.selection.units(suite, task.name))
            for unit in [*units, None]
        ]

    def file_items(self, task: str, file: str) -> list[CaseItem | GateItem]:
        """The cases of a fixture file, for every candidate, and what ends it: see `_ends`."""
        if (task, file) not in self._files:  # task.yaml, one that is sealed, or of a folder that is no task
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
        """By task and name, what stands in each fixture file: its unit, and those of the unit's cases that it holds."""
        files: dict[tuple[str, str], tuple[Unit, list[Case]]] = {}
        for unit in self.selection.units():
            for case in unit.cases:
                files.setdefault((unit.task, case.file), (unit, []))[1].append(case)
        return files

    def _cases(self, unit: Unit, cases: Iterable[Case], suffix: str, candidate: int) -> Iterator[CaseItem]:
        # under the gate a sealed case as a test of its own would show its text when it fails
        if not (unit.sealed and self.session.options.against):
            yield from (CaseItem(f"{case.key}{suffix}", self, unit, case, candidate) for case in cases)

    def _ends(self, unit: Unit, file: str, suffix: str, candidate: int) -> Iterator[GateItem]:
        """The unit's gate in its last file, and the task's decision in its own, whatever else is collected."""
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
        """What the names of each candidate's items end with, and its number."""
        return [(suffix, number) for number, suffix in enumerate(self._suffixes())]

    def _suffixes(self) -> list[str]:
        adapters = self.session.options.adapters
        return [f"@{shown(adapter.name)}" for adapter in adapters] if len(adapters) > 1 else [""]

    def see(self, handles: Iterable[CaseItem | GateItem | None]) -> None:
        """Remember the order of the collected suites: the last one of a task shows its decision."""
        self._suites = tuple(dict.fromkeys(handle.suite for handle in handles if isinstance(handle, GateItem)))

    def is_early(self, handle: CaseItem | GateItem | None) -> bool:
        """Whether this is a task's decision in a suite that is not the task's last."""
        if not isinstance(handle, GateItem) or handle.unit or not handle.suite:
            return False
        last = [suite for suite in self._suites if self.selection.units(suite, handle.task.name)][-1]
        return handle.suite != last

    def select(self, handles: Sequence[CaseItem | GateItem]) -> list[CaseItem | GateItem]:
        """Fix what will be judged, given the selected items; returns those that then are not.

        Those are the cases of other shards, and the decisions that cannot be made.

        A gate judges its unit whole. A decision does the same for its task where nothing else of the task is
        selected; beside other items it needs all units, since `-k voice` must not judge the schema unit too. --lf
        means to repeat what failed, so there every decision is repeated.
        """
        gates = [handle for handle in handles if isinstance(handle, GateItem)]
        decisions = [handle for handle in gates if not handle.unit]
        touched = {handle.unit.task for handle in handles if handle.unit}
        again = self.config.getoption("lf", False)
        alone = [handle.task.name for handle in decisions if again or handle.task.name not in touched]
        self.chosen = bool(handles)
        self.selection.select(
            cases=[handle.case for handle in handles if isinstance(handle, CaseItem)],
            whole=[handle.unit for handle in gates if handle.unit]
            + [unit for task in alone for unit in self.selection.units(task=task)],
        )
        elsewhere = [
            handle for handle in handles if isinstance(handle, CaseItem) and not self.selection.is_selected(handle.case)
        ]
        return [*elsewhere, *(handle for handle in decisions if not self.selection.is_decided(handle.task))]

    def execute(self) -> None:
        """Generate, judge, compare, write."""
        console = _console(self.config.pluginmanager.get_plugin("terminalreporter"))
        console.print()
        gc.freeze()  # the items
        self.session.execute(watch_on(console))
        self.failed = [set() for _ in self.session.records]
        gc.freeze()

    def _shown(self, candidate: int) -> Collection[str]:
        """The cases that stand among pytest's failures, where it shows them."""
        option = self.config.option
        return () if option.no_summary or option.tbstyle == "no" else self.failed[candidate]

    def fail(self, handle: CaseItem | GateItem) -> None:
        """Remember a case that pytest shows as a failure."""
        if isinstance(handle, CaseItem):
            self.failed[handle.candidate].add(handle.case.key)

    def summarize(self, reporter: Any) -> None:
        """The last lines of a run: a table for each candidate, what is partial, what was written."""
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


_relative = lru_cache(maxsize=64)(os.path.relpath)  # of the file of a case, as of its neighbours


def _partial_lines(session: Session) -> list[str]:
    if session.options.shard:
        return []  # a note says it
    units = session.records[0].units
    return [
        f"partial: {unit.key} was not judged whole ({units[unit.key].n if unit.key in units else 0} of "
        f"{len(unit.cases)} cases): no verdict"
        for unit in session.selection.partial
    ]


def _console(reporter: Any) -> Printer:
    writer = reporter._tw if reporter else None  # the terminal writer is pytest's own way to the real stdout
    wide = writer.fullwidth if writer else 80
    file = writer._file if writer else None
    return Printer(file=file, width=max(wide, 80), force_terminal=bool(writer and writer.hasmarkup))
