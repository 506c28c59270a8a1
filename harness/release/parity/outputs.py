"""Compare the outputs of a served model with the evaluated ones, and name the cause of a difference."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from tunegate.harness.cases.model import Unit
from tunegate.harness.checks.base import Finding
from tunegate.harness.core.escaping import shown
from tunegate.harness.core.formatting import percent
from tunegate.harness.models.evaluation.record import Record, Result
from tunegate.harness.release.parity.calls import CallPair, call_findings

#: Mean difference in nats per token between evaluated and served log-probabilities: above ROUNDED the weights count as
#: coarsely rounded, above OTHER as another model's. The embedded model in float32 and float16 is below.
ROUNDED, OTHER = 0.05, 0.5
#: In float16 the embedded model is .006 from itself in float32 (2,504 tokens of 60 texts; at most .008 over four).
SAME = 0.01
MOST = 0.5  # of the outputs
#: Share of the tokens of outputs before the first difference. Rounding to 16 bits leaves half of them or more, even
#: where most outputs differ somewhere; another model leaves a few percent.
AGREED = 0.25
UNEXPLAINED = "unexplained"  # the cause where no other is found
#: Of the same weights: bfloat16 arithmetic moves the embedded model by .047, which is no cause (2,504 tokens of 60
#: texts; at most .074 over four texts).
ARITHMETIC = 0.15
#: Of the squared difference of log-probabilities, the share that lies on the way from the base's to the adapter's. An
#: adapter at half its scale has .96 on the embedded model, an earlier one .5, rounding little.
ALONG, BACK, SCALED = 0.9, 0.25, 0.25


@dataclass(frozen=True, slots=True)
class OutputParity:
    """The number of greedy outputs (`of`) that are the `same`, and the `earliest` token that differs, with its case.

    `agreed` is the share of their tokens before the first difference, averaged over outputs; None without outputs.
    `drift` is the mean and the largest difference of log-probabilities, in nats per token, over `texts` texts; None
    if the server returns none.
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
        """The lines that `tunegate parity` prints."""
        where = (
            f"; on average {percent(self.agreed)} of an output's tokens come before its first difference; the earliest "
            f"difference is at token {self.earliest + 1} of {self.case}" if self.earliest is not None else ""
        )  # fmt: skip
        yield f"outputs: {self.same} of {self.of} the same{where}"
        if self.drift:
            mean, most = self.drift
            yield f"log-probabilities: {mean:.4f} nats per token apart, {most:.4f} at most ({self.texts} texts)"


def output_parity(
    tokenizer: Any, units: Sequence[Unit], expected: Record, served: Record, base: Mapping[str, Result],
    same_weights: bool = False, again: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> OutputParity:  # fmt: skip
    """Compare the outputs of the adapter's record with those of the served model's, by the evaluated model's tokens.

    Sampled outputs are skipped, since they vary from run to run. `base` are the results of the base
    without the adapter, by case; empty if unknown. `same_weights` says that the weights were seen
    to be the evaluated ones. `again` are the outputs of requests that were sent one by one,
    several times, by case.
    """
    cases = {case.key: case for unit in units if not unit.of for case in unit.cases if not case.decoding.temperature}
    greedy = [*cases]
    pairs = {
        key: (old.first, new.first)
        for key in greedy
        if (old := expected.cases.get(key)) and (new := served.cases.get(key))
        and old.output is not None and new.output is not None
    }  # fmt: skip
    outputs = {key: (str(old.output), str(new.output)) for key, (old, new) in pairs.items()}
    calls = {key: CallPair.of(cases[key], *each) for key, each in outputs.items() if cases[key].tools}
    # the same message may be written in several ways
    outputs |= {key: (outputs[key][0], outputs[key][0]) for key, each in calls.items() if each.is_same}
    firsts = {key: _first(tokenizer, *each) for key, each in outputs.items() if each[0] != each[1]}
    case = min(firsts, key=lambda key: firsts[key][0], default="")
    agreed = statistics.fmean([firsts[key][1] if key in firsts else 1.0 for key in outputs]) if outputs else None
    drifts = [gap for key in greedy for gap in _gaps(expected.cases.get(key), served.cases.get(key))]
    sampled = list(_sampled(again))
    moved = _moved_along([(expected.cases.get(key), served.cases.get(key), base.get(key)) for key in greedy])
    of_adapter = [*_not_applied(outputs, base)] or [*moved]
    findings = [*of_adapter, *call_findings(calls), *_endless(pairs), *_cut(pairs), *sampled]
    # sampled outputs differ whatever the weights are
    unnamed = _other_weights(None if sampled else agreed, drifts, same_weights)
    return OutputParity(
        len(outputs) - len(firsts), len(outputs), agreed, firsts[case][0] if case else None, case,
        (statistics.fmean(drifts), max(drifts)) if drifts else None,
        sum(bool(served.cases[key].logprobs) for key in greedy if key in served.cases),
        tuple([*findings, *unnamed] if findings == sampled else findings),
    )  # fmt: skip


def _first(tokenizer: Any, expected: str, served: str) -> tuple[int, float]:
    """The index of the first token that differs, and the share of the longer output that precedes it."""
    one, other = (tokenizer(text, add_special_tokens=False).input_ids for text in (expected, served))
    shorter, longer = sorted((len(one), len(other)))
    first = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), shorter)
    return first, first / longer if longer else 1.0


