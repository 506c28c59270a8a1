"""Inputs of several turns: how they are written, and that all of their turns count."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.support.units import write_unit
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.core.errors import AuthoringError

TURNS = [{"user": "The tap drips."}, {"assistant": "Hot or cold?"}, {"user": "Both."}]


def unit(root, asked=TURNS, **more):
    """A unit with one case that asks this."""
    write_unit(root, [], cases=[{"id": "a", "input": asked}], **more)
    return load_tasks(root)[0].units[0]


def mistakes(root, text):
    """What is said of a file with this text, by line and place."""
    path = write_unit(root, [])
    path.write_text(f"version: 1\nsuite: schema\ncheck: {{schema: {{type: object}}}}\n{text}")
    with pytest.raises(AuthoringError) as caught:
        load_tasks(root)
    return [str(problem).removeprefix(f"{path}:") for problem in caught.value.problems]


def test_the_last_turn_is_the_input_and_the_others_come_before_it(tmp_path):
    [case] = unit(tmp_path).cases

    assert (case.input, case.earlier) == ("Both.", (("user", "The tap drips."), ("assistant", "Hot or cold?")))
    assert case.text == "The tap drips.\nHot or cold?\nBoth."
    assert case.written == TURNS


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("[{user: Hi.}, {assistant: Yes}]", "[1]: expected a user turn at the end, or a tool turn, found assistant"),
        ("[{user: Hi.}]", ": expected a text, or at least two turns, found [{"),
        ("[]", ": expected a text, or at least two turns, found []"),
        ("[{user: Hi.}, {user: ' '}]", "[1]: expected a turn, `user: TEXT`, `assistant: TEXT`, `assist"),
        ("[{user: Hi.}, {system: S.}, {user: So.}]", "[1]: expected a system turn at the beginning only, found one"),
        ("[{user: Hi., assistant: Yes}, {user: So.}]", "[0]: expected a turn, `user: TEXT`, `assistant: TEXT`, `ass"),
        ("[Hi., {user: So.}]", "[0]: expected a turn, `user: TEXT`, `assistant: TEXT`, `assist"),
        ("{user: Hi.}", ": expected text, found"),
    ],
)  # fmt: skip
def test_turns_that_are_none_are_told_with_their_line(tmp_path, asked, said):
    for file, line in ((f"cases:\n  - id: a\n    input: {asked}\n", 6), (f"cases: [{{id: a, input: {asked}}}]\n", 4)):
        (mistake,) = mistakes(tmp_path, file)
        assert mistake.startswith(f"{line}: cases[0].input{said}")


def test_a_turn_as_servers_take_it_is_told_how_it_is_written_here(tmp_path):
    text = "cases:\n  - id: a\n    input:\n      - {user: Hi.}\n      - {role: user, content: So.}\n"

    assert mistakes(tmp_path, text) == [
        "8: cases[0].input[1]: expected a turn, `user: TEXT`, `assistant: TEXT`, `assistant: {tool_calls: [...]}` "
        'or `tool: TEXT` (at the top also `system: TEXT`), found {"role": "user", "content": "So."}'
    ]


def test_a_passage_whose_likelihood_is_read_has_no_turns(tmp_path):
    write_unit(tmp_path, [])
    data = {
        "version": 1,
        "suite": "retention",
        "check": {"measure": "passages"},
        "cases": [{"id": "a", "input": TURNS}],
    }
    (tmp_path / "desk" / "triage.yaml").write_text(json.dumps(data))

    with pytest.raises(AuthoringError, match="expected one text, because retention/passages measures its likelihood, "
                                             "found 3 turns"):  # fmt: skip
        load_tasks(tmp_path)


def test_every_turn_is_a_part_of_what_is_asked(tmp_path):
    was = unit(tmp_path)
    [case] = was.cases
    edited = [
        unit(tmp_path, [*TURNS[:at], {role: f"{text} Really."}, *TURNS[at + 1 :]])
        for at, turn in enumerate(TURNS)
        for role, text in turn.items()
    ]

    assert all(now.questions["inputs"] != was.questions["inputs"] for now in edited)
    assert len({case.observation, *(now.cases[0].observation for now in edited)}) == 4
    assert replace(case, earlier=()).observation != case.observation


def test_an_input_of_one_text_asks_what_it_always_did(tmp_path):
    plain = unit(tmp_path, "The tap drips.").questions

    # as they stand in baselines everywhere
    assert plain["inputs"] == "b09966b503c1c74b18dd835bd2936d19ebb7cb8d1f27a2f823bc0f45541f20e7"


def test_who_said_it_counts(tmp_path):
    was, now = unit(tmp_path).cases[0], unit(tmp_path, [{"user": "The tap drips."}, {"user": "Hot or cold?"}, TURNS[2]])

    assert was.text == now.cases[0].text
    assert was.written != now.cases[0].written
