from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, LlamaForCausalLM

from tests.support.records import stamp
from tests.support.records import training_record as training
from tests.support.tiny import write_trained
from tunegate.harness.core.errors import CouldNotRun, Refused
from tunegate.harness.core.progress import quiet
from tunegate.harness.models.adapters import CONFIG, WEIGHTS, adapter_digest, check_base, load_adapter, training_record
from tunegate.harness.models.identity import identify
from tunegate.harness.models.local.huggingface import Base, Local, load_base
from tunegate.harness.models.local.placement import Placement
from tunegate.harness.models.probe import PROBE
from tunegate.harness.models.tokenizer import load_tokenizer

EMBEDDINGS = ("lm_head.weight", "model.embed_tokens.weight")


@pytest.fixture
def adapter(tiny_adapter, tmp_path) -> Path:
    """A copy of the adapter that a test may spoil."""
    return shutil.copytree(tiny_adapter, tmp_path / "adapter")


@pytest.fixture
def load(tiny_model):
    """Puts an adapter on the tiny model."""
    probe = load_tokenizer(tiny_model)(PROBE, return_tensors="pt").input_ids
    return lambda folder: load_adapter(load_base(tiny_model), folder, probe)


def edit_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]) -> None:
    save_file(change(load_file(folder / WEIGHTS)), folder / WEIGHTS)


def edit_config(folder: Path, **changes: object) -> None:
    path = folder / CONFIG
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_training_goes_on_in_float32_on_any_base(adapter, tiny_model):
    probe = load_tokenizer(tiny_model)(PROBE, return_tensors="pt").input_ids
    tuned = load_adapter(load_base(tiny_model, Placement(dtype="bfloat16")), adapter, probe, trainable=True)

    assert {str(each.dtype) for each in tuned.parameters() if each.requires_grad} == {"torch.float32"}


# which one it is


@pytest.mark.parametrize(
    "change",
    [{"base_model_name_or_path": "/elsewhere"}, {"revision": "main"}, {"inference_mode": False}, {"peft_version": "9"}],
    ids=lambda change: next(iter(change)),
)
def test_the_digest_does_not_see_where_and_when_it_was_made(adapter, change):
    before = adapter_digest(adapter)
    edit_config(adapter, **change)
    (adapter / "README.md").write_text("changed")

    assert adapter_digest(adapter) == before


@pytest.mark.parametrize("change", [{"r": 5}, {"lora_alpha": 9}, {"use_dora": True}, {"target_modules": ["q_proj"]}])
def test_the_digest_sees_what_decides_its_effect(adapter, change):
    before = adapter_digest(adapter)
    edit_config(adapter, **change)

    assert adapter_digest(adapter) != before


def test_the_digest_sees_one_changed_weight(adapter):
    before = adapter_digest(adapter)

    def nudge(weights):
        weights[min(weights)][0, 0] += 1e-3
        return weights

    edit_weights(adapter, nudge)

    assert adapter_digest(adapter) != before


def test_a_missing_folder_is_refused_and_never_the_base(tmp_path, tiny_model):
    with pytest.raises(
        Refused, match=r"none: expected adapter_config\.json and adapter_model\.safetensors, found no such"
    ):
        Local(str(tiny_model), quiet(), tmp_path / "none")


@pytest.mark.parametrize("missing", [WEIGHTS, CONFIG])
def test_a_missing_file_is_refused(adapter, missing):
    (adapter / missing).unlink()

    with pytest.raises(Refused, match=rf"expected {missing}, found a folder without it; train it with tunegate train"):
        adapter_digest(adapter)


@pytest.mark.parametrize(("text", "line"), [("{", ":1"), ("[1]", ""), ("null", "")])
def test_a_damaged_configuration_is_refused(adapter, text, line):
    (adapter / CONFIG).write_text(text)

    with pytest.raises(Refused, match=rf"adapter_config\.json{line}: expected"):
        adapter_digest(adapter)


# that it fits


def write_training(folder: Path, **model: str) -> None:
    stamp(
        folder / "training.json", training(model={"name": "tiny", "base": "", "tokenizer": "", "template": ""} | model)
    )


