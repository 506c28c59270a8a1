"""The labels file: what is appended stays, the last line of a person counts, and people who differ settle nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunegate.harness.cases.snapshot import input_digest
from tunegate.harness.cases.traffic.labels import Label, Labels, append_label, read_labels
from tunegate.harness.core.errors import AuthoringError, CouldNotRun

INPUT, AT = input_digest("Where is my order?"), "2026-11-30T09:00:00Z"
FILE = Path("production.labels.jsonl")


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def label(right: bool | None, by: str = "anna", adjudicates: bool = False, output: str = '{"a":1}') -> Label:
    return Label(INPUT, output, right, by, AT, adjudicates=adjudicates)


def labels(*lines: Label) -> Labels:
    return Labels(lines)


SAYS = {
    "nobody": ([], None),
    "one person": ([label(True)], True),
    "her last line": ([label(True), label(False)], False),
    "a withdrawal": ([label(True), label(None)], None),
    "a label after a withdrawal": ([label(True), label(None), label(False)], False),
    "two who agree": ([label(False), label(False, "ben")], False),
    "two who differ": ([label(True), label(False, "ben")], None),
    "two who differ, one withdraws": ([label(True), label(False, "ben"), label(None, "ben")], True),
    "an adjudication, before or after": ([label(True, "cleo", True), label(True), label(False, "ben")], True),
    "a person who adjudicates her own": ([label(True), label(False, "ben"), label(False, "anna", True)], False),
    "an adjudication against everybody": ([label(True), label(False, "cleo", True)], False),
    "an adjudication that is withdrawn": ([label(True), label(False, "cleo", True), label(None, "cleo", True)], True),
    "adjudications that differ": ([label(True), label(True, "cleo", True), label(False, "dan", True)], None),
    "another output": ([label(True, output='{"a":2}')], None),
}


def test_what_lines_say_of_an_output():
    for name, (lines, right) in SAYS.items():
        assert labels(*lines).label_of(INPUT, '{"a":1}') is right, name


def test_what_is_disputed_is_what_people_labelled_and_has_no_label():
    disputed = {name for name, (lines, _) in SAYS.items() if labels(*lines).disputed}

    assert disputed == {"two who differ", "adjudications that differ"}


def test_an_adjudication_leaves_the_agreement_as_it_was():
    before = labels(label(True), label(False, "ben"), label(True, output="x"), label(True, "ben", output="x"))
    after = labels(*before.lines, label(True, "ben", True), label(True, "cleo", True))

    assert after.agreements() == before.agreements()
    assert {who: (of.count, of.differing) for who, of in after.agreements().items()} == {("anna", "ben"): (2, 1)}


def test_a_context_and_the_order_of_keys_are_what_an_input_is_named_by():
    turn, other = {"role": "user", "content": "hi"}, {"content": "hi", "role": "user"}

    assert input_digest([turn]) == input_digest([other])
    assert len({input_digest("hi"), input_digest([turn]), input_digest("hi", "context")}) == 3
    assert input_digest("hi", "") == input_digest("hi")


TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


@given(st.lists(st.tuples(TEXTS, st.sampled_from([True, False, None]), TEXTS, st.booleans()), max_size=5))
def test_what_is_appended_is_read_whatever_it_says(tmp_path_factory, given_lines):
    file = tmp_path_factory.mktemp("labels") / "some.jsonl"
    lines = [Label(INPUT, output, right, "anna", AT, *more) for output, right, *more in given_lines]
    for line in lines:
        append_label(file, line)

    assert read_labels(file) == Labels(tuple(lines))


def test_a_kill_at_any_byte_costs_at_most_the_line_that_was_written():
    first, second = label(True), label(False, "bén", output="\u2028\n{")
    whole, bytes_after = first.line, len(second.line)
    for cut in range(1, bytes_after):
        FILE.write_text(whole + second.line[:cut])

        found = read_labels(FILE)
        append_label(FILE, label(True, "cleo"))

        note = f"{FILE}:2: the last line is cut off, as by a kill, and is skipped"
        # without its line break alone the line is whole
        assert found == (Labels((first, second)) if cut == bytes_after - 1 else Labels((first,), (note,))), cut
        assert read_labels(FILE) == Labels((*found.lines, label(True, "cleo"))), cut


def test_what_an_editor_left_stays():
    FILE.write_bytes(b"\xef\xbb\xbf" + label(True).line.encode().replace(b"\n", b"\r\n") + b"\r\n")
    append_label(FILE, label(False, "ben"))

    assert read_labels(FILE).lines == (label(True), label(False, "ben"))


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_only_a_torn_line_is_cut_whatever_ends_the_lines(start, ends):
    one, two, cleo, torn = label(True), label(False, "ben"), label(None, "cleo"), '{"input": "sha2'
    whole = start + one.line.strip(), start + one.line.strip() + ends + two.line.strip()
    for text in (*whole, start + torn, *(each + ends + more for each in whole for more in ("", torn))):
        FILE.write_bytes(text.encode())
        found, kept = read_labels(FILE), text.removesuffix(torn)
        append_label(FILE, cleo)

        assert found.lines == (one, two)[: kept.count('"by"')]
        assert FILE.read_bytes().startswith(kept.encode()), repr(text)
        assert read_labels(FILE) == Labels((*found.lines, cleo)), repr(text)


def test_all_mistakes_are_named_with_their_lines():
    good = label(True).line
    lines = [
        good, "{", good.replace("true", "1"), good.replace("sha256:", ""), good.replace("anna", " "),
        good.replace('"at"', '"when"'), "[]", good.replace(AT, "yesterday"),
        good.replace("true", 'true, "right": true'),
    ]  # fmt: skip
    FILE.write_text("\n".join(line.strip() for line in lines) + "\n")

    with pytest.raises(AuthoringError) as refused:
        read_labels(FILE)

    assert {problem.line for problem in refused.value.problems} == set(range(2, 10))
    assert f"{FILE}:3: right: expected true or false or nothing, found 1" in str(refused.value)


def test_a_missing_file_holds_nothing_and_a_broken_link_is_refused(tmp_path):
    assert read_labels(FILE) == Labels()

    FILE.symlink_to(tmp_path / "nowhere")
    with pytest.raises(AuthoringError, match="a broken link"):
        read_labels(FILE)


def test_nothing_is_appended_through_a_link_or_into_a_folder(tmp_path):
    target = tmp_path / "other.jsonl"
    target.write_text("kept")
    FILE.symlink_to(target)
    Path("folder").mkdir()

    for path in (FILE, Path("folder"), Path("no/such/folder.jsonl")):
        with pytest.raises(CouldNotRun, match=f"{path}: the label could not be appended"):
            append_label(path, label(True))
    assert target.read_text() == "kept"
