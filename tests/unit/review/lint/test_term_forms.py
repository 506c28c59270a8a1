"""Lint proposes the forms that a terms file lacks, with the place where each stands."""

from __future__ import annotations

import json

import pytest

from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.cases.snapshot import traffic_in
from tunegate.harness.review.lint.project import lint_project
from tunegate.harness.review.lint.term_forms import proposed_forms

TERMS = """\
version: 1
language: de
terms:
  - id: outdoor
    preferred: Außengerät
    banned: [Außenhaube]
"""
CASES = """\
version: 1
suite: vocabulary
unit: wording
check: {terms: refs/terms.yaml}
cases:
  - id: a
    input: Die Außengeräte brummen.
    expect: {terms: [outdoor]}
"""


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A project with a unit of terms, in the working directory."""
    monkeypatch.chdir(tmp_path)
    refs = tmp_path / "fixtures" / "desk" / "refs"
    refs.mkdir(parents=True)
    (refs / "terms.yaml").write_text(TERMS)
    (refs.parent / "wording.yaml").write_text(CASES)
    return tmp_path


def notes(root):
    return [str(each) for each in proposed_forms(load_tasks(root / "fixtures"), root)]


def test_the_form_of_an_input_is_proposed_with_its_place(root):
    found = lint_project(root, None, root / "fixtures", root / "baselines")

    (note,) = map(str, found.proposals)
    assert note == (
        "fixtures/desk/refs/terms.yaml:5: note: 'outdoor' may lack \"Außengeräte\" (fixtures/desk/wording.yaml:6); "
        "add to forms: what counts"
    )
    assert found.as_dict()["proposals"][0]["line"] == 5
    assert not any("may lack" in each.text for each in found.warnings)


def test_a_listed_form_is_proposed_no_more(root):
    terms = root / "fixtures" / "desk" / "refs" / "terms.yaml"
    terms.write_text(TERMS + "    forms: [Außengeräte]\n")

    assert notes(root) == []


def test_forms_of_banned_variants_are_found_in_rows_and_in_traffic_that_is_given(root):
    (root / "recipes").mkdir()
    (root / "recipes" / "desk.yaml").write_text("rows: [rows.jsonl, missing.jsonl, hub:a/b]\n")
    (root / "recipes" / "rows.jsonl").write_text(json.dumps({"input": "x", "output": "Zwei Außenhauben"}) + "\n")
    (root / "kept").mkdir()
    (root / "kept" / "a.jsonl").write_text(json.dumps({"input": [{"user": "der Außenhauben-Deckel"}]}) + "\n")

    with traffic_in(root / "kept"):
        (_, banned) = notes(root)

    seen = '"Außenhauben" (recipes/rows.jsonl:1), "Außenhauben-Deckel" (kept/a.jsonl:1)'
    assert f"may lack {seen}; add to banned: what counts" in banned
    assert "Außenhauben-Deckel" not in "".join(notes(root))
