"""Sixty edits of a model's folder: none changes an output and keeps the digest; and edits that change nothing."""

# ruff: noqa: S106  (a token is no password)

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tunegate.harness.core.errors import TunegateError
from tunegate.harness.models.api import Messages
from tunegate.harness.models.identity import identify
from tunegate.harness.models.local.huggingface import load_base
from tunegate.harness.models.tokenizer import apply_template, load_tokenizer

Edit = Callable[[Path], object]
TEXTS = (
    "The quick brown fox , it 's 12 and 345.",
    " UPPER e\u0301 ﬁ  two\n\nlines <|end|> <|start|>x",
    "<|unk|> <mask> ÄÖ 日",
)
TURNS: tuple[Messages, ...] = (
    (("user", "The fox?"),),
    (("system", "Be brief."), ("user", "one"), ("assistant", "two"), ("user", " three ")),
)
SETTINGS, TOKENS, CONFIG = "tokenizer_config.json", "tokenizer.json", "config.json"
GENERATION, TEMPLATE, MORE = "generation_config.json", "chat_template.jinja", "additional_chat_templates"


@pytest.fixture
def copy(tiny_model, tmp_path) -> Path:
    """A copy of the tiny model that a test may change."""
    return shutil.copytree(tiny_model, tmp_path / "copy")


def outputs(folder: Path) -> Any:
    """Token ids, texts, prompts, generated ids and logits of a model as it is loaded, or what refuses it."""
    import torch

    try:
        tokenizer, model = load_tokenizer(folder), load_base(folder)
        prompts = [apply_template(tokenizer, turns) for turns in TURNS]
        ids = [
            list(tokenizer(text, add_special_tokens=each).input_ids)
            for text in (*TEXTS, *prompts)
            for each in (False, True)
        ]
        texts = [tokenizer.decode(each, skip_special_tokens=skip) for each in ids for skip in (False, True)]
        ends = [model.generation_config.eos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id]
        begun = tokenizer(prompts, return_tensors="pt", padding=True, add_special_tokens=False)
        with torch.inference_mode():
            made = model.generate(**begun, max_new_tokens=12, do_sample=False).tolist()
            return [ids, texts, prompts, ends, made, model(**begun).logits.tolist()]
    except (TunegateError, IndexError, ValueError, RuntimeError) as error:
        return type(error).__name__


@cache
def outputs_before(folder: Path) -> Any:
    """The outputs of the model that no test changes."""
    return outputs(folder)


def name_of(folder: Path) -> str:
    """The digests of a model; the refusal where it has none."""
    try:
        return identify("m", folder).slug
    except TunegateError as error:
        return type(error).__name__


def settings(file: str = SETTINGS, **changes: object) -> Edit:
    def edit(folder: Path) -> None:
        path = folder / file
        path.write_text(json.dumps((json.loads(path.read_text()) if path.exists() else {}) | changes))

    return edit


def without(file: str, key: str) -> Edit:
    def edit(folder: Path) -> None:
        found = json.loads((folder / file).read_text())
        found.pop(key)
        (folder / file).write_text(json.dumps(found))

    return edit


def tokens(change: Callable[[dict[str, Any]], object], into: str = TOKENS) -> Edit:
    """An edit of the parsed tokenizer.json."""

    def edit(folder: Path) -> None:
        found = json.loads((folder / TOKENS).read_text())
        change(found)
        (folder / into).parent.mkdir(exist_ok=True)
        (folder / into).write_text(json.dumps(found))

    return edit


def part(**parts: object) -> Edit:
    """Parts of tokenizer.json, replaced."""
    return tokens(lambda found: found.update(parts))


def added(content: str, at: int = 50, **more: object) -> Edit:
    """A token that tokenizer.json adds."""
    token = {"id": at, "content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
             "special": True} | more  # fmt: skip
    return tokens(lambda found: found["added_tokens"].append(token))


def swap(found: dict[str, Any], one: str = "f", other: str = "o") -> None:
    """Exchange the ids of two tokens."""
    vocabulary = found["model"]["vocab"]
    vocabulary[one], vocabulary[other] = vocabulary[other], vocabulary[one]


