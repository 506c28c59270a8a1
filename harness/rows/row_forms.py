"""The forms of rows: Tunegate's own, and those of TRL, OpenAI, ShareGPT and Alpaca, each of which becomes our own.

Sources: the dataset types of TRL (huggingface.co/docs/trl/dataset_formats), OpenAI's fine-tuning guide (chat,
preferences, `weight`), the files of ShareGPT and of Stanford Alpaca.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tunegate.harness.cases.chat_messages import role_of
from tunegate.harness.cases.conversation import ASSISTANT, CALL_ID, TOOL, USER
from tunegate.harness.checks.outputs.message import ARGUMENTS, CALLS
from tunegate.harness.core.authoring.document import Document, shortened, show_value
from tunegate.harness.core.authoring.validation import validate
from tunegate.harness.core.errors import AuthoringError, Problem
from tunegate.harness.rows.hermes import from_hermes
from tunegate.harness.rows.tool_messages import OLDER, TOOLS, from_json, holds_calls

AUTO, OWN, CHAT = "auto", "tunegate", "chat"
PASSED = ("unit", "context")  # keys of our own that every form may hold
_HOLDING = (
    "messages", "input", "prompt", "completion", "chosen", "rejected", "preferred_output", "non_preferred_output",
)  # keys that hold messages  # fmt: skip
Rows = Iterator[dict[str, Any]]  # of our own form; `liked` is false for an output that is not to be learned

_ROLES = {"human": USER, "gpt": ASSISTANT, "observation": TOOL}
_TEXT = {"type": "string", "minLength": 1, "description": "text that is not empty"}
_GIVEN_TOOLS = {"anyOf": [{"type": "array"}, {"type": "object"}], "description": "a list of tools, or its JSON text"}
_CALLING = {  # what such a turn holds is read where it becomes a turn of an input: `tool_messages`
    "anyOf": [
        {"properties": {"role": {"enum": [TOOL, "function"]}}},
        {"required": [CALLS]},
        {"required": [OLDER]},
    ]
}
_TURN = {
    "type": "object", "required": ["role"], "description": "an object with role and content",
    "properties": {
        "role": {"enum": ["system", "developer", USER, ASSISTANT, TOOL, "function"]},
        "weight": {"enum": [0, 1]},
        CALLS: {"type": "array", "items": {"type": "object"}, "description": "a list of calls"},
        OLDER: {"type": "object", "description": "a call: {name, arguments}"},
    },
    "if": {"required": ["role"], **_CALLING},
    "else": {"required": ["content"], "properties": {"content": _TEXT}},
}  # fmt: skip
_SAID = {
    "type": "object", "required": ["from", "value"], "description": "an object with from and value",
    "properties": {
        "from": {"enum": ["system", *_ROLES, USER, ASSISTANT, TOOL, OLDER]},
        "value": _TEXT,
        "weight": {"enum": [0, 1]},
    },
}  # fmt: skip


def _turns(least: int = 1, item: Mapping[str, Any] = _TURN) -> dict[str, Any]:
    return {"type": "array", "minItems": least, "items": item, "description": f"a list of at least {least} messages"}


def _text_or_turns() -> dict[str, Any]:
    """The schema of a text or messages; a mistake in a message is reported at its place."""
    return {
        "type": ["string", "array"], "minLength": 1, "minItems": 1, "items": _TURN,
        "description": "text, or a list of messages",
    }  # fmt: skip


def _object(properties: Mapping[str, Any], *optional: str) -> dict[str, Any]:
    own = dict.fromkeys(PASSED, _TEXT)
    required = [key for key in properties if key not in optional]
    return {"type": "object", "properties": {**properties, **own}, "required": required}


_TOOLS = {
    TOOLS: _GIVEN_TOOLS,
    "functions": _GIVEN_TOOLS,
    "parallel_tool_calls": {"description": "anything"},
}


@dataclass(frozen=True, slots=True)
class Form:
    """A form of rows: `keys` are the sets of keys that identify it, `shown` describes it in messages."""

    shown: str
    keys: Sequence[frozenset[str]]
    schema: Mapping[str, Any]
    rows: Callable[[Document], Rows]


def _chat(document: Document) -> Rows:
    return _conversation(document, "messages", document.data["messages"])


def _sharegpt(document: Document) -> Rows:
    raw = document.data
    turns = [_said(document, at, each) for at, each in enumerate(raw["conversations"])]
    head = [{"role": "system", "content": raw["system"]}] if raw.get("system") else []
    yield from _conversation(document, "conversations", [*head, *turns])


def _said(document: Document, at: int, said: Mapping[str, Any]) -> dict[str, Any]:
    """A turn of ShareGPT's as a message; `function_call` is a call, or several, as JSON text."""
    weight = {"weight": said["weight"]} if "weight" in said else {}
    if said["from"] != OLDER:
        return {"role": _ROLES.get(said["from"], said["from"]), "content": said["value"], **weight}
    found = from_json(said["value"])
    calls = found if isinstance(found, list) else [found]
    if not all(isinstance(each, Mapping) for each in calls):
        where, expected = ("conversations", at, "value"), "a call as JSON: {name, arguments}, or a list of them"
        raise AuthoringError([document.problem(where, expected, show_value(said["value"]))])
    return {"role": ASSISTANT, "content": "", CALLS: calls, **weight}