def _gaps(expected: Result | None, served: Result | None) -> Iterator[float]:
    """The differences of log-probabilities, token by token."""
    if expected and served:
        for old, new in zip(expected.logprobs, served.logprobs, strict=False):
            yield from (abs(one - other) for one, other in zip(old, new, strict=False))


def _not_applied(outputs: Mapping[str, tuple[str, str]], base: Mapping[str, Result]) -> Iterator[Finding]:
    """Served outputs that equal the base's where the adapter's differ from them."""
    plain = {key: each.output for key, each in base.items() if each.output}
    changed = {key: each for key, each in outputs.items() if key in plain and plain[key] != each[0]}
    as_base = sum(served == plain[key] for key, (_, served) in changed.items())
    if as_base > MOST * len(changed):
        yield Finding(
            "adapter-not-applied",
            f"the adapter is not applied: {as_base} of {len(changed)} outputs are those of the base without it",
        )


def _moved_along(results: Sequence[tuple[Result | None, Result | None, Result | None]]) -> Iterator[Finding]:
    """Log-probabilities between the base's and the adapter's, or beyond, of evaluated, served and base results."""
    texts = [
        texts for each in results if all(each) for texts in zip(*(one.logprobs for one in each if one), strict=False)
    ]
    tokens = [values for text in texts for values in zip(*text, strict=False)]
    part = sum((old - base) ** 2 for old, _, base in tokens)
    moved = sum((new - old) ** 2 for old, new, _ in tokens)
    along = sum((new - old) * (old - base) for old, new, base in tokens)
    if abs(along) <= SCALED * part or along**2 <= BACK * part * moved:
        return
    times, is_straight = 1 + along / part, along**2 > ALONG * part * moved
    where = f"log-probabilities are {times:.2g} times as far from the base's as evaluated"
    if is_straight and times < SCALED:
        yield Finding("adapter-not-applied", f"{where}: they are the base's")
    elif is_straight:
        yield Finding("adapter-scaled", f"{where}: another alpha, or scale")
    elif along < 0:
        yield Finding("another-adapter", f"{where}, and move elsewhere, as with another adapter")


def _endless(pairs: Mapping[str, tuple[Result, Result]]) -> Iterator[Finding]:
    """Served outputs that continue after the end of the evaluated ones."""
    ended = {key: each for key, each in pairs.items() if each[0].finish == "stop"}
    on = [
        key for key, (old, new) in ended.items()
        if new.finish == "length" and str(new.output).lstrip().startswith(str(old.output).strip())
    ]  # fmt: skip
    if len(on) > MOST * len(ended):
        yield Finding(
            "end-of-turn",
            f"outputs do not end: {len(on)} of {len(ended)} start with the evaluated output and continue after its "
            f"end; the server does not stop at the end-of-turn token (first: {on[0]})",
        )


def _cut(pairs: Mapping[str, tuple[Result, Result]]) -> Iterator[Finding]:
    """Served outputs that end where the evaluated ones go on."""
    short = {
        key: str(old.output)[len(str(new.output)) :] for key, (old, new) in pairs.items()
        if new.finish == "stop" and new.output != old.output and str(old.output).startswith(str(new.output))
    }  # fmt: skip
    if len(short) > MOST * len(pairs):
        at = Counter(rest[:1] for rest in short.values()).most_common(1)[0][0]
        yield Finding(
            "stop-strings",
            f"outputs end early: {len(short)} of {len(pairs)} are the beginning of the evaluated output, most often up "
            f"to {shown(repr(at))}; the server stops at a text of its own (first: {next(iter(short))})",
        )


def _sampled(again: Mapping[str, Sequence[str]]) -> Iterator[Finding]:
    """Outputs that change when the same request is sent again."""
    changed = [key for key, outputs in again.items() if len({*outputs}) > 1]
    if len(changed) > MOST * len(again):
        yield Finding(
            "sampling",
            f"{len(changed)} of {len(again)} outputs change when the same request is sent again: the server samples, "
            f"although the request asks for temperature 0 (first: {changed[0]})",
        )


def _other_weights(agreed: float | None, drifts: Sequence[float], same_weights: bool) -> Iterator[Finding]:
    """Differences too large for the same weights."""
    mean = statistics.fmean(drifts) if drifts else 0.0
    is_read_alike = bool(drifts) and mean <= SAME  # then as much is left as after rounding to 16 bits
    far = [f"log-probabilities are {mean:.2f} nats per token apart"] if mean > OTHER else []
    if agreed is not None and agreed < (MOST if is_read_alike else AGREED):
        far.append(
            f"outputs differ early: on average {percent(agreed)} of an output's tokens come before its first difference"
        )
    if same_weights or is_read_alike:
        if not far and mean <= ARITHMETIC:
            return
        seen = "; ".join(far) or f"log-probabilities are {mean:.2f} nats per token apart"
        same = "the weights are the evaluated ones" if same_weights else "log-probabilities of given texts are the same"
        yield Finding(
            UNEXPLAINED,
            f"{seen}, although {same}: another setting of the server or of the model (positions, attention, decoding)",
        )
    elif far:
        yield Finding(
            "other-weights",
            f"{'; '.join(far)}: another base, another adapter, or weights rounded beyond use",
        )
    elif mean > ROUNDED:
        yield Finding("quantised", f"log-probabilities are {mean:.2f} nats per token apart, as after coarse rounding")
