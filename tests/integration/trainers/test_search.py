"""A search on the tiny model: its trials are kept through a kill, counted, and open no fixture."""

from __future__ import annotations

import json
import shutil
import sys

import pytest

from tests.support.killed import TRAIN, Killed, same
from tests.support.training import RECIPE, Place
from tunegate.harness.history.ledger.store import read_ledger
from tunegate.harness.models.adapters import adapter_digest, training_record

SEARCH = {"lr": [1e-2, 1e-1], "r": [2, 4], "epochs": [1, 2], "seeds": 1}
TRIALS = TRAIN.replace("'recipe.yaml'", "'recipe.yaml', '--trials=4'")
#: Kills itself before the third trial is kept, when its adapter is there.
BEFORE_THE_THIRD = f"""
import os, signal, tunegate.trainers.search as search
write = search.write_trial
def die(folder, trial):
    if trial.number == 3: os.kill(os.getpid(), signal.SIGKILL)
    write(folder, trial)
search.write_trial = die
{TRIALS}
"""
opened: list[str] = []
is_listening = False


def listen(event: str, arguments: tuple) -> None:
    if is_listening and event == "open":
        opened.append(str(arguments[0]))


def prepare(place: Place) -> None:
    place.recipe(optim={**RECIPE["optim"], "epochs": 2, "validation_split": 0.2}, search=SEARCH)


@pytest.fixture(scope="module")
def searched(recorded, tmp_path_factory) -> Killed:
    """A place that a search was made in, which nobody killed, and what it said."""
    place = Killed(shutil.copytree(recorded.path, tmp_path_factory.mktemp("searched") / "place"))
    prepare(place)
    process = place.start(TRIALS)
    said, errors = process.communicate()
    assert process.returncode == 0, said + errors
    (place.path / "said.txt").write_text(said)
    return place


@pytest.fixture
def place(recorded, tmp_path, monkeypatch) -> Killed:
    shutil.copytree(recorded.path, tmp_path / "place")
    place = Killed(tmp_path / "place")
    prepare(place)
    monkeypatch.chdir(place.path)
    return place


def record(place: Place) -> dict:
    return json.loads(place.read("adapter/training.json"))


def without_seconds(trials: list[dict]) -> list[dict]:
    return [{**trial, "seconds": 0} for trial in trials]


def test_the_best_settings_are_trained_on_all_rows_and_the_record_tells_of_every_trial(searched):
    found = record(searched)
    search, each = found["search"], found["search"]["each"]
    said = searched.read("said.txt")

    assert training_record(searched.path / "adapter") == found  # by the published schema
    assert [trial["trial"] for trial in each] == [1, 2, 3, 4]
    assert [trial["seed"] for trial in each] == [3, 3, 3, 4]
    kept = each[search["chosen"] - 1]
    assert (kept["score"], -kept["loss"]) == max((trial["score"], -trial["loss"]) for trial in each)
    assert (found["recipe"]["seed"], found["recipe"]["lora"]["r"]) == (kept["seed"], kept["r"])
    assert found["recipe"]["optim"]["lr"] == kept["lr"]
    assert said.count("trial 1 of 4: ") == 2
    assert "minutes left\n" in said
    assert f"trial {kept['trial']} of 4 is the best" in said
    assert "training the chosen settings on all 22 rows" in said
    assert (found["validation"], "validation" in found["training"]) == ({"rows": 0, "units": {}}, False)
    assert found["recipe"]["optim"]["validation_split"] == 0
    assert found["recipe"]["optim"]["epochs"] <= kept["epochs"]  # as many as its best checkpoint had seen
    assert search["why"] in said
    assert found["seeds"]["note"] in said
    assert not (searched.path / ".adapter.search").exists()


def test_the_seeds_of_the_best_settings_are_told_with_their_spread(searched):
    found = record(searched)["seeds"]
    if len(found["tried"]) == 1:  # the seeds were spent on settings that were overtaken
        assert found["note"].startswith("one seed is not a measurement")
    else:
        low, high = min(found["values"]), max(found["values"])
        assert found["note"].startswith(
            f"{len(found['tried'])} seeds with the same settings gave scores from {low:.3f} to {high:.3f}"
        )


def test_the_ledger_counts_the_trials(searched):
    [event] = read_ledger(searched.path / "baselines").of("desk", "searched")

    assert event.trials == 4
    assert event.subject["adapter"] == adapter_digest(searched.path / "adapter")


def test_a_search_that_was_killed_goes_on_to_the_same_adapter(searched, place):
    process = place.start(BEFORE_THE_THIRD)
    process.communicate()
    assert process.returncode == -9
    kept = sorted((place.path / ".adapter.search/trials").iterdir())
    assert [path.name for path in kept] == ["1.json", "2.json"]
    assert not (place.path / "adapter").exists()

    process = place.start(TRIALS)
    said, errors = process.communicate()

    assert process.returncode == 0, errors
    assert "finished trials found: 2\n" in said
    assert "trial 2 of 4" not in said
    assert same(place.path / "adapter", searched.path / "adapter")
    assert without_seconds(record(place)["search"]["each"]) == without_seconds(record(searched)["search"]["each"])
    assert len(read_ledger(place.path / "baselines").of("desk", "searched")) == 1


def test_no_trial_opens_a_fixture(place, monkeypatch):
    from tunegate.trainers import search

    def listening(*arguments, **more):
        global is_listening
        shutil.rmtree(place.path / "fixtures")  # what is gone cannot be read
        is_listening = True
        try:
            return genuine(*arguments, **more)
        finally:
            is_listening = False

    genuine = search.search_adapter
    monkeypatch.setattr(search, "search_adapter", listening)
    opened.clear()
    sys.addaudithook(listen)

    done = place.train("--trials=2")

    assert done.exit_code == 0, done.output
    assert any("trials" in path for path in opened)  # it listened
    assert not [path for path in opened if path.startswith(("fixtures", str(place.path / "fixtures")))]


def test_a_search_of_nothing_but_seeds_is_refused(place):
    place.recipe(search={"seeds": 2})

    done = place.train("--trials=2")

    assert done.exit_code == 4
    assert "search.seeds: expected fewer than --trials 2" in done.output


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"search": {**SEARCH, "refit": False}}, "search.refit: false"),
        ({"stop": {"kl": 9}}, "nothing holds to stop.kl"),
    ],
)
def test_the_best_trial_is_the_adapter_where_nothing_is_trained_again(place, more, why):
    place.recipe(**more)

    done = place.train("--trials=2")

    found = record(place)
    assert done.exit_code == 0, done.output
    assert (why in done.output, why in found["search"]["why"]) == (True, True)
    assert (found["validation"]["rows"], "on all" in done.output) == (4, False)


def test_without_optuna_nothing_is_begun(place, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)

    done = place.train("--trials=2")

    assert done.exit_code == 3
    assert "expected optuna, found none; run: pip install 'tunegate[search]'" in done.output
    assert not (place.path / ".adapter.search").exists()


def test_a_trial_that_goes_too_far_from_the_base_is_refused_and_where_all_do_so_is_the_search(place):
    recipe = json.loads(place.read("recipe.yaml"))
    place.recipe(
        stop={"kl": 1e-6}, optim={**recipe["optim"], "epochs": 1}, search={**SEARCH, "epochs": [1], "seeds": 0}
    )

    done = place.train("--trials=2")

    assert done.exit_code == 4
    assert done.output.count("stop.kl: expected an evaluation with a KL divergence from the base") == 3
    assert "search: expected a trial that ends with an adapter, found none" in done.output
    assert not (place.path / "adapter").exists()