def _conversation(document: Document, key: str, turns: Sequence[Mapping[str, Any]]) -> Rows:
    """A row for each assistant turn with a weight other than 0: the turn, after those before it."""
    turns, tools = from_hermes(document, key, turns)
    problems = []
    if turns[-1]["role"] != ASSISTANT:
        problems.append(document.problem((key,), "an assistant turn at the end", repr(turns[-1]["role"])))
    if any("weight" in each for each in turns if each["role"] != ASSISTANT):
        problems.append(document.problem((key,), "weights of assistant turns only", "one of another turn"))
    learned = [at for at, each in enumerate(turns) if each["role"] == ASSISTANT and each.get("weight", 1)]
    if not learned:
        problems.append(document.problem((key,), "an assistant turn to learn", "weight 0 in each", "delete the row"))
    if 0 in learned:
        hint = "give the first turn weight 0"
        problems.append(document.problem((key, 0), "a turn before the one to learn", "none", hint))
    if problems:
        raise AuthoringError(problems)
    offers = {TOOLS: tools} if tools else {}
    for at in learned:
        yield {"messages": [_turn(each) for each in turns[: at + 1]], **offers}


def _turn(message: Mapping[str, Any]) -> dict[str, Any]:
    """A message with what our own form has: its role and content, and its calls or the id of the call of its result."""
    kept = {key: message[key] for key in (CALLS, OLDER, CALL_ID) if message.get(key)}
    return {"role": role_of(message), "content": message.get("content"), **kept}


def _completion(document: Document) -> Rows:
    yield _asked(document, "prompt", "completion")(document.data["completion"])


def _kto(document: Document) -> Rows:
    raw = document.data
    yield {**_asked(document, "prompt", "completion")(raw["completion"]), "liked": raw["label"]}


def _asked(document: Document, key: str, *outputs: str) -> Callable[[Any], dict[str, Any]]:
    """A function from an output to a row: both text, or both messages, of which the output is one assistant turn."""
    raw = document.data
    texts = [isinstance(raw[each], str) for each in (key, *outputs)]
    if any(texts) != all(texts):
        names = " and ".join((key, *outputs))
        raise AuthoringError([document.problem((), f"{names}: all text, or all messages", "some of each")])
    if all(texts):
        return lambda output: {"input": raw[key], "output": output}
    problems = [problem for each in outputs for problem in _one_answer(document, (each,), raw[each])]
    if problems:
        raise AuthoringError(problems)
    return lambda output: {"messages": [_turn(each) for each in (*raw[key], *output)]}


def _one_answer(document: Document, where: tuple[str, ...], turns: Sequence[Mapping[str, Any]]) -> Iterator[Problem]:
    roles = [each["role"] for each in turns]
    if roles != [ASSISTANT]:
        yield document.problem(where, "one assistant turn", ", ".join(roles))


def _preference(document: Document) -> Rows:
    if "prompt" not in document.data:
        document = replace(document, data=_with_prompt(document))
    raw = document.data
    asked = _asked(document, "prompt", "chosen", "rejected")
    yield {**asked(raw["chosen"]), "rejected": _text_of(raw["rejected"])}


def _with_prompt(document: Document) -> dict[str, Any]:
    """A preference without a prompt, with the messages that both conversations begin with as its prompt."""
    chosen, rejected = document.data["chosen"], document.data["rejected"]
    apart = isinstance(chosen, str) or isinstance(rejected, str)
    if apart or len(chosen) < 2 or [*map(_turn, chosen[:-1])] != [*map(_turn, rejected[:-1])]:
        expected = "a prompt, or two conversations that differ in their last turn only"
        raise AuthoringError([document.problem((), expected, "neither")])
    return {**document.data, "prompt": chosen[:-1], "chosen": chosen[-1:], "rejected": rejected[-1:]}


