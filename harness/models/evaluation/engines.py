"""References re-run beside the candidate, on its engine: on sealed cases, and if recorded on another engine.

Sealed cases are run only when they are evaluated, so no baseline contains outputs for them. In another precision or on
another device the same weights give other outputs: both sides of a pair are then run on one engine, and the verdict
reports what the engine changed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from tunegate.harness.cases.model import Unit, read_configuration
from tunegate.harness.core.progress import Watch
from tunegate.harness.models.api import Fingerprint, Model
from tunegate.harness.models.backends import backend_of_engine, hosted_address, hosted_name
from tunegate.harness.models.evaluation.noise import is_same_outcome, measure_noise
from tunegate.harness.models.evaluation.record import Noise, Record, Result
from tunegate.harness.models.evaluation.run_facts import EngineChange, RunAgain
from tunegate.harness.models.evaluation.scoring import evaluate

SAME_MODEL = ("base", "tokenizer", "template")
SAME_CONFIGURATION = (*SAME_MODEL, "adapter", "rung")


def can_ask_base(fingerprint: Fingerprint) -> bool:
    """Whether this fingerprint is of an adapter on a base that can be run here."""
    return _has_weights(fingerprint.engine) and bool(fingerprint.subject.get("adapter"))


def why_not_asked(fingerprint: Fingerprint) -> str:
    """Return why a baseline of another engine is refused instead of re-run on this one."""
    if _has_weights(fingerprint.engine):
        return (
            "an adapter can be evaluated on any engine, as its base is re-run there; a model without an adapter would "
            "be compared with its own outputs: to see what the engine changes, use --tg-against=RECORD.json"
        )
    return "the base of a served model, or of outputs from a file, cannot be re-run on this engine"


def is_same_configuration(reference: Record, fingerprint: Fingerprint, units: Iterable[Unit]) -> bool:
    """Whether a candidate on `units` is the configuration that a reference was recorded from."""
    subject, known = reference.fingerprint["subject"], reference.configurations
    parts = SAME_CONFIGURATION if subject.get("base") else (*SAME_CONFIGURATION, "model")  # supplied: only a name
    return all(subject.get(part) == fingerprint.subject.get(part) for part in parts) and all(
        known[unit.key] == unit.configuration.as_dict() for unit in units if unit.key in known
    )


def is_elsewhere(reference: Record, fingerprint: Fingerprint, units: Iterable[Unit]) -> bool:
    """Whether a reference was recorded on another engine, and can run on that of the candidate.

    One with another base cannot: its outputs are compared as they are.
    """
    return reference.fingerprint["engine"] != fingerprint.engine and can_run(reference, fingerprint, units)


def runs_beside(reference: Record, fingerprint: Fingerprint, units: Sequence[Unit]) -> bool:
    """Whether a reference runs beside the candidate.

    It does if some of `units` are sealed, if it was recorded on another engine, or if it may have
    changed since.
    """
    if not can_run(reference, fingerprint, units):
        return False
    drifts, sealed = _drifts(fingerprint.engine), any(unit.sealed for unit in units)
    return drifts or sealed or reference.fingerprint["engine"] != fingerprint.engine


def can_run(reference: Record, fingerprint: Fingerprint, units: Iterable[Unit]) -> bool:
    """Whether a reference of another configuration than the candidate's can run here, on the candidate's engine.

    It needs the candidate's weights, or a model at the candidate's address: nothing is sent to other hosts.
    """
    subject, backend = reference.fingerprint["subject"], backend_of_engine(fingerprint.engine)
    if is_same_configuration(reference, fingerprint, units):
        return False
    if backend is None or backend.is_supplied:
        return False
    if backend.is_hosted:
        there, here = hosted_name(reference.fingerprint), fingerprint.names.get("model", "")
        return bool(there) and hosted_address(there) == hosted_address(here)
    return all(subject.get(part) == fingerprint.subject.get(part) for part in SAME_MODEL)


def _has_weights(engine: Mapping[str, str]) -> bool:
    """Whether a model has local weights: it can run the base without its adapter."""
    backend = backend_of_engine(engine)
    return backend is not None and backend.has_weights


def _drifts(engine: Mapping[str, str]) -> bool:
    """Whether a model may change under its name: a hosted one, or a function, which may ask a hosted one."""
    backend = backend_of_engine(engine)
    return backend is not None and backend.is_opaque


def ask_here(
    references: Mapping[str, Record],
    models: Mapping[str, Model],
    units: Sequence[Unit],
    watch: Watch,
    repeats: int,
    parts: Collection[str] = (),
) -> tuple[dict[str, Record], dict[str, RunAgain]]:
    """Re-run references, the base first, with these models of this engine; return them, and what the engine changed.

    They are run on the sealed ones of the candidate's `units`, and on all that they contain if they
    were recorded elsewhere, with the same questions and `repeats` outputs per case. Those named by `parts` are never
    run on sealed ones.
    """
    opens = [unit for unit in units if not unit.sealed]
    here = {name: _run_here(name, references[name], model, opens if name in parts else units, watch, repeats)
            for name, model in models.items()}  # fmt: skip
    found = {name: _with_outputs(each, here[name]) if name in here else each for name, each in references.items()}
    if (base := next(iter(references), "")) in here:
        noise = _noise(references[base], here[base], models[base], units, watch)
        found = {name: replace(each, noise=noise) for name, each in found.items()}
    moved = {name: each for name, each in here.items() if _runs_again(references[name], each.fingerprint["engine"])}
    return found, {name: _engine_changes(references[name], each) for name, each in moved.items()}


def _run_here(
    name: str, recorded: Record, model: Model, units: Sequence[Unit], watch: Watch, repeats: int
) -> Record:  # fmt: skip
    again = _runs_again(recorded, model.fingerprint.engine)
    opened = [unit.key for unit in units if unit.sealed and _has_recorded(recorded, unit)]
    asked = [unit for unit in units if unit.key in opened or (again and unit.key in recorded.units)]
    configured = [as_recorded(recorded.part_of(unit), recorded) for unit in asked]
    return evaluate(configured, model, watch, repeats, partial=True, what=f"the {name}")


def as_recorded(unit: Unit, recorded: Record) -> Unit:
    """Return the questions of a unit with the prompt and decoding of a record."""
    known = recorded.configurations.get(unit.key)
    return unit.configured(read_configuration(known)) if known else unit


def _has_recorded(recorded: Record, unit: Unit) -> bool:
    """Whether a sealed unit is compared with this reference: the base, or the last release of its task."""
    is_base = recorded.fingerprint["subject"].get("adapter") is None
    return is_base or any(key.rpartition("/")[0] == unit.task for key in recorded.units)


def _runs_again(recorded: Record, engine: Mapping[str, str]) -> bool:
    """Whether all of a reference runs again: it was recorded on another engine, or its model may have changed."""
    return bool(recorded.fingerprint["engine"] != engine) or _drifts(engine)


def _with_outputs(recorded: Record, here: Record) -> Record:
    """Return a reference with its new outputs; they replace all outputs of another engine or a hosted model."""
    kept = (
        replace(recorded, questions={}, configurations={}, scorers={}, cases={}, units={})
        if _runs_again(recorded, here.fingerprint["engine"])
        else recorded
    )
    return replace(
        kept,
        fingerprint={**recorded.fingerprint, "engine": here.fingerprint["engine"]},
        questions={**kept.questions, **here.questions}, scorers={**kept.scorers, **here.scorers},
        configurations={**kept.configurations, **here.configurations},
        cases={**kept.cases, **here.cases}, units={**kept.units, **here.units},
    )  # fmt: skip


def _noise(recorded: Record, here: Record, model: Model, units: Sequence[Unit], watch: Watch) -> dict[str, Noise]:
    """Measure the noise again, for units where the baseline has it: it depends on the engine."""
    asked = [recorded.part_of(unit) for unit in units if unit.key in here.units]
    noisy = [unit for unit in asked if recorded.noise and (unit.sealed or unit.key in recorded.noise)]
    kept = {} if _runs_again(recorded, here.fingerprint["engine"]) else recorded.noise
    return {**kept, **(measure_noise(noisy, model, here, watch) if noisy else {})}


def _engine_changes(recorded: Record, here: Record) -> RunAgain:
    """Return what the engine changed of a reference."""
    both = [unit for unit in here.units if unit in recorded.units]
    units = {unit: _changes(recorded.of_unit(unit), here.of_unit(unit)) for unit in both}
    return RunAgain(dict(recorded.fingerprint["engine"]), units)


def _changes(before: Mapping[str, Result], now: Mapping[str, Result]) -> EngineChange:
    """Count the cases scored on both engines and their other outputs, and list the ids of those that fell or rose."""
    pairs = {case: (before[case], result) for case, result in now.items() if case in before}
    scored = {case: (old, new) for case, (old, new) in pairs.items() if None not in (old.score, new.score)}
    changed = {case: pair for case, pair in scored.items() if not is_same_outcome(*pair)}
    moved = {case: (new.score or 0.0) - (old.score or 0.0) for case, (old, new) in changed.items()}
    others = [case for case, (old, new) in scored.items() if case in moved or _outputs(old) != _outputs(new)]
    return EngineChange(
        len(scored), len(others),
        lost=tuple(case for case, rise in moved.items() if rise < 0),
        gained=tuple(case for case, rise in moved.items() if rise >= 0),
    )  # fmt: skip


def _outputs(result: Result) -> list[str | None]:
    return [each.output for each in result.repeats or (result,)]
