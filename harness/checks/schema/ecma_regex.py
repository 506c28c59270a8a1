r"""Patterns as JSON Schema means them: regular expressions of ECMA-262, read with Unicode.

They differ from Python's: `\d`, `\w` and `\b` know ASCII only, `$` is the end of the text alone, `.` stops at four
line ends, a reference to a group that took no part matches nothing. They are translated to the `regex` package, whose
searches can be stopped. Where browsers are more lenient than the standard, so is this: a lone `{`, `}` or `]` is
itself, and so is any punctuation after a backslash.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import regex

MAX_PATTERN = 2_000  # characters
MAX_REPEATED = 20_000  # characters and sets of the shortest match: `regex` writes them out

_SPACE = r"\t-\r \xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
_WORD = "[A-Za-z0-9_]"
_SETS = {
    "d": "[0-9]", "D": "[^0-9]", "w": _WORD, "W": "[^A-Za-z0-9_]", "s": f"[{_SPACE}]", "S": f"[^{_SPACE}]",
}  # fmt: skip
_BORDERS = {
    "b": f"(?:(?<={_WORD})(?!{_WORD})|(?<!{_WORD})(?={_WORD}))",
    "B": f"(?:(?<={_WORD})(?={_WORD})|(?<!{_WORD})(?!{_WORD}))",
}
_CONTROLS = {"t": "\t", "n": "\n", "v": "\v", "f": "\f", "r": "\r"}
_HEX = regex.compile(
    r"x(?<hex>[0-9A-Fa-f]{2})|u\{0*(?<hex>[0-9A-Fa-f]{1,6})\}"
    r"|u(?<high>[Dd][89ABab][0-9A-Fa-f]{2})\\u(?<low>[Dd][C-Fc-f][0-9A-Fa-f]{2})|u(?<hex>[0-9A-Fa-f]{4})"
)
_PROPERTY = regex.compile(r"[pP]\{[A-Za-z_]+(?:=[A-Za-z0-9_]+)?\}")
_REFERENCE = regex.compile(r"[1-9][0-9]*|k<([^>]*)>")
_QUANTIFIER = regex.compile(r"(?:[*+?]|\{([0-9]+)(?:,([0-9]*))?\})\??")
_GROUP = regex.compile(r"\((?:\?(?:[:=!]|<[=!]|<(?<name>[^\W\d][\w$]*)>)|(?!\?))")
_TOKEN = regex.compile(r"\\.|\[(?:\\.|[^\]\\])*\]|\((?:\?<(?<name>[^=!>][^>]*)>|(?!\?))", regex.DOTALL)
_NOTHING, _ANYTHING = "(?!)", r"[\s\S]"
_INSTEAD = {"A": "^", "Z": "$", "z": "$", "_": "_"}


class NotAPattern(ValueError):
    """The text is no regular expression of ECMA-262; the message says why."""


@lru_cache(maxsize=512)
def compiled(pattern: str) -> Any:
    """`translated`, kept: for the patterns of schemas, not for those in answers."""
    return translated(pattern)


def translated(pattern: str) -> Any:
    """`pattern`, ready for `search(text, timeout=seconds)`.

    Raises:
        NotAPattern: it is no regular expression of ECMA-262, or too long.
    """
    if len(pattern) > MAX_PATTERN:
        raise NotAPattern(f"more than {MAX_PATTERN:,} characters")
    try:
        return regex.compile(_Translator(pattern).translated(), regex.V1, cache_pattern=False)
    except RecursionError:
        raise NotAPattern("groups within groups without end") from None
    except (regex.error, OverflowError) as error:
        raise NotAPattern(str(error)) from error


class _Translator:
    """Reads a pattern from left to right; `at` is how far."""

    def __init__(self, pattern: str) -> None:
        self.pattern, self.at = pattern, 0
        groups = [token["name"] for token in _TOKEN.finditer(pattern) if token[0].startswith("(")]
        self.groups = len(groups)
        self.numbers = {name: number for number, name in enumerate(groups, 1) if name}
        if len(self.numbers) < sum(name is not None for name in groups):
            raise NotAPattern("two groups of one name")

    def translated(self) -> str:
        """The same pattern in the words of the `regex` package."""
        return "".join(self._parts())

    def _parts(self) -> Iterator[str]:
        open_groups: list[tuple[bool, int]] = []  # whether it may be repeated as a whole; the size before it
        size = last = 0  # of the shortest match, roughly: in this group so far, and of its last part
        repeatable = False
        while self.at < len(self.pattern):
            char = self.pattern[self.at]
            if char in "*+?" or (char == "{" and _QUANTIFIER.match(self.pattern, self.at)):
                part, times = self._quantifier(repeatable)
                size += last * (times - 1)
                repeatable = False
            elif char == "(":
                part = self._group()
                open_groups.append((not part.startswith("(?<"), size))
                size, repeatable = 0, False
            elif char == ")":
                if not open_groups:
                    raise NotAPattern("a ) without its (")
                last = size
                repeatable, before = open_groups.pop()
                part, size = self._step(1, ")"), before + last
            elif char in "|^$":
                repeatable = False
                part = self._step(1, {"|": "|", "^": r"\A", "$": r"\Z"}[char])
            elif char == "\\" and self.pattern[self.at + 1 : self.at + 2] in _BORDERS:
                repeatable = False
                part, size = self._step(2, _BORDERS[self.pattern[self.at + 1]]), size + 1
            else:
                repeatable, last, size = True, 1, size + 1
                part = self._atom(char)
            if size > MAX_REPEATED:
                raise NotAPattern(f"repeats of more than {MAX_REPEATED:,} characters")
            yield part
        if open_groups:
            raise NotAPattern("a ( without its )")

    def _step(self, length: int, part: str) -> str:
        self.at += length
        return part

    def _take(self, expression: Any) -> Any:
        found = expression.match(self.pattern, self.at)
        self.at += len(found[0]) if found else 0
        return found

    def _quantifier(self, repeatable: bool) -> tuple[str, int]:
        """The quantifier, and how often it repeats at least, or 1."""
        found = self._take(_QUANTIFIER)
        if not repeatable:
            raise NotAPattern(f"nothing to repeat before {found[0]}")
        if found[2] and int(found[1]) > int(found[2]):
            raise NotAPattern(f"{found[0]}, from more to fewer")
        return str(found[0]), max(1, int(found[1] or 1))

    def _group(self) -> str:
        found = self._take(_GROUP)
        if not found:
            raise NotAPattern(f"{self.pattern[self.at : self.at + 4]}, a group that ECMA-262 does not have")
        return "(" if found["name"] else str(found[0])

    def _atom(self, char: str) -> str:
        if char == "[":
            return self._class()
        if char == ".":
            return self._step(1, r"[^\n\r\u2028\u2029]")
        if char != "\\":
            return self._step(1, _literal(char))
        self.at += 1
        if found := self._take(_REFERENCE):
            return self._reference(found)
        return self._escape()

    def _reference(self, found: Any) -> str:
        number = self.numbers.get(found[1], 0) if found[1] is not None else int(found[0])
        if not 0 < number <= self.groups:
            raise NotAPattern(f"\\{found[0]}, but there is no such group")
        # asked for if the group took part: else the reference fails in `regex`, and succeeds in ECMA-262
        return f"(?({number})\\g<{number}>)"

    def _escape(self) -> str:
        """What stands behind a backslash, inside a class or outside: a set in brackets, or one character."""
        if found := self._take(_PROPERTY):
            return f"[\\{found[0]}]"
        char = self.pattern[self.at : self.at + 1]
        return self._step(1, _SETS[char]) if char in _SETS else _literal(self._character())

    def _character(self) -> str:
        if found := self._take(_HEX):
            code = int(found["hex"] or "0", 16)
            if found["high"]:
                code = 0x10000 + ((int(found["high"], 16) & 0x3FF) << 10) + (int(found["low"], 16) & 0x3FF)
            if code > 0x10FFFF:
                raise NotAPattern(f"\\{found[0]}, beyond all characters")
            return chr(code)
        char, after = self.pattern[self.at : self.at + 1], self.pattern[self.at + 1 : self.at + 2]
        if char == "c" and after.isascii() and after.isalpha():
            return self._step(2, chr(ord(after) % 32))
        if char == "0" and not after.isdigit():
            return self._step(1, "\0")
        if char in _CONTROLS:
            return self._step(1, _CONTROLS[char])
        if not char:
            raise NotAPattern("a \\ at the end")
        if char.isalnum() or char == "_":
            instead = f"; write {_INSTEAD[char]}" if char in _INSTEAD else ""
            raise NotAPattern(f"\\{char}, which ECMA-262 does not have{instead}")
        return self._step(1, char)

    def _class(self) -> str:
        self.at += 1
        negated = self.pattern.startswith("^", self.at)
        self.at += negated
        parts = []
        while not self.pattern.startswith("]", self.at):
            parts.append(self._member())
        self.at += 1
        if not parts:
            return _ANYTHING if negated else _NOTHING
        return f"[{'^' if negated else ''}{''.join(parts)}]"

    def _member(self) -> str:
        """One character, set or range of a class."""
        low = self._class_atom()
        if not self.pattern.startswith("-", self.at) or self.pattern.startswith("-]", self.at):
            return low
        self.at += 1
        high = self._class_atom()
        if low.startswith("[") or high.startswith("["):
            return low + _literal("-") + high  # a hyphen beside a set is itself
        if _code(low) > _code(high):
            raise NotAPattern("a range in [ ] that runs backwards")
        return f"{low}-{high}"

    def _class_atom(self) -> str:
        if self.at >= len(self.pattern):
            raise NotAPattern("a [ without its ]")
        char = self.pattern[self.at]
        if char != "\\":
            return self._step(1, _literal(char))
        self.at += 1
        return self._step(1, _literal("\b")) if self.pattern.startswith("b", self.at) else self._escape()


def _literal(char: str) -> str:
    # by number, so that no sign means anything to `regex`, whose sets also know -- and &&
    return char if char.isascii() and char.isalnum() else f"\\U{ord(char):08x}"


def _code(literal: str) -> int:
    return int(literal[2:], 16) if literal.startswith("\\") else ord(literal)
