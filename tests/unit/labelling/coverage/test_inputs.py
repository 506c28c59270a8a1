from __future__ import annotations

import json

import pytest

from tunegate.harness.core.errors import AuthoringError
from tunegate.harness.core.progress import quiet
from tunegate.harness.labelling.coverage.inputs import TAIL, compared_text, drawn, read_seen

TURNS = [{"user": "My card is lost."}, {"assistant": "Which?"}, {"user": "The blue one."}]


def written(tmp_path, *lines: object):
    path = tmp_path / "traffic.jsonl"
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines), "utf-8")
    return path


def test_equal_inputs_count_together(tmp_path):
    path = written(tmp_path, {"input": "a"}, {"id": 7, "input": TURNS, "context": "A bank."}, {"input": "a"})

    first, second = read_seen(path)

    assert (first.text, first.requests, first.input.context) == ("a", 2, None)
    assert (second.input.written, second.requests, second.input.context) == (TURNS, 1, "A bank.")
    assert second.text == "My card is lost.\nWhich?\nThe blue one.\nA bank."


def test_mistakes_name_every_line_and_never_what_is_in_it(tmp_path):
    secret = "john.miller@gmail.com"
    path = written(
        tmp_path, {"input": "a"}, {"prompt": secret}, {"input": [{"user": secret}, {"assistant": secret}]},
        {"input": "b", "context": {"of": secret}}, {"input": {secret: secret}}, secret,
    )  # fmt: skip

    with pytest.raises(AuthoringError) as found:
        read_seen(path)

    assert {each.line for each in found.value.problems} == {2, 3, 4, 5, 6}
    assert "john" not in str(found.value)


def test_an_empty_snapshot_is_refused(tmp_path):
    with pytest.raises(AuthoringError, match="expected at least one input, and at most 200,000, found none"):
        read_seen(written(tmp_path))


def test_the_same_inputs_are_drawn_and_private_ones_are_known(tmp_path):
    pytest.importorskip("detect_secrets")
    lines = [{"input": f"number {at}"} for at in range(30)] + [{"input": "I am john.miller@gmail.com"}]
    every = read_seen(written(tmp_path, *lines))

    whole = drawn(every, 100, quiet())
    assert [each.text for each in whole if each.private] == ["I am john.miller@gmail.com"]
    few = drawn(every, 10, quiet())
    assert few == drawn(every, 10, quiet())
    assert len(few) == 10


def test_a_conversation_is_compared_by_its_end():
    assert compared_text("x" * 2 * TAIL) == "x" * 2 * TAIL
    long = compared_text([{"user": "x" * 2 * TAIL}, {"assistant": "Which?"}, {"user": "The blue one."}])
    assert long.endswith("The blue one.")
    assert len(long) == TAIL
