"""Configurations, tables of tests and results of promptfoo."""

from __future__ import annotations

import json

import pytest

from tests.support.imports import config, fixtures_of, put, scored
from tunegate.harness.core.errors import Refused, UsageError
from tunegate.harness.imports.recognise import import_source


@pytest.mark.parametrize(
    ("assertion", "right", "wrong"),
    [
        ({"type": "equals", "value": "yes"}, ["yes"], ["yes ", "Yes", ""]),
        ({"type": "equals", "value": "Sorry..."}, ["Sorry..."], ["Sorry"]),
        ({"type": "equals", "value": 5}, ["5"], ["5.0"]),
        ({"type": "equals", "value": {"a": 1}}, ['{"a": 1}', '{ "a":1.0 }'], ['{"a": 2}', '{"a": 1, "b": 2}', "a"]),
        ({"type": "not-equals", "value": "yes"}, ["no", ""], ["yes"]),
        ({"type": "contains", "value": "a.b"}, ["xa.by"], ["xaxby", "A.B"]),
        ({"type": "icontains", "value": "Ab"}, ["xaBx"], ["x"]),
        ({"type": "not-icontains", "value": "Sorry"}, ["no"], ["SORRY"]),
        ({"type": "contains-any", "value": ["x", "y"]}, ["ay", "x"], ["a", "X"]),
        ({"type": "contains-any", "value": 'x, "y, z"'}, ["x", "y, z"], ["y", "z"]),
        ({"type": "icontains-any", "value": ["x|y", "z"]}, ["X|Y", "Z"], ["x", "y"]),
        ({"type": "contains-all", "value": ["x", "y"]}, ["yx"], ["x", "y"]),
        ({"type": "icontains-all", "value": ["x", "y"]}, ["YX"], ["x", "y"]),
        ({"type": "not-contains-all", "value": ["x", "y"]}, ["x", ""], ["xy"]),
        ({"type": "regex", "value": r"^\d{2}$"}, ["12"], ["123", "a12"]),
        ({"type": "starts-with", "value": "(a)"}, ["(a) b"], ["a", " (a)"]),
        ({"type": "is-json"}, ["1", '{"a": [1]}', ' "x" '], ["x", '{"a"', "```json\n1\n```"]),
        ({"type": "is-json", "value": {"required": ["a"]}}, ['{"a": 1}'], ['{"b": 1}', "a"]),
        ({"type": "is-json", "value": "required: [a]\ntype: object"}, ['{"a": 1}'], ['{"b": 1}', "[]"]),
        ({"type": "contains-json"}, ["1", "```json\n1\n```"], ["x"]),
        ({"type": "contains", "value": "{{x}} b"}, ["a b"], ["{{x}} b"]),
        ({"type": "assert-set", "assert": [{"type": "contains", "value": v} for v in "ab"]}, ["ab"], ["a", "b"]),
    ],
)  # fmt: skip
def test_an_assertion_scores_as_there(tmp_path, assertion, right, wrong):
    path = put(tmp_path / "promptfooconfig.yaml", config(assertion))
    assert scored(path, "case-001", [*right, *wrong]) == {
        **dict.fromkeys(right, True), **dict.fromkeys(wrong, False),
    }  # fmt: skip


def test_all_assertions_of_a_test_hold_together(tmp_path):
    both = config({"type": "is-json"}, {"type": "contains", "value": "a"}, {"type": "not-contains", "value": "b"})
    path = put(tmp_path / "promptfooconfig.yaml", both)

    assert scored(path, "case-001", ['"a"', "a", '"b"', '"ab"']) == {
        '"a"': True,
        "a": False,
        '"b"': False,
        '"ab"': False,
    }


@pytest.mark.parametrize(
    ("assertion", "kind", "why"),
    [
        ({"type": "javascript", "value": "output.length"}, "javascript", "code, which is not run"),
        ({"type": "llm-rubric", "value": "is polite"}, "llm-rubric", "scored by a model or by embeddings"),
        ({"type": "cost", "threshold": 0.1}, "cost", "see docs/cost.md"),
        ({"type": "rouge-n", "value": "x"}, "rouge-n", "no check here scores it"),
        ({"type": "regex", "value": "(?<=a"}, "regex", "a pattern that is not ECMA-262"),
        ({"type": "contains", "value": "x", "transform": "output.trim()"}, "contains", "that code has changed"),
        ({"type": "contains", "value": "{{ x | upper }}"}, "contains", "the template filter 'upper'"),
        ({"type": "contains", "value": "file://check.js"}, "contains", "a script, which is not run"),
        ({"type": "is-json", "value": {"type": 3}}, "is-json", "a schema that is not valid"),
    ],
)  # fmt: skip
def test_what_has_no_home_is_counted_and_stands_in_the_fixture(tmp_path, assertion, kind, why):
    path = put(tmp_path / "promptfooconfig.yaml", config(assertion, {"type": "contains", "value": "ok"}))
    imported = import_source(path)
    fixtures_of(imported, tmp_path)

    [(counted, reason)] = [key for key in imported.tally.left if key[0] not in ("provider",)]
    assert (counted, imported.tally.taken["contains"]) == (kind, 1)
    assert why in reason
    text = (tmp_path / "fixtures/t/text.yaml").read_text()
    assert f"# left out: {kind}" in text.split("cases:")[0]
    assert f"  # left out: {kind}" in text.split("cases:")[1]


