"""Kinds of check that do not ship: of the project's own file, of an installed package."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tunegate.harness.cases.json_schemas import fixture_schema
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.checks.installed import GROUP
from tunegate.harness.checks.registry import project_kinds
from tunegate.harness.core.entry_points import entries_of
from tunegate.harness.core.errors import AuthoringError, Refused

BREVITY = """
from __future__ import annotations

from dataclasses import dataclass

from tunegate import CheckKind, Finding, Outcome


@dataclass(frozen=True)
class Brevity:
    words: int

    @property
    def references(self):
        return f"{self.words} words"

    def __call__(self, output, expect, prompt):
        long = len(output.split()) > self.words
        return Outcome(0.0 if long else 1.0, (Finding("brevity", "too long"),) if long else ())

    def expect_problems(self, expect, document, where):
        return []


def load(options, document, where):
    return Brevity(options["words"])


WORDS = {"type": "integer", "minimum": 1, "description": "how many words an answer may have"}
OPTIONS = {"type": "object", "additionalProperties": False, "required": ["words"], "properties": {"words": WORDS}}
BREVITY = CheckKind(kind="pass/fail", options=OPTIONS, expect={}, load=load, version=3)
CHECKS = {"brevity": BREVITY}
"""
FIXTURE = "version: 1\nsuite: brevity\ncheck: {words: 5}\ncases:\n  - {id: open, input: When are you open}\n"


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with a kind of check of its own and a fixture that names it; keywords are files' new contents."""
    monkeypatch.chdir(tmp_path)

    def write(**files: str) -> Path:
        texts = {
            "pyproject_toml": '[tool.tunegate]\nchecks = "evals/checks.py"\n', "evals/checks_py": BREVITY,
            "fixtures/mail/short_yaml": FIXTURE,
        } | {name.replace("__", "/"): text for name, text in files.items()}  # fmt: skip
        for name, text in texts.items():
            path = tmp_path / ".".join(name.rsplit("_", 1))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
        return Path("fixtures")

    return write


@pytest.fixture
def package(tmp_path, monkeypatch):
    """An installed package with entry points of the group, by name and value."""

    def install(code: str = BREVITY, **entries: str) -> None:
        site, info = tmp_path / "site", tmp_path / "site" / "tone-1.0.dist-info"
        info.mkdir(parents=True)
        (site / "tone_checks.py").write_text(code, "utf-8")
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tone\nVersion: 1.0\n", "utf-8")
        lines = "".join(f"{name} = {value}\n" for name, value in entries.items())
        (info / "entry_points.txt").write_text(f"[{GROUP}]\n{lines}", "utf-8")
        monkeypatch.syspath_prepend(site)

    entries_of.cache_clear()
    yield install
    entries_of.cache_clear()
    sys.modules.pop("tone_checks", None)


def test_a_file_of_the_project_brings_its_kinds(project):
    (task,) = load_tasks(project())

    (unit,) = task.units
    assert (unit.key, unit.kind, unit.questions["check version"]) == ("mail/brevity", "pass/fail", "3")
    assert unit.cases[0].check("At eight, on all days of it.", None, "").findings[0].rule == "brevity"


def test_its_options_are_held_against_their_schema_as_ours_are(project):
    with pytest.raises(AuthoringError) as caught:
        load_tasks(project(fixtures__mail__short_yaml=FIXTURE.replace("words", "wrods")))

    assert "fixtures/mail/short.yaml:3: check.wrods: expected one of the keys words, found 'wrods'" in str(caught.value)


def test_a_suite_that_nobody_brings_is_told_with_those_there_are(project):
    with pytest.raises(
        AuthoringError,
        match="one of schema, tools, voice, vocabulary, refusal, cost, retention, scored, brevity, found 'tone'",
    ):
        load_tasks(project(fixtures__mail__short_yaml=FIXTURE.replace("brevity", "tone")))


