"""What a model wrote, special tokens and all, as the message that it is: text, calls and reasoning.

transformers' parser reads it, by the model's format. Where that fails on the whole for one bad call, each call is read
by itself: those that parse are kept, and of the others nothing is repaired. One whose name was read keeps its arguments
as text, and any other stays in the text as it is, where the check finds it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tunegate.harness.checks.outputs.json_text import MAX_CHARS
from tunegate.harness.checks.outputs.message import (
    ARGUMENTS,
    ARGUMENTS_TEXT,
    CONTENT,
    MOST_CALLS,
    NAME,
    Message,
    read_message,
)
from tunegate.harness.checks.tools.definitions import Tool
from tunegate.harness.core.extras import need
from tunegate.harness.models.api import Completion, Request
from tunegate.harness.models.tokenizer import TEMPLATE_SECONDS, render_prompt, time_limit
from tunegate.harness.models.tool_format import CALLS, ToolFormat

REASONING = ("reasoning_content", "thinking")  # as parsers name it
UNTYPED = ("xml-inline", "kv-lines")  # parsers of arguments that have no types of their own
_OPENED, _BODY, _CLOSED = "opened", "body", "closed"


@dataclass(frozen=True)
class Reply:
    """A message, and the reasoning before it."""

    message: Message
    reasoning: str = ""


def read_reply(
    written: str, prompt: str, found: ToolFormat, tools: Sequence[Tool] = (), ends: Sequence[str] = ()
) -> Reply:  # fmt: skip
    """Read what a model wrote after a prompt; what no parser reads is text. `ends` are the tokens that end a turn.

    It never fails: a reply is the model's, and so is every mistake in it.
    """
    if len(written) > MAX_CHARS:
        return Reply(Message(written))
    offered = [tool.as_dict() for tool in tools] if _is_untyped(found) else None
    try:
        with time_limit(TEMPLATE_SECONDS):
            raw = _parsed(written, prompt, found, offered)
    except Exception:  # libraries raise any kind of error on such a text
        raw = {CONTENT: written}
    reasoning = next((str(raw[key]) for key in REASONING if raw.get(key)), "")
    calls = [_in_form(each) for each in raw.get(CALLS) or ()]
    # some parsers drop what stands outside of their marks
    content = raw.get(CONTENT) or ("" if calls or reasoning else written)
    return Reply(read_message({CONTENT: _without_end(content, ends), CALLS: calls}), reasoning)


def read_raw(completion: Completion, request: Request, tokenizer: Any, found: ToolFormat) -> Completion:
    """A completion whose output is the message that its raw text is."""
    ends = [token.content for token in tokenizer.added_tokens_decoder.values() if token.special]
    prompt, is_ended = render_prompt(tokenizer, request), completion.finish == "stop"
    reply = read_reply(completion.raw, prompt, found, request.tools, ends if is_ended else ())
    return replace(completion, output=reply.message.write(), reasoning=reply.reasoning)


def _parsed(written: str, prompt: str, found: ToolFormat, offered: Any) -> Mapping[str, Any]:
    parse = need("transformers.utils.chat_parsing").parse_response
    try:
        return dict(parse(written, dict(found.parser), prefix=prompt, tools=offered))
    except TimeoutError:
        raise
    except Exception:  # one bad call
        apart = dict(parse(written, _apart(found.parser), prefix=prompt))
    calls = apart.get(CALLS) or []
    read = list(_each(calls[: MOST_CALLS + 1], found, offered))
    texts = [str(apart.get(CONTENT) or ""), *(each for each in read if isinstance(each, str))]
    return apart | {
        CONTENT: "\n".join(filter(None, texts)),
        CALLS: [each for each in read if not isinstance(each, str)],
    }


def _apart(parser: Mapping[str, Any]) -> dict[str, Any]:
    """A parser that finds the same calls, and reads of each no more than where it begins and ends."""
    calls = dict(parser["fields"][CALLS])
    begins = _pattern(calls, "open")
    ends = _pattern(calls, "close")
    names = [NAME] if f"(?P<{NAME}>" in begins else []
    region = {
        # what closes a call is nothing until it is found: the last may be cut
        "open_pattern": f"(?P<{_OPENED}>{begins})(?P<{_CLOSED}>)",
        **({"close_pattern": f"(?P<{_CLOSED}>{ends})"} if ends else {}),
        "repeats": True,
        "content": "text",
        "content_args": {"strip": False},
        "transform": {_OPENED: f"{{{_OPENED}}}", _BODY: "{content}", _CLOSED: f"{{{_CLOSED}}}"}
        | {name: f"{{{name}}}" for name in names},
    }
    return {**parser, "fields": {**parser["fields"], CALLS: region}}


def _pattern(field: Mapping[str, Any], key: str) -> str:
    """Where a field opens or closes, as a pattern."""
    literal = field.get(key, ())
    every = [literal] if isinstance(literal, str) else literal
    return str(field.get(f"{key}_pattern") or "|".join(re.escape(each) for each in every))


def _each(regions: Sequence[Mapping[str, str]], found: ToolFormat, offered: Any) -> Iterator[Any]:
    """Yield the call of each region, or its text if it has none."""
    parse = need("transformers.utils.chat_parsing").parse_response
    for region in regions:
        text = region[_OPENED] + region[_BODY] + region[_CLOSED]
        try:
            yield from parse(text, dict(found.parser), prefix="", tools=offered)[CALLS]
        except TimeoutError:
            raise
        except Exception:
            yield {NAME: region[NAME], ARGUMENTS_TEXT: region[_BODY]} if region.get(NAME) else text


def _is_untyped(found: ToolFormat) -> bool:
    """Whether arguments are texts whose types only the tool knows; elsewhere a text stays one, as it was written."""
    field = found.parser["fields"][CALLS]
    reader = (field.get("content_args") or {}).get("value_parser") or {}
    return field.get("content") in UNTYPED and reader.get("name", "text") == "text"


def _in_form(call: Any) -> Any:
    """A call, whose arguments are no text: a model that writes them as one has encoded them twice."""
    inner = call.get("function", call) if isinstance(call, Mapping) else None
    if not isinstance(inner, Mapping) or not isinstance(inner.get(ARGUMENTS), str):
        return call
    return {NAME: inner.get(NAME), ARGUMENTS_TEXT: json.dumps(inner[ARGUMENTS], ensure_ascii=False)}


def _without_end(content: Any, ends: Sequence[str]) -> str:
    text = content if isinstance(content, str) else ""
    return next((text.removesuffix(end).rstrip() for end in ends if text.endswith(end)), text)
