"""The remedy for a unit's gap: the evidence of the ladder, and the advice that follows.

Prompt first, retrieval second, fine-tune last. Fine-tuning teaches form (format, voice, vocabulary), or replaces an
expensive prompt; it teaches neither facts nor reasoning.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from tunegate.harness.cases.model import Unit
from tunegate.harness.cases.policy import Policy
from tunegate.harness.core.errors import CouldNotRun
from tunegate.harness.core.formatting import difference, percent
from tunegate.harness.gate.families import LEVEL, SEED
from tunegate.harness.gate.pairing import pair
from tunegate.harness.history.baselines.diagnosed import LARGER, RungResult
from tunegate.harness.models.evaluation.record import Record
from tunegate.harness.models.prompts import STEPS_TOKENS, WITH_SHOTS
from tunegate.harness.release.diagnosis.optimised import OPTIMISED
from tunegate.harness.statistics import paired as stats

Remedy = Literal[
    "none needed", "constrained decoding", "prompt", "retrieval", "reasoning", "larger model", "fine-tune for quality",
    "fine-tune for cost", "none found",
]  # fmt: skip
TUNING: frozenset[Remedy] = frozenset({"fine-tune for quality", "fine-tune for cost"})
GOAL = 0.9  # of the cases, unless task.yaml declares a `target_score`
DEAR = 2.0  # times the tokens of an as-is call, from which a working prompt is worth replacing by tuning
MUCH_CUT = 0.1  # of the outputs; with more of them truncated, a strategy counts as untried
FORM = "adherence"  # the rate that separates form from content, where a suite has both
ALONE = "constrained"  # the strategy that only constrains outputs to their schema
HELP = {
    ALONE: "constrained decoding", OPTIMISED: "an optimised prompt", "few-shot": "a prompt with worked examples",
    "few-shot-constrained": "constrained decoding of a prompt with worked examples",
    "context": "a prompt with the passage", "steps": "thinking step by step", LARGER: "the larger model",
}  # fmt: skip
PROMPTS = frozenset({OPTIMISED, *WITH_SHOTS})
NEITHER = "fine-tuning teaches neither facts nor reasoning"
SENTENCES: Mapping[str, tuple[str, str]] = {
    "constrained decoding": ("Constrained decoding", "; only form is missing, which needs no fine-tuning"),
    "prompt": ("Prompt", ""),
    "retrieval": ("Retrieval", "; fine-tuning teaches no facts"),
    "reasoning": ("Let it think", "; fine-tuning teaches no reasoning"),
    "larger model": ("A larger model", f"; {NEITHER}"),
    "fine-tune for cost": ("Fine-tune for cost", "; a tuned model does not need it"),
}
CONTENT_REMEDY: Mapping[str, Remedy] = {"context": "retrieval", "steps": "reasoning", LARGER: "larger model"}


def rungs(unit: Unit, records: Mapping[str, Record]) -> list[RungResult]:
    """Return a unit's results with every strategy that scored it, as-is first.

    Raises:
        CouldNotRun: a strategy left cases unscored.
    """
    scored = {rung: record for rung, record in records.items() if unit.key in record.units}
    first, *rest = scored
    d = {rung: _differences(unit, rung, scored[rung], scored[first]) for rung in rest}
    values = [stats.p_better(each, seed=SEED) for each in d.values()]
    flags = stats.tarone_holm([value.p for value in values], [value.smallest for value in values], LEVEL)
    better = dict(zip(d, flags, strict=True))
    return [_rung(rung, unit, each, d.get(rung, ()), better.get(rung, False)) for rung, each in scored.items()]


def _differences(unit: Unit, rung: str, record: Record, first: Record) -> tuple[float, ...]:
    # an empty policy: the ladder involves no declared margin
    found = pair(unit, Policy(), record, "first strategy", first, aimed=False)
    if found.problem:
        raise CouldNotRun(f"{unit.key}, strategy {rung}: {found.problem}")
    return found.d


def _rung(rung: str, unit: Unit, record: Record, d: Sequence[float], better: bool) -> RungResult:
    summary, cut = record.units[unit.key], sum(each.finish == "length" for each in record.of_unit(unit.key).values())
    mean = summary.mean if summary.mean is not None else 0.0
    bounds = stats.interval(d) if d else None
    return RungResult(
        rung, summary.n, mean, summary.rates.get(FORM, mean), sum(summary.tokens) if summary.tokens else None,
        gain=sum(d) / len(d) if d else 0.0, interval=(bounds.lower, bounds.upper) if bounds else None, better=better,
        cut=cut,
    )  # fmt: skip


def remedy(found: Sequence[RungResult], goal: float, knowledge: bool) -> Remedy:
    """Return the cheapest remedy that closes the gap between a unit and its goal, a share of cases.

    `found` are the unit's strategies, cheapest first; `knowledge` says that the suite tests knowledge rather than form.
    """
    first = found[0]
    if first.mean >= goal:
        return "none needed"
    lacks_form = not knowledge and first.form < goal
    about_form = lacks_form and not _brings_form(found, goal)
    # significant ones only: one of several prompts is always slightly ahead
    better = [result for result in found if result.better]
    closing = _closing(better, goal)
    if closing:
        return _closed_by(closing, first, about_form, knowledge)
    # No strategy closes the gap. If the passage or thinking helps most, continue there; missing form can be taught.
    lead = max(better, key=lambda result: result.mean, default=None)  # the cheapest if equal
    if lead and lead.rung in CONTENT_REMEDY and not (about_form and lead.rung != "context"):
        return CONTENT_REMEDY[lead.rung]
    # correctness under a schema that the model does not follow by itself can be taught as well
    return "fine-tune for quality" if lacks_form else "none found"


def _closing(better: Sequence[RungResult], goal: float) -> RungResult | None:
    """Return the cheapest strategy that reaches the goal.

    The length of an optimised prompt is not known beforehand: worked examples come first if they take fewer tokens.
    """
    closing = [result for result in better if result.mean >= goal]
    if closing and closing[0].rung == OPTIMISED:
        return min((each for each in closing if each.rung in PROMPTS), key=lambda each: each.tokens or 0.0)
    return next(iter(closing), None)


def _brings_form(found: Sequence[RungResult], goal: float) -> RungResult | None:
    """Return constrained decoding if it brings the missing form; form is then no reason to tune."""
    return next((each for each in found if each.rung == ALONE and found[0].form < goal <= each.form), None)


def _closed_by(result: RungResult, first: RungResult, about_form: bool, knowledge: bool) -> Remedy:
    if result.rung == ALONE:
        return "constrained decoding"
    if result.rung == "context":
        return "retrieval"
    if result.rung in CONTENT_REMEDY and not about_form:
        return CONTENT_REMEDY[result.rung]
    if knowledge:  # a knowledge suite does not measure the cost of a call
        return "prompt"
    # a larger model's tokens cost more, so their number does not show the cost
    return "fine-tune for cost" if result.rung == LARGER or times(result, first) >= DEAR else "prompt"


def times(result: RungResult, first: RungResult) -> float:
    """Return the tokens as a multiple of an as-is call; 0 if unknown."""
    return result.tokens / first.tokens if result.tokens and first.tokens else 0.0


def advice(chosen: Remedy, found: Sequence[RungResult], goal: float) -> str:
    """Return the remedy in one sentence, with its evidence."""
    first, *rest = found
    better = [result for result in rest if result.better]
    best = max(better, key=lambda result: result.mean, default=None)
    closing = _closing(better, goal) or best
    if chosen == "none needed":
        return f"Nothing to do: {percent(first.mean)} pass as-is, and the goal is {percent(goal)}."
    if chosen == "fine-tune for quality":
        return f"Fine-tune for quality: {_short(best, first)}{_reason(found, goal)}."
    if chosen == "none found" or closing is None:
        return (
            f"No remedy found: {_short(best, first)}; {NEITHER}, so try a larger model (--larger){_unfinished(found)}."
        )
    opening, end = SENTENCES[chosen]
    return f"{opening}: {_moved(closing, first)}{end}."


def _unfinished(found: Sequence[RungResult]) -> str:
    """Return a note if thinking was often truncated, and so not really tried."""
    cut = next((each for each in found if each.rung == "steps" and each.cut >= MUCH_CUT * each.n > 0), None)
    if not cut:
        return ""
    more = f"raise `generate: max_new_tokens`, which is already multiplied by {STEPS_TOKENS} for them"
    return f". But {cut.cut} of {cut.n} step-by-step outputs were truncated: {more}"


def _moved(result: RungResult, first: RungResult) -> str:
    gain = difference(result.gain, result.interval, "pass/fail")
    moved = f"takes it from {percent(first.mean)} to {percent(result.mean)} ({gain} points)"
    return f"{HELP[result.rung]} {moved}{_cost(result, first)}"


def _cost(result: RungResult, first: RungResult) -> str:
    return f" for {times(result, first):.1f} times the tokens per call" if times(result, first) else ""


def _reason(found: Sequence[RungResult], goal: float) -> str:
    """Return the purpose of tuning for quality: form, or correctness if constrained decoding brings the form."""
    if formed := _brings_form(found, goal):
        moved = f"brings the form from {percent(found[0].form)} to {percent(formed.form)}{_cost(formed, found[0])}"
        return f"; {HELP[ALONE]} by itself {moved}, so tuning is for correctness, not for form"
    return f", and form is missing{_formed(found)}"


def _formed(found: Sequence[RungResult]) -> str:
    """Name the prompt that brings the form without the content, if there is one."""
    first, *rest = found
    best = max(rest, key=lambda result: result.form, default=first)
    if best.form <= max(first.form, best.mean):
        return ""
    return f" ({HELP[best.rung]} brings it from {percent(first.form)} to {percent(best.form)}{_cost(best, first)})"


def _short(best: RungResult | None, first: RungResult) -> str:
    if best is None:
        return f"no prompting strategy helps significantly ({percent(first.mean)} as-is)"
    return f"no prompting strategy closes the gap ({_moved(best, first)})"
