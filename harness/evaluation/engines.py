"""One model on two engines: a reference that was recorded on another engine is asked again on the candidate's.

In another precision or on another device the same weights give other answers. So both sides of a pair answer on one
engine, and what the engine alone changed of the reference is told beside the verdict.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tunegate.harness.core.progress import Watch
from tunegate.harness.evaluation.noise import is_same_outcome, measure_noise
from tunegate.harness.evaluation.record import Record, Result
from tunegate.harness.evaluation.scoring import evaluate
from tunegate.harness.fixtures.model import Unit
from tunegate.harness.models.api import Fingerprint, Model

HERE = ("transformers", "vllm")  # backends whose weights lie here, so that a base can be asked without its adapter
SAME_MODEL = ("base", "tokenizer", "template", "rung")


def can_ask_base(fingerprint: Fingerprint) -> bool:
    """Whether who has this fingerprint is an adapter on a base that can be asked here."""
    return fingerprint.engine.get("backend") in HERE and bool(fingerprint.subject.get("adapter"))


def why_not_asked(fingerprint: Fingerprint) -> str:
    """Why a baseline of another engine is refused, and not asked again on this one."""
    if fingerprint.engine.get("backend") in HERE:
        return (
            "an adapter is judged on any engine, for its base is asked again there; a model without one would be held "
            "against its own answers: what an engine alone changes is shown by --tg-against=RECORD.json"
        )
    return "nobody here can ask the base of what a server answers for, or a file holds, again on this engine"


def is_elsewhere(reference: Record, fingerprint: Fingerprint) -> bool:
    """Whether a reference was recorded on another engine and can be asked again on that of the candidate.

    One with another base cannot: its answers are compared as they are.
    """
    subject, engine = reference.fingerprint["subject"], reference.fingerprint["engine"]
    same = all(subject.get(part) == fingerprint.subject.get(part) for part in SAME_MODEL)
    return bool(engine != fingerprint.engine and same and can_ask_base(fingerprint))


def ask_here(
    references: Mapping[str, Record], models: Mapping[str, Model], units: Sequence[Unit], watch: Watch, sealed: bool
) -> tuple[dict[str, Record], dict[str, Any]]:
    """References as their models answer on this engine: to the same questions, as many answers a case.

    Args:
        references: by name, as they were recorded, the base first.
        models: who gave the answers of those that were recorded elsewhere, by name, on the candidate's engine.
        units: what the candidate is asked; of units that a reference lacks nothing is asked.
        watch: shows the progress.
        sealed: whether sealed units are among them.

    Returns:
        The references, and for the record of a run what the engine alone changed of them.

    Raises:
        CouldNotRun: a model cannot answer.
    """
    here = {name: _asked_here(references[name], model, units, watch, sealed) for name, model in models.items()}
    found, base = {**references, **here}, next(iter(references), "")
    if base in here:  # what one engine does by itself another may not
        noisy = [unit for unit in units if unit.key in references[base].noise]
        noise = measure_noise(noisy, models[base], here[base], watch) if noisy else {}
        found = {name: replace(each, noise=noise) for name, each in found.items()}
    return found, {name: _engine_changes(references[name], each) for name, each in here.items()}


def _asked_here(recorded: Record, model: Model, units: Sequence[Unit], watch: Watch, sealed: bool) -> Record:
    asked = [unit for unit in units if unit.key in recorded.units]
    here = evaluate(asked, model, watch, recorded.repeats, partial=True, sealed=sealed)
    return replace(
        recorded,
        fingerprint={**recorded.fingerprint, "engine": dict(model.fingerprint.engine)},
        questions=here.questions, scorers=here.scorers, cases=here.cases, units=here.units,
    )  # fmt: skip


def _engine_changes(recorded: Record, here: Record) -> dict[str, Any]:
    """What the engine alone changed of a reference, by unit, and the `engine` that it was recorded on."""
    units = {unit: _changes(recorded.of_unit(unit), here.of_unit(unit)) for unit in here.units}
    return {"engine": dict(recorded.fingerprint["engine"]), "units": units}


def _changes(before: Mapping[str, Result], now: Mapping[str, Result]) -> dict[str, Any]:
    """Of the cases scored on both: how many, how many with another output, and the ids of those that fell or rose."""
    pairs = {case: (before[case], result) for case, result in now.items() if case in before}
    scored = {case: (old, new) for case, (old, new) in pairs.items() if None not in (old.score, new.score)}
    moved = {case: _rise(*pair) for case, pair in scored.items() if not is_same_outcome(*pair)}
    others = [case for case, (old, new) in scored.items() if case in moved or _outputs(old) != _outputs(new)]
    return {
        "cases": len(scored), "other_outputs": len(others),
        "lost": [case for case, rise in moved.items() if rise < 0],
        "gained": [case for case, rise in moved.items() if rise >= 0],
    }  # fmt: skip


def _rise(old: Result, new: Result) -> float:
    return (new.score or 0.0) - (old.score or 0.0)


def _outputs(result: Result) -> list[str | None]:
    return [each.output for each in result.repeats or (result,)]
