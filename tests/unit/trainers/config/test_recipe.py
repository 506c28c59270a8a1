from __future__ import annotations

import re

import pytest

from tests.support.paths import ROOT
from tunegate.harness.core.errors import AuthoringError
from tunegate.trainers.config.recipe import RECIPE_SCHEMA, read_recipe
from tunegate.trainers.config.sections import Decontaminate, Lora, Optim

SHORT = "version: 1\ntask: desk\nrows: [rows.jsonl]\noutput: out/desk\n"


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Writes a recipe beside a rows file, in the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.jsonl").write_text("")

    def write(text):
        path = tmp_path / "recipe.yaml"
        path.write_text(text)
        return path

    return write


def mistakes(path):
    with pytest.raises(AuthoringError) as refused:
        read_recipe(path)
    return [str(problem) for problem in refused.value.problems]


def test_a_short_recipe_has_the_documented_defaults(write, tmp_path):
    recipe = read_recipe(write(SHORT))

    assert (recipe.task, recipe.model, recipe.method, recipe.seed) == ("desk", "smollm2", "sft", 0)
    assert (recipe.lora, recipe.optim) == (
        Lora(16, 32, 0.0, "all-linear"),
        Optim(2e-4, 3, 8, 0.0, 0.05, "cosine", 1024),
    )
    assert recipe.decontaminate == Decontaminate("drop", "split")
    assert recipe.rows == (tmp_path / "rows.jsonl",)
    assert recipe.output == tmp_path / "out/desk"


def test_an_output_on_the_command_line_wins(write, tmp_path):
    assert read_recipe(write(SHORT), tmp_path / "elsewhere").output == tmp_path / "elsewhere"


def test_a_learning_rate_is_a_number_however_it_is_written(write):
    for rate in ["5e-4", "5E-4", "0.0005", "5.0e-4"]:
        assert read_recipe(write(f"{SHORT}optim: {{lr: {rate}}}\n")).optim.lr == 0.0005


def test_a_whole_number_may_be_written_with_a_point(write):
    text = "lora: {r: 16.0}\noptim: {batch: 8.0, epochs: 3.0}\nsearch: {r: [4.0]}\nseed: 7.0\n"
    recipe = read_recipe(write(SHORT + text))

    found = (recipe.lora.r, recipe.optim.batch, recipe.search.r[0], recipe.seed, recipe.optim.epochs)
    assert [repr(each) for each in found] == ["16", "8", "4", "7", "3.0"]


def test_the_effective_recipe_names_every_value_and_no_path(write, tmp_path):
    effective = read_recipe(write(f"{SHORT}lora: {{r: 4, target: [q_proj]}}\n")).effective()

    assert effective["lora"] == {
        "r": 4, "alpha": 32, "dropout": 0.0, "target": ["q_proj"], "rslora": False, "dora": False,
    }  # fmt: skip
    assert set(effective) == {
        "task", "model", "format", "failing_rows", "private_data", "memorization", "diagnosis", "decontaminate",
        "start", "method", "lora", "optim", "seed",
    }  # fmt: skip
    assert str(tmp_path) not in str(effective)


def test_what_only_dpo_has_is_named_only_there(write):
    recipe = read_recipe(write(f"{SHORT}method: dpo\n"))

    assert recipe.effective()["dpo"] == {"beta": 0.1}


