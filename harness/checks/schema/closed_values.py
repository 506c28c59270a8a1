"""The expected values of fields with a closed set of values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tunegate.harness.checks.base import ClosedValue
from tunegate.harness.checks.schema.alternatives import alternatives
from tunegate.harness.checks.schema.grading import FieldRule
from tunegate.harness.checks.schema.json_reader import show_json
from tunegate.harness.checks.schema.schema_fields import ROOT, SchemaFields, known_field_name


def closed_values(
    expect: Any, schema: SchemaFields, rules: Mapping[str, FieldRule], name: str = ROOT, is_only: bool = True
) -> Iterator[ClosedValue]:
    """Yield each expected value of a field with a closed set of values.

    Alternatives are all accepted. Ignored fields and values that the schema does not have are left out.
    """
    if name in rules and rules[name].ignore:
        return
    if options := alternatives(expect):
        for each in options:
            yield from closed_values(each, schema, rules, name, is_only=False)
    elif isinstance(expect, dict):
        for key, inner in expect.items():
            yield from closed_values(inner, schema, rules, known_field_name(name, key), is_only)
    elif isinstance(expect, list):
        for inner in expect:
            yield from closed_values(inner, schema, rules, known_field_name(name, 0), is_only)
    elif name in schema.closed_sets and (value := show_json(expect)) in schema.closed_sets[name]:
        yield name, value, is_only
