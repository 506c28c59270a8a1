"""One run of the suites: what was selected, who answers, what came of it. The plugin only wires this to pytest."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Literal

from harness import gate
from harness.adapters import TRAINING, adapter_digest, training_record
from harness.baselines import (
    Baseline,
    as_reference,
    baseline_path,
    matching,
    question_differences,
    read_baseline,
    write_baselines,
)
from harness.cache import Cached, Store
from harness.cases import Case, Task, Unit, load_tasks
from harness.errors import CouldNotRun, Refused, show_path
from harness.judge import judge
from harness.local import Local
from harness.models import cache_folder
from harness.progress import Watch
from harness.prompts import RungName
from harness.record import Record, read_record
from harness.replay import read_replay
from harness.subject import Answer, Subject

REPLAY = "replay:"
RUNS = Path(".tunegate/runs")


@dataclass(frozen=True, slots=True)
class Options:
    """The options of a run, as given on the command line or in pyproject.toml; paths are absolute or from `root`."""

    root: Path
    model: str = "smollm2"
    adapters: tuple[Path, ...] = ()
    cases: Path = Path("fixtures")
    baselines: Path = Path("baselines")
    out: Path | None = None
    against: str | None = None
    record: bool = False
    rung: RungName = "as-is"
    sealed: bool = False
    repeats: int = 1
    inconclusive: Literal["block", "warn"] = "block"

    def check(self) -> None:
        """Refuse combinations that cannot mean anything.

        Raises:
            Refused: names the two options and what to do.
        """
        if self.record and self.against:
            raise Refused("--record writes the baseline that --against compares with: use one of them")
        if self.record and len(self.adapters) > 1:
            raise Refused("--record with several --adapter: only the released adapter renews its files, one at a time")
        if self.model.startswith(REPLAY) and (self.record or self.against == "baseline" or self.adapters):
            raise Refused(
                "--model replay:FILE: the subject is the file, without baseline or adapter; "
                "keep its record with --out RECORD.json and compare with --against RECORD.json"
            )
        if self.repeats < 1:
            raise Refused(f"--repeats: expected a whole number from 1, found {self.repeats}")


class Session:
    """The state of one run. `execute` fills `records`, one for each candidate (adapter, or the model itself)."""

    def __init__(self, options: Options) -> None:
        options.check()
        self.options = options
        self.records: list[Record] = []
        self.notes: list[str] = []
        self.references: dict[str, Record] = {}
        self._selected: dict[str, set[str]] = {}

    @cached_property
    def tasks(self) -> tuple[Task, ...]:
        """Every task of the fixtures, read once."""
        return load_tasks(self.options.cases)

    @property
    def candidates(self) -> tuple[Path | None, ...]:
        """What is judged: each adapter, or the model as it is."""
        return self.options.adapters or (None,)

    def units(self, suite: str | None = None) -> list[Unit]:
        """The units in play, of one suite or all; sealed ones only under --sealed."""
        return [
            unit for task in self.tasks for unit in task.units
            if (suite is None or unit.suite == suite) and (self.options.sealed or not unit.sealed)
        ]  # fmt: skip

    def select(self, cases: Iterable[Case], whole: Iterable[Unit]) -> None:
        """Fix what will be judged: single cases, and units that a gate item asks for whole."""
        self._selected = {}
        for case in cases:
            self._selected.setdefault(case.unit, set()).add(case.id)
        for unit in whole:
            self._selected[unit.key] = {case.id for case in unit.cases}

    def is_whole(self, unit: Unit) -> bool:
        """Whether every case of a unit is selected."""
        return self._selected.get(unit.key, set()) == {case.id for case in unit.cases}

    def is_decided(self, task: Task) -> bool:
        """Whether every open unit of a task is selected whole, so that the task can be decided."""
        return all(self.is_whole(unit) for unit in self.units() if unit.task == task.name)

    @property
    def partial(self) -> list[str]:
        """The units of which not every case is selected."""
        return [unit.key for unit in self.units() if not self.is_whole(unit)]

    def execute(self, watch: Watch) -> None:
        """Judge every candidate, compare, and write the records (last, so that a record that exists is complete).

        Raises:
            Refused: refused before generation; nothing was written.
            CouldNotRun: the model could not answer; there is no record.
        """
        units = [_part(unit, self._selected[unit.key]) for unit in self.units() if unit.key in self._selected]
        if self.options.record:
            self._check_whole()
        self._check_candidates()
        finished = []
        with closing(Store(cache_folder() / "generations.sqlite")) as store:
            for adapter in self.candidates:
                subject = self._subject(adapter, watch)
                known = self._prepare(subject, units)
                cached = Cached(subject, store, known) if isinstance(subject, Local) else subject
                judged = judge(units, cached, watch, self.options.repeats, bool(self.partial), self.options.sealed)
                finished.append((adapter, self._compare(judged, adapter)))
        for adapter, record in finished:
            self.records.append(self._keep(record, adapter))
        if self.options.record:
            self._record_baselines(units)

    def _check_whole(self) -> None:
        parts = [unit for unit in self.partial if unit in self._selected]
        if parts:
            raise Refused(f"--record writes whole units only, found a part of {', '.join(parts)}; widen the selection")

    def _check_candidates(self) -> None:
        for task in self.tasks:
            declared, found = task.policy.candidates, len(self.options.adapters)
            if self.options.against and found > max(declared, 1):
                raise Refused(
                    f"{task.name}: task.yaml declares {declared} candidate{'s' if declared > 1 else ''}, found {found} "
                    "adapters in one run; picking the best of many needs `candidates:`, which divides the levels"
                )

    def _subject(self, adapter: Path | None, watch: Watch) -> Subject:
        model = self.options.model
        if model.startswith(REPLAY):
            known = {case.key for task in self.tasks for unit in task.units for case in unit.cases}
            return read_replay(Path(model.removeprefix(REPLAY)), known)
        if model.startswith("openai:"):
            raise CouldNotRun(
                "--model openai:URL#MODEL is not served by this version; use a local model or replay:FILE"
            )
        return Local(model, watch, adapter, self.options.rung)

    def _prepare(self, subject: Subject, units: Sequence[Unit]) -> dict[str, Answer]:
        """Find what the candidate is compared with, before anything is generated."""
        options = self.options
        if options.against and options.against != "baseline":
            self.references = {"record": self._reference(Path(options.against), subject)}
        if not isinstance(subject, Local):
            return {}
        slug, identity = subject.model.slug, subject.identity
        if options.against == "baseline":
            whole = [unit for unit in self.units() if unit.key in self._selected]
            found = matching(options.baselines, slug, whole, identity.subject, identity.engine)
            self.references = {"baseline": as_reference(found)} | self._released(slug, whole)
            return _answers(found)
        if options.record and options.adapters:
            self._check_released(slug, units, options.adapters[0])
        known = [self._recorded(slug, unit) for unit in units] if options.record else []
        return _answers([each for each in known if each])

    def _recorded(self, slug: str, unit: Unit) -> Baseline | None:
        try:
            path = baseline_path(self.options.baselines, slug, unit.key, bool(self.options.adapters))
            return read_baseline(path, unit.key)
        except Refused:
            return None  # missing or damaged: about to be written anew

    def _released(self, slug: str, units: Sequence[Unit]) -> dict[str, Record]:
        found = []
        for unit in units:
            path = baseline_path(self.options.baselines, slug, unit.key, released=True)
            if path.exists():
                released = read_baseline(path, unit.key)
                if changed := question_differences(released.questions, unit.questions, unit, released.results):
                    raise Refused(
                        f"{unit.key}: the last release ({show_path(path)}) was judged with {', '.join(changed)}; "
                        "renew it: pytest suites/ --record --adapter=<the released adapter>"
                    )
                found.append(released)
        return {"last release": as_reference(found)} if found else {}

    def _check_released(self, slug: str, units: Sequence[Unit], adapter: Path) -> None:
        digest = adapter_digest(adapter)
        for unit in units:
            path = baseline_path(self.options.baselines, slug, unit.key, released=True)
            if not path.exists() or read_baseline(path, unit.key).subject.get("adapter") != digest:
                raise Refused(
                    f"--record with --adapter {adapter}: only the released adapter may renew its files, and it is not "
                    f"the release of {unit.key}; record the base without --adapter, release with tunegate release"
                )

    def _reference(self, path: Path, subject: Subject) -> Record:
        record = read_record(path)
        if record.partial:
            raise Refused(f"{show_path(path)}: expected a complete record, found a partial one; judge whole units")
        asked = {unit.key: unit for unit in self.units() if unit.key in self._selected}
        wrong = [key for key in asked if key not in record.questions]
        if wrong:
            raise Refused(f"{show_path(path)}: expected results for {', '.join(wrong)}, found none; judge them again")
        for key, unit in asked.items():
            changed = question_differences(record.questions[key], unit.questions, unit, record.of_unit(key))
            if changed:
                raise Refused(
                    f"{show_path(path)}: {key} was asked with {', '.join(changed)}; judge it again with --out"
                )
        self.notes += _identity_notes(record, subject)
        return record

    def _compare(self, record: Record, adapter: Path | None) -> Record:
        if not self.references:
            return record
        whole = {key: summary for key, summary in record.units.items() if key not in self.partial}
        trained = trained_tasks(adapter, [task.name for task in self.tasks])
        judged = gate.compare(self.tasks, replace(record, units=whole), self.references, trained)
        return replace(record, verdicts=judged.verdicts, tasks=judged.tasks)

    def _keep(self, record: Record, adapter: Path | None) -> Record:
        name = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f")
        kept = record.write(self.options.root / RUNS / f"{name}.json")
        if self.options.out:
            several = len(self.candidates) > 1 and adapter
            kept = record.write(self.options.out / f"{adapter.name}.json" if several and adapter else self.options.out)
        return kept

    def _record_baselines(self, units: Sequence[Unit]) -> None:
        record = self.records[0]
        incomplete = [key for key, summary in record.units.items() if summary.unscored]
        slug = str(record.identity["subject"]["model"])
        scored = [unit for unit in units if unit.key not in incomplete]
        self.notes += write_baselines(self.options.baselines, slug, record, scored, bool(self.options.adapters))
        self.notes += [f"{key}: NOT recorded, it has unscored cases" for key in incomplete]


def trained_tasks(adapter: Path | None, tasks: Sequence[str]) -> tuple[str, ...]:
    """The tasks an adapter was trained for; all of them where it does not say, none where there is no adapter."""
    if adapter is None:
        return ()
    training = training_record(adapter)
    if training is None:
        return tuple(tasks)
    if "task" not in training:
        raise Refused(f"{adapter / TRAINING}: expected a training record with its task, found none; train it again")
    return (str(training["task"]),)


def _part(unit: Unit, ids: set[str]) -> Unit:
    return replace(unit, cases=tuple(case for case in unit.cases if case.id in ids))


def _answers(baselines: Sequence[Baseline]) -> dict[str, Answer]:
    return {key: answer for baseline in baselines for key, answer in baseline.answers.items()}


def _identity_notes(record: Record, subject: Subject) -> list[str]:
    notes = []
    for part, old, new in (
        ("subject", record.identity["subject"], subject.identity.subject),
        ("engine", record.identity["engine"], subject.identity.engine),
    ):
        notes += [
            f"{part} differs: {key} {_short(old.get(key))} -> {_short(new.get(key))}"
            for key in sorted({*old, *new}) if old.get(key) != new.get(key)
        ]  # fmt: skip
    return notes


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 24 else text[:12]
