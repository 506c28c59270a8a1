"""Calls that a model wrote into its text, where no program sees them: in a code block, as bare JSON, with markers."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Any

from tunegate.harness.checks.outputs.finding import Finding
from tunegate.harness.checks.outputs.json_text import read_json_text
from tunegate.harness.checks.outputs.message import ToolCall, show_name

RULE = "call.in-text"
MOST_SEARCHED = 100_000  # characters of a text
#: What templates put around calls; a parser that read one as a call leaves no marker.
_MARKER = re.compile(
    r"</?tool_calls?>|\[/?TOOL_CALLS\]|<function=|<\|python_tag\|>|<\|tool_calls?(?:_begin|_start)?\|>|<\|?tool_call>"
    r"|<start_function_call>|functools\["
)
_FENCE = re.compile(r"```[\w+-]*[ \t]*\n(.*?)```", re.DOTALL)
_STARTS = re.compile(r'\{\s*"(?:name|function|tool|tool_name|type)"\s*:')
_WRITTEN = re.compile(r"\[?([A-Za-z_][\w.-]{0,63})\((?:.*)\)\]?", re.DOTALL)
_CODE = re.compile(r"(?<![\w.-])([\w.-]{1,100})\(\s*(?:[A-Za-z_]\w*\s*=(?!=)|\{)")  # with named arguments
_NAMES, _ARGUMENTS = ("name", "tool", "tool_name", "function"), ("arguments", "parameters", "args", "tool_input")


def calls_in_text(text: str, offered: Collection[str], has_calls: bool) -> Iterator[Finding]:
    """Yield the finding of the first call in a text; beside calls (`has_calls`) only a marker is one."""
    searched = text[:MOST_SEARCHED]
    if marker := _MARKER.search(searched):
        yield Finding(RULE, f"the text holds `{marker[0]}`: a call that is not in its template's form or was cut")
        return
    if has_calls or not offered:
        return
    for block in _FENCE.finditer(searched):
        if name := _named(block[1], offered):
            yield Finding(RULE, f"a call of {show_name(name)} stands in a code block of the text, not as a call")
            return
    if name := _named(searched, offered) or _inside(searched, offered) or _code(searched, offered):
        yield Finding(RULE, f"a call of {show_name(name)} stands in the text, not as a call")


def _named(text: str, offered: Collection[str]) -> str:
    """The offered tool that a whole text calls, as JSON or as code; empty if it does not."""
    body = text.strip()
    if body[:1] in {"{", "["}:
        read = read_json_text(body)
        if not read.findings:
            return _of_value(read.value, offered)
    written = _WRITTEN.fullmatch(body)
    return written[1] if written and written[1] in offered else ""


def _of_value(value: Any, offered: Collection[str]) -> str:
    if isinstance(value, list):
        return next((name for each in value[:100] if (name := _of_value(each, offered))), "")
    if not isinstance(value, dict):
        return ""
    if isinstance(inner := value.get("function"), dict):
        return _of_value(inner, offered)
    if isinstance(calls := value.get("tool_calls"), list):
        return _of_value(calls, offered)
    name = next((value[key] for key in _NAMES if isinstance(value.get(key), str)), "")
    return name if name in offered and any(key in value for key in _ARGUMENTS) else ""


def _inside(text: str, offered: Collection[str]) -> str:
    """The offered tool that JSON inside a text calls, also where it is cut off."""
    for start in _STARTS.finditer(text):
        around = text[start.start() : start.start() + 400]
        name = next((each for each in offered if f'"{each}"' in around), "")
        if name and any(f'"{key}"' in around for key in _ARGUMENTS):
            return name
    return ""


def _code(text: str, offered: Collection[str]) -> str:
    """The offered tool that code inside a text calls, also as the function of a module."""
    names = (each for found in _CODE.finditer(text) for each in (found[1], found[1].rpartition(".")[2]))
    return next((name for name in names if name in offered), "")


def written_twice(call: ToolCall) -> Iterator[str]:
    """Yield the arguments of a call that are JSON inside a text: encoded twice."""
    for key, value in (call.arguments or {}).items():
        if isinstance(value, str) and value[:1] in {"{", "["} and not read_json_text(value).findings:
            yield key
