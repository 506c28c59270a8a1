"""Tools that a model may call: read from a fixture file, inline or by path, and refused with every mistake.

In OpenAI's form (`{type: function, function: {name, description, parameters}}`, or these keys side by side as in the
Responses API), or as an MCP server lists them (`{tools: [{name, description, inputSchema}]}`). Nothing is fetched.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from tunegate.harness.checks.schema.schema_file import read_document, read_schema
from tunegate.harness.checks.schema.validator import Validator
from tunegate.harness.core.authoring.document import Document, Where, show_value
from tunegate.harness.core.authoring.validation import did_you_mean, mapping_schema, validate
from tunegate.harness.core.errors import AuthoringError, LintWarning, Problem

MOST_TOOLS = 128  # OpenAI takes no more
MOST_CHARACTERS = 100_000  # of one tool as JSON
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
A_NAME = "a name of up to 64 letters, digits, _ and -, which every server takes"
NO_PARAMETERS: Mapping[str, Any] = {"type": "object", "properties": {}}

_FUNCTION = {
    "name": {"type": "string", "description": "the name of the tool"},
    "description": {"type": "string", "description": "what the model reads of the tool"},
    "parameters": {"type": "object", "description": "the JSON Schema of its arguments"},
    "strict": {"type": ["boolean", "null"], "description": "true: a server holds calls to the schema"},
}
_NESTED = mapping_schema(
    {"type": {"const": "function"}, "function": mapping_schema(_FUNCTION, ["name"])}, ["type", "function"]
)
_FLAT = mapping_schema({"type": {"const": "function"}, **_FUNCTION}, ["name"])
#: Of an MCP listing only these reach a model.
_LISTED = {
    "type": "object",
    "required": ["name", "inputSchema"],
    "properties": {
        "name": _FUNCTION["name"],
        "description": _FUNCTION["description"],
        "inputSchema": {"type": "object", "description": "the JSON Schema of its arguments"},
    },
}


@dataclass(frozen=True)
class Tool:
    """One tool: its name, what the model reads of it, and the JSON Schema of its arguments."""

    name: str
    description: str = ""
    parameters: Mapping[str, Any] = field(default_factory=lambda: NO_PARAMETERS)
    strict: bool | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return OpenAI's form, which templates and servers take."""
        keys = {"name": self.name, "description": self.description, "parameters": self.parameters}
        return {"type": "function", "function": keys | ({} if self.strict is None else {"strict": self.strict})}

    @cached_property
    def written(self) -> str:
        """Its JSON, with keys in their order: a template shows a model no more than this."""
        return json.dumps(self.as_dict(), ensure_ascii=False)