def test_an_adapter_goes_on_the_base_it_was_trained_on(adapter, tiny_model):
    base = identify("tiny", tiny_model)
    assert training_record(adapter) is None
    check_base(adapter, base)  # made elsewhere: it does not say

    write_training(adapter, **base.as_dict())
    check_base(adapter, base)


@pytest.mark.parametrize("part", ["base", "tokenizer", "template"])
def test_another_base_is_refused(adapter, tiny_model, part):
    write_training(adapter, **identify("tiny", tiny_model).as_dict() | {part: "f" * 64})

    with pytest.raises(
        Refused, match=rf"expected the {part} it was trained on \(ffffffff\), found .* name the right model"
    ):
        Local(str(tiny_model), quiet(), adapter)


@pytest.mark.parametrize(("text", "line"), [("{}", ""), ('{"model": null}', ""), ("[]", ""), ("{", ":1")])
def test_a_damaged_training_record_is_refused(adapter, tiny_model, text, line):
    (adapter / "training.json").write_text(text)

    with pytest.raises(Refused, match=rf"training\.json{line}: expected"):
        check_base(adapter, identify("tiny", tiny_model))


def test_a_training_record_without_its_model_is_refused(adapter, tiny_model):
    stamp(adapter / "training.json", training(model=None))

    with pytest.raises(Refused, match=r"training\.json: expected a training record, found .*model"):
        check_base(adapter, identify("tiny", tiny_model))


def test_a_training_record_that_was_edited_is_refused(adapter):
    write_training(adapter, base="1")
    path = adapter / "training.json"
    path.write_text(path.read_text().replace('"1"', '"2"'))

    with pytest.raises(Refused, match=r"expected the training record as it was written, found it edited"):
        training_record(adapter)


def test_weights_of_another_shape_are_refused(adapter, load):
    edit_weights(adapter, lambda weights: {name: weight.repeat(1, 2) for name, weight in weights.items()})

    with pytest.raises(
        Refused, match=r"expected one that fits this base; PEFT says: (?s:.*)size mismatch for base_model"
    ):
        load(adapter)


def test_modules_that_the_base_lacks_are_refused(adapter, load):
    edit_config(adapter, target_modules=["c_attn"])

    with pytest.raises(Refused, match="expected one that fits this base; PEFT says: Target modules"):
        load(adapter)


# that it loaded and acts


def test_an_adapter_loads_and_acts(adapter, load):
    tuned = load(adapter)

    assert not tuned.training
    assert tuned.active_adapter == "default"


@pytest.mark.parametrize(
    "trained",
    [{"modules_to_save": ["lm_head"]}, {"modules_to_save": ["embed_tokens", "norm"]}, {"trainable_token_indices": [7]}],
    ids=["head", "modules", "tokens"],
)
def test_modules_and_tokens_that_were_trained_load_and_leave_the_base_as_it_was(trained, tiny_model, tmp_path):
    write_trained(tmp_path / "adapter", load_base(tiny_model), **trained)
    base = Base(str(tiny_model), quiet())
    probe = base.tokenizer(PROBE, return_tensors="pt").input_ids

    with torch.inference_mode():
        before, tuned, after = (base.with_adapter(each)(probe).logits for each in (None, tmp_path / "adapter", None))

    assert torch.equal(before, after)
    assert not torch.equal(before, tuned)


