"""The models of a run, their references and their outputs: everything that takes long."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tunegate.harness.begin.results.scored_outputs import has_scores, read_scored_outputs
from tunegate.harness.cases.model import Unit
from tunegate.harness.core.errors import Refused
from tunegate.harness.core.progress import Watch
from tunegate.harness.history.baselines.lookup import (
    baseline_references,
    check_released,
    is_added_part,
    record_reference,
    recorded_completions,
    with_grown_anchors,
)
from tunegate.harness.history.baselines.notes import difference_notes, reference_notes
from tunegate.harness.history.baselines.releases import released_adapter
from tunegate.harness.history.baselines.repeats import check_greedy_repeats, check_repeats, kept_noise, known_noise
from tunegate.harness.history.baselines.service import records_in_service, spent_anchors
from tunegate.harness.history.baselines.store import as_reference, state
from tunegate.harness.history.ledger.store import read_ledger
from tunegate.harness.models.adapter_reference import adapter_folder
from tunegate.harness.models.adapters import claim_of, rewarding_checks, training_record
from tunegate.harness.models.api import Completion, Fingerprint, Model, Opened
from tunegate.harness.models.backends import REPLAY
from tunegate.harness.models.cache import Cached, Run, Store, store_path
from tunegate.harness.models.evaluation.engines import ask_here, is_same_configuration, runs_beside
from tunegate.harness.models.evaluation.latency import time_calls
from tunegate.harness.models.evaluation.noise import measure_noise, run_twice
from tunegate.harness.models.evaluation.outlay import Outlay, outlays
from tunegate.harness.models.evaluation.record import Noise, Record
from tunegate.harness.models.evaluation.rescoring import Rescored, score_again
from tunegate.harness.models.evaluation.run_facts import RunAgain, Timing
from tunegate.harness.models.evaluation.scoring import evaluate
from tunegate.harness.models.options.run import BASELINE, Options, same_names
from tunegate.harness.models.options.settings import standing
from tunegate.harness.models.prompts import requests
from tunegate.harness.models.replay import Replay, leftover_outputs, read_replay
from tunegate.harness.models.request_file import check_digests, read_digests
from tunegate.harness.rows.near_cases import find_near_cases
from tunegate.harness.session.added import check_same_model
from tunegate.harness.session.selection import Selection

ASKED = "a case that is scored here, for scores of another tool come from its own result file"


@dataclass(frozen=True)
class Candidate:
    """A model or adapter to score, and its references: everything that is known before generation."""

    adapter: Path | None
    model: Model
    references: Mapping[str, Rescored]
    trained: tuple[str, ...]
    known: Mapping[str, Completion] = field(default_factory=dict)
    seen: Mapping[str, str | None] = field(default_factory=dict)
    beside: Mapping[str, Model] = field(default_factory=dict)  # references that run on the candidate's engine
    engines: Mapping[str, RunAgain] = field(default_factory=dict)
    counts: bool = False  # whether the ledger counts its run: of an adapter, or of a change to what is in service

    @property
    def compared(self) -> dict[str, Record]:
        """The records of the references, by name."""
        return {name: each.record for name, each in self.references.items()}


class RunModels:
    """The models of a run, each opened once. Messages are appended to `notes`."""

    def __init__(self, options: Options, selection: Selection, watch: Watch, notes: list[str]) -> None:
        self._options = options
        self._selection = selection
        self._watch = watch
        self._notes = notes
        self._run: Run | None = None  # set if only this run's outputs count
        self._opened: Opened | None = None  # the last one
        self._rescored: dict[str, tuple[Record, Rescored]] = {}

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count only this run's outputs if the options ask for that, and stop at the end what was started."""
        with self._options.counting(self._notes) as self._run:  # an error decides whether the run can be resumed
            try:
                yield
            finally:
                self._stop()

    def _stop(self) -> None:
        if self._opened:
            self._note(*self._opened.notes_at_end)
            self._opened.stop()

    @property
    def base_folder(self) -> Path | None:
        """The folder of the model that local models share, once it is loaded."""
        return self._opened.folder if self._opened else None

    def estimate(self) -> list[Outlay]:
        """The work for a server, by task; empty for models that cost only time."""
        options = self._options
        if not options.backend.is_hosted:
            return []
        asked = list(requests(self._selection.asked, options.rung, options.repeats))
        thought, times = options.opened.reasoning_tokens, 2 if options.noise else 1
        with self._store() as store:
            kept = None if options.fresh else store
            return outlays(self._selection.tasks, asked, self._model(None), kept, thought, times)

    def candidates(self) -> list[Candidate]:
        """The candidates: one per adapter, or the model itself. Everything that can be refused is, before any runs.

        Raises Refused if a reference is missing or does not fit, or adapters share a name,
        CouldNotRun if a model cannot be opened.
        """
        adapters = [adapter_folder(given, self._watch) for given in self._options.adapters]
        if wrong := list(same_names(adapters)):  # two .ref files may have one name
            raise Refused("\n".join(wrong))
        return [self._candidate(adapter) for adapter in adapters or (None,)]

    def _candidate(self, adapter: Path | None) -> Candidate:
        options, selected = self._options, self._selection.selected
        merged = options.shards
        tasks = [task.name for task in self._selection.tasks]
        trained = merged.first.trained if merged else trained_tasks(adapter, tasks)
        model = self._model(adapter)
        references = self._references(model)
        self._check_repeats(model, references)
        rescored = {name: self._score_again(name, each) for name, each in references.items()}
        slug, renews = str(model.fingerprint.subject["model"]), bool(options.record and adapter)
        if renews and adapter:
            check_released(options.baselines, model.fingerprint.subject, selected, adapter)
        # not under --tg-against: a base that served its own baseline's outputs would always hold; not for a server,
        # whose baseline is recorded again because the model behind its name may have changed
        reuses = options.record and not options.fresh and (options.added or not options.backend.is_opaque)
        if options.added:
            check_same_model(options.baselines, slug, selected)
        known = recorded_completions(options.baselines, slug, selected, renews) if reuses else {}
        seen = state(options.baselines, slug, selected, renews) if options.record else {}
        beside = self._beside(references, model.fingerprint)
        counts = bool(model.fingerprint.subject.get("adapter")) or self._is_change(model, references)
        return Candidate(adapter, model, rescored, trained, known, seen, beside, counts=counts)

    def _is_change(self, model: Model, references: Mapping[str, Record]) -> bool:
        """Whether a model without an adapter is another configuration than the one in service."""
        options, selected = self._options, self._selection.selected
        if options.replays or options.shards:
            return False
        serving = references.get(BASELINE) if options.against == BASELINE else None
        if options.compared_as:
            try:
                found = records_in_service(options.baselines, read_ledger(options.baselines), selected, supplied=False)
            except Refused:
                return True  # what is in service has other questions by now: nothing that runs here is its record
            serving = as_reference(found) if found else None
        return serving is not None and not is_same_configuration(serving, model.fingerprint, selected)

    def with_references(self, candidate: Candidate) -> Candidate:
        """The candidate with the outputs of the references that run on its engine, and with the grown anchor."""
        if not candidate.beside:
            return self._with_grown_anchors(candidate)
        with self._store() as store:
            models = {name: Cached(model, store, run=self._run) for name, model in candidate.beside.items()}
            asked, repeats = self._selection.asked, self._options.repeats
            parts = list(filter(is_added_part, models))
            here, engines = ask_here(candidate.compared, models, asked, self._watch, repeats, parts)
        rescored = {name: replace(each, record=here[name]) for name, each in candidate.references.items()}
        return self._with_grown_anchors(replace(candidate, references=rescored, engines=engines))

    def _with_grown_anchors(self, candidate: Candidate) -> Candidate:
        known, records = candidate.references, with_grown_anchors(candidate.compared, self._selection.selected)
        references = {name: known.get(name) or Rescored(each, {}) for name, each in records.items()}
        return replace(candidate, references=references)

    def record(self, candidate: Candidate) -> Record:
        """The candidate's scored outputs, with the times of its calls and the noise of its engine."""
        # first: if two models do not fit in memory, this fails at once
        timing = self._time(candidate) if self._options.timing else None
        model = candidate.model
        record = self._scored(model, candidate) if isinstance(model, Replay) else self._ask(candidate)
        noise = self._noise(model, record) if self._options.record else {}
        return replace(record, timing=timing, noise=noise, engines=candidate.engines)

    def _ask(self, candidate: Candidate) -> Record:
        """Score new outputs and cached ones."""
        options = self._options
        with self._store() as store:
            cached = Cached(candidate.model, store, candidate.known, self._run, options.limit)
            record = self._scored(cached, candidate)
        if cached.left:
            self._note(f"{cached.left} requests are left (--limit): run the same command again to continue")
        if options.backend.is_opaque and cached.reused and not (self._run or options.added):
            self._note(f"{cached.reused} outputs of {options.model} come from the cache; --tg-fresh runs it again")
        return record

    def _scored(self, model: Model, candidate: Candidate) -> Record:
        # all references were scored in this run, whatever their files say
        known = list(candidate.compared.values())
        partial, options = bool(self._selection.partial), self._options
        what = options.compared_as or ("this change" if candidate.beside else "")
        found = evaluate(self._selection.asked, model, self._watch, options.repeats, partial, known, what)
        trained_on = self._trained_on(candidate.adapter)
        return replace(found, sealed=options.sealed, compared_as=options.compared_as, **trained_on)

    def _trained_on(self, adapter: Path | None) -> dict[str, Any]:
        """The training rows of the adapter as its record describes them: what came near, was claimed, was rewarded."""
        if shards := self._options.shards:
            first = shards.first.record
            return {**shards.near, "adopted": first.adopted, "rewards": first.rewards}
        if not adapter:
            return {}
        near = find_near_cases(adapter, self._selection.tasks, self._watch, self._options.fresh)
        if near.why_not:
            self._note(f"{adapter.name}: which cases rows come near is only its own record's word: {near.why_not}")
        known = near.of([unit.key for unit in self._selection.selected])
        return {**known, "adopted": claim_of(adapter), "rewards": rewarding_checks(adapter)}

    def _time(self, candidate: Candidate) -> Timing:
        options, models = self._options, {"tuned": candidate.model}
        if not options.compared_as:
            # a model of its own, so that no call waits for an adapter to be switched
            models["base"] = options.backend.open(options.model, self._watch, options.opened, options.rung)
        return time_calls(self._selection.asked, models, options.rung, self._watch)

    def _noise(self, model: Model, record: Record) -> dict[str, Noise]:
        """The noise of a new baseline's engine: measured now, or earlier on the same outputs."""
        options, asked = self._options, self._selection.asked
        if options.adapters:
            return {}
        if options.noise and options.replays:
            self._note("noise not measured: these outputs were supplied, there is no model to run again")
        asks = options.noise and not options.replays
        again = asked if asks else run_twice(asked, record)
        measured = measure_noise(again, model, record, self._watch)
        self._note(*(f"{unit}: run twice: {noise}" for unit, noise in measured.items()))
        return kept_noise(options.baselines, model.fingerprint, self._selection.selected, record) | measured

    def _model(self, adapter: Path | None) -> Model:
        options = self._options
        if options.shards:
            return options.shards.model(self._selection.selected)
        if options.replays:
            return self._replay()
        if self._opened is None or options.backend.has_weights:
            self._opened = options.backend.open(
                options.model, self._watch, options.opened, options.rung, adapter, self._opened
            )
            self._note(*self._opened.notes)
        return self._opened

    def _replay(self) -> Replay:
        """The outputs of a file, if their digests match the requests of the cases."""
        options, (name, path) = self._options, REPLAY.split(self._options.model)
        units = [unit for task in self._selection.read for unit in task.units if not unit.of]
        known = {case.key: len(unit.texts(case)) for unit in units for case in unit.cases}
        by_runner = {case.key for unit in units if unit.check_kind.by_runner for case in unit.cases}
        # a file that stays in the project outlives cases; one that the command line names was made for this run
        stays = standing(options.root)["model"] == options.model
        if has_scores(path, units):
            scored = read_scored_outputs(path, units, name, options.rung)
            outputs = scored.outputs
            self._note(*scored.notes)
        else:
            known = {key: texts for key, texts in known.items() if key not in by_runner}
            asked = ASKED if by_runner else "a case of the fixtures"
            outputs = read_replay(path, known, name, options.rung, asked, skips_unknown=stays)
        if outputs.unknown:
            self._note(leftover_outputs(outputs))
        given = read_digests(options.requests) if options.requests else {}
        # a baseline outlives the run, and only a digest shows which prompting strategy was used
        needed = options.record or options.rung != "as-is"
        without = check_digests(outputs, units, options.rung, given, needed)
        if without and options.against:
            self._note(
                f"{without} of {len(outputs.sources)} outputs carry no digest (tunegate prompts writes them): their "
                "prompts cannot be verified"
            )
        return outputs

    def _references(self, model: Model) -> dict[str, Record]:
        options, tasks, selected = self._options, self._selection.tasks, self._selection.selected
        if not options.against:
            return {}
        if options.against == BASELINE:
            branch = options.branch.baselines if options.branch else None
            found = baseline_references(options.baselines, tasks, selected, model.fingerprint, options.model, branch)
            self._note(*reference_notes(found, model.fingerprint, selected))
            if not options.adapters:
                self._note(*spent_anchors(options.baselines, read_ledger(options.baselines), selected))
            return {
                name: each if is_added_part(name) else self._with_sealed(name, each) for name, each in found.items()
            }
        record = record_reference(Path(options.against), tasks, selected, bool(options.compared_as))
        if not options.compared_as:  # whose differences are printed first
            self._note(*difference_notes(record, model.fingerprint, tasks))
        return {"record": record}

    def _with_sealed(self, name: str, reference: Record) -> Record:
        """A reference with the configurations of sealed units, of which nothing is recorded.

        They are those of the branch, or of the open unit that a sealed one proves, if both have one
        prompt; Refused if one is unknown.
        """
        found, unknown = {}, []
        for unit in self._selection.selected:
            if unit.sealed and unit.key not in reference.configurations:
                put = self._configuration_in_service(unit, reference)
                if put is None:
                    unknown.append(unit.key)
                else:
                    found[unit.key] = put
        if unknown and not self._options.replays:
            raise Refused(
                f"the prompt of {', '.join(unknown)} in the {name} is unknown: nothing is recorded of sealed units, "
                "and prompts were edited; evaluate the change with --policy-from BRANCH, or give each sealed unit the "
                "prompt of the unit that it seals"
            )
        return replace(reference, configurations={**reference.configurations, **found})

    def _configuration_in_service(self, unit: Unit, reference: Record) -> Mapping[str, Any] | None:
        branch, known = self._options.branch, reference.configurations
        if branch:
            return branch.configurations.get(unit.key, unit.configuration).as_dict()
        task = next(task for task in self._selection.tasks if task.name == unit.task)
        proven = task.policy.of(unit.name, unit.kind).seals
        open_unit = next((each for each in task.units if each.name == proven), None)
        if open_unit and open_unit.configuration == unit.configuration and open_unit.key in known:
            return known[open_unit.key]
        edited = any(each.configuration.as_dict() != known.get(each.key) for each in task.units if each.key in known)
        return None if edited else unit.configuration.as_dict()

    def _beside(self, references: Mapping[str, Record], fingerprint: Fingerprint) -> dict[str, Model]:
        """The references that run on the candidate's engine: the base, and the last release if its adapter is found."""
        options, found, selected = self._options, {}, self._selection.selected
        opens = [unit for unit in selected if not unit.sealed]
        for name, each in references.items():
            asked = opens if is_added_part(name) else selected
            if options.against == BASELINE and runs_beside(each, fingerprint, asked):
                if options.shards:
                    raise Refused(
                        f"the {name} must run on the shards' engine, and a merge runs no model: its baseline is of "
                        "another engine, or cases are sealed; shard the base, too, and name its record: "
                        "--against=RECORD.json"
                    )
                found[name] = self._reference_model(each)
        return found

    def _reference_model(self, reference: Record) -> Model:
        """The model of a reference that runs beside the candidate, with the prompting strategy of its record."""
        options, backend = self._options, self._options.backend
        name, opened = backend.as_recorded(options.model, options.opened, reference.fingerprint)
        is_adapter = reference.fingerprint["subject"].get("adapter")
        adapter = released_adapter(options.baselines, reference, self._watch) if is_adapter else None
        return backend.open(name, self._watch, opened, reference.rung, adapter, self._opened)

    def _check_repeats(self, model: Model, references: Mapping[str, Record]) -> None:
        options, selected = self._options, self._selection.selected
        check_repeats(references, selected, options.repeats)
        noise = known_noise(options.baselines, model.fingerprint, selected) if options.repeats > 1 else {}
        check_greedy_repeats(selected, options.repeats, noise, model.fingerprint)

    def _score_again(self, name: str, reference: Record) -> Rescored:
        known = self._rescored.get(name)
        if known and known[0] == reference:  # all adapters share one baseline
            return known[1]
        found = score_again(self._selection.selected, reference, f"the {name}", self._watch)
        self._rescored[name] = reference, found
        self._note(*found.notes(f"the {name}"))
        return found

    def _store(self) -> closing[Store]:
        return closing(Store(store_path(), self._options.cache_size))

    def _note(self, *notes: str) -> None:
        self._notes.extend(note for note in dict.fromkeys(notes) if note not in self._notes)


def trained_tasks(adapter: Path | None, tasks: list[str]) -> tuple[str, ...]:
    """The tasks an adapter was trained for; all of them if it has no training record, none without an adapter."""
    if adapter is None:
        return ()
    training = training_record(adapter)
    # without a training record, an adapter must show a gain on every task that names a target
    return tuple(tasks) if training is None else (training["task"],)
