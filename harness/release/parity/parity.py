"""Compare a served model with the evaluated one: prompts, weights where there are files, outputs, gate verdicts."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean

from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.cases.model import Unit
from tunegate.harness.checks.base import Finding, canonical_output
from tunegate.harness.core.errors import Refused, show_path
from tunegate.harness.core.escaping import shown
from tunegate.harness.core.files import text_digest
from tunegate.harness.core.progress import Watch
from tunegate.harness.gate import rule as gate
from tunegate.harness.history.baselines.lookup import record_reference
from tunegate.harness.history.baselines.store import baseline_path, read_baseline
from tunegate.harness.models.adapters import adapter_digest, base_name, check_base, training_record
from tunegate.harness.models.conversion import GGUF
from tunegate.harness.models.evaluation.record import Record, Result
from tunegate.harness.models.evaluation.remarks import note
from tunegate.harness.models.evaluation.rescoring import score_again
from tunegate.harness.models.evaluation.runs import keep_run
from tunegate.harness.models.evaluation.scoring import evaluate
from tunegate.harness.models.evaluation.sidecar import case_contexts, sidecar_text
from tunegate.harness.models.evaluation.verdict import UnitVerdict
from tunegate.harness.models.local.huggingface import Base, Local
from tunegate.harness.models.memory import FLOAT32
from tunegate.harness.models.model_options import CPU, ModelOptions
from tunegate.harness.models.served.served_prompts import served_loras, served_prompts
from tunegate.harness.models.served.server import Server
from tunegate.harness.models.whole_model import is_whole_model
from tunegate.harness.release.parity.configs import config_findings, length_findings
from tunegate.harness.release.parity.outputs import SAME, UNEXPLAINED, OutputParity, output_parity
from tunegate.harness.release.parity.prompts import PromptParity, length_parity, prompt_parity
from tunegate.harness.release.parity.result import Artefact
from tunegate.harness.release.parity.scored_adapter import ScoredAdapter
from tunegate.harness.release.parity.served import ServedModel, find_served, opened
from tunegate.harness.release.parity.weights import WeightParity, weight_parity

AGAIN = 8  # requests that are sent twice more, to see whether the server samples
LEFT_TO_THE_GATE = {"quantised"}  # reported, but not a failure: the verdicts show whether it does harm


@dataclass(frozen=True)
class Parity:
    """The result of a comparison; `record` holds the served outputs and their verdicts against the evaluated ones.

    `unseen` are the units that the server cannot evaluate, with the reason.
    """

    artefact: str
    kind: str
    digest: str | None
    record: Record
    prompts: PromptParity
    outputs: OutputParity
    weights: WeightParity | None = None
    unseen: Mapping[str, str] = field(default_factory=dict)
    settings: tuple[Finding, ...] = ()

    @property
    def findings(self) -> list[Finding]:
        """The differences found, one for each cause."""
        weights = self.weights.findings if self.weights else ()
        every = [*self.prompts.findings, *self.settings, *weights, *self.outputs.findings]
        firsts = {rule: next(each for each in every if each.rule == rule) for rule in [each.rule for each in every]}
        return [each for rule, each in firsts.items() if rule != UNEXPLAINED or len(firsts) == 1]

    @property
    def is_shown(self) -> bool:
        """Whether the served model matches the evaluated one: no cause of a difference, and every unit holds."""
        held = bool(self.record.verdicts) and not gate.blocked(self.record)
        return held and not self.causes

    @property
    def causes(self) -> list[str]:
        """The causes by which it is not the evaluated model."""
        return [each.rule for each in self.findings if each.rule not in LEFT_TO_THE_GATE]

    @property
    def too_few(self) -> list[str]:
        """The units with too few cases to show that they hold; empty if there is a cause of a difference."""
        blocking = {unit: each.verdict for unit, each in self.record.verdicts.items() if each.blocks}
        is_all = not self.causes and set(blocking.values()) == {"inconclusive"}
        return list(blocking) if is_all else []

    def lines(self) -> Iterator[str]:
        """The lines that `tunegate parity` prints."""
        yield self.prompts.line()
        if self.weights:
            yield self.weights.line()
        yield from self.outputs.lines()
        yield from (f"{unit}: not compared: {why}" for unit, why in self.unseen.items())
        yield from map(str, self.findings)

    def as_artefact(self, name: str = "") -> Artefact:
        """The entry of `parity.json`."""
        verdicts = {unit: str(each.verdict) for unit, each in self.record.verdicts.items()}
        today = datetime.now(UTC).date().isoformat()
        return Artefact(
            name or self.artefact, self.kind, self.digest, self.is_shown, today, tuple(self.lines()), verdicts
        )


def read_scored(
    adapter: Path, record: Record, cases: Path, watch: Watch, template: Path | None = None,
    tool_format: str | None = None,
) -> ScoredAdapter:  # fmt: skip
    """Read the adapter that artefacts are compared with, by the complete `record` of its evaluation.

    `template` or `tool_format` is the chat template of that evaluation, if not the base's own.

    Raises:
        Refused: the record is another adapter's, or the fixtures changed since.
        CouldNotRun: the base is missing.
    """
    name = show_path(record.path) if record.path else "the record"
    training = training_record(adapter)
    if record.fingerprint["subject"].get("adapter") != adapter_digest(adapter) or record.partial:
        raise Refused(
            f"{name}: expected a complete record of {show_path(adapter)}, found another; evaluate this adapter"
        )
    if training is None:
        raise Refused(f"{show_path(adapter)}: expected a training record that names its base, found none")
    base = Base(base_name(training), watch, ModelOptions(CPU, FLOAT32, template, tool_format=tool_format))
    check_base(adapter, base.model)
    tasks = load_tasks(cases)
    scored = ScoredAdapter(adapter, record, tasks, base)
    if record.path:
        record_reference(record.path, tasks, scored.units)
    return scored


def compare_served(
    scored: ScoredAdapter, artefact: str, options: ModelOptions, baselines: Path, watch: Watch, runs: Path
) -> Parity:
    """Run the adapter's cases on an artefact, as `find_served` takes its name, and compare.

    `baselines` hold the outputs of the base without the adapter, and `runs` gets the record of the
    served outputs.

    Raises:
        Refused: the artefact turns out to be another model, or supports none of the evaluated cases.
        CouldNotRun: it cannot be loaded, or does not respond.
    """
    served = find_served(artefact, scored.base, options, watch)
    weights: WeightParity | None = None
    settings: list[Finding] = []
    if served.files:
        with watch(f"Comparing the weights of {served.files.name}"):
            settings, weights = compare_files(scored, served.files)
        scored.base.forget()  # keep only one model in memory
    with opened(served, scored, options, watch) as model:
        record, unseen = _ask(scored, model, options, watch)
        again = {} if isinstance(model, Local) else _ask_again(scored, model, record)
        prompts = _prompts(scored, model, record, options)
        settings += _scaled(model, options) if isinstance(model, Server) else ()
    outputs = output_parity(
        scored.base.tokenizer, scored.units, scored.record, record, _results_of_base(scored, baselines),
        weights is not None and weights.is_same, again,
    )  # fmt: skip
    decided = _keep(scored, decide_served(scored, record, watch), runs)
    return Parity(
        served.name, served.kind, served.digest, decided, prompts, outputs, weights, unseen, tuple(settings)
    )  # fmt: skip


def compare_files(scored: ScoredAdapter, files: Path) -> tuple[list[Finding], WeightParity]:
    """Compare the settings and weights of a merged folder or a GGUF file with those of the evaluated model.

    Raises:
        CouldNotRun: they cannot be read.
        Refused: the weights hold NaN or infinity.
    """
    evaluated = scored.base.merged(scored.adapter, adapter_digest(scored.adapter))
    settings = config_findings(evaluated.config, scored.base.folder, files)
    if files.suffix != GGUF:  # the outputs of a GGUF file show its ends
        source = scored.adapter if is_whole_model(scored.adapter) else scored.base.folder
        longest = max((each.decoding.max_new_tokens for each in scored.asked.values()), default=0)
        settings += length_findings(evaluated.generation_config.eos_token_id, longest, source, files)
    return settings, weight_parity(evaluated, scored.base.folder, files)


def _ask(
    scored: ScoredAdapter, model: ServedModel, options: ModelOptions, watch: Watch
) -> tuple[Record, dict[str, str]]:
    """The record of the served outputs, and the units that the server cannot evaluate."""
    record, units = scored.record, scored.units
    by_likelihood = [unit for unit in units if unit.check_kind.asks == "loglik"]
    if not isinstance(model, Server) or model.tokenizer is not None or not by_likelihood:
        return replace(evaluate(units, model, watch, record.repeats), sealed=record.sealed), {}
    rest = [unit for unit in units if unit not in by_likelihood]
    # chat messages have no likelihood: send those texts as the token ids that were evaluated
    own = scored.base.options
    by_ids = replace(
        options, tokenizer=str(scored.base.folder), chat_template=own.chat_template, tool_format=own.tool_format
    )
    in_ids = Server(model.fingerprint.names["model"], watch, by_ids, scored.rung)
    found = [evaluate(rest, model, watch, record.repeats, partial=True)] if rest else []
    unseen = {}
    try:
        found.append(evaluate(by_likelihood, in_ids, watch, record.repeats, partial=True))
    except Refused as error:
        unseen = {unit.key: str(error) for unit in by_likelihood}
    if not found:
        raise Refused("none of the evaluated units can be run there:\n" + "\n".join(unseen.values()))
    return replace(_together(found, partial=bool(unseen)), sealed=record.sealed), unseen


def _ask_again(scored: ScoredAdapter, model: ServedModel, record: Record) -> dict[str, list[str]]:
    """Two more outputs of some greedy cases whose first output is not the evaluated one.

    A server that does not sample may still round otherwise beside other requests, or with a part of the prompt in its
    cache. So each request is sent by itself, and once before, for the cache.
    """
    chosen = [
        key for key, request in scored.asked.items()
        if not request.decoding.temperature and key in record.cases
        and record.cases[key].first.output != scored.record.cases[key].first.output
    ]  # fmt: skip

    def ask(key: str, seed: int) -> str:
        [found] = model.complete([replace(scored.asked[key], repeat=seed)])
        return found.output or ""

    return {key: [ask(key, seed) for seed in (1, 2, 3)][1:] for key in chosen[:AGAIN]}


def _scaled(server: Server, options: ModelOptions) -> Iterator[Finding]:
    """The adapters that a server applies at another scale."""
    for path, scale in served_loras(server.fingerprint.names["model"], options).items():
        if scale != 1:
            yield Finding("adapter-scaled", f"the server applies {shown(path)} at scale {scale:g}; expected 1")


def _together(found: Sequence[Record], partial: bool) -> Record:
    first = found[0]
    for each in found[1:]:
        first = replace(
            first, cases={**first.cases, **each.cases}, units={**first.units, **each.units},
            questions={**first.questions, **each.questions}, scorers={**first.scorers, **each.scorers},
            configurations={**first.configurations, **each.configurations},
        )  # fmt: skip
    return replace(first, partial=partial)


def _prompts(scored: ScoredAdapter, model: ServedModel, record: Record, options: ModelOptions) -> PromptParity:
    tokenizer = scored.base.tokenizer
    expected = scored.prompts(tokenizer)
    if isinstance(model, Local):
        return prompt_parity(tokenizer, expected, scored.prompts(model.tokenizer))
    if model.tokenizer is not None:
        return replace(prompt_parity(tokenizer, expected, scored.prompts(model.tokenizer)), seen="sent as token ids")
    shown = served_prompts(model.fingerprint.names["model"], [each.messages for each in scored.asked.values()], options)
    counts = {key: record.cases[key].first.tokens_in for key in expected}
    begins = tokenizer.bos_token_id is not None and all(
        ids[:1] == [tokenizer.bos_token_id] for ids in expected.values()
    )
    if shown is None:
        return length_parity({key: len(ids) for key, ids in expected.items()}, counts, begins)
    found = prompt_parity(tokenizer, expected, dict(zip(expected, shown, strict=True)))
    # a server may show another prompt than it reads
    known = {key: len(ids) for key, ids in expected.items() if counts[key] is not None}
    return found if found.findings else replace(found, findings=length_parity(known, counts, begins).findings)


def _results_of_base(scored: ScoredAdapter, baselines: Path) -> dict[str, Result]:
    """The results of the base without the adapter, by case, from baselines of the same questions."""
    found: dict[str, Result] = {}
    for unit in scored.units:
        try:
            baseline = read_baseline(baseline_path(baselines, scored.base.model.slug, unit.key), unit.key)
        except Refused:
            continue
        if dict(baseline.questions) == unit.questions and baseline.configuration == unit.configuration.as_dict():
            found |= {f"{unit.key}/{case}": each for case, each in baseline.results.items()}
    return found


def decide_served(scored: ScoredAdapter, record: Record, watch: Watch) -> Record:
    """Gate the served outputs against the evaluated ones; every unit must hold."""
    policies = {key: policy for task in scored.tasks for key, policy in task.policies.items()}
    held = replace(record, policies={key: policies[key] for key in record.units})
    reference = score_again(scored.units, scored.record, "the adapter", watch).record
    decided = gate.compare(scored.tasks, held, {"record": reference}, ())
    blocks = [key for key, verdict in decided.verdicts.items() if verdict.blocks and key in held.units]
    units = {unit.key: unit for unit in scored.units}
    same = {key for key in blocks if _are_same(units[key], held.of_unit(key), reference.of_unit(key))}
    others = [replace(task, units=tuple(unit for unit in task.units if unit.key not in same)) for task in scored.tasks]
    rest = gate.compare(others, _without(held, same), {"record": _without(reference, same)}, ())
    return replace(decided, tasks=rest.tasks, verdicts={
        key: _identical(verdict) if key in same else verdict for key, verdict in decided.verdicts.items()
    })  # fmt: skip


def _are_same(unit: Unit, served: Mapping[str, Result], evaluated: Mapping[str, Result]) -> bool:
    """Whether all outputs of a unit are the same, and its log-probabilities as close as float16 arithmetic is.

    Where tools are offered, outputs are the same message, however it is written.
    """
    one, other = (
        [(key, each) for key, result in sorted(results.items()) for each in result.repeats or (result,)]
        for results in (served, evaluated)
    )
    by_message = {case.key.rpartition("/")[2]: case.check for case in unit.cases if case.tools}

    def said(key: str, output: str | None) -> str | None:
        return canonical_output(by_message[key], output) if key in by_message and output else output

    first, second = (
        [(key, said(key, each.output), list(map(len, each.logprobs))) for key, each in side] for side in (one, other)
    )
    if first != second:
        return False
    mine, theirs = ([value for _, each in side for text in each.logprobs for value in text] for side in (one, other))
    gaps = [abs(a - b) for a, b in zip(mine, theirs, strict=True)]
    return not gaps or fmean(gaps) <= SAME


def _without(record: Record, units: Collection[str]) -> Record:
    return replace(
        record, units={key: each for key, each in record.units.items() if key not in units},
        cases={key: each for key, each in record.cases.items() if key.rpartition("/")[0] not in units},
    )  # fmt: skip


def _identical(verdict: UnitVerdict) -> UnitVerdict:
    # however few the cases: identical outputs cannot be worse
    same = note("identical", f"The same: all {verdict.n} outputs match the evaluated ones.")
    return replace(verdict, verdict="held", blocks=False, remarks=(same,))


def _keep(scored: ScoredAdapter, record: Record, runs: Path) -> Record:
    units = [unit for unit in scored.units if unit.key in record.units]
    sidecar = sidecar_text(dict(case_contexts(units, scored.rung, {"record": scored.record}, record.cases)))
    return keep_run(replace(record, sidecar=text_digest(sidecar)), sidecar, runs)
