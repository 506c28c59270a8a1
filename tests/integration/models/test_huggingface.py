from __future__ import annotations

import json
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from tunegate.harness.cases.model import Decoding
from tunegate.harness.core.errors import CouldNotRun, Refused
from tunegate.harness.core.progress import quiet
from tunegate.harness.models.api import Request
from tunegate.harness.models.local.huggingface import Base, Local, load_base
from tunegate.harness.models.tokenizer import load_tokenizer, render_prompt

SHORT = Decoding(max_new_tokens=12)
TEXTS = [
    "It drips.",
    "My boiler hums when the radiator is on.",
    "?",
    "é 👍 cold",
    "No heat since Monday, please help us.",
]


def requests(decoding: Decoding = SHORT, texts=TEXTS) -> list[Request]:
    return [
        Request(f"desk/triage/{number}", (("system", "Sort."), ("user", text)), decoding)
        for number, text in enumerate(texts)
    ]


def answers(model: Local, asked: list[Request]) -> dict:
    return {(answer.key, answer.repeat): answer for answer in model.complete(asked)}


@pytest.fixture(scope="module")
def local(tiny_model) -> Local:
    return Local(str(tiny_model), quiet())


@pytest.fixture
def changed(tiny_model, tmp_path) -> Path:
    """A copy of the tiny model that a test may change."""
    return shutil.copytree(tiny_model, tmp_path / "model")


def edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


# answers


@pytest.mark.parametrize("tuned", [False, True], ids=["base", "adapter"])
def test_a_batch_answers_as_one_at_a_time(tiny_model, tiny_adapter, tuned):
    model = Local(str(tiny_model), quiet(), tiny_adapter if tuned else None)
    together = answers(model, requests())

    alone = {}
    for request in requests():
        alone |= answers(model, [request])

    assert together == alone
    assert len({answer.output for answer in together.values()}) > 1


def test_an_adapter_answers_otherwise_than_its_base(local, tiny_model, tiny_adapter):
    tuned = Local(str(tiny_model), quiet(), tiny_adapter)

    assert answers(local, requests()) != answers(tuned, requests())
    assert local.fingerprint.subject | {"adapter": tuned.fingerprint.subject["adapter"]} == tuned.fingerprint.subject


def test_answers_are_what_the_model_itself_would_say(local, tiny_model):
    import torch

    tokenizer, model = load_tokenizer(tiny_model), load_base(tiny_model)
    for request in requests():
        ids = tokenizer(render_prompt(tokenizer, request), add_special_tokens=False, return_tensors="pt").input_ids
        said = ids
        for _ in range(request.decoding.max_new_tokens):
            said = torch.cat([said, model(said).logits[:, -1:].argmax(-1)], dim=1)
        (answer,) = local.complete([request])
        assert answer.output == tokenizer.decode(said[0, ids.shape[1] :], skip_special_tokens=True)
        assert (answer.tokens_in, answer.tokens_out, answer.finish) == (ids.shape[1], 12, "length")


def test_an_answer_that_ends_says_stop_and_counts_its_end(local, tiny_model, changed):
    (request,) = requests(texts=TEXTS[:1])
    (before,) = local.complete([request])
    tokenizer = load_tokenizer(tiny_model)
    ids = tokenizer(before.output, add_special_tokens=False).input_ids
    place = next(index for index, token in enumerate(ids) if index and token not in ids[:index])
    edit(changed / "generation_config.json", eos_token_id=[2, ids[place]])

    (after,) = Local(str(changed), quiet()).complete([request])

    assert (before.finish, after.finish) == ("length", "stop")
    assert after.tokens_out == place + 1
    assert before.output.startswith(tokenizer.decode(ids[:place]))


def test_rows_that_end_early_are_cut_at_their_end_and_the_others_go_on(local, changed):
    texts = [*TEXTS, *(f"Ticket {number}" for number in range(12))]
    whole = answers(local, requests(texts=texts))
    letter = Counter(answer.output[3:6] for answer in whole.values()).most_common()[0][0]
    ids = load_tokenizer(changed)(letter, add_special_tokens=False).input_ids
    edit(changed / "generation_config.json", eos_token_id=[2, ids[0]])
    ending = answers(Local(str(changed), quiet()), requests(texts=texts))

    assert {answer.finish for answer in ending.values()} >= {"stop"}
    for key, answer in ending.items():
        assert whole[key].output.startswith(answer.output[: -1 if answer.finish == "stop" else None])
        assert answer.tokens_out <= 12


def test_the_end_token_of_the_tokenizer_counts_where_the_model_names_another(changed):
    edit(changed / "generation_config.json", eos_token_id=77)

    _, model = Local(str(changed), quiet())._loaded

    assert model.generation_config.eos_token_id == [2, 77]  # training teaches the tokenizer's


def test_sampling_and_penalties_that_a_model_suggests_do_not_count(local, changed):
    edit(
        changed / "generation_config.json",
        do_sample=True, temperature=3.0, top_k=3, repetition_penalty=2.0, no_repeat_ngram_size=1, min_new_tokens=5,
    )  # fmt: skip

    assert answers(Local(str(changed), quiet()), requests()) == answers(local, requests())


# sampling


