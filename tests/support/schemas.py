"""The published schemas of records and baselines, derived from the types that read them.

What no type says is written here: the parts that stay data, since they are compared as such, and what one field says
of another.
"""

from __future__ import annotations

import json
import re
import textwrap
from dataclasses import fields, is_dataclass
from inspect import getdoc
from typing import Any, cast, get_args, get_type_hints

from msgspec.json import schema_components

from tunegate.harness.cases.json_schemas import DIALECT, Schema
from tunegate.harness.core.typed import OPTIONAL, UNWRITTEN
from tunegate.harness.models.evaluation.record import SCHEMA_VERSION, Record
from tunegate.harness.models.evaluation.sidecar import CaseContext
from tunegate.harness.models.evaluation.verdict import PartVerdict, UnitVerdict

TEXT, NULL, NUMBER = {"type": "string"}, {"type": "null"}, {"type": "number"}
TEXTS: Schema = {"type": "object", "additionalProperties": TEXT}
DIGEST: Schema = {
    "type": "string", "pattern": "^[0-9a-f]{64}$", "description": "SHA-256 of the canonical JSON of the other keys",
}  # fmt: skip


def closed(properties: Schema, *optional: str, **more: Any) -> Schema:
    """An object with these properties alone."""
    required = [name for name in properties if name not in optional]
    return {"type": "object", "required": required, "additionalProperties": False, "properties": properties} | more


def between(low: float, high: float) -> Schema:
    return {"type": "number", "exclusiveMinimum": low, "exclusiveMaximum": high}


