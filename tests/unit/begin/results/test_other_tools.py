"""Samples of lm-evaluation-harness, results of promptfoo, test runs of deepeval."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.support.results import DATA, LM, two_providers
from tunegate.harness.begin.results.read import NamedFile, named_file, read_results
from tunegate.harness.core.errors import Unreadable

# --- lm-evaluation-harness


def lm_file(tmp_path, *rows: dict, name: str = "samples.jsonl"):
    full = [
        {"doc_id": 0, "doc": {"q": 1}, "resps": [], "target": "", "metrics": ["acc"], "acc": 1} | row for row in rows
    ]
    (tmp_path / name).write_text("".join(f"{json.dumps(row)}\n" for row in full))
    return tmp_path / name


def test_filters_are_metrics_of_their_own_and_lists_are_left_out():
    found = read_results(LM["old"])

    assert found.metrics == ("exact_match,strict", "exact_match,flexible")
    assert list(found.left_out) == ["bleu,strict", "bleu,flexible"]
    assert (found.task, found.model, found.version) == ("sums", "wxrd1574", "0.4.13")
    assert found.samples[0].input == "What is 43 plus 21? Reply with the number only."


def test_scores_are_those_of_the_results(tmp_path):
    found = read_results(DATA / "lm_worse" / next((DATA / "lm_worse").glob("samples_mc_*")).name)

    assert found.metrics == ("acc",)
    assert set(found.left_out) == {"brier_score"}


def test_the_results_beside_it_say_of_which_metrics_less_is_better(tmp_path):
    date = "2026-01-01T00-00-00.1"
    row = {"metrics": ["acc", "steps", "perplexity"], "steps": 3, "perplexity": -7.5}
    file = lm_file(tmp_path, row, name=f"samples_a_b_{date}.jsonl")
    (tmp_path / f"results_{date}.json").write_text(
        json.dumps({"higher_is_better": {"a_b": {"acc": True, "steps": False, "perplexity": False}}})
    )
    found = read_results(file)

    assert found.lower == {"steps": f"results_{date}.json says higher_is_better: false"}
    # the harness keeps the log-likelihood of a sample under this name
    assert found.notes == ("perplexity: for each sample the harness keeps the log-likelihood, of which more is better",)


def test_names_say_what_is_better_where_no_results_lie_beside_it(tmp_path):
    row = {"metrics": ["acc", "wer", "refused"], "filter": "strict", "wer": 0.1, "refused": 1}
    found = read_results(lm_file(tmp_path, row))

    assert (found.higher, found.lower) == ({"acc,strict": "by its name"}, {"wer,strict": "by its name"})


def test_fewer_documents_than_the_results_count_are_refused(tmp_path):
    shutil.copytree(LM["old"].parent, tmp_path / "run")
    file = tmp_path / "run" / LM["old"].name
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines[:20]))

    with pytest.raises(Unreadable, match="the 30 documents that the results beside it count, found 20"):
        read_results(file)


def test_a_line_that_is_cut_off_is_refused_with_its_number(tmp_path):
    file = lm_file(tmp_path, {}, {"doc_id": 1})
    file.write_text(file.read_text()[:-9])

    with pytest.raises(Unreadable, match=r"samples\.jsonl:2: .*was the file cut off\?"):
        read_results(file)


def test_a_line_of_something_other_is_refused(tmp_path):
    file = lm_file(tmp_path, {})
    file.write_text(file.read_text() + '{"doc_id": 1}\n')

    with pytest.raises(Unreadable, match=r"samples\.jsonl:2: expected samples of lm-evaluation-harness"):
        read_results(file)


def test_a_document_twice_is_a_repeat_and_filters_are_not(tmp_path):
    found = read_results(lm_file(tmp_path, {"acc": 1}, {"acc": 0}, {"filter": "f", "acc": 0}))

    assert [sample.scores for sample in found.samples] == [{"acc": 1.0, "acc,f": 0.0}, {"acc": 0.0}]


def test_nan_in_a_line_is_no_score(tmp_path):
    assert read_results(lm_file(tmp_path, {"acc": float("nan")})).samples[0].scores == {"acc": None}


# --- promptfoo


def promptfoo(tmp_path, change):
    data = json.loads((DATA / "promptfoo_old.json").read_text())
    change(data["results"])
    (tmp_path / "results.json").write_text(json.dumps(data))
    return tmp_path / "results.json"


def test_results_are_metrics_with_cost_and_latency():
    found = read_results(DATA / "promptfoo_old.json")

    assert found.metrics == ("pass", "score", "exact", "close", "latency", "cost")
    assert set(found.lower) == {"latency", "cost"} == found.amounts
    assert (found.version, found.model, len(found.samples)) == ("0.123.1", "scripted:old", 40)
    assert found.samples[3].id == "3"


def test_an_error_has_no_score_and_a_failed_assertion_has():
    found = read_results(DATA / "promptfoo_errors.json")

    assert [each.id for each in found.samples if each.scores["pass"] is None] == ["4", "9"]
    assert found.by_id["4"][0].reasons == {"": "the server broke"}
    assert 0.0 in [each.scores["pass"] for each in found.samples]


def test_results_of_an_older_version_are_refused(tmp_path):
    def older(results):
        for row in results["results"]:
            del row["testIdx"]

    with pytest.raises(Unreadable, match="run it again with a newer promptfoo"):
        read_results(promptfoo(tmp_path, older))


def test_fewer_results_than_it_counts_are_refused(tmp_path):
    with pytest.raises(Unreadable, match="the 40 that it counts, found 39"):
        read_results(promptfoo(tmp_path, lambda results: results["results"].pop()))


def test_prompts_and_providers_of_a_test_are_one_observation(tmp_path):
    def both(results):
        results["results"] += [row | {"promptIdx": 1} for row in results["results"]]

    found = read_results(promptfoo(tmp_path, both))
    assert found.samples[0].id == "0-0"
    assert found.samples[40].id == "0-1"
    assert found.samples[0].groups == found.samples[40].groups
    assert not set(found.samples[0].groups) & set(found.samples[1].groups)


def test_an_assertion_that_is_another_one_is_another_question(tmp_path):
    def easier(results):
        results["results"][0]["testCase"]["assert"][0]["value"] = "anything"

    before, after = read_results(DATA / "promptfoo_old.json"), read_results(promptfoo(tmp_path, easier))
    assert before.samples[0].question != after.samples[0].question
    assert before.samples[1].question == after.samples[1].question


def test_lines_of_results_are_read_and_outputs_from_the_cache_are_reported(tmp_path):
    rows = json.loads((DATA / "promptfoo_old.json").read_text())["results"]["results"]
    rows[0]["response"]["cached"] = True
    (tmp_path / "results.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))

    found = read_results(tmp_path / "results.jsonl")
    assert [each.scores for each in found.samples] == [
        each.scores for each in read_results(DATA / "promptfoo_old.json").samples
    ]
    assert found.notes == ("1 of 40 outputs came from promptfoo's cache: their latency says little",)


# --- deepeval


def run_of(tmp_path, *cases: dict, **more):
    data = {"testCases": [{"name": "a", "input": "q", "metricsData": []} | case for case in cases], "testPassed": 1}
    (tmp_path / "run.json").write_text(json.dumps(data | more))
    return tmp_path / "run.json"


def metric(**more):
    return {"name": "Bias", "threshold": 0.5, "success": True, "score": 0.1} | more


def test_a_test_run_has_its_metrics_and_whether_it_passed():
    found = read_results(DATA / "deepeval_old.json")

    assert found.metrics == ("Exact Match", "Close", "pass")
    assert found.lower == {}
    assert found.samples[2].passed == {"Exact Match": False, "Close": True}
    assert found.samples[2].reasons["Exact Match"].startswith("The actual and expected outputs are")


def test_an_error_of_a_metric_leaves_it_and_the_case_without_a_score():
    found = read_results(DATA / "deepeval_errors.json").by_id["sum-004"][0]

    assert found.scores == {"Exact Match": 0.0, "Close": None, "pass": None}
    assert "invalid literal for int()" in found.reasons["Close"]


def test_a_metric_that_passes_below_its_threshold_is_one_of_which_less_is_better(tmp_path):
    below = [{"metricsData": [metric()]}, {"name": "b", "metricsData": [metric(score=0.9, success=False)]}]
    assert read_results(run_of(tmp_path, *below)).lower == {"Bias": "it passes below its threshold"}

    above = [{"metricsData": [metric(success=False)]}]
    assert read_results(run_of(tmp_path, *above)).lower == {}


def test_names_of_several_questions_are_no_ids(tmp_path):
    found = read_results(run_of(tmp_path, {"success": True}, {"input": "other", "success": False}))

    assert [each.id for each in found.samples] == ["0", "1"]
    assert found.by_place
    assert found.notes == ("several test cases of one name: they are paired by their place",)


def test_a_conversation_is_read(tmp_path):
    turns = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yes?"}]
    talk = {"name": "t", "success": True, "metricsData": [metric()], "turns": turns, "scenario": "a greeting"}
    found = read_results(run_of(tmp_path, conversationalTestCases=[talk]))

    assert (found.samples[0].input, found.samples[0].scores) == ("a greeting", {"Bias": 0.1, "pass": 1.0})


def test_two_metrics_of_one_name_are_two(tmp_path):
    found = read_results(run_of(tmp_path, {"metricsData": [metric(), metric(score=0.2)]}))

    assert found.samples[0].scores == {"Bias": 0.1, "Bias 2": 0.2, "pass": None}


def test_a_test_case_that_is_none_is_refused(tmp_path):
    (tmp_path / "run.json").write_text('{"testCases": [3], "testPassed": 1}')

    with pytest.raises(Unreadable, match="whose test cases have a name, found 3 as number 1"):
        read_results(tmp_path / "run.json")


def test_more_of_a_metric_that_passes_above_its_threshold_is_better_and_one_that_always_passes_is_unknown(tmp_path):
    counted = [{"name": "counted", "threshold": 0.5, "success": True, "score": score} for score in (0.1, 0.9)]
    both = [{"metricsData": [metric(success=False), each]} for each in counted]
    found = read_results(run_of(tmp_path, both[0], both[1] | {"name": "b"}))

    assert found.higher == {"pass": "as deepeval says", "Bias": "it passes above its threshold"}
    assert found.lower == {}


def asserted(tmp_path, *parts: tuple[str, bool, float], success: bool = True, components: bool = True):
    """The metrics of which more is better by what assertions of one test came to: metric, passed, score."""
    checks = [{"type": "javascript", "metric": name} for name, _, _ in parts]
    told = [
        {"pass": passed, "score": score, "assertion": check}
        for (_, passed, score), check in zip(parts, checks, strict=True)
    ]
    row = {"testIdx": 0, "promptIdx": 0, "vars": {"q": "1"}, "success": success, "score": 1, "latencyMs": 1,
           "testCase": {"assert": checks}, "gradingResult": {"componentResults": told if components else []},
           "namedScores": {name: score for name, _, score in parts} | {"from a script": 1}}  # fmt: skip
    (tmp_path / "f.jsonl").write_text(f"{json.dumps(row)}\n")
    return set(read_results(tmp_path / "f.jsonl").higher) - {"pass", "score"}


@pytest.mark.parametrize(("parts", "better"), [
    ([("toxicity", True, 1)], {"toxicity"}),
    ([("m", False, 0)], {"m"}),
    ([("m", True, 0.8), ("m", False, 0.75)], {"m"}),
    ([("two", True, 1), ("two", False, 0), ("pass", True, 1)], {"two", "metric pass"}),
    ([("failed", True, 0), ("wrong", False, 1)], set()),
    ([("failed", True, 1), ("failed", True, 0)], set()),
    ([("toxic", True, 0.2), ("toxic", False, 0.8)], set()),
    ([("logged", True, 0.2), ("logged", True, 0.4)], set()),
])  # fmt: skip
def test_more_of_what_assertions_give_is_better_where_all_that_pass_lie_above_all_that_fail(tmp_path, parts, better):
    assert asserted(tmp_path, *parts) == better


def test_where_the_assertions_are_left_out_only_a_result_that_passed_says_something(tmp_path):
    assert asserted(tmp_path, ("a", True, 1), ("b", True, 0), components=False) == {"a"}
    assert asserted(tmp_path, ("a", True, 1), ("b", False, 0), success=False, components=False) == set()


def test_one_provider_of_a_file_is_read_by_its_label_or_its_id(tmp_path):
    both = two_providers(tmp_path / "f.json")
    assert (read_results(both).columns, len(read_results(both).samples)) == (("old", "new"), 80)

    for name, kind in (("old", "old"), ("scripted:new", "worse")):
        found, alone = read_results(both, name), read_results(DATA / f"promptfoo_{kind}.json")
        assert [(each.id, each.scores) for each in found.samples] == [(each.id, each.scores) for each in alone.samples]
        assert found.model == f"scripted:{'old' if name == 'old' else 'new'}"
        assert found.name == f"{name}={alone.name.replace(str(alone.path), str(both))}"


def test_prompts_of_one_provider_have_names_too_and_without_labels_ids_are_the_names(tmp_path):
    value = json.loads(two_providers(tmp_path / "f.json", labels=("", "")).read_text())
    assert read_results(tmp_path / "f.json").columns == ("scripted:0", "scripted:1")
    for row in value["results"]["results"]:
        row["provider"] = "one"
        row["prompt"]["label"] = ["long", "short"][row["promptIdx"]]
    (tmp_path / "f.json").write_text(json.dumps(value))

    assert read_results(tmp_path / "f.json").columns == ("long", "short")
    assert [each.id for each in read_results(tmp_path / "f.json", "short").samples][:2] == ["0", "1"]


def test_two_prompts_of_a_provider_are_paired_with_those_of_the_other(tmp_path):
    value = json.loads(two_providers(tmp_path / "f.json").read_text())
    rows = value["results"]["results"]
    value["results"]["results"] = [row | {"promptIdx": row["promptIdx"] + 2 * n} for row in rows for n in (0, 1)]
    (tmp_path / "f.json").write_text(json.dumps(value))
    old, new = (read_results(tmp_path / "f.json", name) for name in ("old", "new"))

    assert [each.id for each in old.samples][:4] == ["0-0", "0-1", "1-0", "1-1"]
    assert [each.id for each in old.samples] == [each.id for each in new.samples]


def test_a_provider_that_is_not_there_or_twice_is_refused(tmp_path):
    both = two_providers(tmp_path / "f.json")
    with pytest.raises(
        Unreadable, match="expected one provider or prompt 'nw' in it, found old, new; did you mean 'new"
    ):
        read_results(both, "nw")
    twice = two_providers(tmp_path / "f.json", provider={"id": "one", "label": ""}, prompt={"raw": "x"})
    assert read_results(twice).columns == ()
    with pytest.raises(Unreadable, match="found one"):
        read_results(twice, "old")
    value = json.loads(two_providers(tmp_path / "f.json").read_text())
    for row in value["results"]["results"]:
        row["provider"]["id"] = "one"
    both.write_text(json.dumps(value))
    with pytest.raises(Unreadable, match="found 2 providers of that name"):
        read_results(both, "one")
    with pytest.raises(Unreadable, match="for x names a provider in it, found results of deepeval"):
        read_results(DATA / "deepeval_old.json", "x")


def test_a_file_whose_name_has_an_equals_sign_is_read_by_its_whole_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("lr=1.json", "1.json"):
        (tmp_path / name).write_text("{}")

    assert named_file("lr=1.json") == NamedFile(Path("lr=1.json"))
    assert named_file("a=b:c=lr=1.json") == NamedFile(Path("lr=1.json"), "a=b:c")
    assert named_file("gpt=gone.json") == NamedFile(Path("gpt=gone.json"))
    assert str(named_file("x/y:z=1.json")) == "x/y:z=1.json"
