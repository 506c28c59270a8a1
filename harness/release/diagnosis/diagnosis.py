"""A task's diagnosis: remedy, evidence and advice per unit; committed beside the baselines."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from tunegate.harness.cases.model import Task, Unit
from tunegate.harness.core.errors import Refused
from tunegate.harness.core.files import stamped, state_folder, write_atomically
from tunegate.harness.core.progress import Watch
from tunegate.harness.history.baselines.diagnosed import LARGER, RungResult, diagnosis_path, read_kept, rungs_of
from tunegate.harness.models.api import Model
from tunegate.harness.models.backends import backend_of
from tunegate.harness.models.cache import Cached, Store, store_path
from tunegate.harness.models.evaluation.record import Record
from tunegate.harness.models.evaluation.scoring import evaluate
from tunegate.harness.models.model_options import RUNGS, ModelOptions
from tunegate.harness.release.diagnosis.ladder import LADDER, SAMPLE, SEED, promptable, run_ladder, sample
from tunegate.harness.release.diagnosis.optimised import OPTIMISED, Optimisation, Optimiser, read_optimisation
from tunegate.harness.release.diagnosis.recommendation import GOAL, TUNING, Remedy, advice, remedy, rungs

SCHEMA_VERSION = 1
RECORDS = Path(".tunegate/diagnose")


@dataclass(frozen=True, slots=True)
class Recommendation:
    """The ladder's result for one unit: the `remedy` that closes its gap to `goal`, with the evidence."""

    remedy: Remedy
    advice: str
    goal: float
    rungs: tuple[RungResult, ...]


@dataclass(frozen=True)
class Diagnosis:
    """A task's recommendations by unit key, with the evaluated models and sample.

    `unpromptable` are the units that no prompt can change: likelihoods, costs, sealed ones. `unconstrainable` gives
    for other units the reason why outputs cannot be constrained to their schema. `optimised` has the optimised prompts;
    it is None if no reflecting model was named. `created` is the date, in UTC; older files lack it.
    """

    task: str
    subject: Mapping[str, str | None]
    engine: Mapping[str, str]
    larger: str | None
    cases: int
    seed: int
    questions: Mapping[str, Mapping[str, str]]
    units: Mapping[str, Recommendation]
    unpromptable: tuple[str, ...] = ()
    unconstrainable: Mapping[str, str] = field(default_factory=dict)
    optimised: Optimisation | None = None
    created: str = ""

    @property
    def cheaper(self) -> dict[str, Recommendation]:
        """The units whose remedy is not fine-tuning."""
        return {unit: found for unit, found in self.units.items() if found.remedy not in TUNING}

    @property
    def digest(self) -> str:
        """SHA-256 of the file's content, by which a training cites it."""
        return str(self.as_dict()["digest"])

    def as_dict(self) -> dict[str, Any]:
        """Return the content of the file."""
        data = {"schema_version": SCHEMA_VERSION, **asdict(self)}
        for name in ("unconstrainable", "created", "optimised"):  # older files lack these
            if not data[name]:
                del data[name]
        for rung in (each for unit in data["units"].values() for each in unit["rungs"]):
            if not rung["cut"]:
                del rung["cut"]
        return stamped(json.loads(json.dumps(data)))


def diagnose_task(
    task: Task,
    model: str,
    larger: str | None,
    watch: Watch,
    cases: int = SAMPLE,
    opened: ModelOptions | None = None,
    optimiser: Optimiser | None = None,
) -> tuple[Diagnosis, dict[str, Record]]:
    """Evaluate a sample of a task with each prompting strategy; return the diagnosis and the record of each strategy.

    `model` and `larger` are named as --tg-model takes them, `cases` are those per unit. `opened` has the options of the
    model; the larger one and the reflecting one have their own chat template. The `optimiser`, if there is one,
    rewrites the prompts of units below their goal.

    Raises:
        Refused: no unit of the task can be diagnosed.
        CouldNotRun: a model is missing or failed.
    """
    whole = promptable(task.units)
    if not whole:
        raise Refused(f"{task.name}: expected a unit that generates and is not sealed, found none; nothing to diagnose")
    units = [sample(unit, cases, SEED) for unit in whole]
    with closing(Store(store_path())) as store:
        opened = opened or ModelOptions()
        asked = _opener(model, watch, opened, store)
        rungs: dict[str, Callable[[], Model]] = {rung: partial(asked, rung) for rung in RUNGS}
        of_its_own = replace(opened, chat_template=None, tokenizer=None)
        if larger:
            rungs[LARGER] = lambda: _opener(larger, watch, of_its_own, store)(RUNGS[0])
        records, unconstrainable = run_ladder(units, rungs, watch)
        optimised = None
        if optimiser:
            name = optimiser.reflecting
            reflecting = asked if name == model else _opener(name, watch, of_its_own, store)
            models = asked(RUNGS[0]), reflecting(RUNGS[0])
            optimised, scored = optimise(task, units, records[RUNGS[0]], optimiser, *models, watch)
            records = {rung: each for rung in LADDER if (each := scored if rung == OPTIMISED else records.get(rung))}
    fingerprint = records[RUNGS[0]].fingerprint
    found = Diagnosis(
        task.name, fingerprint["subject"], fingerprint["engine"], larger, cases, SEED,
        questions={unit.key: asked_of(unit) for unit in whole},
        units={unit.key: _recommendation(task, unit, records) for unit in units},
        unpromptable=tuple(unit.key for unit in task.units if unit not in whole), unconstrainable=unconstrainable,
        optimised=optimised, created=datetime.now(UTC).date().isoformat(),
    )  # fmt: skip
    return found, records