#: What stays data: a configuration and a policy are compared key by key, a subject names what its model has.
DATA: Schema = {
    "subject": {
        "description": "the model: name, digests of its files, and the prompting strategy",
        "type": "object",
        "required": ["model"],
        "properties": {"model": {"type": "string", "pattern": "^[^/]*[^/.][^/]*$"}},
        "additionalProperties": {"type": ["string", "null"]},
    },
    "configuration": closed(
        {
            "system": TEXT,
            "template": TEXT,
            "decoding": closed(
                {
                    "max_new_tokens": {"type": "integer", "minimum": 1},
                    "temperature": {"type": "number", "minimum": 0},
                    "top_p": {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
                    "seed": {"type": "integer"},
                }
            ),
            "tools": {
                "type": "array", "minItems": 1, "items": TEXT,
                "description": "the tools that the model may call, each as the JSON that a template shows",
            },
            "shots": {
                "type": "array",
                "minItems": 1,
                "items": closed({"input": {"type": ["string", "array"]}, "output": TEXT}),
            },
        },
        "system", "shots", "tools",
        description="how the questions were put: prompt, worked examples, decoding",
    ),
    "policy": {
        "type": "object",
        "required": ["role", "margin"],
        "properties": {
            "role": {"enum": ["target", "guard"]},
            "margin": {"type": ["number", "null"]},
            "target_score": {"type": ["number", "null"]},
            "minimum_score": {"type": ["number", "null"]},
            "lower": {"enum": ["allow", "block"]},
            "seals": {"type": ["string", "null"]},
            "sealed": {"type": "boolean"},
            "ungated": {"type": "boolean"},
            "collapse": between(0, 1),
            "together": {
                "description": "the guards that it is held together with",
                "type": "object",
                "required": ["margin", "weights"],
                "properties": {
                    "margin": between(0, 1),
                    "weights": {"type": "object", "additionalProperties": {"type": "number", "exclusiveMinimum": 0}},
                },
            },
            "parts": {
                "description": "the margins of parts of its pass rule",
                "type": "object",
                "additionalProperties": between(0, 1),
            },
        },
    },
}  # fmt: skip


def by_name(of: Schema) -> Schema:
    return {"type": "object", "additionalProperties": of}


#: The fields that hold them.
OF_DATA: dict[str, Schema] = {
    "Record.fingerprint": closed({"subject": {"$ref": "#/$defs/subject"}, "engine": TEXTS, "names": TEXTS}, "names"),
    "Record.configurations": by_name({"$ref": "#/$defs/configuration"}),
    "Record.policies": by_name({"$ref": "#/$defs/policy"}),
    "Reference.subject": {"$ref": "#/$defs/subject"},
}


def _when(name: str, then: Schema, otherwise: Schema) -> Schema:
    """What other properties are if one is null, and if it is not."""
    return {
        "if": {"properties": {name: NULL}}, "then": {"properties": then}, "else": {"properties": otherwise},
    }  # fmt: skip


#: What one field says of another.
CONDITIONS: dict[type, Schema] = {
    UnitVerdict: _when(
        "interval", {"difference": NULL}, dict.fromkeys(("difference", "level", "p_worse", "margin"), NUMBER)
    ),
    PartVerdict: _when(
        "margin", {"interval": NULL, "p_worse": NULL}, {"interval": {"type": "array"}, "p_worse": NUMBER}
    ),
}  # fmt: skip


def derived() -> dict[str, Schema]:
    """The schemas of a record, of a line of its sidecar, and of a baseline."""
    return {"record": _record(), "sidecar": _sidecar(), "baseline": _baseline()}


def _record() -> Schema:
    parts = _parts()
    whole = parts.pop("Record")
    whole["description"] = "The complete results of one run."
    whole["properties"] = {"schema_version": {"const": SCHEMA_VERSION}, **whole["properties"], "digest": DIGEST}
    whole["required"] = ["schema_version", *whole["required"], "digest"]
    return _titled("Tunegate record", whole, parts)


def _sidecar() -> Schema:
    parts = _parts(CaseContext)
    whole = parts.pop("CaseContext")
    whole["description"] = (
        "A line of a record's sidecar: the question and expectation of an open case, and the references' outputs."
    )
    whole["properties"] = {"case": TEXT | {"description": "<task>/<unit>/<id>"}, **whole["properties"]}
    whole["required"] = ["case", *whole["required"]]
    return _titled("Tunegate sidecar", whole, parts)


def _baseline() -> Schema:
    """The parts of a record that are of one unit; each case has the digest of its question."""
    parts = _parts()
    result = parts["Result"]
    question = {
        "question": {
            "type": "string",
            "pattern": DIGEST["pattern"],
            "description": "what the case asks and how it is scored",
        }
    }
    case = result | {"required": ["question", *result["required"]], "properties": question | result["properties"]}
    text = TEXT | {"minLength": 1}
    whole = closed(
        {
            "schema_version": {"const": 1},
            "unit": {"type": "string", "description": "<task>/<unit>"},
            "subject": _ref("subject"),
            "engine": TEXTS,
            "questions": TEXTS,
            "configuration": _ref("configuration"),
            "scorer": TEXTS,
            "policy": _ref("policy"),
            "summary": _ref("Summary"),
            "noise": _ref("Noise"),
            "adapter_at": text | {
                "description": "the path of a release's adapter or .ref file, relative to the folder of the baselines",
            },
            "served": text | {"description": "the version that a served alias resolved to"},
            "hosted": text | {"description": "the name of a hosted model, openai:URL#MODEL"},
            "cases": {"type": "object", "additionalProperties": case, "description": "by id, one per line"},
            "digest": DIGEST,
        },
        "noise", "adapter_at", "served", "hosted",
        description="The results of one unit when it was recorded or last released.",
    )  # fmt: skip
    return _titled("Tunegate baseline", whole, parts)


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _titled(title: str, schema: Schema, parts: Schema) -> Schema:
    """A schema with those of its parts that it needs, in the order of their names."""
    needed: dict[str, Schema] = {}
    left = _refs(schema)
    while left:
        name = left.pop()
        needed[name] = parts[name]
        left |= _refs(parts[name]) - needed.keys()
    return {"$schema": DIALECT, "title": title, **schema, "$defs": dict(sorted(needed.items()))}


def _refs(schema: Schema) -> set[str]:
    return set(re.findall(r'"#/\$defs/(\w+)"', json.dumps(schema)))


def _parts(of: type = Record) -> Schema:
    """The schema of each type that a record or another type has, by its name, and of what stays data."""
    _, found = schema_components([of], schema_hook=lambda kind: TEXT)  # a path, which stands in no file
    kinds = _kinds(of, {})
    made = {name: _part(kinds[name], each) if name in kinds else each for name, each in found.items()}
    return {name: _plain(each, made) for name, each in made.items()} | DATA


def _kinds(hint: Any, found: dict[str, type]) -> dict[str, type]:
    """Add the dataclasses that stand in files to those found, by name."""
    if is_dataclass(hint) and hint.__name__ not in found:
        found[hint.__name__] = cast("type", hint)
        hints = get_type_hints(hint)
        for each in fields(hint):
            _kinds(hints[each.name], found)
    for each in get_args(hint):
        _kinds(each, found)
    return found


def _part(kind: type, schema: Schema) -> Schema:
    """The schema of a dataclass: what stands in files, and its docstring; what may be left out is not required."""
    about, told = _described(kind)
    written = [field for field in fields(kind) if field.metadata != UNWRITTEN]
    properties = {}
    for name in (field.name for field in written):
        properties[name] = OF_DATA.get(f"{kind.__name__}.{name}", schema["properties"][name])
        properties[name] = properties[name] | ({"description": told[name]} if name in told else {})
    optional = (field.name for field in written if field.metadata == OPTIONAL)
    return closed(properties, *optional, description=about, **CONDITIONS.get(kind, {}))


def _described(kind: type) -> tuple[str, dict[str, str]]:
    """The first paragraph of a docstring, and what it says of each attribute."""
    about, _, attributes = (getdoc(kind) or "").partition("\n\nAttributes:\n")
    entries = re.split(r"\n(?=\S)", textwrap.dedent(attributes))
    told = [each.partition(": ") for each in entries if each]
    each = {name: _words(text).removesuffix(".") for names, _, text in told for name in names.split(", ")}
    return _words(about.split("\n\n")[0]), each


def _words(text: str) -> str:
    return " ".join(text.split()).replace("None", "null")


def _plain(schema: Any, parts: Schema) -> Any:
    """A schema without titles and defaults; what may be null says so in its type, so that mistakes name that type."""
    if isinstance(schema, list):
        return [_plain(each, parts) for each in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: _plain(each, parts) for key, each in schema.items() if key not in ("title", "default")}
    match found.get("anyOf"):
        case [one, {"type": "null"}] | [{"type": "null"}, one]:
            one = _plain(parts[one["$ref"].rpartition("/")[2]], parts) if "$ref" in one else one
            null = {"enum": [*one["enum"], None]} if "enum" in one else {"type": [one["type"], "null"]}
            del found["anyOf"]
            return one | null | found
    return found
