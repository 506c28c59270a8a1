r"""Foreign text, made harmless for display on a terminal, in a CI log or in Markdown.

A model's output, a file name or a library's message may contain cursor movements, bidirectional overrides or
non-characters, and GitHub Actions reads commands from any log line. Invisible characters become escapes (`\x1b`,
`\u202e`), and commands are broken by a backslash. Harmless text is unchanged, so escaping twice equals escaping
once.
"""

from __future__ import annotations

import re

#: Control characters, bidirectional controls, zero-width characters, surrogates, line and paragraph separators, and
#: non-characters; a unit test compares it with Unicode's list.
_UNSEEN = re.compile(
    r"[\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    r"\u3164\ud800-\udfff\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff"
    r"\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
HALF = re.compile("[\ud800-\udfff]")  # half a character: a surrogate without its other one
_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}
_LAYOUT = "\n\t"
#: `::error::` is a command at the start of a line, after any white space.
_COMMAND = re.compile(r"^(\s*)(?=::)", re.MULTILINE)
#: `##[group]`, and other services' `##vso[` and `##teamcity[`, are commands anywhere in a line.
_OLD_COMMAND = re.compile(r"#(?=#\w*\[)")
_MARKUP = re.compile(r"[\\`*~\[\]]|(?<![^\W_])_|_(?![^\W_])")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&verbar;"}  # without a `#`, which begins a reference


def whole(text: str) -> str:
    """Replace each half a character (a lone surrogate), which no file can hold, by the replacement character."""
    return HALF.sub("\ufffd", text)


def shown(text: str) -> str:
    """Escape a name or a text for use within one line."""
    return _defused(_UNSEEN.sub(_escape, text))


def shown_lines(text: str) -> str:
    """Escape a text of several lines; its line breaks and tabs stay."""
    return _defused(visible_lines(text))


def visible_lines(text: str) -> str:
    """Escape invisible characters only, for pages, where workflow commands are harmless."""
    return _UNSEEN.sub(lambda seen: seen[0] if seen[0] in _LAYOUT else _escape(seen), text)


def shown_in_markdown(text: str) -> str:
    """Escape a text for a paragraph or table cell of Markdown: no markup, no HTML, one line."""
    escaped = _MARKUP.sub(r"\\\g<0>", shown(" ".join(text.split())))
    return re.sub("[&<>|]", lambda seen: _ENTITIES[seen[0]], escaped)


def shown_in_json(text: str) -> str:
    """Escape workflow commands within ASCII JSON for a log; the value stays equal."""
    return _OLD_COMMAND.sub(r"\\u0023", text)


def _escape(seen: re.Match[str]) -> str:
    code = ord(seen[0])
    long = f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
    return _SHORT.get(seen[0], long)


def _defused(text: str) -> str:
    return _OLD_COMMAND.sub(r"#\\", _COMMAND.sub(r"\1\\", text))
