"""Cases and gates as pytest items: what each test checks, which failures are no news, what the summary shows."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from harness import gate
from harness.cases import Case, Task, Unit
from harness.errors import Refused, TunegateError, show_path
from harness.progress import watch_on
from harness.record import Result
from harness.report import case_failure, show
from harness.session import Options, Session

SETTINGS = frozenset({"model", "cases", "baselines", "inconclusive"})


@dataclass(frozen=True)
class CaseItem:
    """One case of one candidate."""

    id: str
    state: State
    unit: Unit
    case: Case
    candidate: int

    def check(self) -> None:
        """Fail with the findings if the answer is unscored or did not pass."""
        result = self.result
        if result.score is None or result.passed is False:
            pytest.fail(case_failure(self.case, result, self.before), pytrace=False)

    @property
    def result(self) -> Result:
        """What the candidate's answer came to."""
        return self.state.session.records[self.candidate].cases[self.case.key]

    @property
    def before(self) -> Result | None:
        """What the first reference's answer came to, under --against."""
        references = self.state.session.references.values()
        return next((reference.cases[self.case.key] for reference in references), None)

    def excuse(self) -> str:
        """Why a failure of this case is no news: an expected failure; empty if it is."""
        if self.result.score is None:
            return ""
        if self.state.session.options.record:
            return "missed; the baseline says so"
        if self.before is None:
            return ""
        if not self.before.passed:
            return "missed before, misses now"
        return "broke, within what its unit may lose" if self._tolerated() else ""

    def _tolerated(self) -> bool:
        record = self.state.session.records[self.candidate]
        verdict = record.verdicts.get(self.unit.key)
        if verdict is None or self.case.critical:
            return False
        soft = gate.excused(record, self.state.session.options.inconclusive)
        return not verdict["blocks"] or self.unit.key in soft


@dataclass(frozen=True)
class GateItem:
    """One unit's verdict, or one task's decision, for one candidate."""

    id: str
    state: State
    suite: str
    task: Task
    unit: Unit | None
    candidate: int

    def check(self) -> None:
        """Fail if the verdict or the decision blocks, with its sentence."""
        record = self.state.session.records[self.candidate]
        soft = gate.excused(record, self.state.session.options.inconclusive)
        if self.unit:
            verdict = record.verdicts[self.unit.key]
            if verdict["blocks"] and self.unit.key not in soft:
                pytest.fail(f"{self.unit.key}: {verdict['reason']}", pytrace=False)
        elif gate.task_blocked(record.tasks[self.task.name], soft):
            pytest.fail(f"{self.task.name}: {record.tasks[self.task.name]['reason']}", pytrace=False)

    def excuse(self) -> str:
        """A gate that blocks is always news."""
        return ""


