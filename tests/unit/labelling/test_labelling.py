"""What one person is asked, what her keys write, and what is left after a kill; the terminal and the summary."""

from __future__ import annotations

import io
from collections import Counter
from pathlib import Path

import pytest

from tests.support.labelling import right_key, two_outputs
from tunegate.harness.cases.traffic.labels import Label, append_label, read_labels
from tunegate.harness.core.errors import AuthoringError
from tunegate.harness.core.printing import Printer
from tunegate.harness.labelling.labelling import Labelling
from tunegate.harness.labelling.questions import Question, read_questions
from tunegate.harness.labelling.summary import summary_lines
from tunegate.harness.labelling.terminal import label_in_terminal

FILE = Path("some.labels.jsonl")
TRUE, FALSE = '{"a":0,"ok":true}', '{"a":0,"ok":false}'


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def work(count: int = 3, by: str = "anna", **more: int | bool) -> Labelling:
    return Labelling(two_outputs(count), FILE, by, **more)


def press(labelling: Labelling, *keys: str) -> None:
    for key in keys:
        labelling.press(key, labelling.shown.turn)


def label_all(labelling: Labelling, most: int = 1_000) -> int:
    """Label what is left, rightly; returns the number of keys."""
    for count in range(most):
        if not labelling.shown.outputs:
            return count
        press(labelling, right_key(labelling.shown))
    return most


def test_a_key_says_it_of_each_output_wherever_it_is_shown():
    for key, said in {"1": None, "2": None, "3": [True, True], "0": [False, False]}.items():
        FILE.unlink(missing_ok=True)
        labelling = work(1)
        left = labelling.shown.outputs[0]
        press(labelling, key)

        labels = read_labels(FILE)
        found = {output: labels.label_of(sha, output) for sha, output in two_outputs(1)[0].pairs}
        assert list(found.values()) == said or found == {
            TRUE: ("true" in left) == (key == "1"), FALSE: ("true" not in left) == (key == "1")
        }  # fmt: skip


def test_sides_and_order_are_chance_and_stay_while_she_looks():
    firsts = Counter[str]()
    sides = Counter[bool]()
    for _ in range(200):
        labelling = work(4)
        assert labelling.shown == labelling.shown
        firsts[labelling.shown.turns[0][1]] += 1
        sides["true" in labelling.shown.outputs[0]] += 1

    assert len(firsts) == 4
    assert min(firsts.values()) > 20  # of 50 expected: below it with chance 1e-8
    assert 60 < sides[True] < 140


def test_the_order_of_the_lines_says_nothing_of_the_models():
    label_all(work(1))
    outputs = [line.output for line in read_labels(FILE).lines]

    assert outputs == sorted(outputs)
    assert two_outputs(1)[0].digest == Question("What is 0?", (FALSE, TRUE)).digest


def test_undo_and_skip():
    labelling = work()
    first = labelling.shown
    press(labelling, "3", "s", "u", "u")

    assert labelling.shown.outputs == first.outputs
    assert (labelling.shown.done, labelling.shown.skipped) == (0, 0)
    assert not read_labels(FILE).given("anna")
    press(labelling, "u")
    assert labelling.shown.said == "Nothing to undo."
    press(labelling, "s", right_key(labelling.shown), right_key(labelling.shown))
    assert (labelling.shown.outputs, labelling.shown.progress) == ((), "2 of 3 labelled, 1 skipped")
    press(labelling, "1")
    assert labelling.shown.said == "Nothing is left to label."
    assert sorted(work().shown.outputs) == sorted(first.outputs)  # it comes again


def test_a_key_for_another_screen_and_an_unknown_one_do_nothing():
    labelling = work()
    labelling.press("3", 7)
    press(labelling, "9", "4")

    assert labelling.shown.said == "'4' is no key here."
    assert not FILE.exists()


def test_after_a_kill_she_goes_on_and_can_undo_what_was_before():
    labelling = work()
    press(labelling, "3", "0")
    last = [line.pair for line in read_labels(FILE).lines][-1]
    again = work()
    assert again.shown.done == 2

    press(again, "u")

    assert (again.shown.done, read_labels(FILE).said_by("anna", last)) == (1, None)
    assert again.shown.turns[0][1] in {each.input for each in two_outputs(3) if last in each.pairs}


