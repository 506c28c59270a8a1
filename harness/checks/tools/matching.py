"""Match the calls of a message with the expected ones, value by value; fields are called `TOOL.ARGUMENT`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunegate.harness.checks.base import ClosedValue
from tunegate.harness.checks.outputs.json_text import show_json
from tunegate.harness.checks.outputs.message import CALLS, ToolCall, show_name
from tunegate.harness.checks.schema.grading import FieldRule, Grader, Leaf, Leaves, belonging
from tunegate.harness.checks.schema.schema_fields import ROOT, SchemaFields, field_name, schema_fields
from tunegate.harness.checks.tools.definitions import Tool

MOST_EXPECTED = 32  # calls in an `expect`
TOOL = "(tool)"  # the field of a call's name
_RATES = frozenset({"valid", "called", "number", "text"})  # names of parts that are no tools


def tool_name(name: str) -> str:
    """A tool as the first part of its fields' names."""
    return f"[{show_json(name)}]" if name in _RATES else field_name(ROOT, name)


def field_below(tool: str, name: str) -> str:
    """The name of a field of a tool's arguments."""
    if name == ROOT:
        return tool_name(tool)
    return f"{tool_name(tool)}{'' if name.startswith('[') else '.'}{name}"


def tool_fields(tools: Sequence[Tool]) -> SchemaFields:
    """The fields of all tools."""
    schemas: dict[str, Sequence[Mapping[str, Any]]] = {}
    free: set[str] = set()
    for tool in tools:
        found = schema_fields(tool.parameters)
        schemas |= {field_below(tool.name, name): each for name, each in found.schemas.items()}
        free |= {field_below(tool.name, name) for name in found.free}
    return SchemaFields(schemas, frozenset(free))


@dataclass(frozen=True)
class ToolGrader:
    """Compares calls by the `rules` of a fixture; `whole` allows only expected arguments."""

    schema: SchemaFields
    rules: Mapping[str, FieldRule]
    whole: bool = True

    def grade(self, expect: Sequence[Mapping[str, Any]], calls: Sequence[ToolCall], in_order: bool) -> Leaves:
        """Match calls with the expected ones: in order, or one to one so that most is right.

        Raises:
            ListsTooLong: unordered lists in arguments are too long.
        """
        gone = [self._missing(each) for each in expect]
        extra = [[_extra(call, index)] for index, call in enumerate(calls)]
        if in_order:
            chosen = {index: index for index in range(min(len(expect), len(calls)))}
        else:
            graded = [[self._pair(each, call, index) for index, call in enumerate(calls)] for each in expect]
            chosen = belonging(graded, gone, extra) if calls else {}
        leaves = [leaf for i, j in chosen.items() for leaf in self._pair(expect[i], calls[j], j)]
        leaves += [leaf for i, each in enumerate(gone) if i not in chosen for leaf in each]
        return leaves + [leaf for j, each in enumerate(extra) if j not in chosen.values() for leaf in each]

    def _grader(self) -> Grader:
        return Grader(self.rules, self.schema, self.whole)

    def _missing(self, expect: Mapping[str, Any]) -> Leaves:
        message = f"expected a call of {show_name(expect['name'])}, found none"
        name = Leaf(TOOL, answered=False, message=message, where=(CALLS,))
        return [name, *self._grader().missing(expect.get("arguments", {}), tool_name(expect["name"]))]

    def _pair(self, expect: Mapping[str, Any], call: ToolCall, index: int) -> Leaves:
        wanted, where = expect.get("arguments", {}), (CALLS, index, "arguments")
        if call.name != expect["name"]:
            message = f"expected a call of {show_name(expect['name'])}, found one of {show_name(call.name)}"
            taken = show_json(expect["name"]), show_json(call.name)
            name = Leaf(TOOL, message=message, where=(CALLS, index, "name"), taken=taken)
            return [name, *self._grader().missing(wanted, tool_name(expect["name"]))]
        right = Leaf(TOOL, right=True)
        if call.arguments is None:
            return [right, *self._grader().missing(wanted, tool_name(call.name))]
        optional = {key: each for key, each in expect.get("optional", {}).items() if key in call.arguments}
        return [right, *self._grader().grade({**wanted, **optional}, call.arguments, where, tool_name(call.name))]

    def names(self, expect: Sequence[Mapping[str, Any]]) -> frozenset[str]:
        """The expected fields."""
        below = (self._grader().names(each.get("arguments", {}), tool_name(each["name"])) for each in expect)
        return frozenset({TOOL}).union(*below)

    def closed_values(self, expect: Sequence[Mapping[str, Any]]) -> Iterator[ClosedValue]:
        """The expected tools, and expected values of arguments with a closed set of values."""
        ignored = [name for name, rule in self.rules.items() if rule.ignore]
        for each in expect:
            yield TOOL, show_json(each["name"]), True
            yield from self.schema.closed_values(each.get("arguments", {}), ignored, tool_name(each["name"]))


def _extra(call: ToolCall, index: int) -> Leaf:
    message = f"found a call of {show_name(call.name)}, which is not expected"
    return Leaf(TOOL, expected=False, message=message, where=(CALLS, index))
