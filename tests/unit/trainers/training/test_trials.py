"""Which settings a search tries next, and what it keeps of those it tried."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tunegate.harness.core.errors import Refused
from tunegate.trainers.config.recipe import Recipe
from tunegate.trainers.config.search_space import SearchSpace
from tunegate.trainers.config.sections import Lora
from tunegate.trainers.training.trials import (
    Trial,
    best_trial,
    next_settings,
    own_settings,
    read_trials,
    with_settings,
    write_trial,
)

RECIPE = Recipe(Path("recipe.yaml"), "desk", (), Path("out"), lora=Lora(r=4, alpha=8), seed=3)


def trial(number: int, settings: dict, score: float) -> Trial:
    evaluation = {"step": 5, "loss": 1.0, "score": score, "kl": 0.1}
    return Trial(number, settings, {"validation": [evaluation], "best_step": 5, "seconds": 60.0})


def tried(count: int, trials: int, recipe: Recipe = RECIPE) -> list[Trial]:
    """So many of the trials of a search, the second of which is the best."""
    found: list[Trial] = []
    for number in range(1, count + 1):
        found.append(trial(number, next_settings(recipe, found, trials), 0.9 if number == 2 else 0.1 * number))
    return found


def test_the_recipe_comes_first_then_others_then_the_best_with_further_seeds():
    found = [each.settings for each in tried(6, trials=6)]

    assert found[0] == own_settings(RECIPE) == {"lr": 2e-4, "schedule": "cosine", "r": 4, "epochs": 3, "seed": 3}
    assert [each["seed"] for each in found] == [3, 3, 3, 3, 4, 5]
    assert found[4] == {**found[1], "seed": 4}
    assert len({json.dumps(each) for each in found}) == 6
    for each in found[1:]:
        assert 1e-4 <= each["lr"] <= 8e-4
        assert (each["schedule"] in ("cosine", "linear", "constant"), each["r"] in (8, 16, 32)) == (True, True)


def test_the_same_trials_are_followed_by_the_same_one_and_more_trials_go_on_from_fewer():
    assert next_settings(RECIPE, tried(3, 6), 6) == next_settings(RECIPE, tried(3, 6), 6)
    assert [each.settings for each in tried(8, trials=9)[:4]] == [each.settings for each in tried(4, trials=6)]


def test_a_recipe_says_what_is_tried():
    space = SearchSpace(lr=(1e-3, 2e-3), schedule=("linear",), r=(2,), epochs=(5,), seeds=0)

    found = tried(4, 4, replace(RECIPE, search=space))

    assert all(1e-3 <= each.settings["lr"] <= 2e-3 for each in found[1:])
    assert all({**each.settings, "lr": 0} == {"lr": 0, "schedule": "linear", "r": 2, "epochs": 5, "seed": 3}
               for each in found[1:])  # fmt: skip


def test_a_trial_s_settings_keep_the_scale_of_the_adapter():
    made = with_settings(RECIPE, {"lr": 1e-3, "schedule": "linear", "r": 16, "epochs": 1, "seed": 8})

    assert (made.lora.r, made.lora.alpha, made.seed) == (16, 32, 8)
    assert (made.optim.lr, made.optim.schedule, made.optim.epochs) == (1e-3, "linear", 1)


def test_where_all_were_refused_there_is_no_best_one():
    refused = Trial(1, own_settings(RECIPE), refused="it diverged")
    only = replace(RECIPE, search=SearchSpace(seeds=1))

    assert best_trial([refused]) is None
    with pytest.raises(Refused, match="expected a trial that ends with an adapter, found none: it diverged"):
        next_settings(only, [refused], 2)


def test_a_trial_is_kept_as_it_was_and_an_edit_is_refused(tmp_path):
    kept = [*tried(2, 6), Trial(3, own_settings(RECIPE), refused="it diverged")]
    for each in kept:
        write_trial(tmp_path, each)

    assert read_trials(tmp_path) == kept

    text = (tmp_path / "2.json").read_text()
    (tmp_path / "2.json").write_text(text.replace("0.9", "1.0"))
    with pytest.raises(Refused, match=r"2\.json: expected an unedited trial, found an edited one"):
        read_trials(tmp_path)
