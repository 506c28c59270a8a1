from __future__ import annotations

import pytest

from tunegate.harness.cases.model import Decoding
from tunegate.harness.core.progress import quiet
from tunegate.harness.models.api import Request
from tunegate.harness.models.local import batching as prefix
from tunegate.harness.models.local.continuous_batching import Batch, RequestState
from tunegate.harness.models.local.huggingface import Base, Local

SHOTS = (("user", "It drips."), ("assistant", "radiator"), ("user", "No heat."), ("assistant", "boiler"))
SYSTEM = ("system", "Sort the message into one of the products, and say no more than its name.")
TEXTS = ["It hums.", "?", "No heat since Monday, please help us.", "\u00e9 \U0001f44d cold", "It drips."]


def test_shorter_rows_are_filled_up_behind_what_all_share(tiny_model, monkeypatch):
    model, read = Base(str(tiny_model), quiet()).with_adapter(None), []
    seen = Batch._read
    monkeypatch.setattr(
        Batch, "_read", lambda self, *asked: read.append((asked[0], asked[1].tolist())) or seen(self, *asked)
    )
    rows = [RequestState([*range(5, 25), *own], "Sort.", Decoding(4), 0) for own in ([30, 31, 32], [40])]
    Batch(lambda: model, pad=2).join(rows, rows)
    assert read == [
        ([[*range(5, 25)]], [[1] * 20]),
        ([[30, 31, 32], [2, 2, 40]], [[1] * 23, [1] * 20 + [0, 0, 1]]),
    ]


@pytest.mark.parametrize("turns", [(SYSTEM,), (SYSTEM, *SHOTS)], ids=["system prompt", "worked examples"])
@pytest.mark.parametrize("tuned", [False, True], ids=["base", "adapter"])
def test_answers_are_those_without_the_cache(tiny_model, tiny_adapter, turns, tuned, monkeypatch):
    local = Local(str(tiny_model), quiet(), tiny_adapter if tuned else None)
    asked = [
        Request(f"desk/triage/{index}", (*turns, ("user", text)), Decoding(max_new_tokens=12))
        for index, text in enumerate(TEXTS)
    ]
    read = []
    real = Batch._read
    monkeypatch.setattr(Batch, "_read", lambda self, *asked: read.append(asked[0]) or real(self, *asked))
    together = list(local.complete(asked))
    assert [len(ids) for ids in read[:2]] == [1, 5], "one pass for all"
    assert len(read[0][0]) > 80

    monkeypatch.setattr(prefix, "LEAST", 10_000)
    apart = list(local.complete(asked))
    alone = [answer for request in asked for answer in local.complete([request])]
    assert {answer.key: answer for answer in together} == {answer.key: answer for answer in apart}
    assert {answer.key: answer for answer in together} == {answer.key: answer for answer in alone}
