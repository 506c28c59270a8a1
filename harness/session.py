"""One run of the suites: what was selected, who answers, what came of it. The plugin only wires this to pytest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from tunegate.harness.baselines.lookup import (
    baseline_references,
    check_released,
    difference_notes,
    record_reference,
    recorded_completions,
    reference_notes,
)
from tunegate.harness.baselines.recording import write_baselines
from tunegate.harness.baselines.releases import released_adapter
from tunegate.harness.baselines.repeats import check_greedy_repeats, check_repeats, kept_noise, known_noise
from tunegate.harness.baselines.store import state
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.cases.model import Case, Task, Unit
from tunegate.harness.checks.registry import project_kinds
from tunegate.harness.core.errors import Refused, show_path
from tunegate.harness.core.files import text_digest
from tunegate.harness.core.formatting import listed
from tunegate.harness.core.progress import Watch
from tunegate.harness.evaluation.engines import answers_beside, ask_here
from tunegate.harness.evaluation.latency import time_calls
from tunegate.harness.evaluation.noise import answered_twice, measure_noise
from tunegate.harness.evaluation.outlay import Outlay, outlays
from tunegate.harness.evaluation.record import Noise, Record
from tunegate.harness.evaluation.rescoring import Rescored, rescored_units, score_again
from tunegate.harness.evaluation.runs import RUNS, keep_run
from tunegate.harness.evaluation.scoring import evaluate
from tunegate.harness.evaluation.shard_record import ShardRecord
from tunegate.harness.evaluation.shards import divide
from tunegate.harness.evaluation.sidecar import CaseContext, case_contexts, copy_with_sidecar, sidecar_text
from tunegate.harness.gate import rule as gate
from tunegate.harness.gate.cost_claim import claims
from tunegate.harness.ledger.journal import undo_cut_off
from tunegate.harness.ledger.ledger import opening_numbers, read_ledger
from tunegate.harness.ledger.sealed import check_openable, check_tellable, tell_openings, tell_run
from tunegate.harness.models.adapter_reference import adapter_folder
from tunegate.harness.models.adapters import training_record
from tunegate.harness.models.api import Completion, Fingerprint, Model
from tunegate.harness.models.cache import Cached, Run, Store, store_path
from tunegate.harness.models.local.huggingface import Base
from tunegate.harness.models.local.ray_model import RayBase
from tunegate.harness.models.model_options import is_server, split_replay
from tunegate.harness.models.opening import open_model
from tunegate.harness.models.prompts import requests
from tunegate.harness.models.replay import Replay, read_replay
from tunegate.harness.models.request_file import check_digests, read_digests
from tunegate.harness.models.served.server import Server
from tunegate.harness.models.served.vllm import VllmBase
from tunegate.harness.options.anew import counting
from tunegate.harness.options.run import BASELINE, Options, same_names


@dataclass(frozen=True)
class Candidate:
    """Who is scored, and against what: everything that is found before anything is generated."""

    adapter: Path | None
    model: Model
    references: Mapping[str, Rescored]
    trained: tuple[str, ...]
    known: Mapping[str, Completion] = field(default_factory=dict)
    seen: Mapping[str, str | None] = field(default_factory=dict)
    beside: Mapping[str, Model] = field(default_factory=dict)  # who of the references answers beside it
    engines: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


class Session:
    """The state of one run. `execute` fills `records` and `references`, one for each adapter, or the model itself."""

    def __init__(self, options: Options) -> None:
        options.check()
        self.options = options
        self.records: list[Record] = []
        self.references: list[Mapping[str, Record]] = []
        self.contexts: list[Mapping[str, CaseContext]] = []  # of the cases of each record, without their prompts
        self.notes: list[str] = []
        self._selected: dict[str, set[str]] = {}
        self._divided: list[Unit] = []  # what all shards together are to ask
        self._base: Base | VllmBase | RayBase | None = None
        self._server: Server | None = None
        self._rescored: dict[str, tuple[Record, Rescored]] = {}
        self._run: Run | None = None  # whose answers alone count

    @cached_property
    def tasks(self) -> tuple[Task, ...]:
        """Every task of the fixtures, read once."""
        return load_tasks(self.options.cases, project=self.options.root)

    @property
    def suites(self) -> tuple[str, ...]:
        """Every suite that fixtures may name, the project's own among them."""
        return project_kinds(self.options.cases, self.options.root).suites

    def units(self, suite: str | None = None, task: str | None = None) -> list[Unit]:
        """The units in play, of one suite or task or all; sealed ones only under --tg-sealed."""
        return [
            unit for each in self.tasks for unit in each.units
            if suite in (None, unit.suite) and task in (None, unit.task) and (self.options.sealed or not unit.sealed)
        ]  # fmt: skip

    def select(self, cases: Iterable[Case], whole: Iterable[Unit]) -> None:
        """Fix what will be scored: single cases, units that a gate item asks for whole, what these derive from."""
        self._selected = {}
        for case in cases:
            self._selected.setdefault(case.unit, set()).add(case.id)
        for unit in whole:
            self._selected[unit.key] = {case.id for case in unit.cases}
        for unit in self.units():
            if unit.of and unit.key in self._selected:  # what it is derived from must be asked
                self._selected.setdefault(unit.of, set()).update(self._selected[unit.key])
        if (shard := self.options.shard) and self._selected:
            self._check_whole("--tg-shard divides")
            self._divided = self.selected
            shards = divide(self._divided, shard.count, self.options.rung, self.options.repeats)
            self._selected = shards[shard.number - 1]

    def is_selected(self, case: Case) -> bool:
        """Whether a case will be scored, in this shard where there are several."""
        return case.id in self._selected.get(case.unit, ())

    @property
    def selected(self) -> list[Unit]:
        """The units of which at least one case is selected, with all their cases."""
        return [unit for unit in self.units() if unit.key in self._selected]

    def is_whole(self, unit: Unit) -> bool:
        """Whether every case of a unit is selected."""
        return self._selected.get(unit.key, set()) == {case.id for case in unit.cases}

    def is_decided(self, task: Task) -> bool:
        """Whether every open unit of a task is selected whole, so that the task can be decided."""
        return all(self.is_whole(unit) for unit in self.units(task=task.name))

    @property
    def partial(self) -> list[Unit]:
        """The units of which not every case is selected."""
        return [unit for unit in self.units() if not self.is_whole(unit)]

    @property
    def base_folder(self) -> Path | None:
        """The folder of the model that local ones share, once there is one."""
        return self._base.folder if self._base else None

    def estimate(self, watch: Watch) -> list[Outlay]:
        """What a server will be asked for, by task; nothing of a model that costs time alone."""
        if not is_server(self.options.model):
            return []
        asked = list(requests(self._asked, self.options.rung, self.options.repeats))
        thought, times = self.options.opened.reasoning_tokens, 2 if self.options.noise else 1
        with closing(Store(store_path(), self.options.cache_size)) as store:
            kept = None if self.options.fresh else store
            return outlays(self.tasks, asked, self._model(None, watch), kept, thought, times)

    def execute(self, watch: Watch) -> None:
        """Score every candidate, compare, and write the records (last, so that a record that exists is complete).

        Raises:
            Refused: refused before generation; nothing was written.
            CouldNotRun: the model could not answer; there is no record.
        """
        try:
            with counting(self.options, self.notes) as self._run:
                self._execute(watch)
            self.notes += self._base.notes if isinstance(self._base, RayBase) else []
        finally:
            if isinstance(self._base, VllmBase | RayBase):
                self._base.stop()

    def _execute(self, watch: Watch) -> None:
        self._check_selection()
        if self.options.record:
            undo_cut_off(self.options.baselines)
        adapters = [adapter_folder(given, watch) for given in self.options.adapters]
        if wrong := list(same_names(adapters)):  # two references may lead to one name
            raise Refused("\n".join(wrong))
        waiting = [self._candidate(adapter, watch) for adapter in adapters or (None,)]
        looking = [each for each in (one.model.fingerprint for one in waiting) if each.subject.get("adapter")]
        check_tellable(self.options, looking, self._asked)
        self.notes += tell_openings(self.options, looking, self._asked)
        evaluated = []
        while waiting:  # popped: a model that has answered must not stay in memory beside the next
            candidate = self._ask_beside(waiting.pop(0), watch)
            record = self._evaluate(candidate, watch)
            references = {name: each.record for name, each in candidate.references.items()}
            contexts = dict(case_contexts(self._asked, self.options.rung, references, record.cases))
            sidecar = sidecar_text(contexts)
            record = replace(record, sidecar=text_digest(sidecar))
            tell_run(self.options, record, self._asked)  # now, so that the next adapter here counts as the next one
            evaluated.append((candidate.adapter, record, sidecar))
            self.references.append(references)
            self.contexts.append({key: replace(each, prompt=(), texts=()) for key, each in contexts.items()})
            seen = candidate.seen
        self.records += [self._keep(*each) for each in evaluated]
        if self.options.record:
            self.notes += record_units(self.options, self.records[0], self.selected, seen)

    def _check_selection(self) -> None:
        if self.options.record:
            self._check_whole("--tg-record writes")
        if not (self.options.replays or self.options.shards):  # whose outputs were given before
            check_openable([unit for unit in self.selected if unit.sealed], self.options)

    def _check_whole(self, does: str) -> None:
        if parts := [unit.key for unit in self.selected if not self.is_whole(unit)]:
            raise Refused(f"{does} whole units only, found a part of {', '.join(parts)}; select all of it")

    def _candidate(self, adapter: Path | None, watch: Watch) -> Candidate:
        merged = self.options.shards
        trained = merged.first.trained if merged else trained_tasks(adapter, [task.name for task in self.tasks])
        model = self._model(adapter, watch)
        references = self._references(model)
        self._check_repeats(model, references)
        rescored = {name: self._score_again(name, each, watch) for name, each in references.items()}
        baselines, slug, renews = self.options.baselines, str(model.fingerprint.subject["model"]), False
        if self.options.record and adapter:
            check_released(baselines, model.fingerprint.subject, self.selected, adapter)
            renews = True
        # not under --tg-against: a base served its own baseline's outputs would always hold; nor of a server, whose
        # baseline may be written anew because what is behind its name has changed
        reuses = self.options.record and not self.options.fresh and not is_server(self.options.model)
        known = recorded_completions(baselines, slug, self.selected, renews) if reuses else {}
        seen = state(baselines, slug, self.selected, renews) if self.options.record else {}
        beside = self._beside(references, model.fingerprint, watch)
        return Candidate(adapter, model, rescored, trained, known, seen, beside)

    def _beside(self, references: Mapping[str, Record], fingerprint: Fingerprint, watch: Watch) -> dict[str, Model]:
        """Who is asked beside the candidate: the base, and the last release if its adapter is found."""
        found = {}
        for name, each in references.items():
            if self.options.against == BASELINE and answers_beside(each, fingerprint, self.selected):
                if self.options.shards:
                    raise Refused(
                        f"the {name} would have to be asked on the shards' engine, and a merge asks nobody: its "
                        "baseline is of another engine, or cases are sealed; shard the base, too, and name its record: "
                        "--against=RECORD.json"
                    )
                is_adapter = each.fingerprint["subject"].get("adapter")
                adapter = released_adapter(self.options.baselines, each, watch) if is_adapter else None
                found[name] = self._model(adapter, watch)
        return found

    def _ask_beside(self, candidate: Candidate, watch: Watch) -> Candidate:
        """The candidate with the answers of those that are asked beside it, on its engine."""
        if not candidate.beside:
            return candidate
        references = {name: each.record for name, each in candidate.references.items()}
        with closing(Store(store_path(), self.options.cache_size)) as store:
            models = {name: Cached(model, store, run=self._run) for name, model in candidate.beside.items()}
            here, engines = ask_here(references, models, self._asked, watch, self.options.repeats)
        rescored = {name: replace(each, record=here[name]) for name, each in candidate.references.items()}
        return replace(candidate, references=rescored, engines=engines)

    def _check_repeats(self, model: Model, references: Mapping[str, Record]) -> None:
        repeats, fingerprint = self.options.repeats, model.fingerprint
        check_repeats(references, self.selected, repeats)
        noise = known_noise(self.options.baselines, fingerprint, self.selected) if repeats > 1 else {}
        check_greedy_repeats(self.selected, repeats, noise, fingerprint)

    def _score_again(self, name: str, reference: Record, watch: Watch) -> Rescored:
        known = self._rescored.get(name)
        if known and known[0] == reference:  # many adapters, one baseline
            return known[1]
        found = score_again(self.selected, reference, f"the {name}", watch)
        self._rescored[name] = reference, found
        self.notes += found.notes(f"the {name}")
        return found

    def _model(self, adapter: Path | None, watch: Watch) -> Model:
        options = self.options
        if options.shards:
            return options.shards.model(self.selected)
        if options.replays:
            return self._replay()
        if is_server(options.model):
            if self._server is None:
                self._server = Server(options.model, watch, options.opened, options.rung)
                self.notes += self._server.notes
            return self._server
        model = open_model(options.model, watch, adapter, options.rung, self._base, options.opened)
        self._base = model.base  # many adapters, one base
        return model

    def _replay(self) -> Replay:
        """The outputs of a file, if they answer what the cases ask now, as far as their digests tell."""
        options, (name, path) = self.options, split_replay(self.options.model)
        units = [unit for task in self.tasks for unit in task.units if not unit.of]
        known = {case.key: len(unit.texts(case)) for unit in units for case in unit.cases}
        outputs = read_replay(path, known, name, options.rung)
        given = read_digests(options.requests) if options.requests else {}
        # a baseline outlives the run, and without a digest nothing says that another rung was asked
        needed = options.record or options.rung != "as-is"
        without = check_digests(outputs, units, options.rung, given, needed)
        if without and options.against:
            self.notes.append(
                f"{without} of {len(outputs.sources)} outputs carry no digest (tunegate prompts writes them): nothing "
                "here shows which prompts they answer"
            )
        return outputs

    def _references(self, model: Model) -> dict[str, Record]:
        options = self.options
        if not options.against:
            return {}
        if options.against == BASELINE:
            fingerprint, root = model.fingerprint, options.baselines
            found = baseline_references(root, self.tasks, self.selected, fingerprint, options.model)
            notes = reference_notes(found, fingerprint, self.selected)
            self.notes += [note for note in notes if note not in self.notes]
            return found
        record = record_reference(Path(options.against), self.tasks, self.selected)
        self.notes += [
            note for note in difference_notes(record, model.fingerprint, self.tasks) if note not in self.notes
        ]
        return {"record": record}

    def _evaluate(self, candidate: Candidate, watch: Watch) -> Record:
        # before what takes long: where two models do not fit in memory, it shows at once
        timing = self._time(candidate, watch) if self.options.timing else None
        if not isinstance(candidate.model, Replay):
            with closing(Store(store_path(), self.options.cache_size)) as store:
                cached = Cached(candidate.model, store, candidate.known, self._run, self.options.limit)
                record = self._ask(cached, candidate, watch)
            if cached.left:
                self.notes.append(f"{cached.left} requests are left (--limit): the same command goes on with them")
            if is_server(self.options.model) and cached.reused and not self._run:
                self.notes.append(
                    f"{cached.reused} answers of {self.options.model} were given before; --tg-fresh asks it again"
                )
        else:
            record = self._ask(candidate.model, candidate, watch)
        policies = {key: policy for task in self.tasks for key, policy in task.policies.items()}
        noise = self._noise(candidate.model, record, watch) if self.options.record else {}
        record = replace(
            record, policies={key: policies[key] for key in record.units}, timing=timing, noise=noise,
            inconclusive=self.options.inconclusive, engines=candidate.engines,
        )  # fmt: skip
        if not candidate.references:
            return record
        # a part of a unit has no verdict, whatever was selected with it: the cases that fail could be left out
        whole = {unit.key: record.units[unit.key] for unit in self.selected if self.is_whole(unit)}
        decidable = replace(record, units=whole, openings=self._openings(candidate, record))
        references = {name: each.record for name, each in candidate.references.items()}
        evaluated = gate.compare(self.tasks, decidable, references, candidate.trained, self._targets_stay)
        made = {} if self.options.against == BASELINE else claims(self.tasks, evaluated, references["record"])
        rescored = rescored_units(candidate.references)
        return replace(
            record, verdicts=evaluated.verdicts, tasks=evaluated.tasks, openings=evaluated.openings, claims=made,
            rescored=rescored,
        )  # fmt: skip

    def _noise(self, model: Model, record: Record, watch: Watch) -> dict[str, Noise]:
        """What a new baseline tells of its engine: measured now, or before of the very same answers."""
        if self.options.adapters:
            return {}
        if self.options.noise and self.options.replays:
            self.notes.append("noise not measured: these outputs were supplied, and there is no model to ask again")
        asks = self.options.noise and not self.options.replays
        measured = measure_noise(self._asked if asks else answered_twice(self._asked, record), model, record, watch)
        self.notes += [f"{unit}: asked again: {noise}" for unit, noise in measured.items()]
        return kept_noise(self.options.baselines, model.fingerprint, self.selected, record) | measured

    def _openings(self, candidate: Candidate, record: Record) -> dict[str, int]:
        """The how many-th adapter this is on each unit; nothing where nobody counts."""
        if self.options.against != BASELINE or not candidate.model.fingerprint.subject.get("adapter"):
            return {}
        whole = [unit for unit in self.selected if self.is_whole(unit)]
        return opening_numbers(read_ledger(self.options.baselines), whole, record.answered_by)

    @property
    def _targets_stay(self) -> bool:
        """Whether a model without an adapter, too, must show a gain: all but a base beside its own baseline."""
        return self.options.replays or self.options.against != BASELINE

    def _ask(self, model: Model, candidate: Candidate, watch: Watch) -> Record:
        # all references were scored in this run, whatever their files say
        known = [each.record for each in candidate.references.values()]
        found = evaluate(self._asked, model, watch, self.options.repeats, bool(self.partial), known)
        return replace(found, sealed=self.options.sealed)

    def _time(self, candidate: Candidate, watch: Watch) -> Mapping[str, Any]:
        # of its own: no call waits for a change
        base = open_model(self.options.model, watch, rung=self.options.rung, options=self.options.opened)
        return time_calls(self._asked, base, candidate.model, self.options.rung, watch)

    @property
    def _asked(self) -> list[Unit]:
        """The selected units, with their selected cases alone."""
        return [_narrowed(unit, self._selected[unit.key]) for unit in self.selected]

    def _keep(self, adapter: Path | None, record: Record, sidecar: str) -> Record:
        if self.options.shard:
            return self._keep_shard(adapter, record)
        kept = keep_run(record, sidecar, self.options.root / RUNS)
        out = self.options.out_of(adapter)
        return copy_with_sidecar(kept, out) if out else kept

    def _keep_shard(self, adapter: Path | None, record: Record) -> Record:
        """Write what this shard came to, which is no record before all are merged."""
        options, partial = self.options, replace(record, partial=True, sidecar="")
        if options.shard and options.out:
            trained = trained_tasks(adapter, [task.name for task in self.tasks])
            questions = {unit.key: unit.questions for unit in self._divided}
            found = ShardRecord(options.shard, options.model, options.repeats, trained, questions, partial)
            found.write(options.out)
            asked = sum(len(unit.cases) for unit in self._divided)
            self.notes.append(
                f"shard {options.shard}: {len(partial.cases)} of {asked} cases, kept in {show_path(options.out)}; no "
                "verdict before tunegate merge has joined all shards"
            )
        return partial


