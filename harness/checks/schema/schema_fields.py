"""The fields that a JSON Schema names, by path: their possible values, and where names are free."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from tunegate.harness.checks.base import ClosedValue
from tunegate.harness.checks.outputs.json_text import json_path, show_json
from tunegate.harness.checks.schema.alternatives import alternatives
from tunegate.harness.checks.schema.expected_keys import has_free_keys, schemas_beside
from tunegate.harness.core.files import text_digest

ROOT = "$"  # the name of an output that is not an object
TAKEN = frozenset({"adherence", "exact", "passed"})  # names of parts of the pass rule that are not fields
MOST_NAMES = 2_000
MOST_LEVELS = 12
_CONTAINERS = frozenset({"array", "object"})
_OF_TYPE: Mapping[str, Sequence[Any]] = {"boolean": [False, True], "null": [None]}
_COMPOSED = frozenset({"allOf", "anyOf", "oneOf", "$ref"})


def field_name(name: str, step: str | int) -> str:
    """The name of a step below `name`: `request.kind`, `items[].price`, `["odd key"]`; list indices are dropped."""
    if isinstance(step, int):
        return f"{'' if name == ROOT else name}[]"
    if name == ROOT and step in TAKEN:
        return f"[{show_json(step)}]"
    key = json_path((step,))
    if key.endswith("...]"):  # shortened keys could collide
        key = f"{key.removesuffix(']')}#{text_digest(step)[:8]}]"
    return key if name == ROOT else f"{name}{'' if key.startswith('[') else '.'}{key}"


#: Cached variant for the few names of fixtures, which recur often.
known_field_name = lru_cache(maxsize=4096)(field_name)


def is_below(name: str, field: str) -> bool:
    """Whether a field is another one or inside it."""
    return name == field or field == ROOT or (name.startswith(field) and name[len(field)] in ".[")


@dataclass(frozen=True)
class SchemaFields:
    """The fields of a schema: by name, the schemas that apply to it.

    Below the `free` fields the schema names nothing.
    """

    schemas: Mapping[str, Sequence[Mapping[str, Any]]]
    free: frozenset[str]

    def knows(self, name: str) -> bool:
        """Whether the schema names a field or leaves its name free."""
        return name in self.schemas or any(is_below(name, each) for each in self.free if each != name)

    def closed(self, name: str) -> frozenset[str]:
        """The possible values of a field, as displayed; empty if they are not a closed set."""
        found: set[str] = set()
        for schema in self.schemas.get(name, ()):
            found |= {show_json(value) for value in _values(schema)}
        return frozenset(found)

    def values(self, name: str) -> Sequence[Any]:
        """The values that `enum`, `const` or a boolean type of any schema of a field admits; empty if there are none.

        Also empty if not all schemas of the field are known.
        """
        schemas = self.schemas.get(name, ())
        is_known = len(self.schemas) < MOST_NAMES and not any("patternProperties" in each for each in schemas)
        return [value for each in schemas for value in _values(each)] if is_known else []

    @cached_property
    def closed_sets(self) -> Mapping[str, frozenset[str]]:
        """The displayed values by field, for fields to which no applicable schema admits other texts or numbers."""
        found = {}
        for name, schemas in self.schemas.items():
            sets = [_closed_values(each) for each in schemas if not _only_refers(each)]
            if sets and all(sets):
                found[name] = frozenset(show_json(value) for values in sets for value in values)
        return found

    def types(self, name: str) -> frozenset[str]:
        """The possible types of a field; empty if any type is possible."""
        return _types(self.schemas.get(name, ()))

    def closed_values(
        self, expect: Any, ignored: Collection[str], name: str = ROOT, is_only: bool = True
    ) -> Iterator[ClosedValue]:
        """Yield each expected value of a field with a closed set of values.

        Alternatives are all accepted. `ignored` fields and values that the schema does not have are left out.
        """
        if name in ignored:
            return
        if options := alternatives(expect):
            for each in options:
                yield from self.closed_values(each, ignored, name, is_only=False)
        elif isinstance(expect, dict):
            for key, inner in expect.items():
                yield from self.closed_values(inner, ignored, known_field_name(name, key), is_only)
        elif isinstance(expect, list):
            for inner in expect:
                yield from self.closed_values(inner, ignored, known_field_name(name, 0), is_only)
        elif name in self.closed_sets and (value := show_json(expect)) in self.closed_sets[name]:
            yield name, value, is_only


def _types(schemas: Sequence[Mapping[str, Any]]) -> frozenset[str]:
    given = [schema["type"] for schema in schemas if "type" in schema]
    return frozenset(name for each in given for name in ([each] if isinstance(each, str) else each))


def _values(schema: Mapping[str, Any]) -> Sequence[Any]:
    if isinstance(schema.get("enum"), list):
        return list(schema["enum"])
    if "const" in schema:
        return [schema["const"]]
    return [False, True] if schema.get("type") == "boolean" else []


def _closed_values(schema: Mapping[str, Any]) -> Sequence[Any]:
    """The values of a schema with a closed set of them; `null` beside them is one more."""
    if "enum" in schema or "const" in schema:
        return _values(schema)
    types = _types([schema])
    return [value for name in types for value in _OF_TYPE[name]] if types and types <= _OF_TYPE.keys() else []


def _only_refers(schema: Mapping[str, Any]) -> bool:
    """Whether the schema leaves its values to other schemas beside it."""
    return bool(_COMPOSED & schema.keys()) and not _closed_values(schema)


def schema_fields(schema: Mapping[str, Any]) -> SchemaFields:
    """Collect the fields of a schema; of an endless one, only the first levels."""
    named: dict[str, Sequence[Mapping[str, Any]]] = {}
    free: set[str] = set()
    todo = deque([(ROOT, [schema], 0)])
    while todo and len(named) < MOST_NAMES:
        name, given, level = todo.popleft()
        parts = schemas_beside(schema, given)
        named[name] = [*named.get(name, ()), *parts]
        below = _below(name, parts)
        types = _types(parts)
        is_container = not types or bool(types & _CONTAINERS)
        if level == MOST_LEVELS or (is_container and (not below or any(map(has_free_keys, parts)))):
            free.add(name)
        todo += [(inner, schemas, level + 1) for inner, schemas in below.items() if level < MOST_LEVELS]
    return SchemaFields(named, frozenset({*free, ROOT} if todo else free))


def _below(name: str, parts: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for part in parts:
        for key, inner in part.get("properties", {}).items():
            found.setdefault(field_name(name, key), []).append(inner)
        items = part.get("items", [])
        for inner in [*part.get("prefixItems", []), *(items if isinstance(items, list) else [items])]:
            found.setdefault(field_name(name, 0), []).append(inner)
    return found
