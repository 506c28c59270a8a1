"""Fixtures: a tiny model made on the spot, and adapters on it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.converter import interleaved
from tests.support.kept import Kept


@pytest.fixture(scope="session")
def tiny_model(kept: Kept) -> Path:
    """A random two-layer Llama, to be read and not changed."""
    return kept("tiny", write_model)


def write_model(folder: Path) -> None:
    """A random two-layer Llama with a byte-level tokenizer and a chat template: real code, no skill, milliseconds."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: index for index, token in enumerate(["<|unk|>", "<|start|>", "<|end|>", *letters])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token="<|unk|>"))  # noqa: S106
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = {"unk_token": "<|unk|>", "bos_token": "<|start|>", "eos_token": "<|end|>", "pad_token": "<|end|>"}
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special)
    fast.chat_template = (
        "{% for m in messages %}<|start|>{{ m['role'] }}\n{{ m['content'] }}<|end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|start|>assistant\n{% endif %}"
    )
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(vocabulary), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, bos_token_id=1, eos_token_id=2, pad_token_id=2, max_position_embeddings=4096,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)


def write_gguf(path: Path, folder: Path, kind: str = "F32", architecture: str = "llama", without: str = "") -> None:
    """The tiny model as llama.cpp would ship it.

    Args:
        path: the file.
        folder: the tiny model's folder.
        kind: the type of its matrices, as GGUF names it.
        architecture: what the file calls the model.
        without: the name of a tensor that is left out.
    """
    from gguf import MODEL_ARCH, GGMLQuantizationType, GGUFWriter, get_tensor_name_map, quants
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    config, tokenizer = AutoConfig.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    heads = config.num_attention_heads
    # a file has at least one merge; these are bytes that no text has
    known = tokenizer.convert_ids_to_tokens(range(config.vocab_size))
    tokens = ["ÀÁ" if token == "ÿ" else token for token in known]
    writer = GGUFWriter(path, architecture)
    for name, value in {
        "block_count": config.num_hidden_layers, "context_length": config.max_position_embeddings,
        "embedding_length": config.hidden_size, "feed_forward_length": config.intermediate_size, "head_count": heads,
        "head_count_kv": config.num_key_value_heads, "layer_norm_rms_eps": config.rms_norm_eps,
        "rope_dimension_count": config.hidden_size // heads, "vocab_size": config.vocab_size,
        "tokenizer_model": "gpt2", "tokenizer_pre": "default", "token_list": tokens, "token_merges": ["À Á"],
        "token_types": [3] * 3 + [1] * (len(tokens) - 3), "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2,
        "unk_token_id": 0, "chat_template": tokenizer.chat_template,
    }.items():  # fmt: skip
        getattr(writer, f"add_{name}")(value)
    names = get_tensor_name_map(MODEL_ARCH.LLAMA, config.num_hidden_layers)
    for name, weight in AutoModelForCausalLM.from_pretrained(folder).state_dict().items():
        called, data = names.get_name(name, try_suffixes=(".weight",)), weight.numpy()
        if called == without:
            continue
        if count := {"attn_q": heads, "attn_k": config.num_key_value_heads}.get(str(called).split(".")[-2]):
            data = interleaved(data, count)
        packed = GGMLQuantizationType[kind if data.ndim > 1 else "F32"]
        writer.add_tensor(called, quants.quantize(data, packed), raw_dtype=packed)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.fixture(scope="session")
def bare_model(kept: Kept, tiny_model: Path) -> Path:
    """The tiny model without its chat template, which lies beside it: `chat.jinja`. Both are to be read alone."""

    def fill(folder: Path) -> None:
        shutil.copytree(tiny_model, folder / tiny_model.name)
        (folder / tiny_model.name / "chat_template.jinja").rename(folder / "chat.jinja")

    return kept("bare", fill) / tiny_model.name


@pytest.fixture(scope="session")
def tied_model(kept: Kept, tiny_model: Path) -> Path:
    """The tiny model with one matrix for input and output."""

    def fill(folder: Path) -> None:
        from transformers import AutoModelForCausalLM

        shutil.copytree(tiny_model, folder, dirs_exist_ok=True)
        model = AutoModelForCausalLM.from_pretrained(tiny_model)
        model.lm_head.weight = model.model.embed_tokens.weight
        model.config.tie_word_embeddings = True
        model.save_pretrained(folder)

    return kept("tied", fill)


def write_trained(folder: Path, model: Any, **config: object) -> Path:
    """Write an adapter of which every weight was trained."""
    import torch
    from peft import LoraConfig, get_peft_model

    lora = {"r": 4, "target_modules": ["q_proj"], "init_lora_weights": False, "task_type": "CAUSAL_LM"}
    tuned = get_peft_model(model, LoraConfig(**(lora | config)))
    with torch.no_grad():
        for weight in tuned.parameters():
            if weight.requires_grad:
                weight += 0.1
    tuned.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def make_adapter(kept: Kept, tiny_model: Path) -> Callable[[str], Path]:
    """Makes LoRA adapters on the tiny model with random weights, one a name: they act, without having been trained."""

    def make(name: str) -> Path:
        def fill(folder: Path) -> None:
            import torch
            from peft import LoraConfig, get_peft_model
            from transformers import AutoModelForCausalLM

            config = LoraConfig(
                r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"], init_lora_weights=False, task_type="CAUSAL_LM"
            )
            torch.manual_seed(sum(name.encode()))
            get_peft_model(AutoModelForCausalLM.from_pretrained(tiny_model), config).save_pretrained(folder)

        return kept(f"adapters/{name}", fill)

    return make


@pytest.fixture(scope="session")
def tiny_adapter(make_adapter: Callable[[str], Path]) -> Path:
    """One such adapter, to be read and not changed."""
    return make_adapter("adapter")
