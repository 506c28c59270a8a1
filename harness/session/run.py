"""One run of the suites: score every candidate, compare it, keep the records. The plugin only wires this to pytest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from tunegate.harness.cases.model import Unit
from tunegate.harness.core.errors import show_path
from tunegate.harness.core.files import text_digest
from tunegate.harness.core.formatting import listed
from tunegate.harness.core.progress import Watch
from tunegate.harness.core.project import project_table
from tunegate.harness.gate import rule as gate
from tunegate.harness.gate.cost_claim import claims
from tunegate.harness.gate.labelled_outputs import supplied_digest
from tunegate.harness.history.baselines.diagnosed import better_prompting
from tunegate.harness.history.baselines.recording import write_baselines
from tunegate.harness.history.ledger.evaluations import evaluation_numbers, try_events
from tunegate.harness.history.ledger.journal import undo_cut_off
from tunegate.harness.history.ledger.store import append, read_ledger
from tunegate.harness.models.evaluation.compared import compared_with
from tunegate.harness.models.evaluation.outlay import Outlay
from tunegate.harness.models.evaluation.record import Record
from tunegate.harness.models.evaluation.rescoring import rescored_units
from tunegate.harness.models.evaluation.runs import RUNS, keep_run
from tunegate.harness.models.evaluation.shard_record import ShardRecord
from tunegate.harness.models.evaluation.sidecar import CaseContext, case_contexts, copy_with_sidecar, sidecar_text
from tunegate.harness.models.options.run import BASELINE, Options
from tunegate.harness.models.options.settings import standing
from tunegate.harness.session.added import check_kept
from tunegate.harness.session.models import Candidate, RunModels, trained_tasks
from tunegate.harness.session.sealed import announce_evaluations, check_changed, check_remote, send_run
from tunegate.harness.session.selection import Selection


class Session:
    """The state of one run. `execute` fills `records` and `references`, one per adapter, or one for the model."""

    def __init__(self, options: Options) -> None:
        options.check()
        self.options = options
        self.selection = Selection(options)
        self.records: list[Record] = []
        self.references: list[Mapping[str, Record]] = []
        self.contexts: list[Mapping[str, CaseContext]] = []  # per record, without prompts
        self.notes: list[str] = []
        self._models: RunModels | None = None  # created by the first run or estimate

    @property
    def base_folder(self) -> Path | None:
        """The folder of the model that local models share, once it is loaded."""
        return self._models.base_folder if self._models else None

    def estimate(self, watch: Watch) -> list[Outlay]:
        """The work for a server, by task; empty for models that cost only time."""
        return self._models_for(watch).estimate()

    def execute(self, watch: Watch) -> None:
        """Score every candidate, compare, and write the records (last, so that an existing record is complete).

        Raises Refused before generation, when nothing was written; CouldNotRun if the model failed:
        there is no record.
        """
        self.selection.check()
        if self.options.record:
            undo_cut_off(self.options.baselines)
        models = self._models_for(watch)
        with models.running():
            waiting = models.candidates()
            self._announce(waiting)
            evaluated = []
            while waiting:  # popped: a finished model must not stay in memory beside the next
                candidate = models.with_references(waiting.pop(0))
                evaluated.append((candidate.adapter, *self._evaluate(candidate, models.record(candidate))))
                seen = candidate.seen
        self.records += [self._keep(*each) for each in evaluated]
        self.notes += [note for each in self.records for note in better_prompting(each, self.options.baselines)]
        if self.options.record:
            self.notes += record_units(self.options, self.records[0], self.selection.selected, seen)

    def _models_for(self, watch: Watch) -> RunModels:
        if self._models is None:
            self._models = RunModels(self.options, self.selection, watch, self.notes)
        return self._models

    def _announce(self, candidates: Sequence[Candidate]) -> None:
        """Record in the ledger which sealed cases the adapters will run, before any output is visible."""
        options, asked = self.options, self.selection.asked
        if not (options.replays or options.shards or all(each.counts for each in candidates)):
            check_changed([unit for unit in asked if unit.sealed], options)
        counted = [each.model.fingerprint for each in candidates if each.counts]
        check_remote(options, counted, asked)
        self.notes += announce_evaluations(options, counted, asked)

    def _evaluate(self, candidate: Candidate, record: Record) -> tuple[Record, str]:
        """A candidate's record, with verdicts if there are references, and the text of its sidecar."""
        record = self._compared(candidate, self._with_rules(record))
        references, asked = candidate.compared, self.selection.asked
        contexts = dict(case_contexts(asked, self.options.rung, references, record.cases))
        sidecar = sidecar_text(contexts)
        record = replace(record, sidecar=text_digest(sidecar))
        if candidate.counts:
            send_run(self.options, record, asked)  # now, so that the next adapter of this run gets the next number
        self._send_tries(record)
        self.references.append(references)
        self.contexts.append({key: replace(each, prompt=(), texts=()) for key, each in contexts.items()})
        return record, sidecar

    def _with_rules(self, record: Record) -> Record:
        policies = {key: policy for task in self.selection.tasks for key, policy in task.policies.items()}
        held = {key: policies[key] for key in record.units}
        return replace(record, policies=held, inconclusive=self.options.inconclusive)

    def _compared(self, candidate: Candidate, record: Record) -> Record:
        """The record with its verdicts, if there is a reference."""
        references, tasks = candidate.compared, self.selection.tasks
        if not references:
            return record
        # a part of a unit has no verdict, since failing cases could be left out
        whole = {unit.key: record.units[unit.key] for unit in self.selection.whole}
        decidable = replace(record, units=whole, sealed_evaluations=self._sealed_evaluations(candidate, record))
        # a model without an adapter must show a gain, too: all but a base against its own baseline
        targets_stay = self.options.against != BASELINE or (
            self.options.replays and not (self.options.branch and _is_same(record, references[BASELINE]))
        )
        evaluated = gate.compare(tasks, decidable, references, candidate.trained, targets_stay)
        made = {} if self.options.against == BASELINE else claims(tasks, evaluated, references["record"])
        return replace(
            record,
            verdicts=evaluated.verdicts,
            tasks={} if self.options.compared_as else evaluated.tasks,  # a comparison decides nothing
            sealed_evaluations=evaluated.sealed_evaluations,
            claims=made,
            rescored=rescored_units(candidate.references),
            references=compared_with(references),
        )

    def _sealed_evaluations(self, candidate: Candidate, record: Record) -> dict[str, int]:
        """The evaluation number of this candidate for each unit; empty if evaluations are not counted."""
        if self.options.against != BASELINE:
            return {}
        ledger, elsewhere = read_ledger(self.options.baselines), self.options.tries.get(record.adapter, {})
        counted = [unit for unit in self.selection.whole if candidate.counts or (unit.labels and record.is_supplied)]
        found = evaluation_numbers(ledger, counted, record.run_by, _supplied(counted, record))
        labelled = {unit.key for unit in counted if unit.labels}
        return {key: max(number, elsewhere.get(key, 1) if key in labelled else 1) for key, number in found.items()}

    def _send_tries(self, record: Record) -> None:
        """Record in the ledger on which labelled traffic a candidate differs, before its record can be read."""
        tried = [unit for unit in self.selection.whole if unit.labels and unit.key in record.sealed_evaluations]
        found = {unit.key: record.verdicts[unit.key].labelled for unit in tried}
        tried = [unit for unit in tried if (sample := found[unit.key]) and sample.differing]
        for event in try_events(record.run_by, tried, _supplied(tried, record)):
            append(self.options.baselines, event)

    def _keep(self, adapter: Path | None, record: Record, sidecar: str) -> Record:
        if self.options.shard:
            return self._keep_shard(adapter, record)
        kept = keep_run(record, sidecar, self.options.root / RUNS)
        out = self.options.out_of(adapter)
        return copy_with_sidecar(kept, out) if out else kept

    def _keep_shard(self, adapter: Path | None, record: Record) -> Record:
        """Write the results of this shard; they become a record when all shards are merged."""
        options, partial = self.options, replace(record, partial=True, sidecar="")
        if options.shard and options.out:
            trained = trained_tasks(adapter, [task.name for task in self.selection.tasks])
            divided = self.selection.divided
            questions = {unit.key: unit.questions for unit in divided}
            found = ShardRecord(options.shard, options.model, options.repeats, trained, questions, partial)
            found.write(options.out)
            asked = sum(len(unit.cases) for unit in divided)
            self.notes.append(
                f"shard {options.shard}: {len(partial.cases)} of {asked} cases, kept in {show_path(options.out)}; "
                "tunegate merge joins all shards and gives the verdict"
            )
        return partial