def test_a_mistake_is_named_with_its_line(write):
    for line, said in [
        ("sed: 7", "recipe.yaml:5: sed: expected one of the keys"),
        ("seed: -1", "recipe.yaml:5: seed: expected a whole number from 0 to 2147483647, found -1"),
        ("seed: 4294967296", "recipe.yaml:5: seed: expected a whole number from 0 to 2147483647, found 4294967296"),
        ("method: ppo", "recipe.yaml:5: method: expected one of sft, dpo, kto, found 'ppo'; did you mean 'dpo'?"),
        ("dpo: {beta: 0.2}", "recipe.yaml:5: dpo: expected method: dpo with it, found 'sft'; delete it"),
        ("method: dpo\ndpo: {beta: 0}", "recipe.yaml:6: dpo.beta: expected a number above 0, found 0"),
        ("method: dpo\ndpo: {loss: ipo}", "recipe.yaml:6: dpo.loss: expected one of the keys beta, found 'loss'"),
        ("method: dpo\nlora: {dropout: 0.1}", "recipe.yaml:6: lora.dropout: expected none with method: dpo, found 0.1"),
        ("start: out/first\nlora: {r: 4}", "recipe.yaml:6: lora: expected no lora with start, found both"),
        (
            "lora: {rank: 8}",
            "recipe.yaml:5: lora.rank: expected one of the keys alpha, dora, dropout, r, rslora, target, found 'rank'",
        ),
        (
            "failing_rows: ignore",
            'recipe.yaml:5: failing_rows: expected refuse, drop, or {override: "the reason"}, found',
        ),
        ("failing_rows: {override: ' '}", "recipe.yaml:5: failing_rows: expected refuse, drop, or {override:"),
        (
            "decontaminate: {refuse: keep}",
            "recipe.yaml:5: decontaminate.refuse: expected one of drop, refuse, found 'keep'",
        ),
        (
            "decontaminate: {review: refuse}",
            "recipe.yaml:5: decontaminate.review: expected one of split, drop, ask, found 'refuse'",
        ),
        ("decontaminate: drop", "recipe.yaml:5: decontaminate: expected a mapping, found 'drop'"),
        ("lora: {r: 0}", "recipe.yaml:5: lora.r: expected a whole number from 1, found 0"),
        ("lora: {target: all-linaer}", "recipe.yaml:5: lora.target: expected all-linear, or a list of modules, found"),
        ("lora: {target: []}", "recipe.yaml:5: lora.target: expected all-linear, or a list of modules, found []"),
        ("optim: {lr: fast}", "recipe.yaml:5: optim.lr: expected a number above 0, at most 1, found 'fast'"),
        ("optim: {lr: 5}", "recipe.yaml:5: optim.lr: expected a number above 0, at most 1, found 5"),
        ("optim:\n  epochs: 0", "recipe.yaml:6: optim.epochs: expected a number above 0, found 0"),
        ("optim:\n  epochs: .inf", "recipe.yaml:6: optim.epochs: expected a finite number, found inf"),
        ("optim: {warmup: 1}", "recipe.yaml:5: optim.warmup: expected a number from 0, below 1, found 1"),
        (
            "lora: {dev: 0.1}",
            "recipe.yaml:5: lora.dev: expected one of the keys alpha, dora, dropout, r, rslora, target, found 'dev'",
        ),
        ("task: again", "recipe.yaml:5: expected each key once, found 'task' again (first on line 2)"),
    ]:
        (mistake,) = mistakes(write(f"{SHORT}{line}\n"))

        assert mistake.startswith(said)


def test_all_mistakes_are_told_at_once(write):
    told = mistakes(write("version: 2\ntask: desk\nrows: []\nseed: x\n"))

    assert [line.split(" expected ")[0] for line in told] == [
        "recipe.yaml:1:", "recipe.yaml:1: version:", "recipe.yaml:3: rows:", "recipe.yaml:4: seed:",
    ]  # fmt: skip
    assert "expected the key 'output'" in told[0]


def test_a_missing_rows_file_is_named_where_the_recipe_names_it(write, tmp_path):
    (mistake,) = mistakes(write("version: 1\ntask: desk\noutput: out\nrows:\n  - rows.jsonl\n  - more.jsonl\n"))

    assert mistake.startswith("recipe.yaml:6: rows[1]: expected a file of rows, relative to the recipe, found")
    assert str(tmp_path / "more.jsonl") in mistake


def test_a_path_with_a_null_character_is_named(write):
    path = r'"a\0b"'
    said = mistakes(write(f"version: 1\ntask: desk\nmodel: {path}\nrows: [{path}]\nstart: {path}\noutput: {path}\n"))

    expected = "expected text that is not empty, without null characters, found 'a\\x00b'"
    places = ["3: model", "4: rows[0]", "5: start", "6: output"]
    assert said == [f"recipe.yaml:{place}: {expected}" for place in places]


@pytest.mark.parametrize("text", ["", "- a\n", "task: [\n"])
def test_what_is_no_recipe_is_refused(write, text):
    assert mistakes(write(text))[0].startswith("recipe.yaml:")


def test_a_missing_recipe_is_refused(tmp_path):
    assert mistakes(tmp_path / "none.yaml")[0].endswith("expected a file, found nothing there")


def keys(shape):
    """Every key of a shape, of a group its members."""
    return {
        leaf for name, rule in shape["properties"].items()
        for leaf in (keys(rule) if "properties" in rule else {name})
    }  # fmt: skip


def test_the_guides_recipe_has_every_key_with_its_default(write):
    guide = (ROOT / "docs/training.md").read_text().partition("## Recipe reference")[2]
    text = re.findall(r"```yaml\n(.*?)```", guide, re.DOTALL)[0]
    recipe = text.replace("rows/triage.jsonl", "rows.jsonl")

    assert {*re.findall(r"^[ #]*(\w+):[ \n]", text, re.MULTILINE)} >= keys(RECIPE_SCHEMA)
    assert read_recipe(write(recipe)).effective() == read_recipe(write(SHORT.replace("desk", "support"))).effective()
    assert read_recipe(write(recipe)).search == read_recipe(write(SHORT)).search
