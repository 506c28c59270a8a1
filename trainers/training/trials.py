"""The trials of a search: one result file per trial, and the next settings, by Optuna."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

from tunegate.harness.core.errors import Refused, show_path
from tunegate.harness.core.extras import need
from tunegate.harness.core.files import digest, is_as_stamped, stamped, write_json
from tunegate.harness.core.reading import read_object
from tunegate.trainers.config.recipe import Recipe
from tunegate.trainers.training.evaluations import Evaluation

Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Trial:
    """A finished training of a search: its settings and `facts`, or the reason why it was `refused`."""

    number: int
    settings: Settings
    facts: Mapping[str, Any] = field(default_factory=dict)
    refused: str = ""

    @property
    def chosen(self) -> Evaluation | None:
        """The evaluation of the step that was kept; None if the trial was refused."""
        steps = {each["step"]: each for each in self.facts.get("validation", ())}
        return Evaluation(**steps[self.facts["best_step"]]) if steps else None

    def as_dict(self) -> dict[str, Any]:
        """For the training record: the trial's settings and result."""
        known = {"seconds": self.facts["seconds"]} if self.facts else {"refused": self.refused}
        return {"trial": self.number, **self.settings, **(self.chosen.as_dict() if self.chosen else {}), **known}


def read_trials(folder: Path) -> list[Trial]:
    """Read the finished trials of a folder.

    Raises:
        Refused: a file was edited.
        Unreadable: a file is damaged.
    """
    found = []
    for path in sorted(folder.glob("*.json"), key=lambda path: int(path.stem)):
        data = read_object(path, "a trial of a search")
        if not is_as_stamped(data):
            raise Refused(
                f"{show_path(path)}: expected an unedited trial, found an edited one; delete the file to run it again"
            )
        found.append(Trial(data["number"], data["settings"], data["facts"], data["refused"]))
    return found


def write_trial(folder: Path, trial: Trial) -> None:
    """Write a trial's file atomically."""
    data = {"number": trial.number, "settings": dict(trial.settings), "facts": dict(trial.facts)}
    write_json(folder / f"{trial.number}.json", stamped(data | {"refused": trial.refused}))


def best_trial(trials: Sequence[Trial]) -> Trial | None:
    """The trial with the best checkpoint, the first among equals; None if all were refused."""
    ranked = [(trial.chosen.rank, trial) for trial in trials if trial.chosen]
    return max(ranked, key=lambda each: each[0], default=(None, None))[1]


def own_settings(recipe: Recipe) -> dict[str, Any]:
    """The recipe's own settings, which the first trial uses."""
    optim = recipe.optim
    return {
        "lr": optim.lr, "schedule": optim.schedule, "r": recipe.lora.r, "epochs": optim.epochs, "seed": recipe.seed,
    }  # fmt: skip


def with_settings(recipe: Recipe, settings: Settings) -> Recipe:
    """The recipe with a trial's settings; alpha is scaled with the rank."""
    alpha = max(1, round(recipe.lora.alpha * settings["r"] / recipe.lora.r))
    optim = {name: settings[name] for name in ("lr", "schedule", "epochs")}
    return replace(
        recipe, lora=replace(recipe.lora, r=settings["r"], alpha=alpha), optim=replace(recipe.optim, **optim),
        seed=settings["seed"],
    )  # fmt: skip


def next_settings(recipe: Recipe, finished: Sequence[Trial], trials: int) -> dict[str, Any]:
    """The next settings: first the recipe's own, then suggested ones, then the best with further seeds.

    Deterministic given the finished trials, so that a killed search resumes with the same settings.

    Raises:
        Refused: all trials were refused.
    """
    if not finished:
        return own_settings(recipe)
    if sum(trial.settings["seed"] == recipe.seed for trial in finished) < trials - recipe.search.seeds_of(trials):
        return _suggested(recipe, finished)
    best = best_trial(finished)
    if best is None:
        raise Refused(f"search: expected a trial that ends with an adapter, found none: {finished[0].refused}")
    tried = {trial.settings["seed"] for trial in same_but_seed(finished, best)}
    return {**best.settings, "seed": next(seed for seed in count(recipe.seed) if seed not in tried)}


def same_but_seed(trials: Sequence[Trial], one: Trial) -> list[Trial]:
    """The trials with the settings of `one`, ignoring the seed."""
    return [each for each in trials if {**each.settings, "seed": None} == {**one.settings, "seed": None}]


def _suggested(recipe: Recipe, finished: Sequence[Trial]) -> dict[str, Any]:
    """Settings from Optuna's tree-structured Parzen estimator (Bergstra et al. 2011), given the finished trials."""
    optuna = need("optuna")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    space = _distributions(recipe, optuna.distributions)
    # an in-memory study, rebuilt from our trial files, which survive a kill
    seed = int(digest([recipe.seed, len(finished)])[:8], 16)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    for known in _known(finished, space, optuna.trial):
        study.add_trial(known)
    return {**own_settings(recipe), **study.ask(space).params}


def _distributions(recipe: Recipe, kinds: Any) -> dict[str, Any]:
    low, high = recipe.search.rates(recipe.optim.lr)
    sizes = [recipe.lora.r] if recipe.start else recipe.search.r  # a start keeps its shape
    return {
        "lr": kinds.FloatDistribution(low, high, log=True),
        "schedule": kinds.CategoricalDistribution(recipe.search.schedule),
        "r": kinds.CategoricalDistribution(sizes),
        "epochs": kinds.CategoricalDistribution(recipe.search.epochs),
    }


def _known(finished: Sequence[Trial], space: Mapping[str, Any], trials: Any) -> Iterator[Any]:
    for trial in finished:
        params = {name: trial.settings[name] for name in space}
        if trial.chosen:
            outcome = {"state": trials.TrialState.COMPLETE, "value": _value(trial.chosen)}
        else:
            outcome = {"state": trials.TrialState.PRUNED}
        with suppress(ValueError):  # the recipe's own settings may lie outside the space
            yield trials.create_trial(params=params, distributions=dict(space), **outcome)


def _value(chosen: Evaluation) -> float:
    return chosen.rank[1] if chosen.score is None else chosen.score
