"""One question under several ids is one observation, whichever tool wrote the file."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tunegate.harness.begin.results.observations import observations_of, together
from tunegate.harness.begin.results.pairing import PairedFiles, pair_files
from tunegate.harness.begin.results.project import compare_supplied
from tunegate.harness.begin.results.read import read_results
from tunegate.harness.begin.results.settings import Settings
from tunegate.harness.core.errors import Refused
from tunegate.harness.models.evaluation.verdict import UnitVerdict

Row = tuple[str, str, int]  # an id, an input, a score
REPEATS = 10
SCORES = {"old": [1] * 20, "same": [1] * 20, "one worse": [0] + [1] * 19, "worse": [0] * 12 + [1] * 8,
          "better and worse": [0, 0] + [1] * 18}  # fmt: skip


def csv(path: Path, rows: Sequence[Row]) -> None:
    path.write_text("id,input,accuracy\n" + "".join(f"{name},{asked},{score}\n" for name, asked, score in rows))


def inspect(path: Path, rows: Sequence[Row]) -> None:
    samples = [
        {"id": name, "epoch": 1, "input": [{"id": name, "role": "user", "content": asked}], "target": "x",
         "scores": {"match": {"value": "C" if score else "I"}}}
        for name, asked, score in rows
    ]  # fmt: skip
    path.write_text(json.dumps({"status": "success", "eval": {"task": "t"}, "samples": samples}))


def deepeval(path: Path, rows: Sequence[Row]) -> None:
    cases = [
        {"name": name, "input": asked, "success": bool(score),
         "metricsData": [{"name": "M", "threshold": 0.5, "success": bool(score), "score": score}]}
        for name, asked, score in rows
    ]  # fmt: skip
    path.write_text(json.dumps({"testCases": cases, "testPassed": 1}))


def promptfoo(path: Path, rows: Sequence[Row]) -> None:
    results = [
        {"testIdx": place, "promptIdx": 0, "vars": {"id": name, "question": asked}, "prompt": {"raw": f"Say: {asked}"},
         "success": bool(score), "score": score, "latencyMs": 1}
        for place, (name, asked, score) in enumerate(rows)
    ]  # fmt: skip
    path.write_text("".join(f"{json.dumps(each)}\n" for each in results))


def lm_eval(path: Path, rows: Sequence[Row]) -> None:
    lines = [
        {"doc_id": place, "doc": {"id": name, "question": asked}, "target": "x", "resps": [], "metrics": ["acc"],
         "arguments": {"gen_args_0": {"arg_0": f"Q: {asked}\nA:", "arg_1": " x"}}, "acc": score}
        for place, (name, asked, score) in enumerate(rows)
    ]  # fmt: skip
    path.write_text("".join(f"{json.dumps(each)}\n" for each in lines))


READERS = [csv, inspect, deepeval, promptfoo, lm_eval]
Write = Callable[[Path, Sequence[Row]], None]


def rows(scores: Sequence[int], repeats: int) -> list[Row]:
    return [
        (f"{number * repeats + repeat}", f"question {number}", score)
        for number, score in enumerate(scores)
        for repeat in range(repeats)
    ]


def pair(write: Write, folder: Path, old: Sequence[Row], new: Sequence[Row]) -> PairedFiles:
    write(folder / "old", old)
    write(folder / "new", new)
    return pair_files(read_results(folder / "old"), read_results(folder / "new"), Settings())


def first_verdict(found: PairedFiles) -> UnitVerdict:
    return next(iter(compare_supplied(found, "again").record.verdicts.values()))


@pytest.mark.parametrize("new", SCORES)
@pytest.mark.parametrize("write", READERS)
def test_twenty_questions_under_ten_ids_each_have_the_verdict_of_twenty(tmp_path, write, new):
    many = first_verdict(pair(write, tmp_path, rows(SCORES["old"], REPEATS), rows(SCORES[new], REPEATS)))
    once = first_verdict(pair(write, tmp_path, rows(SCORES["old"], 1), rows(SCORES[new], 1)))

    same = ("verdict", "base", "mean", "interval", "observations", "collapse_bound")
    assert [getattr(many, name) for name in same] == [getattr(once, name) for name in same]
    assert (many.observations, many.n) == (20, 200)


@pytest.mark.parametrize("write", READERS)
def test_the_number_of_questions_is_said(tmp_path, write):
    found = pair(write, tmp_path, rows(SCORES["old"], REPEATS), rows(SCORES["old"], REPEATS))

    assert found.observations.count == 20
    assert "200 ids, 20 questions: ids with the same input or group are one observation, with their mean" in found.notes


def ids_file(folder: Path, ids: Sequence[str], name: str = "ids.csv", column: str = "", cells: Sequence[str] = ()):
    header = f"id,{column},accuracy\n" if column else "id,accuracy\n"
    lines = [f"{each},{cells[place]},1\n" if column else f"{each},1\n" for place, each in enumerate(ids)]
    (folder / name).write_text(header + "".join(lines))
    return read_results(folder / name)


@pytest.mark.parametrize("pattern", [
    "q{q}_epoch_{r}", "q{q}#{r}", "q{q}/{r}", "q{q}-run{r}", "q{q} (repeat {r})", "what is {q} plus 2.Trial-{r}",
    "q{q}epoch{r}",
])  # fmt: skip
def test_ids_that_end_with_the_number_of_a_repeat_are_one_question(tmp_path, pattern):
    file = ids_file(tmp_path, [pattern.format(q=q, r=r) for q in range(20) for r in range(10)])
    found = pair_files(file, file, Settings())

    assert found.observations.count == 20
    assert "200 ids, 20 questions: ids that differ only in the number of a repeat are one observation" in str(
        found.notes
    )


@pytest.mark.parametrize("ids", [
    [f"q{n}" for n in range(200)], [f"sum-{n:03}" for n in range(200)], [f"HumanEval/{n}" for n in range(164)],
    [f"{name}#{n * 37}" for n, name in enumerate(["ours", "theirs"] * 30)],
    [f"test_run_{n}" for n in range(50)], [f"{n}" for n in range(50)], [f"{n * 7919 % 997}-{n}" for n in range(200)],
    [f"{n:08x}-{n * 77 % 65536:04x}" for n in range(99)], ["a_1", "b_2", "c_3"],
], ids=lambda ids: ids[0])  # fmt: skip
def test_other_ids_are_questions_of_their_own(tmp_path, ids):
    assert observations_of(ids_file(tmp_path, ids)).count == len(ids)


@pytest.mark.parametrize(("ids", "says"), [
    ([f"q{q}_{r}" for q in range(20) for r in range(10)], "each of q0, q1, q2 and 17 more goes with each of 0, 1, 2"),
    ([f"run{r}-q{q}" for q in range(20) for r in range(10)], "each of run0, run1, run2 and 7 more goes with each"),
    ([f"{c}_{n}" for c in ("billing", "refund") for n in range(20)][:-3], "each of billing, refund goes with each"),
    ([f"q{q}{r}" for q in range(20) for r in ("", "_b")], "goes with each of '', b"),
    ([f"q{q}{r}" for q in range(20) for r in "abc"], "each of q0, q1, q2 and 17 more goes with each of a, b, c"),
    ([f"q{q}#{r}" for q in range(20) for r in range(10)] + ["other"], "the number of a repeat, and other with none"),
])  # fmt: skip
def test_ids_that_may_be_repeats_are_asked_for(tmp_path, ids, says):
    with pytest.raises(Refused) as refused:
        observations_of(ids_file(tmp_path, ids))
    assert says in str(refused.value)
    assert "ids.csv: expected to know which ids ask the same question" in str(refused.value)
    assert "add to both files a column `input`, or `group`: the same for all ids of a question" in str(refused.value)


def test_a_column_says_which_ids_belong_together(tmp_path):
    ids = [f"q{q}_{r}" for q in range(4) for r in range(5)]

    assert observations_of(ids_file(tmp_path, ids, column="group", cells=ids)).count == 20
    assert observations_of(ids_file(tmp_path, ids, column="group", cells=[each[1] for each in ids])).count == 4
    # a row without a group stands alone
    ids = [f"q{n}" for n in range(20)]
    assert observations_of(ids_file(tmp_path, ids, column="group", cells=["x"] * 5 + [""] * 15)).count == 16


def test_ids_without_an_input_are_looked_at_where_others_have_one(tmp_path):
    repeats = [f"q{q}#{r}" for q in range(4) for r in range(5)]
    found = observations_of(ids_file(tmp_path, repeats, column="input", cells=["x"] * 5 + [""] * 15))
    assert (found.count, found.why) == (
        4, "with the same input or group or that differ only in the number of a repeat"
    )  # fmt: skip
    unclear = ids_file(tmp_path, [f"q{n // 5}_{n % 5}" for n in range(20)], "f", "input", ["x"] * 5 + [""] * 15)
    with pytest.raises(Refused, match="each of q1, q2, q3 goes with each of 0, 1, 2"):
        observations_of(unclear)


def test_new_has_the_groups_of_old(tmp_path):
    ids = [f"q{n}" for n in range(10)]
    plain, apart, pairs = (
        ids_file(tmp_path, ids, f"{column}{step}", column, [str(n // step) for n in range(10)])
        for column, step in (("", 1), ("group", 1), ("group", 2))
    )
    [why] = pair_files(apart, pairs, Settings()).problems.values()
    assert "the questions changed: the inputs, expected outputs or groups of 9 ids differ" in why
    [why] = pair_files(plain, pairs, Settings()).problems.values()
    assert why == "NEW has 5 questions under 10 ids, and OLD does not say so: name its inputs or groups, too"
    assert pair_files(plain, apart, Settings()).problems == {}


def test_what_shares_something_by_way_of_others_is_one():
    shared = {"a": ["x"], "b": ["y"], "c": [], "d": ["y", "x"], "e": ["z"], "x": []}

    assert together(shared) == {"a": "a", "b": "a", "c": "c", "d": "a", "e": "e", "x": "x"}


def test_other_choices_or_another_sandbox_are_another_question(tmp_path):
    inspect(tmp_path / "log", [(f"{n}", "which one?", 1) for n in range(6)])
    log = json.loads((tmp_path / "log").read_text())
    beside = [{"choices": ["a", "b"]}, {"choices": ["a", "c"]}, {"choices": ["b", "a"]}, {"sandbox": ["docker", "1"]}]
    for place, each in enumerate(beside):
        log["samples"][place].update(each)
    (tmp_path / "log").write_text(json.dumps(log))

    assert observations_of(read_results(tmp_path / "log")).count == 4


def test_a_prompt_without_variables_makes_no_tests_alike(tmp_path):
    promptfoo(tmp_path / "f", rows([1, 1, 1], 2))
    results = [
        json.loads(line) | {"prompt": {"raw": "a fixed one"}} for line in (tmp_path / "f").read_text().splitlines()
    ]
    for each in results:
        del each["vars"]["id"]
    (tmp_path / "f").write_text("".join(f"{json.dumps(each)}\n" for each in results))

    assert observations_of(read_results(tmp_path / "f")).count == 3