def _text_of(output: Any) -> Any:
    """An output as a text, or as a message if it has calls."""
    if isinstance(output, str):
        return output
    last = _turn(output[-1])
    return last if holds_calls([last]) else last["content"]


def _openai_preference(document: Document) -> Rows:
    raw = document.data
    outputs = ("preferred_output", "non_preferred_output")
    problems = [problem for key in outputs for problem in _one_answer(document, (key,), raw[key])]
    if problems:
        raise AuthoringError(problems)
    turns = [_turn(each) for each in (*raw["input"]["messages"], *raw["preferred_output"])]
    yield {"messages": turns, "rejected": _text_of(raw["non_preferred_output"])}


def _alpaca(document: Document) -> Rows:
    raw = document.data
    asked = "\n\n".join(filter(None, (raw["instruction"], raw.get("input"))))
    if raw.get("system"):  # no unit has a system message of its own per row
        turns = (("system", raw["system"]), (USER, asked), (ASSISTANT, raw["output"]))
        yield {"messages": [{"role": role, "content": text} for role, text in turns]}
    else:
        yield {"input": asked, "output": raw["output"]}


def _sets(*keys: str) -> tuple[frozenset[str], ...]:
    return tuple(frozenset(each.split()) for each in keys)


#: Every form but our own, whose schema is in `examples`. `weight` counts as a key of a row with weights.
FORMS: Mapping[str, Form] = {
    CHAT: Form(
        "chat: {messages} with tools, calls or weights (TRL, OpenAI)",
        _sets("messages weight", "messages tools", "messages tool_calls", "messages parallel_tool_calls"),
        _object({"messages": _turns(2), **_TOOLS}, *_TOOLS),
        _chat,
    ),
    "prompt-completion": Form(
        "prompt-completion: {prompt, completion} (TRL)",
        _sets("prompt completion"),
        _object({"prompt": _text_or_turns(), "completion": _text_or_turns(), "tools": _GIVEN_TOOLS}, "tools"),
        _completion,
    ),
    "preference": Form(
        "preference: {prompt, chosen, rejected} (TRL)",
        _sets("chosen rejected", "prompt chosen rejected"),
        _object(
            {key: _text_or_turns() for key in ("prompt", "chosen", "rejected")} | {"tools": _GIVEN_TOOLS},
            "prompt", "tools",
        ),
        _preference,
    ),
    "kto": Form(
        "kto: {prompt, completion, label} (TRL)",
        _sets("prompt completion label"),
        _object(
            {"prompt": _text_or_turns(), "completion": _text_or_turns(),
             "label": {"type": "boolean", "description": "true or false"}, "tools": _GIVEN_TOOLS},
            "tools",
        ),
        _kto,
    ),
    "openai-preference": Form(
        "openai-preference: {input: {messages}, preferred_output, non_preferred_output}",
        _sets("input preferred_output non_preferred_output"),
        _object(
            {"input": {**_object({"messages": _turns(), **_TOOLS}, *_TOOLS), "description": "an object with messages"},
             "preferred_output": _turns(), "non_preferred_output": _turns()}
        ),
        _openai_preference,
    ),
    "sharegpt": Form(
        "sharegpt: {conversations: [{from, value}]}",
        _sets("conversations"),
        _object({"conversations": _turns(2, _SAID), "system": {"type": "string"}, "tools": _GIVEN_TOOLS},
                "system", "tools"),
        _sharegpt,
    ),
    "alpaca": Form(
        "alpaca: {instruction, input, output, system}",
        _sets("instruction output", "instruction input output"),
        _object({"instruction": _TEXT, "input": {"type": "string", "description": "text"}, "output": _TEXT,
                 "system": {"type": "string", "description": "text"},
                 "history": {"maxItems": 0, "description": "none: write a conversation as sharegpt"}},
                "input", "system", "history"),
        _alpaca,
    ),
}  # fmt: skip
#: What a recipe may name as the form of its rows.
FORM_NAMES = (AUTO, OWN, *FORMS)
_OWN_KEYS = _sets("input output", "messages", "messages rejected", "input output rejected")


def without_nulls(value: Any) -> Any:
    """The value without keys whose value is null, which Parquet and exports write for what is missing.

    The arguments of a call keep theirs: whether null is an argument, its tool says (`tool_messages`).
    """
    if isinstance(value, Mapping):
        return {
            key: each if key == ARGUMENTS and isinstance(each, Mapping) else without_nulls(each)
            for key, each in value.items()
            if each is not None
        }
    return [without_nulls(each) for each in value] if isinstance(value, list) else value


