from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.records import write_desk, write_policy
from tests.support.units import write_unit
from tunegate.harness.cases.loader import find_unit, load_tasks
from tunegate.harness.cases.model import Decoding, Prompt, UnitConfiguration, read_configuration
from tunegate.harness.checks.registry import CHECKS
from tunegate.harness.core.errors import AuthoringError, Refused

HEAD = "version: 1\nsuite: schema\ncheck: {schema: {type: object}}\n"  # lines 1 to 3
GOOD = HEAD + "cases:\n  - {id: a, input: hello}\n"
TERMS = "version: 1\nlanguage: en\nterms:\n  - {id: pump, preferred: heat pump}\n"
VOCABULARY = "version: 1\nsuite: vocabulary\ncheck: {terms: refs/terms.yaml}\n"
POLICY = "version: 1\nunits:\n  schema: {role: guard, margin: 0.1, reason: tickets}\n"
CASE_KEYS = "check, context, critical, expect, generate, group, id, input, prompt, tags, tools, unstable"
FILE_KEYS = "cases, check, generate, labels, of, prompt, sealed, shots, suite, tools, traffic, unit, version"


def write(root: Path, **files: str | bytes) -> Path:
    """A task `desk` of these files; `refs_x` is refs/x.yaml."""
    for name, content in files.items():
        path = root / "fixtures" / "desk" / f"{name.replace('refs_', 'refs/')}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return root / "fixtures"


@pytest.fixture
def mistakes(tmp_path, monkeypatch):
    """The messages about some files, without the leading `fixtures/desk/`."""
    monkeypatch.chdir(tmp_path)

    def read(**files):
        with pytest.raises(AuthoringError) as caught:
            load_tasks(write(tmp_path, **files).relative_to(tmp_path))
        return [str(problem).replace("fixtures/desk/", "") for problem in caught.value.problems]

    return read


