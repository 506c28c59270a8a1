"""GEPA's view of a unit: a candidate is a system prompt, an example is a training row, the score is the check's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tunegate.harness.models.api import Messages, Request
from tunegate.harness.models.evaluation.record import Result
from tunegate.harness.models.evaluation.scoring import UNSCORED, score_completion
from tunegate.trainers.data.asked_rows import AskedRow
from tunegate.trainers.optimise.metered import Metered
from tunegate.trainers.optimise.reflection import SYSTEM, shortened_text

if TYPE_CHECKING:
    from gepa import EvaluationBatch

PASSES = "The output passes."


@dataclass(frozen=True, slots=True)
class PromptRow:
    """A row with the output that passes, as it is asked and scored."""

    asked: AskedRow
    output: str


@dataclass(frozen=True, slots=True)
class Scored:
    """A row's result with one prompt."""

    row: PromptRow
    result: Result


class GepaAdapter:
    """Runs candidates on rows of the diagnosed model, and describes the results to the reflecting model.

    `done` counts row evaluations.
    """

    propose_new_texts = None  # the optimiser's own

    def __init__(self, model: Metered, done: Callable[[int], None]) -> None:
        self._model, self._done = model, done
        self.evaluations = 0

    def evaluate(
        self, batch: Sequence[PromptRow], candidate: Mapping[str, str], capture_traces: bool = False
    ) -> EvaluationBatch[Scored, str | None]:
        """Score the outputs for rows with a prompt; a row without an output scores 0."""
        from gepa import EvaluationBatch

        found = self.score(batch, candidate[SYSTEM])
        scores = [each.result.score or 0.0 for each in found]
        return EvaluationBatch([each.result.output for each in found], scores, found if capture_traces else None)

    def score(self, rows: Sequence[PromptRow], system: str) -> list[Scored]:
        """Return the result of each row with a system prompt; an empty one is left out of the messages."""
        requests = [with_system(row.asked.request, system) for row in rows]
        completions = self._model.ask(requests)
        found = []
        for row, request in zip(rows, requests, strict=True):
            completion, case = completions.get(request.key), row.asked.case
            result = score_completion(case, completion, "as-is", "pass/fail") if case and completion else UNSCORED
            found.append(Scored(row, result))
        self.evaluations += len(rows)
        self._done(len(rows))
        return found

    def make_reflective_dataset(
        self, candidate: Mapping[str, str], eval_batch: EvaluationBatch[Scored, str | None], components: list[str]
    ) -> dict[str, list[dict[str, str]]]:
        """Return the inputs, the outputs, and the findings of the checks, for each part that is to be rewritten."""
        del candidate  # the same findings for every prompt
        return {key: [described(each) for each in eval_batch.trajectories or ()] for key in components}


def described(scored: Scored) -> dict[str, str]:
    """Return a result as the reflecting model reads it: input, output, findings, and an output that passes."""
    turns = [(role, text) for role, text in scored.row.asked.request.messages if role != "system"]
    said = turns[0][1] if len(turns) == 1 else "\n".join(f"{role}: {text}" for role, text in turns)
    findings = "\n".join(f"- {finding}" for finding in scored.result.findings)
    passing = "" if scored.result.score == 1.0 else f"\nAn output that passes:\n{shortened_text(scored.row.output)}"
    return {
        "Input": shortened_text(said),
        "Output": shortened_text(scored.result.output or "(none)"),
        "Findings": (findings or PASSES) + passing,
    }


def with_system(request: Request, system: str) -> Request:
    """Return the request of a row with another system prompt."""
    rest: Messages = tuple(turn for turn in request.messages if turn[0] != "system")
    return replace(request, messages=((("system", system), *rest) if system else rest))
