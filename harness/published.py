"""The JSON Schemas that ship with the package; those of files that a check reads follow from the table of checks.

Editors complete and check a fixture file by its first line, `# yaml-language-server: $schema=PATH`. The shape that all
fixture files share is written by hand (`file.schema.json`, which the loader uses); what a suite's own `check` and
`expect` may hold is added from its rows, by suite and measure.

    make golden     # writes them anew
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Any

from harness.checks import terms, voice
from harness.checks.outcome import CheckKind
from harness.checks.table import CHECKS, SUITES, measures

Schema = dict[str, Any]
DIALECT = "https://json-schema.org/draft/2020-12/schema"
PUBLISHED = ("fixture", "task", "terms", "voice", "record")


def schema(name: str) -> Schema:
    """A JSON Schema that ships with the package: one of `PUBLISHED`, or `file`."""
    text = resources.files("harness").joinpath(f"{name}.schema.json").read_text("utf-8")
    return dict(json.loads(text))


@functools.cache
def file_shape() -> Schema:
    """The shape that the fixture files of all suites share, with the suites of the table by name."""
    shape = schema("file")
    suite = shape["properties"]["suite"]
    shape["properties"]["suite"] = {"enum": list(SUITES), "description": suite["description"]}
    return shape


@functools.cache
def loader_shape() -> Schema:
    """The same with its references written out, which is a third faster to hold 10,000 cases against."""
    shape = file_shape()
    return dict(_written_out(shape, shape["$defs"]))


def _written_out(shape: Any, defs: Schema) -> Any:
    if isinstance(shape, list):
        return [_written_out(each, defs) for each in shape]
    if not isinstance(shape, dict):
        return shape
    if "$ref" in shape and shape.keys() <= {"$ref", "description"}:
        target = _written_out(defs[shape["$ref"].rpartition("/")[2]], defs)
        return {"title": shape["description"], **target} if "description" in shape else target
    return {key: _written_out(value, defs) for key, value in shape.items()}


def made() -> dict[str, Schema]:
    """The published schemas that are made from code, by name."""
    return {
        "fixture": _fixture(),
        "terms": _titled("Tunegate terms file", terms.SHAPE),
        "voice": _titled("Tunegate voice references", voice.REFERENCES),
    }


def _titled(title: str, shape: Mapping[str, Any]) -> Schema:
    return {"$schema": DIALECT, "title": title, **shape}


def _fixture() -> Schema:
    """The shared shape, what each suite measures, and what each row of the table adds."""
    shape = file_shape()
    rules = [rule for suite in SUITES for rule in _measures(suite)]
    rules += [rule for name, row in CHECKS.items() for rule in _row(name, row)]
    defs = {f"{name}.{part}": value for name, row in CHECKS.items() for part, value in _parts(row).items()}
    return {**shape, "$defs": {**shape["$defs"], **defs}, "allOf": rules}


def _parts(row: CheckKind) -> Schema:
    """A row's own shapes. What `check` needs may stand on the file or on the cases: `_needed` says so."""
    options = {key: value for key, value in row.options.items() if key != "required"}
    return {"check": options, "expect": row.expect}


def _measures(suite: str) -> Iterator[Schema]:
    """Which measures a suite knows, where it has names for them, and that it needs one if all of them have one."""
    names = [name for name in measures(suite) if name]
    if names:
        known: Schema = {"properties": {"measure": {"enum": names, "description": "what the cases measure"}}}
        needed: Schema = {"required": ["measure"]} if "" not in measures(suite) else {}
        then: Schema = {"properties": {"check": known | needed}} | ({"required": ["check"]} if needed else {})
        yield {"if": _is(suite), "then": then}


def _row(name: str, row: CheckKind) -> Iterator[Schema]:
    """What holds where a file belongs to this row."""
    suite, _, measure = name.partition("/")
    check, expect = ({"$ref": f"#/$defs/{_pointer(name)}.{part}"} for part in _parts(row))
    unread = _unread(name, *row.ignores)
    case: Schema = {"properties": {"check": check, "expect": expect} | unread}
    if row.needs_expect:
        case["required"] = ["expect"]
    belongs = _is(suite, measure, others=[other for other in measures(suite) if other])
    file = {"check": check} | unread | ({} if row.rereads else {"cases": {"items": case}} | _unread(name, "of"))
    yield {"if": belongs, "then": {"properties": file}}
    if needed := [key for key in row.options.get("required", ()) if key != "measure"]:
        yield _needed(belongs, needed)


def _unread(name: str, *keys: str) -> Schema:
    return {key: {"not": {}, "description": f"{name} does not read it: delete it"} for key in keys}


def _needed(belongs: Schema, keys: list[str]) -> Schema:
    """Where the file's own `check` lacks the keys, every case has them."""
    lacking = {"not": {"required": ["check"], "properties": {"check": {"required": keys}}}}
    case = {"required": ["check"], "properties": {"check": {"required": keys}}}
    return {"if": {"allOf": [belongs, lacking]}, "then": {"properties": {"cases": {"items": case}}}}


def _is(suite: str, measure: str = "", others: list[str] | None = None) -> Schema:
    """Whether a file belongs to a suite and, with a measure or `others` it must not name, to a row of it."""
    is_suite: Schema = {"required": ["suite"], "properties": {"suite": {"const": suite}}}
    if measure:
        is_suite["required"].append("check")
        is_suite["properties"]["check"] = {"required": ["measure"], "properties": {"measure": {"const": measure}}}
    elif others:
        is_suite["properties"]["check"] = {"not": {"required": ["measure"]}}
    return is_suite


def _pointer(name: str) -> str:
    return name.replace("/", "~1")