# What a person wrote in `bad.yaml`, and everything that they are told.
MISTAKES = {
    "an empty file": (
        "",
        "1: expected a mapping with version, suite, found nothing; write `key: value` lines, indented",
    ),
    "a list": (
        "- id: a\n",
        '1: expected a mapping with version, suite, found [{"id": "a"}]; write `key: value` lines, indented',
    ),
    "tabs": (HEAD + "cases:\n\t- id: a\n\t  input: hi\n", "5: expected spaces, found a tab; indent with spaces"),
    "a duplicate key": (
        HEAD + "cases:\n  - id: a\n    input: hi\n    input: ho\n",
        "7: cases[0]: expected each key once, found 'input' again (first on line 6); delete or rename one of them",
    ),
    "an unknown key": (
        HEAD + "cases:\n  - id: a\n    input: hi\n    expects: {}\n",
        f"7: cases[0].expects: expected one of the keys {CASE_KEYS}, found 'expects'; did you mean 'expect'?",
    ),
    "a misspelt key that is needed": (
        HEAD + "case:\n  - {id: a, input: hi}\n",
        f"4: case: expected one of the keys {FILE_KEYS}, found 'case'; did you mean 'cases'?",
    ),
    "a misspelt option": (
        GOOD.replace("cases", "generate: {max_new_token: 4}\ncases"),
        "4: generate.max_new_token: expected one of the keys max_new_tokens, seed, temperature, top_p, "
        "found 'max_new_token'; did you mean 'max_new_tokens'?",
    ),
    "no suite": (
        GOOD.replace("suite: schema\n", ""),
        "1: expected the key 'suite', found only version, check, cases; add it: the suite that scores these cases",
    ),
    "an unknown suite": (
        GOOD.replace("suite: schema", "suite: shcema"),
        "2: suite: expected one of schema, tools, voice, vocabulary, refusal, cost, retention, scored, found 'shcema'; "
        "did you mean 'schema'?",
    ),
    "an unknown version": (GOOD.replace("version: 1", "version: 2"), "1: version: expected 1, found 2"),
    "a version in quotes": (
        GOOD.replace("version: 1", "version: '1'"),
        "1: version: expected 1, found '1'; write it without quotes",
    ),
    "no cases": (
        HEAD,
        "1: expected the key 'cases', found only version, suite, check; add it: a list of at least one case",
    ),
    "empty cases": (HEAD + "cases: []\n", "4: cases: expected a list of at least one case, found []"),
    "nothing under cases": (
        HEAD + "cases:\n",
        "4: cases: expected a list, found nothing; write its items on lines that begin with `- `",
    ),
    "a case that is text": (
        HEAD + "cases:\n  - hello\n",
        "5: cases[0]: expected a mapping with id, input, found 'hello'; write `key: value` lines, indented",
    ),
    "an id with a space": (
        HEAD + "cases:\n  - {id: a b, input: hi}\n",
        "5: cases[0].id: expected an id of letters of any script, digits and . _ + -, found 'a b'; write a-b",
    ),
    "a numeric id": (
        HEAD + "cases:\n  - {id: 12, input: hi}\n",
        "5: cases[0].id: expected text, found 12; put it in quotes",
    ),
    "a unit named like a file beside its baseline": (
        GOOD.replace("cases", "unit: triage.released\ncases"),
        "4: unit: expected a name other than diagnosis and *.released, which are files beside the baselines, "
        "found 'triage.released'",
    ),
    "a duplicate id": (
        HEAD + "cases:\n  - {id: a, input: hi}\n  - {id: a, input: ho}\n",
        "6: cases[1].id: expected an id that is unique in its unit, found 'a' again (first on line 5)",
    ),
    "a number as input": (
        HEAD + "cases:\n  - id: a\n    input: 42\n",
        "6: cases[0].input: expected text, found 42; put it in quotes",
    ),
    "a comment as input": (
        HEAD + "cases:\n  - id: a\n    input: #42 is late\n",
        "6: cases[0].input: expected text, found nothing; write one; "
        "if it begins with # or &, or is null or ~, put it in quotes",
    ),
    "a blank input": (
        HEAD + "cases:\n  - id: a\n    input: ' '\n",
        "6: cases[0].input: expected text that is not empty, found ' '",
    ),
    "no check": (
        "version: 1\nsuite: schema\ncases:\n  - {id: a, input: hi}\n  - {id: b, input: hi}\n",
        "1: check: expected a check with schema, on the file or on its cases, found none; "
        "write check: {schema: ...} above the cases",
    ),
    "no check on one case": (
        "version: 1\nsuite: schema\ncases:\n  - {id: a, input: hi, check: {schema: {}}}\n  - {id: b, input: hi}\n",
        "5: cases[1]: expected a check with schema, here or on the file, found none",
    ),
    "a path as check": (
        GOOD.replace("{schema: {type: object}}", "refs/ticket.json"),
        "3: check: expected a mapping, found 'refs/ticket.json'; "
        "write its options by name, such as {schema: refs/answer.schema.json}",
    ),
    "a missing schema file": (
        GOOD.replace("{type: object}", "refs/ticket.json"),
        "3: check.schema: expected the path of a schema file, found no file refs/ticket.json",
    ),
    "a schema that is not one": (
        GOOD.replace("{type: object}", "{type: objekt}"),
        "3: check.schema.type: expected one of object, array, string, boolean, integer, number, null, "
        "found \"objekt\"; did you mean 'object'?",
    ),
    "a remote reference": (
        GOOD.replace("{type: object}", '{$ref: "https://example.com/x.json"}'),
        "3: check.schema.$ref: expected a reference inside this schema, such as #/$defs/name, "
        'found "https://example.com/x.json"; references are not fetched: copy the target into this schema',
    ),
    "an unknown way to extract": (
        GOOD.replace("}}", "}, extract: fence}"),
        "3: check.extract: expected one of strict, fenced, text, found 'fence'; did you mean 'fenced'?",
    ),
    "an expect of the wrong shape": (
        VOCABULARY + "cases:\n  - {id: a, input: hi, expect: {terms: pump}}\n",
        "5: cases[0].expect.terms: expected a list, found 'pump'; write its items on lines that begin with `- `",
    ),
    "no expect where one is needed": (
        VOCABULARY + "cases:\n  - {id: a, input: hi}\n",
        "5: cases[0]: expected an expect with terms or wording, found none; write expect: {terms: ...}",
    ),
    "an expect without a value": (
        HEAD + "cases:\n  - id: a\n    input: hi\n    expect:\n",
        "7: cases[0].expect: expected the values that the output must have; all of them with `match: whole`; any JSON "
        "value but null, found nothing; if any will do, delete it; JSON null is check: {schema: {type: 'null'}}",
    ),
    "an expect key that is no text": (
        HEAD + "cases:\n  - {id: a, input: hi, expect: {1: boiler}}\n",
        "5: cases[0].expect.1: expected a key that is text, found 1; put it in quotes",
    ),
    "a key that is a list": (
        HEAD + "cases:\n  - {id: a, input: hi, expect: {[1]: boiler}}\n",
        "5: cases[0].expect: expected a key that is text, found a list or a mapping; put the text in quotes",
    ),
    "not a number": (
        HEAD + "cases:\n  - {id: a, input: hi, expect: {x: .nan}}\n",
        "5: cases[0].expect.x: expected a finite number, found nan",
    ),
    "a template without the input": (
        GOOD.replace("cases", "prompt: {template: 'Sort it.'}\ncases"),
        "4: prompt.template: expected a template that holds {input}, found 'Sort it.'; "
        "write {input} where the case's input belongs",
    ),
    "a case's template without the input": (
        HEAD + "cases:\n  - id: a\n    input: hi\n    prompt:\n      template: Sort it.\n",
        "8: cases[0].prompt.template: expected a template that holds {input}, found 'Sort it.'; "
        "write {input} where the case's input belongs",
    ),
    "a missing context": (
        GOOD.replace("cases", "prompt: {template: '{context} {input}'}\ncases"),
        "6: cases[0]: expected a context, which the prompt's template uses, found none",
    ),
    "no tokens": (
        GOOD.replace("cases", "generate: {max_new_tokens: 0}\ncases"),
        "4: generate.max_new_tokens: expected a whole number from 1 to 32768, found 0",
    ),
    "tokens in quotes": (
        GOOD.replace("cases", "generate: {max_new_tokens: '64'}\ncases"),
        "4: generate.max_new_tokens: expected a whole number from 1 to 32768, found '64'; write it without quotes",
    ),
    "a hot temperature": (
        GOOD.replace("cases", "generate: {temperature: hot}\ncases"),
        "4: generate.temperature: expected a number from 0 (greedy) to 10, found 'hot'",
    ),
    "top_p in percent": (
        GOOD.replace("cases", "generate: {top_p: 90}\ncases"),
        "4: generate.top_p: expected a number above 0, at most 1, found 90; for 90 points or percent write 0.9",
    ),
    "tags that are text": (
        HEAD + "cases:\n  - {id: a, input: hi, tags: email}\n",
        "5: cases[0].tags: expected a mapping, found 'email'; write `key: value` lines, indented",
    ),
    "a tag that is a number": (
        HEAD + "cases:\n  - {id: a, input: hi, tags: {priority: 1}}\n",
        "5: cases[0].tags.priority: expected text, found 1; put it in quotes",
    ),
    "critical: yes": (
        HEAD + "cases:\n  - {id: a, input: hi, critical: yes}\n",
        "5: cases[0].critical: expected true or false, found 'yes'; write true; yes is a text here",
    ),
    "a shot without an output": (
        GOOD.replace("cases", "shots:\n  - {input: a}\ncases"),
        "5: shots[0]: expected the key 'output', found only input; add it: the expected output",
    ),
    "a byte that is not UTF-8": (
        GOOD.replace("hello", "caf").encode() + b"\n# \xe9\n",
        "7: expected UTF-8 text, found the byte 0xe9, which is not UTF-8; save the file as UTF-8",
    ),
    "a billion laughs": (
        HEAD + "cases:\n  - id: a\n    input: hi\n    expect:\n      a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
        + "".join(f"      a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 30)),
        "12: cases[0].expect.a4: expected few aliases, found aliases that expand to 123,440 more values; "
        "write the values out",
    ),
}  # fmt: skip


def test_a_mistake_is_told_with_its_place_and_what_to_do(mistakes):
    for text, message in MISTAKES.values():
        assert mistakes(bad=text, refs_terms=TERMS) == [f"bad.yaml:{message}"]


TASK_MISTAKES = {
    "an unknown unit": (
        POLICY.replace("schema:", "shcema:"),
        "3: units.shcema: expected a unit that this task's fixture files have (schema), found 'shcema'; did you mean "
        "'schema'?",
    ),
    "points instead of a share": (
        POLICY.replace("0.1", "5"),
        "3: units.schema.margin: expected the tolerated loss, above 0 and below 1, found 5; "
        "for 5 points or percent write 0.05",
    ),
    "no tolerance at all": (
        POLICY.replace("0.1", "0"),
        "3: units.schema.margin: expected the tolerated loss, above 0 and below 1, found 0",
    ),
    "no reason": (
        POLICY.replace(", reason: tickets", ""),
        "3: units.schema: expected the key 'reason', found only role, margin; add it: say why, for reviewers",
    ),
    "a blank reason": (
        POLICY.replace("tickets", "' '"),
        "3: units.schema.reason: expected text that is not empty, found ' '; a reason in words",
    ),
    "an unknown role": (
        POLICY.replace("guard", "gaurd"),
        "3: units.schema.role: expected one of target, guard, found 'gaurd'; did you mean 'guard'?",
    ),
    "no units": (
        "version: 1\n",
        "1: expected the key 'units', found only version; add it: a mapping from unit names to their policy",
    ),
}


def test_a_mistake_in_a_task_file_is_told(mistakes):
    for text, message in TASK_MISTAKES.values():
        assert mistakes(good=GOOD, task=text) == [f"task.yaml:{message}"]


def test_all_mistakes_of_all_files_are_told_at_once(mistakes):
    said = mistakes(
        first="version: 1\nsuite: schema\ncheck: {schema: refs/none.json}\nprompt: {template: hi}\n"
        "cases:\n  - {id: a, input: 1}\n  - {id: b, input: hi}\n  - {id: a, input: ho}\n",
        second=HEAD + "cases:\n\t- id\n",
        task=POLICY.replace("0.1", "5"),
    )

    assert [message.partition(": expected")[0] for message in said] == [
        "first.yaml:3: check.schema",
        "first.yaml:4: prompt.template",
        "first.yaml:6: cases[0].input",
        "first.yaml:8: cases[2].id",
        "second.yaml:5",
        "task.yaml:3: units.schema.margin",
    ]


def test_a_mistake_that_every_case_shares_is_told_once(mistakes):
    cases = "".join(f"  - {{id: c{index}, input: hi}}\n" for index in range(50))

    assert len(mistakes(bad=HEAD.replace("{type: object}", "none.json") + "cases:\n" + cases)) == 1


def test_a_unit_whose_file_cannot_be_read_is_not_also_an_unknown_unit(mistakes):
    said = mistakes(good=GOOD, bad=GOOD.replace("cases", "unit: tickets\ncases").replace("}\n", "\n"), task=(
        POLICY + "  tickets: {role: target, reason: r}\n"
    ))  # fmt: skip

    assert [message.partition(":")[0] for message in said] == ["bad.yaml"]


@pytest.mark.parametrize("case_id", ["über-fall", "केस-१", "เคส", "ケース1", "случай_2", "a+b.c-d_e"])
def test_an_id_may_be_written_in_any_script(tmp_path, case_id):
    (task,) = load_tasks(write(tmp_path, good=HEAD + f"cases:\n  - {{id: {case_id}, input: hello}}\n"))

    assert [case.id for case in task.units[0].cases] == [case_id]


def test_an_id_that_looks_like_another_is_refused(mistakes):
    for case_id, seen in [
        ("a\uff1ab", "U+FF1A"),
        ("re\u0301sume", "U+0301"),
        ("a\u202eb", "U+202E"),
        ("wave-👋", "U+1F44B"),
        ("a\\n", "U+000A"),
    ]:
        (told,) = mistakes(bad=HEAD + f'cases:\n  - {{id: "{case_id}", input: hello}}\n')

        assert told.startswith("bad.yaml:5: cases[0].id: expected an id of letters of any script in composed form")
        assert seen in told


def test_a_mistake_that_repeats_is_told_once_with_its_number(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cases = "".join(f"  - {{id: c{i}, input: hello, expects: {i}}}\n" for i in range(3000))
    write(tmp_path, bad=HEAD + "cases:\n" + cases, other=GOOD.replace("input", "imput"))

    with pytest.raises(AuthoringError) as caught:
        load_tasks(Path("fixtures"))

    first, told, *others = str(caught.value).splitlines()
    assert first == "3,001 mistakes to fix before anything can run:"
    assert told == (
        f"  fixtures/desk/bad.yaml:5: cases[0].expects: expected one of the keys {CASE_KEYS}, found 'expects'; "
        "did you mean 'expect'? (and 2,999 more like it: lines 6, 7, 8, ...)"
    )
    assert len(others) == 1
    assert "imput" in others[0]
    assert len(caught.value.problems) == 3001


def test_a_link_that_leads_nowhere_is_told_as_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    desk = write(tmp_path, good=GOOD) / "desk"
    (desk / "gone.yaml").symlink_to("../elsewhere/gone.yaml")
    (tmp_path / "fixtures" / "mail").symlink_to(tmp_path / "moved")

    with pytest.raises(AuthoringError) as caught:
        load_tasks(Path("fixtures"))

    file, task = (str(problem) for problem in caught.value.problems)
    assert file.endswith("gone.yaml: expected a file, found a broken link to ../elsewhere/gone.yaml")
    assert "expected a task's folder, found a broken link to" in task
    assert task.endswith("moved; fix or delete the link")


def test_a_folder_of_fixtures_that_is_a_link_to_nothing_is_told_as_one(tmp_path):
    (tmp_path / "fixtures").symlink_to("nowhere")

    with pytest.raises(Refused, match="expected a folder of fixtures, found a broken link"):
        load_tasks(tmp_path / "fixtures")


def test_an_id_is_unique_in_all_files_of_a_unit(mistakes):
    said = mistakes(a=GOOD.replace("id: a", "id: z"), b=GOOD, c=GOOD)

    assert said == ["c.yaml:5: cases[0].id: expected an id that is unique in its unit, found 'a', also in b.yaml:5"]


def test_units_whose_names_differ_in_case_only_are_refused(mistakes):
    """Their baselines would be one file on a file system that ignores case."""
    said = mistakes(a=f"{GOOD}unit: triage\n", b=f"{GOOD}unit: Triage\n")
    name = "a name that differs in more than case"
    assert said == [f"b.yaml:6: unit: expected {name}, found 'Triage', and 'triage' in a.yaml:6; rename one of them"]


@pytest.mark.parametrize("names", [("desk", "Desk"), ("caf\u00e9", "cafe\u0301"), ("desk", "desk."), ("desk", "desk ")])
def test_tasks_that_are_one_folder_elsewhere_are_refused(tmp_path, names):
    for task in names:
        write_unit(tmp_path, ["x"], task=task)
    with pytest.raises(AuthoringError, match="expected a task whose name differs in more than case or form, found"):
        load_tasks(tmp_path)


@pytest.mark.parametrize("name", ["Diagnosis", "triage.Released"])
def test_a_unit_has_no_name_of_a_file_beside_the_baselines_in_any_case(tmp_path, name):
    write_unit(tmp_path, ["x"], name=name)
    with pytest.raises(AuthoringError, match=r"a name other than diagnosis and \*\.released"):
        load_tasks(tmp_path)


def test_the_same_id_may_stand_in_two_units(tmp_path):
    (task,) = load_tasks(write(tmp_path, a=GOOD, b=GOOD.replace("cases", "unit: other\ncases")))

    assert [case.key for unit in task.units for case in unit.cases] == ["desk/schema/a", "desk/other/a"]


def test_a_unit_has_one_suite(mistakes):
    other = VOCABULARY + "unit: tickets\ncases:\n  - {id: z, input: hi, expect: {terms: [pump]}}\n"

    assert mistakes(a=GOOD.replace("cases", "unit: tickets\ncases"), b=other, refs_terms=TERMS) == [
        "b.yaml:2: suite: expected suite: schema, as in a.yaml (a unit has one), found vocabulary; "
        "give this file a unit: of its own"
    ]


def test_a_sealed_file_is_a_unit_of_its_own(mistakes):
    assert mistakes(a=GOOD, b=GOOD.replace("id: a", "id: b").replace("cases", "sealed: true\ncases")) == [
        "b.yaml:4: sealed: expected sealed: false, as in a.yaml (a unit has one), found true; "
        "give this file a unit: of its own"
    ]


def test_a_fixture_file_beside_the_task_folders_is_told_where_to_go(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    root = write(tmp_path, good=GOOD)
    (root / "stray.YML").write_text(GOOD)

    with pytest.raises(AuthoringError) as caught:
        load_tasks(root)

    assert [str(problem) for problem in caught.value.problems] == [
        "fixtures/stray.YML:1: expected fixture files inside a task's folder, found one beside them; "
        "move it to fixtures/<task>/stray.YML"
    ]


def test_each_folder_without_fixture_files_is_told(tmp_path):
    root = write(tmp_path, bad="")
    (root / "idle" / "refs").mkdir(parents=True)

    with pytest.raises(AuthoringError, match="idle: expected at least one fixture file"):
        load_tasks(root)


def test_a_task_file_by_another_name_is_told(tmp_path):
    root = write(tmp_path, good=GOOD)
    (root / "desk" / "task.yml").write_text(POLICY)

    with pytest.raises(AuthoringError, match=r"task\.yml:1: expected the name task\.yaml, found task\.yml; rename it"):
        load_tasks(root)


def test_a_unit_is_not_called_like_the_file_beside_its_baseline_by_its_suite_either(tmp_path, monkeypatch):
    monkeypatch.setitem(CHECKS, "diagnosis", CHECKS["schema"])
    own = GOOD.replace("suite: schema", "suite: diagnosis")

    with pytest.raises(AuthoringError, match=r"good\.yaml:2: suite: .* found 'diagnosis'; give the unit another name"):
        load_tasks(write(tmp_path, good=own))
    [task] = load_tasks(write(tmp_path, good=f"{own}unit: illness\n"))
    assert task.units[0].name == "illness"


def test_files_in_any_spelling_are_read_and_hidden_ones_are_not(tmp_path):
    root = write(tmp_path, good=GOOD)
    (root / "desk" / "more.YML").write_text(GOOD.replace("id: a", "id: b"))
    (root / "desk" / ".good.yaml").write_text("an editor's copy")
    (root / ".git").mkdir()

    ((unit,),) = (task.units for task in load_tasks(root))

    assert sorted(case.id for case in unit.cases) == ["a", "b"]


def test_a_missing_folder_an_empty_one_and_a_task_s_own_are_refused(tmp_path):
    root = write(tmp_path, good=GOOD, task=POLICY)
    (tmp_path / "empty").mkdir()

    for folder, message in [
        (tmp_path / "none", r"found nothing; give the one that holds them: --cases DIR \(pytest: --tg-cases DIR\)"),
        (tmp_path / "empty", "expected <task>/.*yaml fixture files, found none"),
        (root / "desk", "expected a folder of tasks, found one task; name the folder above it, .*fixtures"),
    ]:
        with pytest.raises(Refused, match=message):
            load_tasks(folder)


def test_a_case_adds_to_what_its_file_says(tmp_path):
    text = HEAD + (
        "prompt: {system: Sort., template: 'Mail: {input}'}\ngenerate: {max_new_tokens: 8, seed: 3}\ncases:\n"
        "  - {id: a, input: hi}\n"
        "  - {id: b, input: hi, prompt: {template: '{input}'}, generate: {temperature: 1, max_new_tokens: 9},\n"
        "     check: {extract: fenced}, tags: {channel: email}, critical: true, group: g, context: c, expect: {x: 1}}\n"
    )

    a, b = load_tasks(write(tmp_path, a=text))[0].units[0].cases

    assert (a.prompt.system, a.prompt.template, b.prompt.system, b.prompt.template) == (
        "Sort.", "Mail: {input}", "Sort.", "{input}",
    )  # fmt: skip
    assert (a.decoding.max_new_tokens, a.decoding.temperature, b.decoding.max_new_tokens) == (8, 0.0, 9)
    assert (b.decoding.temperature, b.decoding.seed) == (1.0, 3)
    fenced = '```json\n{"x": 1}\n```'
    assert (a.check(fenced, None, "").score, b.check(fenced, b.expect, "").score) == (0.0, 1.0)
    assert (a.critical, dict(a.tags), a.group, a.context) == (False, {}, None, None)
    assert (b.critical, dict(b.tags), b.group, b.context) == (True, {"channel": "email"}, "g", "c")
    assert b.place.endswith("a.yaml:8")


CHANGES = {
    "cases": ("id: a,", "id: z,"),
    "inputs": ("input: hello", "input: goodbye"),
    "checks": ("expect: {x: 1}", "expect: {x: 2}"),
    "tags and critical flags": ("critical: true", "critical: false"),
    "references": ("{type: object}", "{minProperties: 1}"),
}
WHOLE = HEAD + (
    "prompt: {system: Sort.}\ngenerate: {seed: 3, temperature: 1}\n"
    "cases:\n  - {id: a, input: hello, expect: {x: 1}, critical: true}\n  - {id: b, input: bye}\n"
)


@pytest.mark.parametrize(("part", "old", "new"), [(part, *change) for part, change in CHANGES.items()])
def test_each_part_of_the_questions_sees_its_own_change(tmp_path, part, old, new):
    before = load_tasks(write(tmp_path / "before", a=WHOLE))[0].units[0].questions
    after = load_tasks(write(tmp_path / "after", a=WHOLE.replace(old, new)))[0].units[0].questions

    changed = {name for name in before if before[name] != after[name]}
    assert changed >= {part}
    assert "check version" not in changed


CONFIGURATIONS = {
    "system": ("system: Sort.", "system: Sort it."),
    "template": ("prompt: {", "prompt: {template: '>{input}', "),
    "decoding": ("seed: 3", "seed: 4"),
    "shots": ("generate:", "shots: [{input: x, output: y}]\ngenerate:"),
}


@pytest.mark.parametrize(("part", "old", "new"), [(part, *change) for part, change in CONFIGURATIONS.items()])
def test_the_files_prompt_and_decoding_are_its_configuration(tmp_path, part, old, new):
    before, after = (
        load_tasks(write(tmp_path / name, a=text))[0].units[0]
        for name, text in (("before", WHOLE), ("after", WHOLE.replace(old, new)))
    )

    assert before.questions == after.questions
    was, now = before.configuration.as_dict(), after.configuration.as_dict()
    assert {name for name in {*was, *now} if was.get(name) != now.get(name)} == {part}
    assert read_configuration(now) == after.configuration
    assert before.configured(after.configuration) == replace(
        after, cases=tuple(replace(now, place=was.place, check=was.check)
                           for was, now in zip(before.cases, after.cases, strict=True))
    )  # fmt: skip


def test_what_a_case_says_of_its_own_prompt_is_its_question(tmp_path):
    own = WHOLE.replace("id: b,", "id: b, prompt: {system: Sort it.}, generate: {seed: 9},")
    unit, before = (load_tasks(write(tmp_path / str(n), a=text))[0].units[0] for n, text in enumerate((own, WHOLE)))

    assert unit.questions["inputs"] != before.questions["inputs"]
    other = unit.configured(UnitConfiguration(Prompt("Other."), Decoding(max_new_tokens=7)))
    assert [(case.prompt.system, case.decoding.seed, case.decoding.max_new_tokens) for case in other.cases] == [
        ("Other.", 0, 7), ("Sort it.", 9, 7),
    ]  # fmt: skip


@pytest.mark.parametrize("line", ["prompt: {system: Sort it.}\n", "generate: {seed: 3}\n"])
def test_the_files_of_a_unit_share_one_prompt_and_decoding(tmp_path, line):
    second = HEAD + line + "cases:\n  - {id: c, input: hello}\n"
    first = HEAD + "cases:\n  - {id: a, input: hello}\n"
    with pytest.raises(AuthoringError, match=r"the files of a unit share it.*give this file a unit: of its own"):
        load_tasks(write(tmp_path, a=first, b=second))


def test_questions_do_not_depend_on_layout_order_or_place(tmp_path):
    before = load_tasks(write(tmp_path / "before", a=WHOLE))[0].units[0].questions
    head, _, cases = WHOLE.partition("cases:\n")
    one, two = cases.splitlines(keepends=True)
    moved = "# moved\n" + head.replace("temperature: 1", "temperature: 1.0") + "cases:\n" + two + one

    assert load_tasks(write(tmp_path / "after", b=moved))[0].units[0].questions == before


def test_a_case_knows_its_file_and_its_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path / "..")  # what is shown of a path depends on where one stands, and its name does not
    [task] = load_tasks(write(tmp_path, one=GOOD, two=GOOD.replace("id: a", "id: b")))

    assert [(case.id, case.file, case.line) for case in task.units[0].cases] == [
        ("a", "one.yaml", 5), ("b", "two.yaml", 5),
    ]  # fmt: skip


def test_a_unit_is_found_by_its_name(tmp_path):
    write_unit(tmp_path, ["a"])
    tasks = load_tasks(tmp_path)

    assert find_unit(tasks, "desk/triage").name == "triage"
    with pytest.raises(Refused, match=r"unit 'desk/triag': expected one of desk/triage; did you mean 'desk/triage'\?"):
        find_unit(tasks, "desk/triag")


def test_json_is_yaml_and_keeps_every_character(tmp_path):
    text = "boiler \U0001f525 \u2028 \ud7ff"
    path = write_unit(tmp_path, ["a"])
    data = json.loads(path.read_text()) | {"cases": [{"id": "a", "input": text}]}
    path.write_text(json.dumps(data))  # escapes the flame as two halves

    assert load_tasks(tmp_path)[0].units[0].cases[0].input == text


def test_unstable_means_nothing_where_a_case_is_not_critical(tmp_path):
    write_unit(tmp_path, [], cases=[{"id": "a", "input": "hi", "unstable": True}])
    with pytest.raises(AuthoringError, match="unstable: expected critical: true beside it"):
        load_tasks(tmp_path)


def test_that_a_critical_case_is_unstable_is_a_question(tmp_path):
    digests = []
    for more in ({}, {"critical": True}, {"critical": True, "unstable": True}):
        write_unit(tmp_path, [], cases=[{"id": "a", "input": "hi", **more}])
        digests.append(load_tasks(tmp_path)[0].units[0].questions["tags and critical flags"])
    assert len(set(digests)) == 3


def test_task_yaml_may_name_the_fields_of_a_unit_as_its_parts(tmp_path):
    write_desk(tmp_path, 3)
    write_policy(tmp_path, triage={"parts": {"product": {"margin": 0.1, "reason": "r"}}})
    assert load_tasks(tmp_path)[0].policy.of("triage", "pass/fail").parts.keys() == {"product"}

    write_policy(tmp_path, triage={"parts": {"prodct": {"margin": 0.1, "reason": "r"}}})
    with pytest.raises(AuthoringError, match=r"expected a part of triage \(adherence, exact, product\)"):
        load_tasks(tmp_path)


def test_an_option_of_fields_is_read_from_a_fixture_file(tmp_path):
    write_desk(tmp_path, 3, check={"schema": "refs/product.schema.json", "fields": {"produkt": {"ignore": True}}})
    with pytest.raises(AuthoringError, match=r"triage.yaml:1: check.fields.produkt: expected a field that the schema"):
        load_tasks(tmp_path)


def test_a_sealed_unit_expects_what_the_unit_expects_that_it_seals(mistakes) -> None:
    expecting = GOOD.replace("input: hello", "input: hello, expect: {team: a}")
    sealed = "version: 1\nsuite: schema\nunit: last\nsealed: true\n" + GOOD.partition("\n")[2].partition("\n")[2]
    policy = POLICY + "  last: {role: guard, margin: 0.1, seals: schema, reason: tickets}\n"
    [found] = mistakes(a=expecting, b=sealed.replace("id: a", "id: b"), task=policy)
    assert found == (
        "task.yaml: units.last.seals: expected `expect` in the cases of last, as in those of schema, found it in 0 % "
        "of them, and in 100 % of those of schema; write what each sealed case expects"
    )
