"""Several configurations on the same open cases, the first one as the reference; for information only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tunegate.harness.cases.model import Unit, UnitConfiguration, read_configuration
from tunegate.harness.cases.prompt_file import read_prompt_file
from tunegate.harness.core.errors import Refused, UsageError, show_path
from tunegate.harness.core.formatting import listed
from tunegate.harness.core.progress import Watch
from tunegate.harness.models.evaluation.record import Record, read_record
from tunegate.harness.models.evaluation.shard_record import ShardRecord, Shards
from tunegate.harness.models.evaluation.shards import Shard
from tunegate.harness.models.options.run import Options
from tunegate.harness.session.run import Session
from tunegate.harness.session.selection import Selection
from tunegate.harness.session.sides import Side


@dataclass(frozen=True)
class Compared:
    """The records of the compared configurations, the reference first, and the notes of their runs."""

    records: tuple[Record, ...]
    notes: tuple[str, ...]


class ComparisonRun:
    """The runs of `sides` on `units` (all open ones if none is named), each with the options of the run.

    Prompt files are read at once, so that a mistake is found before a model runs.
    """

    def __init__(self, options: Options, sides: Sequence[Side], units: Sequence[str]) -> None:
        self._options = options
        self._sides = sides
        self.units = _chosen(Selection(options).units(), units)
        self._records = {each: read_record(each.record) for each in sides if each.record}
        self._put = {each: self._configurations(each) for each in sides}

    @property
    def configured(self) -> dict[str, list[Unit]]:
        """The units as each configuration puts them, by its name."""
        return {
            side.name: [unit.configured(put.get(unit.key, unit.configuration)) for unit in self.units]
            for side, put in self._put.items()
        }

    def execute(self, watch: Watch) -> Compared:
        """Run every configuration that is not a record, and compare the later ones with the first.

        Raises Refused if a record has other questions (the records of earlier configurations are
        kept), CouldNotRun if a model failed.
        """
        first, *others = self._sides
        notes: list[str] = []
        if first.record is None:
            [reference] = self._run(first, None, watch, notes).records
        else:
            reference = self._records[first]
        found = []
        for side in others:
            session = self._run(side, reference.path, watch, notes)
            found += session.records
            seen = session.references[0]["record"]  # re-scored by the checks of now
        shown = replace(_narrowed(seen, self.units), verdicts={}, tasks={}, compared_as=first.name, path=reference.path)
        return Compared((shown, *found), tuple(dict.fromkeys(notes)))

    def _run(self, side: Side, against: Path | None, watch: Watch, notes: list[str]) -> Session:
        options = replace(
            self._options,
            model=side.model or self._options.model,
            adapters=(side.adapter,) if side.adapter else (),
            configurations=self._put[side],
            against=str(against) if against else None,
            compared_as=side.name,
        )
        if side.record:
            options = self._replayed(options, side)
        session = Session(options)
        keys = {unit.key for unit in self.units}
        session.selection.select([], [unit for unit in session.selection.units() if unit.key in keys])
        session.execute(watch)
        notes += session.notes
        return session

    def _replayed(self, options: Options, side: Side) -> Options:
        """Options that score the outputs of a record."""
        path, record = Path(str(side.record)), _narrowed(self._records[side], self.units)
        shard = ShardRecord(Shard(1, 1), options.model, record.repeats, (), record.questions, record)
        return replace(options, shards=Shards({path: shard}), repeats=record.repeats, timing=False)

    def _configurations(self, side: Side) -> dict[str, UnitConfiguration]:
        if side.record:
            known = self._records[side].configurations
            missing = [unit.key for unit in self.units if unit.key not in known]
            if missing:
                raise Refused(f"{show_path(side.record)}: expected results for {listed(missing)}, found none")
            return {unit.key: read_configuration(known[unit.key]) for unit in self.units}
        if side.prompt is None:
            return {}
        file = read_prompt_file(side.prompt)
        asked = [unit for unit in self.units if not unit.of and "prompt" not in unit.check_kind.ignores]
        if len({unit.configuration.digest for unit in asked}) > 1:
            raise UsageError(
                f"{show_path(side.prompt)}: expected units of one prompt, found {listed([each.key for each in asked])} "
                "with different ones; name the units it is for with --unit"
            )
        put = {unit.key: file.on(unit.configuration) for unit in asked}
        if wrong := list(_without_context(self.units, put)):
            raise Refused(
                f"{show_path(side.prompt)}: its template has {{context}}, and cases of {listed(wrong)} have none; "
                "choose other units with --unit"
            )
        return put


def _chosen(units: Sequence[Unit], names: Sequence[str]) -> list[Unit]:
    known = {unit.key: unit for unit in units}
    if not known:
        raise UsageError("compare: expected an open unit, found none: sealed cases are not used")
    if unknown := [name for name in names if name not in known]:
        raise UsageError(f"--unit: expected an open unit ({listed(sorted(known))}), found {listed(unknown)}")
    wanted = {key for name in names for key in (name, known[name].of) if key}
    return [unit for unit in units if not names or unit.key in wanted]


def _without_context(units: Sequence[Unit], put: Mapping[str, UnitConfiguration]) -> Iterator[str]:
    for unit in units:
        configuration = put.get(unit.key)
        needed = configuration is not None and "{context}" in configuration.prompt.template
        if needed and any(case.context is None for case in unit.cases):
            yield unit.key


def _narrowed(record: Record, units: Sequence[Unit]) -> Record:
    """Return a record with only the results of `units`."""
    keys = {unit.key for unit in units}
    by_unit = {name: getattr(record, name) for name in ("questions", "configurations", "units", "policies")}
    kept: dict[str, Any] = {
        name: {key: each for key, each in parts.items() if key in keys} for name, parts in by_unit.items()
    }
    cases = {key: each for key, each in record.cases.items() if key.rpartition("/")[0] in keys}
    return replace(record, cases=cases, **kept)
