"""The benchmark of many adapters, on the tiny model with adapters that nobody trained."""

from __future__ import annotations

import shutil

import pytest

from benchmarks import many_adapters
from benchmarks.frame import Usage
from benchmarks.many_adapters import Outcome, Scored, broken, record, report, score, write_project
from tunegate.harness.core.progress import quiet
from tunegate.trainers.config.recipe import read_recipe

USED = Usage(10.0, 20.0, 900.0)


@pytest.fixture(scope="module")
def judged(tmp_path_factory, tiny_model, make_adapter):
    folder = tmp_path_factory.mktemp("many")
    names = write_project(folder, str(tiny_model), 2, 2)
    for name in names:
        shutil.copytree(make_adapter(name), folder / name)
    record(folder, tiny_model, str(tiny_model), quiet())
    return score(folder, tiny_model, str(tiny_model), names, quiet())


def outcome(*apart: str, loads: int = 1) -> Outcome:
    """Two adapters that answered "a" and "b" together, and `apart` by themselves."""
    together = Scored(USED, loads, {"adapter-01": {"t/u/x": "a"}, "adapter-02": {"t/u/x": "b"}})
    alone = [Scored(USED, 1, {f"adapter-0{at}": {"t/u/x": said}}) for at, said in enumerate(apart, 1)]
    return Outcome(1, USED, together, alone, 2, [20.0, 20.0], 500.0, "the board")


def test_one_run_loads_the_base_once_and_answers_as_many_runs_do(judged):
    together, leaderboard, apart = judged

    assert together.loads == 1
    assert [run.loads for run in apart] == [1, 1]  # were they served what the first kept, none would load it
    alone = {name: outputs for run in apart for name, outputs in run.outputs.items()}
    assert alone == together.outputs
    assert [len(outputs) for outputs in together.outputs.values()] == [2, 2]
    assert leaderboard.splitlines()[-1].startswith("2 adapters of ")
    assert sum(line.startswith("adapter-0") for line in leaderboard.splitlines()) == 2


def test_rows_and_seeds_differ_from_adapter_to_adapter(judged, tmp_path):
    names = write_project(tmp_path, "smollm2", 3, 2)

    recipes = [read_recipe(tmp_path / f"{name}.yaml") for name in names]

    assert len({recipe.seed for recipe in recipes}) == 3
    rows = [recipe.rows[0].read_text().splitlines() for recipe in recipes]
    assert len({row for each in rows for row in each}) == 3 * many_adapters.STEPS * many_adapters.BATCH


def test_an_output_that_differs_or_a_base_loaded_again_breaks_the_promise():
    assert list(broken(outcome("a", "b"))) == []
    assert list(broken(outcome("a", "c"))) == ["1 outputs differ: adapter-02 on t/u/x"]
    assert list(broken(outcome("a", "b", loads=2))) == ["the run of all loaded the base 2 times"]
    assert list(broken(outcome("a", "b", loads=0))) == ["the run of all loaded the base 0 times"]


def test_the_report_says_what_was_found():
    said = report(outcome("a", "c"), "made so.")

    assert "- 2 adapters scored on 1 cases in one run: the base was loaded once. An adapter took 5.0 s" in said
    assert "- 1 of 2 outputs are the same in both" in said
    assert "- 2 adapters weigh 40 MB, 20.0 MB each at most; as many full copies of the base would weigh 1,000" in said
    assert "| each by itself | 2 | 2 | 2 | 20 | 10.0 | 40 | 900 |" in said
    assert "```\nthe board\n```" in said
