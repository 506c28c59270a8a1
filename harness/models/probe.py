"""What a loaded tokenizer does to a fixed page and what its chat template makes of fixed turns, on a fixed day."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from tunegate.harness.core.files import digest, file_digest
from tunegate.harness.core.reading import MOST_BYTES, read_object
from tunegate.harness.models.tokenizer import apply_template

#: Keys of the tokenizer_config.json that transformers writes which say how it was loaded. Every other key counts.
NOT_THE_TOKENIZER = frozenset({
    "backend", "is_local", "local_files_only", "name_or_path", "processor_class", "transformers_version",
    "chat_template",  # digested by itself
})  # fmt: skip
PROBE = (
    "The quick brown fox jumps over the lazy dog and asks: what is the capital of France?"  # does an adapter act on it
)
PAGE = (
    "The quick brown fox can't jump over 12,345.67 lazy dogs -- isn't it?  Two spaces, a\ttab.\r\n\n\n  End .  ",
    " begins with a space , and has spaces before marks ! do n't 's 've ?",
    *("", " ", "\n", "UPPER lower Title \u0141\u00d3D\u0179 stra\u00dfe"),
    "Ça déjà-vu naïve e\u0301 \u00e9 \ufb01n ½ ² K \u212a",
    "Привет, мир! Ελληνικά, γειά",
    "你好世界。日本語のテキスト、カタカナ 한국어",
    "مرحبا بالعالم שלום עולם",
    "नमस्ते दुनिया สวัสดีชาวโลก",
    "\U0001f44b\U0001f3fd \U0001f469\u200d\U0001f467 \U0001f1e9\U0001f1ea \u2764\ufe0f \U0001f9ff",
    "\u200b\u200d\ufeff\u00a0\u202e\x00\x07\x7f\ufffd",
    'def f(x: int) -> str:\n\treturn f"{x!r}"  # ok\n{"a": [1, 2.5e-3, null]}',
    "https://example.org/?q=a+b&c=%20 a@b.org",
    "1 12 123 1234 12345 3.14 1e9 \u0663 \u216b",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa supercalifragilistic",
    "<s> </s> <unk> <pad> <mask> [CLS] [SEP] [MASK] <|im_start|> <|im_end|> <|endoftext|> <think> </think> <image>",
)
TURNS = (
    (("user", "Hello, <b>you</b>!\n {{ 1 }}"),),
    (("system", " Be brief. "), ("user", "Hello")),
    (("user", " one "), ("assistant", "<think>\nhm\n</think>\n\ntwo"), ("user", "three")),
    (("system", "Be brief."), ("user", "one"), ("assistant", "two ")),
)
DAY = datetime(2024, 2, 29, 13, 5, 7)


class _Clock:
    @staticmethod
    def now() -> datetime:
        return DAY


def saved_state(tokenizer: Any) -> dict[str, Any]:
    """All that transformers would save of a loaded tokenizer, but its chat template: digests of files, and settings.

    Saving is the canonical form: whatever files a tokenizer was read from, those that say the same are saved the same.
    """
    with tempfile.TemporaryDirectory(prefix="tunegate-") as made:
        tokenizer.save_pretrained(made)
        files = sorted(path for path in Path(made).rglob("*") if path.is_file() and path.suffix != ".jinja")
        return {path.relative_to(made).as_posix(): _content(path) for path in files}


def _content(path: Path) -> Any:
    if path.suffix != ".json":
        return file_digest(path)
    found = read_object(path, most=MOST_BYTES)
    if path.name != "tokenizer_config.json":
        return digest(found)
    return {key: value for key, value in found.items() if key not in NOT_THE_TOKENIZER and value is not None}


def spoken(tokenizer: Any) -> list[Any]:
    """The token ids of each line of the page, with and without special tokens, and the texts that these give."""
    named = {*tokenizer.all_special_tokens, *(token.content for token in tokenizer.added_tokens_decoder.values())}
    lines = [*PAGE, *(f"a{token}b {token} c" for token in sorted(named))]
    return [_spoken(tokenizer, line) for line in lines]


def _spoken(tokenizer: Any, line: str) -> list[Any]:
    ids = [list(tokenizer(line, add_special_tokens=each).input_ids) for each in (False, True)]
    return [ids, [tokenizer.decode(each, skip_special_tokens=skip) for each in ids for skip in (False, True)]]


def rendered(tokenizer: Any) -> list[str]:
    """The prompt of each of the fixed turns, and the whole of them; the name of the error where there is one."""
    if tokenizer.chat_template is None:
        return []
    with _on_a_fixed_day():
        return [_rendered(tokenizer, turns, begins) for turns in TURNS for begins in (True, False)]


def _rendered(tokenizer: Any, turns: Any, begins: bool) -> str:
    try:
        return json.dumps(apply_template(tokenizer, turns, begins))
    except Exception as error:  # a template is a program of the model's author, and may refuse a role
        return type(error).__name__


@contextmanager
def _on_a_fixed_day() -> Iterator[None]:
    """Let templates that write the date write the same one always; they get it from this module of transformers."""
    module: Any = sys.modules["transformers.utils.chat_template_utils"]
    before, module.datetime = module.datetime, _Clock
    try:
        yield
    finally:
        module.datetime = before
