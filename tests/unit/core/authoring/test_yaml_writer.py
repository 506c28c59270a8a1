"""What is written is read back as the very same data, and reads as if a person had written it."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from tests.support.laws import examples
from tunegate.harness.core.authoring.yaml_reader import read_yaml
from tunegate.harness.core.authoring.yaml_writer import write_yaml

#: Pieces that YAML reads in ways of its own, between any characters that UTF-8 can write.
ODD = st.sampled_from(
    ["yes", "null", "~", "5e-4", "007", "12:30", "2026-01-31", "=", "<<", "- ", "? ", ": ", " #x", "#", "&a", "*a", "!",
     "%", "@", "`", "'", '"', "\\", "{input}", "[", "]", ",", "\n", "\n\n", "  ", "\t", "\r\n", "\u200b", "\ufeff",
     "\x85",
     "\u2028", "\x00", "\x7f", "\U0001f468\u200d\U0001f527", "\ud7ff", "\uffff", "---", "...", "<<<<<<< ", "word " * 30,
     "x" * 130]
)  # fmt: skip
TEXT = st.one_of(st.text(max_size=20), st.lists(ODD, max_size=6).map("".join), st.lists(ODD | st.text()).map("".join))
LONG = "One long message of a customer who has a lot to say, and says it about a boiler that is cold"
NUMBER = st.integers(-(10**20), 10**20) | st.floats(allow_nan=False, allow_infinity=False)
DATA = st.recursive(
    st.none() | st.booleans() | NUMBER | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


@examples(100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(inner=st.dictionaries(TEXT | st.just("expect"), DATA, max_size=4))
def test_the_reader_reads_what_was_written(tmp_path, inner):
    data = {"cases": inner}

    assert again(tmp_path, data, one_line=("expect",)) == data


@examples(100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=TEXT)
def test_every_text_stays_as_it_is_in_a_case(tmp_path, text):
    data = {"cases": [{"id": "a", "input": text, "expect": {"label": text, text: [text]}}]}

    assert again(tmp_path, data, one_line=("expect",)) == data


def again(folder, data: Any, **more: Any) -> Any:
    path = folder / "file.yaml"
    path.write_text(write_yaml(data, **more), "utf-8", newline="")
    return read_yaml(path).data


def test_it_reads_as_if_a_person_had_written_it():
    data = {
        "version": 1,
        "cases": [
            {"id": "a", "input": "It drips.", "expect": {"team": "repairs", "urgent": True}},
            {"id": "b", "input": "First line\nsecond: line", "expect": {"team": "yes"}},
            {"id": "c", "input": f"{LONG}: again."},
        ],
    }

    assert (
        write_yaml(data, one_line=("expect",))
        == """\
version: 1
cases:
  - id: a
    input: It drips.
    expect: {team: repairs, urgent: true}
  - id: b
    input: |-
      First line
      second: line
    expect: {team: 'yes'}
  - id: c
    input: >-
      One long message of a customer who has a lot to say, and says it about a boiler that is cold: again.
"""
    )


def test_a_text_is_a_text_to_other_readers_too():
    for text in ["yes", "on", "2026-01-31", "12:30", "0x1F", "5e-4", "1_000", "null", "~", "="]:
        assert yaml.safe_load(write_yaml({"a": text})) == {"a": text}


@pytest.mark.parametrize("text", ["Sorry...", "One.\n\n"])
def test_another_item_can_follow_any_text(text):
    assert yaml.safe_load(write_yaml([text]) + write_yaml([text])) == [text, text]


def test_a_character_that_cannot_be_seen_is_written_out_and_one_that_can_is_not(tmp_path):
    assert write_yaml({"a": "wid\u200bth", "b": "\U0001f527 ok"}) == 'a: "wid\\u200Bth"\nb: \U0001f527 ok\n'
