"""Read rows of chat messages, as in training files and chat logs, as columns of a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jsonschema import Draft202012Validator

from tunegate.harness.cases.conversation import ASSISTANT, USER, write_input
from tunegate.harness.core.authoring.validation import text_schema

MESSAGES, ANSWER, SYSTEM = "messages", "answer", "system"
PROMPT, COMPLETION = "prompt", "completion"
FORM = "text, or {role, content} turns: optionally system first, then user and assistant, with an assistant turn last"
_TURN = {
    "type": "object", "required": ["role", "content"],
    "properties": {"role": {"enum": [SYSTEM, USER, ASSISTANT]}, "content": text_schema()},
}  # fmt: skip
_TURNS = Draft202012Validator({"type": "array", "minItems": 1, "items": _TURN})


def split_messages(cells: Mapping[str, Any]) -> Mapping[str, Any]:
    """Replace a row's `messages` by an input, with the `system` text before it and the `answer` that ends it.

    Of `prompt` and `completion` in messages, `prompt` becomes the input and `completion` its text. Existing cells of
    these names stay, and so do messages of another form.
    """
    if _TURNS.is_valid(cells.get(MESSAGES)):
        return _split(cells, MESSAGES, ANSWER, cells[MESSAGES])
    if all(_TURNS.is_valid(cells.get(name)) for name in (PROMPT, COMPLETION)):
        others = {name: cell for name, cell in cells.items() if name != COMPLETION}
        found = _split(others, PROMPT, COMPLETION, [*cells[PROMPT], *cells[COMPLETION]])
        return found if COMPLETION in found else cells
    return cells


def _split(cells: Mapping[str, Any], place: str, last: str, messages: list[dict[str, str]]) -> Mapping[str, Any]:
    turns = [(each["role"], each["content"]) for each in messages]
    more: dict[str, Any] = {}
    if turns[0][0] == SYSTEM:
        more[SYSTEM] = turns.pop(0)[1]
    if turns and turns[-1][0] == ASSISTANT:
        more[last] = turns.pop()[1]
    roles = [role for role, _ in turns]
    if not roles or roles[-1] != USER or SYSTEM in roles:
        return cells
    return {**more, **cells, place: write_input(tuple(turns[:-1]), turns[-1][1])}
