"""Samples of OpenAI's evals, hosted exports, goldens of deepeval, samples of inspect_ai."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.hostile_imports import result
from tests.support.imports import fixtures_of, put, scored
from tunegate.harness.core.errors import Refused
from tunegate.harness.imports.recognise import import_source
from tunegate.harness.imports.rules import literal
from tunegate.harness.imports.write import write_import

CHAT = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Two and two?"}]


def registry(tmp_path, kind, rows, **arguments):
    put(tmp_path / "registry/data/sums/samples.jsonl", rows)
    return put(tmp_path / "registry/evals/sums.yaml", {
        "sums": {"id": "sums.dev.v0", "metrics": ["accuracy"]},
        "sums.dev.v0": {
            "class": f"evals.elsuite.basic.{kind.lower()}:{kind}",
            "args": {"samples_jsonl": "sums/samples.jsonl", **arguments},
        },
    })  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "ideal", "right", "wrong"),
    [
        ("Match", "4", ["4", "4.", "42"], [" 4", "is 4"]),
        ("Match", ["4", "four"], ["four!", "4"], ["Four"]),
        ("Includes", ["4"], ["is 4"], ["four"]),
        ("FuzzyMatch", "Four", ["it is FOUR"], ["4"]),
        ("JsonMatch", '{"a": [1]}', ['{"a": [1.0]}'], ['{"a": [1], "b": 2}', '{"a": [1, 2]}', "a"]),
        ("JsonMatch", ["1", "2"], ["2"], ["3"]),
        ("JsonMatch", "null", ["null"], ["1", "{}"]),
        ("JsonMatch", ["null", "1"], ["null", "1"], ["{}"]),
    ],
)
def test_classes_of_the_registry_score_as_there(tmp_path, kind, ideal, right, wrong):
    path = registry(tmp_path, kind, [{"input": CHAT, "ideal": ideal}])

    assert scored(path, "case-001", [*right, *wrong]) == {**dict.fromkeys(right, True), **dict.fromkeys(wrong, False)}


def test_a_class_without_a_home_is_refused_by_name(tmp_path):
    with pytest.raises(Refused, match=r"eval sums.dev.v0 1 \(ModelBasedClassify has no home here\)"):
        import_source(registry(tmp_path, "ModelBasedClassify", []))


def test_samples_that_the_registry_names_outside_are_not_read(tmp_path):
    put(tmp_path / "secret.jsonl", [{"input": "x", "ideal": "y"}])
    path = registry(tmp_path, "Match", [], samples_jsonl="../../secret.jsonl")

    with pytest.raises(Refused, match="found one outside"):
        import_source(path)


def test_a_pointer_of_git_lfs_is_named(tmp_path):
    path = put(tmp_path / "samples.jsonl", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")

    with pytest.raises(Refused, match="a pointer of Git LFS to it; fetch it: git lfs pull"):
        import_source(path)


def test_conversations_and_examples_of_samples(tmp_path):
    rows = [
        {"input": [CHAT[0], {"role": "system", "name": "example_user", "content": "One and one?"},
                   {"role": "system", "name": "example_assistant", "content": "2"}, CHAT[1]], "ideal": "4"},
        {"input": [{"role": "system", "content": "Only this."}], "ideal": "x"},
        {"input": [*CHAT, {"role": "assistant", "content": "Well"}], "ideal": "x"},
        {"input": [{"role": "user", "content": [{"type": "image_url"}]}], "ideal": "x"},
        {"input": "plain", "ideal": None},
    ]  # fmt: skip
    imported = import_source(put(tmp_path / "samples.jsonl", rows))
    [unit] = fixtures_of(imported, tmp_path).values()

    assert unit["cases"][0]["input"] == [{"user": "One and one?"}, {"assistant": "2"}, {"user": "Two and two?"}]
    assert unit["cases"][0]["prompt"] == {"system": "Be brief."}
    assert imported.tally.left == {
        ("sample", "messages that do not end with the user's"): 1,
        ("sample", "messages with content other than text"): 1,
        ("sample", "without a target"): 1,
    }
    assert imported.notes == (
        "the file names no scorer: --match starts, as Match of OpenAI evals does; or exact, includes",
    )


CRITERIA = [
    {"type": "string_check", "name": "label", "input": "{{ sample.output_text }}", "reference": "{{ item.label }}",
     "operation": "ilike"},
    {"type": "label_model", "name": "tone", "model": "gpt"},
    {"type": "python", "name": "own", "source": "def grade(sample, item): return 1"},
]  # fmt: skip


def test_a_hosted_export_with_its_rows(tmp_path):
    put(tmp_path / "rows.jsonl", [{"item": {"mail": "Hi", "label": "spam"}, "sample": {"output_text": "SPAM"}}])
    template = [{"role": "developer", "content": "Sort."}, {"role": "user", "content": "Mail: {{item.mail}}"}]
    put(tmp_path / "eval.json", {
        "name": "mail", "testing_criteria": CRITERIA,
        "data_source": {"input_messages": {"type": "template", "template": template}},
    })  # fmt: skip
    imported = import_source(tmp_path)
    [unit] = fixtures_of(imported, tmp_path).values()

    assert (unit["prompt"]["system"], unit["cases"][0]["input"]) == ("Sort.", "Mail: Hi")
    assert imported.cases[0].outputs == {"recorded": "SPAM"}
    assert imported.tally.left == {
        ("label_model", "scored by a model"): 1, ("python", "code, which is not run"): 1,
    }  # fmt: skip
    assert scored(tmp_path / "eval.json", "case-001", ["no Spam", "no"]) == {"no Spam": True, "no": False}


def test_rows_of_a_hosted_export_may_have_other_keys_and_outputs_that_are_no_text(tmp_path):
    items = [{"messages": CHAT, "label": "4"}, {"question": "Two and two?", "label": "4"}]
    rows = [{"item": item, "sample": {"output_text": 4}} for item in items]
    imported = import_source(put(tmp_path / "eval.json", {
        "testing_criteria": CRITERIA[:1], "data_source": {"source": {"type": "file_content", "content": rows}},
    }))  # fmt: skip

    assert [case.outputs for case in imported.cases] == [{"recorded": "4"}]
    assert imported.tally.left == {("row", "without messages"): 1}


def test_rows_of_a_hosted_data_set_need_their_eval(tmp_path):
    with pytest.raises(Refused, match="put the eval's JSON, with testing_criteria, beside it and name the folder"):
        import_source(put(tmp_path / "rows.jsonl", [{"item": {"input": "Hi"}}]))


@pytest.mark.parametrize("name", ["goldens.json", "goldens.jsonl"])
def test_goldens_of_deepeval(tmp_path, name):
    rows = [
        {"input": "Capital of France?", "actualOutput": "Paris", "expectedOutput": " Paris ", "name": "paris",
         "context": ["One.", "Two."], "toolsCalled": [{"name": "x"}]},
        {"input": "And of Peru?", "expected_output": None, "actual_output": "Lima"},
        {"scenario": "A talk", "expected_outcome": "Done", "turns": []},
    ]  # fmt: skip
    imported = import_source(put(tmp_path / name, rows))
    [unit] = fixtures_of(imported, tmp_path).values()

    assert [(case["id"], case["context"]) for case in unit["cases"]] == [("paris", "One.\n\nTwo.")]
    assert imported.cases[0].outputs == {"actual": "Paris"}
    assert imported.tally.left == {
        ("key tools_called", "no check here uses it"): 1, ("golden", "without an expected output"): 1,
        ("golden", "a conversation that a model simulates"): 1,
    }  # fmt: skip
    outputs = {"\nParis": True, "paris": False, "In Paris": False}
    assert scored(tmp_path / name, "paris", outputs) == outputs


def test_goldens_may_begin_with_one_that_is_not_labelled(tmp_path):
    rows = [
        {"input": "Sum?", "actual_output": None, "expected_output": None, "retrieval_context": None},
        {"input": "Two and two?", "expected_output": "4", "actual_output": 4},
    ]
    [case] = import_source(put(tmp_path / "goldens.json", rows)).cases

    assert (case.asked.text, case.outputs) == ("Two and two?", {"actual": "4"})


def test_prose_is_refused_unless_the_command_line_says_how_to_compare(tmp_path):
    text = "Our shop takes back whatever you bought within thirty days of {}, unworn and with its label."
    rows = [{"input": f"q{n}", "expected_output": text.format(n), "context": []} for n in range(4)]
    path = put(tmp_path / "goldens.json", rows)

    with pytest.raises(Refused, match=r"found prose \(up to \d+ characters\).*add --match includes"):
        import_source(path)
    assert len(import_source(path, "includes").cases) == 4


SAMPLES = {
    "input,target,id,metadata\nSay hello,Hello,one,\"{\"\"kind\"\": \"\"a\"\"}\"\n": "samples.csv",
    '{"input": "Say hello", "target": ["Hello", "Hi"], "id": "one"}\n': "samples.jsonl",
    '[{"input": [{"role": "user", "content": "Say hello"}], "target": "Hello", "id": "one"}]': "samples.json",
}  # fmt: skip


@pytest.mark.parametrize(("content", "name"), SAMPLES.items())
def test_samples_of_inspect(tmp_path, content, name):
    path = put(tmp_path / name, content)

    outputs = {"hello!": True, "Well, HELLO": True, "bye": False}
    assert scored(path, "one", outputs) == outputs
    assert not any(scored(path, "one", ["hello", "Hello!"], match="exact").values())


def test_choices_are_asked_for_by_letter(tmp_path):
    rows = [
        {"input": "Which is smallest?", "target": "B", "choices": ["two", "one"], "id": "min"},
        {"input": "Which?", "target": ["A", "B"], "choices": ["two", "one"]},
        {"input": "Which?", "target": "one", "choices": ["two", "one"]},
        {"input": "Run it", "target": "x", "sandbox": "docker"},
    ]
    imported = import_source(put(tmp_path / "samples.jsonl", rows))
    [unit] = fixtures_of(imported, tmp_path).values()

    assert unit["cases"][0]["input"] == "Which is smallest?\n\nA) two\nB) one"
    assert sorted(why for _, why in imported.tally.left) == [
        "a target that is no letter of its choices", "it needs its sandbox", "several right choices",
    ]  # fmt: skip
    outputs = {"B": True, " (B).": True, "A": False, "Both": False}
    assert scored(tmp_path / "samples.jsonl", "min", outputs) == outputs


def test_choices_that_are_left_out_leave_the_prompt_of_the_others(tmp_path):
    rows = [{"input": "Which?", "target": "none", "choices": ["a", "b"]}, {"input": "Say x", "target": "x"}]
    [unit] = fixtures_of(import_source(put(tmp_path / "samples.jsonl", rows)), tmp_path).values()

    assert (unit["prompt"], len(unit["cases"])) == ({"template": "{input}"}, 1)


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        (
            "log.json",
            {"version": 2, "status": "success", "eval": {"task": "x"}, "samples": []},
            "a log of inspect_ai with its samples, found none",
        ),
        ("rows.jsonl", [{"messages": CHAT}], "chat rows; tunegate init --from reads tables and chat rows"),
        ("t.yaml", {"task": "t", "doc_to_text": "{{q}}"}, "a task of lm-evaluation-harness; import its logged samples"),
        ("any.json", {"a": 1}, "one with the keys a"),
        ("none.jsonl", "", "an empty file"),
        ("any.txt", "hello", "expected a name that ends in .yaml"),
        ("tests.py", "print()", "a script, which is not run"),
    ],
)
def test_another_file_is_named_in_one_line(tmp_path, name, content, why):
    with pytest.raises(Refused, match=re.escape(why)) as caught:
        import_source(put(tmp_path / name, content))
    assert "\n" not in str(caught.value)


def test_a_folder_with_several_files_is_asked_about(tmp_path):
    for name in ("a.jsonl", "b.jsonl"):
        put(tmp_path / name, [{"input": "x", "ideal": "y"}])

    with pytest.raises(Refused, match=r"expected one file with tests of .*, found a.jsonl, b.jsonl; name the file"):
        import_source(tmp_path)


def test_units_and_outputs_have_names_of_their_own(tmp_path):
    ideals = {"a": "1", "a-json": "2", "A b": "3", "A.b": "4", "task": "5"}
    kinds = dict.fromkeys(ideals, "Includes") | {"a": "JsonMatch"}
    for name, ideal in ideals.items():
        put(tmp_path / f"{name}.jsonl", [{"input": "x", "ideal": ideal}])
    evals = {name: {"class": f"e:{kinds[name]}", "args": {"samples_jsonl": f"{name}.jsonl"}} for name in ideals}
    units = fixtures_of(import_source(put(tmp_path / "r.yaml", evals)), tmp_path)

    assert len(units) == len({unit["unit"] for unit in units.values()}) == len(ideals)


def test_outputs_of_models_with_like_names_stay_apart(tmp_path):
    rows = [result(provider={"id": name}) for name in ("p:a", "p/a", "P a")]
    path = put(tmp_path / "r.json", {"results": {"stats": {}, "results": rows}})
    written = write_import(import_source(path), "t", tmp_path, tmp_path / "fixtures")

    assert written.models == tuple(f"replay:{name}=outputs/{name}.jsonl" for name in ("t-p-a", "t-p-a-2", "t-p-a-3"))


def test_tags_are_metadata_whose_values_repeat(tmp_path):
    rows = [{"input": f"q{n}", "target": "x", "metadata": {"kind": "ab"[n % 2], "key": f"k{n}"}} for n in range(6)]
    imported = import_source(put(tmp_path / "samples.jsonl", rows))
    [unit] = fixtures_of(imported, tmp_path).values()

    assert unit["cases"][1]["tags"] == {"kind": "b"}
    assert imported.tally.left == {("metadata key", "its values are no labels"): 6}


def test_long_texts_are_kept_whole(tmp_path):
    long = "word " * 10_000
    golden = [{"input": long, "expected_output": "x", "actual_output": long, "name": "n" * 100}]
    [case] = import_source(put(tmp_path / "g.json", golden)).cases
    [other] = import_source(
        put(tmp_path / "r.json", {"results": {"stats": {}, "results": [result(response={"output": long})]}})
    ).cases

    assert (case.asked.text, case.outputs["actual"], other.outputs["echo"]) == (long, long, long)
    assert case.name == "n" * 60


@given(st.lists(st.text(st.sampled_from("a: #'\"|>-{\n\t\u2028\x85\x0c\xe9"), max_size=12), min_size=1, max_size=4))
def test_texts_survive_being_written(texts):
    rows = [{"input": f"q{text}", "ideal": text} for text in texts if text.strip()]
    with tempfile.TemporaryDirectory() as folder:
        if rows:
            path = put(Path(folder) / "samples.jsonl", rows)
            [unit] = fixtures_of(import_source(path), Path(folder)).values()
            assert [case["input"] for case in unit["cases"]] == [row["input"] for row in rows]
            patterns = [case["check"]["schema"]["pattern"] for case in unit["cases"]]
            assert patterns == [f"^{literal(row['ideal'])}" for row in rows]
