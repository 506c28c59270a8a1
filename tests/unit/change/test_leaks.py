"""Cases in the chat template, and which of them are new."""

from __future__ import annotations

import pytest

from tests.support.units import write_unit
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.change.leaks import chat_template_text, leaks_in_prompts

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


def test_the_template_is_the_one_that_the_settings_name(tmp_path):
    assert chat_template_text(tmp_path) == ""
    (tmp_path / "pyproject.toml").write_text('[tool.tunegate]\nchat-template = "chat.jinja"\n')
    assert chat_template_text(tmp_path) == ""
    (tmp_path / "chat.jinja").write_text(PAIR)
    assert chat_template_text(tmp_path) == PAIR
