"""Two tools, hostile files of tools, and hostile outputs of a request that offers tools."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tunegate.harness.checks.outputs.message import read_message
from tunegate.harness.checks.tools.check import KIND, ToolsCheck
from tunegate.harness.checks.tools.definitions import ToolSet, read_tools
from tunegate.harness.core.authoring.document import Document

TICKET = {
    "type": "object",
    "additionalProperties": False,
    "required": ["title", "priority"],
    "properties": {
        "title": {"type": "string", "description": "What is broken."},
        "priority": {"enum": ["low", "high"]},
        "due": {"type": "string"},
        "rooms": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["floor"],
                "properties": {"floor": {"type": "integer"}, "door": {"type": "string"}},
            },
        },
    },
}
ORDER = {"type": "object", "required": ["order"], "properties": {"order": {"type": "integer", "minimum": 1}}}
TOOLS: list[dict[str, Any]] = [
    {"type": "function", "function": {"name": "create_ticket", "description": "Open a ticket.", "parameters": TICKET}},
    {"type": "function", "function": {"name": "cancel_order", "description": "Cancel one.", "parameters": ORDER}},
]


def document(data: Any = None) -> Document:
    return Document(Path("calls.yaml"), data, {(): 1})


def tool_set(raw: Any = TOOLS) -> ToolSet:
    return read_tools(raw, document(raw), ("tools",))


def check(**options: Any) -> ToolsCheck:
    loaded = KIND.read(options, document(), ("check",))
    return loaded.offered(tool_set(), document(), ())


def call(name: str, arguments: Any) -> dict[str, Any]:
    return {"type": "function", "id": "c", "function": {"name": name, "arguments": arguments}}


def output(*calls: Any, content: Any = None) -> str:
    return read_message({"content": content, "tool_calls": list(calls)}).write()


def ticket(**arguments: Any) -> dict[str, Any]:
    return call("create_ticket", json.dumps({"title": "Light", "priority": "high"} | arguments))


def of_parameters(parameters: Any, **more: Any) -> list[Any]:
    return [{"name": "a", "parameters": parameters} | more]


def _nested(levels: int) -> Any:
    schema: Any = {"type": "integer"}
    for _ in range(levels):
        schema = {"type": "object", "properties": {"x": schema}}
    return schema


REFERENCE = {"type": "object", "properties": {"x": {"$ref": "#/$defs/n"}}}
LOOP = {"type": "object", "properties": {"next": {"$ref": "#/$defs/n"}}}
NAMES = ["", " ", "a b", "a.b", "a/b", "ä", "a" * 65, "a\n", "\u202ea", "a:b", "a\x00", "<|im_end|>", "a,b", "{input}"]
#: What is read as tools, and what is said of it in each case.
FILES: Mapping[str, Any] = {
    **{f"name {name!r}": [{"name": name, "parameters": ORDER}] for name in NAMES},
    "text": "tools.json",
    "number": 5,
    "null": None,
    "true": True,
    "empty list": [],
    "empty object": {},
    "empty listing": {"tools": []},
    "listing of a number": {"tools": 5},
    "listing of nulls": {"tools": [None]},
    "list of texts": ["create_ticket"],
    "list of lists": [[]],
    "list of numbers": [1],
    "no name": [{"parameters": ORDER}],
    "name of a number": [{"name": 1}],
    "function is a text": [{"type": "function", "function": "f"}],
    "function without type": [{"function": {"name": "a"}}],
    "another type": [{"type": "web_search", "name": "a"}],
    "unknown key": [{"name": "a", "params": ORDER}],
    "description of a list": [{"name": "a", "description": []}],
    "strict of a text": [{"name": "a", "strict": "yes"}],
    "listed without schema": [{"name": "a", "inputSchema": None}],
    "twice": [{"name": "a"}, {"name": "a"}],
    "twice of two forms": [{"name": "a"}, {"name": "a", "inputSchema": ORDER}],
    "many": [{"name": f"t{n}"} for n in range(129)],
    "a million": [{"name": "a"}] * 1_000_000,
    "huge description": [{"name": "a", "description": "x" * 200_000}],
    "huge enum": of_parameters({"type": "object", "properties": {"x": {"enum": [f"v{n}" for n in range(50_000)]}}}),
    "parameters as a list": of_parameters([1]),
    "parameters as text": of_parameters("{}"),
    "parameters of an array": of_parameters({"type": "array"}),
    "parameters without type": of_parameters({"properties": {}}),
    "parameters of two types": of_parameters({"type": ["object", "null"]}),
    "an unknown type": of_parameters({"type": "dict"}),
    "properties as a list": of_parameters({"type": "object", "properties": []}),
    "required as text": of_parameters({"type": "object", "required": "x"}),
    "a property as text": of_parameters({"type": "object", "properties": {"x": "string"}}),
    "an invalid pattern": of_parameters({"type": "object", "properties": {"x": {"pattern": "("}}}),
    "a foreign pattern": of_parameters({"type": "object", "properties": {"x": {"pattern": r"\Ax\Z"}}}),
    "another draft": of_parameters({"type": "object", "$schema": "http://example.com/draft"}),
    "a remote reference": of_parameters(
        {"type": "object", "properties": {"x": {"$ref": "https://example.com/s.json"}}}
    ),
    "a file reference": of_parameters({"type": "object", "properties": {"x": {"$ref": "file:///etc/passwd"}}}),
    "a reference beside": of_parameters({"type": "object", "properties": {"x": {"$ref": "other.json#/a"}}}),
    "a reference to nothing": of_parameters(REFERENCE),
    "a recursive reference": of_parameters(REFERENCE | {"$defs": {"n": LOOP}}),
    "a reference to itself": of_parameters({"type": "object", "properties": {"x": {"$ref": "#"}}}),
    "an endless reference": of_parameters({"type": "object", "$ref": "#"}),
    "two that refer to each other": of_parameters(
        REFERENCE | {"$defs": {"n": {"$ref": "#/$defs/m"}, "m": {"$ref": "#/$defs/n"}}}
    ),
    "a dynamic reference": of_parameters({"type": "object", "properties": {"x": {"$dynamicRef": "#m"}}}),
    "deep": of_parameters(_nested(900)),
    "a negative length": of_parameters({"type": "object", "properties": {"x": {"minLength": -1}}}),
    "a null type": of_parameters({"type": "object", "properties": {"x": {"type": None}}}),
    "an empty enum key": of_parameters({"type": "object", "properties": {"x": {"enum": "low"}}}),
    "a mistake in the second": [*TOOLS, {"name": "third one", "parameters": ORDER}],
    "nested mcp": [{"tools": TOOLS}],
    "openai in mcp": {"tools": [{"function": {"name": "a"}}]},
}


def _texts() -> Mapping[str, str]:
    bare = '{"name": "create_ticket", "arguments": {"title": "x", "priority": "low"}}'
    return {
        "bare": bare,
        "bare with space": f"\n {bare} \n",
        "list": f"[{bare}]",
        "fence": f"```json\n{bare}\n```",
        "fence without language": f"```\n{bare}\n```",
        "fence in prose": f"Here it is:\n```json\n{bare}\n```\nDone.",
        "two fences": f"```json\n1\n```\n```json\n{bare}\n```",
        "tool_call": f"<tool_call>\n{bare}\n</tool_call>",
        "tool_call cut": f"<tool_call>\n{bare[:30]}",
        "tool_calls": f"<tool_calls>{bare}",
        "mistral": f"[TOOL_CALLS][{bare}]",
        "llama": f"<|python_tag|>{bare}",
        "function=": "<function=create_ticket>{}</function>",
        "parameters": bare.replace("arguments", "parameters"),
        "in prose": f"I call {bare} now.",
        "cut in prose": f"I call {bare[:50]}",
        "code": 'create_ticket(title="x", priority="low")',
        "code in a list": '[create_ticket(title="x", priority="low")]',
        "code in a fence": "```python\ncreate_ticket()\n```",
        "code in prose": 'I call create_ticket(title="x", priority="low") now.',
        "code printed": '```tool_code\nprint(create_ticket(title="x"))\n```',
        "code of a module": 'functions.create_ticket({"title": "x"})',
        "tool": '{"tool": "create_ticket", "args": {}}',
        "openai": json.dumps({"tool_calls": [call("create_ticket", "{}")]}),
        "function": json.dumps({"function": {"name": "create_ticket", "arguments": "{}"}}),
        "functools": f"functools[{bare}]",
        "deepseek": "<|tool_call_begin|>create_ticket",
        "gemma": "<start_function_call>x",
    }


IN_TEXT = _texts()
ARGUMENTS: Mapping[str, Any] = {
    "empty": "",
    "spaces": "  ",
    "null": "null",
    "true": "true",
    "number": "5",
    "text": '"x"',
    "list": "[]",
    "list of objects": '[{"title": "x"}]',
    "cut": '{"title": "x',
    "cut key": '{"tit',
    "cut after comma": '{"title": "x",',
    "single quotes": "{'title': 'x', 'priority': 'low'}",
    "trailing comma": '{"title": "x", "priority": "low",}',
    "comment": '{"title": "x", "priority": "low"} // ok',
    "two objects": '{"title": "x"}{"priority": "low"}',
    "fence": '```json\n{"title": "x", "priority": "low"}\n```',
    "python": "{'title': None}",
    "nan": '{"title": NaN}',
    "infinity": '{"title": -Infinity}',
    "huge number": '{"title": 1e999}',
    "digits": '{"title": ' + "9" * 5_000 + "}",
    "brackets": "[" * 100_000,
    "braces": '{"a":' * 100_000,
    "closed braces": '{"a":' * 5_000 + "1" + "}" * 5_000,
    "twice": '{"title": "x", "title": "y", "priority": "low"}',
    "surrogate": '{"title": "\\ud800", "priority": "low"}',
    "double": json.dumps(json.dumps({"title": "x", "priority": "low"})),
    "bom": '\ufeff{"title": "x"}',
    "double inside": json.dumps({"title": "x", "priority": "low", "rooms": '[{"floor": 1}]'}),
    "no-break space": '\xa0{"title": "x", "priority": "low"}',
    "lacks": '{"title": "x"}',
    "nothing": "{}",
    "unknown": '{"title": "x", "priority": "low", "colour": "red"}',
    "another case": '{"Title": "x", "priority": "low"}',
    "enum": '{"title": "x", "priority": "urgent"}',
    "type": '{"title": 5, "priority": "low"}',
    "null value": '{"title": null, "priority": "low"}',
    "nested type": json.dumps({"title": "x", "priority": "low", "rooms": [{"floor": "2"}]}),
    "nested lacks": json.dumps({"title": "x", "priority": "low", "rooms": [{"door": "2"}]}),
    "a list": [1],
    "many values": json.dumps({"title": "x", "priority": "low", "rooms": [{"floor": 1}] * 20_000}),
    "large": json.dumps({"title": "x" * 2_000_000, "priority": "low"}),
    "a number": 5,
    "an object": {"title": "x"},
    "lone brace": "{",
    "backslash": "\\",
    "control": '{"title": "\x00", "priority": "low"}',
    "xml": "<title>x</title>",
    "yaml": "title: x\npriority: low",
    "deep value": {"title": "x", "priority": "low", "due": json.loads("[" * 500 + "]" * 500)},
}
CALLS: Mapping[str, Any] = {
    "null": None,
    "text": "create_ticket",
    "number": 5,
    "list": [],
    "object": {},
    "function null": {"function": None},
    "function text": {"function": "create_ticket"},
    "no name": {"function": {"arguments": "{}"}},
    "name number": {"name": 1},
    "name list": {"name": []},
    "empty name": {"name": "", "arguments": "{}"},
    "unknown": call("delete_all", "{}"),
    "case": call("Create_Ticket", "{}"),
    "space": call("create_ticket ", "{}"),
    "dot": call("functions.create_ticket", "{}"),
    "long name": call("x" * 100_000, "{}"),
    "control": call("a\x1b[2Jb", "{}"),
    "command": call("::error::x", "{}"),
    "bidi": call("\u202ecreate", "{}"),
    "surrogate": call("\ud800", "{}"),
    "markup": call("`rm`", "{}"),
    "newline": call("a\nb", "{}"),
    "true": True,
    "nested": {"function": {"function": {"name": "create_ticket"}}},
    "html": call("<b>x</b>", "{}"),
}


def hostile_outputs() -> Mapping[str, str]:
    """Outputs none of which is right, by name."""
    found = {f"in text: {name}": output(content=text) for name, text in IN_TEXT.items()}
    found |= {f"plain: {name}": text for name, text in IN_TEXT.items()}
    found |= {f"arguments: {name}": output(call("create_ticket", each)) for name, each in ARGUMENTS.items()}
    found |= {
        f"beside a right call: {name}": output(ticket(), call("create_ticket", each))
        for name, each in ARGUMENTS.items()
    }
    found |= {f"call: {name}": output(each) for name, each in CALLS.items()}
    found |= {f"after a right call: {name}": output(ticket(), each) for name, each in CALLS.items()}
    return found | {
        "a thousand calls": output(*[ticket()] * 1_000),
        "a huge text": "x" * 5_000_000,
        "marker beside a call": output(ticket(), content="<tool_call>{"),
        "calls are an object": read_message({"tool_calls": {"name": "x"}}).write(),
        "calls are a text": read_message({"tool_calls": "x"}).write(),
        "nothing": "",
        "braces": '{"content": ' * 1_000,
        "fences": "```json\n" * 100_000,
        "names": '{"name":' * 100_000,
        "half a message": output(ticket())[:-3],
        "quoted": output(content=output(ticket())),
    }