def test_prompts_files_and_products_of_variables(tmp_path):
    put(tmp_path / "prompts.txt", "Short: {{q}}\n---\nLong: {{q}} in {{lang}}")
    put(
        tmp_path / "chat.json",
        [{"role": "system", "content": "You are {{lang}}."}, {"role": "user", "content": "{{q}}"}],
    )
    put(tmp_path / "more.csv", "q,lang,__expected,__description,__suffix\nwhy,en,contains:because,asks why,!\n")
    put(tmp_path / "shared.yaml", {"lang": "de"})
    put(tmp_path / "promptfooconfig.yaml", {
        "prompts": ["file://prompts.txt", "file://chat.json"],
        "providers": ["a", "b"],
        "defaultTest": {"vars": "file://shared.yaml", "assert": [{"type": "not-contains", "value": "sorry"}]},
        "tests": [{"vars": {"q": ["one", "two"], "lang": ["fr", "it"]}}, "file://more.csv"],
    })  # fmt: skip
    imported = import_source(tmp_path)
    data = fixtures_of(imported, tmp_path)

    assert {name: len(unit["cases"]) for name, unit in data.items()} == {"prompt-1": 5, "prompt-2": 5, "prompt-3": 5}
    assert [case["input"] for case in data["prompt-2"]["cases"]] == [
        "Long: one in fr", "Long: one in it", "Long: two in fr", "Long: two in it", "Long: why in en!",
    ]  # fmt: skip
    assert data["prompt-3"]["cases"][0]["prompt"] == {"system": "You are fr."}
    assert data["prompt-3"]["cases"][4]["id"] == "asks-why"


@pytest.mark.parametrize(
    ("content", "sent"),
    [
        ("Say {{x}}\n", ["Say a"]),
        ("---\n  Say {{x}}\n\n--- \nNow {{x}}\n ---", ["Say a", "Now a"]),
        ("Say {{x}} ---\n----\n", ["Say a ---\n----"]),
    ],
)
def test_prompts_of_a_text_file_are_sent_as_there(tmp_path, content, sent):
    put(tmp_path / "p.txt", content)
    path = put(tmp_path / "promptfooconfig.yaml", {**config({"type": "is-json"}), "prompts": ["file://p.txt"]})
    imported = import_source(path)

    made = [imported.templates[case.set_name].replace("{input}", case.asked.text) for case in imported.cases]
    assert made == sent


@pytest.mark.parametrize(("recorded", "output"), [("3", "3"), (4, "4"), ({"a": 1}, '{"a":1}')])
def test_recorded_outputs_are_texts(tmp_path, recorded, output):
    path = put(tmp_path / "promptfooconfig.yaml", config({"type": "is-json"}, providerOutput=recorded))
    [case] = import_source(path).cases

    assert case.outputs == {"providerOutput": output}


def test_a_prompt_with_one_variable_stays_a_template(tmp_path):
    path = put(tmp_path / "promptfooconfig.yaml", config({"type": "contains", "value": "a"}))
    [unit] = fixtures_of(import_source(path), tmp_path).values()

    assert (unit["prompt"], unit["cases"][0]["input"]) == ({"template": "Say {input}"}, "a")


def test_scenarios_templates_of_assertions_and_sets_of_data(tmp_path):
    path = put(tmp_path / "promptfooconfig.yaml", {
        "prompts": ["{{a}}-{{b}}"], "providers": ["x"],
        "assertionTemplates": {"short": {"type": "regex", "value": "^.{1,3}$"}},
        "scenarios": [{
            "config": [{"vars": {"a": "1"}}, {"vars": {"a": "2"}}],
            "tests": [{"vars": {"b": "x"}, "assert": [{"$ref": "#/assertionTemplates/short"}]}],
        }],
    })  # fmt: skip

    assert scored(path, "case-002", ["abc", "abcd"]) == {"abc": True, "abcd": False}
    assert [case.asked.text for case in import_source(path).cases] == ["1-x", "2-x"]


