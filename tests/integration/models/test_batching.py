from __future__ import annotations

import pytest

from tunegate.harness.core.progress import quiet
from tunegate.harness.fixtures.model import Decoding
from tunegate.harness.models import batching as prefix
from tunegate.harness.models.api import Request
from tunegate.harness.models.huggingface import Base, Local

SHOTS = (("user", "It drips."), ("assistant", "radiator"), ("user", "No heat."), ("assistant", "boiler"))
SYSTEM = ("system", "Sort the message into one of the products, and say no more than its name.")
TEXTS = ["It hums.", "?", "No heat since Monday, please help us.", "\u00e9 \U0001f44d cold", "It drips."]


def test_shorter_rows_are_filled_up_behind_what_all_share(tiny_model):
    model = Base(str(tiny_model), quiet()).with_adapter(None)
    inputs = prefix.batch(model, [[*range(5, 25), 30, 31, 32], [*range(5, 25), 40]], pad=2)
    assert inputs["input_ids"].tolist() == [[*range(5, 25), 30, 31, 32], [*range(5, 25), 2, 2, 40]]
    assert inputs["attention_mask"].tolist() == [[1] * 23, [1] * 20 + [0, 0, 1]]
    assert inputs["cache"].get_seq_length() == 20
    assert inputs["cache"].layers[0].keys.shape[0] == 2


@pytest.mark.parametrize("turns", [(SYSTEM,), (SYSTEM, *SHOTS)], ids=["system prompt", "worked examples"])
@pytest.mark.parametrize("tuned", [False, True], ids=["base", "adapter"])
def test_answers_are_those_without_the_cache(tiny_model, tiny_adapter, turns, tuned, monkeypatch):
    local = Local(str(tiny_model), quiet(), tiny_adapter if tuned else None)
    asked = [
        Request(f"desk/triage/{index}", (*turns, ("user", text)), Decoding(max_new_tokens=12))
        for index, text in enumerate(TEXTS)
    ]
    read = []
    real = prefix._read
    monkeypatch.setattr(
        prefix, "_read", lambda model, tokens, rows: read.append(len(tokens)) or real(model, tokens, rows)
    )
    together = list(local.answer(asked))
    assert len(read) == 1, "one pass for all"
    assert read[0] > 80

    monkeypatch.setattr(prefix, "LEAST", 10_000)
    assert list(local.answer(asked)) == together
    alone = [answer for request in asked for answer in local.answer([request])]
    assert sorted(alone, key=lambda answer: answer.key) == sorted(together, key=lambda answer: answer.key)