def form_of(documents: Sequence[Document]) -> str:
    """The name of the form of all rows of a file, recognized by their keys; rows that no form fits are left out.

    Raises:
        AuthoringError: rows of several forms, or a row that fits several.
    """
    read = [(document, _fitting(document.data)) for document in documents]
    problems = [_several(document, fits) for document, fits in read if len(fits) > 1]
    found = [(document, fits[0]) for document, fits in read if len(fits) == 1]
    names = {name for _, name in found}
    if names == {CHAT, OWN} and all("messages" in each.data and "rejected" not in each.data for each, _ in found):
        names = {CHAT}  # a chat in which some rows hold weights
    if len(names) > 1:
        first, name = found[0]
        expected = f"a row of the form {name}, as line {first.line(())}"
        hint = "put each form into a file of its own"
        problems += [
            each.problem((), expected, f"one of the form {other}", hint) for each, other in found if other != name
        ]
    if problems:
        raise AuthoringError(problems)
    return names.pop() if names else OWN


def _fitting(raw: Any) -> list[str]:
    """The forms whose keys a row has, except forms whose keys are a part of those of another."""
    if not isinstance(raw, Mapping):
        return []
    keys = {key for key, value in raw.items() if value is not None}
    keys |= {"weight"} if _has_weights(raw.get("messages")) else set()
    keys |= {CALLS} if holds_calls(raw.get("messages")) else set()
    known = [(OWN, each) for each in _OWN_KEYS] + [(name, each) for name, form in FORMS.items() for each in form.keys]
    fits = [(name, each) for name, each in known if each <= keys]
    return sorted({name for name, each in fits if not any(each < other for _, other in fits)})


def _has_weights(turns: Any) -> bool:
    return isinstance(turns, list) and any(
        isinstance(each, Mapping) and each.get("weight") is not None for each in turns
    )


def _several(document: Document, fits: Sequence[str]) -> Problem:
    keys = shortened(", ".join(document.data), 100)
    hint = "name one with `format:` in the recipe, or delete the other keys"
    return document.problem((), "the keys of one form", f"those of {' and '.join(fits)} ({keys})", hint)


def as_own(document: Document, name: str) -> list[Document]:
    """A row of a form as rows of our own form, at the same line.

    Raises:
        AuthoringError: the row is not of that form.
    """
    form = FORMS[name]
    if not isinstance(document.data, Mapping):
        raise AuthoringError([document.problem((), form.shown, show_value(document.data))])
    read = replace(document, data=_unpacked(without_nulls(document.data)))
    if problems := validate(read, form.schema):
        raise AuthoringError(problems)
    passed = {key: read.data[key] for key in PASSED if key in read.data}
    asked = read.data.get("input", {})  # OpenAI's preferences have them there
    offers = [each.get(key) for each in (read.data, asked) if isinstance(each, Mapping) for key in (TOOLS, "functions")]
    passed |= {TOOLS: next(filter(None, offers))} if any(offers) else {}
    return [replace(read, data={**passed, **row}) for row in form.rows(read)]


def _unpacked(raw: Any) -> Any:
    """A row with its tools and calls read, where they are JSON text, and without empty ones."""
    if isinstance(raw, list):
        return [_unpacked(each) for each in raw]
    if not isinstance(raw, Mapping):
        return raw
    read = {key: from_json(raw[key]) for key in (TOOLS, "functions", CALLS, OLDER) if key in raw}
    inner = {key: _unpacked(each) for key, each in raw.items() if key in _HOLDING}
    return {key: each for key, each in {**raw, **inner, **read}.items() if key not in read or each}


def unused_columns(documents: Sequence[Document], name: str) -> dict[str, int]:
    """The number of rows that hold each column, or key of a message, that a form does not use."""
    used = FORMS[name].schema["properties"]
    rows = (each.data for each in documents if isinstance(each.data, Mapping))
    return dict(Counter(key for row in rows for key in dict.fromkeys(_unused(without_nulls(row), used))))


def _unused(row: Mapping[str, Any], used: Mapping[str, Any]) -> Iterator[str]:
    """The columns of a row that are not used, and the keys of its messages."""
    known = {*_TURN["properties"], *_SAID["properties"], "content", CALL_ID}
    yield from (key for key in row if key not in used)
    for key, value in row.items():
        turns = value.get("messages") if isinstance(value, Mapping) else value
        if key in used and key in (*_HOLDING, "conversations") and isinstance(turns, list):
            of_turns = (inner for each in turns if isinstance(each, Mapping) for inner in each)
            yield from (f"{key}[].{inner}" for inner in of_turns if inner not in known)
