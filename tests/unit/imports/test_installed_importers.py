"""An importer of an installed package: it sees a file that none of ours knows, and is tried after them."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack

import pytest

from tests.support.packages import installed
from tunegate.harness.core.errors import Refused, Unreadable
from tunegate.harness.imports.recognise import import_source, is_foreign
from tunegate.harness.imports.write import write_import

QUIZ = """
from tunegate import AskedPrompt, Imported, ImportedCase, Importer, Refused, Tally


def is_quiz(file):
    return isinstance(file.first, dict) and "question" in file.first


def read_quiz(file):
    if file.first["question"] == "":
        raise Refused("question: expected a text, found none")
    tally = Tally()
    cases = [ImportedCase(AskedPrompt(None, (), row["question"]), equals=(row["answer"],)) for row in file.rows]
    tally.taken["question"] += len(cases)
    return Imported("quiz", file.path, cases, tally)


IMPORTER = Importer(is_quiz, read_quiz)
GREEDY = Importer(lambda file: True, read_quiz)
A_VALUE = 5
"""
ROWS = [{"question": "Two and two?", "answer": "4"}, {"question": "Three and three?", "answer": "6"}]
GOLDEN = [{"input": "Hi", "expected_output": "Hello"}]


@pytest.fixture
def package(tmp_path_factory, monkeypatch):
    with ExitStack() as stack:
        yield lambda site=None, **entries: stack.enter_context(
            installed(site or tmp_path_factory.mktemp("site"), QUIZ, monkeypatch, importers=entries)
        )


@pytest.fixture
def quiz(tmp_path):
    path = tmp_path / "quiz.json"
    path.write_text(json.dumps(ROWS))
    return path


def test_its_cases_become_fixtures(package, quiz, tmp_path):
    package(quiz="tone_code:IMPORTER")

    assert is_foreign(quiz)
    imported = import_source(quiz)
    assert (imported.tool, [case.asked.text for case in imported.cases]) == ("quiz", [row["question"] for row in ROWS])
    written = write_import(imported, None, tmp_path, tmp_path / "fixtures")
    assert written.lines[0].endswith("quiz.json is a file of quiz")


def test_without_it_the_file_is_of_no_known_tool(quiz):
    assert not is_foreign(quiz)
    with pytest.raises(Unreadable, match="found one with the keys question, answer"):
        import_source(quiz)


def test_ours_read_what_they_know(package, tmp_path):
    package(greedy="tone_code:GREEDY")
    path = tmp_path / "goldens.json"
    path.write_text(json.dumps(GOLDEN))

    assert import_source(path, "exact").tool == "deepeval"
    assert "tone_code" not in sys.modules


def test_its_errors_begin_with_the_file(package, tmp_path):
    package(quiz="tone_code:IMPORTER")
    path = tmp_path / "quiz.json"
    path.write_text(json.dumps([{"question": ""}]))

    with pytest.raises(Refused, match=r"quiz\.json: question: expected a text, found none"):
        import_source(path)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("tone_code:A_VALUE", "expected an Importer, found int"),
        ("tone_code:gone", "expected code that can be loaded, found AttributeError"),
    ],
)
def test_what_is_no_importer_is_refused_with_its_entry_point(package, quiz, value, told):
    package(quiz=value)

    with pytest.raises(Refused) as caught:
        import_source(quiz)
    assert str(caught.value).startswith(f"entry point tunegate.importers: quiz = {value}: {told}")


def test_code_of_the_checkout_is_not_run(package, quiz, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    package(tmp_path / "site", quiz="tone_code:IMPORTER")

    with pytest.raises(Refused, match="which a change of this checkout edits"):
        import_source(quiz)
    assert "tone_code" not in sys.modules
