"""Whether answers are served as they were judged: the same, from which token on others, and whose they are then."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunegate.harness.cases.model import Unit
from tunegate.harness.checks.base import Finding
from tunegate.harness.core.formatting import percent
from tunegate.harness.evaluation.record import Record, Result

#: Nats a token between the judged and the served log-probability, on average: above the one coarsely rounded, above the
#: other another model. Chosen so that honest float32 and float16 artefacts of the embedded model stay below the first.
ROUNDED, OTHER = 0.05, 0.5
MOST = 0.5  # of the answers
#: Of the tokens of answers, those before the first difference: rounding to 16 bits leaves half of them or more, also
#: where most answers differ somewhere; of another model's answers some hundredths are left.
AGREED = 0.25


@dataclass(frozen=True, slots=True)
class OutputParity:
    """How many of `of` greedy answers are the `same`; the first token that differs, at the `earliest`, and its case.

    `agreed` is the share of their tokens before the first difference, the mean over answers; None where there are none.
    `drift` is the mean and the largest difference of log-probabilities, in nats a token, over so many `texts`; None
    where the server gives none.
    """

    same: int
    of: int
    agreed: float | None = None
    earliest: int | None = None
    case: str = ""
    drift: tuple[float, float] | None = None
    texts: int = 0
    findings: tuple[Finding, ...] = ()

    def lines(self) -> Iterator[str]:
        """In words."""
        where = (
            f"; {percent(self.agreed)} of the tokens stand before a difference, the earliest of which is at token "
            f"{self.earliest + 1} of {self.case}" if self.earliest is not None else ""
        )  # fmt: skip
        yield f"answers: {self.same} of {self.of} the same{where}"
        if self.drift:
            mean, most = self.drift
            yield f"log-probabilities: {mean:.4f} nats a token apart, {most:.4f} at most ({self.texts} texts)"


def output_parity(
    tokenizer: Any, units: Sequence[Unit], expected: Record, served: Record, base: Mapping[str, str]
) -> OutputParity:
    """Compare the answers of two records.

    Args:
        tokenizer: that of the model that was judged, by whose tokens answers are compared.
        units: what both were asked; sampled answers differ by themselves, and are left to the gate.
        expected: the adapter's record.
        served: what is served.
        base: what the base without the adapter answered, by case; empty where that is not known.
    """
    greedy = [case.key for unit in units if not unit.of for case in unit.cases if not case.decoding.temperature]
    pairs = {
        key: (old.first, new.first)
        for key in greedy
        if (old := expected.cases.get(key)) and (new := served.cases.get(key))
        and old.output is not None and new.output is not None
    }  # fmt: skip
    outputs = {key: (str(old.output), str(new.output)) for key, (old, new) in pairs.items()}
    firsts = {key: _first(tokenizer, *each) for key, each in outputs.items() if each[0] != each[1]}
    case = min(firsts, key=lambda key: firsts[key][0], default="")
    agreed = statistics.fmean([firsts[key][1] if key in firsts else 1.0 for key in outputs]) if outputs else None
    drifts = [gap for key in greedy for gap in _gaps(expected.cases.get(key), served.cases.get(key))]
    findings = [*_not_applied(outputs, base), *_endless(pairs)]
    return OutputParity(
        len(outputs) - len(firsts), len(outputs), agreed, firsts[case][0] if case else None, case,
        (statistics.fmean(drifts), max(drifts)) if drifts else None,
        sum(bool(served.cases[key].logprobs) for key in greedy if key in served.cases),
        tuple(findings or _other_weights(agreed, drifts)),
    )  # fmt: skip


def _first(tokenizer: Any, expected: str, served: str) -> tuple[int, float]:
    """The first token, from 0, in which two answers differ, and the share of the longer one that stands before it."""
    one, other = (tokenizer(text, add_special_tokens=False).input_ids for text in (expected, served))
    shorter, longer = sorted((len(one), len(other)))
    first = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), shorter)
    return first, first / longer if longer else 1.0


def _gaps(expected: Result | None, served: Result | None) -> Iterator[float]:
    """The differences of log-probabilities, token by token."""
    if expected and served:
        for old, new in zip(expected.logprobs, served.logprobs, strict=False):
            yield from (abs(one - other) for one, other in zip(old, new, strict=False))


def _not_applied(outputs: Mapping[str, tuple[str, str]], base: Mapping[str, str]) -> Iterator[Finding]:
    """Where the adapter answered otherwise than its base, and what is served answers as the base does."""
    telling = {key: each for key, each in outputs.items() if key in base and base[key] != each[0]}
    as_base = sum(served == base[key] for key, (_, served) in telling.items())
    if as_base > MOST * len(telling):
        yield Finding(
            "adapter-not-applied",
            f"the adapter is not applied: {as_base} of {len(telling)} answers are those of the base without it",
        )


def _endless(pairs: Mapping[str, tuple[Result, Result]]) -> Iterator[Finding]:
    """Where answers go on behind the end that the judged ones have."""
    ended = {key: each for key, each in pairs.items() if each[0].finish == "stop"}
    on = [
        key for key, (old, new) in ended.items()
        if new.finish == "length" and str(new.output).lstrip().startswith(str(old.output).strip())
    ]  # fmt: skip
    if len(on) > MOST * len(ended):
        yield Finding(
            "end-of-turn",
            f"answers do not end: {len(on)} of {len(ended)} are the judged ones and go on behind their end; what ends "
            f"a turn is not known there as such (first: {on[0]})",
        )


def _other_weights(agreed: float | None, drifts: Sequence[float]) -> Iterator[Finding]:
    """Where numbers are too far away for the same weights."""
    mean = statistics.fmean(drifts) if drifts else 0.0
    far = [f"log-probabilities are {mean:.2f} nats a token away"] if mean > OTHER else []
    if agreed is not None and agreed < AGREED:
        far.append(f"answers differ from the start, {percent(agreed)} of their tokens stand before a difference")
    if far:
        yield Finding(
            "other-weights",
            f"{'; '.join(far)}: another base, another adapter, or weights that were rounded beyond use",
        )
    elif mean > ROUNDED:
        yield Finding("quantised", f"log-probabilities are {mean:.2f} nats a token away, as by coarse rounding")
