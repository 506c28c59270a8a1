"""What a thinking model wrote before its answer is no part of it."""

from __future__ import annotations

import json

import pytest

from tunegate.harness.models.reasoning import only_closes, opens_reasoning, part_ids, part_text, thinking_tags

OPEN, CLOSE = 1, 2


@pytest.mark.parametrize(
    ("answer", "prompt", "thought", "said"),
    [
        ([OPEN, 7, 8, CLOSE, 9], [5], [7, 8], [9]),
        ([7, 8, CLOSE, 9], [5, OPEN], [7, 8], [9]),  # the template began it
        ([7, CLOSE, 8, OPEN, 9, CLOSE, 4], [5], [7, CLOSE, 8, 9], [4]),
        ([OPEN, 7, 8], [5], [7, 8], []),  # cut before its end
        ([7, 8], [5, OPEN], [7, 8], []),
        ([7, 8], [OPEN, 5, CLOSE], [], [7, 8]),  # switched off by the template
        ([7, 8], [5], [], [7, 8]),
        ([CLOSE], [OPEN], [], []),
    ],
)
def test_tokens_are_parted_at_the_last_closing_tag(answer, prompt, thought, said):
    assert part_ids(answer, OPEN, CLOSE, prompt) == (thought, said)


def test_a_servers_text_is_parted_by_any_of_the_tags():
    for text, parts in [
        ("<think>\nHm.\n</think>\n\n{}", ("Hm.", "{}")),
        ("Hm.</think>{}", ("Hm.", "{}")),
        ("[THINK]Hm.[/THINK]{}", ("Hm.", "{}")),
        ("<think>\nHm, and so on", ("Hm, and so on", "")),
        ('{"text": "<think>"}', ("", '{"text": "<think>"}')),
        ("{}", ("", "{}")),
        ("", ("", "")),
    ]:
        assert part_text(text) == parts


@pytest.mark.parametrize(
    ("text", "parts"), [("Hm, and so on", ("Hm, and so on", "")), ("\nHm.\n</think>\n{}", ("Hm.", "{}"))]
)
def test_what_begins_inside_a_reasoning_and_never_ends_it_is_no_answer(text, parts):
    assert part_text(text, inside=True) == parts


def test_a_template_that_begins_a_reasoning_is_known_by_the_end_of_its_prompt():
    assert opens_reasoning("<|assistant|>\n<think>\n")
    assert not opens_reasoning("What is <think>?\n<|assistant|>\n")
    assert only_closes("Hm.</think>{}")
    assert not only_closes("<think>Hm.</think>{}")


def test_the_tags_are_the_tokenizers_own(tmp_path):
    template = "{{ '<think>' }}{{ \"</think>\" }}"
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": template}))
    assert thinking_tags(tmp_path) is None, "that a template writes them makes no tokens of them"

    (tmp_path / "tokenizer.json").write_text(json.dumps({"added_tokens": [{"content": "<think>"}]}))
    assert thinking_tags(tmp_path) is None, "one that is never closed"

    tokens = [{"content": "[THINK]"}, {"content": "[/THINK]"}]
    (tmp_path / "tokenizer.json").write_text(json.dumps({"added_tokens": tokens}))
    assert thinking_tags(tmp_path) == ("[THINK]", "[/THINK]")


def test_a_folder_without_a_tokenizer_has_none(tmp_path):
    (tmp_path / "tokenizer.json").touch()
    assert thinking_tags(tmp_path) is None
