"""Rows with tool calls as tokens: those of TRL's own SFT, and what a tool format cannot say is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.tool_tokenizers import ENDS, toy_tokenizer
from tests.support.tools import TOOLS, call, output, tool_set
from tunegate.harness.cases.conversation import read_turns
from tunegate.harness.core.errors import Refused
from tunegate.harness.rows.examples import Example
from tunegate.trainers.data.writer import writer_of

ARGUMENTS = {"title": "Lamp, é 👍", "priority": "high", "rooms": [{"floor": 2}]}
CALLING, DONE = output(call("create_ticket", ARGUMENTS)), output(content="It is ticket 12.")
STEP = [{"user": "It is dark."}, {"assistant": json.loads(CALLING)}, {"tool": "ticket 12"}]
GEMMA_CALLED = "<|tool_response>"  # ends the calls of Gemma 4


def row(written: Any, said: str) -> Example:
    return Example(read_turns(written), "", said, "rows.jsonl", 3, tools=tool_set().tools)


FIRST, LAST = row("It is dark.", CALLING), row(STEP, DONE)


def messages(calls: dict[str, Any]) -> list[dict[str, Any]]:
    """The conversation of both rows, as TRL takes it."""
    made = {"id": "call00001", **calls}
    return [
        {"role": "user", "content": "It is dark."},
        {"role": "assistant", "content": "", "tool_calls": [made]},
        {"role": "tool", "tool_call_id": "call00001", "name": "create_ticket", "content": "ticket 12"},
        {"role": "assistant", "content": "It is ticket 12."},
    ]


TALK = messages({"type": "function", "function": {"name": "create_ticket", "arguments": ARGUMENTS}})


def trained_by_trl(tokenizer: Any, row: dict[str, Any], folder: Any, **more: Any) -> list[tuple[int, int]]:
    """The token ids and labels that TRL's SFT makes of a row."""
    from datasets import Dataset
    from transformers import LlamaConfig, LlamaForCausalLM
    from trl import SFTConfig, SFTTrainer

    config = LlamaConfig(vocab_size=len(tokenizer), hidden_size=8, intermediate_size=8, num_hidden_layers=1,
                         num_attention_heads=1, max_position_embeddings=4096)  # fmt: skip
    arguments = SFTConfig(str(folder), use_cpu=True, max_length=None, report_to="none", **more)
    trainer = SFTTrainer(
        LlamaForCausalLM(config), arguments, train_dataset=Dataset.from_list([{**row, "tools": json.dumps(TOOLS)}]),
        processing_class=tokenizer,
    )  # fmt: skip
    (batch,) = trainer.get_train_dataloader()
    return list(zip(batch["input_ids"][0].tolist(), batch["labels"][0].tolist(), strict=True))


def ours(tokenizer: Any, row: Example, *ends: str) -> list[tuple[int, int]]:
    writer = writer_of(tokenizer, tokenizer.convert_tokens_to_ids(list(ends)))
    return [(token, -100) for token in writer.prompt(row)] + [(token, token) for token in writer.completion(row)]


def test_each_turn_has_the_labels_of_trl_where_it_trains_on_assistants_only(tmp_path):
    tokenizer = toy_tokenizer("qwen2_5", ENDS["qwen2_5"])
    both = trained_by_trl(tokenizer, {"messages": TALK}, tmp_path, assistant_only_loss=True)

    first, last = ours(tokenizer, FIRST), ours(tokenizer, LAST)

    # TRL's template also trains on line ends around a turn, which are no part of what a model writes before it ends
    line_end = tokenizer("\n", add_special_tokens=False).input_ids[0]
    trained = [(at, label) for at, (_, label) in enumerate(both) if label != -100]
    known = [(at, label) for turn in (first, last) for at, (_, label) in enumerate(turn) if label != -100]
    apart = [pair for pair in trained if pair not in known]
    assert [token for token, _ in both][: len(first)] == [token for token, _ in first]
    assert [token for token, _ in both][: len(last)] == [token for token, _ in last]
    assert set(known) <= set(trained)
    assert {label for _, label in apart} == {line_end}
    assert len(apart) == 4  # two turns, each with one before and one after


@pytest.mark.parametrize("name", ENDS)
def test_a_turn_has_the_labels_of_trl_for_prompt_and_completion(tmp_path, name):
    tokenizer = toy_tokenizer(name, ENDS[name])
    ends = (GEMMA_CALLED,) if "gemma" in name else ()

    for asked, said in ((FIRST, 1), (LAST, 3)):
        mine = ours(tokenizer, asked, *ends)
        theirs = trained_by_trl(tokenizer, {"prompt": TALK[:said], "completion": [TALK[said]]}, tmp_path)
        assert mine == theirs[: len(mine)]
        assert tokenizer.decode([token for token, _ in theirs[len(mine) :]]).strip() == ""


@pytest.mark.parametrize(
    ("name", "said", "why"),
    [
        ("llama3_1", output(call("create_ticket", ARGUMENTS), content="At once."),
         "found that llama3_1 says 'create_ticket"),
        ("llama3_1", output(call("create_ticket", ARGUMENTS), call("cancel_order", {"order": 1})),
         "This model only supports single tool-calls at once!"),
        ("gemma4_v5", CALLING, "expected a tool format that ends an output with <turn|>, found one that ends it with"),
        ("qwen2_5", output(content="See <tool_call>\n{}\n</tool_call>"), "found that qwen2_5 says"),
        ("qwen2_5", output(content="Done.<|im_end|>Again."), "found that qwen2_5 says 'Again.'"),
    ],
)  # fmt: skip
def test_what_a_tool_format_cannot_say_is_refused_with_its_row(name, said, why):
    writer = writer_of(toy_tokenizer(name, ENDS[name]))

    with pytest.raises(Refused) as refused:
        writer.completion(row("It is dark.", said))
    assert str(refused.value).startswith("rows.jsonl:3: ")
    assert why in str(refused.value)


def test_a_template_that_ends_no_turn_is_mended_by_that_of_trl_for_training():
    tokenizer = toy_tokenizer("glm4moe", "<|user|>")
    writer = writer_of(tokenizer, tokenizer.convert_tokens_to_ids(["<|observation|>"]))

    found = tokenizer.decode(writer.completion(row("It is dark.", output(call("cancel_order", {"order": 1})))))

    assert found.endswith("</tool_call><|observation|>")
    assert writer.patched == ["rows.jsonl:3"]


def test_what_a_model_writes_is_given_without_its_end():
    writer = writer_of(toy_tokenizer("qwen2_5", ENDS["qwen2_5"]))
    plain = Example((("user", "Hi"),), "Hi", "Hello.", "rows.jsonl", 1)

    assert writer.written(plain) is plain
    assert writer.written(LAST).output == "It is ticket 12."
    assert json.loads(writer.written(FIRST).output.split("\n")[1])["arguments"] == ARGUMENTS
