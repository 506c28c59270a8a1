"""What a prompt's template replaces, `{input}` and `{context}`, and what was probably meant to be one of them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from functools import lru_cache

from harness.document import Document, Where
from harness.errors import Problem

NAMES = ("input", "context")
_PLACEHOLDER = re.compile(r"\{(input|context)\}")
_BRACES = re.compile(r"\{\s*([A-Za-z][\w -]{0,15}?)\s*\}")  # one short word or two: not JSON


def fill(template: str, values: Mapping[str, str]) -> str:
    """`template` with its placeholders replaced literally; other braces stay."""
    return _PLACEHOLDER.sub(lambda found: values[found[1]], template)


def misspelt(document: Document, template: str, where: Where) -> list[Problem]:
    """Words in braces that a model would be shown as they are, though they resemble a placeholder."""
    expected = "{input} or {context}"
    return [document.problem(where, expected, text, f"did you mean {{{name}}}?") for text, name in _slips(template)]


@lru_cache
def _slips(template: str) -> tuple[tuple[str, str], ...]:
    """What stands in braces, and which placeholder it resembles; cases share few templates."""
    found = {seen[0]: close for seen in _BRACES.finditer(template) if (close := _resembled(seen))}
    return tuple(found.items())


def unfilled(document: Document, system: str | None, where: Where) -> list[Problem]:
    """Placeholders in a system message, where nothing is replaced."""
    found = dict.fromkeys(seen[0] for seen in _PLACEHOLDER.finditer(system or ""))
    expected = "a system message without placeholders"
    return [document.problem(where, expected, text, "write it in the template") for text in found]


def _resembled(seen: re.Match[str]) -> str:
    close = difflib.get_close_matches(seen[1].strip().lower(), NAMES, n=1, cutoff=0.75)
    return close[0] if close and seen[0] != f"{{{close[0]}}}" else ""
