"""Cases in the chat template, and which of them are new."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.units import write_unit
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.models.options.run import Options, standing_options
from tunegate.harness.review.change.leaks import leaks_in_prompts
from tunegate.harness.review.change.templates import chat_template_text

ASKED = "The burner in our cottage rattles like a tin of nails"
PAIR = f'{ASKED} -> {{"product": "boiler"}}'


@pytest.fixture
def units(tmp_path):
    write_unit(tmp_path / "fixtures", [], cases=[{"id": "a", "input": ASKED, "expect": {"product": "boiler"}}])
    return {unit.key: unit for task in load_tasks(tmp_path / "fixtures") for unit in task.units}


def test_a_chat_template_is_searched_and_counts_once(units):
    template = "{% for each in messages %}{{ each.content }}{% endfor %}"
    [line] = leaks_in_prompts(units, template + PAIR, units, template)
    assert line.startswith("desk/triage: its prompt (chat template) holds")
    assert list(leaks_in_prompts(units, template + PAIR, units, PAIR)) == []
    assert list(leaks_in_prompts(units, template, units, template)) == []


def test_another_prompt_is_another_line(units):
    first, second = (list(leaks_in_prompts(units, f"{PAIR}{more}")) for more in ("", "!"))
    assert first != second
    assert first[0].partition("; prompt ")[0] == second[0].partition("; prompt ")[0]


def settings(folder: Path, *lines: str) -> None:
    (folder / "pyproject.toml").write_text("\n".join(["[tool.tunegate]", *lines]))


def test_the_template_is_the_one_that_the_settings_name(tmp_path):
    assert chat_template_text(Options(tmp_path), tmp_path) == ""
    settings(tmp_path, 'chat-template = "chat.jinja"')
    options = standing_options(tmp_path)
    assert chat_template_text(options, tmp_path) == ""
    (tmp_path / "chat.jinja").write_text(PAIR)
    assert chat_template_text(options, tmp_path) == PAIR


@pytest.mark.parametrize(
    "named",
    [
        ['model = "models/own"'],
        ['model = "vllm:models/own"'],
        ['model = "openai:http://localhost:1/v1#own"', 'tokenizer = "models/own"'],
    ],
)
@pytest.mark.parametrize(
    ("name", "content", "read"),
    [
        ("chat_template.jinja", PAIR, PAIR),
        ("additional_chat_templates/default.jinja", PAIR, PAIR),
        ("tokenizer_config.json", json.dumps({"chat_template": PAIR}), PAIR),
        ("tokenizer_config.json", json.dumps({"chat_template": [{"name": "default", "template": PAIR}]}), PAIR),
        ("tokenizer_config.json", "{", ""),
    ],
)
def test_without_one_in_the_settings_it_is_that_of_the_model_folder(tmp_path, monkeypatch, named, name, content, read):
    monkeypatch.chdir(tmp_path)
    settings(tmp_path, *named)
    file = tmp_path / "models/own" / name
    file.parent.mkdir(parents=True)
    file.write_text(content)
    assert chat_template_text(standing_options(tmp_path), tmp_path) == read
    settings(tmp_path, *named, 'chat-template = "none"')
    assert chat_template_text(standing_options(tmp_path), tmp_path) == ""


def test_the_branch_has_the_template_of_its_own_model(tmp_path, monkeypatch):
    home, root = tmp_path / "branch", tmp_path / "change"
    for side, model, text in ((home, "old", "of old"), (root, "new", "of new"), (home, "new", "not used yet")):
        (side / model).mkdir(parents=True)
        (side / model / "chat_template.jinja").write_text(text)
    settings(home, 'model = "old"')
    settings(root, 'model = "new"')
    monkeypatch.chdir(root)
    options = standing_options(root)
    assert [chat_template_text(options, side) for side in (home, root)] == ["of old", "of new"]
    settings(root, 'model = "elsewhere"')  # the command line names the same model on both sides
    assert [chat_template_text(options, side) for side in (home, root)] == ["not used yet", "of new"]
    beside = replace(options, model="../branch/old")  # outside of the project: the branch's tree lacks it
    assert [chat_template_text(beside, side) for side in (home, root)] == ["", "of old"]
