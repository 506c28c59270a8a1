"""What people type who know YAML a little: refused with line and remedy, or read as they mean it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.support.authoring import PROJECT
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.cases.model import Case
from tunegate.harness.cli.main import app
from tunegate.harness.core.errors import AuthoringError

TRIAGE, FILE = PROJECT["triage.yaml"], "fixtures/desk/triage.yaml"
COLD, EXPECT = "input: The boiler is cold again.", "expect: {product: boiler}"
LEAK = '"Water below the radiator: come today"'
PAIR = "expected `key: value`, found"
COLUMN = "expected lines that belong together in one column"

#: A name, an edit (of the empty text: what is put behind the file), the line that is named, and what is said of it.
REFUSED: Sequence[tuple[str, str, str, int, str]] = [
    ("tab before a key", f"    {EXPECT}", f"\t\t{EXPECT}", 14, "found a tab; indent with spaces"),
    ("tab behind a colon", "product: boiler}", "product:\tboiler}", 14, "expected a space, found a tab; write a space"),
    ("tab behind a dash", "- id: cold", "-\tid: cold", 12, "expected a space, found a tab"),
    ("no space behind a colon", "id: cold", "id:cold", 12, f"{PAIR} 'id:cold'; write a key, a colon, a space"),
    ("no space in brackets", "{product: boiler}", "{product:boiler}", 14, f"{PAIR} 'product:boiler'; put a space"),
    ("equals sign", "id: cold", "id = cold", 12, f"{PAIR} 'id = cold'"),
    ("full-width colon", "id: cold", "id\uff1a cold", 12, f"{PAIR} 'id\uff1a cold'"),
    ("yes", "critical: true", "critical: yes", 16, "expected true or false, found 'yes'; write true"),
    ("on", "critical: true", "critical: on", 16, "expected true or false, found 'on'; write true"),
    ("no for a value", "{product: boiler}", "{product: no}", 14, 'is "no"'),
    ("true in quotes", "urgent: true", 'urgent: "true"', 19, 'should be true or false, is "true"'),
    ("a number as a text", COLD, "input: 12345", 13, "expected text, found 12345; put it in quotes"),
    ("leading zero", "tokens: 32", "tokens: 032", 8, "found '032'; write it without quotes"),
    ("hexadecimal", "tokens: 32", "tokens: 0x20", 8, "expected a whole number from 1 to 32768, found '0x20'"),
    ("underscore", "tokens: 32", "tokens: 1_000", 8, "found '1_000'"),
    ("not a number", "tokens: 32", "tokens: .nan", 8, "expected a finite number, found nan"),
    ("null", COLD, "input: null", 13, "expected text, found nothing; write one"),
    ("tilde", COLD, "input: ~", 13, "expected text, found nothing; write one"),
    ("key twice in brackets", "{product: boiler}", "{product: boiler, product: radiator}", 14, "found 'product' again"),
    ("cases twice", "", "cases: []\n", 20, "found 'cases' again (first on line 11); delete or rename"),
    ("a column too few", f"    {EXPECT}", f"   {EXPECT}", 14, COLUMN),
    ("a column too many", f"    {EXPECT}", f"     {EXPECT}", 14, "begin the keys of one mapping in one column"),
    ("no dash", "  - id: leak", "  id: leak", 17, COLUMN),
    ("cases a mapping", "cases:\n  - id: cold\n", "cases:\n  cold:\n", 17, COLUMN),
    ("a list for a mapping", EXPECT, "expect: [{product: boiler}]", 14, "should be an object"),
    ("a text for a mapping", EXPECT, "expect: boiler", 14, "should be an object"),
    ("tags as a list", "tags: {channel: email}", "tags: [email]", 15, "expected a mapping, found"),
    ("typo in a key", EXPECT, "expct: {product: boiler}", 14, "found 'expct'; did you mean 'expect'?"),
    ("capital in a key", EXPECT, "Expect: {product: boiler}", 14, "did you mean 'expect'?"),
    ("typo in a field", EXPECT, "expect: {prodcut: boiler}", 14, "this key is not allowed"),
    ("nothing expected", EXPECT, "expect:", 14, "found nothing; if any will do, delete it"),
    ("two documents", "", f"---\n{TRIAGE}", 20, "expected one document, found a second one"),
    ("a mark inside", "  - id: leak", "\ufeff  - id: leak", 17, "found the invisible character U+FEFF"),
    ("an alias of nothing", EXPECT, "expect: *nobody", 14, "an alias without its &name"),
    ("a tag of Python", COLD, 'input: !!python/object/apply:os.system ["true"]', 13, "without a tag"),
    ("trailing colon", COLD, f"{COLD[:-1]}:", 13, "found a second ': '"),
    ("text begins with a brace", COLD, "input: {name} says so.", 13, "after a closing bracket, found more text"),
    ("text begins with a bracket", COLD, "input: [URGENT] cold.", 13, "put a text that begins with { or [ in quotes"),
    ("quote not closed", LEAK, LEAK[:-1], 18, "expected a closing quote"),
    ("brace not closed", "{product: boiler}", "{product: boiler", 15, "the bracket opens on line 14"),
    ("brace too many", "{product: boiler}", "{product: boiler}}", 14, "an opening bracket for each closing one"),
    ("semicolon", "radiator, urgent", "radiator; urgent", 19, "expected a comma or a closing bracket"),
    ("backslash", LEAK, r'"C:\new\path"', 18, "expected a known escape after the \\"),
    ("cut off by #", COLD, "input: Room #3 is cold.", 13, "expected a text without ' #', found 'Room' and a comment"),
    ("block in the column of its key", COLD, "input: |\n    It is cold.", 14, PAIR),
]  # fmt: skip
#: What is read as it is meant: an edit, and the input, or what is expected, of the first case.
READ: Sequence[tuple[str, str, str, str, object]] = [
    ("date", COLD, "input: 2026-12-03", "input", "2026-12-03"),
    ("leading zeros of an id", "id: cold", "id: 007", "id", "007"),
    ("Norway", "{channel: email}", "{channel: no}", "tags", {"channel": "no"}),
    ("on as a key", "{channel: email}", "{on: email}", "tags", {"on": "email"}),
    ("quoted key without a space", "{product: boiler}", '{"product":boiler}', "expect", {"product": "boiler"}),
    ("anchor", EXPECT, "expect: &a {product: boiler}", "expect", {"product": "boiler"}),
    ("trailing comma", "{product: boiler}", "{product: boiler,}", "expect", {"product": "boiler"}),
    ("byte order mark", "version: 1", "\ufeffversion: 1", "id", "cold"),
    ("end of the document", "", "...\n", "id", "cold"),
    ("text over two lines", COLD, "input: The boiler\n      is cold.", "input", "The boiler is cold."),
]  # fmt: skip


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Writes the small project into the working directory, with one edit of a fixture file."""
    monkeypatch.chdir(tmp_path)

    def edit(old: str, new: str) -> None:
        assert old in TRIAGE
        for name, text in PROJECT.items():
            path = Path("fixtures/desk", name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        Path(FILE).write_text(TRIAGE.replace(old, new, 1) if old else TRIAGE + new)

    return edit


@pytest.mark.parametrize(("name", "old", "new", "line", "said"), REFUSED, ids=[each[0] for each in REFUSED])
def test_it_is_refused_with_its_line_and_what_to_do(write, name, old, new, line, said):
    write(old, new)
    with pytest.raises(AuthoringError) as error:  # as pytest reads it
        load_tasks(Path("fixtures"))
    [problem] = [each for each in str(error.value).splitlines() if FILE in each]
    assert problem.strip().startswith(f"{FILE}:{line}: ")
    assert said in problem
    linted = CliRunner().invoke(app, ["lint", "fixtures"])
    assert (linted.exit_code, problem.strip() in linted.stderr) == (4, True)


@pytest.mark.parametrize(("name", "old", "new", "key", "value"), READ, ids=[each[0] for each in READ])
def test_it_is_read_as_it_is_meant(write, name, old, new, key, value):
    write(old, new)
    assert CliRunner().invoke(app, ["lint", "fixtures"]).exit_code == 0
    [task] = load_tasks(Path("fixtures"))
    [case] = [each for unit in task.units if unit.name == "triage" for each in unit.cases[:1]]
    assert getattr(case, key) == value, isinstance(case, Case)