def optimise(
    task: Task,
    units: Sequence[Unit],
    first: Record,
    optimiser: Optimiser,
    model: Model,
    reflecting: Model,
    watch: Watch,
) -> tuple[Optimisation, Record | None]:
    """Optimise the prompts of the sampled units that miss their goal as-is, and score them on these cases.

    `first` is the record of the units as they are. Return the optimised prompts, and the record of the units with a new
    one; None if there is none.
    """
    below = [unit for unit in units if (first.units[unit.key].mean or 0.0) < _goal(task, unit)]
    found = optimiser(below, model, reflecting, watch)
    reached = {unit.key: "the goal is met as it is" for unit in units if unit not in below}
    found = replace(found, skipped={**found.skipped, **reached})
    new = [_with_system(unit, each.system) for unit in below if (each := found.units.get(unit.key)) and each.is_new]
    return found, evaluate(new, model, watch, partial=True) if new else None


def _with_system(unit: Unit, system: str | None) -> Unit:
    configuration = unit.configuration
    return unit.configured(replace(configuration, prompt=replace(configuration.prompt, system=system)))


def asked_of(unit: Unit) -> dict[str, str]:
    """The parts that a diagnosis rests on, each with its digest: the questions, and the prompt that it began with."""
    return {**unit.questions, "prompt, examples or decoding": unit.configuration.digest}


def _opener(name: str, watch: Watch, opened: ModelOptions, store: Store) -> Callable[[str], Model]:
    """Return the opener of a cached model with a prompting strategy; a local model's weights are shared."""
    backend = backend_of(name)
    first = backend.open(name, watch, opened) if backend.has_weights else None
    return lambda rung: Cached(backend.open(name, watch, opened, rung, beside=first), store)


def _recommendation(task: Task, unit: Unit, records: Mapping[str, Record]) -> Recommendation:
    goal = _goal(task, unit)
    evidence = rungs(unit, records)
    chosen = remedy(evidence, goal, unit.check_kind.knowledge)
    return Recommendation(chosen, advice(chosen, evidence, goal), goal, tuple(evidence))


def _goal(task: Task, unit: Unit) -> float:
    return task.policy.of(unit.name, unit.kind).target_score or GOAL


def write_diagnosis(root: Path, found: Diagnosis) -> Path:
    """Write a diagnosis as stable text, to be committed; return its path."""
    path = diagnosis_path(root, str(found.subject["model"]), found.task)
    write_atomically(path, json.dumps(found.as_dict(), indent=1, sort_keys=True) + "\n")
    return path


def read_diagnosis(path: Path, how: str = "tunegate diagnose") -> Diagnosis:
    """Read a diagnosis that command `how` created; `Refused` if the file is missing, edited or not a diagnosis."""
    data = read_kept(path, how)
    known = {key: data[key] for key in data.keys() - {"schema_version", "digest", "units", "unpromptable", "optimised"}}
    units = {
        key: Recommendation(raw["remedy"], raw["advice"], raw["goal"], rungs_of(raw))
        for key, raw in data["units"].items()
    }
    optimised = read_optimisation(data["optimised"]) if "optimised" in data else None
    return Diagnosis(units=units, unpromptable=tuple(data["unpromptable"]), optimised=optimised, **known)


def keep_records(records: Mapping[str, Record], task: str, folder: Path = RECORDS) -> Sequence[Path]:
    """Write each prompting strategy's record below `folder`; return the paths."""
    paths = {rung: state_folder(folder) / task / f"{rung}.json" for rung in records}
    for rung, path in paths.items():
        records[rung].write(path)
    return list(paths.values())
