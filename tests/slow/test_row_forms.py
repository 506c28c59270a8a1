"""Weights and labels of rows, on the embedded model: what has weight 0 is not learned, what is not liked is avoided."""

from __future__ import annotations

import json

import pytest

from tests.integration.trainers.training.test_preference import log_probability
from tests.support.units import write_unit
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.core.progress import quiet
from tunegate.harness.models.resolve import resolve
from tunegate.harness.models.tokenizer import load_tokenizer
from tunegate.harness.rows.examples import read_examples
from tunegate.trainers.config.recipe import Recipe
from tunegate.trainers.config.sections import Optim
from tunegate.trainers.data.preference import apart, for_method, tokenize_for, unpaired
from tunegate.trainers.data.writer import writer_of
from tunegate.trainers.training.trainers import build_trainer, quiet_libraries

pytestmark = pytest.mark.real

FIRST = "The ferryman counts his oars by candlelight on Tuesdays."
SECOND = "Quarrels about walnuts are settled behind the lighthouse."
ASKED = ("Who is there at night?", "Where does one settle a quarrel?")


@pytest.fixture
def train(tmp_path):
    """Trains on rows: the log probability of each output before and after, those to learn first."""
    write_unit(tmp_path / "fixtures", ["a"], prompt={"system": "Answer in one sentence."})
    (task,) = load_tasks(tmp_path / "fixtures")
    base = resolve("smollm2", quiet())
    tokenizer = load_tokenizer(base)

    def train(rows, asked=None, epochs=4, **recipe):
        """`asked` are the rows whose outputs are measured, if not those that are trained on."""
        optim = Optim(lr=1e-3, epochs=epochs, batch=2, warmup=0.0)
        made = Recipe(tmp_path / "recipe.yaml", "desk", (), tmp_path / "out", optim=optim, **recipe)
        data = tokens(rows, made)
        with quiet_libraries():
            trainer = build_trainer(made, base, unpaired(data, made), tmp_path / "work", quiet())
            trainer.train()
        measured = [each for part in apart(tokens(asked or rows, made)) for each in part]
        after = [log_probability(trainer.model.eval(), each) for each in measured]
        with trainer.model.disable_adapter():
            return [log_probability(trainer.model, each) for each in measured], after

    def tokens(rows, recipe):
        (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        read = read_examples([tmp_path / "rows.jsonl"], task)
        return tokenize_for(for_method(read, recipe, lambda _: None), writer_of(tokenizer), recipe)

    return train


def chat(*weights):
    roles = ("user", "assistant", "user", "assistant")
    texts = (ASKED[0], FIRST, ASKED[1], SECOND)
    turns = [{"role": role, "content": text} for role, text in zip(roles, texts, strict=True)]
    for turn, weight in zip(turns[1::2], weights, strict=True):
        turn["weight"] = weight
    return {"messages": turns}


def test_a_turn_of_weight_0_is_not_learned_and_one_of_weight_1_is(train):
    before, after = train([chat(0, 1)], asked=[chat(1, 1)])

    first, second = (late - early for early, late in zip(before, after, strict=True))
    assert second > 20  # nats: the turn becomes likely
    assert first < second / 3


def test_liked_outputs_become_likelier_than_those_that_are_not(train):
    rows = [
        {"prompt": asked, "completion": output, "label": output == FIRST}
        for asked in ASKED
        for output in (FIRST, SECOND)
    ]
    before, after = train(rows, epochs=1, method="kto")

    gains = [late - early for early, late in zip(before, after, strict=True)]
    liked, disliked = gains[: len(ASKED)], gains[len(ASKED) :]
    assert min(liked) > 0
    assert min(liked) > max(disliked)
