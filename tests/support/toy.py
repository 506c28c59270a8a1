"""A toy tokenizer that knows the special tokens of the field's templates: any text is its bytes and these tokens."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from tunegate.harness.models.tool_format import ToolFormat, named_format, use_format

SPECIAL = re.compile(r"<\|?[a-z_]+\|?>|</[a-z_]+>|<\|\"\|>")
#: The token that ends an assistant's turn.
ENDS = {"qwen2_5": "<|im_end|>", "qwen3": "<|im_end|>", "llama3_1": "<|eot_id|>", "gemma4": "<turn|>"}


@cache
def toy(name: str = "") -> Any:
    """The tokenizer, with one of TRL's templates and its parser, or without a template."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {token: index for index, token in enumerate(["<bos>", *sorted(pre_tokenizers.ByteLevel.alphabet())])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    found = named_format(name) if name else None
    special = sorted(set(SPECIAL.findall(found.template))) if found else []
    tokenizer.add_tokens([AddedToken(each, special=False, normalized=False) for each in special])
    ends = ENDS.get(name, "<end>")
    special_tokens = {"bos_token": "<bos>", "eos_token": ends, "pad_token": ends}
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special_tokens)
    if found:
        use_format(fast, found)
    return fast


def toy_format(name: str) -> tuple[Any, ToolFormat]:
    """The tokenizer of a format, and the format."""
    return toy(name), named_format(name)
