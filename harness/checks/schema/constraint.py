"""The decoding constraint of a schema: as much of the check as a grammar can express."""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from tunegate.harness.checks.base import Constraint
from tunegate.harness.checks.schema.dialects import Dialects, subschemas
from tunegate.harness.checks.schema.lint import unasserted

#: A grammar cannot compare items; the check verifies that they differ.
LEFT_OUT = "uniqueItems"
SETTINGS = "x-guidance"  # llguidance's grammar options; all grammars here use the same


def constraint_of(schema: Mapping[str, Any], file: str) -> Constraint:
    """The constraint of the schema in `file`; its key order is the key order of the output."""
    kept = deepcopy(dict(schema))
    kept.pop(SETTINGS, None)
    parts = subschemas(kept)
    dialects = Dialects.of(parts)
    for where, each, _ in parts:
        each.pop(LEFT_OUT, None)
        if unasserted(each, dialects.draft(where)):  # an annotation, which a grammar would enforce
            del each["format"]
    return Constraint(json.dumps(kept, ensure_ascii=False), file)