def test_an_edit_of_the_file_counts_in_the_same_process(project):
    load_tasks(project())

    (task,) = load_tasks(project(evals__checks_py=BREVITY.replace("version=3", "version=4") + "# edited\n"))

    assert task.units[0].questions["check version"] == "4"


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("x = 1\n", 'evals/checks.py:1: expected CHECKS = {"name": CheckKind(...), ...}, found no CHECKS'),
        ("CHECKS = []\n", 'evals/checks.py:1: expected CHECKS = {"name": CheckKind(...), ...}, found list'),
        ("CHECKS = {'a': 1}\n", "CHECKS['a']: expected a CheckKind under a name that is text, found int"),
        ("x = 1\n\nraise ValueError('no')\n", "checks.py:3: expected Python that can be loaded, found ValueError"),
        ("def f(:\n", "evals/checks.py:1: expected Python that can be loaded, found SyntaxError"),
        ("import sys\nsys.exit(0)\n", "evals/checks.py:2: expected Python that can be loaded, found SystemExit: 0"),
        (BREVITY.replace('"brevity": B', '"schema": B'), "a kind of check of another name, found 'schema', which"),
        (BREVITY.replace('"brevity": B', '"a/b/c": B'), "expected `suite` or `suite/measure`, found 'a/b/c'"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_used_is_told_with_its_line(project, code, told):
    with pytest.raises(Refused) as caught:
        load_tasks(project(evals__checks_py=code))

    assert told in str(caught.value)


def test_a_file_that_is_not_there_is_told(project):
    with pytest.raises(
        AuthoringError, match=r"evals/gone\.py: expected a Python file with kinds of check, found nothing"
    ):
        load_tasks(project(pyproject_toml='[tool.tunegate]\nchecks = "evals/gone.py"\n'))


def test_an_installed_package_brings_its_kinds_when_a_fixture_names_one(project, package):
    package(brevity="tone_checks:BREVITY", **{"vocabulary/tone": "tone_checks:BREVITY"})
    cases = project(pyproject_toml="[tool.tunegate]\n")
    assert "vocabulary/tone" in project_kinds(cases)
    assert "tone_checks" not in sys.modules

    (task,) = load_tasks(cases)

    assert task.units[0].check_kind.version == 3


@pytest.mark.parametrize(
    ("entries", "code", "told"),
    [
        ({"brevity": "tone_checks:GONE"}, BREVITY, "tone_checks:GONE: expected a CheckKind, found AttributeError"),
        ({"brevity": "tone_checks:WORDS"}, BREVITY, "brevity = tone_checks:WORDS: expected a CheckKind, found dict"),
        ({"brevity": "tone_checks:X"}, "1 / 0\n", "expected a CheckKind, found ZeroDivisionError"),
        ({"schema": "tone_checks:BREVITY"}, BREVITY, "tone_checks:BREVITY of tone 1.0: expected a kind of check"),
    ],
)  # fmt: skip
def test_a_package_whose_kind_cannot_be_used_is_named(project, package, entries, code, told):
    package(code, **entries)

    with pytest.raises(Refused) as caught:
        load_tasks(project(pyproject_toml="[tool.tunegate]\n"))

    assert told in str(caught.value)


def test_a_name_that_the_project_and_a_package_both_bring_is_refused(project, package):
    package(brevity="tone_checks:BREVITY")

    with pytest.raises(Refused, match="found 'brevity', which is taken"):
        load_tasks(project())


def test_a_packages_broken_kind_hurts_nobody_who_does_not_name_it(project, package):
    package("1 / 0\n", tone="tone_checks:X")

    assert len(load_tasks(project())) == 1


def test_editors_may_know_them_too(project):
    schema = fixture_schema(project_kinds(project()))

    assert "brevity" in schema["properties"]["suite"]["enum"]
    assert schema["$defs"]["brevity.check"]["properties"]["words"]["minimum"] == 1