def record_units(options: Options, record: Record, units: Sequence[Unit], seen: Mapping[str, str | None]) -> list[str]:
    """Write the baseline (with an adapter: the release) of every unit whose cases all have a score; a line for each."""
    slug = str(record.fingerprint["subject"]["model"])
    scored = [unit for unit in units if not record.units[unit.key].unscored]
    released = options.adapters[0] if options.adapters else None
    lines = write_baselines(options.baselines, slug, record, scored, seen, released)
    return lines + [_not_recorded(unit, record) for unit in units if unit not in scored]


def _not_recorded(unit: Unit, record: Record) -> str:
    missing = sorted(case for case, result in record.of_unit(unit.key).items() if result.score is None)
    return (
        f"{unit.key}: NOT recorded, {len(missing)} of {len(unit.cases)} cases are unscored: no answer to "
        f"{listed(missing)}"
    )


def trained_tasks(adapter: Path | None, tasks: Sequence[str]) -> tuple[str, ...]:
    """The tasks an adapter was trained for; all of them where it does not say, none where there is no adapter."""
    if adapter is None:
        return ()
    training = training_record(adapter)
    # where nobody knows what an adapter was trained for, it has to show a gain on every task that names a target
    return tuple(tasks) if training is None else (training["task"],)


def _narrowed(unit: Unit, ids: set[str]) -> Unit:
    cases = tuple(case for case in unit.cases if case.id in ids)
    return unit if cases == unit.cases else replace(unit, cases=cases)  # the same unit knows its questions already
