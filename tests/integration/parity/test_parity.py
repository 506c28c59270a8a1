"""What is served beside what was judged: an honest artefact passes, and each known wrong is named."""

from __future__ import annotations

import json
import shutil

import pytest

from tests.support.fault_server import says, serving
from tests.support.served import (
    another,
    change_weights,
    compared,
    make_place,
    merged_folder,
    scored,
    two_bits,
    write_template,
)
from tests.support.stand_in import standing_in
from tunegate.harness.core.errors import CouldNotRun, Refused
from tunegate.harness.core.progress import quiet
from tunegate.harness.models.huggingface import Base
from tunegate.harness.models.model_options import ModelOptions
from tunegate.harness.models.served_prompts import served_prompts


@pytest.fixture(scope="module")
def place(tmp_path_factory, tiny_model, tiny_adapter):
    return make_place(tmp_path_factory.mktemp("parity"), tiny_model, tiny_adapter)


@pytest.fixture(scope="module")
def good(place):
    return merged_folder(place, place / "good")


@pytest.fixture
def merged(good, tmp_path):
    return shutil.copytree(good, tmp_path / "merged")


def rules(parity):
    return [each.rule for each in parity.findings]


def test_a_merged_folder_is_what_was_judged(place, merged):
    parity = compared(place, merged)

    assert (parity.is_shown, rules(parity)) == (True, [])
    assert list(parity.lines()) == [
        "prompts: the same token ids in 32 of 32",
        parity.weights.line(),
        "answers: 32 of 32 the same",
        "log-probabilities: 0.0000 nats a token apart, 0.0001 at most (32 texts)",
    ]
    assert parity.weights.error < 1e-6
    assert parity.weights.times == pytest.approx(1, abs=1e-3)


TEMPLATES = {
    "template": ("{{ m['role'] }}", "{{ m['role'] | upper }}"),
    "end-of-turn": ("<|end|>", ""),
    "doubled-bos": ("{% for m in messages %}", "<|start|>{% for m in messages %}"),
}


@pytest.mark.parametrize("rule", TEMPLATES)
def test_what_became_of_a_template_in_a_folder_is_named(place, merged, rule):
    parity = compared(place, write_template(merged, *TEMPLATES[rule]))

    assert rules(parity)[0] == rule
    assert not parity.is_shown


@pytest.mark.parametrize(("rule", "change"), [("quantised", two_bits), ("other-base", another)])
def test_what_became_of_weights_is_named(place, merged, rule, change):
    parity = compared(place, change_weights(merged, change))

    assert rules(parity)[0] == rule
    assert not parity.is_shown


def test_weights_that_are_no_numbers_are_refused(place, merged):
    with pytest.raises(Refused, match="merged: expected finite weights, found NaN or infinity in model"):
        compared(place, change_weights(merged, lambda name, each: each * float("nan")))


def test_an_adapter_that_is_not_in_the_weights_is_named(place, tiny_model, tmp_path):
    parity = compared(place, shutil.copytree(tiny_model, tmp_path / "base"))

    assert (parity.is_shown, rules(parity)) == (False, ["adapter-not-applied"])
    assert parity.weights.times == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("shows", [True, False], ids=["shows prompts", "shows nothing"])
def test_a_server_is_what_was_judged(place, tiny_model, shows):
    with standing_in(tiny_model, place / "tuned", shows=shows) as server:
        parity = compared(place, server.model)

    assert (parity.is_shown, rules(parity)) == (True, [])
    seen = "the same token ids in" if shows else "seen by their lengths alone, which are the same in"
    assert next(parity.lines()) == f"prompts: {seen} 32 of 32"
    assert set(parity.record.verdicts) == {"desk/triage", *(["desk/passages"] if shows else [])}
    assert list(parity.unseen) == ([] if shows else ["desk/passages"])


def test_a_server_that_is_asked_in_token_ids_is_what_was_judged(place, tiny_model):
    with standing_in(tiny_model, place / "tuned") as server:
        parity = compared(place, server.model, tokenizer=str(tiny_model))

    assert parity.is_shown
    assert next(parity.lines()).startswith("prompts: sent as token ids")


@pytest.mark.parametrize("shows", [True, False], ids=["shows prompts", "shows nothing"])
@pytest.mark.parametrize("rule", ["template", "end-of-turn", "doubled-bos"])
def test_what_became_of_a_servers_prompt_is_named(place, tiny_model, rule, shows):
    template = (tiny_model / "chat_template.jinja").read_text()
    wrong = {"twice": True} if rule == "doubled-bos" else {"template": template.replace(*TEMPLATES[rule])}
    if rule == "template" and not shows:
        wrong["template"] = template.replace("assistant", "the assistant")
    with standing_in(tiny_model, place / "tuned", shows=shows, **wrong) as server:
        parity = compared(place, server.model)

    # of a prompt that is not shown a lost end of turn is a length like another
    assert rules(parity)[0] == ("template" if rule == "end-of-turn" and not shows else rule)
    assert not parity.is_shown


def test_a_server_without_the_adapter_is_named(place, tiny_model):
    with standing_in(tiny_model) as server:
        parity = compared(place, server.model)

    assert (parity.is_shown, rules(parity)) == (False, ["adapter-not-applied"])
    assert "32 of 32 answers are those of the base without it" in str(parity.findings[0])


def test_a_server_of_other_weights_is_named(place, tiny_model, tiny_adapter, tmp_path):
    base = change_weights(shutil.copytree(tiny_model, tmp_path / "other"), another)
    with standing_in(base, tiny_adapter) as server:
        parity = compared(place, server.model)

    assert (parity.is_shown, rules(parity)) == (False, ["other-weights"])


@pytest.mark.parametrize("tokens", [[], None, ["a"], [-1], [10**30], [True]])
def test_token_ids_that_are_none_could_not_run(tokens):
    with (
        serving(says(json.dumps({"tokens": tokens, "prompt": "x"}))) as server,
        pytest.raises(CouldNotRun, match="token"),
    ):
        served_prompts(server.model, [(("user", "Hi."),)], ModelOptions())


@pytest.mark.parametrize("artefact", ["nowhere", "run.json", "fixtures"])
def test_what_is_nothing_to_serve_could_not_run(place, artefact):
    with pytest.raises(CouldNotRun, match="expected what is served: a merged model folder"):
        compared(place, place / artefact)


def test_a_file_that_is_no_gguf_could_not_run(place, tmp_path):
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF" + b"\xff" * 200)
    with pytest.raises(CouldNotRun, match="expected a GGUF file of a language model"):
        compared(place, path)


def test_a_folder_without_a_template_is_refused(place, merged):
    (merged / "chat_template.jinja").unlink()
    with pytest.raises(Refused, match="expected a chat template, found none"):
        compared(place, merged)


def test_the_record_of_another_adapter_is_refused(place, tmp_path, make_adapter):
    home = shutil.copytree(place, tmp_path / "place", ignore=shutil.ignore_patterns("good"))
    shutil.copy(make_adapter("another") / "adapter_model.safetensors", home / "tuned")
    with pytest.raises(Refused, match=r"expected a complete record of .*, found another"):
        scored(home)


def test_what_is_served_is_kept_as_a_record(place, merged):
    parity = compared(place, merged)

    kept = json.loads(parity.record.path.read_text())
    assert kept["fingerprint"]["subject"]["model"] == Base(str(merged), quiet()).model.slug
    assert set(kept["verdicts"]) == {"desk/triage", "desk/passages"}