def template(text: str, name: str = TEMPLATE) -> Edit:
    def edit(folder: Path) -> None:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)

    return edit


def both(*edits: Edit) -> Edit:
    def edit(folder: Path) -> None:
        for each in edits:
            each(folder)

    return edit


def move_ends(folder: Path) -> None:
    """Write the tokens that end an output into the other file, where they end none."""
    without(GENERATION, "eos_token_id")(folder)
    settings(CONFIG, eos_token_id=[2, 40])(folder)


def other_weights(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    weights["lm_head.weight"] = weights["lm_head.weight"].flip(0).contiguous()
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


def sharded(folder: Path) -> None:
    """Other weights in shards, which the configuration names instead of the old file."""
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    weights["lm_head.weight"] = weights["lm_head.weight"].flip(0).contiguous()
    save_file(weights, folder / "shard.safetensors", {"format": "pt"})
    (folder / "other.safetensors.index.json").write_text(
        json.dumps({"metadata": {}, "weight_map": dict.fromkeys(weights, "shard.safetensors")})
    )
    settings(CONFIG, transformers_weights="other.safetensors.index.json")(folder)


def linked(folder: Path) -> None:
    """A tokenizer behind a link, whose file lies elsewhere and is another."""
    elsewhere = folder.parent / "elsewhere.json"
    tokens(swap)(folder)
    shutil.move(folder / TOKENS, elsewhere)
    (folder / TOKENS).symlink_to(elsewhere)


def outside(folder: Path) -> None:
    """A tokenizer in another folder, which a setting leads to."""
    tokens(swap, "../elsewhere/tokenizer.4.0.0.json")(folder)
    settings(fast_tokenizer_files=["../elsewhere/tokenizer.4.0.0.json"])(folder)


def named_templates(folder: Path) -> None:
    """Templates by name in the settings, as older versions write them."""
    (folder / TEMPLATE).unlink()
    settings(chat_template=[{"name": "default", "template": "{{ messages[0].content }}?"}])(folder)


ASK = "{% for m in messages %}{{ m.content }}{% endfor %}"
#: Each changes what a model does.
ACTING: dict[str, Edit] = {
    # names of special tokens: those of the reproductions first
    "mask_token": settings(mask_token="fox"),
    "sep_token": settings(sep_token="fox"),
    "cls_token": settings(cls_token="fox"),
    "image_token": settings(image_token="fox"),
    "model_specific_special_tokens": settings(model_specific_special_tokens={"fox_token": "fox"}),
    "fast_tokenizer_files": both(
        tokens(swap, "tokenizer.4.0.0.json"), settings(fast_tokenizer_files=["tokenizer.4.0.0.json"])
    ),
    "extra_special_tokens by name": settings(extra_special_tokens={"fox_token": "fox"}),
    "extra_special_tokens": settings(extra_special_tokens=["fox"]),
    "additional_special_tokens": settings(additional_special_tokens=["fox"]),
    "audio_token": settings(audio_token="fox"),
    "eos_token": settings(eos_token="<|start|>"),
    "bos_token of another kind": settings(bos_token="fox"),
    "pad_token": settings(pad_token="<|unk|>"),
    "unk_token": settings(unk_token="fox"),
    "added_tokens_decoder": settings(
        added_tokens_decoder={"300": {"content": "fox", "special": True, "normalized": False}}
    ),
    "special_tokens_map.json": template('{"mask_token": "fox"}', "special_tokens_map.json"),
    "special_tokens_map.json, a template": template(json.dumps({"chat_template": ASK}), "special_tokens_map.json"),
    "added_tokens.json": template('{"fox": 300}', "added_tokens.json"),
    "a template in special_tokens_map.json, without the other": both(
        lambda folder: (folder / TEMPLATE).unlink(), settings("special_tokens_map.json", chat_template=ASK)
    ),
    # how text is split and joined
    "split_special_tokens": settings(split_special_tokens=True),
    "clean_up_tokenization_spaces": settings(
        clean_up_tokenization_spaces=True, clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output=True
    ),
    "a class of its own": settings(tokenizer_class="Qwen2Tokenizer"),
    "a class in config.json": both(
        without(SETTINGS, "tokenizer_class"), settings(CONFIG, tokenizer_class="Qwen2Tokenizer")
    ),
    "another kind of model": settings(CONFIG, model_type="gemma"),
    # tokenizer.json
    "two tokens swapped": tokens(swap),
    "a merge": tokens(
        lambda found: (found["model"]["merges"].append(["f", "o"]), found["model"]["vocab"].update(fo=60))
    ),
    "a normalizer": part(normalizer={"type": "Lowercase"}),
    "NFKC": part(normalizer={"type": "NFKC"}),
    "a replacement": part(normalizer={"type": "Replace", "pattern": {"String": "fox"}, "content": "dog"}),
    "a prefix space": part(pre_tokenizer={"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True,
                                          "use_regex": True}),
    "a decoder": part(decoder={"type": "Fuse"}),
    "a decoder that strips": part(decoder={"type": "Sequence", "decoders": [
        {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        {"type": "Strip", "content": "T", "start": 1, "stop": 0}]}),
    "a post-processor": part(post_processor={
        "type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<|start|>", "type_id": 0}},
        {"Sequence": {"id": "A", "type_id": 0}}], "pair": [{"Sequence": {"id": "A", "type_id": 0}},
        {"Sequence": {"id": "B", "type_id": 1}}], "special_tokens": {"<|start|>": {"id": "<|start|>", "ids": [1],
        "tokens": ["<|start|>"]}}}),
    "an added token": added("fox"),
    "an added word": added("fox", special=False),
    "a token that strips": tokens(lambda found: found["added_tokens"][2].update(lstrip=True, rstrip=True)),
    "a token less": tokens(lambda found: found["model"]["vocab"].pop("x")),
    "a tokenizer behind a link": linked,
    "a tokenizer outside of the folder": outside,
    # chat templates
    "another template": template(ASK),
    "a space in a template": lambda folder: template((folder / TEMPLATE).read_text() + " ")(folder),
    "a template that is preferred": template(ASK, f"{MORE}/default.jinja"),
    "templates by name": named_templates,
    "no template": lambda folder: (folder / TEMPLATE).unlink(),
    # weights and configuration
    "other weights": other_weights,
    "other shards": sharded,
    "rope_parameters": settings(CONFIG, rope_parameters={"rope_theta": 5.0, "rope_type": "default"}),
    "rms_norm_eps": settings(CONFIG, rms_norm_eps=1.0),
    "hidden_act": settings(CONFIG, hidden_act="relu"),
    "num_attention_heads": settings(CONFIG, num_attention_heads=4),
    "fewer layers": settings(CONFIG, num_hidden_layers=1),
    "what ends an output": settings(GENERATION, eos_token_id=[2, 40]),
    "where it stands what ends an output": move_ends,
}  # fmt: skip
#: Each may change what a model does somewhere, as on a server, with tools or in another version: it counts.
COUNTED: dict[str, Edit] = {
    "truncation": part(truncation={"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0}),
    "a template beside": template(ASK, f"{MORE}/tool_use.jinja"),
    "chat_control_tokens": settings(chat_control_tokens=["<|end|>"]),
    "response_template": settings(response_template="x"),
    "model_max_length": settings(model_max_length=64),
    "truncation_side": settings(truncation_side="left"),
    "add_prefix_space": settings(add_prefix_space=True),
    "a key that nobody knows": settings(some_new_key={"deep": [1]}),
    "padding": part(padding={"strategy": {"Fixed": 8}, "direction": "Right", "pad_to_multiple_of": None, "pad_id": 2,
                             "pad_type_id": 0, "pad_token": "<|end|>"}),
    "dropout": tokens(lambda found: found["model"].update(dropout=0.5)),
    "tie_word_embeddings": settings(CONFIG, tie_word_embeddings=True),
    "repetition_penalty": settings(GENERATION, repetition_penalty=1.3),
    "sampling": settings(GENERATION, do_sample=True, temperature=0.7),
    "a key of config.json that nobody knows": settings(CONFIG, some_new_key=1),
    "what ends a reasoning": settings(name_or_path="<think>", processor_class="</think>"),
    "a name of a special token": settings(fox_token="<|end|>"),
}  # fmt: skip


@pytest.mark.parametrize("edit", ACTING.values(), ids=ACTING)
def test_no_edit_that_changes_an_output_keeps_the_digest(copy, tiny_model, edit):
    before = name_of(copy)  # from now on cached
    edit(copy)
    assert outputs(copy) != outputs_before(tiny_model)  # or it would show nothing
    assert name_of(copy) != before


@pytest.mark.parametrize("edit", COUNTED.values(), ids=COUNTED)
def test_what_is_not_known_to_be_harmless_counts(copy, edit):
    before = name_of(copy)
    edit(copy)
    assert name_of(copy) != before


def test_these_are_sixty_edits():
    assert len(ACTING) + len(COUNTED) >= 60


def saved_again(folder: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    shutil.rmtree(folder)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def rewritten(folder: Path) -> None:
    """Every JSON file with its keys backwards and other white space."""
    for path in folder.glob("*.json"):
        found = json.loads(path.read_text())
        path.write_text(json.dumps(dict(reversed(found.items())), indent=7, ensure_ascii=False))


def template_in_settings(folder: Path) -> None:
    settings(chat_template=(folder / TEMPLATE).read_text())(folder)
    (folder / TEMPLATE).unlink()


HARMLESS: dict[str, Edit] = {
    "saved again by transformers": saved_again,
    "keys and white space": rewritten,
    "the template in the other place": template_in_settings,
    "name_or_path": settings(name_or_path="owner/elsewhere", is_local=False, local_files_only=True),
    "_name_or_path": settings(CONFIG, _name_or_path="/elsewhere"),
    "transformers_version": both(settings(CONFIG, transformers_version="4.0"), settings(transformers_version="4.0")),
    "dtype": settings(CONFIG, torch_dtype="float32"),
    "null": both(settings(sep_token=None), settings(CONFIG, quantization_config=None)),
    "a token as an object": settings(eos_token={
        "__type": "AddedToken", "content": "<|end|>", "lstrip": False, "normalized": False, "rstrip": False,
        "single_word": False, "special": True}),
    "the old name of a class": settings(tokenizer_class="PreTrainedTokenizerFast"),
    "a class that the file overrules": settings(tokenizer_class="LlamaTokenizerFast"),
    "a vocabulary that is not read": template("a\nb\n", "vocab.txt"),
    "added tokens that are there": template('{"<|end|>": 2}', "added_tokens.json"),
    "a token that is special no more": tokens(lambda found: found["added_tokens"][1].update(special=False)),
    "notes and pictures": both(template("Changed.", "README.md"), template("x", "LICENSE"), template("x", "loss.png")),
    "weights that are not loaded": both(template("x", "others.safetensors"), template("x", "pytorch_model.bin")),
    "what a training left": both(template("{}", "training.json"), template("{}", "trainer_state.json")),
    "a processor's settings": template('{"do_resize": true}', "preprocessor_config.json"),
    "another tokenizer that is not read": tokens(swap, "tokenizer.4.0.0.json"),
}  # fmt: skip


@pytest.mark.parametrize("edit", HARMLESS.values(), ids=HARMLESS)
def test_an_edit_that_says_the_same_keeps_the_digest(copy, tiny_model, edit):
    edit(copy)
    assert outputs(copy) == outputs_before(tiny_model)
    assert name_of(copy) == name_of(tiny_model)


def test_a_file_outside_of_the_folder_counts_as_it_is_now(copy):
    outside(copy)
    before = name_of(copy)
    tokens(lambda found: swap(found, "x", "q"), "../elsewhere/tokenizer.4.0.0.json")(copy)
    assert name_of(copy) != before


def test_the_file_counts_in_which_a_setting_stands(copy):
    settings(GENERATION, eos_token_id=[2, 40])(copy)
    acting, before = outputs(copy), name_of(copy)
    move_ends(copy)
    assert outputs(copy) != acting
    assert name_of(copy) != before