@pytest.mark.parametrize(
    ("prompt", "why"),
    [
        ("{% for x in y %}{{x}}{% endfor %}", "the template block 'for'"),
        ("{{ x | upper }}", "the template filter 'upper'"),
        ("{{ x() }}", "a template expression"),
        ("file://prompt.py", "a script, which is not run"),
        ("file://prompt.js:make", "a script, which is not run"),
        ("prompts.py:make", "a script, which is not run"),
        ("prompt.js", "a script, which is not run"),
        ("missing.txt", "found nothing there"),
        ("exec:rm", "a script, which is not run"),
        ("file:///etc/passwd", "found one outside"),
        ("file://../secret.txt", "found one outside"),
        ("https://example.com/prompt.txt", "found an address"),
        ("file://missing.txt", "found nothing there"),
    ],
)
def test_a_test_whose_prompt_cannot_be_filled_is_promptfoos(tmp_path, prompt, why):
    path = put(tmp_path / "p/promptfooconfig.yaml", {**config({"type": "is-json"}), "prompts": [prompt]})
    put(tmp_path / "secret.txt", "secret {{x}}")

    imported = import_source(path)

    assert (len(imported.cases), len(imported.scored.cases)) == (0, 1)
    assert any(why in reason for _, reason in imported.tally.left)
    assert "secret" not in json.dumps(fixtures_of(imported, tmp_path))


def test_the_environment_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setenv("HIDDEN", "token")
    path = put(tmp_path / "promptfooconfig.yaml", {**config({"type": "is-json"}), "prompts": ["{{env.HIDDEN}}"]})

    imported = import_source(path)

    assert any("a variable of the environment" in reason for _, reason in imported.tally.left)
    assert "token" not in json.dumps(fixtures_of(imported, tmp_path))


def test_a_table_of_tests_needs_its_prompt(tmp_path):
    path = put(tmp_path / "tests.csv", "q,who,__expected1,__expected2,__metadata:kind\nhi,me,hello,icontains:a,x\n")

    with pytest.raises(UsageError, match=r"--input: expected the column .* \(q, who\)"):
        import_source(path)
    imported = import_source(path, column="q")
    [case] = imported.cases
    assert (case.asked.text, case.equals, len(case.texts)) == ("hi", ("hello",), 1)
    assert imported.tally.left["column", "not in a prompt: who"] == 1


def result(test, prompt, output, **more):
    return {
        "testIdx": test, "promptIdx": prompt, "vars": {"x": "a"}, "success": True, "score": 1,
        "prompt": {"raw": f"Say a ({test})", "label": "Say {{x}}"}, "provider": {"id": f"p:{prompt}"},
        "response": {"output": output},
        "testCase": {"vars": {"x": "a"}, "assert": [{"type": "contains", "value": "{{x}}"}]}, **more,
    }  # fmt: skip


def test_results_are_cases_with_outputs_by_provider(tmp_path):
    rows = [result(0, 0, "a"), result(0, 1, {"a": 1}), result(1, 0, "b"), result(1, 1, None), result(1, 0, "c")]
    path = put(tmp_path / "r.json", {"results": {"version": 3, "results": rows, "stats": {}}})
    imported = import_source(path)

    assert [dict(case.outputs) for case in imported.cases] == [{"p:0": "a", "p:1": '{"a":1}'}, {"p:0": "b"}]
    assert imported.tally.left == {("output", "an error in its place"): 1, ("output", "a repeat"): 1}
    assert json.dumps([case.asked.text for case in imported.cases]) == '["Say a (0)", "Say a (1)"]'


def test_a_product_of_variables_is_bounded(tmp_path):
    bomb = {f"v{number}": list(range(10)) for number in range(12)}
    path = put(tmp_path / "promptfooconfig.yaml", {**config({"type": "is-json"}), "tests": [{"vars": bomb}]})

    with pytest.raises(Refused, match="at most 20,000 cases"):
        import_source(path)


def test_variables_that_name_one_another_are_bounded(tmp_path):
    values = {f"v{n}": f"{{{{v{n + 1}}}}}" * 2 for n in range(40)} | {"v40": "x" * 100}
    path = put(tmp_path / "promptfooconfig.yaml", {
        **config(), "prompts": ["{{v0}}"], "tests": [{"vars": values, "assert": [{"type": "is-json"}]}],
    })  # fmt: skip

    imported = import_source(path)

    assert any("variables that name one another" in reason for _, reason in imported.tally.left)
