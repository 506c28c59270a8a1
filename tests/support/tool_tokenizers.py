"""Toy tokenizers for TRL's tool formats: bytes, and the special tokens of a template."""

from __future__ import annotations

import re
from typing import Any

from tunegate.harness.models.tool_format import named_format, use_format

_SPECIAL = re.compile(r"<\|[a-z_]+\|>|<\|[a-z_]+>|<[a-z_]+\|>")
#: A format and the token that ends its turns.
ENDS = {"qwen2_5": "<|im_end|>", "llama3_1": "<|eot_id|>", "gemma4_v5": "<turn|>"}


def toy_tokenizer(name: str, end: str) -> Any:
    """A byte-level tokenizer with a format's special tokens, whose turns end with `end`."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    found = named_format(name)
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={letter: at for at, letter in enumerate(letters)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(sorted({end, "<s>", *_SPECIAL.findall(found.template)}))
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token=end, pad_token=end)  # noqa: S106
    use_format(fast, found)
    return fast