def test_a_sampled_answer_depends_on_its_seed_case_and_repeat_alone(local):
    decoding = Decoding(max_new_tokens=12, temperature=1.5, seed=5)
    asked = requests(decoding) + [replace(request, repeat=1) for request in requests(decoding)]

    first = answers(local, asked)
    again = answers(local, asked[3:] + asked[:3])
    other = answers(local, requests(replace(decoding, seed=6)))

    assert first == again
    assert len({answer.output for answer in first.values()}) == len(asked)
    assert all(first[key].output != answer.output for key, answer in other.items())


def test_top_p_narrows_the_choice(local):
    narrow = answers(local, requests(Decoding(12, temperature=1.0, top_p=1e-6)))

    assert narrow == answers(local, requests())


# what cannot be asked, and what breaks


def test_a_model_without_a_chat_template_is_refused(changed):
    (changed / "chat_template.jinja").unlink()

    with pytest.raises(Refused, match="expected a chat template, found none"):
        list(Local(str(changed), quiet()).complete(requests()))


def test_a_model_without_an_end_token_is_refused(changed):
    edit(changed / "tokenizer_config.json", eos_token=None)

    with pytest.raises(Refused, match="expected a tokenizer with an end-of-turn token"):
        list(Local(str(changed), quiet()).complete(requests()))


def test_messages_that_the_template_does_not_take_are_refused_with_the_case(changed):
    (changed / "chat_template.jinja").write_text("{{ raise_exception('System role not supported') }}")

    with pytest.raises(
        Refused, match=r"desk/triage/0: .*template accepts, found system, user: System role not supported"
    ):
        list(Local(str(changed), quiet()).complete(requests()))


def test_a_prompt_that_the_model_cannot_see_whole_is_refused_before_anything_is_asked(changed):
    edit(changed / "config.json", max_position_embeddings=100)
    asked = requests(texts=["short", "x" * 80])

    with pytest.raises(
        Refused, match=r"desk/triage/1: expected prompt and output within the 100 tokens that model can see"
    ):
        next(Local(str(changed), quiet()).complete(asked))


def test_a_failure_while_generating_is_no_answer_but_an_outage(tiny_model):
    model = Local(str(tiny_model), quiet())
    broken = replace(requests()[0], decoding=Decoding(temperature=float("nan")))

    with pytest.raises(CouldNotRun, match=r"failed on a batch of 1 \(desk/triage/0 \.\.\.\): "):
        list(model.complete([broken]))
    assert list(model.complete(requests()))  # and goes on


def test_damaged_base_weights_are_an_outage(changed):
    weights = changed / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])

    with pytest.raises(CouldNotRun, match="expected a model that transformers can load, found"):
        list(Local(str(changed), quiet()).complete(requests()))


def test_nothing_loads_before_the_first_answer(tiny_model):
    model = Local(str(tiny_model), quiet())

    assert model.fingerprint.subject["adapter"] is None
    assert "_loaded" not in vars(model)


# one base, many adapters


@pytest.fixture(scope="module")
def three(make_adapter) -> list[Path]:
    return [make_adapter(name) for name in ("one", "two", "three")]


def test_adapters_share_a_base_that_is_loaded_once(tiny_model, three, monkeypatch):
    loads = []
    monkeypatch.setattr(
        "tunegate.harness.models.local.huggingface.load_base", lambda *given: loads.append(given) or load_base(*given)
    )
    base = Base(str(tiny_model), quiet())
    shared = [answers(Local("tiny", quiet(), adapter, base=base), requests()) for adapter in [*three, None, three[0]]]
    assert len(loads) == 1

    alone = [answers(Local(str(tiny_model), quiet(), adapter), requests()) for adapter in [*three, None]]

    assert shared[:4] == alone, "each as if it had a base of its own, the bare base too"
    assert shared[4] == shared[0]
    assert len({str(each) for each in alone}) == 4


def test_models_on_one_base_may_take_turns(tiny_model, three):
    base = Base(str(tiny_model), quiet())
    one, two = (Local("tiny", quiet(), adapter, base=base) for adapter in three[:2])
    wanted = [answers(model, requests()) for model in (one, two)]

    first, second = one.complete(requests(texts=TEXTS)), two.complete(requests(texts=TEXTS))
    turns = list(zip(first, second, strict=True))

    assert [{(each.key, each.repeat): each for each in side} for side in zip(*turns, strict=True)] == wanted


def test_an_adapter_that_fails_leaves_nothing_behind(tiny_model, three, tmp_path):
    from safetensors.torch import load_file, save_file

    broken = shutil.copytree(three[0], tmp_path / "broken")
    weights = load_file(broken / "adapter_model.safetensors")
    weights.pop(next(iter(weights)))
    save_file(weights, broken / "adapter_model.safetensors")
    base = Base(str(tiny_model), quiet())

    with pytest.raises(Refused, match="broken"):
        answers(Local("tiny", quiet(), broken, base=base), requests())

    bare = Local(str(tiny_model), quiet())
    assert answers(Local("tiny", quiet(), base=base), requests()) == answers(bare, requests())
    tuned = Local(str(tiny_model), quiet(), three[0])
    assert answers(Local("tiny", quiet(), three[0], base=base), requests()) == answers(tuned, requests())