class State:
    """What the plugin keeps for one pytest run."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.error: TunegateError | None = None
        self.chosen = False
        try:
            self.session = Session(read_options(config))
            self.session.tasks  # noqa: B018  (read the fixtures now, so that every mistake shows at collection)
        except TunegateError as error:
            self.error = error

    def check(self) -> None:
        """Raise what went wrong while the fixtures were read."""
        if self.error:
            raise self.error

    def case_handles(self, suite: str) -> list[CaseItem]:
        """Every case of a suite, for every candidate."""
        if self.error:
            return []
        return [
            CaseItem(f"{case.key}{suffix}", self, unit, case, index)
            for index, suffix in enumerate(self._suffixes())
            for unit in self.session.units(suite)
            for case in unit.cases
        ]

    def gate_handles(self, suite: str) -> list[GateItem]:
        """A gate for every unit of a suite and for every task that has one, for every candidate."""
        if self.error or not self.session.options.against:
            return []
        tasks = [task for task in self.session.tasks if any(unit.suite == suite for unit in task.units)]
        return [
            GateItem(f"{unit.key if unit else task.name}{suffix}", self, suite, task, unit, index)
            for index, suffix in enumerate(self._suffixes())
            for task in tasks
            for unit in [*(unit for unit in self.session.units(suite) if unit.task == task.name), None]
        ]

    def _suffixes(self) -> list[str]:
        adapters = self.session.options.adapters
        return [f"@{adapter.name}" for adapter in adapters] if len(adapters) > 1 else [""]

    def applies(self, handle: CaseItem | GateItem | None, item: pytest.Item) -> bool:
        """Whether an item stands for something: no placeholder, no sealed case beside its gate, no early decision."""
        if handle is None:
            return not {"tunegate_case", "tunegate_gate"} & set(getattr(item, "fixturenames", ()))
        if isinstance(handle, CaseItem):
            return not (handle.unit.sealed and self.session.options.against)
        return handle.unit is not None or handle.suite == self._last_suite(handle.task)

    def _last_suite(self, task: Task) -> str:
        collected = [suite for suite in self._suites if any(unit.suite == suite for unit in task.units)]
        return collected[-1]

    def see(self, handles: Sequence[CaseItem | GateItem | None]) -> None:
        """Remember the order of the collected suites: the last one of a task shows its decision."""
        self._suites = list(dict.fromkeys(handle.suite for handle in handles if isinstance(handle, GateItem)))

    def select(self, items: Sequence[tuple[pytest.Item, CaseItem | GateItem | None]]) -> list[pytest.Item]:
        """Fix what will be judged; returns decisions that cannot be made, to deselect."""
        handles = [handle for _, handle in items if handle]
        self.chosen = bool(handles)
        if not self.chosen:
            return []
        gates = [handle for handle in handles if isinstance(handle, GateItem) and handle.unit]
        cases = [handle.case for handle in handles if isinstance(handle, CaseItem)]
        self.session.select(cases, [handle.unit for handle in gates if handle.unit])
        return [
            item for item, handle in items
            if isinstance(handle, GateItem) and not handle.unit and not self.session.is_decided(handle.task)
        ]  # fmt: skip

    def execute(self) -> None:
        """Generate, judge, compare, write."""
        reporter = self.config.pluginmanager.get_plugin("terminalreporter")
        console = _console(reporter)
        console.print()
        self.session.execute(watch_on(console))

    def summarize(self, reporter: Any) -> None:
        """The last lines of a run: a table for each candidate, what is partial, what was written."""
        if self.error or not self.session.records:
            return
        console = _console(reporter)
        for record in self.session.records:
            reporter.section("tunegate")
            show(console, record)
        _tell_rest(console, self.session)


def _tell_rest(console: Console, session: Session) -> None:
    records, partial = session.records, session.partial
    for key in partial:
        judged = records[0].units[key].n if key in records[0].units else 0
        console.print(
            f"partial: {key} was not judged whole ({judged} cases): no verdict", highlight=False, soft_wrap=True
        )
    for note in session.notes:
        console.print(note, highlight=False, soft_wrap=True)


def _console(reporter: Any) -> Console:
    writer = reporter._tw if reporter else None  # the terminal writer is pytest's own way to the real stdout
    wide = writer.fullwidth if writer else 80
    file = writer._file if writer else None
    return Console(file=file, width=max(wide, 80), force_terminal=bool(writer and writer.hasmarkup))


def read_options(config: pytest.Config) -> Options:
    """The run's options: the command line, else `[tool.tunegate]` of the root's pyproject.toml, else the defaults.

    Raises:
        Refused: an option or setting that cannot be.
    """
    option, root = config.option, config.rootpath
    settings = _settings(root)
    here = config.invocation_params.dir
    out = here / option.out if option.out else None
    against = option.against
    if against and against != "baseline":
        against = str(here / against)
    model = option.model or settings.get("model", "smollm2")
    return Options(
        root=root,
        model=model,
        adapters=tuple(here / adapter for adapter in option.adapter),
        cases=here / option.cases if option.cases else root / settings.get("cases", "fixtures"),
        baselines=here / option.baselines if option.baselines else root / settings.get("baselines", "baselines"),
        out=out,
        against=against,
        record=option.record,
        rung=option.rung,
        sealed=option.sealed,
        repeats=option.repeats,
        inconclusive="warn" if (option.inconclusive or settings.get("inconclusive")) == "warn" else "block",
    )


def _settings(root: Path) -> dict[str, str]:
    path = root / "pyproject.toml"
    if not path.is_file():
        return {}
    try:
        settings = tomllib.loads(path.read_text("utf-8")).get("tool", {}).get("tunegate", {})
    except (ValueError, OSError) as error:
        raise Refused(f"{show_path(path)}: expected TOML, found {error}") from error
    odd = [f"{key} = {value!r}" for key, value in settings.items() if key not in SETTINGS or not isinstance(value, str)]
    if odd or settings.get("inconclusive", "block") not in {"block", "warn"}:
        allowed = ", ".join(sorted(SETTINGS))
        raise Refused(f"{show_path(path)}: [tool.tunegate] takes {allowed} (texts); found {', '.join(odd) or settings}")
    return dict(settings)
