"""TRL reads a row of its forms as we do: the same tokens of the prompt, and the loss on the same tokens."""

from __future__ import annotations

import json

import pytest

from tests.support.units import write_unit
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.models.local.huggingface import load_base
from tunegate.harness.models.tokenizer import load_tokenizer
from tunegate.harness.rows.examples import read_examples
from tunegate.trainers.config.recipe import Recipe
from tunegate.trainers.data.preference import tokenize_for
from tunegate.trainers.data.writer import writer_of
from tunegate.trainers.training.trainers import quiet_libraries

SYSTEM = {"role": "system", "content": "Sort it."}
ASKED = [SYSTEM, {"role": "user", "content": "It drips."}]
#: As that of the tiny model, with the marks by which TRL knows what an assistant says.
MARKED = (
    "{% for m in messages %}<|start|>{{ m['role'] }}\n{% if m['role'] == 'assistant' %}"
    "{% generation %}{{ m['content'] + '<|end|>' }}{% endgeneration %}"
    "{% else %}{{ m['content'] + '<|end|>' }}{% endif %}"
    "{{ '\n' }}{% endfor %}{% if add_generation_prompt %}<|start|>assistant\n{% endif %}"
)


def answer(text, **more):
    return [{"role": "assistant", "content": text, **more}]


@pytest.fixture
def read(tmp_path, tiny_model):
    """Reads a row as tokens for a method, and has a trainer of TRL prepare the same row."""
    write_unit(tmp_path / "fixtures", ["a"], prompt={"system": "Sort it."})
    (task,) = load_tasks(tmp_path / "fixtures")
    tokenizer = load_tokenizer(tiny_model)

    def ours(row, method="sft"):
        (tmp_path / "rows.jsonl").write_text(json.dumps(row))
        recipe = Recipe(tmp_path / "recipe.yaml", "desk", (), tmp_path / "out", method=method)
        return tokenize_for(read_examples([tmp_path / "rows.jsonl"], task), writer_of(tokenizer), recipe)

    def theirs(row, trainer, config, template=None, **options):
        from datasets import Dataset

        tokenizer.chat_template = template or tokenizer.chat_template
        arguments = config(output_dir=str(tmp_path / "trl"), report_to="none", use_cpu=True, bf16=False, **options)
        with quiet_libraries():
            made = trainer(
                model=load_base(tiny_model), args=arguments, train_dataset=Dataset.from_list([row]),
                processing_class=tokenizer,
            )  # fmt: skip
        return made.train_dataset[0]

    # TRL's templates end with a line break after the end of turn, which no model has to write
    newline = tokenizer("\n", add_special_tokens=False).input_ids
    ours.newline = newline
    return ours, theirs


def learned(ids, labels):
    return [token for token, label in zip(ids, labels, strict=True) if label != -100]


def test_a_completion(read):
    from trl import SFTConfig, SFTTrainer

    ours, theirs = read
    row = {"prompt": ASKED, "completion": answer("tap")}
    (mine,) = ours(row)
    trl = theirs(row, SFTTrainer, SFTConfig)

    assert trl["input_ids"] == [*mine.input_ids, *ours.newline]
    assert learned(trl["input_ids"], trl["labels"]) == [*mine.output, *ours.newline]


def test_a_preference_with_a_prompt_and_without(read):
    from trl import DPOConfig, DPOTrainer

    ours, theirs = read
    row = {"prompt": ASKED, "chosen": answer("tap"), "rejected": answer("A tap.")}
    whole = {key: [*ASKED, *row[key]] for key in ("chosen", "rejected")}
    (mine,) = ours(row, "dpo")
    assert ours(whole, "dpo") == [mine]

    for each in (row, whole):
        trl = theirs(each, DPOTrainer, DPOConfig)
        known = mine.columns()
        assert trl["prompt_ids"] == known["prompt_ids"]
        for key in ("chosen_ids", "rejected_ids"):
            assert trl[key] == [*known[key], *ours.newline]


@pytest.mark.parametrize("label", [True, False])
def test_a_label(read, label):
    from trl import KTOConfig, KTOTrainer

    ours, theirs = read
    row = {"prompt": ASKED, "completion": answer("tap"), "label": label}
    (mine,) = ours(row, "kto")
    trl = theirs(row, KTOTrainer, KTOConfig)

    tokens = mine if label else mine.tokens
    assert trl["prompt_ids"] == tokens.prompt
    assert trl["completion_ids"] == [*tokens.output, *ours.newline]
    assert (trl["label"], label or mine.liked) == (label, label)


def test_a_conversation_is_learned_at_the_turns_that_trl_learns_with_assistant_only_loss(read):
    from trl import SFTConfig, SFTTrainer

    ours, theirs = read
    turns = [*ASKED, *answer("Where?"), {"role": "user", "content": "Below."}, *answer("tap")]
    rows = ours({"messages": turns, "tools": []})
    spoken = {"conversations": [{"from": each["role"], "value": each["content"]} for each in turns]}
    assert ours(spoken) == rows
    trl = theirs({"messages": turns}, SFTTrainer, SFTConfig, MARKED, assistant_only_loss=True)

    assert learned(trl["input_ids"], trl["labels"]) == [token for row in rows for token in row.output]
    for row in rows:
        assert trl["input_ids"][: row.length] == row.input_ids

    turns[2] = {**turns[2], "weight": 0}
    assert ours({"messages": turns}) == rows[1:]
