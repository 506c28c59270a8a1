"""The optimiser: GEPA on the training rows of each unit, within a budget of row evaluations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tunegate.harness.cases.model import Unit
from tunegate.harness.core.extras import need
from tunegate.harness.core.files import digest
from tunegate.harness.core.progress import Watch
from tunegate.harness.models.api import Model
from tunegate.harness.models.evaluation.scoring import prepare_checks
from tunegate.harness.release.diagnosis.optimised import Optimisation, OptimisedPrompt
from tunegate.trainers.optimise.gepa_adapter import GepaAdapter, PromptRow
from tunegate.trainers.optimise.metered import Metered
from tunegate.trainers.optimise.reflection import SYSTEM, Reflection
from tunegate.trainers.optimise.rows import PromptRows

BUDGET = 400  # row evaluations per unit
SEED = 0
BATCH = 3  # rows whose findings the reflecting model sees at once, as in GEPA
MOST_VALIDATION = 40  # rows on which a prompt is chosen
VALIDATION_SHARE = 5  # of the budget goes into one evaluation of the validation rows: one in so many
LEAST_ROWS = 10
SHORT = 20  # characters; a shorter output is a label, which a prompt names without repeating a row


@dataclass(frozen=True)
class RowOptimiser:
    """Optimises prompts on the rows of a task, by at most `budget` row evaluations per unit.

    A run that was stopped continues when the same command is run again: each step follows from outputs, which are in
    the cache, and from the seed, which divides the rows and selects the proposals. The reflecting model is named as
    --optimise-with takes it.
    """

    reflecting: str
    rows: PromptRows
    budget: int = BUDGET
    seed: int = SEED

    def __call__(self, units: Sequence[Unit], model: Model, reflecting: Model, watch: Watch) -> Optimisation:
        """Optimise the prompt of each unit.

        Raises:
            CouldNotRun: GEPA is not installed, or a model failed.
        """
        found, skipped = {}, {}
        for unit in units:
            rows = self.rows.units.get(unit.name, ())
            if why := self.rows.why_not(unit, LEAST_ROWS):
                skipped[unit.key] = why
                continue
            prepare_checks([unit], watch)
            with watch(f"Optimising the prompt of {unit.key}", self.budget) as done:
                found[unit.key] = _Run(unit, rows, Metered(model), Metered(reflecting), self).optimise(done)
        return Optimisation(
            self.reflecting, self.budget, self.seed, self.rows.files, self.rows.left_out, found, skipped
        )


@dataclass
class _Run:
    """The optimisation of one unit."""

    unit: Unit
    rows: Sequence[PromptRow]
    model: Metered
    reflecting: Metered
    options: RowOptimiser
    validation: Sequence[PromptRow] = field(init=False)
    training: Sequence[PromptRow] = field(init=False)

    def __post_init__(self) -> None:
        budget, seed = self.options.budget, self.options.seed
        # by digest, so that an added row displaces one at most
        drawn = sorted(self.rows, key=lambda row: digest([seed, row.asked.request.messages, row.output]))
        size = min(MOST_VALIDATION, budget // VALIDATION_SHARE, len(drawn) // 2)
        self.validation, self.training = drawn[:size], drawn[size:]

    def optimise(self, done: Any) -> OptimisedPrompt:
        """Run GEPA until the budget is spent."""
        before = self.unit.cases[0].prompt.system
        adapter = GepaAdapter(self.model, done)
        reflection = Reflection(self.reflecting, before or "", self.unit.key, self.options.seed)
        result = self._gepa(adapter, reflection, before or "")
        scores, best = result.val_aggregate_scores, result.best_idx
        chosen = result.candidates[best][SYSTEM] if best else before
        return OptimisedPrompt(
            file=self.unit.cases[0].file,
            before=before,
            system=chosen,
            rows=len(self.training),
            validation=len(self.validation),
            score_before=scores[0],
            score=scores[best],
            evaluations=adapter.evaluations,
            proposals=reflection.proposals,
            rejected=dict(reflection.rejected),
            repeats=repeated(chosen or "", before or "", self.rows),
            model=self.model.spent,
            reflecting=self.reflecting.spent,
        )

    def _gepa(self, adapter: GepaAdapter, reflection: Reflection, before: str) -> Any:
        gepa = need("gepa")
        # no run_dir: GEPA would read its state from a pickle there, which runs code
        return gepa.optimize(
            {SYSTEM: before},
            list(self.training),
            list(self.validation),
            adapter=adapter,
            custom_candidate_proposer=reflection.propose,
            reflection_minibatch_size=BATCH,
            stop_callbacks=self._stop(reflection, adapter),
            logger=_Silent(),
            seed=self.options.seed,
            track_best_outputs=False,
        )

    def _stop(self, reflection: Reflection, adapter: GepaAdapter) -> Any:
        # an iteration scores a batch twice, and the validation rows if that was better
        most = 2 * BATCH + len(self.validation)

        def is_over(state: Any) -> bool:
            if reflection.failed:
                raise reflection.failed
            return max(state.program_full_scores_val_set) >= 1.0 or adapter.evaluations + most > self.options.budget

        return is_over


class _Silent:
    """GEPA's log goes nowhere: it would show rows, and proposals before they are checked."""

    def log(self, message: str) -> None:
        """Drop a message."""


def repeated(prompt: str, before: str, rows: Sequence[PromptRow]) -> int:
    """Count the rows whose output a prompt repeats verbatim, apart from short ones and those repeated before."""
    new, old = (" ".join(text.split()) for text in (prompt, before))
    outputs = (" ".join(row.output.split()) for row in rows)
    return sum(len(each) >= SHORT and each in new and each not in old for each in outputs)
