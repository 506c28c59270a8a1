# ruff: noqa: ARG001  (every mistake is made from the same three)
"""Planted mistakes: the right result of each of BFCL's entries, and what one named mistake makes of it."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from random import Random
from typing import Any

from benchmarks.tool_calls_sets import Entry, json_schema, tool_name, values

Calls = list[dict[str, Any]]
Places = list[tuple[dict[str, Any], str]]  # the arguments of a call, and the name of one
SURE, RIGHT, QUIET = "I will look into that for you.", "nothing planted", "a text where no tool fits"
WRITTEN, TRUTH = "case or punctuation of a text", "true for 1 inside a list or object"


def right(entry: Entry, random: Random) -> Calls:
    """The calls that an entry expects, each argument with one possible answer; half of those that may be missing."""
    calls = []
    for each in entry.answer:
        [(name, answers)] = each.items()
        known = {key: values(options) for key, options in answers.items()}
        required = next(one for one in entry.function if one["name"] == name)["parameters"]["required"]
        given = {
            key: random.choice(found) for key, found in known.items()
            if found and (key in required or "" not in answers[key] or random.random() < 0.5)
        }  # fmt: skip
        calls.append({tool_name(name): given})
    return copy.deepcopy(calls)


def _places(calls: Calls, kinds: type | tuple[type, ...]) -> Places:
    return [
        (arguments, key) for call in calls for arguments in call.values() for key, value in arguments.items()
        if isinstance(value, kinds) and not (isinstance(value, bool) and kinds is not bool)
    ]  # fmt: skip


def _other(value: Any) -> Any:
    """Another value of the same type, which no answer of BFCL has."""
    if isinstance(value, bool):
        return not value
    return f"{value} and something else" if isinstance(value, str) else value + 977


def wrong_value(entry: Entry, calls: Calls, random: Random) -> Any:
    """Another number or text."""
    if places := _places(calls, (int, float, str)):
        arguments, key = random.choice(places)
        arguments[key] = _other(arguments[key])
        return calls
    return None


def missing_argument(entry: Entry, calls: Calls, random: Random) -> Any:
    """Without an argument that the function requires."""
    required = {tool_name(each["name"]): each["parameters"]["required"] for each in entry.function}
    places = [(found, key) for call in calls for name, found in call.items() for key in required[name] if key in found]
    if places:
        arguments, key = random.choice(places)
        del arguments[key]
        return calls
    return None


def extra_argument(entry: Entry, calls: Calls, random: Random) -> Any:
    """An argument that the function does not have."""
    [arguments] = random.choice(calls).values()
    return None if "remark" in arguments else (arguments.update(remark="none"), calls)[1]


def number_as_text(entry: Entry, calls: Calls, random: Random) -> Any:
    """A number in quotation marks."""
    if places := _places(calls, (int, float)):
        arguments, key = random.choice(places)
        arguments[key] = json.dumps(arguments[key])
        return calls
    return None


def _renamed(calls: Calls, index: int, name: str) -> Calls:
    [arguments] = calls[index].values()
    return [*calls[:index], {name: arguments}, *calls[index + 1 :]]


def other_function(entry: Entry, calls: Calls, random: Random) -> Any:
    """The name of another function: one that is offered, if there is one."""
    index = random.randrange(len(calls))
    [name] = calls[index]
    others = [each for each in map(tool_name, (one["name"] for one in entry.function)) if each != name]
    return _renamed(calls, index, random.choice(others or ["search_web"]))


def name_in_case(entry: Entry, calls: Calls, random: Random) -> Any:
    """The name in capitals."""
    index = random.randrange(len(calls))
    [name] = calls[index]
    return None if name.upper() == name else _renamed(calls, index, name.upper())


def misspelt_argument(entry: Entry, calls: Calls, random: Random) -> Any:
    """The last letter of an argument's name twice."""
    if places := _places(calls, object):
        arguments, key = random.choice(places)
        arguments[key + key[-1]] = arguments.pop(key)
        return calls
    return None


def dropped_call(entry: Entry, calls: Calls, random: Random) -> Any:
    """One of several calls less."""
    return None if len(calls) < 2 else (calls.pop(random.randrange(len(calls))), calls)[1]


