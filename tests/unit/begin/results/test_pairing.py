"""Two files, paired by id: what blocks, what is compared, and what is said of it."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.results import DATA, csv_file, log_of
from tunegate.harness.begin.results.directions import better_by_name, is_amount, is_lower_better
from tunegate.harness.begin.results.pairing import PairedFiles, pair_files, safe_names
from tunegate.harness.begin.results.read import read_results
from tunegate.harness.begin.results.samples import ResultFile, ScoredSample
from tunegate.harness.begin.results.settings import Settings, read_compare_settings
from tunegate.harness.core.errors import AuthoringError, Refused, UsageError


def file_of(scores: dict[str, object], name: str = "f", **more: object) -> ResultFile:
    """A file of a metric `m`, or of the metrics that each id has."""
    samples = tuple(
        ScoredSample(each, value if isinstance(value, dict) else {"m": value}) for each, value in scores.items()
    )
    names = {each for sample in samples for each in sample.scores} - more.get("lower", {}).keys()
    return ResultFile(Path(name), "CSV", samples, **{"higher": dict.fromkeys(names, "said"), **more})


def paired(old: dict[str, object], new: dict[str, object], settings: Settings | None = None, **more) -> PairedFiles:
    return pair_files(file_of(old, "old", **more), file_of(new, "new", **more), settings or Settings())


def test_ids_that_new_lacks_block_and_are_named():
    found = paired({f"a{n}": 1 for n in range(20)}, {f"a{n}": 1 for n in range(3, 20)})
    assert found.problems == {"m": "3 ids of OLD are missing in NEW: a0, a1, a2"}

    found = paired({f"a{n}": 1 for n in range(20)}, {"a19": 1})
    assert found.problems == {"m": "19 ids of OLD are missing in NEW: a0, a1, a2 and 16 more"}
    assert paired({"a": 1, "b": 1}, {"b": 1}).problems == {"m": "1 id of OLD is missing in NEW: a"}


def test_ids_only_in_new_are_listed_and_not_compared():
    found = paired({"a": 1}, {"a": 1, "b": 0})

    assert found.problems == {}
    assert "1 id is only in NEW and not compared: b" in found.notes
    assert list(found.after) == ["a"]


def test_an_id_without_a_score_blocks_on_either_side():
    assert paired({"a": 1, "b": 1}, {"a": None, "b": 1}).problems == {"m": "NEW has no score of 1 id: a"}
    assert paired({"a": None, "b": 1}, {"a": 1, "b": 1}).problems == {"m": "OLD has no score of 1 id: a"}


def test_a_metric_that_new_lacks_blocks_and_one_that_only_new_has_does_not():
    found = paired({"a": {"m": 1, "n": 1}}, {"a": {"m": 1, "o": 1}})

    assert found.problems == {"n": "NEW does not have this metric"}
    assert found.metrics == ("m", "n")
    assert "only in NEW and not compared: o" in found.notes


def test_a_repeat_that_is_gone_or_added_blocks():
    old = file_of({"a": 1, "b": 1})
    twice = replace(old, samples=old.samples * 2)
    assert pair_files(twice, replace(twice, samples=twice.samples[1:]), Settings()).problems == {
        "m": "1 id has another number of samples in NEW than in OLD: a"
    }
    assert pair_files(old, replace(old, samples=(*old.samples, old.samples[0])), Settings()).problems == {
        "m": "1 id has another number of samples in NEW than in OLD: a"
    }
    # as many of each id, on purpose
    assert pair_files(twice, old, Settings()).problems == {}
    assert pair_files(old, twice, Settings()).problems == {}


def test_samples_of_one_id_are_said_to_be_one_case():
    old = file_of({"a": 1, "b": 1})
    found = pair_files(replace(old, samples=(*old.samples, old.samples[0])), old, Settings())

    assert "1 id has several samples (a): they are one case, with their mean" in found.notes


def test_other_questions_block(tmp_path):
    old, new = (read_results(log_of(tmp_path / name, {"a": 1, "b": 1, "c": 0})) for name in ("old", "new"))
    log = json.loads((tmp_path / "new").read_text())
    log["samples"][1]["input"], log["samples"][2]["target"] = "easier", "y"
    (tmp_path / "new").write_text(json.dumps(log))
    assert pair_files(old, new, Settings()).problems == {}

    says = "the questions changed: the inputs, expected outputs or groups of 2 ids differ: b, c"
    assert pair_files(old, read_results(tmp_path / "new"), Settings()).problems == {"accuracy": says}


def test_an_input_that_new_leaves_out_blocks(tmp_path):
    (tmp_path / "old.csv").write_text("id,input,score\na,one,1\n")
    old, new = read_results(tmp_path / "old.csv"), read_results(csv_file(tmp_path / "new.csv", {"a": 1}, "score"))

    assert "the questions changed" in pair_files(old, new, Settings()).problems["score"]
    assert pair_files(new, old, Settings()).problems == {}


def test_a_test_that_was_inserted_is_explained(tmp_path):
    data = json.loads((DATA / "promptfoo_old.json").read_text())
    for place, row in enumerate(data["results"]["results"]):
        row["testIdx"] = place + 1
    (tmp_path / "new").write_text(json.dumps(data))
    found = pair_files(read_results(DATA / "promptfoo_old.json"), read_results(tmp_path / "new"), Settings())

    assert "1 id of OLD is missing in NEW: 0; the questions changed" in found.problems["exact"]
    assert "its ids are places" in found.problems["exact"]


def test_one_id_with_several_questions_is_refused(tmp_path):
    (tmp_path / "a.csv").write_text("id,input,s\na,one,1\na,two,1\n")
    file = read_results(tmp_path / "a.csv")

    with pytest.raises(Refused, match="expected one input for each id, found several of a; give each its own id"):
        pair_files(file, file, Settings())


def test_two_tools_and_two_sets_of_ids_are_refused(tmp_path):
    csv = read_results(csv_file(tmp_path / "a.csv", {"x": 1}))
    with pytest.raises(Refused, match=r"expected results of CSV, as .* holds, found those of deepeval"):
        pair_files(csv, read_results(DATA / "deepeval_old.json"), Settings())
    with pytest.raises(Refused, match="expected ids of old, found none of them: a and b"):
        paired({"a": 1}, {"b": 1})


def test_files_without_a_metric_are_refused():
    with pytest.raises(Refused, match="expected a metric with a score for each sample, found none"):
        paired({"a": {}}, {"a": {}})
    with pytest.raises(Refused, match=r"not compared: bleu \(a list\)"):
        paired({"a": {}}, {"a": {}}, left_out={"bleu": "a list"})


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [([0, 1], [1, 1], "pass/fail"), ([0.2, 1], [1, 0], "pass/fail"), ([0.2, 1.0000001], [1.01, 0], "pass/fail"),
     ([-0.5, 1], [0, 1], "continuous"), ([3, 4], [5, 6], "continuous"), ([3, 4], [0, 1], "continuous")],
)  # fmt: skip
def test_the_kind_follows_from_the_scores_of_old(old, new, kind):
    found = paired(dict(zip("ab", old, strict=True)), dict(zip("ab", new, strict=True)))

    assert found.kinds == {"m": kind}


def test_a_score_of_new_outside_of_0_to_1_takes_no_margin_from_a_metric():
    found = paired({"a": 1, "b": 0}, {"a": 1.5, "b": 0})

    assert found.problems == {"m": "the scores of OLD lie from 0 to 1, and NEW has others: a"}


def test_new_does_not_turn_a_metric_round():
    old, new = file_of({"a": 1}), file_of({"a": 1}, lower={"m": "its file says so"})

    says = "NEW says that less is better (its file says so) and OLD does not: use --better m=lower"
    assert pair_files(old, new, Settings()).problems == {"m": says}
    assert pair_files(old, new, read_compare_settings(None, [], ["m=lower"])).problems == {}
    turned = pair_files(new, replace(old, higher={"m": "its file says so"}), Settings())
    assert turned.lower == {"m": "its file says so"}
    assert turned.problems == {"m": says.replace("less", "more").replace("m=lower", "m=higher")}


def test_two_tasks_and_files_without_inputs_are_said():
    notes = pair_files(replace(file_of({"a": 1}), task="x"), file_of({"a": 1}), Settings()).notes

    assert "the tasks have two names: x and none" in notes
    assert "no inputs in OLD and NEW: whether the questions are the same cannot be checked" in notes


def test_an_amount_is_no_share_however_small_it_is():
    found = paired({"a": {"cost": 0.001}}, {"a": {"cost": 0.9}}, amounts=frozenset({"cost"}), lower={"cost": "x"})

    assert found.kinds == {"cost": "continuous"}
    assert "cost: less is better (x), so its negative is compared" in found.notes
    assert "cost: shown and not gated, since it has no bounds and no margin" in found.notes


def test_what_is_declared_counts_whatever_the_name_or_the_file_says(tmp_path):
    both = ({"a": {"toxic": 0, "wer": 1}}, {"a": {"toxic": 1, "wer": 1}})
    assert paired(*both, higher={"toxic": "x"}).lower == {"wer": "by its name"}
    declared = read_compare_settings(None, [], ["toxic=lower"])
    assert paired(*both, declared, higher={}).lower == {"wer": "by its name", "toxic": "as declared"}

    (tmp_path / "p.yaml").write_text("better: {toxic: lower, wer: higher}\n")
    assert paired(*both, read_compare_settings(tmp_path / "p.yaml", [], [])).lower == {"toxic": "as declared"}
    over = read_compare_settings(tmp_path / "p.yaml", [], ["toxic=higher"])
    assert paired(*both, over).lower == {}


@pytest.mark.parametrize(
    "name", ["failed", "wrong", "refusals", "errors", "incorrect", "num_correct_refusals", "risk_score", "is_long",
             "drop in accuracy", "s", "", "hallucinated", "score 2"],
)  # fmt: skip
def test_a_metric_of_which_nothing_says_what_is_better_is_asked_for(name):
    both = ({"a": {name: 0, "accuracy": 1}}, {"a": {name: 1, "accuracy": 1}})
    with pytest.raises(UsageError) as refused:
        paired(*both, higher={})
    assert f"expected to know whether more or less of {name} is better" in str(refused.value)
    assert f"add --better {shlex.quote(f'{name}=higher|lower')}" in str(refused.value)
    told = read_compare_settings(None, [], [f"{name or 'x'}=lower"])
    if name:
        assert paired(*both, told, higher={}).lower == {name: "as declared"}


def test_every_such_metric_is_named_at_once_and_one_that_gates_nothing_is_not_asked_for():
    both = ({"a": {"failed": 0, "it's": 1, "length": 90}},) * 2
    with pytest.raises(
        UsageError, match=r"less of failed, it's is better.*add --better 'failed=higher\|lower' --better"
    ):
        paired(*both, higher={})
    known = ["failed=lower", "it's=higher"]
    found = paired(*both, read_compare_settings(None, [], known), higher={})
    assert "length: shown and not gated, since it has no bounds and no margin" in found.notes
    with pytest.raises(UsageError, match="more or less of length is better"):
        paired(*both, read_compare_settings(None, ["length=5"], known), higher={})


@pytest.mark.parametrize(
    "name", ["accuracy", "acc", "Exact Match", "exact_match", "f1", "F1 Score", "is_correct", "pass_rate",
             "pass@1", "rougeL", "score"],
)  # fmt: skip
def test_more_of_a_well_known_share_is_better(name):
    assert better_by_name(name) == "higher"


@pytest.mark.parametrize("name", ["latency", "latencyMs", "latency_ms", "Latency (ms)", "total_cost", "perplexity"])
def test_a_well_known_amount(name):
    assert is_amount(name)
    assert is_lower_better(name)


@pytest.mark.parametrize("name", ["accuracy", "cost_efficiency", "exact_match", "f1", "loss_avoided", "time saved", ""])
def test_what_only_resembles_one_is_none(name):
    assert not is_lower_better(name)


@pytest.mark.parametrize("name", ["wer", "error_rate", "ErrorRate", "brier_score", "toxicity"])
def test_a_well_known_share_of_errors(name):
    assert is_lower_better(name)
    assert not is_amount(name)


def test_a_derived_metric_that_repeats_another_is_left_out_unless_it_is_named():
    both = ({"a": {"pass": 1, "m": 1}, "b": {"pass": 0, "m": 0}}, {"a": {"pass": 1, "m": 1}, "b": {"pass": 1, "m": 1}})
    found = paired(*both, derived=("pass",))
    assert found.metrics == ("m",)
    assert "pass is left out: it says of every sample what m says" in found.notes
    assert paired(*both, Settings(targets=frozenset({"pass"})), derived=("pass",)).metrics == ("pass", "m")
    other = {"a": {"pass": 1, "m": 1}, "b": {"pass": 0, "m": 1}}
    assert paired(both[0], other, derived=("pass",)).metrics == ("pass", "m")


def test_files_that_seem_swapped_or_equal_are_said():
    old, new = (replace(file_of({"a": 1}), made=made) for made in ("2026-02-01", "2026-01-01"))
    notes = pair_files(old, new, Settings()).notes

    assert "NEW was made before OLD (2026-01-01, 2026-02-01): are they swapped?" in notes
    assert "both files hold the same samples" in notes


def test_ids_are_shown_harmless_and_short():
    found = paired({"\x1b[2J": 1, "x" * 500: 1, "a": 1}, {"a": 1})

    assert found.problems["m"] == f"2 ids of OLD are missing in NEW: \\x1b[2J, {'x' * 60}..."


def test_names_of_a_record_differ_where_ids_do():
    raw = ["a", "a/b", "a\u2215b", "\x1b", "\\x1b", "", "1", "01", "a (2)"]
    found = safe_names(raw)

    assert list(found) == raw
    assert len(set(found.values())) == len(raw)
    assert not [name for name in found.values() if "/" in name or not name.isprintable()]


# --- settings


@pytest.mark.parametrize(
    ("margins", "says"),
    [(["5"], "found 5; .05 is five points"), (["m=x"], "or METRIC=NUMBER, found m=x"), (["m=-1"], "found m=-1"),
     (["m=.1", "m=.9"], "one for each metric, found several for m"), ([".1", ".9"], "found several for all of them"),
     (["nan"], "found nan"), (["m=inf"], "found m=inf"), (["0"], "found 0"), ([""], "found ;")],
)  # fmt: skip
def test_a_margin_that_is_none_is_a_usage_error(margins, says):
    with pytest.raises(UsageError) as refused:
        read_compare_settings(None, margins, [])
    assert says in str(refused.value)


def test_margins_are_of_all_or_of_one_and_an_option_wins(tmp_path):
    (tmp_path / "p.yaml").write_text("margin: .1\nmargins: {m: .2, n: 3}\n")
    found = read_compare_settings(tmp_path / "p.yaml", ["m=.3", "a=b=4"], [])
    policy = found.policy({"m": "pass/fail", "n": "continuous", "o": "pass/fail", "p": "continuous"})

    assert {name: each.margin for name, each in policy.units.items()} == {"m": 0.3, "n": 3, "o": 0.1, "p": None}
    assert found.margins["a=b"] == 4


@pytest.mark.parametrize(
    ("settings", "says"),
    [(read_compare_settings(None, ["n=.1"], []), "--margin: expected a metric of the files (m), found n"),
     (read_compare_settings(None, [], ["mm=lower"]), "--better: expected a metric of the files (m), found mm; did"),
     (read_compare_settings(None, ["m=5"], []), "--margin m: expected a share below 1, found 5; .05 is five points")],
)  # fmt: skip
def test_an_option_that_does_not_fit_the_files_is_a_usage_error(settings, says):
    with pytest.raises(UsageError) as refused:
        paired({"a": 1}, {"a": 1}, settings)
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("margins: {nn: .1}", "p.yaml:1: margins.nn: expected a metric of the files (m, n), found 'nn'"),
        ("margin: .1\ntargets: [o]", "p.yaml:2: targets[0]: expected a metric of the files (m, n), found 'o'"),
        ("margins:\n  m: 5", "p.yaml:2: margins.m: expected a share below 1, for m has scores from 0 to 1, found 5"),
        (
            "minimum: {n: .5}",
            "p.yaml:1: minimum.n: expected a metric with scores from 0 to 1, found one without bounds",
        ),
        ("minimum: {m: .5}\nbetter: {m: lower}", "found one of which less is better"),
        ("margin: 5", "p.yaml:1: margin: expected a share above 0 and below 1: .05 is five points, found 5"),
        ("margins: {m: 0}", "p.yaml:1: margins.m: expected"),
        ("margns: {m: .1}", "p.yaml:1: margns: expected one of the keys"),
        ("targets: m", "p.yaml:1: targets: expected a list, found 'm'"),
        ("- m", "p.yaml:1: expected a mapping"),
        ("margins: {m: .1", "p.yaml:1"),
    ],
)
def test_a_mistake_in_a_policy_file_is_refused_with_its_line(tmp_path, monkeypatch, text, says):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.yaml").write_text(text)
    both = {"a": {"m": 1, "n": 7}}
    with pytest.raises(AuthoringError) as refused:
        paired(both, both, read_compare_settings(Path("p.yaml"), [], []))
    assert says in str(refused.value)


def test_a_policy_file_of_ten_lines(tmp_path):
    (tmp_path / "p.yaml").write_text(
        "margin: .04\nmargins:\n  m: .03\n  n: 200\ntargets: [m]\nminimum:\n  m: .7\ncollapse: {n: .1}\n"
        "better:\n  n: lower\n"
    )
    both = {"a": {"m": 1, "n": 7}}
    found = paired(both, both, read_compare_settings(tmp_path / "p.yaml", [], []))
    policy = found.settings.policy(found.kinds)

    assert (policy.units["m"].role, policy.units["m"].margin, policy.units["m"].minimum_score) == ("target", 0.03, 0.7)
    assert (policy.units["n"].role, policy.units["n"].margin, policy.units["n"].collapse) == ("guard", 200, 0.1)
