from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tunegate.harness.core.errors import CouldNotRun, Refused
from tunegate.harness.models.identity import ModelFiles, identify
from tunegate.harness.models.resolve import resolve


@pytest.fixture
def copy(tiny_model, tmp_path) -> Path:
    """A copy of the tiny model that a test may change."""
    return shutil.copytree(tiny_model, tmp_path / "copy")


def edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


# names


def test_a_folder_is_its_own_model(tiny_model):
    assert resolve(str(tiny_model)) == tiny_model


# identity


def saved_again(folder: Path, into: Path) -> Path:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    AutoModelForCausalLM.from_pretrained(folder).save_pretrained(into)
    AutoTokenizer.from_pretrained(folder).save_pretrained(into)
    return into


def test_the_same_model_saved_again_or_moved_is_the_same(copy, tiny_model, tmp_path):
    again = saved_again(copy, tmp_path / "again")

    assert identify("m", again) == identify("m", copy) == identify("m", tiny_model)


def test_what_wrote_a_model_is_no_part_of_it(copy, tiny_model):
    edit(copy / "config.json", transformers_version="4.0", _name_or_path="/elsewhere", torch_dtype="float32")
    (copy / "README.md").write_text("Changed.")

    assert identify("m", copy) == identify("m", tiny_model)


def changes(before: ModelFiles, after: ModelFiles) -> list[str]:
    return [part for part in ("base", "tokenizer", "template") if getattr(before, part) != getattr(after, part)]


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("change", "seen"),
    [
        (lambda folder: flip_a_bit(folder / "model.safetensors"), "base"),
        (lambda folder: edit(folder / "config.json", rope_theta=5.0), "base"),
        (lambda folder: edit(folder / "generation_config.json", eos_token_id=7), "base"),
        (lambda folder: edit(folder / "tokenizer.json", normalizer={"type": "NFKC"}), "tokenizer"),
        (lambda folder: edit(folder / "tokenizer_config.json", eos_token="<|start|>"), "tokenizer"),  # noqa: S106
        (lambda folder: (folder / "chat_template.jinja").write_text("{{ messages }}"), "template"),
        (lambda folder: (folder / "chat_template.jinja").unlink(), "template"),
    ],
    ids=["weight", "config", "end", "tokenizer", "token", "template", "no-template"],
)
def test_each_change_is_seen_where_it_belongs(copy, tiny_model, change, seen):
    before = identify("m", tiny_model)
    change(copy)

    after = identify("m", copy)

    assert changes(before, after) == [seen]
    assert after.slug != before.slug


def test_the_template_that_transformers_prefers_is_the_one_that_counts(copy):
    from transformers import AutoTokenizer

    before = identify("m", copy).template
    (copy / "additional_chat_templates").mkdir()
    (copy / "additional_chat_templates/default.jinja").write_text("{{ messages[0].content }}!")

    turns = [{"role": "user", "content": "Hello"}]
    assert AutoTokenizer.from_pretrained(copy).apply_chat_template(turns, tokenize=False) == "Hello!"
    assert identify("m", copy).template != before


def test_a_template_counts_the_same_in_either_place(copy, tiny_model):
    template = copy / "chat_template.jinja"
    edit(copy / "tokenizer_config.json", chat_template=template.read_text())
    template.unlink()

    assert identify("m", copy) == identify("m", tiny_model)


def test_the_slug_is_the_name_and_eight_digits_of_the_digest(tiny_model):
    slug = identify("owner/Tiny", tiny_model).slug

    assert slug.startswith("Tiny-")
    assert len(slug) == len("Tiny-") + 8


def test_a_folder_without_safetensors_is_no_model(copy):
    (copy / "model.safetensors").unlink()

    with pytest.raises(
        CouldNotRun, match=r"expected model\.safetensors, or model\.safetensors\.index\.json and its shards"
    ):
        identify("m", copy)


def test_a_pickle_that_would_be_loaded_is_no_model(copy):
    (copy / "model.safetensors").rename(copy / "others.safetensors")
    (copy / "pytorch_model.bin").write_bytes(b"a pickle")

    with pytest.raises(CouldNotRun, match=r"found pytorch_model\.bin, which may run code when loaded"):
        identify("m", copy)


def test_weights_that_are_not_loaded_do_not_count(copy, tiny_model):
    (copy / "others.safetensors").write_bytes(b"others")
    (copy / "pytorch_model.bin").write_bytes(b"a pickle")

    assert identify("m", copy) == identify("m", tiny_model)


def shard(folder: Path, into: Path) -> Path:
    from transformers import AutoModelForCausalLM

    AutoModelForCausalLM.from_pretrained(folder).save_pretrained(into, max_shard_size="20KB")
    for file in folder.iterdir():
        if not (into / file.name).exists() and file.suffix != ".safetensors":
            shutil.copy(file, into)
    return into


def test_shards_count_by_their_index(tiny_model, tmp_path):
    folder = shard(tiny_model, tmp_path / "shards")
    assert len(list(folder.glob("model-*.safetensors"))) > 1
    before = identify("m", folder)
    last = sorted(folder.glob("model-*.safetensors"))[-1]
    flip_a_bit(last)
    assert changes(before, identify("m", folder)) == ["base"]
    last.unlink()
    with pytest.raises(CouldNotRun, match="and its shards, found none"):
        identify("m", folder)


@pytest.mark.parametrize("named", ["../weights.safetensors", "weights.bin", "deep/weights.safetensors"])
def test_weights_that_a_configuration_finds_elsewhere_are_no_model(copy, named):
    edit(copy / "config.json", transformers_weights=named)
    (copy / "weights.bin").write_bytes(b"a pickle")
    with pytest.raises(CouldNotRun, match=r"expected .*weights"):
        identify("m", copy)


def test_an_adapter_in_the_folder_of_a_base_is_refused(copy):
    (copy / "adapter_config.json").write_text("{}")
    with pytest.raises(Refused, match="expected a base model, found an adapter in its folder"):
        identify("m", copy)


def test_a_class_of_a_models_own_reads_a_file_otherwise_than_the_file_says(copy, tiny_model):
    """Qwen's splits at its own places, whatever tokenizer.json says of them; Llama's follows a file of bytes."""
    digests = []
    for name in ("TokenizersBackend", "PreTrainedTokenizerFast", "LlamaTokenizerFast", "Qwen2Tokenizer"):
        edit(copy / "tokenizer_config.json", tokenizer_class=name)
        digests.append(identify("m", copy).tokenizer)
    *same, qwen = digests
    assert set(same) == {identify("m", tiny_model).tokenizer} != {qwen}


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: edit(folder / "tokenizer_config.json", additional_special_tokens=["yes"]),
        lambda folder: edit(folder / "tokenizer_config.json", added_tokens_decoder={"1": {"content": "yes"}}),
        lambda folder: edit(folder / "tokenizer_config.json", clean_up_tokenization_spaces=True),
    ],
)
def test_whatever_shapes_tokens_or_text_is_seen(copy, tiny_model, change):
    change(copy)
    assert changes(identify("m", tiny_model), identify("m", copy)) == ["tokenizer"]