def test_a_question_of_which_a_kill_kept_one_half_is_asked_again():
    append_label(FILE, Label(*two_outputs(1)[0].pairs[0], right=False, by="anna"))
    labelling = work(1)
    assert labelling.shown.done == 0

    assert label_all(labelling) == 1
    assert read_labels(FILE).label_of(*two_outputs(1)[0].pairs[0]) is True


def test_people_share_the_work_and_do_some_of_it_twice():
    anna = work(10)
    label_all(anna, 6)

    assert work(10, "ben").shown.count == 4
    ben = work(10, "ben", double=3)
    assert 4 <= ben.shown.count <= 7
    label_all(ben)
    assert label_all(work(10, "anna", double=3)) == 7 - ben.shown.count
    assert work(10, "cleo", double=3).shown.count == 0
    assert work(10, "cleo", double=10).shown.count == 7
    given = [set(read_labels(FILE).given(by)) for by in ("anna", "ben")]
    assert (len(given[0] | given[1]), len(given[0] & given[1])) == (20, 6)


def test_what_people_label_differently_is_adjudicated_and_can_be_undone():
    label_all(work(3))
    ben = work(3, "ben", double=3)
    press(ben, "0")
    label_all(ben)
    sha_of_all = [pair for each in two_outputs(3) for pair in each.pairs]

    cleo = work(3, "cleo", adjudicates=True)
    assert cleo.shown.count == 1
    press(cleo, right_key(cleo.shown))
    assert all(read_labels(FILE).label_of(*pair) is ("true" in pair[1]) for pair in sha_of_all)
    press(cleo, "u")
    assert len(read_labels(FILE).disputed) == 1

    lines = list(summary_lines(two_outputs(3), read_labels(FILE)))
    assert lines == [
        "labelled: 2 of 3",
        "people differ on 1 question, which counts as not labelled: run this command with --adjudicate",
        "anna and ben both labelled 6 outputs and differ on 1 (16.7 %), Cohen's kappa 0.67; each errs on about 9.2 %, "
        "if both err independently and equally often",
    ]


def test_one_output_stands_beside_its_notes_and_json_is_readable():
    odd = Question([{"user": "a\u202eb"}, {"assistant": "b"}, {"user": "c"}], ('{"a":[1]}',), "ctx", "a note")
    shown = Labelling([odd], FILE, "anna").shown

    assert shown.turns == (("user", r"a\u202eb"), ("assistant", "b"), ("user", "c"))
    assert (shown.context, shown.notes) == ("ctx", "a note")
    assert shown.outputs == ('{\n  "a": [\n    1\n  ]\n}',)
    press(labelling := Labelling([odd], FILE, "anna"), "2", "0")
    assert (labelling.shown.done, read_labels(FILE).label_of(*odd.pairs[0])) == (1, False)


def test_the_terminal_asks_until_it_is_stopped():
    printed, keys = io.StringIO(), iter("?S3q")
    label_in_terminal(work(), Printer(file=printed, width=100), lambda: next(keys))

    text = printed.getvalue()
    assert [said in text for said in ("left", "right", "Right means", "Skipped.", "Saved: both.", "0 neither")] == [
        True
    ] * 6
    assert len(read_labels(FILE).lines) == 2


def test_the_terminal_ends_with_its_input():
    def ended() -> str:
        raise EOFError

    label_in_terminal(work(), Printer(file=io.StringIO()), ended)
    assert not FILE.exists()


def test_all_mistakes_of_questions_are_named_with_their_lines():
    lines = [
        '{"input": "a", "outputs": ["x", "y"]}', '{"input": "a", "outputs": ["y", "x"]}',
        '{"input": "b", "outputs": []}', '{"input": "b", "outputs": ["x", "x"]}',
        '{"input": " ", "outputs": ["x"]}', '{"input": "b", "output": "x"}',
        '{"input": [{"user": "a"}, {"assistant": "b"}], "outputs": ["x"]}', "no",
    ]  # fmt: skip
    Path("q.jsonl").write_text("\n".join(lines))
    with pytest.raises(AuthoringError) as refused:
        read_questions(Path("q.jsonl"))

    assert {problem.line for problem in refused.value.problems} == set(range(2, 9))
    Path("q.jsonl").write_text("\n")
    with pytest.raises(AuthoringError, match="at least one question"):
        read_questions(Path("q.jsonl"))
