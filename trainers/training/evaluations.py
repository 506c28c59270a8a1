"""Evaluation of a model in training on the validation split: loss, the task's own scores, divergence from the base."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from tunegate.harness.models.api import Request
from tunegate.harness.models.local.huggingface import Local
from tunegate.harness.models.tokenizer import Encoded, encode, render_prompt
from tunegate.trainers.data.asked_rows import AskedRow
from tunegate.trainers.training.divergence import mean_divergence

MOST_TOKENS = 64  # of a completion on which the divergence is measured
DECIMALS = 4


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One evaluation on the validation split, after a step; `kl` is in nats per token.

    `score` is None if no check of the task can score the rows, `kl` if there are no completions to measure it on.
    Values that are not finite are None, too.
    """

    step: int
    loss: float | None
    score: float | None = None
    kl: float | None = None

    @property
    def rank(self) -> tuple[float, float]:
        """Sort key, higher is better: by score, then by lower loss; missing values rank last."""
        return self.score or 0.0, -self.loss if self.loss is not None else -math.inf

    def __str__(self) -> str:
        parts = [f"loss {self.loss:.4f}" if self.loss is not None else "no finite loss"]
        parts += [f"score {self.score:.3f}"] if self.score is not None else []
        parts += [f"KL from the base {self.kl:.3f}"] if self.kl is not None else []
        return ", ".join(parts)

    def as_dict(self) -> dict[str, Any]:
        """For the training record; values that are not finite are None."""
        return {name: _number(value) for name, value in asdict(self).items()}


def evaluations(state: Any) -> list[Evaluation]:
    """All evaluations in a trainer's state, in order, including those before a resume."""
    found: dict[int, Evaluation] = {}
    for entry in state.log_history:
        step = entry.get("step")
        if "eval_loss" in entry:
            loss = entry["eval_loss"]
            found[step] = Evaluation(step, loss if math.isfinite(loss) else None)
        if "eval_score" in entry:  # our own entry; TRL's kto logs another divergence as `eval_kl`
            found[step] = replace(found[step], score=entry["eval_score"], kl=entry["eval_kl"])
    return list(found.values())


def best_of(found: Iterable[Evaluation], most_kl: float | None = None) -> Evaluation | None:
    """The best evaluation within the KL limit, the first among equals; None if there is none."""
    near = [each for each in found if not is_too_far(each, most_kl)]
    return max(near, key=lambda each: each.rank, default=None)


def is_too_far(evaluation: Evaluation, most_kl: float | None) -> bool:
    """Whether the divergence from the base exceeds the limit, or is unknown."""
    return most_kl is not None and not (evaluation.kl is not None and evaluation.kl <= most_kl)


class RowEvaluator:
    """Evaluates the model in training on the validation split, scoring its outputs as the suites would."""

    def __init__(self, base: Local, rows: Sequence[AskedRow]) -> None:
        self._base, self._rows = base, rows
        self._sampled: list[Encoded] = []

    def evaluate(self, model: Any) -> tuple[float | None, float | None]:
        """Return the unweighted mean score of the rows that can be scored, and the divergence from the base.

        Raises:
            CouldNotRun: the model failed.
        """
        model.eval()  # dropout would distort both
        self._base.base.lend(model)
        try:
            if not self._sampled:
                with model.disable_adapter():
                    self._sampled = self._sample()
            return self._score(), _number(mean_divergence(model, self._sampled))
        finally:
            self._base.base.forget()

    def _score(self) -> float | None:
        by_key = {row.request.key: row for row in self._rows if row.case}
        outputs = self._base.complete([row.request for row in by_key.values()]) if by_key else ()
        scores = [score for output in outputs if (score := by_key[output.key].score(output)) is not None]
        return round(statistics.fmean(scores), DECIMALS) if scores else None

    def _sample(self) -> list[Encoded]:
        """Sample one completion of the base per prompt, at temperature 1, with its end of turn."""
        asked = {row.request.key: _sampling(row.request) for row in self._rows}
        tokenizer, found = self._base.tokenizer, []
        for each in self._base.complete(list(asked.values())):
            prompt, text = encode(tokenizer, render_prompt(tokenizer, asked[each.key]), each.output or "")
            end = [tokenizer.eos_token_id] if each.finish == "stop" else []
            found.append((prompt, [*text, *end]))
        return [(prompt, completion) for prompt, completion in found if completion]


def _sampling(request: Request) -> Request:
    tokens = min(request.decoding.max_new_tokens, MOST_TOKENS)
    return replace(request, decoding=replace(request.decoding, temperature=1.0, top_p=1.0, max_new_tokens=tokens))


def _number(value: float | None) -> Any:
    return round(value, DECIMALS) if value is not None and math.isfinite(value) else None
