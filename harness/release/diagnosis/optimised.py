"""An optimised prompt, what it cost, and how it is shown; the optimiser itself is in `trainers/optimise`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import yaml

from tunegate.harness.cases.model import Unit
from tunegate.harness.core.files import write_atomically
from tunegate.harness.core.formatting import percent
from tunegate.harness.core.progress import Watch
from tunegate.harness.models.api import Model

OPTIMISED = "optimised"  # a strategy of its own: the prompt of each unit, as an optimiser rewrote it
SKIPPED = "optimised: skipped, name a reflecting model with --optimise-with"


@dataclass(frozen=True, slots=True)
class Spent:
    """What a model did: distinct requests, their tokens (None if unknown), and the minutes of this run.

    Outputs from the cache count as requests and take no time.
    """

    requests: int
    tokens: int | None
    minutes: float


@dataclass(frozen=True, slots=True)
class OptimisedPrompt:
    """The optimisation of one unit's system prompt on training rows.

    Attributes:
        file: the fixture file that holds the prompt.
        before: the unit's system prompt; None if it has none.
        system: the optimised one; equal to `before` if no proposal scored better.
        rows: rows whose findings the reflecting model saw.
        validation: further rows, on which the prompt was chosen.
        score_before, score: the score of the validation rows with the unit's prompt and with the optimised one.
        evaluations: row evaluations; one is an output for a row, scored by the unit's check.
        proposals: prompts that the reflecting model proposed.
        rejected: proposals that were not tried, by reason.
        repeats: rows whose output, of 20 characters or more, the prompt repeats verbatim.
        model, reflecting: what the diagnosed model and the reflecting one did.
    """

    file: str
    before: str | None
    system: str | None
    rows: int
    validation: int
    score_before: float
    score: float
    evaluations: int
    proposals: int
    rejected: Mapping[str, int]
    repeats: int
    model: Spent
    reflecting: Spent

    @property
    def is_new(self) -> bool:
        """Whether a proposal scored better than the unit's prompt."""
        return self.system != self.before


@dataclass(frozen=True)
class Optimisation:
    """The optimised prompts of a task, by unit key.

    Attributes:
        reflecting: the reflecting model, as --optimise-with names it.
        budget: the maximum number of row evaluations per unit.
        seed: the seed that divides the rows and selects the proposals.
        files: SHA-256 of each file of rows, by name.
        left_out: rows that were not used, by reason.
        skipped: units without one, and why.
    """

    reflecting: str
    budget: int
    seed: int
    files: Mapping[str, str]
    left_out: Mapping[str, int]
    units: Mapping[str, OptimisedPrompt]
    skipped: Mapping[str, str] = field(default_factory=dict)


class Optimiser(Protocol):
    """Rewrites the system prompts of units on training rows; it sees no case."""

    @property
    def reflecting(self) -> str:
        """The model that proposes prompts, as --optimise-with names it."""

    def __call__(self, units: Sequence[Unit], model: Model, reflecting: Model, watch: Watch) -> Optimisation:
        """Optimise the prompt of each unit for the diagnosed `model`; `reflecting` proposes prompts."""


def read_optimisation(raw: Mapping[str, Any]) -> Optimisation:
    """Read an optimisation from a diagnosis that is valid by its schema."""
    units = {
        key: OptimisedPrompt(**{**each, "model": Spent(**each["model"]), "reflecting": Spent(**each["reflecting"])})
        for key, each in raw["units"].items()
    }
    return Optimisation(**{**raw, "units": units})


def optimisation_sentences(found: Optimisation | None) -> Iterator[str]:
    """Yield what was optimised and at what cost; one line if no reflecting model was named."""
    if found is None:
        yield f"{SKIPPED}."
        return
    if found.left_out:
        reasons = ", ".join(f"{count} {reason}" for reason, count in found.left_out.items())
        yield f"optimised: rows that were left out: {reasons}."
    for unit, why in found.skipped.items():
        yield f"{unit}: optimised: skipped, {why}."
    for unit, each in found.units.items():
        yield f"{unit}: optimised: {_result(each)}; {_spent(each, found.reflecting)}."
        if each.repeats:
            rows = "1 row" if each.repeats == 1 else f"{each.repeats} rows"
            yield f"{unit}: the optimised prompt repeats the output of {rows} verbatim."


def _result(each: OptimisedPrompt) -> str:
    tried = each.proposals - sum(each.rejected.values())
    rejected = "".join(f", {count} {reason}" for reason, count in each.rejected.items())
    proposed = f"{each.proposals} proposed ({tried} tried{rejected})"
    if not each.is_new:
        return f"no better prompt found on {each.validation} validation rows, {proposed}"
    moved = f"from {percent(each.score_before)} to {percent(each.score)}"
    return f"a prompt takes {each.validation} validation rows {moved}, {proposed}"


def _spent(each: OptimisedPrompt, reflecting: str) -> str:
    return f"{each.evaluations} row evaluations, {_in_words(each.model)}; {reflecting}: {_in_words(each.reflecting)}"


def _in_words(spent: Spent) -> str:
    tokens = "tokens unknown" if spent.tokens is None else f"{spent.tokens:,} tokens"
    return f"{spent.requests} requests, {tokens}, {spent.minutes:.1f} minutes"


def prompt_path(folder: Path, unit: str) -> Path:
    """Return the file of a unit's optimised prompt."""
    return folder / f"{unit}.prompt.yaml"


def keep_prompts(found: Optimisation | None, folder: Path) -> dict[str, Path]:
    """Write each optimised prompt below `folder` as the `prompt:` of a fixture file; return the paths by unit."""
    new = {unit: each for unit, each in found.units.items() if each.is_new} if found else {}
    paths = {unit: prompt_path(folder, unit) for unit in new}
    for unit, path in paths.items():
        text = yaml.safe_dump({"prompt": {"system": new[unit].system}}, allow_unicode=True, sort_keys=False)
        write_atomically(path, text)
    return paths
