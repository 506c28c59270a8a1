"""Alternatives in an expectation, `{any_of: [...]}`, and keys that only resemble it."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any

ANY_OF = "any_of"
_LIKE = 0.8  # difflib's ratio: `ayn_of` has .8 to `any_of`
# names of alternatives, and of other combinations, in JSON Schema and other tools: without case, spaces, _ and -
_ALSO_WRITTEN = frozenset({"anyof", "oneof", "allof", "someof", "either", "eitherof", "alternatives", "or", "in"})


def alternatives(expect: Any) -> Sequence[Any]:
    """The alternatives of an `{any_of: [...]}`; empty for other expectations."""
    is_one = isinstance(expect, dict) and expect.keys() == {ANY_OF}
    return expect[ANY_OF] if is_one and isinstance(expect[ANY_OF], list) else ()


def resembles_any_of(key: object) -> bool:
    """Whether a key of an expectation is another spelling of `any_of`, or another tool's name for it."""
    if not isinstance(key, str) or key == ANY_OF:
        return False
    plain = "".join(each for each in key.casefold() if each.isalnum())
    return plain in _ALSO_WRITTEN or difflib.SequenceMatcher(None, plain, "anyof").ratio() >= _LIKE


def meant_any_of(expect: Any) -> str:
    """What to write if an expected object was meant as alternatives; empty if it was not.

    An object is meant so if a key with a list resembles `any_of`, or if `any_of` has other keys beside it.
    """
    if not isinstance(expect, dict):
        return ""
    for key, value in expect.items():
        if resembles_any_of(key) and isinstance(value, list):
            return f"{key!r} is not known here; did you mean {ANY_OF!r}?"
    if ANY_OF in expect and len(expect) > 1:
        return f"{ANY_OF!r} lists alternatives only as the single key: delete the others, or move them"
    return ""