def doubled_call(entry: Entry, calls: Calls, random: Random) -> Any:
    """One call twice."""
    return [*calls, copy.deepcopy(random.choice(calls))]


def nested_value(entry: Entry, calls: Calls, random: Random) -> Any:
    """Another value inside a list or an object, as deep as it goes."""
    places = [
        (arguments[key], inner) for arguments, key in _places(calls, (list, dict)) for inner in _keys(arguments[key])
    ]
    if not places:
        return None
    holder, key = random.choice(places)
    while isinstance(holder[key], list | dict) and (keys := _keys(holder[key])):
        holder, key = holder[key], random.choice(keys)
    holder[key] = _other(holder[key]) if not isinstance(holder[key], list | dict) else None
    return calls


def _keys(value: Any) -> list[Any]:
    return list(value) if isinstance(value, dict) else list(range(len(value)))


def truth(entry: Entry, calls: Calls, random: Random) -> Any:
    """True in place of 1, or false in place of 0, inside a list or an object."""
    if places := [place for arguments, key in _places(calls, (list, dict)) for place in _bits(arguments[key])]:
        holder, key = random.choice(places)
        holder[key] = bool(holder[key])
        return calls
    return None


def _bits(value: Any) -> Iterator[tuple[Any, Any]]:
    """The places of 0 and 1."""
    for key in _keys(value):
        if isinstance(value[key], list | dict):
            yield from _bits(value[key])
        elif value[key] in (0, 1) and not isinstance(value[key], bool):
            yield value, key


def other_writing(entry: Entry, calls: Calls, random: Random) -> Any:
    """A text in capitals, with hyphens for its spaces, or with a full stop behind it."""
    if places := [(found, key) for found, key in _places(calls, str) if found[key]]:
        arguments, key = random.choice(places)
        text = arguments[key]
        arguments[key] = random.choice(
            [text.swapcase(), text.replace(" ", "-") if " " in text else text + " ", f"{text}."]
        )
        return calls if arguments[key] != text else None
    return None


def prose(entry: Entry, calls: Calls, random: Random) -> Any:
    """A sentence and no call."""
    return SURE


def cut(entry: Entry, calls: Calls, random: Random) -> Any:
    """The arguments of the last call, cut off somewhere."""
    *before, last = calls
    [(name, arguments)] = last.items()
    text = json.dumps(arguments)
    return [*before, {name: text[: random.randrange(1, len(text))]}]


#: By name, on entries that expect calls.
MISTAKES: Mapping[str, Callable[[Entry, Calls, Random], Any]] = {
    "a wrong value": wrong_value,
    "a required argument missing": missing_argument,
    "an argument too many": extra_argument,
    "a number as text": number_as_text,
    "another function": other_function,
    "a function's name in capitals": name_in_case,
    "an argument's name misspelt": misspelt_argument,
    "one of several calls dropped": dropped_call,
    "a call doubled": doubled_call,
    "a wrong value inside a list or object": nested_value,
    TRUTH: truth,
    WRITTEN: other_writing,
    "prose in place of a call": prose,
    "arguments cut off": cut,
}
NEEDLESS = "a call where no tool fits"


def example(schema: Mapping[str, Any]) -> Any:
    """A value that a schema takes."""
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type")
    if kind == "object":
        return {name: example(each) for name, each in schema.get("properties", {}).items()}
    if kind == "array":
        return [example(schema.get("items", {}))] * schema.get("minItems", 1)
    return {"integer": 3, "number": 2.5, "boolean": True}.get(str(kind), "Berlin")


def planted(entries: Sequence[Entry], random: Random) -> Iterator[tuple[str, int, Any]]:
    """Yield the kind of each planted mistake, the number of its entry and the result; and right results beside them."""
    for index, entry in enumerate(entries):
        if not entry.answer:
            function = random.choice(entry.function)
            arguments = example(json_schema(function["parameters"]))
            yield NEEDLESS, index, [{tool_name(function["name"]): arguments}]
            yield QUIET, index, SURE
            continue
        yield RIGHT, index, right(entry, random)
        for name, plant in MISTAKES.items():
            if (result := plant(entry, right(entry, random), random)) is not None:
                yield name, index, result
