"""The cases of a run: the fixtures, the units in play, and the selected cases."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import cached_property

from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.cases.model import Case, Task, Unit
from tunegate.harness.cases.snapshot import traffic_in
from tunegate.harness.checks.registry import project_kinds
from tunegate.harness.core.errors import Refused
from tunegate.harness.models.evaluation.shards import divide
from tunegate.harness.models.options.run import Options
from tunegate.harness.session.sealed import check_openable


class Selection:
    """The cases of a run, by unit. Empty before `select`."""

    def __init__(self, options: Options) -> None:
        self.divided: list[Unit] = []  # the units of all shards together
        self._options = options
        self._cases: dict[str, set[str]] = {}

    @cached_property
    def tasks(self) -> tuple[Task, ...]:
        """Every task of the fixtures, without the cases that wait for a recorded output."""
        return tuple(task.without(self._options.unrecorded) for task in self.read)

    @cached_property
    def read(self) -> tuple[Task, ...]:
        """Every task of the fixtures, read once; their questions are put as the run's options say."""
        put = self._options.configurations
        with traffic_in(self._options.traffic):
            tasks = load_tasks(self._options.cases, project=self._options.root)
        return tuple(
            replace(task, units=tuple(unit.configured(put.get(unit.key, unit.configuration)) for unit in task.units))
            for task in tasks
        )

    @property
    def suites(self) -> tuple[str, ...]:
        """All suites that fixtures may name, including the project's own."""
        return project_kinds(self._options.cases, self._options.root).suites

    def units(self, suite: str | None = None, task: str | None = None) -> list[Unit]:
        """The units in play, of one suite or task or all; sealed units only under --tg-sealed."""
        return [
            unit
            for each in self.tasks
            for unit in each.units
            if suite in (None, unit.suite) and task in (None, unit.task) and (self._options.sealed or not unit.sealed)
        ]

    def select(self, cases: Iterable[Case], whole: Iterable[Unit]) -> None:
        """Set the cases to score: single cases, the whole units of gate items, and the units they derive from."""
        self._cases = {}
        for case in cases:
            self._cases.setdefault(case.unit, set()).add(case.id)
        for unit in whole:
            self._cases[unit.key] = {case.id for case in unit.cases}
        for unit in self.units():
            if unit.of and unit.key in self._cases:  # its source unit must run, too
                self._cases.setdefault(unit.of, set()).update(self._cases[unit.key])
        self._divide()

    def _divide(self) -> None:
        """Keep only this shard's cases, if the run is sharded."""
        options = self._options
        if not (options.shard and self._cases):
            return
        self._check_whole("--tg-shard divides")
        self.divided = self.selected
        shards = divide(self.divided, options.shard.count, options.rung, options.repeats)
        self._cases = shards[options.shard.number - 1]

    def is_selected(self, case: Case) -> bool:
        """Whether a case will be scored, in this shard if the run is sharded."""
        return case.id in self._cases.get(case.unit, ())

    @property
    def selected(self) -> list[Unit]:
        """The units with at least one selected case, each with all its cases."""
        return [unit for unit in self.units() if unit.key in self._cases]

    @property
    def asked(self) -> list[Unit]:
        """The selected units, each with only its selected cases."""
        return [unit.with_cases(self._cases[unit.key]) for unit in self.selected]

    @property
    def whole(self) -> list[Unit]:
        """The units whose cases are all selected."""
        return [unit for unit in self.selected if self.is_whole(unit)]

    @property
    def partial(self) -> list[Unit]:
        """The units in play with unselected cases."""
        return [unit for unit in self.units() if not self.is_whole(unit)]

    def is_whole(self, unit: Unit) -> bool:
        """Whether every case of a unit is selected."""
        return self._cases.get(unit.key, set()) == {case.id for case in unit.cases}

    def is_decided(self, task: Task) -> bool:
        """Whether every unit in play of a task is selected whole, so that the task can be decided."""
        return all(self.is_whole(unit) for unit in self.units(task=task.name))

    def check(self) -> None:
        """Refuse to record parts of units, and refuse sealed cases that may not be evaluated now."""
        options = self._options
        if options.record:
            self._check_whole("--tg-record writes")
        if not (options.replays or options.shards):  # their outputs exist already
            check_openable([unit for unit in self.selected if unit.sealed], options)

    def _check_whole(self, does: str) -> None:
        if parts := [unit.key for unit in self.selected if not self.is_whole(unit)]:
            raise Refused(f"{does} whole units only, found a part of {', '.join(parts)}; select all of it")