@dataclass(frozen=True)
class ToolSet:
    """Tools that were read, with what their calls are held to, by name; a case may offer only some of `every` one."""

    tools: tuple[Tool, ...] = ()
    validators: Mapping[str, Validator] = field(default_factory=dict, repr=False, compare=False)
    warnings: tuple[LintWarning, ...] = field(default=(), repr=False, compare=False)
    every: tuple[Tool, ...] = ()
    file: Path | None = field(default=None, compare=False)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the tools, in their order."""
        return tuple(tool.name for tool in self.tools)

    def only(self, names: Sequence[str]) -> ToolSet:
        """Return the set with only the tools of these names."""
        return replace(self, tools=tuple(tool for tool in self.tools if tool.name in names))


def tools_of(written: Sequence[str]) -> tuple[Tool, ...]:
    """Read tools as a configuration keeps them: the JSON of each, which was checked when it was made."""
    return tuple(Tool(**json.loads(each)["function"]) for each in written)


def read_tools(raw: Any, document: Document, where: Where, any_name: bool = False) -> ToolSet:
    """Read the tools at `where` in a document, or in the file whose path is there.

    With `any_name` names are as a log has them, with dots or spaces.

    Raises:
        AuthoringError: lists every mistake: no such file, a form that is not known, a name twice or that servers
            refuse, parameters that are no usable JSON Schema, a reference that recurs or leaves the file, sizes.
    """
    if is_file := isinstance(raw, str):
        document, where = read_document(raw, document, where, "the path of a file of tools"), ()
        raw = document.data
    is_listing = isinstance(raw, Mapping) and "tools" in raw
    listed, place = (raw["tools"], (*where, "tools")) if is_listing else (raw, where)
    if not isinstance(listed, list) or not listed:
        found = show_value(raw)
        raise AuthoringError([document.problem(where, "a list of tools, or an MCP listing", found)])
    if len(listed) > MOST_TOOLS:
        raise AuthoringError([document.problem(place, f"at most {MOST_TOOLS} tools", f"{len(listed):,}")])
    problems: list[Problem] = []
    found_tools, validators, warnings = [], dict[str, Validator](), list[LintWarning]()
    for index, each in enumerate(listed):
        try:
            tool, inside = _read_tool(each, document, (*place, index))
            read = read_schema(tool.parameters, document, inside)
            problems += _unfit(tool, read.validator, document, inside, validators, any_name)
            found_tools.append(tool)
            validators[tool.name] = read.validator
            warnings += read.warnings
        except AuthoringError as error:
            problems += error.problems
    if problems:
        raise AuthoringError(problems)
    path = document.path if is_file else None
    return ToolSet(tuple(found_tools), validators, tuple(warnings), tuple(found_tools), path)


def _read_tool(raw: Any, document: Document, where: Where) -> tuple[Tool, Where]:
    """A tool of any form, and the place of its parameters."""
    given = raw if isinstance(raw, dict) else {}
    schema = _NESTED if "function" in given else _LISTED if "inputSchema" in given else _FLAT
    if problems := validate(document, schema, where, raw):
        raise AuthoringError(problems)
    try:
        size = len(json.dumps(raw, ensure_ascii=False, default=str))
    except (RecursionError, ValueError):
        raise AuthoringError([document.problem(where, "a tool of a few levels", "endless nesting")]) from None
    if size > MOST_CHARACTERS:
        expected = f"at most {MOST_CHARACTERS:,} characters of JSON for a tool"
        raise AuthoringError([document.problem(where, expected, f"{size:,}")])
    inner, place = (raw["function"], (*where, "function")) if "function" in raw else (raw, where)
    key = "inputSchema" if "inputSchema" in inner else "parameters"
    parameters = inner.get(key) or NO_PARAMETERS
    return Tool(inner["name"], inner.get("description", ""), parameters, inner.get("strict")), (*place, key)


def _unfit(
    tool: Tool,
    validator: Validator,
    document: Document,
    inside: Where,
    known: Mapping[str, Any],
    any_name: bool,
) -> Iterator[Problem]:
    name = (*inside[:-1], "name")
    if not (any_name or _NAME.fullmatch(tool.name)):
        hint = "a server would refuse it; write " + (
            re.sub(r"[^A-Za-z0-9_-]+", "_", tool.name)[:64].strip("_") or "one"
        )
        yield document.problem(name, A_NAME, repr(tool.name[:100]), hint)
    elif tool.name in known:
        yield document.problem(name, "each name once", f"{tool.name!r} again", "rename one of the tools")
    if tool.parameters.get("type") != "object":
        found = show_value(tool.parameters.get("type"))
        hint = "arguments are an object: write type: object and put fields under properties"
        yield document.problem((*inside, "type"), "object", found, hint)
    if validator.steps.comes_back:
        hint = "write the levels out that a call may have"
        yield document.problem(inside, "a schema without references to itself", f"one in {tool.name}", hint)


def narrowed(names: Sequence[str], tools: ToolSet, document: Document, where: Where) -> ToolSet:
    """Return the tools that a case offers.

    Raises:
        AuthoringError: it names one that the file does not have.
    """
    problems = [
        document.problem((*where, index), f"a tool of this file ({', '.join(tools.names[:12])})", repr(each[:100]),
                         did_you_mean(each, tools.names))
        for index, each in enumerate(names)
        if each not in tools.names
    ]  # fmt: skip
    if problems:
        raise AuthoringError(problems)
    return tools.only(names)
