"""Differences between a baseline and a run, or between a baseline and its update, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunegate.harness.cases.model import CHECK_VERSION, Decoding, Unit
from tunegate.harness.cases.policy import policy_changes
from tunegate.harness.core.formatting import listed
from tunegate.harness.history.baselines.store import Baseline
from tunegate.harness.models.evaluation.record import Record, Result

#: The parts of a subject that must equal the baseline's under `--tg-against baseline`: only the adapter may differ.
MUST_EQUAL = ("base", "tokenizer", "template", "rung")
PROMPT_PARTS = {
    "system": "system prompt",
    "template": "template",
    "shots": "set of worked examples",
    "tools": "set of tools",
}
NAMES = {"base": "base weights", "template": "chat template"}


def update_changes(old: Baseline, record: Record, unit: Unit) -> list[str]:
    """Return the changes of an update, most suspicious first: looser rules, questions, subject, score."""
    asked = [
        *question_differences(old.questions, record.questions[unit.key], unit, old.results),
        *configuration_differences(old.configuration, record.configurations[unit.key]),
    ]
    subject, engine = record.fingerprint["subject"], record.fingerprint["engine"]
    who = [_part_name(part) for part in (*MUST_EQUAL, "adapter") if old.subject.get(part) != subject.get(part)]
    how = _changed_parts(old.engine, engine) + _changed_parts(
        {CHECK_VERSION: old.questions.get(CHECK_VERSION), **old.scorer},
        {CHECK_VERSION: unit.questions[CHECK_VERSION], **record.scorers[unit.key]},
    )
    before, after = old.summary.mean, record.units[unit.key].mean
    moved = [f"mean {number(before)} -> {number(after)}"] if before != after else []
    looser, stricter = (
        [f"{how} task.yaml: {', '.join(terms)}"]
        if (terms := policy_changes(old.policy, record.policies[unit.key], flag))
        else []
        for how, flag in (("loosened", True), ("tightened", False))
    )
    return looser + _scored_differently(old, record, unit) + stricter + asked + who + how + moved + _noise(old, record)


def _noise(old: Baseline, record: Record) -> list[str]:
    now = record.noise.get(old.unit)
    if now == old.noise:
        return []
    return [str(now) if now else "the number of cases that flip by themselves is no longer known"]


def _changed_parts(old: Mapping[str, str | None], new: Mapping[str, str | None]) -> list[str]:
    parts = sorted({*old, *new})
    return [f"{part} {old.get(part)} -> {new.get(part)}" for part in parts if old.get(part) != new.get(part)]


def _scored_differently(old: Baseline, record: Record, unit: Unit) -> list[str]:
    """Return changed scores of unchanged outputs: the rules changed, not the model."""
    now = record.of_unit(unit.key)
    same = [
        (case, before.score or 0.0, now[case].score or 0.0)
        for case, before in sorted(old.results.items())
        if case in now and _seen(before) == _seen(now[case]) and before.repeats == () == now[case].repeats
    ]
    looser = [case for case, before, after in same if after > before]
    stricter = [case for case, before, after in same if after < before]
    return [
        f"{name} rules: the same output now scores {how} in {listed(cases)}"
        for name, how, cases in (("loosened", "higher", looser), ("tightened", "lower", stricter))
        if cases
    ]


def _seen(result: Result) -> tuple[Any, ...]:
    """Return what was scored: an output, likelihoods, or otherwise the tokens of an output."""
    if result.output is None and not result.logprobs:
        return result.tokens_in, result.tokens_out
    return result.output, result.logprobs


def number(value: float | None) -> str:
    """Return a mean score for a line of changes; three decimals would hide the cost of a call."""
    return "none" if value is None else f"{value:.3f}" if abs(value) >= 0.1 or not value else f"{value:.4g}"


def configuration_differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """The parts in which two configurations of a unit differ (`UnitConfiguration.as_dict`), in words."""
    before, now = ({**each, **each.get("decoding", {})} for each in (old, new))
    texts = [f"another {name}" for part, name in PROMPT_PARTS.items() if before.get(part) != now.get(part)]
    numbers = [
        f"{part} {before.get(part)} -> {now.get(part)}"
        for part in Decoding.__slots__
        if before.get(part) != now.get(part)
    ]
    return texts + numbers


def differing(baseline: Baseline, unit: Unit, subject: Mapping[str, str | None]) -> list[str]:
    """Return the differences between a baseline and a run other than engine and adapter, in words."""
    return [
        *question_differences(baseline.questions, unit.questions, unit, baseline.results),
        *(_part_name(part) for part in MUST_EQUAL if baseline.subject.get(part) != subject.get(part)),
    ]


def engine_differences(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    """Return the differences between two engines, in words; for two backends only in shared parts, such as dtype."""
    known = {*old, *new} if old.get("backend") == new.get("backend") else {*old} & {*new}
    parts = [part for part in sorted(known) if old.get(part) != new.get(part)]
    return [f"{part} {old.get(part)} (now {new.get(part)})" for part in parts]


def _part_name(part: str) -> str:
    return f"another {NAMES.get(part, part)}"


def question_differences(
    old: Mapping[str, str], new: Mapping[str, str], unit: Unit, results: Mapping[str, Any]
) -> list[str]:
    """Return the parts of the questions that differ, with added and removed cases; the check's version is ignored."""
    ids = {case.id for case in unit.cases}
    changed = [f"+{name}" for name in sorted(ids - results.keys())] + [
        f"-{name}" for name in sorted(results.keys() - ids)
    ]
    if changed:
        # every other digest differs with the cases
        return [f"other cases ({listed(changed)})"]
    asked = {**new, CHECK_VERSION: old.get(CHECK_VERSION)}  # a new version scores the same outputs again
    return [f"other {name}" for name in new if old.get(name) != asked[name]] + [
        f"a removed question part {name!r}" for name in old if name not in new
    ]
