"""Chat messages in OpenAI's form as the turns of an input; `conversation.chat_message` is the way back."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile
from typing import Any

from tunegate.harness.cases.conversation import ASSISTANT, CALL_ID, SYSTEM, TOOL, USER
from tunegate.harness.checks.outputs.message import CALLS, CONTENT, read_message
from tunegate.harness.core.authoring.document import show_value
from tunegate.harness.core.escaping import whole

_ROLES = {"developer": SYSTEM, "model": ASSISTANT, "function": TOOL}  # of other names


class OddMessage(ValueError):
    """A message that is no turn of an input, for the reason in its text."""


def role_of(message: Mapping[str, Any]) -> str:
    """The role of a message by our own names; empty if it has none."""
    role = message.get("role")
    return _ROLES.get(role, role) if isinstance(role, str) else ""


def written_turns(messages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Messages as turns in the form used by files.

    Raises:
        OddMessage: the first message that is no turn.
    """
    return [turn for at in range(len(messages)) for turn in _turn(messages, at)]


def _turn(messages: Sequence[Mapping[str, Any]], at: int) -> Iterator[dict[str, Any]]:
    """A message as a turn of an input. Ids stand only where results do not come in the order of their calls."""
    message, role = messages[at], role_of(messages[at])
    if role == TOOL:
        said, given = text_in(message), message.get(CALL_ID)
        before = [*takewhile(lambda each: role_of(each) == TOOL, reversed(messages[:at]))]
        owner = messages[at - len(before) - 1] if at > len(before) else {}
        yield {TOOL: {CALL_ID: given, CONTENT: said} if _needs_ids(messages, at - len(before), owner) else said}
    elif role == ASSISTANT and (read := read_message(message)).calls:
        with_ids = _needs_ids(messages, at + 1, message)
        text = {CONTENT: read.content} if read.content.strip() else {}
        yield {ASSISTANT: text | {CALLS: [call.as_dict(with_ids and bool(call.id)) for call in read.calls]}}
    elif role in (SYSTEM, USER, ASSISTANT):
        yield {role: text_in(message)}
    else:
        raise OddMessage(f"the role {show_value(message.get('role'))}")


def _needs_ids(messages: Sequence[Mapping[str, Any]], start: int, owner: Mapping[str, Any]) -> bool:
    """Whether the results from `start` on do not come in the order of their owner's calls."""
    results = [each.get(CALL_ID) for each in takewhile(lambda each: role_of(each) == TOOL, messages[start:])]
    calls = [call.id for call in read_message(owner).calls]
    return any(results) and results != calls[: len(results)]


def text_in(message: Mapping[str, Any]) -> str:
    """The text of a message: a text, or parts that are texts; of a tool's also an object.

    Raises:
        OddMessage: there is none.
    """
    content = message.get(CONTENT)
    parts = content if isinstance(content, list) else [content]
    found = [part.get("text") if isinstance(part, Mapping) else part for part in parts]
    texts = [each for each in found if isinstance(each, str)]
    if isinstance(content, Mapping) and role_of(message) == TOOL:
        return whole(json.dumps(content, ensure_ascii=False))
    if len(texts) < max(1, len(parts)):
        raise OddMessage(f"content of {role_of(message)} that is no text: {show_value(content)}")
    return whole("".join(texts))
