r"""Text that others wrote, made harmless wherever it is shown: on a terminal, in a log of CI, in Markdown.

A model's output, the name of a file or a message of a library may hold what moves a cursor, turns text round, or is no
letter at all; and GitHub Actions takes lines of any log for commands. What cannot be seen is written as an escape
(`\x1b`, `\u202e`), and commands are broken by a backslash. Harmless text stays as it is, so that to do it twice is
to do it once.
"""

from __future__ import annotations

import re

#: Control characters, those that turn text round, those without any width, halves of surrogate pairs, separators of
#: lines and paragraphs, and what no character may be; a unit test holds it against Unicode's own list.
_UNSEEN = re.compile(
    r"[\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    r"\u3164\ud800-\udfff\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff"
    r"\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}
_LAYOUT = "\n\t"
#: `::error::` counts at the start of a line, whatever white space stands before it.
_COMMAND = re.compile(r"^(\s*)(?=::)", re.MULTILINE)
#: `##[group]`, and the same of other services (`##vso[`, `##teamcity[`), count anywhere in a line.
_OLD_COMMAND = re.compile(r"#(?=#\w*\[)")
_MARKUP = re.compile(r"[\\`*~\[\]]|(?<![^\W_])_|_(?![^\W_])")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;"}


def shown(text: str) -> str:
    """A name or a text as a part of one line."""
    return _defused(_UNSEEN.sub(_escape, text))


def shown_lines(text: str) -> str:
    """A text of several lines, whose line breaks and tabs are meant."""
    return _defused(visible_lines(text))


def visible_lines(text: str) -> str:
    """The same where no log is written, as in a page: what cannot be seen is escaped, and commands are text."""
    return _UNSEEN.sub(lambda seen: seen[0] if seen[0] in _LAYOUT else _escape(seen), text)


def shown_in_markdown(text: str) -> str:
    """A text as itself in a paragraph or a table cell of Markdown: neither markup nor HTML, and on one line."""
    escaped = _MARKUP.sub(r"\\\g<0>", shown(" ".join(text.split())))
    return re.sub("[&<>|]", lambda seen: _ENTITIES[seen[0]], escaped)


def shown_in_json(text: str) -> str:
    """JSON that a log may hold, equal in value: it is ASCII already, and what is a command inside a text is escaped."""
    return _OLD_COMMAND.sub(r"\\u0023", text)


def _escape(seen: re.Match[str]) -> str:
    code = ord(seen[0])
    long = f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
    return _SHORT.get(seen[0], long)


def _defused(text: str) -> str:
    return _OLD_COMMAND.sub(r"#\\", _COMMAND.sub(r"\1\\", text))
