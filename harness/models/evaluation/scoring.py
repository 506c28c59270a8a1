"""From units and a model to a record: run the model, score each completion with its case's check, summarize."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import cast

from tunegate.harness.cases.model import Case, Unit
from tunegate.harness.checks.base import Finding, HasTools, Kind, Outcome
from tunegate.harness.checks.cost import Call
from tunegate.harness.checks.outputs.message import content_of
from tunegate.harness.core.errors import CouldNotRun, Refused
from tunegate.harness.core.escaping import whole
from tunegate.harness.core.progress import Watch
from tunegate.harness.models.api import Completion, Model
from tunegate.harness.models.evaluation.case_parts import asks_for
from tunegate.harness.models.evaluation.field_rates import field_rates
from tunegate.harness.models.evaluation.never_right import never_right
from tunegate.harness.models.evaluation.record import Record, Result, Summary
from tunegate.harness.models.model_options import RungName
from tunegate.harness.models.prompts import final, requests
from tunegate.harness.statistics import paired as stats

# No score rather than zero: a zero would count as a wrong output, and a crash would look like a regression.
UNSCORED = Result(None, None, (Finding("unscored", "no output for this case"),))


def evaluate(
    units: Sequence[Unit], model: Model, watch: Watch, repeats: int = 1, partial: bool = False,
    known: Sequence[Record] = (), what: str = "",
) -> Record:  # fmt: skip
    """Run `model` on every case of `units` and score the outputs; Refused if a unit does not support the model.

    Set `partial` if cases of the fixtures are missing. `repeats` is the number of outputs per case,
    for sampled decoding. `known` are records scored in this process by the same checks, whose
    scores of equal outputs are reused. Never pass records from a file, which may have been edited.
    `what` says which of several runs of a model this is.
    """
    fingerprint = model.fingerprint
    rung = cast("RungName", fingerprint.subject.get("rung") or "as-is")
    _check_able(units, model)
    prepare_checks(units, watch)
    asked = list(requests(units, rung, repeats))
    cases = {case.key: case for unit in units for case in unit.cases}
    kinds = {case.key: unit.kind for unit in units for case in unit.cases}
    results: dict[tuple[str, int], Result] = {}
    repeated = {unit.key: repeats if unit.check_kind.asks == "generate" else 1 for unit in units}
    who = fingerprint.names.get("adapter") or fingerprint.names["model"]
    alike = [each for each in known if each.rung == rung]
    work = {(request.key, request.repeat): request.work for request in asked}
    step = f"Scoring {who}" + (f", {what}" if what else "") + (f" ({rung})" if rung != "as-is" else "")
    with watch(step, len(asked), sum(work.values()), getattr(model, "if_silent", "")) as done:
        for completion in model.complete(asked):
            key = completion.key
            results[key, completion.repeat] = _known_result(completion, alike) or score_completion(
                cases[key], completion, rung, kinds[key]
            )
            done(1, work=work[key, completion.repeat])
    results |= _score_derived(units, results, repeats, str(fingerprint.subject.get("model")))
    by_case = {
        # over the requests, not the completions: a case that the model skips is unscored instead of missing
        key: merge_repeats([results.get((key, repeat), UNSCORED) for repeat in range(repeated[case.unit])])
        for key, case in cases.items()
    }
    return Record(
        partial=partial,
        fingerprint=fingerprint.as_dict(),
        questions={unit.key: unit.questions for unit in units},
        configurations={unit.key: unit.configuration.as_dict() for unit in units},
        scorers={unit.key: unit.check_kind.scorer for unit in units},
        cases=by_case,
        units={unit.key: summarize(unit, [by_case[case.key] for case in unit.cases]) for unit in units},
        adapter=fingerprint.names.get("adapter"),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        sealed=any(unit.sealed for unit in units),
    )


def _score_derived(
    units: Iterable[Unit], results: Mapping[tuple[str, int], Result], repeats: int, model: str
) -> dict[tuple[str, int], Result]:
    """Score the cases of derived units from the results of their source units."""
    return {
        (case.key, repeat): score_call(case, results[source, repeat], model)
        for unit in units
        if unit.of
        for case in unit.cases
        for repeat in range(repeats)
        if (source := f"{unit.of}/{case.id}", repeat) in results
    }


def score_call(case: Case, source: Result, model: str) -> Result:
    """Score the cost of an output; it is unscored without an output or without both token counts."""
    tokens_in, tokens_out = source.tokens_in, source.tokens_out
    if source.score is None:
        return UNSCORED
    if tokens_in is None or tokens_out is None:
        missing = " and ".join(name for name in ("tokens_in", "tokens_out") if getattr(source, name) is None)
        finding = Finding("unscored", f"the output has no price: {missing} missing")
        return Result(None, None, (finding,), tokens_in=tokens_in, tokens_out=tokens_out)
    outcome = case.check(Call(model, tokens_in, tokens_out), case.expect, case.text)
    return Result(None, outcome.score, outcome.findings, tokens_in=tokens_in, tokens_out=tokens_out)


def prepare_checks(units: Iterable[Unit], watch: Watch) -> None:
    """Prepare the checks that validate their metric, before any model loads; Refused if one detects too little."""
    for unit in units:
        for check in {id(case.check): case.check for case in unit.cases}.values():
            if hasattr(check, "prepare"):
                with watch(f"Checking the metric of {unit.key}"):
                    check.prepare()


def _check_able(units: Iterable[Unit], model: Model) -> None:
    for unit in units:
        if unit.check_kind.asks not in model.can:
            name = model.fingerprint.names["model"]
            if unit.check_kind.by_runner:
                wanted = "the result file of the tool that scores it (--tg-model=replay:NAME=FILE)"
                raise Refused(f"{unit.key}: expected {wanted}, found the model {name}; the tool is not run here")
            wanted = "generate" if unit.check_kind.asks == "generate" else "compute the likelihood of a text"
            raise Refused(f"{unit.key}: expected a model that can {wanted}, {name} cannot")
        if "tools" not in model.can and any(case.tools for case in unit.cases):
            name = model.fingerprint.names["model"]
            hint = "leave out --tg-tokenizer, or supply its outputs with their tool_calls (replay:): docs/tools.md"
            raise Refused(f"{unit.key}: expected a model that is offered tools, {name} is not; {hint}")


def score_completion(case: Case, completion: Completion, rung: RungName, kind: Kind) -> Result:
    """Score one completion; without an output it is unscored, and a continuous score neither passes nor fails."""
    if not completion.is_given:
        return UNSCORED
    seen = completion.logprobs if completion.output is None else final(rung, _scored(case, completion.output))
    outcome = _storable(case.check(seen, case.expect, "\n".join(filter(None, [case.text, case.context]))))
    if completion.finish == "length" and isinstance(case.check, HasTools):  # what was cut may have been a call
        outcome = replace(outcome, score=0.0, passed=False)
    if not math.isfinite(outcome.score) or (kind == "pass/fail" and not 0 <= outcome.score <= 1):
        scale = "a score from 0 to 1" if kind == "pass/fail" else "a finite score"
        raise CouldNotRun(f"{case.key}: expected {scale} from its check, found {outcome.score}; fix the check")
    passed = outcome.score == 1.0 if outcome.passed is None else outcome.passed
    return Result(
        passed=passed if kind == "pass/fail" else None,
        score=outcome.score,
        findings=outcome.findings + _cut(case, completion, passed),
        rates=outcome.rates,
        output=completion.output,
        tokens_in=completion.tokens_in,
        tokens_out=completion.tokens_out,
        finish=completion.finish,
        generation=completion.generation,
        logprobs=completion.logprobs,
        fields=outcome.fields,
        reasoning=completion.reasoning,
    )


def _scored(case: Case, output: str) -> str:
    """What a check sees of an output: the text of a message, unless the check reads messages."""
    return content_of(output) if case.tools and not isinstance(case.check, HasTools) else output


def _storable(outcome: Outcome) -> Outcome:
    """An outcome without half characters: a custom check may quote them from an output, and no record can hold them."""
    findings = tuple(
        replace(each, rule=whole(each.rule), message=whole(each.message), path=whole(each.path))
        for each in outcome.findings
    )
    fields = {
        whole(name): count._replace(taken=tuple((whole(wanted), whole(found)) for wanted, found in count.taken))
        for name, count in outcome.fields.items()
    }
    rates = {whole(name): rate for name, rate in outcome.rates.items()}
    return replace(outcome, findings=findings, fields=fields, rates=rates)


def _known_result(completion: Completion, known: Iterable[Record]) -> Result | None:
    """Return the result of the same output for the same case in a `known` record; None if there is none."""
    if not completion.is_given:
        return None
    seen = (completion.output, completion.logprobs, completion.finish)
    for record in known:
        before = record.cases.get(completion.key)
        for each in (before.repeats or (before,)) if before else ():
            if each.score is not None and (each.output, each.logprobs, each.finish) == seen:
                return replace(
                    each, tokens_in=completion.tokens_in, tokens_out=completion.tokens_out,
                    generation=completion.generation, reasoning=completion.reasoning,
                )  # fmt: skip
    return None


def _cut(case: Case, completion: Completion, passed: bool) -> tuple[Finding, ...]:
    # truncated JSON looks like invalid JSON: the finding names the limit to raise
    if completion.finish != "length" or passed:
        return ()
    limit = case.decoding.max_new_tokens
    return (Finding("cut", f"the output did not end within max_new_tokens ({limit})"),)


def merge_repeats(repeats: Sequence[Result]) -> Result:
    """The result of a case from those of its outputs: one without a score leaves the case without one."""
    if len(repeats) == 1:
        return repeats[0]
    # One observation, the mean of its outputs: pooling repeats as if they were cases raises the errors to 8 to 16 %.
    scores = [each.score for each in repeats if each.score is not None]
    passed = [each.passed for each in repeats if each.passed is not None]
    complete = len(scores) == len(repeats)
    return Result(
        passed=all(passed) if len(passed) == len(repeats) else None,
        score=statistics.fmean(scores) if complete else None,
        findings=tuple(dict.fromkeys(finding for each in repeats for finding in each.findings)),
        output=repeats[0].output,
        repeats=tuple(repeats),
    )


def summarize(unit: Unit, results: Sequence[Result]) -> Summary:
    """Summarize one unit in numbers."""
    scores = [result.score for result in results if result.score is not None]
    places = [
        (place, each) for place, result in enumerate(results)
        for each in (result.repeats or (result,)) if each.score is not None
    ]  # fmt: skip
    outputs = [each for _, each in places]

    def asks(index: int, name: str) -> bool:
        place, _ = places[index]
        return asks_for(unit.cases[place], name, [results[place]])

    asked = {
        name: [index for index in range(len(outputs)) if asks(index, name)]
        for name in sorted({name for each in outputs for name in each.rates})
    }
    of_cases = {name: len({places[index][0] for index in each}) for name, each in asked.items()}
    return Summary(
        suite=unit.suite,
        kind=unit.kind,
        n=len(results),
        unscored=len(results) - len(scores),
        mean=statistics.fmean(scores) if scores else None,
        interval=_interval(unit, results),
        # an output that lacks a rate that its case asks for does not meet it
        rates={
            name: statistics.fmean(float(outputs[index].rates.get(name, False)) for index in each)
            for name, each in asked.items()
        },
        tokens=_tokens(outputs),
        fields=field_rates([each.fields for each in outputs], asks),
        rates_of={name: n for name, n in of_cases.items() if n != len(results)},
        never=never_right(unit.cases, results),
    )


def _interval(unit: Unit, results: Sequence[Result]) -> tuple[float, float] | None:
    """Return Wilson's 95 % interval of the mean; the cases of a group count as one observation."""
    scored = [
        (case, result.score) for case, result in zip(unit.cases, results, strict=True) if result.score is not None
    ]
    if not scored or unit.kind == "continuous":
        return None
    observed = len({case.observation for case, _ in scored})
    bounds = stats.wilson(statistics.fmean(score for _, score in scored) * observed, observed, 0.025)
    return bounds.lower, bounds.upper


def _tokens(results: Sequence[Result]) -> tuple[float, float] | None:
    counts = [(each.tokens_in, each.tokens_out) for each in results]
    known = [(before, after) for before, after in counts if before is not None and after is not None]
    # over all outputs or not at all: token counts of only some outputs would bias the mean
    if not known or len(known) < len(counts):
        return None
    return statistics.fmean(before for before, _ in known), statistics.fmean(after for _, after in known)