@pytest.mark.filterwarnings("ignore:Model has `tie_word_embeddings", "ignore:Setting `", "ignore:Input and output")
@pytest.mark.parametrize(
    ("trained", "is_tied"),
    [
        ({}, True),
        ({"trainable_token_indices": [7]}, True),
        ({"modules_to_save": ["lm_head"]}, False),
        ({"target_modules": ["embed_tokens"]}, False),
        ({"target_modules": ["q_proj", "lm_head"]}, False),
        ({"target_modules": ["embed_tokens"], "ensure_weight_tying": True}, False),
    ],
    ids=str,
)
def test_merged_into_a_base_with_one_matrix_for_input_and_output_it_is_what_was_evaluated(
    trained, is_tied, tied_model, tmp_path
):
    write_trained(tmp_path / "adapter", load_base(tied_model), **trained)
    base = Base(str(tied_model), quiet())
    probe = base.tokenizer(PROBE, return_tensors="pt").input_ids

    with torch.inference_mode():
        evaluated = base.with_adapter(tmp_path / "adapter")(probe).logits
        merged = base.merged(tmp_path / "adapter")
        merged.save_pretrained(tmp_path / "merged")
        found = load_base(tmp_path / "merged")(probe).logits

    torch.testing.assert_close(found, evaluated, atol=1e-3, rtol=0)  # logits up to 300
    assert merged.config.tie_word_embeddings == is_tied


@pytest.mark.filterwarnings("ignore:`lora_bias=True` was passed", "ignore:Adapter 'default'")
def test_what_cannot_be_merged_is_said_and_leaves_the_base_as_it_was(tiny_model, tmp_path):
    biased = write_trained(tmp_path / "biased", load_base(tiny_model), lora_bias=True)
    base = Base(str(tiny_model), quiet())
    probe = base.tokenizer(PROBE, return_tensors="pt").input_ids
    before = base.with_adapter(None)(probe).logits

    with pytest.raises(CouldNotRun, match=r"biased: merging failed: .* base layer has no bias.*; serve it unmerged"):
        base.merged(biased)
    assert torch.equal(base.with_adapter(None)(probe).logits, before)


@pytest.mark.filterwarnings("ignore:Model has `tie_word_embeddings", "ignore:Setting `")
def test_an_adapter_whose_sum_with_the_base_is_no_number_is_refused(tiny_model, tmp_path):
    adapter = write_trained(tmp_path / "adapter", load_base(tiny_model), target_modules=["embed_tokens"])
    [name] = [each for each in load_file(adapter / WEIGHTS) if "embedding_A" in each]
    edit_weights(adapter, lambda weights: weights | {name: weights[name].index_fill(1, torch.tensor(0), 3e38)})

    with pytest.raises(Refused, match="adapter: expected finite weights once merged, found NaN or infinity"):
        Base(str(tiny_model), quiet()).merged(adapter)


def test_trained_biases_are_refused_since_they_would_stay_in_the_base(tmp_path):
    config = LlamaConfig(
        vocab_size=8, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1,
        attention_bias=True,
    )  # fmt: skip
    base = LlamaForCausalLM(config)
    write_trained(tmp_path / "adapter", deepcopy(base), bias="all")

    with pytest.raises(Refused, match=r"expected the base's own weights, found other values for .*k_proj\.bias"):
        load_adapter(base, tmp_path / "adapter", torch.tensor([[1, 2]]))


def test_embeddings_that_would_replace_those_of_the_base_are_refused(adapter, tiny_model, load):
    own = load_base(tiny_model).state_dict()
    embeddings = {f"base_model.model.{name}": own[name].clone() for name in EMBEDDINGS}
    edit_weights(adapter, lambda weights: weights | embeddings)
    load(adapter)  # PEFT saves those of the base, too, if it is told to

    edit_weights(adapter, lambda weights: weights | {name: each + 1 for name, each in embeddings.items()})
    with pytest.raises(Refused, match=r"expected the base's own weights, found other values for .*lm_head\.weight"):
        load(adapter)


@pytest.mark.parametrize("change", [{"init_lora_weights": "pissa"}, {"layer_replication": [[0, 2], [0, 2]]}])
def test_what_alters_the_base_as_it_loads_is_refused(adapter, load, change):
    edit_config(adapter, **change)

    with pytest.raises(Refused, match=f"{next(iter(change))}: expected .*, found "):
        load(adapter)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("of_base", ["float32", "float16", "bfloat16"])
