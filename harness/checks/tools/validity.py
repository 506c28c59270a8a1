"""Whether a call can be run at all: its tool is offered, its arguments are one object, and the tool's schema holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import Any

from tunegate.harness.checks.outputs.finding import Finding
from tunegate.harness.checks.outputs.json_text import MAX_FINDINGS, json_path
from tunegate.harness.checks.outputs.message import CALLS, DOUBLE, Message, ToolCall, show_name
from tunegate.harness.checks.schema.validator import Validator
from tunegate.harness.checks.tools.definitions import Tool
from tunegate.harness.checks.tools.in_text import calls_in_text, written_twice
from tunegate.harness.core.authoring.validation import did_you_mean
from tunegate.harness.core.escaping import shown
from tunegate.harness.core.formatting import listed

LACKS, NOT_OFFERED, EMPTY = "call.lacks", "call.not-offered", "message.empty"


@dataclass(frozen=True)
class Offered:
    """The tools that a request offered, by name, ready to hold calls to."""

    tools: Mapping[str, Tool]
    read: Mapping[str, Validator] = field(default_factory=dict, repr=False, compare=False)
    _made: dict[str, Validator] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, tools: Sequence[Tool], read: Mapping[str, Validator] | None = None) -> Offered:
        """Return tools by name; `read` are validators that know the file of their schema."""
        return cls({tool.name: tool for tool in tools}, read or {})

    def validator(self, name: str) -> Validator:
        """The validator of a tool's arguments."""
        if name in self.read:
            return self.read[name]
        if name not in self._made:
            self._made[name] = Validator(self.tools[name].parameters)
        return self._made[name]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of the tools."""
        return tuple(self.tools)

    def findings(self, message: Message) -> tuple[Finding, ...]:
        """What keeps the calls of a message from being run, calls that stand in its text, and that it says nothing."""
        found = [*message.findings, *calls_in_text(message.content, self.names, bool(message.calls))]
        if not (found or message.calls or message.content.strip()):
            found = [Finding(EMPTY, "the message has neither text nor a call")]
        for index, call in enumerate(message.calls):
            found += islice(self._of_call(call, f"{CALLS}[{index}]"), MAX_FINDINGS)
        return tuple(found[:MAX_FINDINGS])

    def _of_call(self, call: ToolCall, where: str) -> Iterator[Finding]:
        if call.flaws:
            yield from (Finding(each.rule, each.message, where) for each in call.flaws)
        if call.name and call.name not in self.tools:
            hint = did_you_mean(call.name, self.names) or f"offered: {listed([shown(each) for each in self.names])}"
            yield Finding(NOT_OFFERED, f"{show_name(call.name)} is not a tool that was offered ({hint})", where)
        elif call.name and call.arguments is not None:
            yield from self._of_arguments(call, call.arguments, f"{where}.arguments")

    def _of_arguments(self, call: ToolCall, arguments: Mapping[str, Any], where: str) -> Iterator[Finding]:
        name, validator = show_name(call.name), self.validator(call.name)
        for key in lacking_arguments(self.tools[call.name], arguments):
            yield Finding(LACKS, f"{name} lacks {show_name(key)}", _below(where, json_path([key])))
        twice = set(written_twice(call))
        for each in islice(validator.violations(dict(arguments)), MAX_FINDINGS):
            if each.rule == "schema.required" and not each.path:
                continue
            place = _below(where, each.path)
            if each.path in twice:
                yield Finding(DOUBLE, f"{show_name(each.path)} of {name} is JSON inside a text, encoded twice", place)
            else:
                inside = f": {shown(each.path)}" if each.path else ""
                yield Finding(each.rule, f"{name}{inside}: {each.message}", place, each.source)


def _below(where: str, path: str) -> str:
    """The place in a message of what is at `path` in the arguments at `where`."""
    return f"{where}{'' if not path or path.startswith('[') else '.'}{path}"


def lacking_arguments(tool: Tool, arguments: Mapping[str, Any]) -> list[str]:
    """The required arguments that are not there."""
    required = tool.parameters.get("required", ())
    return [key for key in required if key not in arguments] if isinstance(required, list) else []
