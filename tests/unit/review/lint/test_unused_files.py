from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.units import write_unit
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.cases.model import Judge, LabelSource
from tunegate.harness.core.errors import show_path
from tunegate.harness.review.lint.rules import unused_files


@pytest.fixture
def told(tmp_path, monkeypatch):
    """What is said of files beside those of a small task, by name."""
    monkeypatch.chdir(tmp_path)
    write_unit(tmp_path / "fixtures", ["a"])

    def tell(**files: str):
        folder = tmp_path / "fixtures" / "desk"
        for name, text in files.items():
            path = folder / name.replace("__", "/").replace("_dot_", ".")
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        (task,) = load_tasks(tmp_path / "fixtures")
        return {
            show_path(warning.file).removeprefix("fixtures/desk/"): warning.text
            for warning in unused_files(folder, task)
        }

    return tell


def test_a_clean_folder_has_none(told):
    assert told() == {}


def test_a_copy_is_to_be_deleted(told):
    assert told(triage_dot_yml_dot_bak="x") == {"triage.yml.bak": "nothing reads this file; delete the copy"}


def test_a_fixture_file_in_a_folder_below_is_to_be_moved(told):
    assert told(refs__more_dot_yaml="version: 1\nsuite: schema\n") == {
        "refs/more.yaml": "nothing reads this file; fixture files stand in fixtures/desk itself: move it there"
    }


def test_references_that_no_check_names_are_told(told):
    expected = "nothing reads this file; name it in a check, or delete it"

    assert told(refs__old_dot_json="{}", refs__torn_dot_yaml="a: [") == {
        "refs/old.json": expected,
        "refs/torn.yaml": expected,
    }


def test_cases_in_another_format_are_told(told):
    assert list(told(cases_dot_jsonl="{}")) == ["cases.jsonl"]


def test_notes_hidden_files_and_the_policy_are_not_unused(told):
    policy = "version: 1\nunits:\n  triage: {role: guard, reason: r}\n"

    assert told(README_dot_md="Notes.", _dot_DS_Store="x", refs___draft_dot_yaml="a: 1", task_dot_yaml=policy) == {}


def test_labels_and_what_a_judge_says_of_them_are_not_unused(tmp_path):
    write_unit(tmp_path, ["a"])
    (task,), folder = load_tasks(tmp_path), tmp_path / "desk"
    source = LabelSource(folder / "triage.labels.jsonl", 40, Judge("replay:judge", "Is it right?"))
    for path in source.files:
        path.write_text("")
    labelled = replace(task, units=tuple(replace(unit, labels=source) for unit in task.units))

    assert len(list(unused_files(folder, task))) == 2
    assert list(unused_files(folder, labelled)) == []
