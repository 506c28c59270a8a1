from __future__ import annotations

import pytest

from tests.support.units import write_unit
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.cases.model import Decoding
from tunegate.harness.core.errors import Refused
from tunegate.harness.models.prompts import requests
from tunegate.harness.models.tokenizer import load_tokenizer, render_prompt
from tunegate.harness.rows.examples import Example, read_examples
from tunegate.trainers.data.tokenize import Tokens, check_batch, tokenize
from tunegate.trainers.data.writer import writer_of

ROW = Example((("user", "It drips."),), "It drips.", "boiler", "rows.jsonl", 3)


@pytest.fixture(scope="module")
def tokenizer(tiny_model):
    return load_tokenizer(tiny_model)


def test_what_is_trained_is_what_the_suites_ask(tmp_path, tokenizer):
    case = {"id": "a", "input": "It drips.\n", "context": "é 👍", "expect": {"product": "boiler"}}
    write_unit(tmp_path, [], cases=[case], prompt={"system": "Sort {it}.", "template": "{context}\n{input} "})
    (tmp_path / "rows.jsonl").write_text('{"input": "It drips.\\n", "context": "é 👍", "output": "boiler"}')
    (task,) = load_tasks(tmp_path)

    (row,) = tokenize(read_examples([tmp_path / "rows.jsonl"], task), writer_of(tokenizer), 1000)

    (asked,) = requests(task.units)
    sent = tokenizer(render_prompt(tokenizer, asked), add_special_tokens=False).input_ids
    trained = [token for token, mask in zip(row.input_ids, row.completion_mask, strict=True) if mask]
    assert row.input_ids == [*sent, *trained]
    assert trained == [*tokenizer("boiler").input_ids, tokenizer.eos_token_id]
    assert row.completion_mask == [0] * len(sent) + [1] * len(trained)


def test_a_row_that_would_be_cut_is_refused(tokenizer):
    length = len(tokenize([ROW], writer_of(tokenizer), 1000)[0].input_ids)

    assert tokenize([ROW], writer_of(tokenizer), length)
    with pytest.raises(Refused, match=rf"rows\.jsonl:3: .*max_length = {length - 1} tokens, found {length} \(1 such"):
        tokenize([ROW], writer_of(tokenizer), length - 1)


def test_an_end_of_turn_inside_an_answer_is_refused(tokenizer):
    row = Example(ROW.messages, ROW.input, "boiler<|end|>", "rows.jsonl", 8)

    with pytest.raises(Refused, match=r"rows\.jsonl:8: expected an output without <\|end\|>, found it in"):
        tokenize([row], writer_of(tokenizer), 1000)


def test_messages_that_the_template_does_not_take_are_refused(tiny_model):
    tokenizer = load_tokenizer(tiny_model)
    tokenizer.chat_template = "{{ raise_exception('no system turn') }}"

    with pytest.raises(
        Refused, match=r"rows\.jsonl:3: expected messages that the model's chat template accepts.*user: no"
    ):
        tokenize([ROW], writer_of(tokenizer), 1000)


def rows_of_two_lengths(tokenizer):
    return tokenize([ROW, Example(ROW.messages, ROW.input, "b", "rows.jsonl", 4)], writer_of(tokenizer), 1000)


def test_the_trap_a_pad_token_that_is_the_end_token(tokenizer):
    from transformers import DataCollatorForLanguageModeling

    row = tokenize([ROW], writer_of(tokenizer), 1000)[0]
    answer = Tokens(list(row.output), [1] * len(row.output))
    assert tokenizer.pad_token_id == tokenizer.eos_token_id
    batch = DataCollatorForLanguageModeling(tokenizer, mlm=False)([{"input_ids": answer.input_ids}])

    with pytest.raises(Refused, match=r"the end-of-turn token has no loss .*: the tuned model would never stop"):
        check_batch(batch, [answer])


def batch_of(*rows, masked=()):
    """A batch as a collator gives it, padded on the right with the end token."""
    import torch

    width = max(len(row.input_ids) for row in rows)

    def padded(values, row, pad):
        return [*values, *[pad] * (width - len(row.input_ids))]

    labels = [
        [
            token if mask and token not in masked else -100
            for token, mask in zip(row.input_ids, row.completion_mask, strict=True)
        ]
        for row in rows
    ]
    return {
        "input_ids": torch.tensor([padded(row.input_ids, row, 2) for row in rows]),
        "attention_mask": torch.tensor([padded([1] * len(row.input_ids), row, 0) for row in rows]),
        "labels": torch.tensor([padded(each, row, -100) for each, row in zip(labels, rows, strict=True)]),
    }


def test_a_batch_must_take_the_loss_on_each_answer_alone(tokenizer):
    rows = rows_of_two_lengths(tokenizer)
    everything = Tokens(rows[0].input_ids, [1] * len(rows[0].input_ids))
    nothing = Tokens(rows[0].input_ids, [0] * len(rows[0].input_ids))

    check_batch(batch_of(*rows), rows)
    with pytest.raises(Refused, match="template probe: the end-of-turn token has no loss"):
        check_batch(batch_of(*rows, masked={tokenizer.eos_token_id}), rows)
    with pytest.raises(
        Refused, match=r"template probe: the loss .* covers other tokens than a row's output \(35 tokens\)"
    ):
        check_batch(batch_of(rows[1], everything), rows)
    with pytest.raises(Refused, match=r"other tokens than a row's output \(0 tokens\)"):
        check_batch(batch_of(rows[1], nothing), rows)


def test_a_batch_must_hold_each_row_whole(tokenizer):
    rows = rows_of_two_lengths(tokenizer)
    cut = Tokens(rows[0].input_ids[:-1], rows[0].completion_mask[:-1])

    with pytest.raises(
        Refused, match=r"template probe: a training batch holds 34 of a row's 35 tokens: with truncated"
    ):
        check_batch(batch_of(rows[1], cut), rows)


def test_a_batch_must_hold_the_prompt_that_the_suites_send(tokenizer):
    rows = rows_of_two_lengths(tokenizer)
    begun_twice = Tokens([tokenizer.bos_token_id, *rows[0].input_ids], [0, *rows[0].completion_mask])

    with pytest.raises(
        Refused, match=r"template probe: the tokens .* differ from those of its row, whose prompt is the suites'"
    ):
        check_batch(batch_of(rows[1], begun_twice), rows)


def test_decoding_is_no_part_of_the_prompt(tokenizer):
    from tunegate.harness.models.api import Request

    texts = {render_prompt(tokenizer, Request("a", ROW.messages, Decoding(tokens))) for tokens in (1, 9)}
    assert texts == {"<|start|>user\nIt drips.<|end|>\n<|start|>assistant\n"}
