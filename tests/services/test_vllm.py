"""A real vLLM on the embedded model: base, LoRA and rsLoRA as PEFT answers in float32, and one that it ignores.

It takes 3.4 GB and some minutes to install, so `make vllm` is asked for by itself; without it these tests are skipped.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from tests.support.kept import Kept
from tests.support.paths import ROOT
from tests.support.served import compared, make_place
from tunegate.harness.cases.loader import find_unit, load_tasks
from tunegate.harness.cases.model import Decoding
from tunegate.harness.core.errors import Refused
from tunegate.harness.core.progress import quiet
from tunegate.harness.models.adapters import WEIGHTS
from tunegate.harness.models.api import Request
from tunegate.harness.models.local.huggingface import Local
from tunegate.harness.models.model_options import ModelOptions
from tunegate.harness.models.prompts import requests
from tunegate.harness.models.resolve import resolve
from tunegate.harness.models.served.structured_outputs import violation
from tunegate.harness.models.served.vllm import Vllm
from tunegate.harness.models.served.vllm_process import PYTHON

FLOAT32 = ModelOptions(dtype="float32")
TEXTS = ("The engineer will call on Monday.", "The technician rings on Monday.")
pytestmark = pytest.mark.skipif(not os.environ.get(PYTHON), reason="vLLM is not installed: make vllm services")


@pytest.fixture(scope="module")
def adapters(kept: Kept) -> list[Path]:
    """A LoRA and an rsLoRA of random weights; and the first one, for layers that the model does not have."""

    def make(folder: Path, rank: int, rslora: bool) -> None:
        import torch
        from peft import LoraConfig, get_peft_model
        from transformers import AutoModelForCausalLM

        torch.manual_seed(rank)
        config = LoraConfig(
            r=rank, use_rslora=rslora, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM"
        )
        get_peft_model(AutoModelForCausalLM.from_pretrained(resolve("smollm2")), config).save_pretrained(folder)

    def misplaced(folder: Path) -> None:
        shutil.copytree(found[0], folder, dirs_exist_ok=True)
        weights = load_file(found[0] / WEIGHTS)
        save_file({name.replace(".layers.", ".layers.9"): each for name, each in weights.items()}, folder / WEIGHTS)

    found = [
        kept("smollm2/rank4", lambda folder: make(folder, 4, rslora=False)),
        kept("smollm2/rank12-rslora", lambda folder: make(folder, 12, rslora=True)),
    ]
    return [*found, kept("smollm2/misplaced", misplaced)]


@pytest.fixture(scope="module")
def served(adapters: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Vllm]]:
    """The base, and each adapter, on one server."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("vllm"))
        base = Vllm("vllm:smollm2", quiet(), options=FLOAT32)
        yield [base, *(Vllm("vllm:smollm2", quiet(), each, base=base.base) for each in adapters)]
        base.base.stop()


def asked() -> list[Request]:
    """A dozen prompts of the demo, and what asks for the log-probabilities of given texts."""
    tasks = load_tasks(ROOT / "fixtures")
    units = [find_unit(tasks, f"support/{name}") for name in ("triage", "orders", "replies", "questions")]
    prompts = [each for unit in units for each in list(requests([unit]))[:3]]
    return [replace(each, decoding=Decoding(max_new_tokens=24)) for each in prompts] + [
        Request("texts", (), Decoding(max_new_tokens=1), texts=TEXTS),
        Request("answers", (("user", "When do you call?"),), Decoding(max_new_tokens=1), texts=TEXTS),
    ]


def test_answers_are_held_to_their_schema_whatever_the_weights(served):
    tasks = load_tasks(ROOT / "fixtures")
    units = [find_unit(tasks, f"support/{name}") for name in ("triage", "orders")]
    held = [each for unit in units for each in list(requests([unit], "constrained"))[:3]]
    held = [replace(each, decoding=Decoding(max_new_tokens=300)) for each in held]
    for model in served[:2]:
        found = {each.key: each for each in model.complete(held)}
        finished = [each for each in held if found[each.key].finish == "stop"]
        assert len(finished) >= 4, found
        assert [violation(each.constraint, found[each.key].output) for each in finished] == [""] * len(finished)


def test_base_and_adapters_answer_as_peft_does(served, adapters):
    here = Local("smollm2", quiet(), options=FLOAT32)
    for model, adapter in zip(served[:3], [None, *adapters[:2]], strict=True):
        local = Local("smollm2", quiet(), adapter, base=here.base)
        theirs, ours = ({each.key: each for each in one.complete(asked())} for one in (model, local))
        assert model.fingerprint.subject == local.fingerprint.subject
        ids = [{key: here.tokenizer(each.output or "").input_ids for key, each in side.items()}
               for side in (theirs, ours)]  # fmt: skip
        assert ids[0] == ids[1]
        assert {key: (each.tokens_in, each.tokens_out, each.finish) for key, each in theirs.items() if each.output} == {
            key: (each.tokens_in, each.tokens_out, each.finish) for key, each in ours.items() if each.output
        }
        for key in ("texts", "answers"):
            for one, other in zip(theirs[key].logprobs, ours[key].logprobs, strict=True):
                assert one == pytest.approx(other, abs=2e-3)


def test_an_adapter_that_it_silently_ignores_is_refused(served):
    with pytest.raises(Refused, match="misplaced: not acting: behind vLLM the log-probabilities of a probe are"):
        list(served[3].complete(asked()[:1]))


def test_an_adapter_on_its_base_is_shown_to_be_what_was_judged(adapters, tmp_path):
    place = make_place(tmp_path / "place", resolve("smollm2"), adapters[0])

    parity = compared(place, f"vllm:{resolve('smollm2')}", dtype="float32")

    assert (parity.is_shown, parity.findings) == (True, []), list(parity.lines())
    assert set(parity.record.verdicts) == {"desk/triage", "desk/passages"}