def test_an_adapter_loads_whatever_the_types_of_its_file_and_the_base(adapter, tiny_model, dtype, of_base):
    edit_weights(adapter, lambda weights: {name: weight.to(dtype) for name, weight in weights.items()})
    probe = load_tokenizer(tiny_model)(PROBE, return_tensors="pt").input_ids

    load_adapter(load_base(tiny_model, Placement(dtype=of_base)), adapter, probe)


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.int8])
def test_weights_of_another_type_are_refused_by_name(adapter, load, dtype):
    edit_weights(adapter, lambda weights: {name: weight.to(dtype) for name, weight in weights.items()})

    with pytest.raises(Refused, match=rf"expected float32, float16 or bfloat16, found {str(dtype)[6:]} in base_model"):
        load(adapter)


@pytest.mark.parametrize("share", [1, 2], ids=["all", "half"])
def test_missing_weights_are_refused(adapter, load, share):
    kept = slice(0, None, 2) if share == 2 else slice(0, 0)
    edit_weights(adapter, lambda weights: {name: weights[name] for name in sorted(weights)[kept]})

    with pytest.raises(Refused, match=r"expected every weight of the file in the model, . differ: base_model"):
        load(adapter)


def test_weights_under_other_names_are_refused(adapter, load):
    edit_weights(adapter, lambda weights: {name.replace("q_proj", "o_proj"): each for name, each in weights.items()})

    with pytest.raises(Refused, match="expected every weight of the file in the model, 8 differ"):
        load(adapter)


@pytest.mark.parametrize("value", ["nan", "inf"])
def test_weights_that_are_not_finite_are_refused(adapter, load, value):
    edit_weights(adapter, lambda weights: weights | {max(weights): weights[max(weights)] * float(value)})

    with pytest.raises(Refused, match="expected finite weights, found NaN or infinity in base_model"):
        load(adapter)


def test_weights_too_large_for_the_sum_are_refused(adapter, load):
    edit_weights(adapter, lambda weights: {name: weight * 1e30 for name, weight in weights.items()})

    with pytest.raises(Refused, match="expected finite logits, found NaN or infinity"):
        load(adapter)


def test_a_truncated_file_is_refused(adapter, load):
    file = adapter / WEIGHTS
    file.write_bytes(file.read_bytes()[:-100])

    with pytest.raises(Refused, match="expected safetensors, found a damaged file"):
        load(adapter)


def test_an_untrained_adapter_is_not_acting(adapter, load):
    edit_weights(adapter, lambda weights: {name: weight * ("lora_A" in name) for name, weight in weights.items()})

    with pytest.raises(Refused, match="not acting: its logits equal the base's on a probe"):
        load(adapter)


def test_an_adapter_that_acts_only_after_some_tokens_is_refused_by_that(load, tiny_model, tmp_path):
    folder = write_trained(tmp_path / "adapter", load_base(tiny_model), alora_invocation_tokens=[1, 100])
    with pytest.raises(Refused, match=r"config\.json: alora_invocation_tokens: expected none, found \[1, 100\]"):
        load(folder)


@pytest.mark.parametrize("key", ["target_modules", "rank_pattern"])
def test_a_pattern_that_may_take_for_ever_is_refused(key, tiny_adapter, tmp_path, tiny_model):
    adapter = shutil.copytree(tiny_adapter, tmp_path / "adapter")
    config = json.loads((adapter / CONFIG).read_text())
    pattern = "(([a-z0-9_.])+)+!"
    config[key] = pattern if key == "target_modules" else {pattern: 4}
    (adapter / CONFIG).write_text(json.dumps(config))
    local = Local(str(tiny_model), quiet(), adapter)
    with pytest.raises(Refused, match=f"{key}: expected a pattern without a repeated group"):
        local.base.with_adapter(adapter)


def test_what_is_loaded_is_what_was_digested(tiny_adapter, tmp_path, tiny_model):
    adapter = shutil.copytree(tiny_adapter, tmp_path / "adapter")
    local = Local(str(tiny_model), quiet(), adapter)
    (adapter / WEIGHTS).write_bytes((adapter / WEIGHTS).read_bytes()[:-4] + b"\0\0\0\0")
    with pytest.raises(Refused, match=r"expected digest .*, found that it changed meanwhile"):
        local.base.with_adapter(adapter, local.fingerprint.subject["adapter"])
