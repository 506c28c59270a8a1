"""The test of a claim that an adapter was trained on certain rows.

Training lowers the loss on its own rows more than on others like them: the gap that attacks on membership rest on (Yeom
et al. 2018, "Privacy risk in machine learning", arXiv:1709.01604). The rows that are not its own are cases. Rows of
another adapter, another base, and cases that were among the rows, all close the gap.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunegate.harness.core.files import digest
from tunegate.harness.core.progress import Watch
from tunegate.harness.models.local.batching import plan_texts
from tunegate.harness.models.local.huggingface import Local
from tunegate.harness.models.local.loglikelihood import within_memory
from tunegate.harness.models.local.token_budget import budget_for_texts
from tunegate.harness.models.tokenizer import Encoded
from tunegate.harness.rows.examples import Example
from tunegate.trainers.data.writer import writer_of

SAMPLE = 64  # rows and cases each
LEAST = 8  # of either; fewer show nothing
# One-sided: how often other rows of the same task pass as its own. Of two adapters on the embedded model, each trained
# on 40 rows for three epochs, the own rows' falls exceed those of 30 cases by 1.1 and 1.7 standard errors, the falls of
# the other adapter's rows of the same task by -.4 and .3. At 5 % (1.64) a true claim in two would be doubted.
LEVEL = 0.2
FLOOR = 1e-3  # nats per token; what is below is learned by heart, and only noise
LONGEST = 2048  # tokens of a row; longer ones are not sampled
ROWS, CASES = "rows", "cases"


@dataclass(frozen=True, slots=True)
class Losses:
    """The mean loss per token of some texts, in nats, under the base and under the adapter."""

    base: Sequence[float]
    adapter: Sequence[float]

    @property
    def falls(self) -> list[float]:
        """The logarithm of how many times lower each loss is with the adapter."""
        pairs = zip(self.base, self.adapter, strict=True)
        return [math.log((base + FLOOR) / (adapter + FLOOR)) for base, adapter in pairs]

    def as_dict(self) -> dict[str, Any]:
        """For the training record."""
        base, adapter = (round(statistics.fmean(each), 4) for each in (self.base, self.adapter))
        return {"n": len(self.base), "base": base, "adapter": adapter}

    def __str__(self) -> str:
        return f"{statistics.fmean(self.base):.3f} to {statistics.fmean(self.adapter):.3f}"


@dataclass(frozen=True)
class TestedClaim:
    """What was found of a claim: a key of `ADOPTED`, in words, and the losses."""

    found: str
    said: str
    losses: Mapping[str, Losses]

    def as_dict(self) -> dict[str, Any]:
        """For the training record."""
        loss = {name: each.as_dict() for name, each in self.losses.items() if each.base}
        return {"claim": self.found, "said": self.said, **({"loss": loss} if loss else {})}


def weigh(rows: Losses, cases: Losses) -> TestedClaim:
    """Decide whether the loss fell more on the claimed rows than on cases that no row comes near."""
    known = {ROWS: rows, CASES: cases}
    if not rows.base:
        return TestedClaim("untested", "no claimed row can be scored", {})
    mine = f"the loss on {len(rows.base)} claimed rows went from {rows} nats per token"
    if _least(rows.falls) <= 0:
        return TestedClaim(
            "doubted", f"{mine}, which is no clear fall: they are another adapter's, or the base is", known
        )
    if min(len(rows.base), len(cases.base)) < LEAST:
        few = f"{len(rows.base)} row{'s' * (len(rows.base) != 1)}"
        if len(rows.base) >= LEAST:
            few = f"{len(cases.base)} cases with a certain output to compare with"
        return TestedClaim("untested", f"{mine}; only {few}, of {LEAST} at least", known)
    theirs = f"that on {len(cases.base)} cases that no row comes near from {cases}"
    if _least(rows.falls, cases.falls) <= 0:
        why = (
            "not clearly more: the rows are others of this task, cases were among them, or the training fits its rows "
            "hardly better than others"
        )
        return TestedClaim("doubted", f"{mine}, {theirs}, {why}", known)
    return TestedClaim("supported", f"{mine}, {theirs}", known)


def _least(falls: Sequence[float], others: Sequence[float] = ()) -> float:
    """The lower bound of the mean fall, or of how much it exceeds that of others (normal, as Welch)."""
    samples = [each for each in (falls, others) if each]
    if min(map(len, samples)) < 2:
        return statistics.fmean(falls) - (statistics.fmean(others) if others else 0.0)
    means = [statistics.fmean(each) for each in samples]
    error = math.sqrt(sum(statistics.variance(each) / len(each) for each in samples))
    return means[0] - sum(means[1:]) - statistics.NormalDist().inv_cdf(1 - LEVEL) * error


def sampled(rows: Sequence[Example], base: Local, count: int) -> list[tuple[Example, Encoded]]:
    """The same `count` rows every time, each encoded as the suites send it; of the liked outputs, not the longest."""
    found, writer = list[tuple[Example, Encoded]](), writer_of(base.tokenizer, base.base.ends)
    for row in sorted(rows, key=lambda row: digest([0, row.messages, row.output])):
        if len(found) < count and row.liked and row.output:
            before, text = writer.prompt(row), writer.completion(row)
            if len(before) + len(text) <= LONGEST:
                found.append((row, (before, text)))
    return found


def losses(model: Any, texts: Sequence[Encoded], watch: Watch, name: str) -> list[float]:
    """The mean loss of each text per token, in nats."""
    found: list[float] = [0.0] * len(texts)
    budget = budget_for_texts(model)
    with watch(f"Computing the loss of {name}", len(texts)) as done:
        for indices in plan_texts([[text] for text in texts], lambda: budget.tokens):
            asked = [(f"row {index + 1} of the sample", texts[index]) for index in indices]
            for index, values in zip(indices, within_memory(model, asked, budget), strict=True):
                found[index] = -statistics.fmean(values)
            done(len(indices))
    return found