def _is_same(record: Record, reference: Record) -> bool:
    """Whether supplied outputs and their prompts are those of a reference: with them, a change only edits cases."""
    seen, known = ({case: (each.output, each.logprobs) for case, each in one.cases.items()}
                   for one in (record, reference))  # fmt: skip
    same = all(reference.configurations.get(unit) == put for unit, put in record.configurations.items())
    return same and seen.items() <= known.items()


def _supplied(units: Sequence[Unit], record: Record) -> dict[str, str]:
    """The digests of supplied outputs on labelled traffic, by unit."""
    labelled = [unit for unit in units if unit.labels and not record.units[unit.key].unscored]
    return {unit.key: supplied_digest(unit, record) for unit in labelled if record.is_supplied}


def record_units(options: Options, record: Record, units: Sequence[Unit], seen: Mapping[str, str | None]) -> list[str]:
    """Write the baseline (with an adapter: the release) of every fully scored unit; return one line per unit."""
    slug = str(record.fingerprint["subject"]["model"])
    scored = [unit for unit in units if not record.units[unit.key].unscored]
    released = options.adapters[0] if options.adapters else None
    serves = released is None and is_in_service(options)
    if options.added:
        check_kept(options.baselines, slug, record, scored)
    lines = write_baselines(
        options.baselines, slug, record, scored, seen, released, serves=serves, anchor=options.anchor
    )
    return lines + [_not_recorded(unit, record) for unit in units if unit not in scored]


def is_in_service(options: Options) -> bool:
    """Whether a record of these options is of the configuration that the project serves.

    That is the model that `[tool.tunegate]` names; without one, whatever is recorded.
    """
    return "model" not in project_table(options.root) or options.model == standing(options.root)["model"]


def _not_recorded(unit: Unit, record: Record) -> str:
    missing = sorted(case for case, result in record.of_unit(unit.key).items() if result.score is None)
    return (
        f"{unit.key}: NOT recorded, {len(missing)} of {len(unit.cases)} cases are unscored: no output for "
        f"{listed(missing)}"
    )
