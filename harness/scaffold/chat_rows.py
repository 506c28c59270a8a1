"""Read rows of chat messages, as in training files and chat logs, as columns of a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jsonschema import Draft202012Validator

from tunegate.harness.authoring.validation import text_schema
from tunegate.harness.cases.conversation import ASSISTANT, USER, write_input

MESSAGES, ANSWER, SYSTEM = "messages", "answer", "system"
FORM = "text, or {role, content} turns: optionally system first, then user and assistant, with an assistant turn last"
_TURN = {
    "type": "object", "required": ["role", "content"],
    "properties": {"role": {"enum": [SYSTEM, USER, ASSISTANT]}, "content": text_schema()},
}  # fmt: skip
_TURNS = Draft202012Validator({"type": "array", "minItems": 1, "items": _TURN})


def split_messages(cells: Mapping[str, Any]) -> Mapping[str, Any]:
    """Replace a row's `messages` by an input, with the `system` text before it and the `answer` that ends it.

    Existing cells of these names stay, and so do messages of another form.
    """
    if not _TURNS.is_valid(cells.get(MESSAGES)):
        return cells
    turns = [(each["role"], each["content"]) for each in cells[MESSAGES]]
    more: dict[str, Any] = {}
    if turns[0][0] == SYSTEM:
        more[SYSTEM] = turns.pop(0)[1]
    if turns and turns[-1][0] == ASSISTANT:
        more[ANSWER] = turns.pop()[1]
    roles = [role for role, _ in turns]
    if not roles or roles[-1] != USER or SYSTEM in roles:
        return cells
    return {**more, **cells, MESSAGES: write_input(tuple(turns[:-1]), turns[-1][1])}
